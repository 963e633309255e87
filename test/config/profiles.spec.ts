import { randomBytes } from 'node:crypto';

import { createCache } from 'cache-manager';

import { defaultsOf, PROFILE_NAMES } from '../../lib/config/profiles.js';
import type { ResolvedConfig } from '../../lib/config/resolve-config.js';
import { cacheManagerStorage } from '../../lib/storage/cache-manager/cache-manager-storage.js';
import { newPrivateJwk } from '../support/token-mother.js';
import { problemsOf, resolve, saidOf } from './config-problems.js';

const MINUTE = 60_000;
const HOUR = 60 * MINUTE;
const DAY = 24 * HOUR;

/** Whatever a profile can set, of a configuration. */
function settingsOf({ keys, tokens, sessions, binding, revocation }: ResolvedConfig): object {
  const { algorithms, rotateEvery, publishAhead, retainFor } = keys;
  const { accessTtl, maxLifetime, encryption, legacy } = tokens;
  const { idleFor, absoluteFor, reuseGrace } = sessions;
  return {
    keys: { algorithms, rotateEvery, publishAhead, retainFor, makes: keys.encryption !== null },
    tokens: { accessTtl, maxLifetime, encryption, legacy: legacy !== null },
    sessions: { idleFor, absoluteFor, reuseGrace },
    binding: { dpop: binding.dpop !== null, mtls: binding.mtls !== null, of: binding.required },
    kept: [...revocation.maxLifetimes.values()],
  };
}

const SERVICE = {
  keys: {
    algorithms: ['ES256'],
    rotateEvery: 30 * DAY,
    publishAhead: DAY,
    retainFor: DAY,
    makes: false,
  },
  tokens: { accessTtl: 900, maxLifetime: 3600, encryption: null, legacy: false },
  sessions: { idleFor: 14 * DAY, absoluteFor: 90 * DAY, reuseGrace: 10_000 },
  binding: { dpop: false, mtls: false, of: [] },
  kept: [3600],
};
const MONOLITH = {
  ...SERVICE,
  keys: { ...SERVICE.keys, algorithms: ['HS256'], retainFor: 30 * DAY },
};
const HIGH_SECURITY = {
  keys: { ...SERVICE.keys, makes: true },
  tokens: { accessTtl: 300, maxLifetime: 300, encryption: { accept: 'encrypted' }, legacy: false },
  sessions: { idleFor: HOUR, absoluteFor: 12 * HOUR, reuseGrace: 10_000 },
  binding: { dpop: true, mtls: false, of: ['dpop'] },
  kept: [300],
};
const NATIVE = { ...SERVICE, binding: { dpop: true, mtls: false, of: ['dpop'] } };
const LEGACY = {
  ...SERVICE,
  keys: { ...SERVICE.keys, rotateEvery: 90 * DAY, retainFor: 30 * DAY },
  tokens: { ...SERVICE.tokens, legacy: true },
  // For as long as a token of before may live.
  kept: [86_400],
};

const legacy = { secrets: randomBytes(32).toString('base64'), until: '2026-01-01' };
const needs = (profile: string): object =>
  profile === 'legacy' ? { profile, legacy } : { profile };

describe('a profile', () => {
  it.each([
    ['service', SERVICE],
    ['monolith', MONOLITH],
    ['highSecurity', HIGH_SECURITY],
    ['native', NATIVE],
    ['legacy', LEGACY],
  ])('%s sets what the decision matrix says, and nothing else', async (profile, expected) => {
    expect(settingsOf(await resolve(needs(profile)))).toEqual(expected);
  });

  it('is service where none is written', async () => {
    expect(settingsOf(await resolve())).toEqual(SERVICE);
  });

  it('is one of five, each with its defaults', () => {
    expect(PROFILE_NAMES.map((name) => [name, defaultsOf(name).algorithm])).toEqual([
      ['service', 'ES256'],
      ['monolith', 'HS256'],
      ['highSecurity', 'ES256'],
      ['native', 'ES256'],
      ['legacy', 'ES256'],
    ]);
  });

  it.each(PROFILE_NAMES)('%s leaves alone whatever is written', async (profile) => {
    const config = await resolve({
      ...needs(profile),
      keys: { algorithm: 'ES384', rotateEvery: '7d', publishAhead: '2d', retainFor: '3d' },
      tokens: { accessTtl: '20m', maxLifetime: '40m', encryption: null },
      sessions: { idleFor: '2h', absoluteFor: '20h' },
      binding: { dpop: null, required: [] },
    });
    expect(settingsOf(config)).toEqual({
      keys: {
        algorithms: ['ES384'],
        rotateEvery: 7 * DAY,
        publishAhead: 2 * DAY,
        retainFor: 3 * DAY,
        makes: false,
      },
      tokens: {
        accessTtl: 1200,
        maxLifetime: 2400,
        encryption: null,
        legacy: profile === 'legacy',
      },
      sessions: { idleFor: 2 * HOUR, absoluteFor: 20 * HOUR, reuseGrace: 10_000 },
      binding: { dpop: false, mtls: false, of: [] },
      kept: [profile === 'legacy' ? 86_400 : 2400],
    });
  });

  it.each(PROFILE_NAMES)('%s takes a configured key', async (profile) => {
    const keys = { signingKey: await newPrivateJwk() };
    const tokens = { encryption: null };
    const { keys: resolved } = await resolve({ ...needs(profile), keys, tokens });
    expect(resolved.staticKeys?.signing.kid).toBe(keys.signingKey.kid);
  });

  it.each(PROFILE_NAMES.filter((name) => name !== 'monolith'))(
    '%s takes no shared secret to sign with',
    async (profile) => {
      const said = await saidOf(resolve({ ...needs(profile), keys: { algorithm: 'HS256' } }));
      expect(said).toEqual(['keys.algorithm: whoever can verify it can also sign']);
    },
  );
});

describe('highSecurity', () => {
  const profile = 'highSecurity';

  it('takes a client certificate for a proof, too, where they are looked at', async () => {
    const { binding } = await resolve({ profile, binding: { mtls: {} } });
    expect(binding.required).toEqual(['dpop', 'mtls']);
    const without = await resolve({ profile, binding: { mtls: {}, dpop: null } });
    expect([without.binding.dpop, without.binding.required]).toEqual([null, ['mtls']]);
  });

  it('is weakened by what is written, and only by that', async () => {
    const unbound = await resolve({ profile, binding: { required: [] } });
    expect(settingsOf(unbound)).toEqual({
      ...HIGH_SECURITY,
      binding: { dpop: true, mtls: false, of: [] },
    });
    const readable = await resolve({ profile, tokens: { encryption: null } });
    expect(settingsOf(readable)).toEqual({
      ...HIGH_SECURITY,
      keys: SERVICE.keys,
      tokens: { ...HIGH_SECURITY.tokens, encryption: null },
    });
    const both = await resolve({ profile, tokens: { encryption: { accept: 'both' } } });
    expect(both.tokens.encryption).toEqual({ accept: 'both' });
  });

  it('is not weakened by a section that says nothing of it', async () => {
    const empty = { keys: {}, tokens: {}, sessions: {}, binding: {}, legacy: undefined };
    expect(settingsOf(await resolve({ profile, ...empty }))).toEqual(HIGH_SECURITY);
    const undef = {
      tokens: { encryption: undefined, accessTtl: undefined, maxLifetime: undefined },
      sessions: { idleFor: undefined, absoluteFor: undefined },
      binding: { dpop: undefined, required: undefined, mtls: undefined },
    };
    expect(settingsOf(await resolve({ profile, ...undef }))).toEqual(HIGH_SECURITY);
  });

  it('lets the longest token be as long as the one that is asked for', async () => {
    const { tokens } = await resolve({ profile, tokens: { accessTtl: '10m' } });
    expect([tokens.accessTtl, tokens.maxLifetime]).toEqual([600, 600]);
  });

  it.each([
    [{ absoluteFor: '30m' }, 30 * MINUTE, 30 * MINUTE],
    [{ absoluteFor: '2d' }, HOUR, 2 * DAY],
    [{ idleFor: '12h' }, 12 * HOUR, 12 * HOUR],
    [{ idleFor: '2m' }, 2 * MINUTE, 12 * HOUR],
    [{ reuseGrace: '0s' }, HOUR, 12 * HOUR],
  ])('with sessions %j', async (sessions, idleFor, absoluteFor) => {
    expect((await resolve({ profile, sessions })).sessions).toMatchObject({ idleFor, absoluteFor });
  });

  it('refuses a session that is idle for longer than its profile lets it last', async () => {
    expect(await problemsOf(resolve({ profile, sessions: { idleFor: '13h' } }))).toEqual([
      {
        path: 'sessions.idleFor',
        problem: 'it is too long',
        fix: "Write at most '12h', or sessions.absoluteFor as well",
      },
    ]);
    const longer = { idleFor: '13h', absoluteFor: '2d' };
    const { sessions } = await resolve({ profile, sessions: longer });
    expect(sessions.idleFor).toBe(13 * HOUR);
    // One mistake is one problem.
    const wrong = resolve({ profile, sessions: { idleFor: '13' } });
    expect(await saidOf(wrong)).toEqual(['sessions.idleFor: it is a text of another form']);
  });

  it('needs a key to encrypt with beside a configured key', async () => {
    const signingKey = await newPrivateJwk();
    expect(await saidOf(resolve({ profile, keys: { signingKey } }))).toEqual([
      'tokens.encryption.keys: it is missing, and a configured signing key leaves no ring to make one',
    ]);
  });
});

describe.each(['highSecurity', 'native'])('%s', (profile) => {
  it('does not start where nobody could ever be let in', async () => {
    expect(await problemsOf(resolve({ profile, binding: { dpop: null } }))).toEqual([
      {
        path: 'binding.required',
        problem: 'the profile wants tokens bound, and nothing is there to bind them',
        fix: expect.stringContaining('[] for none'),
      },
    ]);
    expect(await saidOf(resolve({ profile, binding: { required: ['mtls'] } }))).toEqual([
      'binding.required.0: binding.mtls is not set, or refuses nobody',
    ]);
  });

  it('says of proofs it offers by itself what is missing for them', async () => {
    const options = { profile, issuer: 'accounts', audience: 'api' };
    expect(await saidOf(resolve(options))).toEqual([
      'binding.dpop.publicUrls: neither issuer nor audience is such a URL',
    ]);
    const written = { ...options, binding: { dpop: { publicUrls: ['https://api.example'] } } };
    expect((await resolve(written)).binding.required).toEqual(['dpop']);
  });

  it('needs a storage that can remember proofs', async () => {
    const storage = cacheManagerStorage(createCache());
    const said = await saidOf(resolve({ profile, storage, keys: { encryptionKeys: null } }));
    expect(said).toContainEqual(expect.stringMatching(/^binding\.dpop: .* cannot remember/));
  });
});
