import { TokenService } from '../../lib/tokens/token.service.js';
import { KeyError } from '../../lib/kernel/errors.js';
import { importSigningKey, type SigningKey } from '../../lib/keys/key-material.js';
import { UserDirectory } from '../../sample-app/users/user-directory.js';
import { ADAPTERS, ISSUER } from '../support/guarded-app.js';
import { type Answer, closeConnections, send } from '../support/http.js';
import { forgeAccess, newPrivateJwk } from '../support/token-mother.js';
import { recordSecret } from '../support/witness.js';
import { logIn, tokenOf } from './log-in.js';
import { type RunningLedger, startLedger } from './running-ledger.js';

afterAll(closeConnections);

const UUID = /^[0-9a-f-]{36}$/;

function json(answer: Answer): unknown {
  return JSON.parse(answer.body) as unknown;
}

function requestIdOf({ headers }: Answer): string {
  return String(headers['x-request-id']);
}

/** What a client can tell two answers apart by. */
function visible({ status, headers, body }: Answer): unknown {
  const { date: _date, 'x-request-id': _id, ...others } = headers;
  return { status, body, headers: others };
}

function claimsOf(token: string): Record<string, unknown> {
  const [, payload = ''] = token.split('.');
  return JSON.parse(Buffer.from(payload, 'base64url').toString('utf8')) as Record<string, unknown>;
}

/** What another service of this issuer says in a token, all of it required and nothing more. */
function foreignClaims(): Record<string, unknown> {
  const now = Math.floor(Date.now() / 1000);
  return {
    iss: ISSUER,
    aud: 'ledger-api',
    sub: 'batch-7',
    client_id: 'night-run',
    iat: now,
    exp: now + 300,
    jti: 'one-of-theirs',
  };
}

describe.each(ADAPTERS)('the sample app on %s', (adapter) => {
  let ledger: RunningLedger;
  const tokens: Record<string, string> = {};
  beforeAll(async () => {
    ledger = await startLedger(adapter);
    for (const user of ['alice', 'carol', 'admin']) tokens[user] = await tokenOf(ledger.url, user);
  });
  afterAll(() => ledger.close());

  const as = (user: string): { readonly token: string } => ({ token: tokens[user] ?? '' });

  describe('POST /auth/login', () => {
    it.each([
      ['alice', 'accounts:read transfers:write', ['user']],
      ['bob', 'accounts:read transfers:write', ['user']],
      ['carol', 'accounts:read', []],
      ['admin', '', ['admin']],
    ])('answers %s an RFC 6749 §5.1 token answer', async (user, scope, roles) => {
      const { access_token, refresh_token, ...rest } = await logIn(ledger.url, user);
      expect(refresh_token).toMatch(/^rt1_[\w-]{128}$/);
      expect(rest).toEqual({ token_type: 'Bearer', expires_in: 900, scope });
      expect(claimsOf(access_token)).toMatchObject({ sub: user, roles, client_id: 'ledger-web' });
    });

    it('says when and how the user authenticated (RFC 9068 §2.2.1)', async () => {
      const { access_token } = await logIn(ledger.url, 'alice');
      const { auth_time, amr, iat } = claimsOf(access_token);
      expect(Number(iat) - Number(auth_time)).toBeLessThanOrEqual(1);
      expect(amr).toEqual(['pwd']);
    });

    it('starts a session of its own each time (session fixation)', async () => {
      const sids = [tokens['alice'] ?? '', await tokenOf(ledger.url, 'alice')]
        .map(claimsOf)
        .map(({ sid }) => sid);
      expect(new Set(sids).size).toBe(2);
      expect(sids.every((sid) => /^[\w-]{43}$/.test(String(sid)))).toBe(true);
    });

    it('may not be kept by any cache (RFC 6749 §5.1)', async () => {
      const body = { username: 'alice', password: 'alice-demo' };
      const options = { method: 'POST', body, handsOutTokens: 'yes' } as const;
      const { headers } = await send(ledger.url, '/auth/login', options);
      expect(headers['cache-control']).toBe('no-store');
    });

    it('answers an unknown user and a wrong password alike, and logs neither', async () => {
      const secrets = ['nobody-has-this-name-4711', 'nobody-has-this-password-0815'] as const;
      secrets.forEach(recordSecret);
      const attempts = [
        { username: secrets[0], password: 'alice-demo' },
        { username: 'alice', password: secrets[1] },
        { username: secrets[0], password: secrets[1] },
      ];
      const answers = await Promise.all(
        attempts.map((body) => send(ledger.url, '/auth/login', { method: 'POST', body })),
      );
      expect(answers[0]).toMatchObject({ status: 401, body: '{"error":"invalid_grant"}' });
      expect(answers[0]?.headers['www-authenticate']).toBe('Bearer');
      expect(visible(answers[1] as Answer)).toEqual(visible(answers[0] as Answer));
      expect(visible(answers[2] as Answer)).toEqual(visible(answers[0] as Answer));

      const log = ledger.logs().join('\n');
      for (const answer of answers) {
        expect(log).toContain(`login.refused requestId=${requestIdOf(answer)}`);
      }
      for (const secret of secrets) expect(log).not.toContain(secret);
    });

    const ok = { username: 'alice', password: 'alice-demo' };
    it.each([
      ['nothing', undefined],
      ['null', null],
      ['a list', [ok]],
      ['a text', 'alice'],
      ['a number', 1],
      ['no members', {}],
      ['no password', { username: 'alice' }],
      ['no username', { password: 'alice-demo' }],
      ['an empty username', { ...ok, username: '' }],
      ['an empty password', { ...ok, password: '' }],
      ['a username that is a list', { ...ok, username: ['alice'] }],
      ['a password that is an object', { ...ok, password: { $ne: '' } }],
      ['a password that is a number', { ...ok, password: 1 }],
      ['a username that is too long', { ...ok, username: 'a'.repeat(65) }],
      ['a password that is too long', { ...ok, password: 'a'.repeat(257) }],
      ['a member it does not understand', { ...ok, remember: true }],
      ['a transport there is not', { ...ok, transport: 'query' }],
      ['two transports', { ...ok, transport: ['cookie', 'body'] }],
    ])('refuses %s', async (_case, body) => {
      const answer = await send(ledger.url, '/auth/login', { method: 'POST', body });
      expect(answer).toMatchObject({ status: 400, body: '{"error":"invalid_request"}' });
    });

    it.each([
      ['a form, which another site could post', 'application/x-www-form-urlencoded'],
      ['text', 'text/plain'],
      ['an unknown type', 'application/x-unknown'],
      ['bytes', 'application/octet-stream'],
    ])('reads JSON only, not %s', async (_case, type) => {
      const options = { method: 'POST', headers: { 'content-type': type }, body: ok };
      const answer = await send(ledger.url, '/auth/login', options);
      expect(answer).toMatchObject({ status: 400, body: '{"error":"invalid_request"}' });
    });

    it('refuses a body over 16 KiB before reading it', async () => {
      const body = { ...ok, password: 'a'.repeat(20_000) };
      const answer = await send(ledger.url, '/auth/login', { method: 'POST', body });
      expect(answer).toMatchObject({ status: 413, body: '{"error":"request_too_large"}' });
    });
  });

  describe('GET /me', () => {
    it('says who the token is for', async () => {
      const answer = await send(ledger.url, '/me', as('alice'));
      const { sid, exp } = claimsOf(tokens['alice'] ?? '');
      expect(answer.status).toBe(200);
      expect(json(answer)).toEqual({
        sub: 'alice',
        scope: 'accounts:read transfers:write',
        roles: ['user'],
        sid,
        expires_at: exp,
      });
    });
  });

  describe('GET /accounts', () => {
    it('lists the accounts of the subject alone', async () => {
      const answer = await send(ledger.url, '/accounts', as('carol'));
      expect(answer.status).toBe(200);
      expect(json(answer)).toEqual([
        expect.objectContaining({ owner: 'carol', balance: '975.00' }),
      ]);
    });

    it('demands the scope and names it (RFC 6750 §3.1)', async () => {
      const answer = await send(ledger.url, '/accounts', as('admin'));
      expect(answer).toMatchObject({ status: 403, body: '{"error":"insufficient_scope"}' });
      expect(answer.headers['www-authenticate']).toBe(
        'Bearer error="insufficient_scope", scope="accounts:read"',
      );
    });
  });

  describe.each([
    ['GET', '/admin/users'],
    ['GET', '/admin/keys'],
    ['POST', '/admin/keys/rotate'],
    ['POST', '/admin/revocations'],
  ])('%s %s', (method, path) => {
    it.each(['alice', 'carol'])('refuses %s, who has not the role', async (user) => {
      const answer = await send(ledger.url, path, { method, ...as(user) });
      expect(answer).toMatchObject({ status: 403, body: '{"error":"insufficient_scope"}' });
    });
  });

  it.each([
    ['GET', '/me'],
    ['GET', '/accounts'],
    ['GET', '/admin/users'],
    ['GET', '/admin/keys'],
    ['POST', '/admin/keys/rotate'],
    ['POST', '/admin/revocations'],
    ['POST', '/auth/logout'],
    ['POST', '/auth/password'],
  ])('%s %s refuses a request without a token (RFC 6750 §3.1)', async (method, path) => {
    const answer = await send(ledger.url, path, { method });
    expect(answer).toMatchObject({ status: 401, body: '{"error":"unauthorized"}' });
    expect(answer.headers['www-authenticate']).toBe(
      'Bearer, DPoP algs="ES256 Ed25519 EdDSA PS256 RS256"',
    );
  });

  it('logs a refusal under the id of its answer, with the code of the failed check', async () => {
    const id = requestIdOf(await send(ledger.url, '/admin/users', as('alice')));
    const fields = `requestId=${id} code=ERR_ACCESS_DENIED`;
    expect(ledger.logs()).toContainEqual(
      expect.stringMatching(new RegExp(`^access\\.denied .*${fields}`)),
    );
  });

  it('GET /admin/users lists the users, without passwords', async () => {
    const answer = await send(ledger.url, '/admin/users', as('admin'));
    expect(answer.status).toBe(200);
    expect(json(answer)).toEqual([
      { username: 'alice', roles: ['user'], scope: 'accounts:read transfers:write' },
      { username: 'bob', roles: ['user'], scope: 'accounts:read transfers:write' },
      { username: 'carol', roles: [], scope: 'accounts:read' },
      { username: 'admin', roles: ['admin'], scope: '' },
    ]);
  });

  describe('the keys', () => {
    it('rotate: the successor is public at once and signs later, old tokens stay valid', async () => {
      const rotated = await send(ledger.url, '/admin/keys/rotate', {
        method: 'POST',
        ...as('admin'),
      });
      expect(rotated.status).toBe(202);
      const { kid, signs_from } = json(rotated) as { kid: string; signs_from: string };
      const inHours = (Date.parse(signs_from) - Date.now()) / 3_600_000;
      expect(Math.round(inHours)).toBe(24);

      const jwks = json(await send(ledger.url, '/.well-known/jwks.json')) as {
        readonly keys: readonly { readonly kid: string }[];
      };
      expect(jwks.keys.map((key) => key.kid)).toEqual([expect.any(String), kid]);
      expect((await send(ledger.url, '/me', as('alice'))).status).toBe(200);
    });

    it('are listed with phases and times, and never a private part', async () => {
      const answer = await send(ledger.url, '/admin/keys', as('admin'));
      const key = {
        kid: expect.stringMatching(/^[\w-]{43}$/),
        algorithm: 'ES256',
        published_at: expect.stringMatching(/^\d{4}-\d\d-\d\dT/),
        signs_from: expect.stringMatching(/^\d{4}-\d\d-\d\dT/),
        retires_at: null,
      };
      expect(json(answer)).toEqual([
        { ...key, phase: 'signing' },
        { ...key, phase: 'published' },
      ]);
    });

    it('rotate with an empty JSON body as without one', async () => {
      const headers = { 'content-type': 'application/json' };
      const options = { method: 'POST', headers, ...as('admin') };
      expect((await send(ledger.url, '/admin/keys/rotate', options)).status).toBe(202);
    });
  });

  it('GET /health says that keys are ready, to everyone', async () => {
    const answer = await send(ledger.url, '/health');
    expect(answer.status).toBe(200);
    expect(json(answer)).toEqual({
      status: 'ok',
      storage: {
        name: 'memoryStorage()',
        state: 'up',
        since: expect.stringMatching(/^\d{4}-\d\d-\d\dT[\d:.]+Z$/),
        detail: 'in this process',
        lag_ms: expect.any(Number),
      },
      key_ring: {
        mode: 'rotating',
        status: 'ok',
        problem: null,
        keys: { published: 1, signing: 1, verifying: 0, compromised: 0 },
      },
      revocation: { status: 'ok', lag_ms: expect.any(Number), entries: 0 },
      trusted_issuers: [],
    });
  });

  describe('every answer', () => {
    it.each([
      ['a page', 'GET', '/health', 200],
      ['a refusal', 'GET', '/me', 401],
      ['an unknown route', 'GET', '/nowhere', 404],
      ['an unknown method', 'PUT', '/health', 404],
      ['a malformed body', 'POST', '/auth/login', 400],
      ['the public keys', 'GET', '/.well-known/jwks.json', 200],
    ])(
      'has an X-Request-Id and no word of the framework: %s',
      async (_case, method, path, status) => {
        const answer = await send(ledger.url, path, { method });
        expect(answer.status).toBe(status);
        expect(answer.headers['x-request-id']).toMatch(UUID);
        expect(answer.headers['x-content-type-options']).toBe('nosniff');
        expect(JSON.stringify(answer)).not.toMatch(/express|fastify|nest|x-powered-by|FST_|stack/i);
      },
    );

    it.each(['trace-1', 'a.b_c:d', 'x'.repeat(128)])('keeps the caller’s id %s', async (id) => {
      const answer = await send(ledger.url, '/me', { headers: { 'x-request-id': id } });
      expect(answer.headers['x-request-id']).toBe(id);
    });

    it.each(['', 'a b', 'x'.repeat(129), '<script>', 'a=1', 'id"', 'naïve'])(
      'replaces the unsafe id %j (log injection)',
      async (id) => {
        const answer = await send(ledger.url, '/me', { headers: { 'x-request-id': id } });
        expect(answer.headers['x-request-id']).toMatch(UUID);
      },
    );
  });

  it.each([
    '/nowhere',
    '/me/',
    '/me/../nowhere',
    '//me',
    '/ME2',
    '/auth',
    '/admin',
    '/.well-known',
  ])('answers %s with 404 or the guard, in JSON and without repeating it', async (path) => {
    const { status, body } = await send(ledger.url, path);
    expect([
      { status: 404, body: '{"error":"not_found"}' },
      { status: 401, body: '{"error":"unauthorized"}' },
    ]).toContainEqual({ status, body });
  });

  it.each(['/%zz', '/%', '/accounts/%ff', '/me?%zz'])(
    'answers the malformed URL %s in its own words, under an id',
    async (path) => {
      const answer = await send(ledger.url, path);
      expect(answer.status).toBeGreaterThanOrEqual(400);
      expect(answer.status).toBeLessThan(500);
      expect(answer.body).toMatch(/^\{"error":"\w+"\}$/);
      expect(answer.headers['x-request-id']).toMatch(UUID);
    },
  );
});

describe.each(ADAPTERS)('the sample app on %s with a key of the operator’s', (adapter) => {
  let ledger: RunningLedger;
  let key: SigningKey;
  let token: string;
  beforeAll(async () => {
    const jwk = await newPrivateJwk();
    key = await importSigningKey(jwk);
    ledger = await startLedger(adapter, { env: { JWT_SIGNING_JWK: JSON.stringify(jwk) } });
    token = await tokenOf(ledger.url, 'admin');
  });
  afterAll(() => ledger.close());

  it('signs with it', async () => {
    const { headers, body } = await send(ledger.url, '/.well-known/jwks.json');
    expect(headers['content-type']).toMatch(/^application\/jwk-set\+json/);
    expect(JSON.parse(body)).toEqual({ keys: [key.publicJwk] });
    expect((await send(ledger.url, '/me', { token })).status).toBe(200);
  });

  it('accepts on /me what another service of the issuer signed, without session or rights', async () => {
    const claims = foreignClaims();
    const answer = await send(ledger.url, '/me', { token: await forgeAccess(key, claims) });
    expect(answer.status).toBe(200);
    const { exp: expires_at } = claims;
    expect(json(answer)).toEqual({ sub: 'batch-7', scope: '', roles: [], sid: null, expires_at });
  });

  it.each(['iss', 'aud', 'sub', 'client_id', 'iat', 'exp', 'jti'])(
    'refuses such a token without %s (RFC 9068 §2.2)',
    async (name) => {
      const { [name]: _, ...claims } = foreignClaims();
      const answer = await send(ledger.url, '/me', { token: await forgeAccess(key, claims) });
      expect(answer).toMatchObject({ status: 401, body: '{"error":"invalid_token"}' });
    },
  );

  it('refuses to rotate it, and says why', async () => {
    const answer = await send(ledger.url, '/admin/keys/rotate', { method: 'POST', token });
    expect(answer.status).toBe(409);
    expect(json(answer)).toEqual({
      error: 'static_key',
      error_description: expect.stringContaining('configured'),
    });
  });

  it('lists it as a key that signs and never retires', async () => {
    expect(json(await send(ledger.url, '/admin/keys', { token }))).toMatchObject([
      { kid: key.kid, phase: 'signing', retires_at: null },
    ]);
  });

  it('says so in its health', async () => {
    expect(json(await send(ledger.url, '/health'))).toMatchObject({ key_ring: { mode: 'static' } });
  });
});

describe.each(ADAPTERS)('the sample app on %s when something breaks', (adapter) => {
  const login = { method: 'POST', body: { username: 'alice', password: 'alice-demo' } };

  it('answers an unexpected error with 500 and nothing of it, and logs it under the id', async () => {
    const broken = { authenticate: () => Promise.reject(new Error('db.internal:5432 is down')) };
    const ledger = await startLedger(adapter, {
      override: (builder) => builder.overrideProvider(UserDirectory).useValue(broken),
    });
    const answer = await send(ledger.url, '/auth/login', login);
    expect(answer).toMatchObject({ status: 500, body: '{"error":"internal_error"}' });
    const id = requestIdOf(answer);
    expect(ledger.logs()).toContainEqual(
      expect.stringMatching(new RegExp(`request.failed requestId=${id}.*db.internal`, 's')),
    );
    await ledger.close();
  });

  it('answers a login without a key to sign with 503 and Retry-After', async () => {
    const error = new KeyError('ERR_KEY_RING_UNAVAILABLE', 'No key is ready to sign.');
    const alice = { name: 'alice', roles: [], scopes: [] };
    const ledger = await startLedger(adapter, {
      override: (builder) =>
        builder
          .overrideProvider(UserDirectory)
          .useValue({
            authenticate: () => Promise.resolve({ user: alice, stillHolds: () => true }),
          })
          .overrideProvider(TokenService)
          .useValue({ standingFor: () => Promise.reject(error) }),
    });
    const answer = await send(ledger.url, '/auth/login', login);
    expect(answer).toMatchObject({ status: 503, body: '{"error":"temporarily_unavailable"}' });
    expect(answer.headers['retry-after']).toBe('5');
    await ledger.close();
  });
});
