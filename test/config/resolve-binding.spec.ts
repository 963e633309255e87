import { randomBytes } from 'node:crypto';

import { createCache } from 'cache-manager';

import type { BindingOptions } from '../../lib/config/binding-options.js';
import type { JwtHardeningOptions } from '../../lib/config/options.js';
import { resolveConfig, type ResolvedConfig } from '../../lib/config/resolve-config.js';
import { ConfigError } from '../../lib/kernel/errors.js';
import { cacheManagerStorage } from '../../lib/storage/cache-manager/cache-manager-storage.js';
import { memoryStorage } from '../../lib/storage/memory/memory-storage.js';
import type { Storage } from '../../lib/storage/storage.js';
import { newPrivateJwk } from '../support/token-mother.js';

const SECRET = randomBytes(32).toString('base64url');

function resolve(
  binding: unknown,
  options: Partial<JwtHardeningOptions> = {},
): Promise<ResolvedConfig> {
  const own = { issuer: 'https://issuer.example', audience: 'https://api.example' };
  return resolveConfig({ ...own, ...options, binding: binding as BindingOptions }, 'test');
}

/** `path: problem` of each. */
async function problemsOf(...args: Parameters<typeof resolve>): Promise<readonly string[]> {
  try {
    await resolve(...args);
    return [];
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error;
    return error.problems.map(({ path, problem }) => `${path}: ${problem}`);
  }
}

/** As Redis, as far as it is asked here. */
function sharedStorage(): Storage {
  const { keyStore, revocationLog, sessionStore, replayStore, attemptStore } = memoryStorage();
  const inner = memoryStorage();
  return {
    name: 'shared',
    reach: 'shared',
    keyStore,
    revocationLog,
    sessionStore,
    replayStore,
    attemptStore,
    status: () => inner.status(),
    onStatus: (listener) => inner.onStatus(listener),
    close: () => inner.close(),
  };
}

const NATIVE = {
  clients: [
    {
      clientId: 'native',
      authentication: { method: 'none' },
      may: ['authorize'],
      redirectUris: ['http://127.0.0.1/callback'],
    },
  ],
  authorization: { login: () => ({ outcome: 'denied' }) },
} as const satisfies Partial<JwtHardeningOptions>;

describe('the binding options', () => {
  it('offer nothing by default, and demand nothing', async () => {
    const { binding } = await resolve(undefined);
    expect(binding).toMatchObject({ dpop: null, mtls: null, fingerprint: null, required: [] });
    expect(binding.offered).toEqual(['cookie']);
  });

  it('offer what is named', async () => {
    const all = { dpop: {}, mtls: {}, fingerprint: {}, required: ['dpop', 'fingerprint'] };
    const { binding } = await resolve(all);
    expect(binding.offered).toEqual(['dpop', 'mtls', 'cookie', 'fingerprint']);
    expect(binding.required).toEqual(['dpop', 'fingerprint']);
  });

  it.each<[what: string, binding: unknown, problem: RegExp]>([
    ['a name that is none', { dpopp: {} }, /^binding\.dpopp: it is not an option/],
    ['a proof that is none', { required: ['tls'] }, /^binding\.required\.0: /],
    ['a proof that is not offered', { required: ['mtls'] }, /binding\.mtls is not set/],
    [
      'an address that is only noted',
      { address: { response: 'note' }, required: ['fingerprint'] },
      /refuses nobody/,
    ],
    [
      'a fingerprint that refuses nobody',
      { fingerprint: { thresholds: { stepUp: null, refuse: null } }, required: ['fingerprint'] },
      /refuses nobody/,
    ],
    ['no list', { required: 'dpop' }, /^binding\.required: /],
    ['a secret that is none', { secrets: 'secret' }, /^binding\.secrets: /],
    ['no secret at all', { secrets: [] }, /^binding\.secrets: /],
  ])('refuse %s', async (_what, binding, problem) => {
    expect((await problemsOf(binding)).join('\n')).toMatch(problem);
  });

  it('refuse a cookie that the code flow gives to nobody', async () => {
    const problems = await problemsOf({ required: ['cookie'] }, NATIVE);
    expect(problems.join()).toMatch(/binding\.required: .*code flow/);
    expect(await problemsOf({ required: ['cookie', 'dpop'], dpop: {} }, NATIVE)).toEqual([]);
  });

  it('refuse a storage that cannot count', async () => {
    const storage = cacheManagerStorage(createCache());
    const keys = { signingKey: await newPrivateJwk() };
    for (const binding of [{ fingerprint: {} }, { address: {} }, { dpop: {} }]) {
      const problems = await problemsOf(binding, { storage, keys });
      expect(problems.join()).toMatch(/cannot (?:count|remember)/);
    }
  });

  describe('where instances share a storage', () => {
    it.each<[what: string, binding: BindingOptions]>([
      ['nonces', { dpop: {} }],
      ['fingerprints', { fingerprint: {} }],
      ['sender cookies', { required: ['cookie'] }],
    ])('want secrets that all have for %s', async (_what, binding) => {
      const storage = sharedStorage();
      const keys = { signingKey: await newPrivateJwk() };
      const problems = await problemsOf(binding, { storage, keys });
      expect(problems.join()).toMatch(/binding\.secrets: it is missing/);
      expect(await problemsOf({ ...binding, secrets: SECRET }, { storage, keys })).toEqual([]);
      const sealed = { ...keys, encryptionKeys: SECRET };
      expect(await problemsOf(binding, { storage, keys: sealed })).toEqual([]);
    });

    it('want none for what needs none', async () => {
      const keys = { signingKey: await newPrivateJwk() };
      const binding = { dpop: { nonce: null }, mtls: {} };
      const { binding: resolved } = await resolve(binding, { storage: sharedStorage(), keys });
      expect(resolved.offered).toEqual(['dpop', 'mtls']);
    });

    it('derive the same from the same keys, and nothing of the keys themselves', async () => {
      const options = { storage: sharedStorage(), keys: { encryptionKeys: SECRET } };
      const idsOf = async (binding: BindingOptions): Promise<readonly string[]> => {
        const { secrets } = (await resolve(binding, options)).binding;
        return secrets?.derive('cookie').map(({ id }) => id) ?? [];
      };
      const derived = await idsOf({});
      expect(derived).toHaveLength(1);
      expect(await idsOf({})).toEqual(derived);
      expect(await idsOf({ secrets: SECRET })).not.toEqual(derived);
    });
  });
});
