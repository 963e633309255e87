import { randomBytes } from 'node:crypto';

import { nodeEnv, optionsFromEnvironment } from '../../lib/config/environment.js';
import { resolveConfig } from '../../lib/config/resolve-config.js';
import { newPrivateJwk } from '../support/token-mother.js';
import { pathsOf, problemsOf, refusalOf, saidOf } from './config-problems.js';

type Variables = Record<string, string | undefined>;

const REQUIRED = { JWT_ISSUER: 'https://issuer.example', JWT_AUDIENCE: 'https://api.example' };
const read = (variables: Variables = {}): ReturnType<typeof optionsFromEnvironment> =>
  optionsFromEnvironment({ ...REQUIRED, ...variables });

let jwk: Awaited<ReturnType<typeof newPrivateJwk>>;

beforeAll(async () => {
  jwk = await newPrivateJwk();
});

describe('optionsFromEnvironment', () => {
  it('reads what is required and leaves the rest to the defaults', async () => {
    expect(await read()).toEqual({
      issuer: 'https://issuer.example',
      audience: 'https://api.example',
    });
  });

  it.each([
    ['JWT_ISSUER', 'https://other.example', { issuer: 'https://other.example' }],
    ['JWT_AUDIENCE', 'other', { audience: 'other' }],
    ['JWT_PROFILE', 'service', { profile: 'service' }],
    ['JWT_PROFILE', 'monolith', { profile: 'monolith' }],
    ['JWT_PROFILE', 'highSecurity', { profile: 'highSecurity' }],
    ['JWT_PROFILE', 'native', { profile: 'native' }],
    ['JWT_ROTATE_EVERY', '7d', { keys: { rotateEvery: '7d' } }],
    ['JWT_PUBLISH_AHEAD', '2h', { keys: { publishAhead: '2h' } }],
    ['JWT_RETAIN_FOR', '2h', { keys: { retainFor: '2h' } }],
    ['JWT_ACCESS_TTL', '5m', { tokens: { accessTtl: '5m' } }],
  ])('%s=%s', async (variable, text, options) => {
    expect(await read({ [variable]: text })).toMatchObject(options);
  });

  it('JWT_SIGNING_JWK as JSON, which the resolver takes as a key', async () => {
    const options = await read({ JWT_SIGNING_JWK: JSON.stringify(jwk) });
    expect(options).toMatchObject({ keys: { signingKey: jwk } });
    const { keys } = await resolveConfig(options, 'test');
    expect(keys.staticKeys?.signing.kid).toBe(jwk.kid);
  });

  it('JWT_SIGNING_JWK that is marked for the deployment NODE_ENV names', async () => {
    const marked = JSON.stringify({ ...jwk, environment: 'production' });
    const options = await read({ JWT_SIGNING_JWK: marked, NODE_ENV: 'production' });
    expect(options).toMatchObject({ keys: { signingKey: { environment: 'production' } } });
    for (const nodeEnv of ['staging', undefined]) {
      const attempt = read({ JWT_SIGNING_JWK: marked, NODE_ENV: nodeEnv });
      expect(await saidOf(attempt)).toEqual([
        'JWT_SIGNING_JWK: it is marked for another environment',
      ]);
    }
  });

  it('JWT_KEY_ENCRYPTION_KEY as a list, the newest first', async () => {
    const keys = [1, 2].map(() => randomBytes(32).toString('base64url'));
    expect(await read({ JWT_KEY_ENCRYPTION_KEY: keys[0] })).toMatchObject({
      keys: { encryptionKeys: [keys[0]] },
    });
    const options = await read({ JWT_KEY_ENCRYPTION_KEY: keys.join(',') });
    expect(options).toMatchObject({ keys: { encryptionKeys: keys } });
    for (const bad of [`${keys[0]},`, `${keys[0]},${keys[0]}`, `${keys[0]}, ${keys[1]}`, 'null']) {
      const error = await refusalOf(read({ JWT_KEY_ENCRYPTION_KEY: bad }));
      expect(error.problems.map(({ path }) => path)).toEqual(['JWT_KEY_ENCRYPTION_KEY']);
      expect(error.message).not.toContain(keys[0]);
    }
  });

  it('JWT_TOKEN_ENCRYPTION_KEY as a list, beside a signing key of the operator', async () => {
    const [first = '', second = ''] = [1, 2].map(() => randomBytes(32).toString('base64url'));
    const JWT_SIGNING_JWK = JSON.stringify(jwk);
    const given = { JWT_SIGNING_JWK, JWT_TOKEN_ENCRYPTION_KEY: `${first},${second}` };
    expect(await read(given)).toEqual({
      ...(await read({ JWT_SIGNING_JWK })),
      tokens: { encryption: { keys: [first, second] } },
    });
    const both = await read({ ...given, JWT_ACCESS_TTL: '5m' });
    expect(both.tokens).toEqual({ accessTtl: '5m', encryption: { keys: [first, second] } });
    for (const bad of ['short', `${first},`, `${first},${first}`, 'null']) {
      const error = await refusalOf(read({ ...given, JWT_TOKEN_ENCRYPTION_KEY: bad }));
      expect(error.problems.map(({ path }) => path)).toEqual(['JWT_TOKEN_ENCRYPTION_KEY']);
      expect(error.message).not.toContain(first);
    }
    const needed = read({ JWT_SIGNING_JWK, JWT_PROFILE: 'highSecurity' });
    expect(await saidOf(needed)).toEqual([
      'JWT_TOKEN_ENCRYPTION_KEY: it is missing, and a configured signing key leaves no ring to make one',
    ]);
    expect(await problemsOf(read({ JWT_TOKEN_ENCRYPTION_KEY: first }))).toEqual([
      {
        path: 'JWT_TOKEN_ENCRYPTION_KEY',
        problem: expect.stringContaining('JWT_SIGNING_JWK'),
        fix: 'Remove it',
      },
    ]);
  });

  it('JWT_BINDING_SECRET as a list, the newest first', async () => {
    const secrets = [1, 2].map(() => randomBytes(32).toString('base64url'));
    expect(await read({ JWT_BINDING_SECRET: secrets.join(',') })).toMatchObject({
      binding: { secrets },
    });
    for (const bad of ['short', `${secrets[0]},`, 'null']) {
      const error = await refusalOf(read({ JWT_BINDING_SECRET: bad }));
      expect(error.problems.map(({ path }) => path)).toEqual(['JWT_BINDING_SECRET']);
      expect(error.message).not.toContain(secrets[0]);
    }
  });

  describe('the profile legacy', () => {
    const LEGACY = {
      JWT_PROFILE: 'legacy',
      JWT_LEGACY_SECRET: `${randomBytes(32).toString('base64')},with a comma`,
      JWT_LEGACY_UNTIL: '2026-12-31',
    };

    it('takes JWT_LEGACY_SECRET as it is, commas included, and JWT_LEGACY_UNTIL', async () => {
      expect(await read(LEGACY)).toMatchObject({
        profile: 'legacy',
        legacy: { secrets: LEGACY.JWT_LEGACY_SECRET, until: '2026-12-31' },
      });
    });

    it.each([
      [{ JWT_LEGACY_SECRET: undefined }, 'JWT_LEGACY_SECRET: it is missing'],
      [{ JWT_LEGACY_UNTIL: undefined }, 'JWT_LEGACY_UNTIL: it is missing'],
      [{ JWT_LEGACY_SECRET: 'hunter2' }, 'JWT_LEGACY_SECRET: it has fewer than 32 bytes'],
      [{ JWT_LEGACY_UNTIL: 'next year' }, 'JWT_LEGACY_UNTIL: it is a text of another form'],
      [{ JWT_LEGACY_UNTIL: '2999-01-01' }, 'JWT_LEGACY_UNTIL: it is more than 400 days ahead'],
      [{ JWT_PROFILE: 'service' }, "JWT_LEGACY_SECRET: it is set, and the profile is not 'legacy'"],
    ])('%j: %s', async (change, said) => {
      expect(await saidOf(read({ ...LEGACY, ...change }))).toEqual([said]);
    });

    it('names both that it needs', async () => {
      expect(await pathsOf(read({ JWT_PROFILE: 'legacy' }))).toEqual([
        'JWT_LEGACY_SECRET',
        'JWT_LEGACY_UNTIL',
      ]);
    });

    it('never repeats the secret', async () => {
      const error = await refusalOf(read({ ...LEGACY, JWT_LEGACY_SECRET: 's3cr3t-s3cr3t' }));
      expect(error.message).not.toContain('s3cr3t');
    });
  });

  it('JWT_TRUST_ISSUER and JWT_TRUST_JWKS_URI as one trusted issuer, and each by its name', async () => {
    const trust = {
      JWT_TRUST_ISSUER: 'https://other.example',
      JWT_TRUST_JWKS_URI: 'https://other.example/jwks',
    };
    expect(await read(trust)).toMatchObject({
      trust: [{ issuer: 'https://other.example', jwksUri: 'https://other.example/jwks' }],
    });
    expect(await pathsOf(read({ JWT_TRUST_ISSUER: trust.JWT_TRUST_ISSUER }))).toEqual([
      'JWT_TRUST_JWKS_URI',
    ]);
    expect(await pathsOf(read({ JWT_TRUST_JWKS_URI: trust.JWT_TRUST_JWKS_URI }))).toEqual([
      'JWT_TRUST_ISSUER',
    ]);
    const wrong = { ...trust, JWT_TRUST_JWKS_URI: 'http://user:s3cr3t@other.example/jwks' };
    const error = await refusalOf(read(wrong));
    expect(error.problems.map(({ path }) => path)).toEqual(['JWT_TRUST_JWKS_URI']);
    expect(error.message).not.toContain('s3cr3t');
    const own = { ...trust, JWT_TRUST_ISSUER: REQUIRED.JWT_ISSUER };
    expect(await pathsOf(read(own))).toEqual(['JWT_TRUST_ISSUER']);
  });

  it('several variables of one section', async () => {
    const variables = { JWT_ROTATE_EVERY: '7d', JWT_PUBLISH_AHEAD: '2h', JWT_RETAIN_FOR: '2h' };
    expect(await read(variables)).toMatchObject({
      keys: { rotateEvery: '7d', publishAhead: '2h', retainFor: '2h' },
    });
  });

  it('leaves variables alone that are none of its own, and unset ones', async () => {
    const options = await read({
      JWT_ISSUER_URL: 'x',
      jwt_access_ttl: '1s',
      PATH: '/bin',
      JWT_ACCESS_TTL: undefined,
    });
    expect(options).toEqual(await read());
  });

  it('by default reads the environment of the process', async () => {
    const before = process.env['JWT_ISSUER'];
    process.env['JWT_ISSUER'] = 'https://process.example';
    process.env['JWT_AUDIENCE'] = 'process';
    try {
      expect(await optionsFromEnvironment()).toEqual({
        issuer: 'https://process.example',
        audience: 'process',
      });
    } finally {
      if (before === undefined) delete process.env['JWT_ISSUER'];
      else process.env['JWT_ISSUER'] = before;
      delete process.env['JWT_AUDIENCE'];
    }
  });

  it.each([
    'JWT_ISSUER',
    'JWT_AUDIENCE',
    'JWT_PROFILE',
    'JWT_SIGNING_JWK',
    'JWT_ROTATE_EVERY',
    'JWT_PUBLISH_AHEAD',
    'JWT_RETAIN_FOR',
    'JWT_ACCESS_TTL',
    'JWT_KEY_ENCRYPTION_KEY',
    'JWT_TOKEN_ENCRYPTION_KEY',
    'JWT_BINDING_SECRET',
    'JWT_LEGACY_SECRET',
    'JWT_LEGACY_UNTIL',
    'JWT_TRUST_ISSUER',
    'JWT_TRUST_JWKS_URI',
  ])('%s set to nothing is a mistake, not a default', async (variable) => {
    expect(await problemsOf(read({ [variable]: '' }))).toEqual([
      { path: variable, problem: 'it is empty', fix: 'Give it a value, or unset it' },
    ]);
  });

  it.each([
    ['JWT_ISSUER', undefined, 'it is missing'],
    ['JWT_AUDIENCE', undefined, 'it is missing'],
    ['JWT_ISSUER', ' ', 'it is a text of another form'],
    ['JWT_PROFILE', 'production', 'it is none of its values'],
    ['JWT_ROTATE_EVERY', '30', 'it is a text of another form'],
    ['JWT_PUBLISH_AHEAD', '1 day', 'it is a text of another form'],
    ['JWT_RETAIN_FOR', '0s', 'it is too short'],
    ['JWT_ACCESS_TTL', '900', 'it is a text of another form'],
    ['JWT_ACCESS_TTL', '1500ms', 'it is not in whole seconds'],
  ])('%s=%p: %s', async (variable, text, problem) => {
    expect(await saidOf(read({ [variable]: text }))).toEqual([`${variable}: ${problem}`]);
  });

  it.each([
    ['no JSON', 'MIGHAgEAMBMGByqGSM49'],
    ['half of it', '{"kty":"EC","d":"s3cr3t-s3cr3t'],
    ['a list', '[{"kty":"EC"}]'],
    ['null', 'null'],
    ['a text', '"s3cr3t-s3cr3t"'],
    ['a JWK Set', '{"keys":[]}'],
    ['an empty object', '{}'],
    ['single quotes, as shells leave them', "'{}'"],
    ['a member twice', '{"kty":"EC","alg":"ES256","alg":"ES384"}'],
    ['a byte order mark', '\ufeff{"kty":"EC"}'],
  ])('JWT_SIGNING_JWK that is or has %s: one problem, under its name', async (_rule, text) => {
    const error = await refusalOf(read({ JWT_SIGNING_JWK: text }));
    expect(error.problems.map(({ path }) => path)).toEqual(['JWT_SIGNING_JWK']);
    expect(error.message).not.toContain('s3cr3t');
  });

  it.each([
    ['a public key', { d: undefined }, 'JWT_SIGNING_JWK'],
    ['a key for encryption', { use: 'enc' }, 'JWT_SIGNING_JWK'],
    ['no alg', { alg: undefined }, 'JWT_SIGNING_JWK'],
    ['a bad kid', { kid: 'a b' }, 'JWT_SIGNING_JWK.kid'],
  ])('JWT_SIGNING_JWK that is or has %s', async (_rule, change, path) => {
    const text = JSON.stringify({ ...jwk, ...change });
    const error = await refusalOf(read({ JWT_SIGNING_JWK: text }));
    expect(error.problems.map((problem) => problem.path)).toEqual([path]);
    expect(error.message).not.toContain(jwk['x']);
    expect(error.message).not.toContain(jwk['d']);
  });

  it('reports all problems at once, each by the name of its variable, and no value', async () => {
    const variables = {
      JWT_ISSUER: '',
      JWT_PROFILE: 's3cr3t',
      JWT_SIGNING_JWK: '{"d":"s3cr3t',
      JWT_ROTATE_EVERY: 's3cr3t',
      JWT_ACCESS_TTL: 's3cr3t',
    };
    const error = await refusalOf(optionsFromEnvironment(variables));
    expect(error.problems.map(({ path }) => path).toSorted()).toEqual([
      'JWT_ACCESS_TTL',
      'JWT_AUDIENCE',
      'JWT_ISSUER',
      'JWT_PROFILE',
      'JWT_ROTATE_EVERY',
      'JWT_SIGNING_JWK',
    ]);
    expect(error.message).not.toContain('s3cr3t');
  });

  it('names variables also where one rule speaks of another option', async () => {
    const [problem] = await problemsOf(read({ JWT_ROTATE_EVERY: '1h' }));
    expect(problem).toMatchObject({
      path: 'JWT_ROTATE_EVERY',
      problem: expect.stringContaining('JWT_PUBLISH_AHEAD'),
    });
    const [retention] = await problemsOf(read({ JWT_RETAIN_FOR: '5m' }));
    expect(retention).toMatchObject({
      path: 'JWT_RETAIN_FOR',
      fix: expect.stringContaining('JWT_ACCESS_TTL'),
    });
    const text = JSON.stringify(jwk);
    const [fixed, ...others] = await problemsOf(
      read({ JWT_SIGNING_JWK: text, JWT_ROTATE_EVERY: '7d' }),
    );
    expect(others).toEqual([]);
    expect(fixed).toMatchObject({
      path: 'JWT_ROTATE_EVERY',
      fix: expect.stringContaining('JWT_SIGNING_JWK'),
    });
  });

  it('a signing key that is no JSON and the lengths it rules out, together', async () => {
    const attempt = read({ JWT_SIGNING_JWK: 'garbage', JWT_ROTATE_EVERY: '7d' });
    expect(await pathsOf(attempt)).toContain('JWT_SIGNING_JWK');
  });
});

describe('nodeEnv', () => {
  it('is NODE_ENV of the process', () => {
    expect(nodeEnv()).toBe(process.env['NODE_ENV']);
  });
});
