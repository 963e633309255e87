import { LRUCache } from 'lru-cache';

import type { SecurityEvents } from '../../events/security-events.js';
import type { Clock } from '../../kernel/clock.js';
import { withDeadline } from '../../kernel/deadline.js';
import { ProofError, StoreError } from '../../kernel/errors.js';
import type { ReplayStore } from '../replay-store.js';
import { type ProofCounter, ProofQuota, type QuotaVerdict } from './proof-quota.js';

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

/** Milliseconds after which a store that does not answer has failed. */
const ANSWER_WITHIN = 5_000;

/** Used proofs that this instance knows of itself; 100 to 700 bytes each. */
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
  readonly #parts: ProofUsesParts;
  readonly #quota: ProofQuota;
  /**
   * What is used, or being used: who repeats it costs the store no call, and the key none of its quota,
   * or whoever sees a proof could lock its owner out.
   */
  readonly #used = new LRUCache<string, number>({ max: REMEMBERED });
  readonly #beingUsed = new Set<string>();

  constructor(perMinute: number, parts: ProofUsesParts) {
    this.#parts = parts;
    this.#quota = new ProofQuota(perMinute, parts.counter, parts.clock);
  }

  /**
   * Refuses a key that is known to be over its quota; before its signature is even checked.
   * @throws ProofError `ERR_PROOF_LIMITED`
   */
  assertWithinQuota(jkt: string): void {
    if (this.#quota.isOver(jkt)) throw limited();
  }

  /**
   * Uses a proof up.
   * @throws ProofError `ERR_PROOF_REPLAYED`, `ERR_PROOF_LIMITED`
   * @throws StoreError if that cannot be remembered
   */
  async use({ jkt, jti, expiresAt }: RightProof): Promise<void> {
    // A jti has no control characters, and a thumbprint is of one length.
    const key = `dpop:${jkt}:${jti}`;
    const isUsed = (this.#used.get(key) ?? 0) > this.#parts.clock.now();
    if (isUsed || this.#beingUsed.has(key)) throw this.#replayed(jkt);
    this.#beingUsed.add(key);
    try {
      const { granted, verdict } = await this.#ask(jkt, { key, expiresAt });
      this.#used.set(key, expiresAt);
      if (!granted) throw this.#replayed(jkt);
      if (verdict === 'over') this.#tell('proof.limited', jkt);
      if (verdict !== 'within') throw limited();
    } finally {
      this.#beingUsed.delete(key);
    }
  }

  /** Both at once, where both are asked: the second does not wait for the first to come back. */
  async #ask(
    jkt: string,
    claim: { readonly key: string; readonly expiresAt: number },
  ): Promise<{ readonly granted: boolean; readonly verdict: QuotaVerdict }> {
    try {
      const claimed = this.#parts.replays.claimOnce(claim);
      const asked = Promise.all([claimed, this.#quota.count(jkt)]);
      const [granted, verdict] = await withDeadline(asked, ANSWER_WITHIN, unremembered);
      return { granted: granted === true, verdict };
    } catch (error) {
      throw error instanceof StoreError ? error : unremembered(error);
    }
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
