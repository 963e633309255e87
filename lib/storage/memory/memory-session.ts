import {
  ASKED_WITHIN,
  type FoundSession,
  type Misuse,
  type NextToken,
  type PresentedToken,
  type RotationVerdict,
  type SessionKey,
  type SessionRecord,
} from '../../sessions/session-store.js';
import { Expiring } from './expiry-queue.js';

/**
 * So many former tokens are told from forged ones. Either ends the session; what differs is how it
 * is reported.
 */
const REMEMBERED = 32;

/** How long it is remembered at most that a session ended by misuse, in milliseconds. */
const ENDED_FOR = 24 * 60 * 60 * 1_000;

/** What a session begins with. */
export interface SessionBeginning {
  readonly key: SessionKey;
  readonly lineage: string;
  readonly secret: string;
  readonly binding: string | null;
  readonly data: string;
  readonly idleFor: number;
  readonly absoluteFor: number;
  readonly atMost: number;
}

/** What a token is shown for. */
export interface Rotation {
  readonly presented: PresentedToken;
  readonly next: NextToken;
  readonly graceFor: number;
  readonly askedAt: number | null;
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
  readonly createdAt: number;
  readonly #absoluteExpiresAt: number;
  readonly #idleFor: number;
  #secret: string;
  #predecessor: Predecessor | undefined;
  /** The last of them was the predecessor of the predecessor. */
  readonly #older = new Set<string>();
  #data: string;
  #lastUsedAt: number;
  #generation = 0;
  #misuse: Misuse | null = null;

  constructor(beginning: SessionBeginning, now: number) {
    super(now + Math.min(beginning.idleFor, beginning.absoluteFor));
    const { owner, id } = beginning.key;
    this.key = Object.freeze({ owner, id });
    this.#lineage = beginning.lineage;
    this.#binding = beginning.binding;
    this.createdAt = now;
    this.#absoluteExpiresAt = now + beginning.absoluteFor;
    this.#idleFor = beginning.idleFor;
    this.#secret = beginning.secret;
    this.#data = beginning.data;
    this.#lastUsedAt = now;
  }

  /**
   * Whether it lives: not expired, and not ended by misuse. One that was misused is kept for a while,
   * so that its tokens are known for what they are.
   */
  livesAt(now: number): boolean {
    return this.#misuse === null && now < this.expiresAt;
  }

  /** Whether a token with this lineage is one of its own. */
  isOf(lineage: string): boolean {
    return lineage === this.#lineage;
  }

  record(): SessionRecord {
    return {
      key: this.key,
      data: this.#data,
      createdAt: this.createdAt,
      lastUsedAt: this.#lastUsedAt,
      absoluteExpiresAt: this.#absoluteExpiresAt,
      idleFor: this.#idleFor,
      generation: this.#generation,
    };
  }

  /** What a token of its lineage is by now. */
  show(secret: string, now: number): FoundSession {
    return { session: this.record(), shown: this.#kindOf(secret, now), at: now };
  }

  /** When it is to be forgotten, after a rotation or its end by misuse. */
  expiryAfter(verdict: 'rotated' | 'reused', now: number): number {
    return verdict === 'rotated'
      ? Math.min(now + this.#idleFor, this.#absoluteExpiresAt)
      : Math.min(now + ENDED_FOR, this.expiresAt);
  }

  /** Judges a token, and puts the next one in its place or ends the session as it deserves. */
  rotate({ presented, next, graceFor, askedAt }: Rotation, now: number): RotationVerdict {
    // Who does not know the lineage only guessed the key, and must not be able to end a session.
    if (!this.isOf(presented.lineage) || now >= this.expiresAt) return { verdict: 'unknown' };
    if (this.#misuse !== null) {
      return { verdict: 'ended', session: this.record(), misuse: this.#misuse };
    }
    const misuse = this.#judge(presented, graceFor, askedAt ?? now, now);
    if (misuse !== null) {
      this.#misuse = misuse;
      return { verdict: 'reused', session: this.record(), misuse };
    }
    if (this.#predecessor !== undefined && presented.secret === this.#predecessor.secret) {
      return { verdict: 'repeated', session: this.record(), sealed: this.#predecessor.sealed };
    }
    this.#succeed(next, graceFor, now);
    return { verdict: 'rotated', session: this.record() };
  }

  #kindOf(secret: string, now: number): FoundSession['shown'] {
    if (secret === this.#secret) return 'current';
    const { graceFor = 0 } = this.#predecessor ?? {};
    const isFormer = secret === this.#predecessor?.secret;
    return isFormer && this.#isInWindow(graceFor, now, now) ? 'former' : 'other';
  }

  #isInWindow(graceFor: number, askedAt: number, now: number): boolean {
    if (this.#predecessor === undefined) return false;
    const { rotatedAt, graceFor: granted } = this.#predecessor;
    // A clock that was set back must not open the window again.
    if (now < rotatedAt) return false;
    // Before the rotation it was the current token: two that raced.
    return Math.max(0, askedAt - rotatedAt) < Math.min(graceFor, granted);
  }

  #judge(
    { secret, binding }: PresentedToken,
    graceFor: number,
    askedAt: number,
    now: number,
  ): Misuse | null {
    const predecessor = this.#predecessor;
    if (secret === this.#secret) return binding === this.#binding ? null : 'binding';
    if (predecessor !== undefined && secret === predecessor.secret) {
      if (!this.#isInWindow(graceFor, askedAt, now)) return 'recent';
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

/** Whether it is too late, or too early, to judge what was asked then. */
export function isLate(askedAt: number | null, now: number): boolean {
  return askedAt !== null && !(askedAt <= now && now - askedAt <= ASKED_WITHIN);
}
