import { Injectable, type OnModuleDestroy } from '@nestjs/common';

import type { SecurityEvents } from '../events/security-events.js';
import type { Clock } from '../kernel/clock.js';
import { KeyError } from '../kernel/errors.js';
import type { SigningAlgorithm } from './algorithms.js';
import type { Jwks } from './jwks.js';
import {
  exportPrivateJwk,
  generateSigningKey,
  type SigningKey,
  type VerificationKey,
} from './key-material.js';
import {
  advance,
  beginRotation,
  EMPTY_RING,
  findPublished,
  findSigning,
  type FreshKey,
  type KeyPhase,
  type KeyRing,
  keysDue,
  type RingKey,
  type RingPolicy,
  type RingStep,
} from './key-ring.js';
import type { KeyStore } from './key-store.js';
import { noSigningKey, type RingSnapshot, RingSnapshots } from './ring-snapshot.js';
import { parseRing, serializeRing } from './stored-ring.js';

/** The part of the configuration that keys need. Lengths in milliseconds. */
export interface KeysConfig {
  readonly algorithm: SigningAlgorithm;
  /** A key of the operator's; `null` for a ring that generates and rotates its own. */
  readonly signingKey: SigningKey | null;
  readonly rotateEvery: number;
  readonly publishAhead: number;
  readonly retainFor: number;
  readonly jwksMaxAge: number;
}

/** One key as operators see it: public facts only. */
export interface KeyDescription {
  readonly kid: string;
  readonly algorithm: SigningAlgorithm;
  readonly phase: Exclude<KeyPhase, 'retired'>;
  readonly publishedAt: Date;
  /** When it starts or started to sign. */
  readonly signsFrom: Date;
  /** When it leaves the ring; only a key that stopped signing knows. */
  readonly retiresAt: Date | null;
}

/** What `rotate` set in motion. */
export interface Rotation {
  /** The key that takes over. */
  readonly kid: string;
  /** When it starts to sign: once every verifier has had time to fetch it. */
  readonly signsFrom: Date;
}

/** Milliseconds a failed store is left alone by those who would wait for it. */
const RETRY_AFTER = 1_000;

/** Losing a compare-and-swap this often in a row means a broken store, not a race. */
const MAX_ATTEMPTS = 16;

type Step = (ring: KeyRing, now: number, fresh: readonly FreshKey[]) => RingStep;

/**
 * The keys of this issuer: signs with one, verifies with all that still stand, publishes the public
 * halves. `open` answers only once a key is ready to sign.
 */
@Injectable()
export class KeyRingService implements OnModuleDestroy {
  readonly #config: KeysConfig;
  readonly #store: KeyStore;
  readonly #clock: Clock;
  readonly #events: SecurityEvents;
  readonly #snapshots: RingSnapshots;
  readonly #policy: RingPolicy;
  #unsubscribe = (): void => {};
  #snapshot: RingSnapshot | undefined;
  /** The stored text the snapshot was taken of. */
  #text: string | undefined;
  /** After a failure, the next attempt is made no sooner. */
  #retryAt = -Infinity;
  #queue: Promise<void> = Promise.resolve();
  #refreshing: Promise<void> | undefined;

  private constructor(config: KeysConfig, store: KeyStore, clock: Clock, events: SecurityEvents) {
    this.#config = config;
    this.#store = store;
    this.#clock = clock;
    this.#events = events;
    const { algorithm, rotateEvery, publishAhead, retainFor, jwksMaxAge } = config;
    this.#policy = { algorithms: [algorithm], rotateEvery, publishAhead, retainFor };
    this.#snapshots = new RingSnapshots(this.#policy, algorithm, jwksMaxAge, clock);
  }

  /** @internal */
  static async open(
    config: KeysConfig,
    store: KeyStore,
    clock: Clock,
    events: SecurityEvents,
  ): Promise<KeyRingService> {
    const service = new KeyRingService(config, store, clock, events);
    if (config.signingKey === null) {
      const unsubscribe = store.onChange(() => void service.refresh());
      service.#unsubscribe = unsubscribe;
      await service.#advance().catch((error: unknown) => {
        unsubscribe();
        throw error;
      });
    } else {
      service.#snapshot = service.#snapshots.ofStaticKey(config.signingKey);
    }
    return service;
  }

  onModuleDestroy(): void {
    this.#unsubscribe();
  }

  /** Whether the ring generates and rotates its own keys. */
  get rotates(): boolean {
    return this.#config.signingKey === null;
  }

  /**
   * The key that signs now. Keys that are due for another phase move there first; should the store
   * fail then, the key that signs goes on, and `key.unavailable` says so.
   */
  async signingKey(): Promise<SigningKey> {
    const now = this.#clock.now();
    if (this.#current.changesAt <= now && this.#retryAt <= now) {
      this.#refreshing ??= this.refresh().finally(() => (this.#refreshing = undefined));
      await this.#refreshing;
    }
    return this.#current.signing;
  }

  /** The key with this `kid`, if it still verifies. */
  verificationKey(kid: string): VerificationKey | undefined {
    const usable = this.#current.usable.get(kid);
    return usable !== undefined && this.#clock.now() < usable.until ? usable.key : undefined;
  }

  /** All keys with their phases; public facts only. */
  keys(): readonly KeyDescription[] {
    return this.#current.ring.keys.map(describe);
  }

  /** The public keys, ready to serve. */
  jwks(): Jwks {
    return this.#current.jwks;
  }

  /**
   * Starts a rotation now instead of on schedule: publishes a successor, which signs once it was in
   * the JWKS for `keys.publishAhead`. While one is under way, answers that one.
   * @throws KeyError `ERR_KEY_STATIC` if the key was configured, so that only the operator can
   * change it
   */
  async rotate(): Promise<Rotation> {
    if (!this.rotates) {
      throw new KeyError(
        'ERR_KEY_STATIC',
        'The signing key is configured (keys.signingKey), so it is rotated by configuring another.',
      );
    }
    const { algorithm } = this.#config;
    await this.#enqueue(async () => {
      const step: Step = (ring, now, fresh) => beginRotation(ring, now, this.#policy, fresh);
      await this.#apply(step, (ring, now) =>
        findPublished(ring, algorithm) === undefined
          ? [algorithm]
          : keysDue(ring, now, this.#policy),
      );
    });
    const { ring } = this.#current;
    const next = findPublished(ring, algorithm) ?? findSigning(ring, algorithm);
    if (next === undefined) throw noSigningKey();
    return { kid: next.kid, signsFrom: describe(next).signsFrom };
  }

  /**
   * @internal Takes over what other instances changed and moves every key to the phase it is due
   * for. A failure is reported and leaves what stands; the next call tries again.
   */
  async refresh(): Promise<void> {
    try {
      await this.#advance();
    } catch (error) {
      if (!(error instanceof KeyError)) throw error;
      const at = this.#now();
      this.#retryAt = at.getTime() + RETRY_AFTER;
      this.#events.emit({ type: 'key.unavailable', at, code: error.code, detail: error.message });
    }
  }

  #advance(): Promise<void> {
    return this.#enqueue(async () => {
      const step: Step = (ring, now, fresh) => advance(ring, now, this.#policy, fresh);
      await this.#apply(step, (ring, now) => keysDue(ring, now, this.#policy));
    });
  }

  get #current(): RingSnapshot {
    if (this.#snapshot === undefined) throw noSigningKey();
    return this.#snapshot;
  }

  /** One change of the ring at a time on this instance; the store arbitrates between instances. */
  #enqueue(task: () => Promise<void>): Promise<void> {
    const run = this.#queue.then(task).catch((cause: unknown) => {
      if (cause instanceof KeyError) throw cause;
      throw new KeyError('ERR_KEY_RING_UNAVAILABLE', 'The key store failed.', { cause });
    });
    this.#queue = run.catch(() => {});
    return run;
  }

  async #apply(
    step: Step,
    algorithmsNeeded: (ring: KeyRing, now: number) => readonly SigningAlgorithm[],
  ): Promise<void> {
    for (let attempt = 0; attempt < MAX_ATTEMPTS; attempt++) {
      const { stored } = await this.#store.load();
      // A store that lost the ring gets it back: verifiers know these keys, and would not know others.
      const ring = stored === null ? (this.#snapshot?.ring ?? EMPTY_RING) : parseRing(stored.ring);
      // Nobody changes a ring it cannot read: a change could hide what is wrong with it.
      if (stored !== null && this.#text !== stored.ring) await this.#snapshots.of(ring);
      const now = this.#clock.now();
      const fresh = await Promise.all(
        algorithmsNeeded(ring, now).map((algorithm) => this.#generate(algorithm)),
      );
      const next = step(ring, now, fresh);
      if (next.changes.length === 0 && stored !== null) return this.#adopt(ring, stored.ring);
      const text = serializeRing(next.ring);
      if (await this.#store.replace({ expectedVersion: stored?.version ?? null, ring: text })) {
        await this.#adopt(next.ring, text);
        this.#report(next);
        return;
      }
    }
    throw new KeyError('ERR_KEY_RING_CONFLICT', 'The key ring kept changing while it was updated.');
  }

  async #generate(algorithm: SigningAlgorithm): Promise<FreshKey> {
    const key = await generateSigningKey(algorithm);
    return { kid: key.kid, algorithm, publicJwk: key.publicJwk, privateJwk: exportPrivateJwk(key) };
  }

  async #adopt(ring: KeyRing, text: string): Promise<void> {
    if (this.#text === text) return;
    this.#snapshot = await this.#snapshots.of(ring);
    this.#text = text;
  }

  #report({ ring, changes }: RingStep): void {
    for (const { kid, algorithm, phase } of changes) {
      const at = this.#now();
      const key = ring.keys.find((candidate) => candidate.kid === kid);
      if (key?.phase === 'published') {
        const signsFrom = new Date(key.signsFrom);
        this.#events.emit({ type: 'key.published', at, kid, algorithm, signsFrom });
      } else if (key?.phase === 'verifying') {
        const retiresAt = new Date(key.retiresAt);
        this.#events.emit({ type: 'key.verifying', at, kid, algorithm, retiresAt });
      } else {
        this.#events.emit({
          type: phase === 'signing' ? 'key.signing' : 'key.retired',
          at,
          kid,
          algorithm,
        });
      }
    }
  }

  #now(): Date {
    return new Date(this.#clock.now());
  }
}

function describe(key: RingKey): KeyDescription {
  return {
    kid: key.kid,
    algorithm: key.algorithm,
    phase: key.phase,
    publishedAt: new Date(key.publishedAt),
    signsFrom: new Date(key.phase === 'published' ? key.signsFrom : key.signingSince),
    retiresAt: key.phase === 'verifying' ? new Date(key.retiresAt) : null,
  };
}
