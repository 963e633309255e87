import { KeyError, RevocationError, StoreError } from '../../lib/kernel/errors.js';
import { generateSigningKey } from '../../lib/keys/key-material.js';
import { ADAPTERS } from '../support/guarded-app.js';
import { closeConnections, send } from '../support/http.js';
import { forgeAccess, validClaims } from '../support/token-mother.js';
import {
  basic,
  type EndpointApp,
  type EndpointAppOptions,
  expectNotStored,
  expectRefusal,
  newSecret,
  OF_SHOP,
  REVOKE,
  startEndpointApp,
  verifierThatThrows,
} from './endpoint-app.js';

const SECRET = newSecret();
const OTHER_SECRET = newSecret();
const CLIENTS = [
  {
    clientId: 'shop',
    authentication: { method: 'client_secret_basic', secrets: [SECRET] },
    may: ['revoke'],
  },
  {
    clientId: 'gateway',
    authentication: { method: 'client_secret_basic', secrets: [OTHER_SECRET] },
    may: ['introspect'],
  },
];
const SHOP = basic('shop', SECRET);

afterAll(closeConnections);

describe.each(ADAPTERS)('POST /oauth/revoke on %s', (adapter) => {
  let app: EndpointApp;

  const start = async (options: Partial<EndpointAppOptions> = {}): Promise<void> => {
    app = await startEndpointApp({ adapter, clients: CLIENTS, ...options });
  };
  const claimsOf = (token: string): { readonly jti: string; readonly exp: number } =>
    JSON.parse(Buffer.from(token.split('.')[1] ?? '', 'base64url').toString('utf8'));

  afterEach(() => app.close());

  describe('with a token of the client', () => {
    beforeEach(() => start());

    it.each([
      ['no hint', {}],
      ['the right hint', { token_type_hint: 'access_token' }],
      ['a wrong hint', { token_type_hint: 'refresh_token' }],
      ['a hint nobody knows (RFC 7009 §2.1)', { token_type_hint: 'pat' }],
      ['an empty hint', { token_type_hint: '' }],
      ['parameters nobody knows', { resource: 'https://api.example', callback: 'steal' }],
      ['its own client_id', { client_id: 'shop' }],
    ])('revokes it, with %s', async (_rule, extra) => {
      const token = await app.sign();
      const answer = await app.post(REVOKE, { token, ...extra }, SHOP);
      expect([answer.status, answer.body]).toEqual([200, '']);
      expectNotStored(answer);
      const { jti, exp } = claimsOf(token);
      expect(app.revocations.made).toEqual([{ jti, exp }]);
      expect(app.events).toEqual([]);
    });

    it('answers only once the store has it', async () => {
      let acknowledge = (): void => {};
      const asked = new Promise<void>((reached) => {
        app.revocations.onRevoke = () => {
          reached();
          return new Promise((resolve) => (acknowledge = resolve));
        };
      });
      let answered = false;
      const answer = app.post(REVOKE, { token: await app.sign() }, SHOP).finally(() => {
        answered = true;
      });
      await asked;
      // Another request goes all the way meanwhile.
      expect((await app.post(REVOKE, { token: 'x' }, SHOP)).status).toBe(200);
      expect(answered).toBe(false);
      acknowledge();
      expect((await answer).status).toBe(200);
    });

    it('revokes 50 at once, each by its own', async () => {
      const tokens = await Promise.all(Array.from({ length: 50 }, () => app.sign()));
      const answers = await Promise.all(tokens.map((token) => app.post(REVOKE, { token }, SHOP)));
      expect(new Set(answers.map(({ status }) => status))).toEqual(new Set([200]));
      expect(new Set(app.revocations.made.map(({ jti }) => jti))).toEqual(
        new Set(tokens.map((token) => claimsOf(token).jti)),
      );
    });

    it('revokes one that is for another service', async () => {
      const token = await app.sign(OF_SHOP, { audience: 'https://other.example' });
      expect((await app.post(REVOKE, { token }, SHOP)).status).toBe(200);
      expect(app.revocations.made).toEqual([{ ...pick(claimsOf(token)) }]);
    });

    it('revokes one with a claim that this service does not take', async () => {
      const claims = { ...validClaims(app.clock), client_id: 'shop', roles: 'admin' };
      const token = await forgeAccess(await app.signingKey(), claims);
      expect((await app.post(REVOKE, { token }, SHOP)).status).toBe(200);
      expect(app.revocations.made).toEqual([{ ...pick(claimsOf(token)) }]);
    });

    it('revokes one that a clock ahead of this one issued', async () => {
      app.clock.advance(60_000);
      const token = await app.sign();
      app.clock.advance(-60_000);
      expect((await app.post(REVOKE, { token }, SHOP)).status).toBe(200);
      expect(app.revocations.made).toEqual([{ ...pick(claimsOf(token)) }]);
    });

    it('leaves the rest of the application guarded', async () => {
      expect((await send(app.url, '/notes')).status).toBe(401);
      expect((await send(app.url, '/notes', { headers: SHOP })).status).toBe(401);
    });

    it.each(['GET', 'PUT', 'DELETE'])('does not answer %s', async (method) => {
      expect((await send(app.url, REVOKE, { method, headers: SHOP })).status).toBe(404);
    });
  });

  describe('with a token that is good nowhere', () => {
    beforeEach(() => start());

    const foreignKey = generateSigningKey('ES256');
    const DEAD: readonly (readonly [string, (app: EndpointApp) => Promise<string>])[] = [
      ['that is none', async () => 'no token'],
      ['that is opaque, as refresh tokens are', async () => 'r'.repeat(43)],
      ['of dots', async () => '..'],
      ['with a NUL', async () => '\0'],
      ['beyond ASCII', async () => '\u{1F511}'.repeat(20)],
      ['that is too long', async () => `${'a'.repeat(9_000)}.b.c`],
      ['with white space around it', async (app) => ` ${await app.sign()} `],
      ['whose signature is cut off', async (app) => (await app.sign()).replace(/[^.]*$/, '')],
      [
        'signed by somebody else',
        async (app) => forgeAccess(await foreignKey, validClaims(app.clock)),
      ],
      [
        'signed by somebody else under a kid of ours',
        async (app) => {
          const { kid } = await app.signingKey();
          const claims = { ...validClaims(app.clock), client_id: 'shop' };
          return forgeAccess(await foreignKey, claims, { kid });
        },
      ],
      [
        'signed by somebody else for another service',
        async (app) => {
          const { kid } = await app.signingKey();
          const claims = { ...validClaims(app.clock), client_id: 'shop', aud: 'https://x.example' };
          return forgeAccess(await foreignKey, claims, { kid });
        },
      ],
      [
        'without a signature',
        async (app) => {
          const [, payload = ''] = (await app.sign()).split('.');
          const header = Buffer.from(JSON.stringify({ alg: 'none', typ: 'at+jwt' }));
          return `${header.toString('base64url')}.${payload}.`;
        },
      ],
      ['of another kind', (app) => app.sign(OF_SHOP, { kind: 'confirmation' })],
      [
        'that has expired',
        async (app) => {
          const token = await app.sign();
          app.clock.advance(16 * 60_000);
          return token;
        },
      ],
      [
        'that our key signed in the name of another issuer',
        async (app) =>
          forgeAccess(await app.signingKey(), {
            ...validClaims(app.clock),
            iss: 'https://evil.example',
            client_id: 'shop',
          }),
      ],
    ];

    it.each(DEAD)('%s, does nothing and says 200 (RFC 7009 §2.2)', async (_rule, make) => {
      const token = await make(app);
      const answer = await app.post(REVOKE, { token }, SHOP);
      expect([answer.status, answer.body]).toEqual([200, '']);
      expectNotStored(answer);
      expect(app.revocations.made).toEqual([]);
    });
  });

  describe('with a token the client has no claim to', () => {
    it.each([
      ['of another client', { client_id: 'gateway' }],
      ['whose client has a similar name', { client_id: 'Shop' }],
      ['of no client', {}],
    ])('%s, refuses (RFC 7009 §2.1)', async (_rule, claims) => {
      await start();
      const answer = await app.post(REVOKE, { token: await app.sign(claims) }, SHOP);
      expectRefusal(answer, 400, 'invalid_grant');
      expect(app.revocations.made).toEqual([]);
      expect(app.events).toMatchObject([
        {
          type: 'access.denied',
          handler: 'RevocationController.revoke',
          code: 'ERR_ACCESS_DENIED',
        },
      ]);
    });

    it('that another issuer gave to a client of the same name, refuses', async () => {
      await start({ issuer: 'https://elsewhere.example' });
      expectRefusal(
        await app.post(REVOKE, { token: await app.sign() }, SHOP),
        400,
        'invalid_grant',
      );
      expect(app.revocations.made).toEqual([]);
    });

    it('refuses a client that may not revoke, whatever the token', async () => {
      await start();
      const gateway = basic('gateway', OTHER_SECRET);
      for (const token of [await app.sign({ client_id: 'gateway' }), 'garbage']) {
        expectRefusal(await app.post(REVOKE, { token }, gateway), 400, 'unauthorized_client');
      }
      expect(app.revocations.made).toEqual([]);
    });
  });

  describe('while something is out of reach', () => {
    it.each([
      ['the store', new StoreError('ERR_STORE_UNAVAILABLE', 'The store did not answer.')],
      ['room in the store', new StoreError('ERR_STORE_FULL', 'The store is full.')],
    ])('%s, says 503 and never 200', async (_rule, error) => {
      await start();
      app.revocations.onRevoke = () => Promise.reject(error);
      const answer = await app.post(REVOKE, { token: await app.sign() }, SHOP);
      expectRefusal(answer, 503, 'temporarily_unavailable');
      expect(answer.headers['retry-after']).toBe('5');
      expect(app.events).toMatchObject([
        { type: 'access.denied', code: 'ERR_ACCESS_UNAVAILABLE', detail: error.message },
      ]);
    });

    it.each([
      ['the revocation log', new RevocationError('ERR_REVOCATION_STALE', 'Stale.')],
      ['the directory', new RevocationError('ERR_SUBJECT_UNAVAILABLE', 'Unavailable.')],
      ['the key store', new KeyError('ERR_KEY_RING_STALE', 'Stale.')],
      ['the keys of an issuer', new KeyError('ERR_KEY_ISSUER_UNAVAILABLE', 'Unavailable.')],
    ])('%s, says 503 and never 200', async (_rule, error) => {
      await start({ tokens: verifierThatThrows(error) });
      const answer = await app.post(REVOKE, { token: await app.sign() }, SHOP);
      expectRefusal(answer, 503, 'temporarily_unavailable');
      expect(answer.headers['retry-after']).toBe('5');
      expect(app.revocations.made).toEqual([]);
    });

    it('says 500 and nothing more, not even in the log, when nobody foresaw it', async () => {
      await start();
      app.revocations.onRevoke = () => Promise.reject(new RangeError('redis://user:pass@host'));
      const answer = await app.post(REVOKE, { token: await app.sign() }, SHOP);
      expectRefusal(answer, 500, 'server_error');
      expect(app.logs.join('\n')).not.toContain('redis');
      expect(app.events).toMatchObject([
        { type: 'access.denied', code: 'ERR_UNEXPECTED', detail: 'RangeError' },
      ]);
    });
  });
});

function pick({ jti, exp }: { readonly jti: string; readonly exp: number }): object {
  return { jti, exp };
}
