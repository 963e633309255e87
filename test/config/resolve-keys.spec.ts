import { randomBytes } from 'node:crypto';

import type { PrivateJwk } from '../../lib/keys/key-material.js';
import { memoryStorage } from '../../lib/storage/memory/memory-storage.js';
import { NotCarried, type Storage } from '../../lib/storage/storage.js';
import { resolveConfig } from '../../lib/config/resolve-config.js';
import { TestVault } from '../keys/test-vault.js';
import { newPrivateJwk } from '../support/token-mother.js';
import { recordSecret } from '../support/witness.js';
import { pathsOf, problemsOf, refusalOf, REQUIRED, resolve, saidOf } from './config-problems.js';

const newKey = (): string => {
  const key = randomBytes(32).toString('base64url');
  recordSecret(key);
  return key;
};

/** A storage outside this process, as far as options can tell. */
const shared = (ports: Partial<Storage> = {}): Storage => ({
  ...memoryStorage(),
  name: 'otherStorage()',
  reach: 'shared',
  ...ports,
});

const newSecret = (kid = 'k'): PrivateJwk => ({ kty: 'oct', kid, alg: 'HS256', k: newKey() });

describe('keys.encryptionKeys', () => {
  it('are needed for a storage outside this process, and null says that in so many words', async () => {
    const [problem, ...others] = await problemsOf(resolve({ storage: shared() }));
    expect(others).toEqual([]);
    expect(problem).toMatchObject({
      path: 'keys.encryptionKeys',
      problem: expect.stringContaining('otherStorage()'),
    });
    const clear = await resolve({ storage: shared(), keys: { encryptionKeys: null } });
    expect(clear.keys.protector.isClear).toBe(true);
    const sealed = await resolve({ storage: shared(), keys: { encryptionKeys: newKey() } });
    expect(sealed.keys.protector.isClear).toBe(false);
    expect(sealed.keys.maxLag).toBe(5_000);
  });

  it('are not needed where keys are configured and nothing is stored', async () => {
    const keys = { signingKey: await newPrivateJwk() };
    await expect(resolve({ storage: shared(), keys })).resolves.toHaveProperty('keys');
  });

  it('may be given where a signing key is configured: sessions are sealed under them', async () => {
    for (const encryptionKeys of [newKey(), [newKey(), newKey()], [newKey(), null]]) {
      const keys = { signingKey: await newPrivateJwk(), encryptionKeys };
      for (const storage of [shared(), memoryStorage()]) {
        expect((await resolve({ storage, keys })).keys.protector.isClear).toBe(false);
      }
    }
    const keys = { signingKey: await newPrivateJwk(), encryptionKeys: 'short' };
    expect(await pathsOf(resolve({ keys }))).toEqual(['keys.encryptionKeys']);
  });

  const GOOD = newKey();
  it.each<[rule: string, value: unknown, problem: RegExp]>([
    ['of 31 bytes', randomBytes(31).toString('base64url'), /no such key/],
    ['of 33 bytes', randomBytes(33).toString('base64url'), /no such key/],
    ['in hex', randomBytes(32).toString('hex'), /no such key/],
    ['padded', `${GOOD}=`, /no such key/],
    ['with a line feed', `${GOOD}\n`, /no such key/],
    ['with a last character nobody writes', `${'A'.repeat(42)}B`, /no such key/],
    ['of zeros', 'A'.repeat(43), /no such key/],
    ['of one byte 32 times', Buffer.alloc(32, 7).toString('base64url'), /no such key/],
    [
      'made of words',
      Buffer.from('correct horse battery staple 123').toString('base64url'),
      /no such/,
    ],
    ['that is a number', 7, /no such key/],
    ['that is an object', { k: GOOD }, /no such key/],
    ['that is bytes', randomBytes(32), /no such key/],
    ['that is empty', '', /no such key/],
    ['twice in the list', [GOOD, GOOD], /names a key twice/],
    ['null twice in the list', [null, null], /names a key twice/],
    ['good and bad', [GOOD, 'short'], /no such key/],
    ['none at all', [], /an empty list/],
    ['false', false, /no such key/],
  ])('%s is refused, and not repeated', async (_rule, value, problem) => {
    const error = await refusalOf(resolve({ keys: { encryptionKeys: value } }));
    expect(error.problems).toEqual([
      {
        path: 'keys.encryptionKeys',
        problem: expect.stringMatching(problem),
        fix: expect.any(String),
      },
    ]);
    expect(error.message).not.toContain(GOOD);
  });
});

describe('keys.algorithm as a list', () => {
  it.each<[rule: string, value: unknown]>([
    ['empty', []],
    ['with one twice', ['ES256', 'ES256']],
    ['with an unknown one', ['ES256', 'none']],
    ['with a number', ['ES256', 7]],
    ['in a list', [['ES256']]],
  ])('%s is refused', async (_rule, algorithm) => {
    expect(await pathsOf(resolve({ keys: { algorithm } }))).toEqual(['keys.algorithm']);
  });

  it('keeps its order, and shared secrets are for the monolith alone', async () => {
    const algorithm = ['Ed25519', 'ES256'];
    expect((await resolve({ keys: { algorithm } })).keys.algorithms).toEqual(algorithm);
    for (const value of ['HS256', ['ES256', 'HS256']]) {
      expect(await saidOf(resolve({ keys: { algorithm: value } }))).toEqual([
        'keys.algorithm: whoever can verify it can also sign',
      ]);
      const mixed = { profile: 'monolith', keys: { algorithm: value } };
      await expect(resolve(mixed)).resolves.toHaveProperty('keys');
    }
    expect((await resolve({ profile: 'monolith' })).keys.algorithms).toEqual(['HS256']);
  });
});

describe('keys.vault', () => {
  it.each([null, {}, 'pkcs11', { name: 'x', generate: () => {} }, () => new TestVault()])(
    'that is %p is refused',
    async (vault) => {
      expect(await pathsOf(resolve({ keys: { vault } }))).toEqual(['keys.vault']);
    },
  );

  it('holds key pairs, of keys that rotate', async () => {
    const vault = new TestVault();
    expect((await resolve({ keys: { vault } })).keys.vault).toBe(vault);
    expect(await pathsOf(resolve({ profile: 'monolith', keys: { vault } }))).toEqual([
      'keys.vault',
    ]);
    const keys = { vault, signingKey: await newPrivateJwk() };
    expect(await pathsOf(resolve({ keys }))).toEqual(['keys.vault']);
  });
});

describe('keys.previousKeys', () => {
  it('verify beside the signing key, as public halves', async () => {
    const [now, before, older] = await Promise.all([
      newPrivateJwk(),
      newPrivateJwk('Ed25519'),
      newPrivateJwk(),
    ]);
    const { d: _, ...publicOnly } = older;
    const keys = { signingKey: now, previousKeys: [before, publicOnly] };
    const { staticKeys } = (await resolve({ keys })).keys;
    expect(staticKeys?.previous.map(({ kid }) => kid)).toEqual([before.kid, older.kid]);
    for (const key of staticKeys?.previous ?? []) expect(key).not.toHaveProperty('privateKey');
  });

  it('are refused one by one, with their place', async () => {
    const signingKey = await newPrivateJwk();
    const { kid: _, ...unnamed } = await newPrivateJwk();
    const previousKeys = [signingKey, unnamed, null, 'x', newSecret(), { kid: 'x', kty: 'EC' }];
    expect(await pathsOf(resolve({ keys: { signingKey, previousKeys } }))).toEqual([
      'keys.previousKeys.1',
      'keys.previousKeys.2',
      'keys.previousKeys.3',
      'keys.previousKeys.4',
      'keys.previousKeys.5',
      'keys.previousKeys',
    ]);
  });

  it('without a signing key mean nothing', async () => {
    const keys = { previousKeys: [await newPrivateJwk()] };
    expect(await pathsOf(resolve({ keys }))).toEqual(['keys.previousKeys']);
  });
});

describe('keys.environment', () => {
  it.each([
    ['production', 'production', undefined],
    ['staging', 'production', 'staging'],
    [null, undefined, undefined],
    [null, '', undefined],
    [null, 'two words', undefined],
    [null, 'production', null],
  ])('is %j with NODE_ENV %j and the option %j', async (expected, nodeEnv, environment) => {
    const storage = memoryStorage({ dangerouslyAllowInProduction: true });
    const options = { ...REQUIRED, storage, keys: { environment } };
    const { keys } = await resolveConfig(options, nodeEnv);
    expect(keys.owner).toEqual({ issuer: REQUIRED.issuer, environment: expected });
  });

  it.each(['', 'two words', 7, 'x'.repeat(65)])('%j is refused', async (environment) => {
    expect(await pathsOf(resolve({ keys: { environment } }))).toEqual(['keys.environment']);
  });

  it('is held against the mark of every configured key', async () => {
    const marked = { ...(await newPrivateJwk()), environment: 'staging' };
    const good = { environment: 'staging', signingKey: marked };
    await expect(resolve({ keys: good })).resolves.toHaveProperty('keys');
    for (const environment of ['production', 'STAGING', undefined]) {
      expect(await saidOf(resolve({ keys: { environment, signingKey: marked } }))).toEqual([
        'keys.signingKey: it is marked for another environment',
      ]);
      const keys = { environment, signingKey: await newPrivateJwk(), previousKeys: [marked] };
      expect(await pathsOf(resolve({ keys }))).toEqual(['keys.previousKeys.0']);
    }
    const unnamed = { ...REQUIRED, keys: { signingKey: marked } };
    expect(await pathsOf(resolveConfig(unnamed, undefined))).toEqual(['keys.signingKey']);
  });
});

describe('keys.derivation', () => {
  it.each<[value: unknown, path: string]>([
    [{}, 'keys.derivation.period'],
    [{ period: '30s' }, 'keys.derivation.period'],
    [{ period: '401d' }, 'keys.derivation.period'],
    [{ period: '90500ms' }, 'keys.derivation.period'],
    [{ period: 86_400 }, 'keys.derivation.period'],
    [{ period: '1d', salt: 'x' }, 'keys.derivation.salt'],
    ['1d', 'keys.derivation'],
    [true, 'keys.derivation'],
  ])('%j is refused', async (derivation, path) => {
    const options = { profile: 'monolith', keys: { derivation } };
    expect(await pathsOf(resolve(options))).toContain(path);
  });

  it('is for shared secrets', async () => {
    const keys = { derivation: { period: '1d' } };
    expect(await pathsOf(resolve({ keys }))).toEqual(['keys.derivation']);
    const { tokens } = await resolve({ profile: 'monolith', keys });
    expect(tokens.derivationPeriod).toBe(86_400);
    const off = await resolve({ profile: 'monolith', keys: { derivation: null } });
    expect(off.tokens.derivationPeriod).toBeNull();
  });
});

describe('a storage', () => {
  it('that cannot carry rotating keys is refused by name and reason, where they are asked for', async () => {
    const storage = shared({ keyStore: new NotCarried('it has no compare-and-swap') });
    const keys = { encryptionKeys: newKey() };
    const [problem] = await problemsOf(resolve({ storage, keys }));
    expect(problem).toEqual({
      path: 'storage',
      problem: 'otherStorage() cannot carry rotating keys: it has no compare-and-swap',
      fix: expect.stringContaining('keys.signingKey'),
    });
    const signingKey = await newPrivateJwk();
    await expect(resolve({ storage, keys: { signingKey } })).resolves.toHaveProperty('keys');
  });

  it('in memory is refused in production unless somebody insisted, also by default', async () => {
    for (const storage of [undefined, memoryStorage()]) {
      expect(await pathsOf(resolveConfig({ ...REQUIRED, storage }, 'production'))).toEqual([
        'storage',
      ]);
      await expect(resolveConfig({ ...REQUIRED, storage }, 'staging')).resolves.toBeDefined();
    }
    const storage = memoryStorage({ dangerouslyAllowInProduction: true });
    await expect(resolveConfig({ ...REQUIRED, storage }, 'production')).resolves.toBeDefined();
  });

  it.each([
    ['outage.maxLag', '1s'],
    ['outage.maxLag', '61m'],
    ['outage.maxLag', 5],
    ['outage.onStale', 'accept'],
    ['outage.onstale', 'reject'],
  ])('has bounds of outage: %s %j is refused', async (path, value) => {
    const [, name = ''] = path.split('.');
    expect(await pathsOf(resolve({ outage: { [name]: value } }))).toEqual([path]);
  });
});

describe('trust', () => {
  const ENTRY = { issuer: 'https://other.example', jwksUri: 'https://other.example/jwks' };

  it('of nothing but an issuer and its JWKS takes our rules over', async () => {
    const { trust, tokens } = await resolve({ trust: [ENTRY] });
    expect(trust).toHaveLength(1);
    expect(trust[0]?.algorithms).not.toContain('HS256');
    expect(tokens.trusted[0]?.rules).toMatchObject({
      issuer: ENTRY.issuer,
      audiences: [REQUIRED.audience],
      leeway: tokens.leeway,
      maxLifetime: tokens.maxLifetime,
    });
  });

  it.each<[path: string, change: object]>([
    ['issuer', { issuer: REQUIRED.issuer }],
    ['issuer', { issuer: '' }],
    ['issuer', { issuer: undefined }],
    ['issuer', { issuer: ['https://other.example'] }],
    ['jwksUri', { jwksUri: 'http://other.example/jwks' }],
    ['jwksUri', { jwksUri: 'file:///etc/passwd' }],
    ['jwksUri', { jwksUri: 'https://user:s3cr3t@other.example/jwks' }],
    ['jwksUri', { jwksUri: '/jwks' }],
    ['jwksUri', { jwksUri: undefined }],
    ['algorithms', { algorithms: ['HS256'] }],
    ['algorithms', { algorithms: ['ES256', 'none'] }],
    ['algorithms', { algorithms: [] }],
    ['algorithms', { algorithms: 'ES256' }],
    ['algorithms', { algorithms: ['ES256', 'ES256'] }],
    ['audience', { audience: [] }],
    ['audience', { audience: '' }],
    ['tokenTypes', { tokenTypes: [] }],
    ['tokenTypes', { tokenTypes: ['at+jwt', 7] }],
    ['maxLifetime', { maxLifetime: '2d' }],
    ['requiredClaims', { requiredClaims: 'scope' }],
    ['pins', { pins: { publicKeys: ['s3cr3t'] } }],
    ['pins', { pins: {} }],
    ['pins.keys', { pins: { publicKeys: ['s3cr3t'], keys: [] } }],
    ['cacheFor', { cacheFor: '1s' }],
    ['staleFor', { staleFor: '2d' }],
    ['timeout', { timeout: '31s' }],
    ['cooldown', { cooldown: '0s' }],
    ['jwksURI', { jwksURI: ENTRY.jwksUri }],
  ])('with a wrong %s is refused: %j', async (path, change) => {
    const error = await refusalOf(resolve({ trust: [{ ...ENTRY, ...change }] }));
    expect(error.problems.map((problem) => problem.path)).toContain(`trust.0.${path}`);
    expect(error.message).not.toContain('s3cr3t');
  });

  it.each([null, {}, 'https://other.example', true])('%j is no list', async (trust) => {
    expect(await pathsOf(resolve({ trust }))).toEqual(['trust']);
  });

  it('names each issuer once, compared byte for byte', async () => {
    expect(await pathsOf(resolve({ trust: [ENTRY, ENTRY] }))).toEqual(['trust.1.issuer']);
    const slash = { ...ENTRY, issuer: `${ENTRY.issuer}/` };
    expect((await resolve({ trust: [ENTRY, slash] })).trust).toHaveLength(2);
  });
});
