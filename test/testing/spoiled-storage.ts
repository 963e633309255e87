import { AssertionError } from 'node:assert/strict';

import type { AttemptStore } from '../../lib/abuse/attempt-store.js';
import type { ReplayStore } from '../../lib/binding/replay-store.js';
import type { KeyStore } from '../../lib/keys/key-store.js';
import type { RevocationLog } from '../../lib/revocation/revocation-log.js';
import type { SessionStore } from '../../lib/sessions/session-store.js';
import { memoryStorage, type MemoryStorage } from '../../lib/storage/memory/memory-storage.js';
import type { Storage } from '../../lib/storage/storage.js';
import { type StoreContract, storeContracts, type PortName } from '../../lib/testing/index.js';
import { TestClock } from '../support/test-clock.js';

export interface Ports {
  readonly keyStore: KeyStore;
  readonly revocationLog: RevocationLog;
  readonly sessionStore: SessionStore;
  readonly replayStore: ReplayStore;
  readonly attemptStore: AttemptStore;
}

/** What a port does wrong: some of its verbs, made from the right ones. */
export type Spoil<Name extends PortName> = (
  real: Ports[Name],
  clock: TestClock,
) => Partial<Ports[Name]>;

/** The contracts as an adapter meets them that is right but for one port. */
export function contractsOfSpoiled<Name extends PortName>(
  name: Name,
  spoil: Spoil<Name>,
): readonly StoreContract[] {
  return contractsOf((storage, clock) => {
    const right = rightVerbsOf(storage);
    const spoiled = Object.assign({}, right[name], spoil(right[name], clock));
    return { ...storage, [name]: spoiled };
  });
}

/** The contracts as an adapter meets them that is made from the memory storage. */
export function contractsOf(
  spoil: (storage: MemoryStorage, clock: TestClock) => Storage,
  ports?: readonly PortName[],
): readonly StoreContract[] {
  return storeContracts({
    newBackend: async () => {
      const clock = new TestClock();
      const storage = spoil(memoryStorage({ clock }), clock);
      return {
        connect: async () => storage,
        dispose: async () => {},
        clock: { now: () => clock.now(), pass: (ms: number) => clock.advance(ms) },
      };
    },
    patience: 700,
    ...(ports === undefined ? {} : { ports }),
  });
}

/** The ports as plain objects of their verbs, so that single ones can be replaced. */
function rightVerbsOf(storage: MemoryStorage): Ports {
  const { keyStore, revocationLog, sessionStore, replayStore, attemptStore } = storage;
  return {
    keyStore: {
      load: () => keyStore.load(),
      replace: (request) => keyStore.replace(request),
      onChange: (listener) => keyStore.onChange(listener),
    },
    revocationLog: {
      append: (entry) => revocationLog.append(entry),
      read: (request) => revocationLog.read(request),
      follow: (follower) => revocationLog.follow(follower),
    },
    sessionStore: {
      create: (request) => sessionStore.create(request),
      rotate: (request) => sessionStore.rotate(request),
      find: (request) => sessionStore.find(request),
      end: (key) => sessionStore.end(key),
      endAll: (request) => sessionStore.endAll(request),
      list: (owner) => sessionStore.list(owner),
      count: () => sessionStore.count(),
    },
    replayStore: { claimOnce: (claim) => replayStore.claimOnce(claim) },
    attemptStore: {
      record: (attempt) => attemptStore.record(attempt),
      read: (key) => attemptStore.read(key),
      clear: (key) => attemptStore.clear(key),
    },
  };
}

/** As long as a store somewhere else takes at least. */
export const nextTurn = (): Promise<void> => new Promise((resolve) => void setImmediate(resolve));

/** Runs the one case that is to catch the mistake: it must, and by an assertion of its own. */
export async function expectCaught(
  contracts: readonly StoreContract[],
  caughtBy: RegExp,
): Promise<void> {
  const [contract, ...others] = contracts.filter(({ name }) => caughtBy.test(name));
  expect(others).toEqual([]);
  await expect(contract?.run()).rejects.toThrow(AssertionError);
}

/** What is wrong with a port, the one case that must catch it, and how it is made so. */
export type Mistake<Name extends PortName> = readonly [
  what: string,
  caughtBy: RegExp,
  spoil: Spoil<Name>,
];
