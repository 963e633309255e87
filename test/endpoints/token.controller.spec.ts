import { randomBytes } from 'node:crypto';

import { RevocationService } from '../../lib/revocation/revocation.service.js';
import { StoreError } from '../../lib/kernel/errors.js';
import { generateSigningKey } from '../../lib/keys/key-material.js';
import { challengeOf } from '../../lib/sessions/authorization-code.js';
import { SessionService } from '../../lib/sessions/session.service.js';
import { memoryStorage } from '../../lib/storage/memory/memory-storage.js';
import { NotCarried } from '../../lib/storage/storage.js';
import { TroubledSessions } from '../sessions/troubled-sessions.js';
import { ADAPTERS } from '../support/guarded-app.js';
import { TestClock } from '../support/test-clock.js';
import { recordSecret } from '../support/witness.js';
import {
  CALLBACK,
  type FlowAnswer,
  type FlowApp,
  granted,
  NATIVE_CLIENT,
  type Params,
  REVOKE,
  SHOP,
  SHOP_CALLBACK,
  startCodeFlow,
  TOKEN,
  tokensOf,
  VERIFIER,
} from './code-flow-app.js';
import { basic, byAssertion, newSecret, signAssertion } from './endpoint-app.js';

const AT_SHOP = { client_id: 'shop', redirect_uri: SHOP_CALLBACK, scope: 'accounts:read' };
const OTHER_VERIFIER = randomBytes(32).toString('base64url');
const LONG = 'a'.repeat(50_000);

function expectRefused(answer: FlowAnswer, error: string, status = 400): void {
  expect([answer.status, answer.body]).toEqual([status, JSON.stringify({ error })]);
  expect(answer.headers['cache-control']).toBe('no-store');
  expect(answer.headers['www-authenticate']).toBe(
    status === 401 ? 'Basic realm="oauth"' : undefined,
  );
}

describe.each(ADAPTERS)('POST /oauth/token on %s', (adapter) => {
  let flow: FlowApp;

  beforeAll(async () => {
    flow = await startCodeFlow(adapter);
  });
  afterAll(() => flow.close());
  beforeEach(() => {
    flow.login = () => granted(flow.clock);
    flow.events.splice(0);
  });

  describe('with a code', () => {
    it('answers with the tokens of a session', async () => {
      const answer = await flow.redeem(await flow.code());
      const { access_token, refresh_token, ...rest } = tokensOf(answer);
      expect(rest).toEqual({
        token_type: 'Bearer',
        expires_in: 900,
        scope: 'accounts:read transfers:write',
      });
      expect(Object.keys(JSON.parse(answer.body) as object)).toHaveLength(5);
      expect(answer.headers).toMatchObject({ 'cache-control': 'no-store', pragma: 'no-cache' });
      expect(await flow.me(access_token)).toBe(200);
      expect(refresh_token).toMatch(/^rt1_/);
      expect(await flow.app.get(SessionService).list('alice')).toMatchObject([
        { addressPrefix: '127.0.0.0/24' },
      ]);
    });

    it('answers a client that proves who it is', async () => {
      const code = await flow.code(AT_SHOP);
      const form = { client_id: undefined, redirect_uri: SHOP_CALLBACK };
      expect(tokensOf(await flow.redeem(code, form, SHOP)).scope).toBe('accounts:read');
    });

    it('gives no more scope than the login granted', async () => {
      flow.login = () => ({
        outcome: 'granted',
        subject: 'alice',
        authTime: new Date(flow.clock.now()),
        scope: 'accounts:read admin',
      });
      expect((await flow.tokens()).scope).toBe('accounts:read');
      expect((await flow.tokens({ scope: 'transfers:write' })).scope).toBe('');
      expect((await flow.tokens({ scope: undefined })).scope).toBe('');
    });

    it.each<readonly [rule: string, form: Params, error: string]>([
      ['no grant_type', { grant_type: undefined }, 'invalid_request'],
      [
        'two grant_types',
        { grant_type: ['authorization_code', 'refresh_token'] },
        'invalid_request',
      ],
      ['a password', { grant_type: 'password' }, 'unsupported_grant_type'],
      ['the client itself', { grant_type: 'client_credentials' }, 'unsupported_grant_type'],
      ['a grant_type in capitals', { grant_type: 'Authorization_Code' }, 'unsupported_grant_type'],
      [
        'a grant_type called like a member of objects',
        { grant_type: 'constructor' },
        'unsupported_grant_type',
      ],
      ['no code', { code: undefined }, 'invalid_request'],
      ['an empty code', { code: '' }, 'invalid_request'],
      ['no redirect_uri', { redirect_uri: undefined }, 'invalid_request'],
      ['redirect_uri twice', { redirect_uri: [CALLBACK, CALLBACK] }, 'invalid_request'],
      ['no verifier', { code_verifier: undefined }, 'invalid_request'],
      ['the verifier twice', { code_verifier: [VERIFIER, VERIFIER] }, 'invalid_request'],
      ['a short verifier', { code_verifier: 'a'.repeat(42) }, 'invalid_request'],
      ['a long verifier', { code_verifier: 'a'.repeat(129) }, 'invalid_request'],
      ['a huge verifier', { code_verifier: LONG }, 'invalid_request'],
      ['a verifier in base64', { code_verifier: `${'a'.repeat(42)}+` }, 'invalid_request'],
      ['a second client_id', { client_id: ['native', 'rival'] }, 'invalid_request'],
    ])('and %s, refuses and uses nothing up', async (_rule, form, error) => {
      const code = await flow.code();
      expectRefused(await flow.redeem(code, form), error);
      expect((await flow.redeem(code)).status).toBe(200);
    });

    it('that is there twice, refuses', async () => {
      const code = await flow.code();
      expectRefused(await flow.redeem(code, { code: [code, code] }), 'invalid_request');
    });

    it.each<readonly [rule: string, form: Params]>([
      ['another verifier', { code_verifier: OTHER_VERIFIER }],
      ['the challenge for a verifier', { code_verifier: challengeOf(VERIFIER) }],
      ['the verifier in another case', { code_verifier: VERIFIER.toUpperCase() }],
      ['another redirect_uri', { redirect_uri: 'http://127.0.0.1/callback' }],
      ['a redirect_uri with more behind it', { redirect_uri: `${CALLBACK}/` }],
    ])('and %s, refuses and lets the code die', async (_rule, form) => {
      const code = await flow.code();
      expectRefused(await flow.redeem(code, form), 'invalid_grant');
      expectRefused(await flow.redeem(code), 'invalid_grant');
      expect(flow.events).toContainEqual(
        expect.objectContaining({ type: 'access.denied', code: 'ERR_ACCESS_DENIED' }),
      );
    });

    it('of another port than it was sent to, refuses', async () => {
      const code = await flow.code({ redirect_uri: 'http://127.0.0.1:4000/callback' });
      const form = { redirect_uri: 'http://127.0.0.1:4001/callback' };
      expectRefused(await flow.redeem(code, form), 'invalid_grant');
    });

    it('of another client, refuses and leaves it to its own', async () => {
      const code = await flow.code();
      expectRefused(await flow.redeem(code, { client_id: 'rival' }), 'invalid_grant');
      const atShop = await flow.redeem(code, { client_id: undefined }, SHOP);
      expectRefused(atShop, 'invalid_grant');
      expect((await flow.redeem(code)).status).toBe(200);
    });

    it.each<readonly [rule: string, code: string]>([
      ['made up', `ac1_${randomBytes(80).toString('base64url')}`],
      ['no code at all', 'x'],
      ['huge', LONG],
      ['a JWT', 'a.b.c'],
      ['with a NUL', '\0'],
    ])('that is %s, refuses', async (_rule, code) => {
      expectRefused(await flow.redeem(code), 'invalid_grant');
    });

    it('that has expired, refuses', async () => {
      const code = await flow.code();
      flow.clock.advance(60_000);
      expectRefused(await flow.redeem(code), 'invalid_grant');
    });

    it('a second time, refuses and ends what the first one got', async () => {
      const code = await flow.code();
      const tokens = tokensOf(await flow.redeem(code));
      expect(await flow.me(tokens.access_token)).toBe(200);
      expectRefused(await flow.redeem(code), 'invalid_grant');
      expect(await flow.me(tokens.access_token)).toBe(401);
      expectRefused(await flow.refresh(tokens.refresh_token), 'invalid_grant');
    });

    it('50 times at once, starts one session at most, and that one is over', async () => {
      const code = await flow.code();
      const answers = await Promise.all(Array.from({ length: 50 }, () => flow.redeem(code)));
      const good = answers.filter(({ status }) => status === 200);
      expect(good.length).toBeLessThanOrEqual(1);
      expect(answers.filter(({ status }) => status === 400).length).toBe(50 - good.length);
      for (const answer of good) expect(await flow.me(tokensOf(answer).access_token)).toBe(401);
    });

    it('of a user whose sessions were all ended meanwhile, refuses', async () => {
      const code = await flow.code();
      await flow.app.get(RevocationService).revokeSubject('alice');
      expectRefused(await flow.redeem(code), 'invalid_grant');
      expect((await flow.redeem(await flow.code())).status).toBe(200);
    });
  });

  describe('with a refresh token', () => {
    it('answers with the next one, and less scope where that was asked for', async () => {
      const first = await flow.tokens();
      const narrow = tokensOf(await flow.refresh(first.refresh_token, { scope: 'accounts:read' }));
      expect(narrow.scope).toBe('accounts:read');
      expect(narrow.refresh_token).not.toBe(first.refresh_token);
      const wide = tokensOf(await flow.refresh(narrow.refresh_token));
      expect(wide.scope).toBe('accounts:read transfers:write');
    });

    it.each<readonly [rule: string, form: Params, error: string]>([
      ['none', { refresh_token: undefined }, 'invalid_request'],
      ['two', { refresh_token: ['a', 'b'] }, 'invalid_request'],
      ['one of another client', { client_id: 'rival' }, 'invalid_grant'],
      ['one that is none', { refresh_token: 'x' }, 'invalid_grant'],
      ['one that is huge', { refresh_token: `rt1_${LONG}` }, 'invalid_grant'],
      ['more scope', { scope: 'accounts:read admin' }, 'invalid_scope'],
      ['scope that is none', { scope: '"' }, 'invalid_scope'],
      ['scope twice', { scope: ['accounts:read', 'accounts:read'] }, 'invalid_request'],
    ])('but %s, refuses and uses nothing up', async (_rule, form, error) => {
      const { refresh_token: token } = await flow.tokens();
      expectRefused(await flow.refresh(token, form), error);
      expect((await flow.refresh(token)).status).toBe(200);
    });

    it('of another kind, refuses', async () => {
      const { access_token: token } = await flow.tokens();
      expectRefused(await flow.refresh(token), 'invalid_grant');
      expectRefused(await flow.refresh(await flow.code()), 'invalid_grant');
      expectRefused(await flow.redeem((await flow.tokens()).refresh_token), 'invalid_grant');
    });

    it('that was used long before, refuses and ends the session', async () => {
      const first = await flow.tokens();
      const second = tokensOf(await flow.refresh(first.refresh_token));
      const third = tokensOf(await flow.refresh(second.refresh_token));
      expectRefused(await flow.refresh(first.refresh_token), 'invalid_grant');
      expect(await flow.me(third.access_token)).toBe(401);
      expectRefused(await flow.refresh(third.refresh_token), 'invalid_grant');
    });
  });

  describe('from a client', () => {
    it.each<readonly [rule: string, form: Params, headers: Record<string, string>]>([
      ['that does not say who it is', { client_id: undefined }, {}],
      ['that nobody knows', { client_id: 'nobody' }, {}],
      ['called like a member of objects', { client_id: '__proto__' }, {}],
      ['that has a secret and does not show it', { client_id: 'shop' }, {}],
      ['with a wrong secret', { client_id: undefined }, basic('shop', newSecret())],
      ['that has no secret and shows one', {}, basic('native', newSecret())],
      ['that has no secret and shows an empty one', {}, basic('native', '')],
      ['that is another one than it proves to be', { client_id: 'native' }, SHOP],
      ['with its secret in the form', { client_id: 'shop', client_secret: 'x' }, {}],
    ])('%s, refuses', async (_rule, form, headers) => {
      const code = await flow.code();
      expectRefused(await flow.redeem(code, form, headers), 'invalid_client', 401);
      expect((await flow.redeem(code)).status).toBe(200);
    });

    it('that may not authorize, refuses', async () => {
      const own = newSecret();
      const gateway = {
        clientId: 'gateway',
        authentication: { method: 'client_secret_basic', secrets: [own] },
        may: ['introspect'],
      } as const;
      const app = await startCodeFlow(adapter, { clients: [NATIVE_CLIENT, gateway] });
      try {
        const form = { grant_type: 'refresh_token', refresh_token: 'x' };
        const answer = await app.token(form, basic('gateway', own));
        expectRefused(answer, 'unauthorized_client');
      } finally {
        await app.close();
      }
    });

    it('that signs, takes an assertion once', async () => {
      const key = await generateSigningKey('ES256');
      const signer = {
        ...NATIVE_CLIENT,
        clientId: 'signer',
        authentication: { method: 'private_key_jwt', jwks: { keys: [key.publicJwk] } },
      } as const;
      const app = await startCodeFlow(adapter, { clients: [signer] });
      try {
        const form = byAssertion(await signAssertion(key, app.clock));
        const redeem = async () =>
          app.redeem(await app.code({ client_id: 'signer' }), { client_id: undefined, ...form });
        expect((await redeem()).status).toBe(200);
        expectRefused(await redeem(), 'invalid_client', 401);
      } finally {
        await app.close();
      }
    });
  });

  it.each([
    ['the code', 'code=x'],
    ['the verifier', 'code_verifier=x'],
    ['the refresh token', 'refresh_token=x'],
    ['the grant', 'grant_type=authorization_code'],
  ])('takes nothing with %s in the query', async (_rule, query) => {
    const answer = await flow.send(`${TOKEN}?${query}`, {
      method: 'POST',
      headers: { 'content-type': 'application/x-www-form-urlencoded' },
      body: `grant_type=refresh_token&client_id=native&refresh_token=x`,
    });
    expectRefused(answer, 'invalid_request');
  });

  it('takes no JSON', async () => {
    const body = JSON.stringify({ grant_type: 'refresh_token', client_id: 'native' });
    const headers = { 'content-type': 'application/json' };
    expectRefused(await flow.send(TOKEN, { method: 'POST', headers, body }), 'invalid_request');
  });

  it.each(['GET', 'PUT', 'DELETE'])('does not answer %s', async (method) => {
    expect((await flow.send(TOKEN, { method })).status).toBe(404);
  });

  describe('while the store is away', () => {
    const trouble = async (): Promise<readonly [FlowApp, TroubledSessions]> => {
      const clock = new TestClock();
      const storage = memoryStorage({ clock });
      const sessionStore = new TroubledSessions(storage.sessionStore);
      return [
        await startCodeFlow(adapter, { storage: { ...storage, sessionStore } }),
        sessionStore,
      ];
    };
    const away = (): never => {
      throw new StoreError('ERR_STORE_UNAVAILABLE', 'Away.');
    };

    it('says 503, and the code and the refresh token are good afterwards', async () => {
      const [app, store] = await trouble();
      try {
        const code = await app.code();
        for (const verb of ['find', 'rotate'] as const) {
          store.once('before', verb, away);
          const answer = await app.redeem(code);
          expectRefused(answer, 'temporarily_unavailable', 503);
          expect(answer.headers['retry-after']).toBe('5');
        }
        const { refresh_token: token } = tokensOf(await app.redeem(code));
        for (const verb of ['find', 'rotate'] as const) {
          store.once('before', verb, away);
          expectRefused(await app.refresh(token), 'temporarily_unavailable', 503);
        }
        expect((await app.refresh(token)).status).toBe(200);
      } finally {
        await app.close();
      }
    });

    it('says 503 to who revokes, and the session goes on', async () => {
      const [app, store] = await trouble();
      try {
        const { refresh_token: token } = await app.tokens();
        store.once('before', 'find', away);
        const form = `client_id=native&token=${token}`;
        const headers = { 'content-type': 'application/x-www-form-urlencoded' };
        const answer = await app.send(REVOKE, { method: 'POST', headers, body: form });
        expectRefused(answer, 'temporarily_unavailable', 503);
        expect((await app.refresh(token)).status).toBe(200);
      } finally {
        await app.close();
      }
    });
  });

  describe('and POST /oauth/revoke with a refresh token', () => {
    const revoke = (form: Record<string, string>, headers: Record<string, string> = {}) =>
      flow.send(REVOKE, {
        method: 'POST',
        headers: { 'content-type': 'application/x-www-form-urlencoded', ...headers },
        body: new URLSearchParams(form).toString(),
      });

    it.each([
      ['no hint', {}],
      ['the right hint', { token_type_hint: 'refresh_token' }],
      ['a wrong hint', { token_type_hint: 'access_token' }],
      ['a hint nobody knows', { token_type_hint: 'pat' }],
    ])('ends its session and its access tokens, with %s', async (_rule, hint) => {
      const tokens = await flow.tokens();
      const form = { client_id: 'native', token: tokens.refresh_token, ...hint };
      expect(await revoke(form)).toMatchObject({ status: 200, body: '' });
      expect(await flow.me(tokens.access_token)).toBe(401);
      expectRefused(await flow.refresh(tokens.refresh_token), 'invalid_grant');
      expect((await revoke(form)).status).toBe(200);
    });

    it('revokes an access token of a public client, and not its session', async () => {
      const tokens = await flow.tokens();
      const form = { client_id: 'native', token: tokens.access_token };
      expect((await revoke(form)).status).toBe(200);
      expect(await flow.me(tokens.access_token)).toBe(401);
      expect((await flow.refresh(tokens.refresh_token)).status).toBe(200);
    });

    it.each<
      readonly [rule: string, client: Record<string, string>, headers: Record<string, string>]
    >([
      ['another public client', { client_id: 'rival' }, {}],
      ['a client that proves to be another one', {}, SHOP],
    ])('from %s, changes nothing', async (_rule, client, headers) => {
      const tokens = await flow.tokens();
      const answer = await revoke({ ...client, token: tokens.refresh_token }, headers);
      expect(answer.status).toBe(200);
      expect(await flow.me(tokens.access_token)).toBe(200);
      expect((await flow.refresh(tokens.refresh_token)).status).toBe(200);
    });

    it.each<readonly [rule: string, client: Record<string, string>]>([
      ['nobody', {}],
      ['a client that has a secret', { client_id: 'shop' }],
    ])('from %s, refuses', async (_rule, client) => {
      const tokens = await flow.tokens();
      const answer = await revoke({ ...client, token: tokens.refresh_token });
      expectRefused(answer, 'invalid_client', 401);
      expect((await flow.refresh(tokens.refresh_token)).status).toBe(200);
    });

    it.each(['rt1_', `rt1_${'A'.repeat(128)}`, `rt1_${LONG}`])(
      'that is none, says 200',
      async (token) => {
        expect((await revoke({ client_id: 'native', token })).status).toBe(200);
      },
    );
  });
});

describe('the token endpoint', () => {
  it('is not there where no session can be kept', async () => {
    const storage = { ...memoryStorage(), sessionStore: new NotCarried('it forgets') };
    await expect(startCodeFlow('express', { storage })).rejects.toMatchObject({
      code: 'ERR_CONFIG_INVALID',
    });
  });

  it('refreshes where there is no login of its own', async () => {
    const extras = { authorizationPath: null, metadataPath: null };
    const { redirectUris: _none, ...client } = NATIVE_CLIENT;
    const flow = await startCodeFlow('express', { ...extras, clients: [client] });
    try {
      const sessions = flow.app.get(SessionService);
      const { refreshToken } = await sessions.start('alice', { clientId: 'native' });
      recordSecret(refreshToken);
      expect((await flow.refresh(refreshToken)).status).toBe(200);
    } finally {
      await flow.close();
    }
  });
});
