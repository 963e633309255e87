import { LRUCache } from 'lru-cache';

/** What is known of a kid that the issuer did not have. */
interface Miss {
  readonly misses: number;
  /** It causes no other fetch sooner. */
  readonly retryAt: number;
}

/** More than there are keys; a flood of more evicts only what other floods left. */
const MAX_KIDS = 1_000;

/** A kid that was never found causes a fetch this many times less often than a new one. */
const MAX_FACTOR = 16;

/**
 * Decides which unknown kids are worth another look at the issuer. All of them together cause one
 * fetch per cooldown, so that a flood is no attack on the issuer; and one that keeps coming, such as
 * that of an abandoned client, causes fewer and fewer, so that the next look is left for a key that
 * is really new. Kids that are known are never asked about here, and so never wait for others.
 */
export class UnknownKids {
  readonly #cooldown: number;
  readonly #missed = new LRUCache<string, Miss>({ max: MAX_KIDS });
  #nextLookAt = -Infinity;

  constructor(cooldown: number) {
    this.#cooldown = cooldown;
  }

  /** Whether to look for this kid now. Answered with yes, all have to wait for the cooldown. */
  claimLook(kid: string, now: number): boolean {
    if (now < this.#nextLookAt) return false;
    const missed = this.#missed.get(kid);
    if (missed !== undefined && now < missed.retryAt) return false;
    this.#nextLookAt = now + this.#cooldown;
    return true;
  }

  /** Remembers that the issuer was asked and does not have it. */
  noteMissing(kid: string, now: number): void {
    const known = this.#missed.get(kid);
    // The many requests that waited for one fetch are one miss.
    if (known !== undefined && now < known.retryAt) return;
    const misses = (known?.misses ?? 0) + 1;
    const factor = Math.min(2 ** (misses - 1), MAX_FACTOR);
    this.#missed.set(kid, { misses, retryAt: now + this.#cooldown * factor });
  }

  noteFound(kid: string): void {
    this.#missed.delete(kid);
  }
}
