import { Controller, Get } from '@nestjs/common';

import type { JwtHardeningExtras, JwtHardeningOptions } from '../../lib/config/options.js';
import { RevocationService } from '../../lib/revocation/revocation.service.js';
import { decodeStatuses, statusAt } from '../../lib/status-list/status-bits.js';
import { StatusLists } from '../../lib/status-list/status-lists.service.js';
import { memoryStorage } from '../../lib/storage/memory/memory-storage.js';
import { TokenService } from '../../lib/tokens/token.service.js';
import { ADAPTERS, type GuardedApp, ISSUER, startGuardedApp } from '../support/guarded-app.js';
import { type Answer, closeConnections, send } from '../support/http.js';
import { TestClock } from '../support/test-clock.js';
import { recordSecret } from '../support/witness.js';

@Controller()
class ThingsController {
  @Get('things')
  things(): string {
    return 'all of them';
  }
}

afterAll(closeConnections);

describe.each(ADAPTERS)('status lists over HTTP (%s)', (adapter) => {
  let clock: TestClock;
  let running: GuardedApp;

  const start = async (
    options: Partial<JwtHardeningOptions> & JwtHardeningExtras = {},
  ): Promise<void> => {
    clock = new TestClock();
    running = await startGuardedApp([ThingsController], {
      adapter,
      clock,
      options: { storage: memoryStorage({ clock }), statusListPath: '/status-lists', ...options },
    });
  };

  beforeEach(() => start());
  afterEach(() => running.close());

  interface Place {
    readonly idx: number;
    readonly uri: string;
  }

  interface Signed {
    readonly token: string;
    readonly jti: string;
    readonly exp: number;
    readonly place: Place;
  }

  async function sign(sub = 'alice'): Promise<Signed> {
    const { token, claims } = await running.app.get(TokenService).sign({ sub, sid: `of-${sub}` });
    recordSecret(token);
    const { status_list: place } = JSON.parse(JSON.stringify(claims['status'])) as {
      readonly status_list: Place;
    };
    return { token, jti: claims.jti, exp: claims.exp, place };
  }

  const get = (path: string, headers: Record<string, string> = {}): Promise<Answer> =>
    // A list is a token that is meant for everybody.
    send(running.url, path, { headers, handsOutTokens: 'yes' });
  const list = ({ place }: Signed, headers: Record<string, string> = {}): Promise<Answer> =>
    get(new URL(place.uri).pathname, headers);

  async function statusOf(signed: Signed): Promise<number | undefined> {
    const { body } = await list(signed);
    const claims = JSON.parse(Buffer.from(body.split('.')[1] ?? '', 'base64url').toString()) as {
      readonly sub: string;
      readonly status_list: { readonly lst: string };
    };
    expect(claims.sub).toBe(signed.place.uri);
    const bytes = await decodeStatuses(claims.status_list.lst, 2 ** 20);
    if (typeof bytes === 'string') throw new Error(bytes);
    return statusAt(bytes, 1, signed.place.idx);
  }

  it('every access token names its place on a list of this issuer', async () => {
    const [a, b] = [await sign(), await sign()];
    expect(a.place.uri).toMatch(/^https:\/\/issuer\.example\/status-lists\/[0-9a-z-]+$/);
    expect(a.place.uri.startsWith(`${ISSUER}/`)).toBe(true);
    expect(a.place).not.toEqual(b.place);
    const { status, body } = await send(running.url, '/things', { token: a.token });
    expect({ status, body }).toEqual({ status: 200, body: 'all of them' });
  });

  it('a caller of sign cannot name another place', async () => {
    const claims = { sub: 'alice', status: { status_list: { idx: 0, uri: 'https://a.example' } } };
    const signing = running.app.get(TokenService).sign(claims as never);
    await expect(signing).rejects.toMatchObject({ code: 'ERR_CLAIM_RESERVED' });
  });

  it('other kinds of tokens have none', async () => {
    const { claims } = await running.app
      .get(TokenService)
      .sign({ sub: 'alice' }, { kind: 'confirmation' });
    expect(claims).not.toHaveProperty('status');
  });

  it('a list is served to anybody, for as long as it may be kept', async () => {
    const { status, headers, body } = await list(await sign());
    expect(status).toBe(200);
    expect(headers).toMatchObject({
      'content-type': 'application/statuslist+jwt',
      'cache-control': 'public, max-age=60',
      'access-control-allow-origin': '*',
      'content-length': String(body.length),
      etag: expect.stringMatching(/^"[\w-]{43}"$/) as string,
      vary: expect.stringContaining('Accept') as string,
    });
    expect(body).toMatch(/^[\w-]+\.[\w-]+\.[\w-]+$/);
  });

  it.each<[what: string, revoke: (by: RevocationService, token: Signed) => Promise<unknown>]>([
    ['of the token', (by, { jti, exp }) => by.revokeToken(jti, exp)],
    ['of its session', (by) => by.revokeSession('of-alice')],
    ['of its subject', (by) => by.revokeSubject('alice')],
    ['of the version of its subject', (by) => by.bumpTokenVersion('alice')],
  ])('shows the revocation %s, and of nobody else', async (_what, revoke) => {
    const [alice, bob] = [await sign('alice'), await sign('bob')];
    expect([await statusOf(alice), await statusOf(bob)]).toEqual([0, 0]);
    await revoke(running.app.get(RevocationService), alice);
    // As far as the log has told the list.
    await until(async () => {
      clock.advance(1_000);
      return (await statusOf(alice)) === 1;
    });
    expect(await statusOf(bob)).toBe(0);
    expect(await statusOf(await sign('alice'))).toBe(0);
  });

  it('shows the revocation of everything', async () => {
    const tokens = [await sign('alice'), await sign('bob')];
    await running.app.get(RevocationService).revokeAll();
    await until(async () => {
      clock.advance(1_000);
      const statuses = await Promise.all(tokens.map(statusOf));
      return statuses.every((status) => status === 1);
    });
    expect(await statusOf(await sign('alice'))).toBe(0);
  });

  async function until(condition: () => Promise<boolean>): Promise<void> {
    for (const deadline = Date.now() + 60_000; !(await condition());) {
      if (Date.now() > deadline) throw new Error('the condition never held');
      await new Promise((resolve) => setImmediate(resolve));
    }
  }

  it('answers 304 to who has the list already', async () => {
    const signed = await sign();
    const { etag = '' } = (await list(signed)).headers;
    for (const tag of [etag, `W/${etag}`, `"other", ${etag}`, '*']) {
      const { status, headers, body } = await list(signed, { 'if-none-match': tag });
      expect({ status, body, etag: headers.etag }).toEqual({ status: 304, body: '', etag });
      expect(headers['cache-control']).toBe('public, max-age=60');
      expect(headers['access-control-allow-origin']).toBe('*');
    }
    expect((await list(signed, { 'if-none-match': '"other"' })).status).toBe(200);
  });

  it.each([
    ['application/statuslist+jwt', 200],
    ['Application/StatusList+JWT', 200],
    ['application/statuslist+cwt, application/statuslist+jwt;q=0.5', 200],
    ['application/*', 200],
    ['*/*;q=0.1', 200],
    ['', 200],
    ['application/statuslist+cwt', 406],
    ['text/html', 406],
    ['application/statuslist+jwt;q=0', 406],
    ['application/statuslist+jwt; q=0.000', 406],
  ])('answers who accepts "%s" with %s', async (accept, status) => {
    const answer = await list(await sign(), { accept });
    expect(answer.status).toBe(status);
    expect(answer.headers['access-control-allow-origin']).toBe('*');
  });

  it('does not pass the present list for that of another time', async () => {
    const { pathname } = new URL((await sign()).place.uri);
    for (const query of ['?time=1686925000', '?time=', '?time=1&time=2']) {
      const { status, headers } = await get(`${pathname}${query}`);
      expect(status).toBe(501);
      expect(headers['cache-control']).toBe('no-store');
    }
    expect((await get(`${pathname}?other=1`)).status).toBe(200);
  });

  it.each(['x', '0-0-0', '..%2fthings', 'a'.repeat(2_000), '%00', 'tf-1uo0-0', '__proto__'])(
    'has no list called %s',
    async (name) => {
      await sign();
      const { status, headers, body } = await get(`/status-lists/${name}`);
      // What a router does not even take for a name is none of ours.
      expect([400, 404, 414]).toContain(status);
      expect(headers['cache-control'] ?? 'no-store').toBe('no-store');
      expect(body).not.toContain('eyJ');
    },
  );

  it('has none any more when its last token has expired', async () => {
    const signed = await sign();
    clock.set((signed.exp + 10) * 1000 - 1);
    expect((await list(signed)).status).toBe(200);
    clock.advance(1);
    expect((await list(signed)).status).toBe(404);
  });

  it('answers 503 and when to come again, rather than what may be old', async () => {
    const signed = await sign();
    const lists = running.app.get(StatusLists);
    const read = jest.spyOn(lists, 'read').mockRejectedValue(new Error('away'));
    const { status, headers, body } = await list(signed);
    read.mockRestore();
    expect(status).toBe(503);
    expect(headers).toMatchObject({ 'retry-after': '5', 'cache-control': 'no-store' });
    expect(JSON.parse(body)).toEqual({ error: 'temporarily_unavailable' });
  });

  it('issues no token while its place cannot be recorded', async () => {
    const tokens = running.app.get(TokenService);
    const allocate = jest
      .spyOn(running.app.get(StatusLists), 'allocate')
      .mockRejectedValue(new Error('the store is away'));
    await expect(tokens.sign({ sub: 'alice' })).rejects.toThrow('the store is away');
    allocate.mockRestore();
  });

  it('is nowhere by default', async () => {
    await running.close();
    await start({ statusListPath: null });
    const { claims } = await running.app.get(TokenService).sign({ sub: 'alice' });
    expect(claims).not.toHaveProperty('status');
    expect((await get('/status-lists/x')).status).toBe(404);
  });

  it('cannot be made with keys that nobody else has', async () => {
    await running.close();
    await expect(start({ profile: 'monolith' })).rejects.toMatchObject({
      code: 'ERR_CONFIG_INVALID',
    });
    await start();
  });
});
