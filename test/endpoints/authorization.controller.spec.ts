import { RevocationError, StoreError } from '../../lib/kernel/errors.js';
import { challengeOf } from '../../lib/sessions/authorization-code.js';
import { memoryStorage } from '../../lib/storage/memory/memory-storage.js';
import { ADAPTERS, ISSUER } from '../support/guarded-app.js';
import {
  AUTHORIZE,
  CALLBACK,
  expectPrivate,
  expectRedirected,
  expectShown,
  type FlowApp,
  granted,
  locationOf,
  type Params,
  queryOf,
  REQUEST,
  SHOP,
  SHOP_CALLBACK,
  startCodeFlow,
} from './code-flow-app.js';

/** What a browser says of a form on a page of this service. */
const OWN_PAGE = { origin: ISSUER, 'sec-fetch-site': 'same-origin' };
const FORM = 'application/x-www-form-urlencoded';
const LONG = 'a'.repeat(2_049);

describe.each(ADAPTERS)('GET /oauth/authorize on %s', (adapter) => {
  let flow: FlowApp;

  beforeAll(async () => {
    flow = await startCodeFlow(adapter);
  });
  afterAll(() => flow.close());
  beforeEach(() => {
    flow.login = () => granted(flow.clock);
    flow.asked.splice(0);
    flow.events.splice(0);
  });

  it('sends the client a code, its state, and who answers', async () => {
    const answer = await flow.authorize();
    expect(answer.status).toBe(303);
    expect(answer.headers.location).toMatch(
      /^com\.example\.app:\/callback\?code=ac1_[\w-]{128}&state=state\+1\+%26\+more&iss=https%3A%2F%2Fissuer\.example$/,
    );
    expect(answer.body).toBe('');
    expectPrivate(answer);
  });

  it.each([
    'x',
    '0',
    'a b',
    'a+b',
    'a%20b',
    '%00',
    '?a=b&c=d#e',
    '"<script>',
    '\\',
    "'",
    '~',
    'a'.repeat(2_048),
  ])('sends the state %j back as it was', async (state) => {
    expect(locationOf(await flow.authorize({ state })).searchParams.get('state')).toBe(state);
    flow.login = () => ({ outcome: 'denied' });
    expectRedirected(await flow.authorize({ state }), 'access_denied', state);
  });

  it('does without a state', async () => {
    const { searchParams } = locationOf(await flow.authorize({ state: undefined }));
    expect([...searchParams.keys()]).toEqual(['code', 'iss']);
  });

  it('adds to the query that a redirect URI has', async () => {
    const shop = { client_id: 'shop', redirect_uri: SHOP_CALLBACK, scope: 'accounts:read' };
    const { headers } = await flow.authorize(shop);
    expect(headers.location).toMatch(/^https:\/\/shop\.example\/callback\?from=login&code=ac1_/);
  });

  it('takes whichever port a loopback address has', async () => {
    const answer = await flow.authorize({ redirect_uri: 'http://127.0.0.1:51234/callback' });
    expect(answer.headers.location).toMatch(/^http:\/\/127\.0\.0\.1:51234\/callback\?code=/);
  });

  it('asks the login what it has to know', async () => {
    await flow.authorize({
      prompt: 'login consent',
      max_age: '300',
      acr_values: 'urn:a urn:b',
      login_hint: 'Ålice <a@b.example>',
      resource: 'https://api.example',
      nonce: 'n',
    });
    const [ask] = flow.asked;
    expect(ask).toMatchObject({
      method: 'GET',
      client: { clientId: 'native', kind: 'public' },
      redirectUri: CALLBACK,
      scope: ['accounts:read', 'transfers:write'],
      prompt: ['login', 'consent'],
      maxAge: 300,
      acrValues: ['urn:a', 'urn:b'],
      loginHint: 'Ålice <a@b.example>',
    });
    const again = new URL(ask?.requestUrl ?? '', ISSUER);
    expect([again.origin, again.pathname]).toEqual([ISSUER, AUTHORIZE]);
    expect(Object.fromEntries(again.searchParams)).toMatchObject({ ...REQUEST, max_age: '300' });
    expect(again.searchParams.has('nonce')).toBe(false);
    expect((await flow.send(ask?.requestUrl ?? '')).status).toBe(303);
  });

  it('tells the login which clients can prove who they are', async () => {
    await flow.authorize({ client_id: 'shop', redirect_uri: SHOP_CALLBACK, scope: undefined });
    expect(flow.asked).toMatchObject([{ client: { kind: 'confidential' }, scope: [] }]);
  });

  it.each<readonly [rule: string, params: Params]>([
    ['no client_id', { client_id: undefined }],
    ['an empty client_id', { client_id: '' }],
    ['a client_id twice', { client_id: ['native', 'native'] }],
    ['two client_ids', { client_id: ['native', 'rival'] }],
    ['an unknown client', { client_id: 'nobody' }],
    ['a client in capitals', { client_id: 'NATIVE' }],
    ['a client called like a member of objects', { client_id: '__proto__' }],
    ['a client that may not authorize', { client_id: 'gateway' }],
    ['a client_id that is huge', { client_id: LONG }],
    ['no redirect_uri', { redirect_uri: undefined }],
    ['an empty redirect_uri', { redirect_uri: '' }],
    ['a redirect_uri twice', { redirect_uri: [CALLBACK, CALLBACK] }],
    ['two redirect_uris', { redirect_uri: [CALLBACK, 'https://evil.example/'] }],
    [
      'two redirect_uris, the wrong one first',
      { redirect_uri: ['https://evil.example/', CALLBACK] },
    ],
    ['a redirect_uri nobody registered', { redirect_uri: 'https://evil.example/' }],
    ['the redirect_uri of another client', { redirect_uri: SHOP_CALLBACK }],
    ['a redirect_uri with more path', { redirect_uri: `${CALLBACK}/x` }],
    ['a redirect_uri with a query', { redirect_uri: `${CALLBACK}?x=1` }],
    ['a redirect_uri with a fragment', { redirect_uri: `${CALLBACK}#` }],
    ['a redirect_uri with a line feed', { redirect_uri: `${CALLBACK}\n` }],
    ['a redirect_uri with a header behind it', { redirect_uri: `${CALLBACK}\r\nSet-Cookie: a=b` }],
    ['another path on the loopback address', { redirect_uri: 'http://127.0.0.1:1/other' }],
    [
      'a user at the loopback address',
      { redirect_uri: 'http://127.0.0.1:1@evil.example/callback' },
    ],
    [
      'another port of localhost',
      { client_id: 'shop', redirect_uri: 'http://localhost:1/callback' },
    ],
    ['a script', { redirect_uri: 'javascript:alert(1)//' }],
    ['two slashes', { redirect_uri: '//evil.example/callback' }],
    ['a redirect_uri that is huge', { redirect_uri: `${CALLBACK}${LONG}` }],
    ['a query that is huge', { other: 'a'.repeat(9_000) }],
  ])('shows, and redirects nobody, for %s', async (_rule, params) => {
    expectShown(await flow.authorize(params));
    expect(flow.asked).toEqual([]);
    expect(flow.events).toMatchObject([{ type: 'access.denied', code: 'ERR_ACCESS_DENIED' }]);
  });

  it.each<readonly [rule: string, params: Params, error: string]>([
    ['no response_type', { response_type: undefined }, 'invalid_request'],
    ['response_type twice', { response_type: ['code', 'code'] }, 'invalid_request'],
    ['a token at once', { response_type: 'token' }, 'unsupported_response_type'],
    ['an ID token', { response_type: 'id_token' }, 'unsupported_response_type'],
    ['a code and a token', { response_type: 'code token' }, 'unsupported_response_type'],
    ['a code in capitals', { response_type: 'CODE' }, 'unsupported_response_type'],
    ['no challenge', { code_challenge: undefined }, 'invalid_request'],
    [
      'no challenge and no method',
      { code_challenge: undefined, code_challenge_method: undefined },
      'invalid_request',
    ],
    [
      'the challenge twice',
      { code_challenge: ['a'.repeat(43), 'a'.repeat(43)] },
      'invalid_request',
    ],
    ['a challenge that is short', { code_challenge: 'A'.repeat(42) }, 'invalid_request'],
    ['a challenge that is long', { code_challenge: 'A'.repeat(44) }, 'invalid_request'],
    [
      'a challenge in another spelling',
      { code_challenge: `${'A'.repeat(42)}B` },
      'invalid_request',
    ],
    ['a challenge with padding', { code_challenge: `${'A'.repeat(43)}=` }, 'invalid_request'],
    ['a challenge in base64', { code_challenge: `${'A'.repeat(40)}+/A` }, 'invalid_request'],
    ['a huge challenge', { code_challenge: LONG }, 'invalid_request'],
    ['no method, which is plain', { code_challenge_method: undefined }, 'invalid_request'],
    ['plain', { code_challenge_method: 'plain' }, 'invalid_request'],
    ['a method nobody knows', { code_challenge_method: 'S512' }, 'invalid_request'],
    ['the method in lower case', { code_challenge_method: 's256' }, 'invalid_request'],
    ['the method twice', { code_challenge_method: ['S256', 'plain'] }, 'invalid_request'],
    ['scope nobody offers', { scope: 'accounts:read admin' }, 'invalid_scope'],
    ['scope with two spaces', { scope: 'accounts:read  transfers:write' }, 'invalid_scope'],
    ['scope with a quote', { scope: 'accounts:read "x"' }, 'invalid_scope'],
    ['scope twice', { scope: ['accounts:read', 'transfers:write'] }, 'invalid_request'],
    ['huge scope', { scope: 'accounts:read '.repeat(200).trim() }, 'invalid_request'],
    ['a form post', { response_mode: 'form_post' }, 'invalid_request'],
    ['a fragment', { response_mode: 'fragment' }, 'invalid_request'],
    ['the mode twice', { response_mode: ['query', 'fragment'] }, 'invalid_request'],
    ['a request object', { request: 'a.b.c' }, 'request_not_supported'],
    [
      'a request object elsewhere',
      { request_uri: 'https://a.example/' },
      'request_uri_not_supported',
    ],
    ['a registration', { registration: '{}' }, 'registration_not_supported'],
    ['a prompt nobody knows', { prompt: 'dance' }, 'invalid_request'],
    ['prompt none and another', { prompt: 'none login' }, 'invalid_request'],
    ['the prompt twice', { prompt: ['none', 'login'] }, 'invalid_request'],
    ['a negative age', { max_age: '-1' }, 'invalid_request'],
    ['an age in words', { max_age: '1e9' }, 'invalid_request'],
    ['an unprintable hint', { login_hint: 'a\u001b[0m' }, 'invalid_request'],
    ['a hint that turns text around', { login_hint: 'a\u202eb' }, 'invalid_request'],
  ])('tells the client of %s', async (_rule, params, error) => {
    expectRedirected(await flow.authorize(params), error);
    expect(flow.asked).toEqual([]);
    expect(flow.events).toMatchObject([{ type: 'access.denied', code: 'ERR_ACCESS_DENIED' }]);
  });

  it.each<readonly [rule: string, state: string | readonly string[]]>([
    ['twice', ['a', 'b']],
    ['beyond ASCII', 'é'],
    ['with a line feed', 'a\r\nSet-Cookie: x=y'],
    ['with a NUL', '\0'],
    ['that is huge', LONG],
  ])('tells the client of a state %s, without it', async (_rule, state) => {
    expectRedirected(await flow.authorize({ state }), 'invalid_request', null);
  });

  it('takes nothing from a body, and no second spelling of a name', async () => {
    const { scope: _scope, ...rest } = REQUEST;
    const answer = await flow.send(`${AUTHORIZE}?${queryOf(rest)}&sc%6Fpe=accounts:read`);
    expect(answer.status).toBe(303);
    expect(flow.asked).toMatchObject([{ scope: ['accounts:read'] }]);
    expectShown(await flow.send(`${AUTHORIZE}?${queryOf(REQUEST)}&client%5Fid=rival`));
  });

  it('never asks twice for the same scope', async () => {
    await flow.authorize({ scope: 'accounts:read accounts:read' });
    expect(flow.asked).toMatchObject([{ scope: ['accounts:read'] }]);
  });

  it('offers a client no more than it may have', async () => {
    const shop = { client_id: 'shop', redirect_uri: SHOP_CALLBACK };
    const answer = await flow.authorize({ ...shop, scope: 'transfers:write' });
    expect(locationOf(answer).searchParams.get('error')).toBe('invalid_scope');
  });

  it.each(['HEAD', 'PUT', 'DELETE', 'PATCH'])('does nothing for %s', async (method) => {
    const { status, headers } = await flow.authorize({}, { method });
    expect([400, 404]).toContain(status);
    expect(headers.location).toBeUndefined();
    expect(flow.asked).toEqual([]);
  });

  describe('shows the page of the login', () => {
    const HTML = '<!doctype html><form method="post"></form>';

    it('and lets nobody frame it, load anything, or send its form elsewhere', async () => {
      flow.login = () => ({ outcome: 'page', html: HTML });
      const { status, headers, body } = await flow.authorize();
      expect([status, body]).toEqual([200, HTML]);
      expect(headers).toMatchObject({
        'content-type': 'text/html; charset=utf-8',
        'cache-control': 'no-store',
        'x-frame-options': 'DENY',
        'referrer-policy': 'same-origin',
        'content-security-policy':
          "default-src 'none'; style-src 'unsafe-inline'; img-src data:; base-uri 'none'; form-action 'self' com.example.app:, frame-ancestors 'none'",
      });
    });

    it('with a status and a policy of its own, and still lets nobody frame it', async () => {
      const contentSecurityPolicy = "default-src 'self'; frame-ancestors *";
      flow.login = () => ({ outcome: 'page', html: HTML, status: 401, contentSecurityPolicy });
      const { status, headers } = await flow.authorize();
      expect(status).toBe(401);
      expect(headers['content-security-policy']).toBe(
        "default-src 'self'; frame-ancestors *, frame-ancestors 'none'",
      );
      expect(headers['x-frame-options']).toBe('DENY');
    });

    it.each(['/login?return=x', 'https://idp.example/login?a=b'])('at %s', async (location) => {
      flow.login = () => ({ outcome: 'redirect', location });
      const answer = await flow.authorize();
      expect([answer.status, answer.headers.location]).toEqual([303, location]);
      expectPrivate(answer);
    });

    it.each([
      { outcome: 'page' as const, html: HTML },
      { outcome: 'redirect' as const, location: '/login' },
    ])('but not where nothing may be shown (%j)', async (decision) => {
      flow.login = () => decision;
      expectRedirected(await flow.authorize({ prompt: 'none' }), 'login_required');
      flow.login = () => granted(flow.clock);
      const silent = await flow.authorize({ prompt: 'none' });
      expect(locationOf(silent).searchParams.has('code')).toBe(true);
    });
  });

  describe('goes by the login', () => {
    it('when it denies', async () => {
      flow.login = () => ({ outcome: 'denied' });
      expectRedirected(await flow.authorize(), 'access_denied');
    });

    it('when the user authenticated too long ago for the client', async () => {
      flow.login = () => ({
        outcome: 'granted',
        subject: 'alice',
        authTime: new Date(flow.clock.now() - 120_000),
      });
      expectRedirected(await flow.authorize({ max_age: '60' }), 'login_required');
      const { searchParams } = locationOf(await flow.authorize({ max_age: '120' }));
      expect(searchParams.has('code')).toBe(true);
    });

    it.each<readonly [rule: string, answer: () => unknown]>([
      [
        'it throws',
        () => {
          throw new RangeError('redis://user:pass@host');
        },
      ],
      ['it rejects', () => Promise.reject(new RangeError('redis://user:pass@host'))],
      [
        'it throws text',
        () => {
          // oxlint-disable-next-line typescript/only-throw-error
          throw 'secret';
        },
      ], // oxlint-disable-line no-throw-literal
      ['it answers nothing', () => undefined],
      ['it answers null', () => null],
      ['it answers true', () => true],
      ['it answers text', () => 'granted'],
      ['it answers a list', () => []],
      ['it decides nothing', () => ({})],
      ['it decides something else', () => ({ outcome: 'GRANTED', subject: 'alice' })],
      ['it names nobody', () => ({ ...grant(), subject: undefined })],
      ['it names an empty subject', () => ({ ...grant(), subject: '' })],
      ['it names a number', () => ({ ...grant(), subject: 7 })],
      ['it names what steers a terminal', () => ({ ...grant(), subject: 'a\u001b[0m' })],
      ['it does not say since when', () => ({ ...grant(), authTime: undefined })],
      ['it says a number', () => ({ ...grant(), authTime: 7 })],
      ['it says no date', () => ({ ...grant(), authTime: new Date(NaN) })],
      ['it says tomorrow', () => ({ ...grant(), authTime: new Date(Date.UTC(2050, 0)) })],
      ['its scope is a number', () => ({ ...grant(), scope: 7 })],
      ['its scope has holes', () => ({ ...grant(), scope: [undefined] })],
      ['its scope has a quote', () => ({ ...grant(), scope: '"' })],
      ['its claims are too large', () => ({ ...grant(), claims: { note: 'x'.repeat(5_000) } })],
      ['its page is missing', () => ({ outcome: 'page' })],
      ['its page is empty', () => ({ outcome: 'page', html: '' })],
      ['its page redirects', () => ({ outcome: 'page', html: 'x', status: 302 })],
      ['its page failed', () => ({ outcome: 'page', html: 'x', status: 500 })],
      ['its page has half a status', () => ({ outcome: 'page', html: 'x', status: 400.5 })],
      [
        'its policy is two headers',
        () => ({ outcome: 'page', html: 'x', contentSecurityPolicy: 'a\r\nSet-Cookie: b=c' }),
      ],
      ['its location is missing', () => ({ outcome: 'redirect' })],
      ['its location is another host', () => ({ outcome: 'redirect', location: '//evil.example' })],
      [
        'its location is another host to browsers',
        () => ({ outcome: 'redirect', location: '/\\evil.example' }),
      ],
      ['its location is http', () => ({ outcome: 'redirect', location: 'http://evil.example/' })],
      [
        'its location is a script',
        () => ({ outcome: 'redirect', location: 'javascript:alert(1)' }),
      ],
      [
        'its location has a user',
        () => ({ outcome: 'redirect', location: 'https://a@b.example/' }),
      ],
      [
        'its location is two headers',
        () => ({ outcome: 'redirect', location: '/a\r\nSet-Cookie: b=c' }),
      ],
    ])('not when %s', async (_rule, answer) => {
      // What an application without types can do.
      flow.login = answer as typeof flow.login;
      expectRedirected(await flow.authorize(), 'server_error');
      expect(flow.events).toMatchObject([
        { type: 'access.denied', handler: 'AuthorizationController.ask' },
      ]);
      expect(JSON.stringify(flow.events)).not.toMatch(/redis|pass|secret|alice|evil/);
    });

    const grant = () => granted(flow.clock);

    it.each<readonly [rule: string, error: Error]>([
      ['a store', new StoreError('ERR_STORE_UNAVAILABLE', 'Away.')],
      ['a directory', new RevocationError('ERR_SUBJECT_UNAVAILABLE', 'Away.')],
    ])('but takes %s out of reach for a failure too', async (_rule, error) => {
      flow.login = () => Promise.reject(error);
      expectRedirected(await flow.authorize(), 'server_error');
    });
  });

  describe('and POST', () => {
    const post = (headers: Record<string, string>, params?: Params) =>
      flow.authorize(params, {
        method: 'POST',
        headers: { 'content-type': FORM, ...headers },
        body: 'username=alice&password=alice-demo&client_id=rival&scope=admin',
      });

    it('brings what the user entered', async () => {
      flow.login = ({ request }) => {
        const { username } = request.body as { readonly username: string };
        return { ...granted(flow.clock), outcome: 'granted', subject: username } as never;
      };
      const answer = await post(OWN_PAGE);
      expect(answer.status).toBe(303);
      expect(locationOf(answer).searchParams.has('code')).toBe(true);
      expect(flow.asked).toMatchObject([
        {
          method: 'POST',
          client: { clientId: 'native' },
          scope: ['accounts:read', 'transfers:write'],
        },
      ]);
    });

    it('is checked like GET', async () => {
      expectShown(await post(OWN_PAGE, { redirect_uri: 'https://evil.example/' }));
      expectRedirected(await post(OWN_PAGE, { code_challenge: undefined }), 'invalid_request');
    });

    it.each<readonly [rule: string, headers: Record<string, string>]>([
      ['another site', { origin: 'https://evil.example', 'sec-fetch-site': 'cross-site' }],
      [
        'another origin of this site',
        { origin: 'https://x.issuer.example', 'sec-fetch-site': 'same-site' },
      ],
      ['another port', { origin: `${ISSUER}:8443` }],
      ['http', { origin: 'http://issuer.example' }],
      ['a name that begins the same', { origin: `${ISSUER}.evil.example` }],
      ['nowhere', { origin: 'null' }],
      ['nobody knows where', {}],
      ['another site, without saying which', { 'sec-fetch-site': 'cross-site' }],
      ['the address bar', { 'sec-fetch-site': 'none' }],
    ])('from %s is refused', async (_rule, headers) => {
      expectShown(await post(headers), 403, 'access_denied');
      expect(flow.asked).toEqual([]);
      expect(flow.events).toMatchObject([{ type: 'access.denied', code: 'ERR_ACCESS_CSRF' }]);
    });
  });
});

describe('the code flow', () => {
  it('tells the client when codes cannot be kept', async () => {
    const storage = memoryStorage({ maxEntries: 1 });
    const flow = await startCodeFlow('express', { storage });
    try {
      await flow.authorize();
      expectRedirected(await flow.authorize(), 'temporarily_unavailable');
      expect(flow.events.at(-1)).toMatchObject({ code: 'ERR_ACCESS_UNAVAILABLE' });
    } finally {
      await flow.close();
    }
  });

  it('is not there by default', async () => {
    const paths = { authorizationPath: null, tokenPath: null, metadataPath: null };
    const flow = await startCodeFlow('express', paths);
    try {
      expect((await flow.authorize()).status).toBe(404);
      expect((await flow.token({ grant_type: 'refresh_token' }, SHOP)).status).toBe(404);
      expect(challengeOf('x')).toHaveLength(43);
    } finally {
      await flow.close();
    }
  });
});
