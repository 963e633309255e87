import type { AddressInfo } from 'node:net';

import { Controller, Get, type INestApplication, VersioningType } from '@nestjs/common';
import { FastifyAdapter } from '@nestjs/platform-fastify';
import { Test } from '@nestjs/testing';

import type { JwtHardeningOptions } from '../../lib/config/options.js';
import { JwtHardeningModule } from '../../lib/jwt-hardening.module.js';
import { Clock } from '../../lib/kernel/clock.js';
import { KeyRingService } from '../../lib/keys/key-ring.service.js';
import {
  ADAPTERS,
  type AdapterName,
  AUDIENCE,
  type GuardedApp,
  ISSUER,
  startGuardedApp,
} from '../support/guarded-app.js';
import { type Answer, closeConnections, send } from '../support/http.js';
import { TestClock } from '../support/test-clock.js';
import { newPrivateJwk } from '../support/token-mother.js';
import { privateMembersIn } from './opened-ring.js';
import { DAY, HOUR } from './ring-mother.js';

const PATH = '/.well-known/jwks.json';

@Controller()
class Notes {
  @Get('notes')
  list(): string[] {
    return [];
  }
}

interface JwksDocument {
  readonly keys: readonly { readonly kid: string }[];
}

const documentOf = ({ body }: Answer): JwksDocument => JSON.parse(body) as JwksDocument;
const maxAgeOf = ({ headers }: Answer): string | undefined => headers['cache-control'];

afterAll(closeConnections);

describe.each(ADAPTERS)('the JWKS on %s', (adapter) => {
  let guarded: GuardedApp;
  let clock: TestClock;
  let keyRing: KeyRingService;

  const start = async (options: Partial<JwtHardeningOptions> = {}): Promise<void> => {
    clock = new TestClock();
    guarded = await startGuardedApp([Notes], { adapter, clock, options });
    keyRing = guarded.app.get(KeyRingService);
  };
  const get = (headers: Record<string, string> = {}, method = 'GET'): Promise<Answer> =>
    send(guarded.url, PATH, { headers, method });

  afterEach(() => guarded.close());

  describe('by default', () => {
    beforeEach(() => start());

    it('is there for anyone, as a JWK Set (RFC 7517 §5, §8.5.1)', async () => {
      const answer = await get();
      expect(answer.status).toBe(200);
      expect(answer.headers['content-type']).toMatch(/^application\/jwk-set\+json(?:;|$)/);
      expect(answer.body).toBe(keyRing.jwks().body);
      const [key] = documentOf(answer).keys;
      expect(key).toEqual({
        kty: 'EC',
        crv: 'P-256',
        x: expect.any(String),
        y: expect.any(String),
        kid: (await keyRing.signingKey()).kid,
        alg: 'ES256',
        use: 'sig',
      });
    });

    it('is there for someone with a bad token, too: verifying one needs it', async () => {
      const answer = await get({ authorization: 'Bearer garbage' });
      expect(answer.status).toBe(200);
    });

    it('leaves every other route guarded', async () => {
      expect((await send(guarded.url, '/notes')).status).toBe(401);
    });

    it('has a strong ETag, the same for the same keys', async () => {
      const [first, second] = [await get(), await get()];
      expect(first.headers.etag).toMatch(/^"[^"]+"$/);
      expect(second.headers.etag).toBe(first.headers.etag);
      await keyRing.rotate();
      expect((await get()).headers.etag).not.toBe(first.headers.etag);
    });

    it.each([
      ['the tag itself', (tag: string) => tag],
      ['the tag as a weak one (RFC 9110 §13.1.2: weak comparison)', (tag: string) => `W/${tag}`],
      ['a list that holds it', (tag: string) => `"other", ${tag}`],
      ['a list without spaces', (tag: string) => `"a","b",${tag},"c"`],
      ['a list that holds it as a weak one', (tag: string) => `W/"other" , W/${tag}`],
      ['anything', () => '*'],
      ['white space around it', (tag: string) => `  ${tag}  `],
    ])('answers 304 without a body to If-None-Match with %s', async (_rule, ask) => {
      const { etag = '' } = (await get()).headers;
      const answer = await get({ 'if-none-match': ask(etag) });
      expect(answer.status).toBe(304);
      expect(answer.body).toBe('');
      // RFC 9110 §15.4.5: what a 200 would have said to a cache.
      expect(answer.headers.etag).toBe(etag);
      expect(maxAgeOf(answer)).toBe('public, max-age=300');
    });

    it.each([
      ['another tag', () => '"other"'],
      ['the tag without its quotes', (tag: string) => tag.replaceAll('"', '')],
      ['a tag that begins like it', (tag: string) => tag.replace(/.{3}"$/, '"')],
      ['a list of others', () => '"a", W/"b"'],
      ['a lower-case mark of weakness', (tag: string) => `w/${tag}`],
      ['a star among tags', () => '"a*b"'],
      ['nothing', () => ''],
    ])('answers 200 with the body to If-None-Match with %s', async (_rule, ask) => {
      const { etag = '' } = (await get()).headers;
      const answer = await get({ 'if-none-match': ask(etag) });
      expect(answer.status).toBe(200);
      expect(documentOf(answer).keys).toHaveLength(1);
    });

    it('answers 200 to a tag that was right before the ring changed', async () => {
      const { etag = '' } = (await get()).headers;
      await keyRing.rotate();
      const answer = await get({ 'if-none-match': etag });
      expect(answer.status).toBe(200);
      expect(documentOf(answer).keys).toHaveLength(2);
    });

    it('answers HEAD as GET without the body (RFC 9110 §9.3.2)', async () => {
      const full = await get();
      const head = await get({}, 'HEAD');
      expect(head.status).toBe(200);
      expect(head.body).toBe('');
      for (const name of ['etag', 'cache-control', 'content-type', 'content-length'] as const) {
        expect([name, head.headers[name]]).toEqual([name, full.headers[name]]);
      }
    });

    it.each(['POST', 'PUT', 'PATCH', 'DELETE'])('does not answer %s', async (method) => {
      expect((await get({}, method)).status).toBe(404);
    });

    it('may be kept as long as configured, and never beyond the next change', async () => {
      expect(maxAgeOf(await get())).toBe('public, max-age=300');
      // A successor is published 29 days after the first key began to sign.
      clock.advance(29 * DAY - 100_000);
      expect(maxAgeOf(await get())).toBe('public, max-age=100');
      clock.advance(99_001);
      expect(maxAgeOf(await get())).toBe('public, max-age=0');
      clock.advance(DAY);
      expect(maxAgeOf(await get())).toBe('public, max-age=0');
      await keyRing.signingKey();
      expect(maxAgeOf(await get())).toBe('public, max-age=300');
      expect(documentOf(await get()).keys).toHaveLength(2);
    });

    it('shows both keys during a rotation, and one again after it', async () => {
      const { kid: old } = await keyRing.signingKey();
      const { kid } = await keyRing.rotate();
      const kids = async (): Promise<string[]> =>
        documentOf(await get()).keys.map((key) => key.kid);
      expect(await kids()).toEqual([old, kid]);
      clock.advance(DAY);
      await keyRing.signingKey();
      expect(await kids()).toEqual([old, kid]);
      clock.advance(DAY);
      await keyRing.signingKey();
      expect(await kids()).toEqual([kid]);
    });

    it('is read once per answer: 50 at once agree, also while the ring changes', async () => {
      const asks = Array.from({ length: 50 }, () => get());
      await keyRing.rotate();
      const answers = [...(await Promise.all(asks)), await get()];
      const bodies = new Map(answers.map(({ headers, body }) => [headers.etag, body]));
      expect(new Set(answers.map(({ body }) => body)).size).toBe(bodies.size);
      for (const { headers, body } of answers) expect(bodies.get(headers.etag)).toBe(body);
    });
  });

  it.each(['ES256', 'Ed25519'] as const)(
    'holds no private member of %s keys, in no phase',
    async (algorithm) => {
      await start({ keys: { algorithm } });
      await keyRing.rotate();
      clock.advance(DAY);
      await keyRing.signingKey();
      await keyRing.rotate();
      const answer = await get();
      expect(documentOf(answer).keys).toHaveLength(3);
      expect(privateMembersIn(documentOf(answer))).toEqual([]);
    },
  );

  it('holds the public half alone of a configured key, which never changes', async () => {
    const jwk = { ...(await newPrivateJwk('Ed25519')), kid: 'mine' };
    await start({ keys: { signingKey: jwk, jwksMaxAge: '1h' } });
    clock.advance(400 * DAY);
    const answer = await get();
    expect(documentOf(answer).keys).toEqual([
      { kty: 'OKP', crv: 'Ed25519', x: jwk.x, kid: 'mine', alg: 'Ed25519', use: 'sig' },
    ]);
    expect(maxAgeOf(answer)).toBe('public, max-age=3600');
  });
});

async function startWith(
  adapter: AdapterName,
  options: Parameters<typeof JwtHardeningModule.forRoot>[0],
  prepare: (app: INestApplication) => unknown = () => {},
): Promise<GuardedApp> {
  const module = await Test.createTestingModule({
    imports: [JwtHardeningModule.forRoot(options)],
    controllers: [Notes],
  })
    .overrideProvider(Clock)
    .useValue(new TestClock())
    .compile();
  const app =
    adapter === 'fastify'
      ? module.createNestApplication(new FastifyAdapter())
      : module.createNestApplication();
  prepare(app);
  await app.listen(0, '127.0.0.1');
  const { port } = app.getHttpServer().address() as AddressInfo;
  return { app, url: `http://127.0.0.1:${port}`, close: () => app.close() };
}

describe.each(ADAPTERS)('where the JWKS is, on %s', (adapter) => {
  const issued = { issuer: ISSUER, audience: AUDIENCE };
  let guarded: GuardedApp;

  const statusOf = async (path: string): Promise<number> => (await send(guarded.url, path)).status;

  afterEach(() => guarded.close());

  it('follows jwksPath', async () => {
    guarded = await startWith(adapter, { ...issued, jwksPath: '/oauth/keys' });
    expect(await statusOf('/oauth/keys')).toBe(200);
    expect(await statusOf(PATH)).toBe(404);
  });

  it('is nowhere with jwksPath null, and the routes stay guarded', async () => {
    guarded = await startWith(adapter, { ...issued, jwksPath: null });
    expect(await statusOf(PATH)).toBe(404);
    expect(await statusOf('/notes')).toBe(401);
    expect(guarded.app.get(KeyRingService).jwks().keys).toHaveLength(1);
  });

  it('is below the global prefix of the application, public there, too', async () => {
    guarded = await startWith(adapter, issued, (app) => app.setGlobalPrefix('api'));
    expect(await statusOf(`/api${PATH}`)).toBe(200);
    expect(await statusOf('/api/notes')).toBe(401);
  });

  it('is where RFC 8414 looks for it when the application excludes it from its prefix', async () => {
    guarded = await startWith(adapter, issued, (app) =>
      app.setGlobalPrefix('api', { exclude: [PATH] }),
    );
    expect(await statusOf(PATH)).toBe(200);
    expect(await statusOf(`/api${PATH}`)).toBe(404);
  });

  it('has no version, also in an application that has', async () => {
    guarded = await startWith(adapter, issued, (app) =>
      app.enableVersioning({ type: VersioningType.URI, defaultVersion: '1' }),
    );
    expect(await statusOf(PATH)).toBe(200);
    expect(await statusOf('/v1/notes')).toBe(401);
  });

  it('is served without a hand-over: no answer waits for the key store', async () => {
    const clock = new TestClock();
    guarded = await startGuardedApp([Notes], { adapter, clock });
    clock.advance(31 * DAY + HOUR);
    const answer = await send(guarded.url, PATH);
    expect(answer.status).toBe(200);
    expect(maxAgeOf(answer)).toBe('public, max-age=0');
  });
});
