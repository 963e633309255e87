import { readSettings } from '../../sample-app/settings.js';
import { ConfigError, type ConfigProblem } from '../../lib/kernel/errors.js';
import { newPrivateJwk } from '../support/token-mother.js';

async function problemsOf(env: Record<string, string>): Promise<readonly ConfigProblem[]> {
  try {
    await readSettings(env);
  } catch (error) {
    if (error instanceof ConfigError) return error.problems;
    throw error;
  }
  return [];
}

describe('the settings of the sample app', () => {
  it('run with nothing configured (SAMPLE_APP)', async () => {
    await expect(readSettings({})).resolves.toMatchObject({
      port: 3000,
      httpAdapter: 'express',
      logFormat: 'pretty',
      jwt: { issuer: 'http://localhost:3000', audience: 'ledger-api' },
    });
  });

  it('name the issuer after the port', async () => {
    const { jwt } = await readSettings({ PORT: '8080' });
    expect(jwt.issuer).toBe('http://localhost:8080');
  });

  it('take every variable of the contract', async () => {
    const settings = await readSettings({
      PORT: '0',
      HTTP_ADAPTER: 'fastify',
      LOG_FORMAT: 'json',
      JWT_ISSUER: 'https://bank.example',
      JWT_AUDIENCE: 'bank-api',
      JWT_PROFILE: 'service',
      JWT_ACCESS_TTL: '5m',
      JWT_ROTATE_EVERY: '7d',
      JWT_PUBLISH_AHEAD: '2h',
      JWT_RETAIN_FOR: '3h',
    });
    expect(settings).toMatchObject({
      port: 0,
      httpAdapter: 'fastify',
      logFormat: 'json',
      jwt: {
        issuer: 'https://bank.example',
        audience: 'bank-api',
        profile: 'service',
        keys: { rotateEvery: '7d', publishAhead: '2h', retainFor: '3h' },
        tokens: { accessTtl: '5m' },
      },
    });
  });

  it('hold every token to the client it was issued to (RFC 9068 §2.2)', async () => {
    const { jwt } = await readSettings({ JWT_ACCESS_TTL: '5m' });
    expect(jwt.tokens).toEqual({
      accessTtl: '5m',
      clientId: 'ledger-web',
      requiredClaims: ['client_id'],
    });
  });

  it('take a private JWK as the signing key', async () => {
    const jwk = await newPrivateJwk();
    const { jwt } = await readSettings({ JWT_SIGNING_JWK: JSON.stringify(jwk) });
    expect(jwt.keys?.signingKey).toEqual(jwk);
  });

  it('register the client of the OAuth endpoints with its secret', async () => {
    const OAUTH_CLIENT_SECRET = '0123456789abcdef'.repeat(4);
    const { jwt } = await readSettings({ OAUTH_CLIENT_SECRET });
    expect(jwt.clients).toContainEqual({
      clientId: 'ledger-web',
      authentication: { method: 'client_secret_basic', secrets: [OAUTH_CLIENT_SECRET] },
      may: ['revoke', 'introspect'],
    });
  });

  it('register an app on a device, which has no secret and asks for nothing but logins', async () => {
    const { jwt } = await readSettings({});
    expect(jwt.clients).toContainEqual(
      expect.objectContaining({
        clientId: 'ledger-native',
        authentication: { method: 'none' },
        may: ['authorize', 'revoke'],
      }),
    );
  });

  it('give that client a secret nobody knows when none is configured', async () => {
    const secrets = await Promise.all(
      [1, 2].map(async () => {
        const { jwt } = await readSettings({});
        const [client] = jwt.clients ?? [];
        return client?.authentication.method === 'client_secret_basic'
          ? client.authentication.secrets[0]
          : undefined;
      }),
    );
    expect(new Set(secrets).size).toBe(2);
    expect(secrets.every((secret) => /^[0-9a-f]{64}$/.test(String(secret)))).toBe(true);
  });

  it.each(['', 'secret', 'A'.repeat(64), 'g'.repeat(64), '0'.repeat(63)])(
    'refuse OAUTH_CLIENT_SECRET=%j',
    async (OAUTH_CLIENT_SECRET) => {
      const problems = await problemsOf({ OAUTH_CLIENT_SECRET });
      expect(problems.map(({ path }) => path)).toEqual(['OAUTH_CLIENT_SECRET']);
    },
  );

  it('list the problems of all variables at once, our own and the library’s', async () => {
    const problems = await problemsOf({
      PORT: 'http',
      HTTP_ADAPTER: 'koa',
      LOG_FORMAT: 'xml',
      JWT_ISSUER: '',
      JWT_PROFILE: 'fast',
      JWT_ACCESS_TTL: '900',
      JWT_SIGNING_JWK: '{',
    });
    expect(problems.map(({ path }) => path)).toEqual([
      'PORT',
      'HTTP_ADAPTER',
      'LOG_FORMAT',
      'JWT_ISSUER',
      'JWT_SIGNING_JWK',
      'JWT_PROFILE',
      'JWT_ACCESS_TTL',
    ]);
    expect(problems.every(({ problem, fix }) => problem !== '' && fix !== '')).toBe(true);
  });

  it.each(['', '-1', '65536', '3000.5', '0x10', ' 3000', '99999999999', 'NaN'])(
    'refuse PORT=%j',
    async (PORT) => {
      expect((await problemsOf({ PORT })).map(({ path }) => path)).toEqual(['PORT']);
    },
  );

  it.each(['', 'Express', 'express ', 'constructor'])(
    'refuse HTTP_ADAPTER=%j',
    async (HTTP_ADAPTER) => {
      expect((await problemsOf({ HTTP_ADAPTER })).map(({ path }) => path)).toEqual([
        'HTTP_ADAPTER',
      ]);
    },
  );

  it('never repeat a value: a variable can be a secret', async () => {
    const secret = 'hunter2-hunter2';
    const variables = ['PORT', 'HTTP_ADAPTER', 'LOG_FORMAT', 'JWT_PROFILE', 'JWT_SIGNING_JWK'];
    const problems = await problemsOf(Object.fromEntries(variables.map((name) => [name, secret])));
    expect(problems).toHaveLength(variables.length);
    expect(JSON.stringify(problems)).not.toContain(secret);
  });
});
