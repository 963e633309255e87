import type { SecurityEvents } from '../events/security-events.js';
import type { Clock } from '../kernel/clock.js';
import { CoordinatedClock, MAX_SKEW } from '../kernel/coordinated-clock.js';
import { withDeadline } from '../kernel/deadline.js';
import { KeyError, StoreError } from '../kernel/errors.js';
import { isEncryption, type KeyAlgorithm, type SigningAlgorithm } from './algorithms.js';
import { exportEncryptionKey, generateEncryptionKey } from './encryption-key.js';
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
  remembering,
  type RingPolicy,
  type RingStep,
  type RingTransition,
} from './ring-transitions.js';
import type { KeyVault, Signer } from './signer.js';
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
  /** How long, in milliseconds, an instance that is cut off may go on signing with what it knows. */
  readonly maxLag: number;
}

/** A step that the store has taken. */
export interface TakenStep extends RingStep {
  readonly takenAt: number;
}

/** An instant, on the clock that is shared and on the one that never runs back. */
interface Instant {
  readonly now: number;
  readonly elapsed: number;
}

const NEVER: Instant = { now: -Infinity, elapsed: -Infinity };

/** Milliseconds after which a store of the application's that does not answer counts as failed. */
const STORE_WITHIN = 10_000;
/** For a vault to make a key: smart cards take long for RSA. */
const GENERATE_WITHIN = 90_000;
const DESTROY_WITHIN = 5_000;
/** How often the store is heard of while a vault makes a key. */
const HEARTBEAT = 500;
/** Once in a while the ring is judged anew, whatever was computed for it by a clock that was wrong. */
const REVIEW_AFTER = 3_600_000;
/** Beyond `maxLag`, before a private key that stopped signing is destroyed in the vault. */
const DESTROY_MARGIN = 10_000;

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
  #askedAt = NEVER;
  #confirmedAt = NEVER;
  #reviewedAt = -Infinity;
  /** Keys whose private parts are known to be destroyed in the vault, and those that refused it. */
  readonly #destroyed = new Set<string>();
  readonly #undestroyed = new Set<string>();
  /** The highest version that was seen. */
  #version = 0;
  /**
   * Keys made for a change that is not known to have come to anything: the store can have taken it
   * although it failed. Those in a vault serve the next one, so that it is not filled with a key for
   * each attempt; those made here are forgotten.
   */
  readonly #made = new Map<KeyAlgorithm, FreshKey>();

  constructor(private readonly keeping: RingKeeping) {}

  get snapshot(): RingSnapshot | undefined {
    return this.#snapshot;
  }

  /**
   * Milliseconds since what is known here was surely what the store held. A store that takes no
   * change, or a vault that makes no key, does not make it older; a clock that is set back neither.
   */
  get lag(): number {
    return Math.max(0, Math.floor(this.#elapsed() - this.#confirmedAt.elapsed));
  }

  /**
   * Makes one change, if it is due, and takes over what others changed. Answers what it took, and
   * when, by the clock all instances share.
   * @throws KeyError if the ring cannot be read, or kept changing; whatever the store rejects with
   */
  async change(transition: RingTransition): Promise<TakenStep | undefined> {
    for (const { algorithm, privateJwk } of this.#made.values()) {
      if (privateJwk !== null) this.#made.delete(algorithm);
    }
    for (let attempt = 0; attempt < MAX_ATTEMPTS; attempt++) {
      const { stored, storeTime } = await this.#load();
      // All instances judge by one clock what is due, so that none is ahead of the others' word.
      const now = this.#judgeBy(storeTime);
      if (stored !== null && stored.version < this.#version && this.#text !== undefined) {
        if (stored.ring !== this.#text) {
          await this.#restore(stored, this.#text);
          continue;
        }
        // Another instance brought it back; its number is what counts from now on.
        this.#version = stored.version;
      }
      if (stored !== null && this.#isSettled(stored, transition, now)) {
        await this.#destroyFormer(now);
        return undefined;
      }
      this.#reviewedAt = now;
      const ring = await this.#read(stored);
      const next = await this.#next(ring, now, transition);
      if (next.ring === ring && stored !== null) {
        await this.#adopt(ring, stored.ring, stored.version);
        await this.#discard();
        await this.#destroyFormer(now);
        return undefined;
      }
      const isLost = stored === null && this.#text !== undefined;
      if (await this.#offer(next, stored)) {
        if (isLost) this.#reportRestored('ring');
        await this.#discard();
        await this.#destroyFormer(now);
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
    const { protector } = this.keeping;
    for (let attempt = 0; attempt < MAX_ATTEMPTS; attempt++) {
      const { stored } = await this.#load();
      if (stored === null || stored.ring !== this.#text) {
        // To adopt it as it lies there would be to forget what it lacks: a compromise, say.
        await this.change(advancing(this.keeping.policy));
        continue;
      }
      if (protector.isNewest(stored.ring)) return 'newest';
      const ring = await this.#read(stored);
      const text = await protector.seal(serializeRing(ring, this.keeping.owner));
      if (await this.#replace(stored.version, text)) {
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
    const askedAt = { now: clock.now(), elapsed: this.#elapsed() };
    const sentAt = clock instanceof CoordinatedClock ? clock.hostNow() : 0;
    const loaded = await withDeadline(store.load(), STORE_WITHIN, storeIsLate);
    this.#askedAt = askedAt;
    if (!(clock instanceof CoordinatedClock)) return loaded;
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

  /**
   * The store's clock, which all instances share; this instance's own where the store has none, or one
   * that is too far away to be right.
   */
  #judgeBy(storeTime: number | null): number {
    const now = this.keeping.clock.now();
    return storeTime !== null && Math.abs(storeTime - now) <= MAX_SKEW ? storeTime : now;
  }

  #elapsed(): number {
    const { clock } = this.keeping;
    return clock.elapsed?.() ?? clock.now();
  }

  /** Whether the stored ring is the one known, and not due for anything. */
  #isSettled(stored: StoredKeyRing, { isRoutine }: RingTransition, now: number): boolean {
    if (stored.ring !== this.#text || this.#snapshot === undefined || !isRoutine) return false;
    this.#version = Math.max(this.#version, stored.version);
    const isReviewed = Math.abs(now - this.#reviewedAt) < REVIEW_AFTER;
    return this.#snapshot.isComplete && isReviewed && now < this.#snapshot.changesAt;
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
    if (ring.keys.length === 0) return [];
    const { compromised } = this.#snapshot;
    const returned = compromised.filter(({ kid }) => ring.keys.some((key) => key.kid === kid));
    const known = await this.#open(this.#text);
    return [
      ...returned.map(({ kid }) => compromise(kid)),
      remembering(compromised),
      reinstating(known, this.#confirmedAt.now, policy),
    ];
  }

  async #make(algorithm: KeyAlgorithm): Promise<FreshKey> {
    const { vault } = this.keeping;
    if (isEncryption(algorithm)) {
      // Also beside a vault: what decrypts has to be here, on the way of every request.
      const key = generateEncryptionKey();
      const { kid, publicJwk } = key;
      return { kid, algorithm, publicJwk, privateJwk: exportEncryptionKey(key) };
    }
    if (vault === null) {
      const key = await generateSigningKey(algorithm);
      const { kid, publicJwk } = key;
      return { kid, algorithm, publicJwk, privateJwk: exportPrivateJwk(key) };
    }
    const signer = await this.#generate(vault, algorithm);
    try {
      const { kid, publicJwk } = await importSigner(signer);
      return { kid, algorithm, publicJwk, privateJwk: null };
    } catch (error) {
      await this.#destroy(signer.kid);
      throw error;
    }
  }

  /** However long the vault takes, what is known of the store stays fresh. */
  async #generate(vault: KeyVault, algorithm: SigningAlgorithm): Promise<Signer> {
    const late = (): KeyError =>
      new KeyError('ERR_KEY_SIGNER_FAILED', 'The key vault did not make a key in time.');
    const generating = withDeadline(vault.generate(algorithm), GENERATE_WITHIN, late);
    const over = generating.then(
      () => true,
      () => true,
    );
    while (!(await withDeadline(over, HEARTBEAT, late).catch(() => false))) {
      await this.#load().catch(() => {});
    }
    return generating;
  }

  async #offer({ ring }: RingStep, stored: StoredKeyRing | null): Promise<boolean> {
    const { protector, owner } = this.keeping;
    const text = await protector.seal(serializeRing(ring, owner));
    const expectedVersion = stored?.version ?? null;
    if (!(await this.#replace(expectedVersion, text))) return false;
    await this.#adopt(ring, text, expectedVersion ?? 0);
    return true;
  }

  /** What comes too late is fenced off by its version. */
  #replace(expectedVersion: number | null, ring: string): Promise<boolean> {
    const replacing = this.keeping.store.replace({ expectedVersion, ring });
    return withDeadline(replacing, STORE_WITHIN, storeIsLate);
  }

  async #restore(stored: StoredKeyRing, ring: string): Promise<void> {
    const isRestored = await this.#replace(stored.version, ring);
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
    if (this.#text !== text || this.#snapshot?.isComplete !== true) {
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
    for (const { kid, privateJwk } of unused) if (privateJwk === null) await this.#destroy(kid);
  }

  /**
   * Destroys private parts in the vault once no instance signs with them: at once for a compromised
   * key, else when also one that is cut off has stopped. Every instance does, until it has worked.
   */
  async #destroyFormer(now: number): Promise<void> {
    if (this.keeping.vault === null || this.#snapshot === undefined) return;
    const { maxLag } = this.keeping;
    const grace = Number.isFinite(maxLag) ? maxLag + DESTROY_MARGIN : 0;
    const former = this.#snapshot.keys.filter(
      (key) => key.phase === 'verifying' && key.verifyingSince + grace <= now,
    );
    for (const { kid, algorithm } of [...former, ...this.#snapshot.compromised]) {
      if (!isEncryption(algorithm) && !this.#destroyed.has(kid)) await this.#destroy(kid);
    }
  }

  async #destroy(kid: string): Promise<void> {
    const { vault, events, clock } = this.keeping;
    if (vault === null) return;
    try {
      await withDeadline(vault.destroy(kid), DESTROY_WITHIN, () => new Error('late'));
      this.#destroyed.add(kid);
      this.#undestroyed.delete(kid);
    } catch {
      if (this.#undestroyed.has(kid)) return;
      this.#undestroyed.add(kid);
      const at = new Date(clock.now());
      events.emit({ type: 'key.undestroyed', at, kid, detail: 'the key vault failed' });
    }
  }
}

function storeIsLate(): StoreError {
  return new StoreError('ERR_STORE_UNAVAILABLE', 'The key store did not answer in time.');
}
