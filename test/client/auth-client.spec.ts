import { Bank, pathsOf, unauthorized } from './bank.js';
import { ORIGIN, World } from './browser-world.js';
import { AFTER_EXPIRY, CREDENTIALS, signedIn, TRANSPORTS } from './signed-in.js';

describe.each(TRANSPORTS)('a client with the transport %s', (transport) => {
  it('sends what the transport needs and nothing else', async () => {
    const { world, bank, tabs } = await signedIn(transport);
    const [{ client }] = tabs;
    await world.outcome(client.fetch('/me'));
    await world.outcome(client.fetch('/transfers', { method: 'POST', body: '{}' }));
    const credentials = world.sent.map((request) => [
      request.headers.get('Authorization'),
      request.headers.get('X-CSRF-Token'),
      request.credentials,
      request.mode,
    ]);
    const bearer = `Bearer ${bank.access}`;
    expect(credentials).toEqual(
      transport === 'cookie'
        ? [
            [null, null, 'same-origin', 'same-origin'],
            [null, 'csrf-token-of-the-session', 'same-origin', 'same-origin'],
          ]
        : [
            [bearer, null, 'omit', 'same-origin'],
            [bearer, null, 'omit', 'same-origin'],
          ],
    );
  });

  it('sends the origin along, whatever the policy of the page', async () => {
    const { world, tabs } = await signedIn(transport);
    const [{ client }] = tabs;
    await world.outcome(client.fetch('/me', { referrerPolicy: 'no-referrer' }));
    await world.advance(AFTER_EXPIRY);
    await world.outcome(client.logout());
    expect(pathsOf(world)).toEqual(['GET /me', 'POST /auth/refresh', 'POST /auth/logout']);
    // Without a referrer some browsers send no origin either.
    for (const { referrerPolicy } of world.sent) expect(referrerPolicy).toBe('same-origin');
  });

  it.each([
    ['another origin', 'https://bank.example.evil.example/me'],
    ['another port', 'https://bank.example:444/me'],
    ['another scheme', 'http://bank.example/me'],
    ['a protocol-relative URL', '//evil.example/me'],
    ['an object URL of this origin', 'blob:https://bank.example/5f7a'],
    ['a data URL', 'data:,me'],
    ['a Request', new Request('https://evil.example/me')],
  ])('refuses %s, and sends nothing', async (_what, input) => {
    const { world, tabs } = await signedIn(transport);
    await expect(world.outcome(tabs[0].client.fetch(input))).rejects.toMatchObject({
      code: 'ERR_CLIENT_ORIGIN',
    });
    expect(world.sent).toEqual([]);
  });

  it('renews and sends once more after a 401, body included', async () => {
    const { world, bank, tabs } = await signedIn(transport);
    const refused = [unauthorized()];
    world.answer = (request) =>
      request.url.endsWith('/echo')
        ? (refused.pop() ?? bank.answer(request))
        : bank.answer(request);
    const init = { method: 'POST', body: 'ten euros' };
    const response = await world.outcome(tabs[0].client.fetch('/echo', init));
    expect(await response.json()).toEqual({ heard: 'ten euros' });
    expect(pathsOf(world)).toEqual(['POST /echo', 'POST /auth/refresh', 'POST /echo']);
  });

  it('copies a Request before its body is read', async () => {
    const { world, bank, tabs } = await signedIn(transport);
    const refused = [unauthorized()];
    world.answer = (request) =>
      request.url.endsWith('/echo')
        ? (refused.pop() ?? bank.answer(request))
        : bank.answer(request);
    const request = new Request(`${ORIGIN}/echo`, { method: 'POST', body: 'ten euros' });
    const response = await world.outcome(tabs[0].client.fetch(request));
    expect(await response.json()).toEqual({ heard: 'ten euros' });
  });

  it('never asks a third time', async () => {
    const { world, bank, tabs } = await signedIn(transport);
    world.answer = (request) =>
      request.url.endsWith('/me') ? unauthorized() : bank.answer(request);
    expect((await world.outcome(tabs[0].client.fetch('/me'))).status).toBe(401);
    expect(pathsOf(world)).toEqual(['GET /me', 'POST /auth/refresh', 'GET /me']);
  });

  it('does not send a stream twice, but renews for the next request', async () => {
    const { world, bank, tabs } = await signedIn(transport);
    const refused = [unauthorized()];
    world.answer = (request) =>
      request.url.endsWith('/echo')
        ? (refused.pop() ?? bank.answer(request))
        : bank.answer(request);
    const init = {
      method: 'POST',
      body: new Blob(['ten euros']).stream(),
      duplex: 'half',
    } as const;
    expect((await world.outcome(tabs[0].client.fetch('/echo', init))).status).toBe(401);
    expect(pathsOf(world)).toEqual(['POST /echo', 'POST /auth/refresh']);
  });

  it('leaves it to the page to answer a demand for more than a token (RFC 9470)', async () => {
    const { world, tabs } = await signedIn(transport);
    world.answer = () =>
      unauthorized('Bearer error="insufficient_user_authentication", max_age="5"');
    expect((await world.outcome(tabs[0].client.fetch('/transfers'))).status).toBe(401);
    expect(pathsOf(world)).toEqual(['GET /transfers']);
  });

  it('renews once for many requests of all tabs', async () => {
    const { world, bank, tabs } = await signedIn(transport, 3);
    for (const tab of tabs) tab.hide();
    await world.advance(AFTER_EXPIRY);
    const calls = tabs.flatMap(({ client }) => [client.fetch('/me'), client.fetch('/me')]);
    const answers = await world.outcome(Promise.all(calls));
    expect(answers.map(({ status }) => status)).toEqual(Array(6).fill(200));
    expect(bank.refreshes).toBe(1);
  });

  it('renews ahead of the end while it is seen, for all tabs once', async () => {
    const { world, bank, tabs } = await signedIn(transport, 3);
    await world.advance(540_000);
    expect(bank.refreshes).toBe(0);
    await world.advance(30_000);
    expect(bank.refreshes).toBe(1);
    for (const tab of tabs) tab.hide();
    await world.advance(3_600_000);
    expect(bank.refreshes).toBe(1);
    tabs[0].show();
    await world.advance(1_000);
    expect(bank.refreshes).toBe(2);
  });

  it('goes by the clock after sleep, and does without it when it was set back', async () => {
    const { world, bank, tabs } = await signedIn(transport);
    // Asleep: no timer ran.
    world.now += AFTER_EXPIRY;
    expect((await world.outcome(tabs[0].client.fetch('/me'))).status).toBe(200);
    expect(bank.refreshes).toBe(1);
    world.now -= 86_400_000;
    expect((await world.outcome(tabs[0].client.fetch('/me'))).status).toBe(200);
    expect(bank.refreshes).toBe(2);
    // And the tab that was told by it goes on, though its clock is a day behind.
    await world.advance(1_000);
    expect(tabs[0].client.state).toBe('signed-in');
  });

  it('sends while the old token stands, whatever becomes of a refresh ahead', async () => {
    const { world, bank, tabs } = await signedIn(transport);
    bank.refusal = () => new Response('{}', { status: 503 });
    await world.advance(580_000);
    expect(bank.refreshes).toBeGreaterThan(0);
    expect((await world.outcome(tabs[0].client.fetch('/me'))).status).toBe(200);
  });

  it.each([
    ['a 401', () => unauthorized()],
    [
      'invalid_grant (RFC 6749 §5.2)',
      () => Response.json({ error: 'invalid_grant' }, { status: 400 }),
    ],
  ])('is over for all tabs, each told once, when a refresh meets %s', async (_what, refusal) => {
    const { world, bank, tabs } = await signedIn(transport, 3);
    for (const tab of tabs) tab.hide();
    bank.refusal = refusal;
    bank.isOver = true;
    const calls = tabs.map(({ client }) => client.fetch('/me'));
    const answers = await world.outcome(Promise.all(calls));
    expect(answers.map(({ status }) => status)).toEqual([401, 401, 401]);
    await world.advance(10_000);
    expect(bank.refreshes).toBe(1);
    for (const { told } of tabs) expect(told.toSorted()).toEqual(['refused', 'signed-out']);
  });

  it('does not end what another tab has won meanwhile', async () => {
    const { world, bank, tabs } = await signedIn(transport, 2, ['locks']);
    for (const tab of tabs) tab.hide();
    await world.advance(AFTER_EXPIRY);
    // The first refresh is answered with a grant, the second, of the other tab, is refused.
    let first: (() => void) | undefined;
    bank.refusal = () => {
      bank.refusal = () => unauthorized();
      return new Promise((resolve) => {
        first = () => {
          bank.refusal = undefined;
          resolve(bank.answer(new Request(`${ORIGIN}/auth/login`, { method: 'POST' })));
        };
      });
    };
    const winning = tabs[0].client.fetch('/me');
    await world.advance(0);
    const losing = tabs[1]?.client.fetch('/me') ?? Promise.reject();
    await world.advance(0);
    expect(bank.refreshes).toBe(2);
    first?.();
    expect((await world.outcome(winning)).status).toBe(200);
    expect((await world.outcome(losing)).status).toBe(200);
    await world.advance(10_000);
    expect(tabs.flatMap(({ told }) => told)).toEqual([]);
  });

  it('repeats at once the refresh of a tab that died', async () => {
    const { world, bank, tabs } = await signedIn(transport, 3);
    for (const tab of tabs) tab.hide();
    bank.refusal = () => new Promise<Response>(() => {});
    await world.advance(AFTER_EXPIRY);
    void tabs[0].client.fetch('/me');
    await world.advance(1_000);
    expect(bank.refreshes).toBe(1);
    bank.refusal = undefined;
    tabs[0].kill();
    await world.advance(1_000);
    expect(bank.refreshes).toBe(2);
    expect(tabs.slice(1).map(({ client }) => client.state)).toEqual(['signed-in', 'signed-in']);
  });

  it.each([[['locks']], [['channel']], [['locks', 'channel']]] as const)(
    'works without %s, with one refresh at a time in each tab',
    async (lacks) => {
      const { world, bank, tabs } = await signedIn(transport, 1, lacks);
      tabs[0].hide();
      await world.advance(AFTER_EXPIRY);
      const { client } = tabs[0];
      const calls = [client.fetch('/me'), client.fetch('/me'), client.fetch('/me')];
      const answers = await world.outcome(Promise.all(calls));
      expect(answers.map(({ status }) => status)).toEqual([200, 200, 200]);
      expect(bank.refreshes).toBe(1);
      await world.outcome(client.logout());
      expect(client.state).toBe('signed-out');
    },
  );

  it('logs out with a new access token when the old one is over', async () => {
    const { world, bank, tabs } = await signedIn(transport, 2);
    const refused = [unauthorized()];
    world.answer = (request) =>
      request.url.endsWith('/logout')
        ? (refused.pop() ?? bank.answer(request))
        : bank.answer(request);
    await world.outcome(tabs[0].client.logout());
    expect(bank.isOver).toBe(true);
    await world.advance(1_000);
    expect(tabs.map(({ client }) => client.state)).toEqual(['signed-out', 'signed-out']);
    expect(tabs[1]?.told).toContain('logout');
  });

  it('goes on with the login of another tab, and says that it is another', async () => {
    const { world, bank, tabs } = await signedIn('body', 2);
    await world.outcome(tabs[1]?.client.login(CREDENTIALS) ?? Promise.reject());
    await world.advance(1_000);
    expect(tabs.map(({ told }) => told)).toEqual([['replaced'], []]);
    await world.outcome(tabs[0].client.fetch('/me'));
    expect(world.sent.at(-1)?.headers.get('Authorization')).toBe(`Bearer ${bank.access}`);
  });

  it('says when the server could not log out, and forgets what it can', async () => {
    const { world, tabs } = await signedIn(transport, 2);
    world.answer = () => new Response('{}', { status: 503 });
    await expect(world.outcome(tabs[0].client.logout())).rejects.toMatchObject({
      code: 'ERR_CLIENT_UNAVAILABLE',
    });
    await world.advance(1_000);
    const state = transport === 'cookie' ? 'signed-in' : 'signed-out';
    expect(tabs.map(({ client }) => client.state)).toEqual([state, state]);
  });

  it('rejects a refused login with the answer, and quotes no token in any error', async () => {
    const bank = new Bank(transport);
    const world = new World(bank.answer);
    const { client } = world.open({ transport });
    await world.advance(1_000);
    world.answer = () => Response.json({ error: 'locked' }, { status: 423 });
    const refused = await world.outcome(client.login(CREDENTIALS)).catch((error: unknown) => error);
    expect(refused).toMatchObject({ code: 'ERR_CLIENT_REFUSED', response: { status: 423 } });
    world.answer = () => new Response('{"access_token":"a-secret-of-the-server"');
    const unread = await world.outcome(client.login(CREDENTIALS)).catch((error: unknown) => error);
    expect(unread).toMatchObject({ code: 'ERR_CLIENT_ANSWER', cause: undefined });
    expect(client.state).toBe('signed-out');
  });

  it('does nothing more once it is closed, while the other tab goes on', async () => {
    const { world, bank, tabs } = await signedIn(transport, 2);
    const [{ client }, other] = tabs;
    client.close();
    await expect(world.outcome(client.fetch('/me'))).rejects.toMatchObject({
      code: 'ERR_CLIENT_CLOSED',
    });
    await expect(world.outcome(client.login(CREDENTIALS))).rejects.toMatchObject({
      code: 'ERR_CLIENT_CLOSED',
    });
    await world.advance(AFTER_EXPIRY);
    expect(bank.refreshes).toBe(1);
    expect(other?.client.state).toBe('signed-in');
    expect(other?.told).toEqual([]);
  });

  it('hears nothing that is not its own', async () => {
    const { world, bank, tabs } = await signedIn(transport);
    const channel = `nest-jwt-hardening:${transport}:${ORIGIN}/auth/refresh`;
    const at = Number.MAX_SAFE_INTEGER;
    const grant = {
      at,
      session: 's',
      lifetime: 1,
      expiresAt: 1,
      proofs: { csrf: 'c', access: 'a', refresh: 'r' },
    };
    const hostile: readonly unknown[] = [
      null,
      'ended',
      { type: 'ended', at, reason: 'logout' },
      { v: 2, type: 'ended', at, reason: 'logout' },
      { v: 1, type: 'ended', at: Infinity, reason: 'logout' },
      { v: 1, type: 'ended', at: -1, reason: 'logout' },
      { v: 1, type: 'ended', at, reason: 'replaced' },
      // Of a session before: what was over then says nothing of this one.
      { v: 1, type: 'ended', at: 5, reason: 'logout' },
      { v: 1, type: 'grant', grant: { ...grant, at: 5 } },
      { v: 1, type: 'grant' },
      { v: 1, type: 'grant', grant: { ...grant, at: 0.5 } },
      { v: 1, type: 'grant', grant: { ...grant, at: `${at}` } },
      { v: 1, type: 'grant', grant: { ...grant, session: undefined } },
      { v: 1, type: 'grant', grant: { ...grant, lifetime: Infinity } },
      { v: 1, type: 'grant', grant: { ...grant, expiresAt: NaN } },
      { v: 1, type: 'grant', grant: { ...grant, proofs: {} } },
      { v: 1, type: 'grant', grant: { ...grant, proofs: { csrf: 1, access: 1, refresh: 1 } } },
      { v: 1, type: 'grant', grant: { ...grant, proofs: { csrf: 'c\r\nX: y', access: 'a b' } } },
      { v: 1, type: 'postponed', until: Infinity },
      { v: 1, type: 'postponed', until: '99999999999999' },
      { v: 1, type: 'postponed', until: world.now + 86_400_000 },
    ];
    for (const message of hostile) world.post(channel, message);
    await world.advance(AFTER_EXPIRY);
    expect(bank.refreshes).toBe(1);
    expect((await world.outcome(tabs[0].client.fetch('/me'))).status).toBe(200);
    expect(tabs[0].told).toEqual([]);
  });
});

describe('a client with the transport cookie', () => {
  it('knows by the cookie that there is a session, and renews when a request says so', async () => {
    const bank = new Bank('cookie');
    const world = new World(bank.answer);
    world.cookies = 'theme=dark; __Host-csrf_token=of-the-cookie';
    const { client } = world.open({ transport: 'cookie' });
    expect(client.state).toBe('signed-in');
    await world.outcome(client.fetch('/transfers', { method: 'POST' }));
    expect(world.sent[0]?.headers.get('X-CSRF-Token')).toBe('of-the-cookie');
    expect(bank.refreshes).toBe(0);
  });

  it.each([
    '',
    'x__Host-csrf_token=a',
    'a=__Host-csrf_token=b',
    '__Host-csrf_token=',
    '__Host-csrf_token=a b',
  ])('is signed out with the cookies "%s"', (cookies) => {
    const world = new World(new Bank('cookie').answer);
    world.cookies = cookies;
    expect(world.open({ transport: 'cookie' }).client.state).toBe('signed-out');
  });

  it('takes a refusal for no end when somebody has logged in meanwhile', async () => {
    const { world, bank, tabs } = await signedIn('cookie', 1, ['channel']);
    bank.refusal = () => {
      world.cookies = '__Host-csrf_token=of-another-session';
      bank.refusal = undefined;
      return unauthorized();
    };
    await world.advance(AFTER_EXPIRY);
    expect((await world.outcome(tabs[0].client.fetch('/me'))).status).toBe(200);
    expect(tabs[0].told).toEqual([]);
  });

  it('sends its CSRF token with a logout and a refresh, and no page that is left cancels them', async () => {
    const { world, tabs } = await signedIn('cookie');
    await world.advance(AFTER_EXPIRY);
    await world.outcome(tabs[0].client.logout());
    expect(pathsOf(world)).toEqual(['POST /auth/refresh', 'POST /auth/logout']);
    for (const { headers, keepalive } of world.sent) {
      expect([headers.get('X-CSRF-Token'), keepalive]).toEqual(['csrf-token-of-the-session', true]);
    }
  });
});

describe('a client with the transport body', () => {
  it('waits for the other tabs before it sends', async () => {
    const { world, tabs } = await signedIn('body');
    const late = world.open({ transport: 'body' });
    expect(late.client.state).toBe('pending');
    expect((await world.outcome(late.client.fetch('/me'))).status).toBe(200);
    expect(tabs[0].client.state).toBe('signed-in');
  });

  it('follows no redirect of a server of another origin than the page', async () => {
    const bank = new Bank('body');
    const world = new World(bank.answer);
    const { client } = world.open({ transport: 'body', baseUrl: 'https://api.example' });
    await world.advance(1_000);
    await world.outcome(client.login(CREDENTIALS));
    await world.outcome(client.fetch('/me'));
    await world.outcome(client.fetch('/me', { redirect: 'manual' }));
    expect(world.sent.map(({ url }) => new URL(url).origin)).toEqual(
      Array(3).fill('https://api.example'),
    );
    expect(world.sent.map(({ redirect }) => redirect)).toEqual(['error', 'error', 'manual']);
  });

  it('holds no token that a script can read from it', async () => {
    const { bank, tabs } = await signedIn('body');
    const { client } = tabs[0];
    const names = Reflect.ownKeys(client);
    expect(names).toEqual(['state', 'ready', 'login', 'logout', 'fetch', 'close']);
    expect(Object.isFrozen(client)).toBe(true);
    expect(JSON.stringify(client)).not.toContain(bank.access);
  });
});
