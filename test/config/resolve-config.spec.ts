import { generateKeyPairSync } from 'node:crypto';

import * as fc from 'fast-check';

import { PROFILE_NAMES } from '../../lib/config/profiles.js';
import { resolveConfig, type ResolvedConfig } from '../../lib/config/resolve-config.js';
import { ConfigError } from '../../lib/kernel/errors.js';
import { ASYMMETRIC_ALGORITHMS, SIGNING_ALGORITHMS } from '../../lib/keys/algorithms.js';
import { isAvailable, type PrivateJwk } from '../../lib/keys/key-material.js';
import { KeyProtector } from '../../lib/keys/key-protector.js';
import { memoryStorage } from '../../lib/storage/memory/memory-storage.js';
import { newPrivateJwk } from '../support/token-mother.js';
import { pathsOf, problemsOf, refusalOf, REQUIRED, resolve, saidOf } from './config-problems.js';

const MINUTE = 60_000;
const HOUR = 60 * MINUTE;
const DAY = 24 * HOUR;

/** Options with one value at a dotted path. */
function at(path: string, value: unknown): object {
  const [section = '', ...rest] = path.split('.');
  return { [section]: rest.length === 0 ? value : at(rest.join('.'), value) };
}

/** A list of the right length with nothing in it: `every` finds no fault with it. */
const HOLES: string[] = [];
HOLES.length = 2;

let jwk: PrivateJwk;
let pem: string;

beforeAll(async () => {
  jwk = { ...(await newPrivateJwk()), kid: 'mine' };
  const { privateKey } = generateKeyPairSync('ed25519');
  pem = privateKey.export({ type: 'pkcs8', format: 'pem' }).toString();
});

describe('the defaults', () => {
  it('are the documented ones', async () => {
    const { keys, tokens, storage, trust } = await resolve();
    expect(keys).toEqual({
      algorithms: ['ES256'],
      staticKeys: null,
      owner: { issuer: REQUIRED.issuer, environment: 'test' },
      protector: expect.any(KeyProtector),
      vault: null,
      encryption: null,
      // A storage in this process is always heard of.
      maxLag: Infinity,
      onStale: 'reject',
      rotateEvery: 30 * DAY,
      publishAhead: DAY,
      retainFor: DAY,
      jwksMaxAge: 5 * MINUTE,
    });
    expect(tokens).toEqual({
      issuer: REQUIRED.issuer,
      audiences: [REQUIRED.audience],
      accessTtl: 900,
      maxLifetime: 3600,
      leeway: 10,
      lifetimeJitter: 0,
      clientId: null,
      requiredClaims: [],
      allowClaims: new Set(),
      verifiedCacheEntries: 10_000,
      derivationPeriod: null,
      trusted: [],
      encryption: null,
      legacy: null,
    });
    expect(trust).toEqual([]);
    expect(keys.protector.isClear).toBe(false);
    expect(storage.name).toBe('memoryStorage()');
  });

  it('are the same for an option that is undefined, and for empty sections', async () => {
    const undefinedOptions = {
      profile: undefined,
      keys: {
        algorithm: undefined,
        signingKey: undefined,
        previousKeys: undefined,
        vault: undefined,
        encryptionKeys: undefined,
        environment: undefined,
        derivation: undefined,
        rotateEvery: undefined,
      },
      tokens: { accessTtl: undefined, clientId: undefined, verifiedCache: undefined },
      storage: undefined,
      outage: undefined,
      trust: undefined,
    };
    const [plain, emptied, undef] = await Promise.all([
      resolve(),
      resolve({ keys: {}, tokens: { verifiedCache: {} }, outage: {}, trust: [] }),
      resolve(undefinedOptions),
    ]);
    // What seals the ring is random, and another one for every configuration.
    const known = ({ keys: { protector: _, ...keys }, tokens, trust }: ResolvedConfig): unknown => [
      keys,
      tokens,
      trust,
    ];
    expect(known(emptied)).toEqual(known(plain));
    expect(known(undef)).toEqual(known(plain));
    const sealed = await plain.keys.protector.seal('{}');
    await expect(emptied.keys.protector.open(sealed)).rejects.toMatchObject({
      code: 'ERR_KEY_RING_UNREADABLE',
    });
  });

  it.each([
    [undefined, 'print'],
    ['development', 'print'],
    ['production', 'silent'],
    ['test', 'silent'],
    ['staging', 'silent'],
    ['', 'silent'],
  ])('print the route table for NODE_ENV %j: %s', async (nodeEnv, printRoutes) => {
    const storage = memoryStorage({ dangerouslyAllowInProduction: true });
    const options = { ...REQUIRED, storage };
    expect(await resolveConfig(options, nodeEnv)).toMatchObject({ printRoutes });
  });

  it('give every configuration a storage of its own', async () => {
    const [first, second] = [await resolve(), await resolve()];
    expect(first.storage).not.toBe(second.storage);
  });
});

describe('accepted', () => {
  const ROWS: readonly (readonly [path: string, value: unknown])[] = [
    ['issuer', 'https://auth.example.com/tenant/1?x=y#z'],
    ['issuer', 'accounts'],
    ['issuer', 'i'.repeat(2_048)],
    ['audience', 'api'],
    ['audience', ['api']],
    ['audience', ['api', 'admin-api']],
    ['audience', 'a'.repeat(255)],
    ['audience', 'Zürich API'],
    ['profile', 'service'],
    ['profile', 'monolith'],
    ['profile', 'highSecurity'],
    ['profile', 'native'],
    ...ASYMMETRIC_ALGORITHMS.filter(isAvailable).map(
      (algorithm) => ['keys.algorithm', algorithm] as const,
    ),
    ['keys.rotateEvery', '400d'],
    ['keys.rotateEvery', '86400001ms'],
    ['keys.retainFor', '400d'],
    ['keys.jwksMaxAge', '0s'],
    ['tokens.accessTtl', '1s'],
    ['tokens.accessTtl', '1000ms'],
    ['tokens.accessTtl', '2h'],
    ['tokens.maxLifetime', '15m'],
    ['tokens.maxLifetime', '86390s'],
    ['tokens.leeway', '0s'],
    ['tokens.leeway', '60s'],
    ['tokens.leeway', '1m'],
    ['tokens.leeway', '1500ms'],
    ['tokens.lifetimeJitter', '450s'],
    ['tokens.clientId', 'web'],
    ['tokens.requiredClaims', []],
    ['tokens.requiredClaims', ['client_id', 'sid']],
    ['tokens.allowClaims', ['email', 'profile.email']],
    ['tokens.verifiedCache', null],
    ['tokens.verifiedCache', {}],
    ['tokens.verifiedCache.maxEntries', 1],
    ['tokens.verifiedCache.maxEntries', 10_000_000],
    ['storage', memoryStorage()],
  ];

  it.each(ROWS)('%s %j', async (path, value) => {
    await expect(resolve(at(path, value))).resolves.toHaveProperty('tokens.issuer');
  });

  it('converts lengths of tokens to seconds, of keys to milliseconds', async () => {
    const { tokens, keys } = await resolve({
      tokens: { accessTtl: '5m', maxLifetime: '10m', leeway: '30s', lifetimeJitter: '1m' },
      keys: { rotateEvery: '7d', publishAhead: '2h', retainFor: '1h', jwksMaxAge: '10m' },
    });
    expect(tokens).toMatchObject({
      accessTtl: 300,
      maxLifetime: 600,
      leeway: 30,
      lifetimeJitter: 60,
    });
    expect(keys).toMatchObject({
      rotateEvery: 7 * DAY,
      publishAhead: 2 * HOUR,
      retainFor: HOUR,
      jwksMaxAge: 10 * MINUTE,
    });
  });

  it('a list of audiences without repetition', async () => {
    const { tokens } = await resolve({ audience: ['a', 'b', 'a'] });
    expect(tokens.audiences).toEqual(['a', 'b']);
  });

  it('a null cache as none', async () => {
    expect(await resolve({ tokens: { verifiedCache: null } })).toMatchObject({
      tokens: { verifiedCacheEntries: 0 },
    });
  });

  it.each([
    ['a JWK', () => jwk, 'ES256', 'mine'],
    ['a PEM', () => ({ pem, algorithm: 'Ed25519', kid: 'pem-1' }), 'Ed25519', 'pem-1'],
  ])('%s as signing key, which decides the algorithm', async (_kind, key, algorithm, kid) => {
    const { keys } = await resolve({ keys: { signingKey: key() } });
    expect(keys.algorithms).toEqual([algorithm]);
    expect(keys.staticKeys).toMatchObject({
      signing: { kid, row: { name: algorithm } },
      previous: [],
    });
  });

  it('a signing key that leaves its algorithm to keys.algorithm', async () => {
    const { alg: _, ...unnamed } = jwk;
    const { keys } = await resolve({ keys: { algorithm: 'ES256', signingKey: unnamed } });
    expect(keys.staticKeys?.signing.row.name).toBe('ES256');
    const named = await resolve({ keys: { algorithm: 'EdDSA', signingKey: { pem } } });
    expect(named.keys.algorithms).toEqual(['EdDSA']);
  });
});

describe('refused, with what it is and what to write instead', () => {
  const NOT_A_DURATION = [900, '', '15', '15 m', '-15m', '1.5h', 'soon', null, true, ['15m'], {}];
  const DURATIONS = [
    'keys.rotateEvery',
    'keys.publishAhead',
    'keys.retainFor',
    'keys.jwksMaxAge',
    'tokens.accessTtl',
    'tokens.maxLifetime',
    'tokens.leeway',
    'tokens.lifetimeJitter',
  ];

  it.each(DURATIONS.flatMap((path) => NOT_A_DURATION.map((value) => [path, value] as const)))(
    '%s %j, which is no duration',
    async (path, value) => {
      const [problem, ...others] = await problemsOf(resolve(at(path, value)));
      expect(others).toEqual([]);
      expect(problem).toEqual({
        path,
        problem: expect.stringMatching(/^it is (?:a |an |null)/),
        fix: expect.stringContaining("such as '15m'"),
      });
    },
  );

  it.each([
    ['keys.rotateEvery', '0s', 'it is too short'],
    ['keys.rotateEvery', '999ms', 'it is too short'],
    ['keys.rotateEvery', '401d', 'it is too long'],
    ['keys.publishAhead', '0s', 'it is too short'],
    ['keys.publishAhead', '104249991d', 'it is too long'],
    ['keys.retainFor', '0s', 'it is too short'],
    ['keys.retainFor', '401d', 'it is too long'],
    ['keys.jwksMaxAge', '25h', 'it is too long'],
    ['tokens.accessTtl', '0s', 'it is too short'],
    ['tokens.accessTtl', '999ms', 'it is too short'],
    ['tokens.accessTtl', '1500ms', 'it is not in whole seconds'],
    ['tokens.accessTtl', '25h', 'it is too long'],
    ['tokens.maxLifetime', '0s', 'it is too short'],
    ['tokens.maxLifetime', '900001ms', 'it is not in whole seconds'],
    ['tokens.maxLifetime', '365d', 'it is too long'],
    ['tokens.leeway', '61s', 'it is too long'],
    ['tokens.leeway', '60001ms', 'it is too long'],
    ['tokens.lifetimeJitter', '1500ms', 'it is not in whole seconds'],
    ['tokens.lifetimeJitter', '451s', 'it is more than half of tokens.accessTtl'],
    ['issuer', undefined, 'it is missing'],
    ['issuer', null, 'it is null'],
    ['issuer', '', 'it is an empty text'],
    ['issuer', 42, 'it is a number'],
    ['issuer', ['https://issuer.example'], 'it is a list'],
    ['issuer', 'https://issuer.example ', 'it is a text of another form'],
    ['issuer', 'https://issuer.example\n', 'it is a text of another form'],
    ['issuer', 'https://émetteur.example', 'it is a text of another form'],
    ['issuer', 'i'.repeat(2_049), 'it is a text of another form'],
    ['audience', undefined, 'it is missing'],
    ['audience', null, 'it is null'],
    ['audience', '', 'it is an empty text'],
    ['audience', [], 'it is an empty list'],
    ['audience', ['api', ''], 'it is a list'],
    ['audience', ['api', 42], 'it is a list'],
    ['audience', [['api']], 'it is a list'],
    ['audience', 'a'.repeat(256), 'it is a text of another form'],
    ['audience', 'api\u0000', 'it is a text of another form'],
    ['audience', 'api\ud800', 'it is a text of another form'],
    ['audience', { api: true }, 'it is an object'],
    ['audience', HOLES, 'it is a list'],
    ['tokens.clientId', '', 'it is an empty text'],
    ['tokens.clientId', null, 'it is null'],
    ['tokens.clientId', 'a\nb', 'it is a text of another form'],
    ['tokens.requiredClaims', 'client_id', 'it is a text of another form'],
    ['tokens.requiredClaims', [''], 'it is a list'],
    ['tokens.requiredClaims', [1], 'it is a list'],
    ['tokens.requiredClaims', null, 'it is null'],
    ['tokens.requiredClaims', new Set(['sid']), 'it is an object'],
    ['tokens.requiredClaims', HOLES, 'it is a list'],
    ['tokens.allowClaims', 'email', 'it is a text of another form'],
    ['tokens.allowClaims', [null], 'it is a list'],
    ['tokens.verifiedCache', false, 'it is a boolean'],
    ['tokens.verifiedCache', true, 'it is a boolean'],
    ['tokens.verifiedCache', 100, 'it is a number'],
    ['tokens.verifiedCache', [], 'it is an empty list'],
    ['tokens.verifiedCache.maxEntries', 0, 'it is a number'],
    ['tokens.verifiedCache.maxEntries', -1, 'it is a number'],
    ['tokens.verifiedCache.maxEntries', 1.5, 'it is a number'],
    ['tokens.verifiedCache.maxEntries', Number.NaN, 'it is a number'],
    ['tokens.verifiedCache.maxEntries', Infinity, 'it is a number'],
    ['tokens.verifiedCache.maxEntries', 10_000_001, 'it is a number'],
    ['tokens.verifiedCache.maxEntries', '100', 'it is a text of another form'],
    ['tokens.verifiedCache.maxEntries', null, 'it is null'],
    ['tokens', null, 'it is null'],
    ['tokens', 'accessTtl=5m', 'it is a text of another form'],
    ['tokens', [], 'it is an empty list'],
    ['tokens', () => ({}), 'it is a function'],
    ['keys', 1, 'it is a number'],
    ['keys', [{}], 'it is a list'],
    ['keys.signingKey', null, 'it is null'],
    ['keys.signingKey', 'a PEM that was not wrapped', 'it is a text of another form'],
    ['keys.signingKey', [], 'it is an empty list'],
    ['keys.signingKey', true, 'it is a boolean'],
    ['keys.signingKey', {}, 'it names no alg'],
    ['storage', null, 'it is null'],
    ['storage', 'memory', 'it is a text of another form'],
    ['storage', {}, 'it is an object'],
    ['storage', { name: 'mine', keyStore: new Map() }, 'it is an object'],
    ['storage', memoryStorage, 'it is a function'],
  ])('%s %j: %s', async (path, value: unknown, problem) => {
    const problems = await problemsOf(resolve(at(path, value)));
    expect(problems).toEqual([{ path, problem, fix: expect.stringMatching(/^[A-Z].{5}/) }]);
  });

  it.each([
    ['profile', ['monolit', 'highsecurity', '', null, 1, 'SERVICE', ['service'], {}]],
    ['outage.onStale', ['accept', 'REJECT', '', null, true, ['reject']]],
    ['keys.algorithm', ['HS512', 'none', 'es256', '', null, 256, {}, 'constructor']],
  ])('%s that is none of its values', async (path, values) => {
    for (const value of values) {
      const problems = await problemsOf(resolve(at(path, value)));
      expect(problems).toEqual([
        { path, problem: 'it is none of its values', fix: expect.stringMatching(/^Write /) },
      ]);
    }
  });

  it.each([
    [undefined, 'it is missing'],
    [null, 'it is null'],
    [42, 'it is a number'],
    ['issuer', 'it is a text of another form'],
    ['', 'it is an empty text'],
    [[], 'it is an empty list'],
    [[REQUIRED], 'it is a list'],
    [() => REQUIRED, 'it is a function'],
    [Symbol('options'), 'it is a symbol'],
  ])('%p instead of options: %s', async (options, problem) => {
    expect(await saidOf(resolveConfig(options, 'test'))).toContain(`options: ${problem}`);
  });

  it('options that are only inherited: a prototype is not what somebody wrote', async () => {
    expect(await pathsOf(resolveConfig(Object.create(REQUIRED), 'test'))).toEqual([
      'issuer',
      'audience',
    ]);
  });
});

describe('an unknown option is refused with the nearest known name', () => {
  it.each([
    ['isuer', 'issuer'],
    ['Issuer', 'issuer'],
    ['audiance', 'audience'],
    ['audiences', 'audience'],
    ['key', 'keys'],
    ['token', 'tokens'],
    ['storge', 'storage'],
    ['profil', 'profile'],
    ['keys.alg', 'vault'],
    ['keys.algorithim', 'algorithm'],
    ['keys.algorithms', 'algorithm'],
    ['keys.signingkey', 'signingKey'],
    ['keys.rotateevery', 'rotateEvery'],
    ['keys.publishahead', 'publishAhead'],
    ['keys.retainfor', 'retainFor'],
    ['keys.jwksMaxage', 'jwksMaxAge'],
    ['tokens.accessTTL', 'accessTtl'],
    ['tokens.maxLifeTime', 'maxLifetime'],
    ['tokens.leway', 'leeway'],
    ['tokens.clientID', 'clientId'],
    ['tokens.requiredClaim', 'requiredClaims'],
    ['tokens.allowedClaims', 'allowClaims'],
    ['tokens.verifiedcache', 'verifiedCache'],
    ['tokens.verifiedCache.maxEntry', 'maxEntries'],
    ['tokens.verifiedCache.max', ''],
    ['something', ''],
    ['constructor', ''],
    ['tokens.ignoreExpiration', ''],
  ])('%s: %s', async (path, nearest) => {
    const problems = await problemsOf(resolve(at(path, '1d')));
    const fix =
      nearest === '' ? /^Known are / : new RegExp(`^Did you mean ${nearest}\\? Known are`);
    expect(problems).toEqual([
      { path, problem: 'it is not an option', fix: expect.stringMatching(fix) },
    ]);
  });

  it.each(['guard', 'isGlobal', 'jwksPath'])(
    '%s, which stands beside the options, is not one of them',
    async (name) => {
      expect(await saidOf(resolve({ [name]: 'manual' }))).toEqual([`${name}: it is not an option`]);
    },
  );

  it('__proto__, though assigning it would set nothing', async () => {
    const options: unknown = JSON.parse('{"__proto__":{"issuer":"evil"},"tokens":{"__proto__":1}}');
    expect(await saidOf(resolveConfig(options, 'test'))).toEqual(
      expect.arrayContaining([
        '__proto__: it is not an option',
        'tokens.__proto__: it is not an option',
        'issuer: it is missing',
      ]),
    );
  });

  it('in a signing key in PEM; a JWK may have more members (RFC 7517 §4)', async () => {
    const typo = { pem, algorithm: 'EdDSA', kidd: 'mine' };
    expect(await saidOf(resolve({ keys: { signingKey: typo } }))).toEqual([
      'keys.signingKey.kidd: it is not an option',
    ]);
    await expect(
      resolve({ keys: { signingKey: { ...jwk, ext: true, comment: 'mine' } } }),
    ).resolves.toHaveProperty('keys.algorithms', ['ES256']);
  });
});

describe('all problems are reported at once', () => {
  it('with one path each, none twice', async () => {
    const error = await refusalOf(
      resolveConfig(
        {
          issuer: '',
          audiance: 'api',
          profile: 'monolit',
          keys: {
            algorithm: 'HS256',
            rotateEvery: 30,
            publishAhead: '1 day',
            retainFor: '0s',
            jwksMaxAge: null,
            rotate: true,
          },
          tokens: {
            accessTtl: 900,
            maxLifetime: '1.5h',
            leeway: '2m',
            lifetimeJitter: '1500ms',
            clientId: '',
            requiredClaims: 'sid',
            allowClaims: [''],
            verifiedCache: { maxEntries: 0, max: 1 },
            ttl: '1h',
          },
          storage: 'redis',
        },
        'test',
      ),
    );
    const paths = error.problems.map(({ path }) => path);
    expect(paths.toSorted()).toEqual(
      [
        'issuer',
        'audience',
        'audiance',
        'profile',
        'keys.algorithm',
        'keys.rotateEvery',
        'keys.publishAhead',
        'keys.retainFor',
        'keys.jwksMaxAge',
        'keys.rotate',
        'tokens.accessTtl',
        'tokens.maxLifetime',
        'tokens.leeway',
        'tokens.lifetimeJitter',
        'tokens.clientId',
        'tokens.requiredClaims',
        'tokens.allowClaims',
        'tokens.verifiedCache.maxEntries',
        'tokens.verifiedCache.max',
        'tokens.ttl',
        'storage',
      ].toSorted(),
    );
    expect(error.code).toBe('ERR_CONFIG_INVALID');
    for (const { path, problem, fix } of error.problems) {
      expect(error.message).toContain(`  - ${path}: ${problem}. ${fix}`);
    }
  });

  it('also those of a signing key that cannot be read, with the lengths it rules out', async () => {
    const attempt = resolve({
      keys: { signingKey: { ...jwk, d: undefined }, rotateEvery: '1d', retainFor: '1s' },
      tokens: { leeway: 10 },
    });
    expect((await pathsOf(attempt)).toSorted()).toEqual(
      ['keys.signingKey', 'keys.rotateEvery', 'keys.retainFor', 'tokens.leeway'].toSorted(),
    );
  });

  it.each([
    [
      'keys.signingKey',
      { keys: { signingKey: {} }, tokens: { accessTtl: '1d', maxLifetime: '1d' } },
    ],
    ['tokens.accessTtl', { tokens: { accessTtl: 300, maxLifetime: '5m' } }],
    ['tokens.accessTtl', { tokens: { accessTtl: 7200, lifetimeJitter: '10m' } }],
    ['tokens.leeway', { tokens: { leeway: 1 }, keys: { jwksMaxAge: '9s', publishAhead: '11s' } }],
    ['keys.publishAhead', { keys: { publishAhead: 60, rotateEvery: '1h', jwksMaxAge: '10s' } }],
    ['keys.retainFor', { keys: { retainFor: '1 week' }, tokens: { maxLifetime: '1d' } }],
  ])('and one mistake in %s does not look like several', async (path, options) => {
    expect(await pathsOf(resolve(options))).toEqual([path]);
  });
});

describe('refused at start (SEMANTICS 2)', () => {
  const keys = (options: object, tokens: object = {}): Promise<unknown> =>
    resolve({ keys: options, tokens });

  it('publish-ahead not longer than the JWKS max-age plus leeway', async () => {
    const equal = { publishAhead: '310s', jwksMaxAge: '5m' };
    const [problem, ...others] = await problemsOf(keys(equal));
    expect(others).toEqual([]);
    expect(problem?.path).toBe('keys.publishAhead');
    expect(problem?.fix).toContain("'310s'");
    await expect(keys({ ...equal, publishAhead: '310001ms' })).resolves.toBeDefined();
    expect(await pathsOf(keys({ ...equal, publishAhead: '311s' }, { leeway: '11s' }))).toEqual([
      'keys.publishAhead',
    ]);
    await expect(keys({ publishAhead: '11s' }, { leeway: '10s' })).resolves.toBeDefined();
    expect(await pathsOf(keys({ publishAhead: '10s' }, { leeway: '10s' }))).toEqual([
      'keys.publishAhead',
    ]);
  });

  it('by default keeps the JWKS for less when publish-ahead leaves less room', async () => {
    expect(await keys({ publishAhead: '1m' })).toMatchObject({ keys: { jwksMaxAge: 49_000 } });
  });

  it('rotation not longer than publish-ahead', async () => {
    expect(await pathsOf(keys({ rotateEvery: '1d' }))).toEqual(['keys.rotateEvery']);
    expect(await pathsOf(keys({ rotateEvery: '1h', publishAhead: '2h' }))).toEqual([
      'keys.rotateEvery',
    ]);
    await expect(keys({ rotateEvery: '86400001ms' })).resolves.toBeDefined();
  });

  it('both at once', async () => {
    const lengths = { publishAhead: '5m', jwksMaxAge: '5m', rotateEvery: '1m' };
    expect((await pathsOf(keys(lengths))).toSorted()).toEqual([
      'keys.publishAhead',
      'keys.rotateEvery',
    ]);
  });

  it('retention shorter than the longest token plus leeway', async () => {
    const tokens = { accessTtl: '15m', maxLifetime: '15m', leeway: '10s' };
    const [problem, ...others] = await problemsOf(keys({ retainFor: '909s' }, tokens));
    expect(others).toEqual([]);
    expect(problem?.path).toBe('keys.retainFor');
    expect(problem?.fix).toContain("'910s'");
    await expect(keys({ retainFor: '910s' }, tokens)).resolves.toBeDefined();
    // The longest token is the longest that is accepted, not the default one.
    expect(await pathsOf(keys({ retainFor: '910s' }, { maxLifetime: '901s' }))).toEqual([
      'keys.retainFor',
    ]);
    expect(await pathsOf(keys({ retainFor: '5m' }))).toEqual(['keys.retainFor']);
    expect(await pathsOf(keys({ retainFor: '1s' }, { leeway: '1m' }))).toEqual(['keys.retainFor']);
    expect(await pathsOf(keys({}, { accessTtl: '1d' }))).toEqual(['keys.retainFor']);
  });

  it('by default accepts no longer tokens than the retention covers', async () => {
    expect(await keys({ retainFor: '30m' })).toMatchObject({ tokens: { maxLifetime: 1_790 } });
    expect(await keys({}, { accessTtl: '2h' })).toMatchObject({ tokens: { maxLifetime: 7_200 } });
  });

  it('tokens that would live longer than any token may', async () => {
    expect(await pathsOf(keys({}, { accessTtl: '2h', maxLifetime: '1h' }))).toEqual([
      'tokens.maxLifetime',
    ]);
  });

  it('lengths of a rotation beside a key that never rotates', async () => {
    const lengths = { rotateEvery: '30d', publishAhead: '1d', retainFor: '1d' };
    expect(await pathsOf(keys({ signingKey: jwk, ...lengths }))).toEqual([
      'keys.rotateEvery',
      'keys.publishAhead',
      'keys.retainFor',
    ]);
    await expect(
      keys({ signingKey: jwk, jwksMaxAge: '1d' }, { accessTtl: '1d', maxLifetime: '1d' }),
    ).resolves.toBeDefined();
  });

  it.each([
    ['the algorithm of a JWK contradicts keys.algorithm', () => ({ ...jwk }), 'ES384'],
    ['it contradicts it within one key type', () => ({ ...jwk, alg: 'ES384' }), 'ES256'],
    ['the algorithm of a PEM contradicts it', () => ({ pem, algorithm: 'EdDSA' }), 'Ed25519'],
  ])('a key used with another algorithm than its own: %s', async (_rule, key, algorithm) => {
    expect(await pathsOf(keys({ signingKey: key(), algorithm }))).toEqual(['keys.algorithm']);
  });

  it.each([
    ['a public key', () => ({ ...jwk, d: undefined }), /private part/],
    ['a key for encryption', () => ({ ...jwk, use: 'enc' }), /use is not/],
    ['a key whose parts differ', async () => ({ ...jwk, d: (await newPrivateJwk()).d }), /differ/],
    ['a short RSA key', () => ({ ...rsa(1024), alg: 'RS256' }), /2048 bits/],
    ['an RSA key with a small exponent', () => ({ ...rsa(2048, 3), alg: 'RS256' }), /exponent/],
    ['a PEM that is not one', () => ({ pem: 'MIGH', algorithm: 'ES256' }), /PEM block/],
    ['a PEM without an algorithm', () => ({ pem }), /algorithm is not on offer/],
    ['a PEM of another algorithm', () => ({ pem, algorithm: 'ES256' }), /not a key for ES256/],
  ])('a key unfit to sign: %s', async (_rule, key, reason) => {
    const [problem, ...others] = await problemsOf(keys({ signingKey: await key() }));
    expect(others).toEqual([]);
    expect(problem).toMatchObject({
      path: 'keys.signingKey',
      problem: expect.stringMatching(reason),
    });
  });

  it.each([
    ['kid', () => ({ ...jwk, kid: 'a b' })],
    ['kid', () => ({ ...jwk, kid: '' })],
    ['kid', () => ({ ...jwk, kid: null })],
    ['kid', () => ({ ...jwk, kid: 7 })],
    ['kid', () => ({ pem, algorithm: 'EdDSA', kid: 'a/b' })],
    ['pem', () => ({ pem: 7, algorithm: 'EdDSA' })],
    ['pem', () => ({ pem: null, algorithm: 'EdDSA' })],
  ])('a signing key with a bad %s', async (member, key) => {
    expect(await pathsOf(keys({ signingKey: key() }))).toEqual([`keys.signingKey.${member}`]);
  });
});

function rsa(modulusLength: number, publicExponent = 65537): object {
  const { privateKey } = generateKeyPairSync('rsa', { modulusLength, publicExponent });
  return privateKey.export({ format: 'jwk' });
}

describe('the configuration', () => {
  it('is frozen, with everything in it', async () => {
    const config = await resolve({
      audience: ['a', 'b'],
      keys: { signingKey: jwk },
      tokens: { requiredClaims: ['sid'], allowClaims: ['email'] },
    });
    const { keys, tokens, storage } = config;
    for (const part of [config, keys, tokens, storage, tokens.audiences, tokens.requiredClaims]) {
      expect(Object.isFrozen(part)).toBe(true);
    }
  });

  it('does not follow what is done to the options afterwards', async () => {
    const audience = ['api'];
    const requiredClaims = ['sid'];
    const allowClaims = ['email'];
    const { tokens } = await resolve({ audience, tokens: { requiredClaims, allowClaims } });
    audience.push('other');
    requiredClaims.length = 0;
    allowClaims.push('password');
    expect(tokens).toMatchObject({ audiences: ['api'], requiredClaims: ['sid'] });
    expect(tokens.allowClaims).toEqual(new Set(['email']));
  });
});

describe('resolveConfig is total', () => {
  const fail = (): never => {
    throw new RangeError('a getter of the application');
  };
  const throwing = (name: string): object =>
    Object.defineProperty({}, name, { get: fail, enumerable: true });
  const hostileProxy = new Proxy(
    {},
    { get: fail, has: fail, ownKeys: fail, getOwnPropertyDescriptor: fail },
  );
  const revoked = Proxy.revocable({}, {});
  revoked.revoke();

  it.each([
    [
      'a getter that throws',
      {
        ...REQUIRED,
        get issuer() {
          return fail();
        },
      },
    ],
    ['a getter that throws in keys', { ...REQUIRED, keys: throwing('algorithm') }],
    ['a getter that throws in tokens', { ...REQUIRED, tokens: throwing('accessTtl') }],
    [
      'a getter that throws in a list',
      { ...REQUIRED, audience: Object.defineProperty(['a'], 0, { get: fail }) },
    ],
    [
      'a getter that throws in a list of claims',
      { ...REQUIRED, tokens: { allowClaims: Object.defineProperty(['a'], 0, { get: fail }) } },
    ],
    [
      'a getter that throws in the signing key',
      { ...REQUIRED, keys: { signingKey: throwing('d') } },
    ],
    ['a proxy that throws', hostileProxy],
    ['a proxy that throws in keys', { ...REQUIRED, keys: hostileProxy }],
    ['a proxy that throws in the cache', { ...REQUIRED, tokens: { verifiedCache: hostileProxy } }],
    [
      'a proxy that throws for the signing key',
      { ...REQUIRED, keys: { signingKey: hostileProxy } },
    ],
    ['a proxy that throws for the storage', { ...REQUIRED, storage: hostileProxy }],
    ['a revoked proxy', revoked.proxy],
    ['a revoked proxy for the audience', { ...REQUIRED, audience: revoked.proxy }],
  ])('for %s', async (_rule, options) => {
    await expect(resolveConfig(options, 'test')).rejects.toBeInstanceOf(ConfigError);
  });

  const SECRET = 'hunter2-SECRET-hunter2';
  const anything = fc.anything({
    withBigInt: true,
    withBoxedValues: true,
    withDate: true,
    withMap: true,
    withNullPrototype: true,
    withObjectString: true,
    withSet: true,
    withSparseArray: true,
    withTypedArray: true,
    maxDepth: 3,
  });
  const durations = fc.constantFrom('0s', '1s', '10s', '15m', '1h', '1d', '30d', '400d');
  const value = fc.oneof(anything, durations, fc.constant(SECRET), fc.constant([SECRET]));
  const signingKey = fc.oneof(
    value,
    fc.record(
      {
        kty: fc.constantFrom('EC', 'RSA', 'OKP', 'oct'),
        crv: fc.constantFrom('P-256', 'Ed25519', SECRET),
        alg: fc.oneof(fc.constantFrom(...SIGNING_ALGORITHMS), value),
        kid: fc.oneof(fc.constant('mine'), value),
        use: fc.oneof(fc.constant('sig'), value),
        key_ops: fc.oneof(fc.constant(['sign']), value),
        d: value,
        x: value,
        y: value,
        n: value,
        e: value,
        k: fc.constant(SECRET),
      },
      { requiredKeys: [] },
    ),
    fc.record({ pem: value, algorithm: value }, { requiredKeys: ['pem'] }),
  );
  const trusted = fc.record(
    {
      issuer: fc.oneof(fc.constantFrom('https://issuer.example', 'https://other.example'), value),
      jwksUri: fc.oneof(fc.constant(`https://other.example/${SECRET}`), fc.webUrl(), value),
      audience: value,
      algorithms: fc.oneof(value, fc.array(fc.constantFrom(...SIGNING_ALGORITHMS))),
      tokenTypes: value,
      maxLifetime: value,
      requiredClaims: value,
      pins: fc.oneof(value, fc.record({ publicKeys: value })),
      cacheFor: value,
      staleFor: value,
      timeout: value,
      cooldown: value,
    },
    { requiredKeys: [] },
  );
  const options = fc.oneof(
    anything,
    fc.record(
      {
        issuer: fc.oneof(fc.constant('https://issuer.example'), value),
        audience: fc.oneof(fc.constant('api'), value),
        profile: fc.oneof(fc.constantFrom(...PROFILE_NAMES), value),
        keys: fc.oneof(
          value,
          fc.record(
            {
              algorithm: fc.oneof(fc.constantFrom(...SIGNING_ALGORITHMS), value),
              signingKey,
              rotateEvery: value,
              publishAhead: value,
              retainFor: value,
              jwksMaxAge: value,
              previousKeys: fc.oneof(value, fc.array(signingKey, { maxLength: 3 })),
              vault: value,
              encryptionKeys: fc.oneof(value, fc.array(value, { maxLength: 3 })),
              environment: value,
              derivation: fc.oneof(value, fc.record({ period: value })),
            },
            { requiredKeys: [] },
          ),
        ),
        tokens: fc.oneof(
          value,
          fc.record(
            {
              accessTtl: value,
              maxLifetime: value,
              leeway: value,
              lifetimeJitter: value,
              clientId: value,
              requiredClaims: value,
              allowClaims: value,
              verifiedCache: fc.oneof(value, fc.record({ maxEntries: value })),
              encryption: fc.oneof(value, fc.record({ accept: value, keys: value })),
            },
            { requiredKeys: [] },
          ),
        ),
        storage: fc.oneof(fc.constant(undefined), value),
        outage: fc.oneof(value, fc.record({ maxLag: value, onStale: value })),
        trust: fc.oneof(value, fc.array(fc.oneof(value, trusted), { maxLength: 3 })),
        binding: fc.oneof(
          value,
          fc.record(
            {
              dpop: value,
              mtls: value,
              required: fc.oneof(value, fc.array(value, { maxLength: 2 })),
              secrets: value,
            },
            { requiredKeys: [] },
          ),
        ),
        legacy: fc.oneof(
          value,
          fc.record(
            {
              secrets: fc.oneof(value, fc.uint8Array({ maxLength: 40 })),
              until: fc.oneof(fc.constant('2026-12-31'), value),
              issuer: value,
              audience: value,
              kid: value,
              subject: value,
              maxLifetime: value,
              dangerouslyAllowWeakSecrets: fc.oneof(fc.boolean(), value),
            },
            { requiredKeys: [] },
          ),
        ),
      },
      { requiredKeys: [] },
    ),
  );

  it('any input resolves or is refused with problems that say where, what and how', async () => {
    let refused = 0;
    await fc.assert(
      fc.asyncProperty(options, async (input) => {
        const outcome: unknown = await resolveConfig(input, 'test').catch(
          (error: unknown) => error,
        );
        if (outcome instanceof ConfigError) refused++;
        expect(outcome instanceof Error ? outcome.name : 'resolved').toMatch(
          /^(?:Config|resolved)/,
        );
        const { problems, message } =
          outcome instanceof ConfigError ? outcome : { problems: [], message: '' };
        const rules = {
          'one problem for a path':
            new Set(problems.map(({ path }) => path)).size === problems.length,
          'each says what and how': problems.every(
            ({ problem, fix }) => problem !== '' && fix !== '',
          ),
          // Names are ours or the developer's; values can be secrets and stay out.
          'no value in the message': !message.includes(SECRET),
        };
        expect(Object.entries(rules).filter(([, holds]) => !holds)).toEqual([]);
      }),
      { numRuns: 2_000 },
    );
    expect(refused).toBeGreaterThan(500);
  });

  it('what resolves is sound: lengths are finite, names are texts, rules hold', async () => {
    const length = (...texts: string[]) => fc.option(fc.constantFrom(...texts), { nil: undefined });
    const plausible = fc.record({
      issuer: fc.constant('https://issuer.example'),
      audience: fc.oneof(fc.constant('api'), fc.array(fc.constantFrom('a', 'b'), { maxLength: 3 })),
      keys: fc.record({
        rotateEvery: length('1h', '1d', '30d'),
        publishAhead: length('1s', '11s', '5m', '6m', '1d'),
        retainFor: length('1s', '15m', '1h', '1d'),
        jwksMaxAge: length('0s', '5m', '1h'),
      }),
      tokens: fc.record({
        accessTtl: length('1s', '15m', '2h'),
        maxLifetime: length('1s', '15m', '1d'),
        leeway: length('0s', '10s', '60s'),
        lifetimeJitter: length('0s', '1m', '1h'),
      }),
    });
    let accepted = 0;
    await fc.assert(
      fc.asyncProperty(plausible, async (input) => {
        const config = await resolveConfig(input, 'test').catch(() => undefined);
        if (config === undefined) return;
        accepted++;
        const { keys, tokens } = config;
        const leeway = tokens.leeway * 1_000;
        const rules = {
          'an audience': tokens.audiences.length > 0,
          'publish-ahead beyond the JWKS age': keys.publishAhead > keys.jwksMaxAge + leeway,
          'rotation beyond publish-ahead': keys.rotateEvery > keys.publishAhead,
          'retention covers the longest token':
            keys.retainFor >= tokens.maxLifetime * 1_000 + leeway,
          'the usual token is no longer than the longest': tokens.accessTtl <= tokens.maxLifetime,
          'jitter leaves half of a lifetime': tokens.lifetimeJitter * 2 <= tokens.accessTtl,
        };
        expect(Object.entries(rules).filter(([, holds]) => !holds)).toEqual([]);
      }),
      { numRuns: 2_000 },
    );
    expect(accepted).toBeGreaterThan(50);
  });
});
