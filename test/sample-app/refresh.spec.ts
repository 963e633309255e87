import { ADAPTERS } from '../support/guarded-app.js';
import { type Answer, closeConnections, send } from '../support/http.js';
import { recordSecret } from '../support/witness.js';
import { BrowserPage } from './browser-page.js';
import { type Login, logIn } from './log-in.js';
import { type RunningLedger, startLedger } from './running-ledger.js';

afterAll(closeConnections);

const REFUSED = { status: 401, body: '{"error":"invalid_token"}' };

describe.each(ADAPTERS)('POST /auth/refresh of the sample app on %s', (adapter) => {
  let ledger: RunningLedger;
  beforeAll(async () => {
    ledger = await startLedger(adapter, { env: { JWT_REUSE_GRACE: '0s' } });
  });
  afterAll(() => ledger.close());

  const refresh = async (refreshToken: unknown): Promise<Answer> =>
    send(ledger.url, '/auth/refresh', {
      method: 'POST',
      body: { refresh_token: refreshToken },
      handsOutTokens: 'yes',
    });
  const statusOf = async (token: string): Promise<number> =>
    (await send(ledger.url, '/me', { token })).status;

  it('answers a new pair in the same session, and the new pair works', async () => {
    const login = await logIn(ledger.url, 'alice');
    const answer = await refresh(login.refresh_token);
    expect(answer.status).toBe(200);
    expect(answer.headers['cache-control']).toBe('no-store');
    const pair = JSON.parse(answer.body) as Login;
    recordSecret(pair.access_token);
    recordSecret(pair.refresh_token);
    expect(Object.keys(pair).toSorted()).toEqual(Object.keys(login).toSorted());
    expect(await statusOf(pair.access_token)).toBe(200);
    expect((await refresh(pair.refresh_token)).status).toBe(200);
  });

  it('takes a second use for theft: 401, and the session is over', async () => {
    const login = await logIn(ledger.url, 'bob');
    const pair = JSON.parse((await refresh(login.refresh_token)).body) as Login;
    expect(await refresh(login.refresh_token)).toMatchObject(REFUSED);
    expect(await refresh(pair.refresh_token)).toMatchObject(REFUSED);
    expect(await statusOf(login.access_token)).toBe(401);
    expect(await statusOf(pair.access_token)).toBe(401);
    expect(ledger.logs().filter((line) => line.startsWith('refresh.reused'))).toHaveLength(1);
  });

  it('lets exactly one of many uses at once pass', async () => {
    const { refresh_token } = await logIn(ledger.url, 'carol');
    const answers = await Promise.all(Array.from({ length: 20 }, () => refresh(refresh_token)));
    expect(answers.filter(({ status }) => status === 200)).toHaveLength(1);
    expect(answers.filter(({ status }) => status === 401)).toHaveLength(19);
  });

  it.each([
    ['an access token', (login: Login) => login.access_token],
    ['text', () => 'rt1_'],
    ['a token of nobody', () => `rt1_${'A'.repeat(128)}`],
  ])('refuses %s like any other', async (_case, choose) => {
    const answer = await refresh(choose(await logIn(ledger.url, 'alice')));
    expect(answer).toMatchObject(REFUSED);
    expect(answer.headers['www-authenticate']).toBe('Bearer error="invalid_token"');
  });

  it.each([
    ['a number', { refresh_token: 1 }],
    ['a list', { refresh_token: ['rt1_a'] }],
    ['more than a token', { refresh_token: 'rt1_a', scope: 'admin' }],
    ['a huge token', { refresh_token: `rt1_${'A'.repeat(5_000)}` }],
  ])('asks for one token: %s', async (_case, body) => {
    const options = { method: 'POST', ...(body === undefined ? {} : { body }) };
    const answer = await send(ledger.url, '/auth/refresh', options);
    expect(answer).toMatchObject({ status: 400, body: '{"error":"invalid_request"}' });
  });

  it.each([
    ['no body', undefined],
    ['no token', {}],
  ])('answers who has nothing to go on with 401: %s', async (_case, body) => {
    const options = { method: 'POST', ...(body === undefined ? {} : { body }) };
    const answer = await send(ledger.url, '/auth/refresh', options);
    expect(answer).toMatchObject({ status: 401, body: '{"error":"unauthorized"}' });
  });

  it('is over after a logout, and after an administrator ended it', async () => {
    const [one, two] = [await logIn(ledger.url, 'alice'), await logIn(ledger.url, 'alice')];
    await send(ledger.url, '/auth/logout', { method: 'POST', token: one.access_token });
    expect(await refresh(one.refresh_token)).toMatchObject(REFUSED);
    const { access_token: admin } = await logIn(ledger.url, 'admin');
    const order = { method: 'POST', token: admin, body: { sub: 'alice' } };
    expect((await send(ledger.url, '/admin/revocations', order)).status).toBe(202);
    expect(await refresh(two.refresh_token)).toMatchObject(REFUSED);
  });
});

describe.each(ADAPTERS)('a page of the sample app on %s', (adapter) => {
  let ledger: RunningLedger;
  let page: BrowserPage;
  beforeAll(async () => {
    ledger = await startLedger(adapter);
  });
  afterAll(() => ledger.close());
  beforeEach(async () => {
    page = new BrowserPage(ledger.url);
    await page.logIn('alice');
  });

  it('holds its tokens in cookies no script can read, and none in the body', async () => {
    const answer = await page.logIn('alice');
    expect(Object.keys(JSON.parse(answer.body) as object).toSorted()).toEqual([
      'csrf_token',
      'expires_in',
      'scope',
      'token_type',
    ]);
    const cookies = answer.headers['set-cookie'] ?? [];
    expect(cookies).toHaveLength(3);
    for (const cookie of cookies) {
      expect(cookie).toMatch(/^__Host-(?:access|refresh|csrf)_token=/);
      expect(cookie).toMatch(/; Path=\/(?:;|$)/);
      expect(cookie).toMatch(/; Secure(?:;|$)/);
      expect(cookie).toMatch(/; SameSite=Strict(?:;|$)/);
      expect(cookie).not.toMatch(/domain/i);
      expect(/; HttpOnly(?:;|$)/.test(cookie)).toBe(!cookie.startsWith('__Host-csrf_token'));
    }
  });

  it('reads, writes, refreshes and logs out with them', async () => {
    expect((await page.send('GET', '/me')).status).toBe(200);
    const before = page.csrfToken;
    expect((await page.send('POST', '/auth/refresh')).status).toBe(200);
    expect(page.csrfToken).toBe(before);
    const stale = page.copy();
    expect((await page.send('POST', '/auth/logout')).status).toBe(204);
    expect(page.cookieNames).toEqual([]);
    expect((await stale.send('GET', '/me')).status).toBe(401);
    expect((await stale.send('POST', '/auth/refresh')).status).toBe(401);
  });

  it.each([
    ['without the CSRF token', { 'x-csrf-token': '' }],
    ['with another CSRF token', { 'x-csrf-token': 'A'.repeat(43) }],
    ['from another origin', { origin: 'https://evil.example' }],
    ['from nowhere', { origin: 'null' }],
  ])('cannot be used by a request %s', async (_case, headers) => {
    for (const path of ['/auth/refresh', '/auth/logout']) {
      const answer = await page.send('POST', path, { headers });
      expect(answer.status).toBe(403);
      expect(answer.headers['set-cookie']).toBeUndefined();
    }
    expect((await page.send('GET', '/me')).status).toBe(200);
  });

  it('is not logged in as somebody else by another site', async () => {
    const stranger = new BrowserPage(ledger.url, 'https://evil.example');
    const answer = await stranger.logIn('bob');
    expect(answer.status).toBe(403);
    expect(answer.headers['set-cookie']).toBeUndefined();
  });

  it('gets cookies for a token in a cookie alone, whoever sends it in a form', async () => {
    const cookies = (await page.logIn('alice')).headers['set-cookie'] ?? [];
    const [, stolen] = /__Host-refresh_token=([^;]+)/.exec(cookies.join()) ?? [];
    const options = { method: 'POST', body: { refresh_token: stolen } };
    const answer = await send(ledger.url, '/auth/refresh', options);
    expect(answer.status).toBe(401);
    expect(answer.headers['set-cookie']).toBeUndefined();
    expect((await page.send('POST', '/auth/refresh')).status).toBe(200);
  });

  it('sends one token: a header beside the cookies, or a body, is 400', async () => {
    const { access_token, refresh_token } = await logIn(ledger.url, 'alice');
    const headers = { authorization: `Bearer ${access_token}` };
    expect((await page.send('GET', '/me', { headers })).status).toBe(400);
    const answer = await page.send('POST', '/auth/refresh', { body: { refresh_token } });
    expect(answer.status).toBe(400);
  });

  it('that loses a race leaves the cookies of the winner alone', async () => {
    const tabs = [page.copy(), page.copy(), page.copy()];
    const answers = await Promise.all(tabs.map((tab) => tab.send('POST', '/auth/refresh')));
    expect(answers.map(({ status }) => status)).toEqual([200, 200, 200]);
    for (const tab of tabs) expect((await tab.send('GET', '/me')).status).toBe(200);
    const [winner] = tabs;
    await winner?.send('POST', '/auth/refresh');
    const late = await page.send('POST', '/auth/refresh');
    expect(late.status).toBe(401);
    expect(late.headers['set-cookie']).toBeUndefined();
  });
});

describe('ALLOWED_ORIGINS and TRUST_PROXY', () => {
  it('say whose pages may use the cookies', async () => {
    const env = { ALLOWED_ORIGINS: 'https://app.example, https://beta.example' };
    const ledger = await startLedger('express', { env });
    for (const [origin, status] of [
      ['https://app.example', 200],
      ['https://beta.example', 200],
      [ledger.url, 403],
    ] as const) {
      expect((await new BrowserPage(ledger.url, origin).logIn('alice')).status).toBe(status);
    }
    await ledger.close();
  });

  it.each([
    ['1', '203.0.113.0/24'],
    ['loopback', '203.0.113.0/24'],
    ['192.0.2.1', '127.0.0.0/24'],
    ['', '127.0.0.0/24'],
  ])('say whose word counts for the client: %j', async (proxies, prefix) => {
    const ledger = await startLedger('fastify', { env: { TRUST_PROXY: proxies } });
    const page = new BrowserPage(ledger.url);
    await page.logIn('alice');
    await page.send('POST', '/auth/refresh', { headers: { 'x-forwarded-for': '203.0.113.7' } });
    const { body } = await page.send('GET', '/auth/sessions');
    expect(JSON.parse(body)).toMatchObject([{ address_prefix: prefix }]);
    await ledger.close();
  });
});
