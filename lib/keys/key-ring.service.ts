import { setTimeout as pause } from 'node:timers/promises';

import { Injectable, type OnModuleDestroy } from '@nestjs/common';

import { withDeadline } from '../kernel/deadline.js';
import { KeyError } from '../kernel/errors.js';
import type { OnStale } from '../kernel/outage.js';
import { ENCRYPTION, type SigningAlgorithm } from './algorithms.js';
import type { EncryptionKey } from './encryption-key.js';
import type { Jwks } from './jwks.js';
import type { SigningKey, VerificationKey } from './key-material.js';
import {
  type Compromise,
  describeCompromise,
  describeCompromisedKey,
  describeKey,
  type KeyDescription,
  type KeyRingHealth,
  type Rotation,
} from './key-description.js';
import type { KeysConfig, KeysSurroundings } from './keys-config.js';
import { RingKeeper } from './ring-keeper.js';
import { reportStep } from './ring-report.js';
import { noSigningKey, type RingSnapshot, RingSnapshots } from './ring-snapshot.js';
import {
  advancing,
  compromise,
  type RingPolicy,
  type RingTransition,
  rotating,
} from './ring-transitions.js';

export type { KeysConfig, KeysSurroundings };

/** Milliseconds a failed store is left alone by those who would wait for it. */
const RETRY_AFTER = 1_000;

/** How often a store that fails at the start is asked, `RETRY_AFTER` apart. */
const START_ATTEMPTS = 10;

/** What may be over when it is asked again: the store, or the vault, is not there yet. */
const PASSING: readonly KeyError['code'][] = ['ERR_KEY_RING_UNAVAILABLE', 'ERR_KEY_SIGNER_FAILED'];

/** Milliseconds for counting sessions. */
const COUNT_WITHIN = 5_000;

const UNREADABLE: readonly KeyError['code'][] = [
  'ERR_KEY_RING_CORRUPT',
  'ERR_KEY_RING_UNREADABLE',
  'ERR_KEY_ENVIRONMENT',
];

/**
 * The keys of this issuer: signs with one, verifies with all that still stand, publishes the public
 * halves. `open` answers only once a key is ready to sign.
 */
@Injectable()
export class KeyRingService implements OnModuleDestroy {
  readonly #config: KeysConfig;
  readonly #surroundings: KeysSurroundings;
  readonly #policy: RingPolicy;
  readonly #keeper: RingKeeper | undefined;
  #static: RingSnapshot | undefined;
  #unsubscribe = (): void => {};
  #failure: KeyError['code'] | null = null;
  #isStale = false;
  /** After a failure, the next attempt is made no sooner. */
  #retryAt = -Infinity;
  #queue: Promise<unknown> = Promise.resolve();
  #refreshing: Promise<void> | undefined;
  /** Refreshes nobody waits for. */
  #aside = 0;

  private constructor(config: KeysConfig, surroundings: KeysSurroundings) {
    this.#config = config;
    this.#surroundings = surroundings;
    const { algorithms, rotateEvery, publishAhead, retainFor, jwksMaxAge, vault } = config;
    const { store, clock, events } = surroundings;
    const { encryption = null } = config;
    const lengths = { rotateEvery, publishAhead, retainFor };
    const policy =
      encryption === null
        ? { algorithms, ...lengths }
        : {
            algorithms: [...algorithms, ENCRYPTION.name],
            ...lengths,
            encryptsAfter: encryption.encryptsAfter,
          };
    const snapshots = new RingSnapshots(policy, vault, jwksMaxAge, clock);
    this.#policy = policy;
    if (config.staticKeys !== null) {
      const { signing, previous } = config.staticKeys;
      this.#static = snapshots.ofStaticKeys(signing, previous, encryption?.staticKeys ?? []);
    } else if (store !== null) {
      const { protector, owner } = config;
      const { maxLag } = config;
      this.#keeper = new RingKeeper({
        store,
        protector,
        vault,
        owner,
        policy,
        snapshots,
        clock,
        events,
        maxLag,
      });
    }
  }

  /** @internal */
  static async open(config: KeysConfig, surroundings: KeysSurroundings): Promise<KeyRingService> {
    const service = new KeyRingService(config, surroundings);
    if (service.#keeper !== undefined) {
      service.#unsubscribe =
        surroundings.store?.onChange(() => service.refreshAside()) ?? service.#unsubscribe;
      await service.#start().catch((error: unknown) => {
        service.#unsubscribe();
        throw error;
      });
    }
    return service;
  }

  /** An application and its store often start together: one that is not there yet is waited for. */
  async #start(): Promise<void> {
    for (let attempt = 1; ; attempt++) {
      try {
        await this.#change(advancing(this.#policy));
        if (this.#current.isComplete) return;
        throw vaultAway();
      } catch (error) {
        if (!(error instanceof KeyError)) throw error;
        this.#reportFailure(error);
        if (!PASSING.includes(error.code) || attempt === START_ATTEMPTS) throw error;
        await pause(RETRY_AFTER);
      }
    }
  }

  async onModuleDestroy(): Promise<void> {
    this.#unsubscribe();
    await this.#config.vault?.close();
  }

  /** Whether the ring generates and rotates its own keys. */
  get rotates(): boolean {
    return this.#config.staticKeys === null;
  }

  /** How the ring stands, for readiness checks. */
  health(): KeyRingHealth {
    if (this.#static !== undefined) return { status: 'ok', lag: 0, code: null };
    const lag = this.#lag;
    const status = lag > this.#config.maxLag ? 'stale' : this.#failure === null ? 'ok' : 'failing';
    return { status, lag, code: this.#failure };
  }

  /**
   * The key that signs now. Keys that are due for another phase move there first; should the store
   * fail then, the key that signs goes on, and `key.unavailable` says so.
   * @throws KeyError `ERR_KEY_RING_UNAVAILABLE` if none of this algorithm signs (yet),
   * `ERR_KEY_RING_STALE` when the store was not heard of for longer than `outage.maxLag`
   */
  async signingKey(algorithm: SigningAlgorithm = this.#config.algorithms[0]): Promise<SigningKey> {
    const now = this.#surroundings.clock.now();
    const isDue = this.#current.changesAt <= now || this.#lag > this.#config.maxLag;
    if (isDue && this.#retryAt <= now) {
      this.#refreshing ??= this.refresh().finally(() => (this.#refreshing = undefined));
      await this.#refreshing;
    }
    this.#assertFresh();
    const key = this.#current.signing.get(algorithm);
    if (key !== undefined) return key;
    throw this.#current.isComplete ? noSigningKey() : vaultAway();
  }

  /**
   * The key with this `kid`, if it still verifies.
   * @param onStale what to do instead of `outage.onStale`
   * @throws KeyError `ERR_KEY_RING_STALE` when it may have been withdrawn without word of it here
   */
  verificationKey(kid: string, onStale?: OnStale): VerificationKey | undefined {
    const now = this.#surroundings.clock.now();
    this.#assertFresh(onStale);
    const usable = this.#current.usable.get(kid);
    return usable !== undefined && now < usable.until ? usable.key : undefined;
  }

  /**
   * @internal The key to encrypt with; `null` if there is none, or none yet. Asked after `signingKey`,
   * which moves keys that are due.
   * @throws KeyError `ERR_KEY_RING_STALE` as `signingKey`
   */
  encryptionKey(): EncryptionKey | null {
    this.#assertFresh();
    return this.#current.encrypting;
  }

  /** @internal The key with this `kid` to decrypt with, as `verificationKey`. */
  decryptionKey(kid: string, onStale?: OnStale): EncryptionKey | undefined {
    const now = this.#surroundings.clock.now();
    this.#assertFresh(onStale);
    const usable = this.#current.decrypting.get(kid);
    return usable !== undefined && now < usable.until ? usable.key : undefined;
  }

  /** All keys with their phases; public facts only. */
  keys(): readonly KeyDescription[] {
    const { keys, compromised } = this.#current;
    return [...keys.map(describeKey), ...compromised.map(describeCompromisedKey)];
  }

  /**
   * The public keys, ready to serve.
   * @throws KeyError `ERR_KEY_RING_STALE` when one of them may have been withdrawn without word of it
   * here
   */
  jwks(): Jwks {
    this.#assertFresh();
    return this.#current.jwks;
  }

  /**
   * Starts a rotation now instead of on schedule: publishes a successor, which signs once it was in
   * the JWKS for `keys.publishAhead`. While one is under way, answers that one.
   * @throws KeyError `ERR_KEY_STATIC` if the key was configured, so that only the operator can
   * change it
   */
  async rotate(): Promise<Rotation> {
    await this.#change(rotating(this.#policy));
    const [algorithm] = this.#config.algorithms;
    const candidates = this.#current.keys.filter((key) => key.algorithm === algorithm);
    const next =
      candidates.find(({ phase }) => phase === 'published') ??
      candidates.find(({ phase }) => phase === 'signing');
    if (next === undefined) throw noSigningKey();
    return { kid: next.kid, signsFrom: describeKey(next).signsFrom };
  }

  /**
   * Takes a key out that may be in other hands: it leaves the JWKS, its successor signs at once, and
   * every instance that the store reaches refuses the tokens it signed within a second; one that is cut
   * off answers 503 once `outage.maxLag` has passed. Asking again changes nothing.
   * @param options `dryRun`: only say what it would do
   * @throws KeyError `ERR_KEY_UNKNOWN` if the ring has no such key; `ERR_KEY_STATIC` if the key was
   * configured; `ERR_KEY_RING_UNAVAILABLE` if the store did not say that it took it: ask again
   */
  async compromise(kid: string, options: { readonly dryRun?: boolean } = {}): Promise<Compromise> {
    const before = this.keys();
    if (options.dryRun !== true) await this.#change(compromise(kid));
    else this.#assertRotates();
    const described = describeCompromise(kid, before, this.keys());
    return { ...described, sessions: await this.#countSessions() };
  }

  /** For information: whatever happens to it, what was asked for is done. */
  #countSessions(): Promise<number | null> {
    const counting = withDeadline(this.#surroundings.countSessions(), COUNT_WITHIN, noSigningKey);
    return counting.then(
      (count) => count,
      () => null,
    );
  }

  /**
   * Seals the stored ring under the first of `keys.encryptionKeys`, so that the others can be
   * dropped from the list. Answers `newest` if that one had sealed it.
   * @throws KeyError as `rotate`
   */
  async rewrap(): Promise<'rewrapped' | 'newest'> {
    const keeper = this.#assertRotates();
    const verdict = await this.#enqueue(() => keeper.rewrap());
    if (verdict === 'rewrapped') {
      this.#surroundings.events.emit({ type: 'key.rewrapped', at: this.#now() });
    }
    return verdict;
  }

  /**
   * @internal Takes over what other instances changed and moves every key to the phase it is due
   * for. A failure is reported and leaves what stands; the next call tries again.
   */
  async refresh(): Promise<void> {
    if (this.#keeper === undefined) return;
    try {
      await this.#change(advancing(this.#policy));
    } catch (error) {
      if (!(error instanceof KeyError)) throw error;
      this.#retryAt = this.#surroundings.clock.now() + RETRY_AFTER;
      this.#reportFailure(error);
    }
  }

  /**
   * @internal `refresh` for those who cannot wait. One that is under way may have looked before what
   * is to be seen was there, so one more follows it; no others pile up.
   */
  refreshAside(): void {
    if (this.#aside >= 2) return;
    this.#aside++;
    this.refresh()
      // Whatever it meets is reported; an event sink that an application put in ours' place may fail.
      .catch(() => {})
      .finally(() => this.#aside--);
  }

  async #change(transition: RingTransition): Promise<void> {
    const keeper = this.#assertRotates();
    await this.#enqueue(async () => {
      const step = await keeper.change(transition);
      if (this.#current.isComplete) this.#confirm();
      else this.#reportFailure(vaultAway());
      if (step !== undefined) reportStep(step, this.#surroundings.events);
    });
  }

  #assertRotates(): RingKeeper {
    if (this.#keeper !== undefined) return this.#keeper;
    throw new KeyError(
      'ERR_KEY_STATIC',
      'The signing key is configured (keys.signingKey), so it is rotated by configuring another.',
    );
  }

  /** Milliseconds since the store last confirmed what is known here. */
  get #lag(): number {
    return this.#keeper?.lag ?? 0;
  }

  get #current(): RingSnapshot {
    const snapshot = this.#static ?? this.#keeper?.snapshot;
    if (snapshot === undefined) throw noSigningKey();
    return snapshot;
  }

  /** One change of the ring at a time on this instance; the store arbitrates between instances. */
  #enqueue<T>(task: () => Promise<T>): Promise<T> {
    const run = this.#queue.then(task).catch((cause: unknown): never => {
      if (cause instanceof KeyError) throw cause;
      throw new KeyError('ERR_KEY_RING_UNAVAILABLE', 'The key store failed.', { cause });
    });
    this.#queue = run.catch(() => {});
    return run;
  }

  #confirm(): void {
    if (this.#failure === null && !this.#isStale) return;
    this.#failure = null;
    this.#isStale = false;
    this.#surroundings.events.emit({ type: 'key.available', at: this.#now() });
  }

  #assertFresh(onStale = this.#config.onStale): void {
    if (this.#lag <= this.#config.maxLag) return;
    if (!this.#isStale) {
      this.#isStale = true;
      const { onStale: usually } = this.#config;
      this.#surroundings.events.emit({ type: 'key.stale', at: this.#now(), onStale: usually });
    }
    if (this.#retryAt <= this.#surroundings.clock.now()) this.refreshAside();
    if (onStale === 'acceptWithAlert') return;
    throw new KeyError('ERR_KEY_RING_STALE', 'The key store was not heard of for too long.');
  }

  /** Once for each way to fail, until it works again. */
  #reportFailure({ code, message: detail }: KeyError): void {
    if (this.#failure === code) return;
    this.#failure = code;
    const type = UNREADABLE.includes(code) ? 'key.unreadable' : 'key.unavailable';
    this.#surroundings.events.emit({ type, at: this.#now(), code, detail });
  }

  #now(): Date {
    return new Date(this.#surroundings.clock.now());
  }
}

function vaultAway(): KeyError {
  return new KeyError('ERR_KEY_SIGNER_FAILED', 'The key vault does not give a key of the ring.');
}
