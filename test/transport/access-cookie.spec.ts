import { csrfDigest } from '../../lib/binding/csrf-digest.js';
import { generateSigningKey } from '../../lib/keys/key-material.js';
import { KeyRingService } from '../../lib/keys/key-ring.service.js';
import { RevocationService } from '../../lib/revocation/revocation.service.js';
import { TokenService } from '../../lib/tokens/token.service.js';
import { AccessCookie } from '../../lib/transport/access-cookie.js';
import { ADAPTERS, ISSUER } from '../support/guarded-app.js';
import { type Answer, closeConnections } from '../support/http.js';
import { forgeAccess, validClaims } from '../support/token-mother.js';
import { recordSecret } from '../support/witness.js';
import {
  type BrowserSession,
  configOf,
  cookieOf,
  forgetReached,
  reached,
  startTransportApp,
  type TransportApp,
} from './transport-app.js';

afterAll(closeConnections);

const CSRF = 'X-CSRF-Token';
const ALLOWED = 'https://app.example';

describe.each(ADAPTERS)('the access cookie on %s', (adapter) => {
  let app: TransportApp;
  let session: BrowserSession;
  let other: BrowserSession;

  beforeAll(async () => {
    app = await startTransportApp({ adapter, transport: { cookies: {}, origins: [ALLOWED] } });
    [session, other] = [await app.startSession(), await app.startSession()];
  });
  afterAll(() => app.close());
  beforeEach(() => {
    forgetReached();
    app.forgetEvents();
  });

  /** As the session's own page would send it, but for what a test changes. */
  function change(
    changed: Readonly<Record<string, string | undefined>> = {},
    { method = 'POST', path = '/things' }: { method?: string; path?: string } = {},
  ): Promise<Answer> {
    const headers = {
      cookie: session.cookie,
      origin: ALLOWED,
      'sec-fetch-site': 'same-site',
      [CSRF]: session.csrf,
      ...changed,
    };
    const sent = Object.entries(headers).filter(([, value]) => value !== undefined);
    return app.send(path, { method, headers: Object.fromEntries(sent) });
  }

  function codes(): readonly unknown[] {
    return app.events.flatMap((event) => ('code' in event ? [event.code] : []));
  }

  function expectRefused(answer: Answer, status: number, error: string, code: string): void {
    expect([answer.status, JSON.parse(answer.body)]).toEqual([status, { error }]);
    expect(answer.headers['www-authenticate']).toMatch(/^Bearer/);
    expect(answer.headers['set-cookie']).toBeUndefined();
    expect(reached).toEqual([]);
    expect(codes()).toEqual([code]);
  }

  const expectCsrf = (answer: Answer): void =>
    expectRefused(answer, 403, 'access_denied', 'ERR_ACCESS_CSRF');

  describe('that only reads', () => {
    it.each(['GET', 'HEAD', 'OPTIONS'])('is enough for %s', async (method) => {
      const answer = await app.send('/open', { method, headers: { cookie: session.cookie } });
      expect(answer.status).toBe(200);
      expect(['', '{"subject":"user-1"}'].slice(method === 'HEAD' ? 0 : 1)).toContain(answer.body);
      expect(codes()).toEqual([]);
    });

    it('is found among other cookies', async () => {
      const cookie = `a=b; ${session.cookie}; __Host-csrf_token=x; c="d; e"`;
      const answer = await app.send('/things', { headers: { cookie } });
      expect(JSON.parse(answer.body)).toEqual({ subject: 'user-1' });
    });

    it('needs no Origin, and minds none', async () => {
      const headers = {
        cookie: session.cookie,
        origin: 'https://evil.example',
        'sec-fetch-site': 'cross-site',
      };
      expect((await app.send('/things', { headers })).status).toBe(200);
    });

    it.each([
      ['lower case', (name: string) => name.toLowerCase()],
      ['upper case', (name: string) => name.toUpperCase()],
      ['another case of the prefix', (name: string) => name.replace('__Host-', '__HOST-')],
      ['no prefix', (name: string) => name.replace('__Host-', '')],
      ['another prefix', (name: string) => name.replace('__Host-', '__Secure-')],
      ['something before it', (name: string) => `x${name}`],
      ['something behind it', (name: string) => `${name}x`],
      ['a no-break space before it', (name: string) => `\u00a0${name}`],
      ['a no-break space behind it', (name: string) => `${name}\u00a0`],
      ['a next-line before it', (name: string) => `\u0085${name}`],
      ['quotes', (name: string) => `"${name}"`],
      ['another cookie that says so', (name: string) => `x=${name}`],
      ['no name but itself', (name: string) => `=${name}`],
      ['an encoded letter', (name: string) => name.replace('a', '%61')],
    ])('is not read under its name with %s', async (_, rename) => {
      const cookie = session.cookie.replace(/^[^=]+/, rename);
      const answer = await app.send('/things', { headers: { cookie } });
      expectRefused(answer, 401, 'unauthorized', 'ERR_ACCESS_NO_CREDENTIALS');
    });

    it.each([
      ['twice', (cookie: string) => `${cookie}; ${cookie}`],
      ['twice, once empty', (cookie: string) => `__Host-access_token=; ${cookie}`],
      ['twice, once with spaces', (cookie: string) => `${cookie}; a=b;\t __Host-access_token =x`],
    ])('is refused when it is there %s', async (_, repeat) => {
      const answer = await app.send('/things', { headers: { cookie: repeat(session.cookie) } });
      expectRefused(answer, 400, 'invalid_request', 'ERR_ACCESS_AMBIGUOUS_CREDENTIALS');
    });

    it('is refused when it is there in two headers', async () => {
      const answer = await app.sendRaw(
        `GET /things HTTP/1.1\r\nHost: a\r\nCookie: ${session.cookie}\r\nCookie: ${other.cookie}\r\n` +
          'Connection: close\r\n\r\n',
      );
      expect(answer).toMatch(/^HTTP\/1\.1 400 /);
      expect(reached).toEqual([]);
    });

    it.each(['Bearer', 'bearer', 'DPoP'])('is refused beside a %s token', async (scheme) => {
      const headers = {
        cookie: session.cookie,
        authorization: `${scheme} ${session.pair.accessToken}`,
      };
      const answer = await app.send('/things', { headers });
      expectRefused(answer, 400, 'invalid_request', 'ERR_ACCESS_AMBIGUOUS_CREDENTIALS');
    });

    it('is refused beside a token in the query', async () => {
      const headers = { cookie: session.cookie };
      const answer = await app.send('/things?access%5Ftoken=x', { headers });
      expectRefused(answer, 400, 'invalid_request', 'ERR_ACCESS_AMBIGUOUS_CREDENTIALS');
    });

    it('is refused beside a second Authorization header, whatever the first says', async () => {
      const answer = await app.sendRaw(
        `GET /things HTTP/1.1\r\nHost: a\r\nCookie: ${session.cookie}\r\nAuthorization: Basic x\r\n` +
          `Authorization: Bearer ${other.pair.accessToken}\r\nConnection: close\r\n\r\n`,
      );
      expect(answer).toMatch(/^HTTP\/1\.1 400 /);
    });

    it('is good beside a password for somebody else', async () => {
      const headers = { cookie: session.cookie, authorization: 'Basic dXNlcjpwYXNz' };
      expect((await app.send('/things', { headers })).status).toBe(200);
    });

    it('is never looked for in the query', async () => {
      const answer = await app.send(`/things?__Host-access_token=${session.pair.accessToken}`);
      expectRefused(answer, 401, 'unauthorized', 'ERR_ACCESS_NO_CREDENTIALS');
    });

    it.each([
      ['nothing', () => '', 'ERR_TOKEN_FORMAT'],
      ['junk', () => 'x.y.z', 'ERR_TOKEN_FORMAT'],
      ['quotes around it', () => `"${session.pair.accessToken}"`, 'ERR_TOKEN_FORMAT'],
      ['an encoded point', () => session.pair.accessToken.replace('.', '%2E'), 'ERR_TOKEN_FORMAT'],
      ['a refresh token', () => session.pair.refreshToken, 'ERR_TOKEN_FORMAT'],
      ['a token that is too large', () => 'a'.repeat(9000), 'ERR_TOKEN_TOO_LARGE'],
    ])('is refused with %s in it', async (_, value, code) => {
      const answer = await app.send('/things', { headers: { cookie: cookieOf(value()) } });
      expectRefused(answer, 401, 'invalid_token', code);
    });

    it('is refused with a token that is for headers, which is good there', async () => {
      const token = await app.sign();
      const answer = await app.send('/things', { headers: { cookie: cookieOf(token) } });
      expectRefused(answer, 401, 'invalid_token', 'ERR_TOKEN_BINDING');
      expect((await app.send('/things', { token })).status).toBe(200);
    });

    it.each([[null], [true], [17], [['x']], [{}]])(
      'is refused with a token of which csrf is %j',
      async (csrf) => {
        const key = await app.app.get(KeyRingService).signingKey();
        const token = await forgeAccess(key, { ...validClaims(app.clock), csrf });
        const answer = await app.send('/things', { headers: { cookie: cookieOf(token) } });
        expect(answer.status).toBe(401);
        expect(reached).toEqual([]);
      },
    );

    it('is as short-lived as its token', async () => {
      const late = await app.startSession();
      app.clock.advance(16 * 60_000);
      const answer = await app.send('/things', { headers: { cookie: late.cookie } });
      app.clock.advance(-16 * 60_000);
      expectRefused(answer, 401, 'invalid_token', 'ERR_TOKEN_EXPIRED');
    });
  });

  describe('that changes something', () => {
    it.each(['POST', 'PUT', 'PATCH', 'DELETE'])(
      'is good for %s from its own page',
      async (method) => {
        const answer = await change({}, { method });
        expect(JSON.parse(answer.body)).toEqual({ subject: 'user-1' });
        expect(codes()).toEqual([]);
      },
    );

    it.each(['POST', 'PUT', 'PATCH', 'DELETE'])(
      'is refused for %s without a CSRF token',
      async (method) => {
        expectCsrf(await change({ [CSRF]: undefined }, { method }));
      },
    );

    // Methods that Node's parser knows and no browser's form.
    it.each(['PROPFIND', 'LOCK', 'MKCOL', 'SEARCH'])(
      'never runs a handler for %s without a CSRF token',
      async (method) => {
        const answer = await change({ [CSRF]: undefined }, { method });
        expect(answer.status).toBeGreaterThanOrEqual(400);
        expect(reached).toEqual([]);
      },
    );

    it.each(['post', 'Post', 'get'])('never runs a handler for the method %s', async (method) => {
      const answer = await app.sendRaw(
        `${method} /things HTTP/1.1\r\nHost: a\r\nCookie: ${session.cookie}\r\nConnection: close\r\n\r\n`,
      );
      expect(answer).toMatch(/^HTTP\/1\.1 4/);
      expect(reached).toEqual([]);
    });

    it.each(['X-HTTP-Method-Override', 'X-HTTP-Method', 'X-Method-Override'])(
      'is not read as GET because of %s',
      async (header) => {
        expectCsrf(await change({ [CSRF]: undefined, [header]: 'GET' }));
      },
    );

    it('is not read as GET because of the query or the body', async () => {
      const headers = {
        cookie: session.cookie,
        origin: ALLOWED,
        'content-type': 'application/x-www-form-urlencoded',
      };
      expectCsrf(
        await app.send('/things?_method=GET', { method: 'POST', headers, body: '_method=GET' }),
      );
    });

    it.each([
      ['empty', () => ''],
      ['another', () => 'A'.repeat(43)],
      ['that of another session', () => other.csrf],
      ['what the access token says of it', () => csrfDigest(session.csrf)],
      ['shorter by one', () => session.csrf.slice(0, -1)],
      ['longer by one', () => `${session.csrf}A`],
      ['in quotes', () => `"${session.csrf}"`],
      ['in another case', () => swapCase(session.csrf)],
      ['twice in one header', () => `${session.csrf}, ${session.csrf}`],
      ['the refresh token', () => session.pair.refreshToken],
      ['the access token', () => session.pair.accessToken],
      ['very long', () => 'A'.repeat(8000)],
    ])('is refused with a CSRF token that is %s', async (_, csrf) => {
      expectCsrf(await change({ [CSRF]: csrf() }));
    });

    it('is refused with two headers of the CSRF token', async () => {
      const answer = await app.sendRaw(
        `POST /things HTTP/1.1\r\nHost: a\r\nCookie: ${session.cookie}\r\nOrigin: ${ALLOWED}\r\n` +
          `${CSRF}: ${session.csrf}\r\n${CSRF}: ${session.csrf}\r\n` +
          'Content-Length: 0\r\nConnection: close\r\n\r\n',
      );
      expect(answer).toMatch(/^HTTP\/1\.1 403 /);
      expect(reached).toEqual([]);
    });

    it('is refused with the CSRF token anywhere but in its header', async () => {
      const cookie = `${session.cookie}; __Host-csrf_token=${session.csrf}; X-CSRF-Token=${session.csrf}`;
      expectCsrf(
        await change(
          { [CSRF]: undefined, cookie, 'x-xsrf-token': session.csrf },
          { path: `/things?csrf_token=${session.csrf}` },
        ),
      );
    });

    it("is refused with another session's cookie and one's own CSRF token", async () => {
      expectCsrf(await change({ cookie: other.cookie }));
    });

    it.each([
      ['none', undefined],
      ['null, as of a sandbox', 'null'],
      ['empty', ''],
      ['another site', 'https://evil.example'],
      ['another host of the domain', 'https://x.app.example'],
      ['a host that begins like it', 'https://app.example.evil.example'],
      ['a host that ends like it', 'https://notapp.example'],
      ['another port', 'https://app.example:8443'],
      ['the default port', 'https://app.example:443'],
      ['another scheme', 'http://app.example'],
      ['a trailing dot', 'https://app.example.'],
      ['a trailing slash', 'https://app.example/'],
      ['upper case', 'https://APP.example'],
      ['an upper-case scheme', 'HTTPS://app.example'],
      ['a user', 'https://app.example@evil.example'],
      ['a user of ours', 'https://user@app.example'],
      ['several', `${ALLOWED} ${ALLOWED}`],
      ['several with a comma', `${ALLOWED}, https://evil.example`],
      ['a wildcard', '*'],
    ])('is refused with an Origin that is %s', async (_, origin) => {
      expectCsrf(await change({ origin, 'sec-fetch-site': undefined }));
    });

    it('is refused with two Origin headers', async () => {
      const answer = await app.sendRaw(
        `POST /things HTTP/1.1\r\nHost: a\r\nCookie: ${session.cookie}\r\nOrigin: ${ALLOWED}\r\n` +
          `Origin: ${ALLOWED}\r\n${CSRF}: ${session.csrf}\r\n` +
          'Content-Length: 0\r\nConnection: close\r\n\r\n',
      );
      expect(answer).toMatch(/^HTTP\/1\.1 403 /);
    });

    it.each(['same-origin', 'same-site', 'cross-site', 'none', undefined])(
      'is good from an origin that was named, though Sec-Fetch-Site is %j',
      async (site) => {
        expect((await change({ 'sec-fetch-site': site })).status).toBeLessThan(300);
      },
    );

    it.each(['same-origin', 'same-site', 'cross-site', 'none'])(
      'is refused without Origin, where our own is not named, with Sec-Fetch-Site %j',
      async (site) => {
        expectCsrf(await change({ origin: undefined, 'sec-fetch-site': site }));
      },
    );

    it('takes no Referer for an Origin', async () => {
      const referer = `${ALLOWED}/page`;
      expectCsrf(await change({ origin: undefined, 'sec-fetch-site': undefined, referer }));
    });

    it('asks a token in the header for nothing of this', async () => {
      const headers = { origin: 'https://evil.example', 'sec-fetch-site': 'cross-site' };
      const token = await app.sign();
      expect((await app.send('/things', { method: 'POST', headers, token })).status).toBe(200);
    });
  });

  describe('at a public route', () => {
    const ask = async (headers: Record<string, string>, method = 'POST'): Promise<unknown> => {
      const answer = await app.send('/open', { method, headers });
      expect(answer.status).toBeLessThan(300);
      return JSON.parse(answer.body) as unknown;
    };

    it('makes its subject known', async () => {
      const headers = { cookie: session.cookie, origin: ALLOWED, [CSRF]: session.csrf };
      expect(await ask(headers)).toEqual({ subject: 'user-1' });
    });

    it.each([
      ['without a CSRF token', () => ({ origin: ALLOWED })],
      ['with that of another session', () => ({ origin: ALLOWED, [CSRF]: other.csrf })],
      ['from another site', () => ({ origin: 'https://evil.example', [CSRF]: session.csrf })],
      ['from nowhere', () => ({ [CSRF]: session.csrf })],
    ])('leaves a change %s to nobody', async (_, headers) => {
      expect(await ask({ cookie: session.cookie, ...headers() })).toEqual({ subject: 'nobody' });
      expect(codes()).toEqual(['ERR_ACCESS_CSRF']);
    });

    it.each([
      ['named twice', () => `${session.cookie}; ${session.cookie}`],
      ['with junk', () => cookieOf('junk')],
    ])('leaves a cookie %s to nobody', async (_, cookie) => {
      expect(await ask({ cookie: cookie() }, 'GET')).toEqual({ subject: 'nobody' });
      expect(codes()).toHaveLength(1);
    });

    it('leaves a token for headers, in a cookie, to nobody', async () => {
      expect(await ask({ cookie: cookieOf(await app.sign()) }, 'GET')).toEqual({
        subject: 'nobody',
      });
    });
  });

  it('is refused at once when its session is over', async () => {
    const ended = await app.startSession();
    await app.app.get(RevocationService).revokeSession(ended.pair.sessionId);
    const answer = await app.send('/things', { headers: { cookie: ended.cookie } });
    expectRefused(answer, 401, 'invalid_token', 'ERR_TOKEN_REVOKED');
  });

  it('tells nobody which check failed', async () => {
    const answers = [
      await change({ [CSRF]: undefined }),
      await change({ [CSRF]: other.csrf }),
      await change({ origin: 'https://evil.example' }),
    ];
    const seen = answers.map(({ status, body, headers }) => {
      const { date: _, 'x-request-id': __, ...rest } = headers;
      return JSON.stringify([status, body, rest]);
    });
    expect(new Set(seen).size).toBe(1);
  });
});

describe.each(ADAPTERS)('by default, on %s', (adapter) => {
  it('a cookie is never taken for a token, nor minded beside one', async () => {
    const app = await startTransportApp({ adapter });
    const { cookie, csrf } = await app.startSession();
    forgetReached();
    const headers = { cookie, origin: app.url, [CSRF]: csrf };
    expect((await app.send('/things', { headers })).status).toBe(401);
    expect((await app.send('/things', { method: 'POST', headers })).status).toBe(401);
    expect(JSON.parse((await app.send('/open', { headers })).body)).toEqual({ subject: 'nobody' });
    const token = await app.sign();
    const twice = { cookie: `${cookie}; ${cookie}` };
    expect((await app.send('/things', { token, headers: twice })).status).toBe(200);
    await app.close();
  });
});

describe.each(ADAPTERS)('where no origin is named, on %s', (adapter) => {
  let app: TransportApp;
  let session: BrowserSession;

  beforeAll(async () => {
    app = await startTransportApp({
      adapter,
      transport: { cookies: {}, trustedProxies: ['loopback'] },
    });
    session = await app.startSession();
  });
  afterAll(() => app.close());

  async function statusOf(headers: Record<string, string>): Promise<number> {
    const all = { cookie: session.cookie, [CSRF]: session.csrf, ...headers };
    return (await app.send('/things', { method: 'POST', headers: all })).status;
  }

  it('that of the service is good, by its Host', async () => {
    expect(await statusOf({ origin: app.url })).toBe(200);
    expect(await statusOf({ origin: app.url, 'sec-fetch-site': 'same-origin' })).toBe(200);
    expect(await statusOf({ host: 'a.example:80', origin: 'http://a.example' })).toBe(200);
    expect(await statusOf({ host: 'A.Example', origin: 'http://a.example' })).toBe(200);
  });

  it('that of the service is good by the scheme its proxy was asked with', async () => {
    const proxied = { host: 'a.example', 'x-forwarded-proto': 'https' };
    expect(await statusOf({ ...proxied, origin: 'https://a.example' })).toBe(200);
    expect(await statusOf({ ...proxied, origin: 'http://a.example' })).toBe(403);
  });

  it('Sec-Fetch-Site alone is good, where it says so', async () => {
    expect(await statusOf({ 'sec-fetch-site': 'same-origin' })).toBe(200);
  });

  it.each(['same-site', 'cross-site', 'none', 'Same-Origin', 'same-origin, same-origin', ''])(
    'Sec-Fetch-Site %j is refused, with or without our own Origin',
    async (site) => {
      expect(await statusOf({ 'sec-fetch-site': site })).toBe(403);
      expect(await statusOf({ 'sec-fetch-site': site, origin: app.url })).toBe(403);
    },
  );

  it.each([
    ['https://evil.example', 'a.example'],
    ['http://evil.example', 'a.example'],
    ['http://a.example', 'a.example:8080'],
    ['http://a.example:8080', 'a.example'],
    ['https://a.example', 'a.example'],
    ['http://a.example.', 'a.example.'],
    ['null', 'a.example'],
    ['http://evil.example', 'evil.example@a.example'],
    ['http://evil.example', 'a.example/@evil.example'],
    ['http://a.example', 'a.example, a.example'],
    ['http://', ''],
  ])('Origin %s is refused at host %j', async (origin, host) => {
    expect(await statusOf({ origin, host })).toBe(403);
  });

  it('X-Forwarded-Host is not read', async () => {
    const headers = { origin: 'http://evil.example', 'x-forwarded-host': 'evil.example' };
    expect(await statusOf(headers)).toBe(403);
  });
});

it('takes no cookie with a token of another issuer, however right it is', async () => {
  const app = await startTransportApp({ transport: { cookies: {} } });
  const { pair, csrf } = await app.startSession();
  const token = await app.app.get(TokenService).verify(pair.accessToken);
  const request = { headers: { 'x-csrf-token': csrf }, method: 'POST' };
  const config = configOf({ cookies: {} });
  const ours = new AccessCookie(config);
  const theirs = new AccessCookie({ ...config, issuer: 'https://other.example' });
  expect(() => ours.assertIntended(request, token)).not.toThrow();
  expect(() => theirs.assertIntended(request, token)).toThrow(
    expect.objectContaining({ code: 'ERR_TOKEN_BINDING' }),
  );
  expect(token.issuer).toBe(ISSUER);
  await app.close();
});

it('is signed by us, or it is nothing', async () => {
  const app = await startTransportApp({ transport: { cookies: {} } });
  const stranger = await generateSigningKey('ES256');
  const csrf = 'A'.repeat(43);
  const claims = { ...validClaims(app.clock), csrf: csrfDigest(csrf) };
  recordSecret(claims.csrf);
  const cookie = cookieOf(await forgeAccess(stranger, claims));
  const headers = { cookie, origin: app.url, [CSRF]: csrf };
  forgetReached();
  expect((await app.send('/things', { method: 'POST', headers })).status).toBe(401);
  expect(reached).toEqual([]);
  await app.close();
});

function swapCase(text: string): string {
  return text.replace(/[a-z]/gi, (letter) =>
    letter === letter.toLowerCase() ? letter.toUpperCase() : letter.toLowerCase(),
  );
}
