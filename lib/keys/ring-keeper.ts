import type { SecurityEvents } from '../events/security-events.js';
import type { Clock } from '../kernel/clock.js';
import { CoordinatedClock, MAX_SKEW } from '../kernel/coordinated-clock.js';
import { KeyError } from '../kernel/errors.js';
import type { SigningAlgorithm } from './algorithms.js';
import { importSigner } from './external-key.js';
import { exportPrivateJwk, generateSigningKey } from './key-material.js';
import { EMPTY_RING, type KeyRing } from './key-ring.js';
import type { KeyProtector } from './key-protector.js';
import type { KeyStore, LoadedKeyRing, StoredKeyRing } from './key-store.js';
import type { RingSnapshot, RingSnapshots } from './ring-snapshot.js';
import {
  advancing,
  compromise,
  type FreshKey,
  reinstating,
  type RingPolicy,
  type RingStep,
  type RingTransition,
} from './ring-transitions.js';
import type { KeyVault } from './signer.js';
import { parseRing, type RingOwner, serializeRing } from './stored-ring.js';

/** What a ring is kept with. */
export interface RingKeeping {
  readonly store: KeyStore;
  readonly protector: KeyProtector;
  readonly vault: KeyVault | null;
  readonly owner: RingOwner;
  readonly policy: RingPolicy;
  readonly snapshots: RingSnapshots;
  readonly clock: Clock;
  readonly events: SecurityEvents;
}

/** A step that the store has taken. */
export interface TakenStep extends RingStep {
  readonly takenAt: number;
}

/** Losing a compare-and-swap this often in a row means a broken store, not a race. */
const MAX_ATTEMPTS = 16;

/**
 * Keeps this instance's view of the ring and the store's copy in step. Every change is computed from
 * what the store holds and offered by compare-and-swap; who loses computes anew.
 *
 * What a store forgets, an instance that still knows it brings back: a ring that was wiped or fell
 * back to an older one, and the word that a key is compromised.
 */
export class RingKeeper {
  #snapshot: RingSnapshot | undefined;
  /** The stored text the snapshot was taken of. */
  #text: string | undefined;
  /** When the store was last asked, and when it last confirmed what is known here. */
  #askedAt = -Infinity;
  #confirmedAt = -Infinity;
  /** The highest version that was seen. */
  #version = 0;
  /**
   * Keys made for a change that is not known to have come to anything: the store can have taken it
   * although it failed. Those in a vault serve the next one, so that it is not filled with a key for
   * each attempt; those made here are forgotten.
   */
  readonly #made = new Map<SigningAlgorithm, FreshKey>();

  constructor(private readonly keeping: RingKeeping) {}

  get snapshot(): RingSnapshot | undefined {
    return this.#snapshot;
  }

  /**
   * The instant at which what is known here was surely what the store held. A store that takes no
   * change, or a vault that makes no key, does not make it older.
   */
  get confirmedAt(): number {
    return this.#confirmedAt;
  }

  /**
   * Makes one change, if it is due, and takes over what others changed. Answers what it took, and
   * when, by the clock all instances share.
   * @throws KeyError if the ring cannot be read, or kept changing; whatever the store rejects with
   */
  async change(transition: RingTransition): Promise<TakenStep | undefined> {
    if (this.keeping.vault === null) this.#made.clear();
    for (let attempt = 0; attempt < MAX_ATTEMPTS; attempt++) {
      const { stored, storeTime } = await this.#load();
      // All instances judge by one clock what is due, so that none is ahead of the others' word.
      const now = storeTime ?? this.keeping.clock.now();
      if (stored !== null && stored.version < this.#version && this.#text !== undefined) {
        if (stored.ring !== this.#text) {
          await this.#restore(stored, this.#text);
          continue;
        }
        // Another instance brought it back; its number is what counts from now on.
        this.#version = stored.version;
      }
      if (stored !== null && this.#isSettled(stored, transition, now)) return undefined;
      const ring = await this.#read(stored);
      const next = await this.#next(ring, now, transition);
      if (next.ring === ring && stored !== null) {
        await this.#adopt(ring, stored.ring, stored.version);
        await this.#discard();
        return undefined;
      }
      const isLost = stored === null && this.#text !== undefined;
      if (await this.#offer(next, stored)) {
        if (isLost) this.#reportRestored('ring');
        await this.#discard();
        await this.#retire(ring);
        return { ...next, takenAt: now };
      }
    }
    throw new KeyError('ERR_KEY_RING_CONFLICT', 'The key ring kept changing while it was updated.');
  }

  /**
   * Seals the ring under the newest key-encryption key, if another sealed it.
   * @throws as `change`
   */
  async rewrap(): Promise<'rewrapped' | 'newest'> {
    const { protector, store } = this.keeping;
    for (let attempt = 0; attempt < MAX_ATTEMPTS; attempt++) {
      const { stored } = await this.#load();
      if (stored !== null && stored.ring !== this.#text) {
        // To adopt it as it lies there would be to forget what it lacks: a compromise, say.
        await this.change(advancing(this.keeping.policy));
        continue;
      }
      if (stored === null || protector.isNewest(stored.ring)) return 'newest';
      const ring = await this.#read(stored);
      const text = await protector.seal(serializeRing(ring, this.keeping.owner));
      if (await store.replace({ expectedVersion: stored.version, ring: text })) {
        await this.#adopt(ring, text, stored.version);
        return 'rewrapped';
      }
    }
    throw new KeyError('ERR_KEY_RING_CONFLICT', 'The key ring kept changing while it was updated.');
  }

  /** Asks the store, and sets the clock by its answer. */
  async #load(): Promise<LoadedKeyRing> {
    const loaded = await this.#ask();
    if (loaded.stored?.ring === this.#text) this.#confirmedAt = this.#askedAt;
    return loaded;
  }

  async #ask(): Promise<LoadedKeyRing> {
    const { clock, store, events } = this.keeping;
    this.#askedAt = clock.now();
    if (!(clock instanceof CoordinatedClock)) return store.load();
    const sentAt = clock.hostNow();
    const loaded = await store.load();
    if (loaded.storeTime !== null) {
      const reading = { remote: loaded.storeTime, sentAt, receivedAt: clock.hostNow() };
      const skew = clock.align(reading);
      if (skew !== undefined) {
        const verdict = Math.abs(skew) > MAX_SKEW ? 'ignored' : 'followed';
        events.emit({ type: 'clock.skewed', at: new Date(clock.now()), skew, verdict });
      }
    }
    return loaded;
  }

  /** Whether the stored ring is the one known, and not due for anything. */
  #isSettled(stored: StoredKeyRing, { isRoutine }: RingTransition, now: number): boolean {
    if (stored.ring !== this.#text || this.#snapshot === undefined || !isRoutine) return false;
    this.#version = Math.max(this.#version, stored.version);
    return now < this.#snapshot.changesAt;
  }

  /** The ring to go on from: the stored one; else the one known, which verifiers have met; else none. */
  async #read(stored: StoredKeyRing | null): Promise<KeyRing> {
    const text = stored?.ring ?? this.#text;
    if (text === undefined) return EMPTY_RING;
    const ring = await this.#open(text);
    // Nobody changes a ring it cannot use: a change could hide what is wrong with it.
    if (text !== this.#text) await this.keeping.snapshots.of(ring);
    return ring;
  }

  async #open(text: string): Promise<KeyRing> {
    const { protector, owner } = this.keeping;
    return parseRing(await protector.open(text), owner);
  }

  async #next(ring: KeyRing, now: number, transition: RingTransition): Promise<RingStep> {
    let step: RingStep = { ring, changes: [] };
    for (const change of [...(await this.#repairs(ring)), transition]) {
      const used = new Set([...step.ring.keys, ...step.ring.compromised].map(({ kid }) => kid));
      for (const algorithm of change.needs(step.ring, now)) {
        const spare = this.#made.get(algorithm);
        if (spare !== undefined && !used.has(spare.kid)) continue;
        this.#made.set(algorithm, await this.#make(algorithm));
      }
      const fresh = [...this.#made.values()].filter(({ kid }) => !used.has(kid));
      const { ring: next, changes } = change.take(step.ring, now, fresh);
      step = { ring: next, changes: [...step.changes, ...changes] };
    }
    return step;
  }

  /** What has to be made good in a ring that is not the one this instance left in the store. */
  async #repairs(ring: KeyRing): Promise<readonly RingTransition[]> {
    const { policy } = this.keeping;
    if (this.#text === undefined || this.#snapshot === undefined) return [];
    const returned = this.#snapshot.compromised.filter(({ kid }) =>
      ring.keys.some((key) => key.kid === kid),
    );
    return [
      ...returned.map(({ kid }) => compromise(kid, policy)),
      ...(ring.keys.length === 0 ? [] : [reinstating(await this.#open(this.#text), policy)]),
    ];
  }

  async #make(algorithm: SigningAlgorithm): Promise<FreshKey> {
    const { vault } = this.keeping;
    if (vault === null) {
      const key = await generateSigningKey(algorithm);
      const { kid, publicJwk } = key;
      return { kid, algorithm, publicJwk, privateJwk: exportPrivateJwk(key) };
    }
    const { kid, publicJwk } = await importSigner(await vault.generate(algorithm));
    return { kid, algorithm, publicJwk, privateJwk: null };
  }

  async #offer({ ring }: RingStep, stored: StoredKeyRing | null): Promise<boolean> {
    const { protector, store, owner } = this.keeping;
    const text = await protector.seal(serializeRing(ring, owner));
    const expectedVersion = stored?.version ?? null;
    if (!(await store.replace({ expectedVersion, ring: text }))) return false;
    await this.#adopt(ring, text, expectedVersion ?? 0);
    return true;
  }

  async #restore(stored: StoredKeyRing, ring: string): Promise<void> {
    const { store } = this.keeping;
    const isRestored = await store.replace({ expectedVersion: stored.version, ring });
    if (isRestored) this.#reportRestored('newest changes');
    // Either way the versions of before mean nothing in this store any more.
    this.#version = 0;
  }

  #reportRestored(lost: 'ring' | 'newest changes'): void {
    const { events, clock } = this.keeping;
    events.emit({ type: 'key.restored', at: new Date(clock.now()), lost });
  }

  async #adopt(ring: KeyRing, text: string, version: number): Promise<void> {
    this.#version = Math.max(this.#version, version);
    if (this.#text !== text) {
      this.#snapshot = await this.keeping.snapshots.of(ring);
      this.#text = text;
    }
    this.#confirmedAt = this.#askedAt;
  }

  /** Destroys keys that were made in the vault for a change that another instance made first. */
  async #discard(): Promise<void> {
    const kept = new Set(this.#snapshot?.keys.map(({ kid }) => kid));
    const unused = [...this.#made.values()].filter(({ kid }) => !kept.has(kid));
    this.#made.clear();
    await this.#destroy(unused);
  }

  /** Destroys the private parts, in the vault, of keys that ended signing with the last change. */
  async #retire(before: KeyRing): Promise<void> {
    const signs = new Set(
      this.#snapshot?.keys.filter(({ phase }) => phase !== 'verifying').map(({ kid }) => kid),
    );
    await this.#destroy(
      before.keys.filter((key) => key.phase !== 'verifying' && !signs.has(key.kid)),
    );
  }

  async #destroy(
    keys: readonly { readonly kid: string; readonly privateJwk?: object | null }[],
  ): Promise<void> {
    const { vault, events, clock } = this.keeping;
    if (vault === null) return;
    for (const { kid } of keys.filter(({ privateJwk }) => privateJwk === null)) {
      await vault.destroy(kid).catch(() => {
        const at = new Date(clock.now());
        events.emit({ type: 'key.undestroyed', at, kid, detail: 'the key vault failed' });
      });
    }
  }
}
