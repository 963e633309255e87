import { randomBytes } from 'node:crypto';

import { createCache } from 'cache-manager';

import { OptionReader } from '../../lib/config/option-reader.js';
import { readSessions } from '../../lib/config/resolve-sessions.js';
import { SecurityEvents } from '../../lib/events/security-events.js';
import type { Sealing } from '../../lib/sessions/sealed-text.js';
import { SessionSeals } from '../../lib/sessions/session-seals.js';
import { SessionService } from '../../lib/sessions/session.service.js';
import { cacheManagerStorage } from '../../lib/storage/cache-manager/cache-manager-storage.js';
import { memoryStorage } from '../../lib/storage/memory/memory-storage.js';
import type { Storage } from '../../lib/storage/storage.js';
import { newPrivateJwk, openIssuer } from '../support/token-mother.js';
import { recordSecret } from '../support/witness.js';
import { saidOf, resolve } from './config-problems.js';

const DAY = 86_400_000;

async function read(sessions?: unknown, storage: Storage = memoryStorage()) {
  const reader = new OptionReader({ sessions });
  const { seals: _, ...value } = await readSessions(reader, storage);
  return { value, problems: reader.problems.map(({ path, problem }) => `${path}: ${problem}`) };
}

describe('sessions', () => {
  it('have these defaults', async () => {
    expect(await read()).toEqual({
      problems: [],
      value: {
        absoluteFor: 90 * DAY,
        idleFor: 14 * DAY,
        reuseGrace: 10_000,
        perSubject: 100,
        entitlements: null,
        onReuse: null,
      },
    });
  });

  it('take these lengths and hooks', async () => {
    const entitlements = (): null => null;
    const onReuse = (): void => {};
    const hooks = { entitlements, onReuse };
    const written = { absoluteFor: '395d', idleFor: '1m', reuseGrace: '0s' };
    expect(await read({ ...written, perSubject: 1_000, ...hooks })).toEqual({
      problems: [],
      value: {
        absoluteFor: 395 * DAY,
        idleFor: 60_000,
        reuseGrace: 0,
        perSubject: 1_000,
        ...hooks,
      },
    });
  });

  it('are idle no longer than they last', async () => {
    expect((await read({ absoluteFor: '1d' })).value.idleFor).toBe(DAY);
  });

  it.each<[path: string, sessions: object]>([
    ['sessions.idleFor', { idleFor: '91d' }],
    ['sessions.idleFor', { idleFor: '2h', absoluteFor: '1h' }],
    ['sessions.idleFor', { idleFor: '59s' }],
    ['sessions.idleFor', { idleFor: 60 }],
    ['sessions.absoluteFor', { absoluteFor: '396d' }],
    ['sessions.absoluteFor', { absoluteFor: '0s' }],
    ['sessions.absoluteFor', { absoluteFor: null }],
    ['sessions.reuseGrace', { reuseGrace: '61s' }],
    ['sessions.reuseGrace', { reuseGrace: '-1s' }],
    ['sessions.reuseGrace', { reuseGrace: 10 }],
    ['sessions.perSubject', { perSubject: 0 }],
    ['sessions.perSubject', { perSubject: 1_001 }],
    ['sessions.perSubject', { perSubject: 1.5 }],
    ['sessions.perSubject', { perSubject: null }],
    ['sessions.perSubject', { perSubject: '100' }],
    ['sessions.entitlements', { entitlements: 'admin' }],
    ['sessions.entitlements', { entitlements: null }],
    ['sessions.onReuse', { onReuse: {} }],
    ['sessions.onreuse', { onreuse: () => {} }],
  ])('name %s where %j is wrong', async (path, sessions) => {
    const { problems } = await read(sessions);
    expect(problems).toHaveLength(1);
    expect(problems[0]).toMatch(new RegExp(`^${path.replaceAll('.', '\\.')}: `));
  });
});

describe('what seals sessions', () => {
  const sealing: Sealing = { secret: randomBytes(32), purpose: 'grant', context: 'session-1' };
  const plain = Buffer.from('{}');
  const UNSEALED = new SessionSeals([null]);

  const newKey = (): string => {
    const key = randomBytes(32).toString('base64url');
    recordSecret(key);
    return key;
  };

  async function sealsWith(keys: object): Promise<SessionSeals> {
    return (await resolve({ keys })).sessions.seals;
  }

  it('is keys.encryptionKeys, also where a signing key is configured and no ring is sealed', async () => {
    const keys = { encryptionKeys: newKey(), signingKey: await newPrivateJwk() };
    const { keys: resolved, sessions } = await resolve({ keys });
    expect(resolved.staticKeys).not.toBeNull();
    const sealed = sessions.seals.seal(plain, sealing);
    expect(sealed.startsWith('0.')).toBe(false);
    expect(UNSEALED.unseal(sealed, sealing)).toBeUndefined();
    expect(sessions.seals.unseal(UNSEALED.seal(plain, sealing), sealing)).toBeUndefined();
    // Another instance has the same option, and needs not have the same signing key.
    const other = await sealsWith({ encryptionKeys: keys.encryptionKeys });
    expect(other.unseal(sealed, sealing)).toEqual(plain);
    const foreign = await sealsWith({ ...keys, encryptionKeys: newKey() });
    expect(foreign.unseal(sealed, sealing)).toBeUndefined();
  });

  it('is not the very key that seals the ring', async () => {
    const encryptionKeys = newKey();
    const sealed = (await sealsWith({ encryptionKeys })).seal(plain, sealing);
    const raw = new SessionSeals([Buffer.from(encryptionKeys, 'base64url')]);
    expect(raw.unseal(sealed, sealing)).toBeUndefined();
  });

  it('is the first of several, and each of them opens', async () => {
    const [older, newer] = [newKey(), newKey()];
    const before = await sealsWith({ encryptionKeys: older });
    const during = await sealsWith({ encryptionKeys: [newer, older] });
    const after = await sealsWith({ encryptionKeys: newer });
    const old = before.seal(plain, sealing);
    const fresh = during.seal(plain, sealing);
    expect(during.unseal(old, sealing)).toEqual(plain);
    expect(after.unseal(fresh, sealing)).toEqual(plain);
    expect(after.unseal(old, sealing)).toBeUndefined();
    expect(before.unseal(fresh, sealing)).toBeUndefined();
  });

  it.each([
    ['nothing is said', {}, false],
    ['null is said', { encryptionKeys: null }, false],
    ['null comes after a key', { encryptionKeys: [newKey(), null] }, true],
  ])('where %s lets what has no seal in', async (_, keys, isSealed) => {
    const seals = await sealsWith(keys);
    expect(seals.unseal(UNSEALED.seal(plain, sealing), sealing)).toEqual(plain);
    expect(seals.isNewest(UNSEALED.seal(plain, sealing))).toBe(!isSealed);
  });
});

describe('a storage that carries no sessions', () => {
  const storage = cacheManagerStorage(createCache());

  it('is refused at the start where sessions are wanted, and says why', async () => {
    const said = await saidOf(resolve({ storage, sessions: {} }));
    expect(said.join()).toMatch(
      /sessions: cacheManagerStorage\(\) cannot carry sessions: .*compare-and-swap/,
    );
  });

  it('is fine where nobody mentions them, and every verb says so to who does', async () => {
    expect((await read(undefined, storage)).problems).toEqual([]);
    const { config, tokens, revocations, clock } = await withoutSessions();
    const events = new SecurityEvents();
    const senders = { fingerprints: null, cookieKeys: null, offered: [], required: [] };
    const none = { store: null, replays: null, senders };
    const surroundings = { ...none, tokens, revocations, clock, events };
    const sessions = new SessionService(config, surroundings);
    for (const verb of [
      () => sessions.start('alice'),
      () => sessions.refresh('rt1_x'),
      () => sessions.list('alice'),
    ]) {
      await expect(verb()).rejects.toThrow('The configured storage carries no sessions.');
      await expect(verb()).rejects.toThrow(TypeError);
    }
    revocations.onModuleDestroy();
  });

  async function withoutSessions() {
    const { sessions: config } = await resolve({});
    return { config, ...(await openIssuer()) };
  }
});
