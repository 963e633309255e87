import { KeyError, RevocationError, TokenError } from '../../lib/kernel/errors.js';
import { generateSigningKey } from '../../lib/keys/key-material.js';
import { ADAPTERS, AUDIENCE, ISSUER } from '../support/guarded-app.js';
import { closeConnections, send } from '../support/http.js';
import { forgeAccess, validClaims } from '../support/token-mother.js';
import {
  basic,
  type EndpointApp,
  type EndpointAppOptions,
  expectNotStored,
  expectRefusal,
  INTROSPECT,
  newSecret,
  OF_SHOP,
  startEndpointApp,
  verifierThatThrows,
} from './endpoint-app.js';

const SECRET = newSecret();
const OTHER_SECRET = newSecret();
const CLIENTS = [
  {
    clientId: 'gateway',
    authentication: { method: 'client_secret_basic', secrets: [SECRET] },
    may: ['introspect'],
  },
  {
    clientId: 'shop',
    authentication: { method: 'client_secret_basic', secrets: [OTHER_SECRET] },
    may: ['revoke'],
  },
];
const GATEWAY = basic('gateway', SECRET);

afterAll(closeConnections);

describe.each(ADAPTERS)('POST /oauth/introspect on %s', (adapter) => {
  let app: EndpointApp;

  const start = async (options: Partial<EndpointAppOptions> = {}): Promise<void> => {
    app = await startEndpointApp({ adapter, clients: CLIENTS, ...options });
  };
  const expectInactive = async (token: string): Promise<void> => {
    const answer = await app.post(INTROSPECT, { token }, GATEWAY);
    expect([answer.status, answer.body]).toEqual([200, '{"active":false}']);
    expect(answer.headers['content-type']).toMatch(/^application\/json\b/);
    expectNotStored(answer);
    // That a token is not good is the answer, and no event.
    expect(app.events).toEqual([]);
  };

  afterEach(() => app.close());

  it('says what a good token says, as far as it is registered (RFC 7662 §2.2)', async () => {
    await start();
    const token = await app.sign({
      ...OF_SHOP,
      scope: ['read', 'write'],
      acr: 'urn:acr:mfa',
      auth_time: Math.floor(app.clock.now() / 1000) - 60,
      sid: 'session-1',
      roles: ['admin'],
      permissions: ['notes:delete'],
      plan: 'gold',
    });
    const answer = await app.post(INTROSPECT, { token, token_type_hint: 'refresh_token' }, GATEWAY);
    expect(answer.status).toBe(200);
    expectNotStored(answer);
    const now = Math.floor(app.clock.now() / 1000);
    expect(JSON.parse(answer.body)).toEqual({
      active: true,
      token_type: 'Bearer',
      iss: ISSUER,
      sub: 'user-1',
      aud: AUDIENCE,
      jti: expect.stringMatching(/^[\w-]{32}$/),
      iat: now,
      nbf: now,
      exp: now + 900,
      scope: 'read write',
      client_id: 'shop',
      acr: 'urn:acr:mfa',
      auth_time: now - 60,
    });
    expect(app.events).toEqual([]);
  });

  it('leaves out what a token does not say', async () => {
    await start();
    const claims = validClaims(app.clock);
    delete claims['nbf'];
    const token = await forgeAccess(await app.signingKey(), claims);
    const answer = await app.post(INTROSPECT, { token }, GATEWAY);
    expect(JSON.parse(answer.body)).toEqual({ active: true, token_type: 'Bearer', ...claims });
  });

  it('answers about tokens of any client of this service, and of none', async () => {
    await start();
    for (const claims of [{ client_id: 'gateway' }, { client_id: 'x' }, {}]) {
      const answer = await app.post(INTROSPECT, { token: await app.sign(claims) }, GATEWAY);
      expect(JSON.parse(answer.body)).toMatchObject({ active: true });
    }
  });

  const foreignKey = generateSigningKey('ES256');
  const DEAD: readonly (readonly [string, (app: EndpointApp) => Promise<string>])[] = [
    ['none', async () => 'no token'],
    ['an opaque one', async () => 'r'.repeat(43)],
    ['one beyond ASCII', async () => '\u{1F511}'],
    ['one with a NUL', async () => 'a\0.b.c'],
    ['one that is too long', async () => `${'a'.repeat(9_000)}.b.c`],
    ['one of another kind', (app) => app.sign({}, { kind: 'confirmation' })],
    ['one for another service', (app) => app.sign({}, { audience: 'https://other.example' })],
    [
      'one signed by somebody else',
      async (app) => {
        const { kid } = await app.signingKey();
        return forgeAccess(await foreignKey, validClaims(app.clock), { kid });
      },
    ],
    [
      'one that has expired',
      async (app) => {
        const token = await app.sign();
        app.clock.advance(16 * 60_000);
        return token;
      },
    ],
    [
      'one that is not good yet',
      async (app) => {
        app.clock.advance(60_000);
        const token = await app.sign();
        app.clock.advance(-60_000);
        return token;
      },
    ],
  ];

  it.each(DEAD)('says of %s that it is not active, and nothing else', async (_rule, make) => {
    await start();
    await expectInactive(await make(app));
  });

  it.each(['ERR_TOKEN_REVOKED', 'ERR_TOKEN_SUBJECT'] as const)(
    'says of a token refused with %s that it is not active, and nothing else',
    async (code) => {
      await start({ tokens: verifierThatThrows(new TokenError(code, 'for a test')) });
      await expectInactive('some.good.token');
    },
  );

  it('says of a token of another issuer that it is not active here', async () => {
    await start({ issuer: 'https://elsewhere.example' });
    await expectInactive(await app.sign());
  });

  it('refuses a client that may not introspect, whatever the token', async () => {
    await start();
    for (const token of [await app.sign(), 'garbage']) {
      const answer = await app.post(INTROSPECT, { token }, basic('shop', OTHER_SECRET));
      expectRefusal(answer, 400, 'unauthorized_client');
    }
    expect(app.events).toMatchObject([
      { type: 'access.denied', handler: 'IntrospectionController.introspect' },
      { type: 'access.denied', code: 'ERR_ACCESS_DENIED' },
    ]);
  });

  it('says neither true nor false while revocations are stale', async () => {
    await start();
    const [good, bad] = [await app.sign(), 'garbage'];
    app.revocations.status = 'stale';
    for (const token of [good, bad]) {
      const answer = await app.post(INTROSPECT, { token }, GATEWAY);
      expectRefusal(answer, 503, 'temporarily_unavailable');
      expect(answer.headers['retry-after']).toBe('5');
    }
    app.revocations.status = 'ok';
    const answer = await app.post(INTROSPECT, { token: good }, GATEWAY);
    expect(JSON.parse(answer.body)).toMatchObject({ active: true });
  });

  it.each([
    ['the revocation log', new RevocationError('ERR_REVOCATION_STALE', 'Stale.')],
    ['the directory', new RevocationError('ERR_SUBJECT_UNAVAILABLE', 'Unavailable.')],
    ['the key store', new KeyError('ERR_KEY_RING_STALE', 'Stale.')],
  ])('says 503 while %s is out of reach', async (_rule, error) => {
    await start({ tokens: verifierThatThrows(error) });
    const answer = await app.post(INTROSPECT, { token: 'some.good.token' }, GATEWAY);
    expectRefusal(answer, 503, 'temporarily_unavailable');
    expect(answer.headers['retry-after']).toBe('5');
  });

  it('is not fooled by a bearer token where the client should be', async () => {
    await start();
    const token = await app.sign();
    const answer = await app.post(INTROSPECT, { token }, { authorization: `Bearer ${token}` });
    expectRefusal(answer, 401, 'invalid_client');
  });

  it.each(['GET', 'PUT'])('does not answer %s', async (method) => {
    await start();
    expect((await send(app.url, INTROSPECT, { method, headers: GATEWAY })).status).toBe(404);
  });
});
