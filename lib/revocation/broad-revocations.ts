import { DIGEST_LENGTH, type Revocation } from './revocation-entry.js';

/** What revokes more than a table has entries for. */
export type BroadKind = 'key' | 'everything' | 'before';

type BroadRevocation = Revocation & { readonly kind: BroadKind };

const DIGEST = new RegExp(`^[A-Za-z0-9_-]{${DIGEST_LENGTH}}$`);

/** Keys looked at per sweep. */
const SWEPT_AT_ONCE = 1_000;

/**
 * The revocations that name no token, session or subject: keys, everything, and what was issued
 * before an instant. Made by operators, so there are few of them; they may last for 400 days. The
 * instants are kept as they are.
 */
export class BroadRevocations {
  /** By digest, which is empty for the two that name nothing. */
  readonly #held = {
    key: new Map<string, BroadRevocation>(),
    everything: new Map<string, BroadRevocation>(),
    before: new Map<string, BroadRevocation>(),
  };
  #sweeping: Iterator<readonly [string, BroadRevocation]> | undefined;

  /** Entries held, ended ones that were not swept included. */
  get size(): number {
    const { key, everything, before } = this.#held;
    return key.size + everything.size + before.size;
  }

  /** How many of them are of keys. */
  get keys(): number {
    return this.#held.key.size;
  }

  /**
   * Adds what has not ended; of two the later `since` and the later `until` stay.
   * @returns whether that changed anything
   * @throws TypeError for a digest that is none
   */
  add(revocation: BroadRevocation, now: number): boolean {
    const { kind, digest, since, until } = revocation;
    if (kind === 'key' ? !DIGEST.test(digest) : digest !== '') {
      throw new TypeError('The digest of a key has 13 characters of base64url, another has none.');
    }
    if (until <= now) return false;
    const held = this.#held[kind];
    const old = held.get(digest);
    if (old === undefined || old.until <= now) {
      held.set(digest, revocation);
      return true;
    }
    if (old.since >= since && old.until >= until) return false;
    held.set(digest, {
      ...revocation,
      since: Math.max(since, old.since),
      until: Math.max(until, old.until),
    });
    return true;
  }

  /** `since` of the one that counts now. */
  find(kind: BroadKind, digest: string, now: number): number | undefined {
    const found = this.#held[kind].get(digest);
    return found !== undefined && now < found.until ? found.since : undefined;
  }

  /** Whether one that counts now has this `since` and this `until`, or later ones. */
  holds({ kind, digest, since, until }: BroadRevocation, now: number): boolean {
    const found = this.#held[kind].get(digest);
    return found !== undefined && now < found.until && found.since >= since && found.until >= until;
  }

  /** All that count. */
  *held(now: number): Generator<Revocation> {
    for (const held of Object.values(this.#held)) {
      for (const revocation of held.values()) {
        if (now < revocation.until) yield revocation;
      }
    }
  }

  /** Clears away some of what has ended. */
  sweep(now: number): void {
    const { key: keys, everything, before } = this.#held;
    for (const single of [everything, before]) {
      for (const [digest, { until }] of single) if (until <= now) single.delete(digest);
    }
    this.#sweeping ??= keys.entries();
    for (let seen = 0; seen < SWEPT_AT_ONCE; seen++) {
      const next = this.#sweeping.next();
      if (next.done === true) {
        this.#sweeping = undefined;
        return;
      }
      const [digest, { until }] = next.value;
      if (until <= now) keys.delete(digest);
    }
  }
}
