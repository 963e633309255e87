import type {
  Misuse,
  NextToken,
  PresentedToken,
  RotationVerdict,
  SessionKey,
  SessionRecord,
} from '../../sessions/session-store.js';
import { Expiring } from './expiry-queue.js';

/**
 * So many former tokens are told from forged ones. Either ends the session; what differs is how it
 * is reported.
 */
const REMEMBERED = 32;

/** What a session begins with. */
export interface SessionBeginning {
  readonly key: SessionKey;
  readonly lineage: string;
  readonly secret: string;
  readonly binding: string | null;
  readonly data: string;
  readonly idleFor: number;
  readonly absoluteFor: number;
}

/** The token before the current one, for a client that never got the answer. */
interface Predecessor {
  readonly secret: string;
  /** The current token, sealed under this one. */
  readonly sealed: string;
  readonly rotatedAt: number;
  /** Fixed when it was rotated, so that no later call extends it. */
  readonly graceFor: number;
}

/**
 * One session and its tokens. All secrets are digests of 256 random bits, so comparing them tells
 * nothing by the time it takes.
 */
export class MemorySession extends Expiring {
  readonly key: SessionKey;
  readonly #lineage: string;
  readonly #binding: string | null;
  readonly #createdAt: number;
  readonly #absoluteExpiresAt: number;
  readonly #idleFor: number;
  #secret: string;
  #predecessor: Predecessor | undefined;
  /** The last of them was the predecessor of the predecessor. */
  readonly #older = new Set<string>();
  #data: string;
  #lastUsedAt: number;
  #generation = 0;
  #misused = false;

  constructor(beginning: SessionBeginning, now: number) {
    super(now + Math.min(beginning.idleFor, beginning.absoluteFor));
    const { owner, id } = beginning.key;
    this.key = Object.freeze({ owner, id });
    this.#lineage = beginning.lineage;
    this.#binding = beginning.binding;
    this.#createdAt = now;
    this.#absoluteExpiresAt = now + beginning.absoluteFor;
    this.#idleFor = beginning.idleFor;
    this.#secret = beginning.secret;
    this.#data = beginning.data;
    this.#lastUsedAt = now;
  }

  /**
   * Whether it lives: not expired, and not ended by misuse. One that was misused is kept until it
   * would have expired, so that its tokens are known for what they are.
   */
  livesAt(now: number): boolean {
    return !this.#misused && now < this.expiresAt;
  }

  /** Whether a token with this lineage is one of its own. */
  isOf(lineage: string): boolean {
    return lineage === this.#lineage;
  }

  record(): SessionRecord {
    return {
      key: this.key,
      data: this.#data,
      createdAt: this.#createdAt,
      lastUsedAt: this.#lastUsedAt,
      absoluteExpiresAt: this.#absoluteExpiresAt,
      idleFor: this.#idleFor,
      generation: this.#generation,
    };
  }

  /** When it expires if it is used now. */
  expiryIfUsed(now: number): number {
    return Math.min(now + this.#idleFor, this.#absoluteExpiresAt);
  }

  /** Judges a token, and puts the next one in its place or ends the session as it deserves. */
  rotate(
    presented: PresentedToken,
    next: NextToken,
    graceFor: number,
    now: number,
  ): RotationVerdict {
    // Who does not know the lineage only guessed the key, and must not be able to end a session.
    if (!this.isOf(presented.lineage) || now >= this.expiresAt) return { verdict: 'unknown' };
    if (this.#misused) return { verdict: 'ended', session: this.record() };
    const misuse = this.#judge(presented, graceFor, now);
    if (misuse !== null) {
      this.#misused = true;
      return { verdict: 'reused', session: this.record(), misuse };
    }
    if (this.#predecessor !== undefined && presented.secret === this.#predecessor.secret) {
      return { verdict: 'repeated', session: this.record(), sealed: this.#predecessor.sealed };
    }
    this.#succeed(next, graceFor, now);
    return { verdict: 'rotated', session: this.record() };
  }

  #judge({ secret, binding }: PresentedToken, graceFor: number, now: number): Misuse | null {
    const predecessor = this.#predecessor;
    if (secret === this.#secret) return binding === this.#binding ? null : 'binding';
    if (predecessor !== undefined && secret === predecessor.secret) {
      const since = now - predecessor.rotatedAt;
      // A clock that was set back must not open the window again.
      const isInside = since >= 0 && since < Math.min(graceFor, predecessor.graceFor);
      if (!isInside) return 'recent';
      return binding === this.#binding ? null : 'binding';
    }
    if (!this.#older.has(secret)) return 'unknown';
    return secret === [...this.#older].at(-1) ? 'recent' : 'older';
  }

  #succeed(next: NextToken, graceFor: number, now: number): void {
    if (this.#predecessor !== undefined) {
      this.#older.add(this.#predecessor.secret);
      const [oldest] = this.#older;
      if (this.#older.size > REMEMBERED && oldest !== undefined) this.#older.delete(oldest);
    }
    this.#predecessor = { secret: this.#secret, sealed: next.sealed, rotatedAt: now, graceFor };
    this.#secret = next.secret;
    this.#data = next.data ?? this.#data;
    this.#lastUsedAt = now;
    this.#generation++;
  }
}
