import { hash } from 'node:crypto';

import { LRUCache } from 'lru-cache';

import type { SecurityEvents } from '../../events/security-events.js';
import type { Clock } from '../../kernel/clock.js';
import { withDeadline } from '../../kernel/deadline.js';
import { ProofError, StoreError } from '../../kernel/errors.js';
import type { ReplayStore } from '../replay-store.js';

/** Counts the proofs of each key over all instances. `AttemptStore` is one. */
export interface ProofCounter {
  record(attempt: {
    readonly key: string;
    readonly window: number;
    readonly runsFrom: 'first' | 'last';
  }): Promise<{
    readonly count: number;
    /** Milliseconds until the count begins anew. */
    readonly expiresIn: number;
  }>;
}

/** A proof that is right in all else. */
export interface RightProof {
  readonly jkt: string;
  readonly jti: string;
  /** Milliseconds since the epoch from which on no instance takes it. */
  readonly expiresAt: number;
}

/** What proofs are remembered in. */
export interface ProofUsesParts {
  readonly replays: ReplayStore;
  readonly counter: ProofCounter;
  readonly clock: Clock;
  readonly events: SecurityEvents;
}

const MINUTE = 60_000;

/** Milliseconds after which a store that does not answer has failed. */
const ANSWER_WITHIN = 5_000;

/** Keys over their quota, and used proofs, that this instance knows of itself; about 200 bytes each. */
const REMEMBERED = 10_000;

/**
 * That a proof is good once, and that a key makes so many a minute, over all instances together. The
 * last of all checks: who fails another uses nothing up and counts for nothing.
 *
 * When a proof expires follows from the proof alone, and the store grants nothing that has expired by
 * its clock: what it has forgotten can never be granted again, however far the clocks of instances
 * are apart.
 */
export class ProofUses {
  readonly #perMinute: number;
  readonly #parts: ProofUsesParts;
  /** What the store refused, so that repeating it costs neither the store a call nor the key a count. */
  readonly #used = new LRUCache<string, number>({ max: REMEMBERED });
  readonly #limited = new LRUCache<string, number>({ max: REMEMBERED });

  constructor(perMinute: number, parts: ProofUsesParts) {
    this.#perMinute = perMinute;
    this.#parts = parts;
  }

  /**
   * Refuses a key whose minute is known to be over its quota; before its signature is even checked.
   * @throws ProofError `ERR_PROOF_LIMITED`
   */
  assertWithinQuota(jkt: string): void {
    if (this.#stands(this.#limited.get(jkt))) throw limited();
  }

  /**
   * Uses a proof up.
   * @throws ProofError `ERR_PROOF_REPLAYED`, `ERR_PROOF_LIMITED`
   * @throws StoreError if that cannot be remembered
   */
  async use({ jkt, jti, expiresAt }: RightProof): Promise<void> {
    const digest = hash('sha256', `${jkt}\0${jti}`, 'base64url');
    if (this.#stands(this.#used.get(digest))) throw this.#replayed(jkt);
    const { granted, count, expiresIn } = await this.#ask(jkt, digest, expiresAt);
    this.#used.set(digest, expiresAt);
    if (!granted) throw this.#replayed(jkt);
    if (count <= this.#perMinute) return;
    this.#limited.set(jkt, this.#parts.clock.now() + Math.min(expiresIn, MINUTE));
    this.#tell('proof.limited', jkt);
    throw limited();
  }

  /** Both at once: the second does not wait for the first to come back. */
  async #ask(
    jkt: string,
    digest: string,
    expiresAt: number,
  ): Promise<{ readonly granted: boolean; readonly count: number; readonly expiresIn: number }> {
    const { replays, counter } = this.#parts;
    try {
      const asked = Promise.all([
        replays.claimOnce({ key: `dpop:${digest}`, expiresAt }),
        counter.record({ key: `dpop:${jkt}`, window: MINUTE, runsFrom: 'first' }),
      ]);
      const [granted, tally] = await withDeadline(asked, ANSWER_WITHIN, unremembered);
      const { count, expiresIn } = tally;
      if (!(count >= 1) || !(expiresIn >= 0)) throw unremembered();
      return { granted: granted === true, count, expiresIn };
    } catch (error) {
      throw error instanceof StoreError ? error : unremembered(error);
    }
  }

  #stands(until: number | undefined): boolean {
    return until !== undefined && until > this.#parts.clock.now();
  }

  #replayed(jkt: string): ProofError {
    this.#tell('proof.replayed', jkt);
    return new ProofError('ERR_PROOF_REPLAYED', 'the proof was used before');
  }

  #tell(type: 'proof.replayed' | 'proof.limited', thumbprint: string): void {
    const { clock, events } = this.#parts;
    events.emit({ type, at: new Date(clock.now()), thumbprint });
  }
}

function limited(): ProofError {
  return new ProofError('ERR_PROOF_LIMITED', 'the key makes too many proofs');
}

function unremembered(cause?: unknown): StoreError {
  const message = 'The store did not remember the proof.';
  return new StoreError('ERR_STORE_UNAVAILABLE', message, { cause });
}
