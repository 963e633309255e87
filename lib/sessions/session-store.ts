/**
 * What is kept of a session. No adapter ever sees a token: tokens are digests, and what must be
 * given back to a client is sealed under a key that only the client's token yields.
 */
export interface SessionRecord {
  readonly key: SessionKey;
  /** Opaque to the store: device, binding, scopes. At most 4 KiB. */
  readonly data: string;
  /** Milliseconds since the epoch, as are all instants here. */
  readonly createdAt: number;
  readonly lastUsedAt: number;
  /** The session ends here however often it is used. */
  readonly absoluteExpiresAt: number;
  /** It ends when it was not used for so many milliseconds. */
  readonly idleFor: number;
  /** How often its refresh token was rotated. */
  readonly generation: number;
}

/** Where a session is: all sessions of one owner (subject) are stored together. */
export interface SessionKey {
  /** 1 to 128 characters of `[A-Za-z0-9_-]`. */
  readonly owner: string;
  /** 1 to 128 characters of `[A-Za-z0-9_-]`, unique within its owner. */
  readonly id: string;
}

/** A refresh token as the store knows it: digests in base64url. */
export interface PresentedToken {
  readonly key: SessionKey;
  /** Digest of the part all tokens of one session share; a guessed `key` without it changes nothing. */
  readonly lineage: string;
  /** Digest of the part that changes with each rotation. */
  readonly secret: string;
  /** Digest of what the sender proved besides; must equal that of the session. `null` for nothing. */
  readonly binding: string | null;
}

/** The token that is to follow. */
export interface NextToken {
  readonly secret: string;
  /** The same token, sealed under the presented one, for a client that never got the answer. */
  readonly sealed: string;
  /** Replaces the session's `data`; `null` leaves it. */
  readonly data: string | null;
}

/**
 * Milliseconds that a request may lie between `find` and `rotate`. What comes later is the rest of a
 * process that stalled, and its client has long given up.
 */
export const ASKED_WITHIN = 30_000;

/** A live session, seen by who shows a token of it. */
export interface FoundSession {
  readonly session: SessionRecord;
  /**
   * `current`, the one that is good; `former`, its immediate predecessor, in the grace window of its
   * rotation; `other`, any else of this lineage: misuse for certain, and for good.
   */
  readonly shown: 'current' | 'former' | 'other';
  /** The instant this was so. */
  readonly at: number;
}

/**
 * How a token was misused: `recent`, the immediate predecessor, after its grace window, or the one
 * before that, whose successor was used; `older`, any before those; `unknown`, a token of this lineage
 * that was never issued as far as the store remembers; `binding`, the right token from another sender.
 */
export type Misuse = 'recent' | 'older' | 'unknown' | 'binding';

export type RotationVerdict =
  | { readonly verdict: 'rotated'; readonly session: SessionRecord }
  /** The immediate predecessor inside the grace window: `sealed` is what the winner stored. */
  | { readonly verdict: 'repeated'; readonly session: SessionRecord; readonly sealed: string }
  /**
   * The session has ended with this step. Said once, and that answer can be lost on its way: later
   * tokens of it are `ended`. So callers must revoke what was issued to it on `ended` too.
   */
  | { readonly verdict: 'reused'; readonly session: SessionRecord; readonly misuse: Misuse }
  /** The session was ended by misuse, some time ago, and by this one; revoke as on `reused`. */
  | { readonly verdict: 'ended'; readonly session: SessionRecord; readonly misuse: Misuse }
  /** Asked too long ago, or at an instant that is still to come: nothing was judged, nothing done. */
  | { readonly verdict: 'late' }
  /** No such session: never, no longer, or the lineage is not its own. */
  | { readonly verdict: 'unknown' };

/** Port: sessions and the rotation of their refresh tokens. Instants and windows by the store's clock. */
export abstract class SessionStore {
  /**
   * Stores a new session; `null` if one with this key is there. Of the owner's live sessions the oldest
   * end in the same atomic step, until no more than `atMost` are left with this one; answers their ids,
   * the oldest first.
   */
  abstract create(request: {
    readonly key: SessionKey;
    readonly lineage: string;
    readonly secret: string;
    readonly binding: string | null;
    readonly data: string;
    /** Milliseconds from now, at most 400 days. */
    readonly idleFor: number;
    readonly absoluteFor: number;
    /** From 1. */
    readonly atMost: number;
  }): Promise<readonly string[] | null>;

  /**
   * Judges a presented token and, if it is the current one, puts `next` in its place: one atomic
   * step. `graceFor` milliseconds after a rotation its predecessor is answered with `repeated`; the
   * window is never extended, and closes when the successor is used. Of the window that the rotation
   * asked for and the one this call asks for, the shorter one holds. At most 400 days.
   *
   * Who asked in the window is in it, however long the answer took: the window goes by `askedAt`, what
   * `find` answered as `at`, and a token that was rotated since then is one of two that raced. More than
   * `ASKED_WITHIN` later, or before it, the verdict is `late`, whatever the token. A window never opens
   * before its rotation, by a clock that was set back.
   *
   * What misuse ended is remembered until it would have expired, and for 24 hours at most.
   */
  abstract rotate(request: {
    readonly presented: PresentedToken;
    readonly next: NextToken;
    readonly graceFor: number;
    /** `null` for now. */
    readonly askedAt: number | null;
  }): Promise<RotationVerdict>;

  /** A live session, for who knows its lineage; `null` if there is none. Changes nothing. */
  abstract find(request: {
    readonly key: SessionKey;
    readonly lineage: string;
    readonly secret: string;
  }): Promise<FoundSession | null>;

  /**
   * Ends a session; `false` if there was none.
   * @param session with `lineage`, only if that is its own
   */
  abstract end(session: SessionKey & { readonly lineage?: string }): Promise<boolean>;

  /**
   * Ends all sessions of an owner but `except`, in one atomic step; answers the ids it ended. That
   * answer can be lost, and a second call answers none of them: revoke before this, not by the answer.
   */
  abstract endAll(request: {
    readonly owner: string;
    readonly except: string | null;
  }): Promise<readonly string[]>;

  /** The live sessions of an owner, oldest first. */
  abstract list(owner: string): Promise<readonly SessionRecord[]>;

  /**
   * How many live sessions there are in all, and how many owners they have; for dry runs. May take
   * long, may be off by those changing meanwhile.
   */
  abstract count(): Promise<{ readonly sessions: number; readonly owners: number }>;
}
