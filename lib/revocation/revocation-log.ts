/** One revocation: opaque text, and the instant from which it cannot concern any token. */
export interface RevocationEntry {
  /** At most 1 KiB. */
  readonly data: string;
  /** Milliseconds since the epoch, at most 400 days ahead. */
  readonly expiresAt: number;
}

/**
 * Whether an entry gives a token its place in a status list, and so ends nothing. There is one for each
 * token, so a store that is short of room keeps some for the others.
 */
export function isPlaceEntry({ data }: Pick<RevocationEntry, 'data'>): boolean {
  return data.startsWith('l');
}

/** An entry with its place in the log. */
export interface LoggedRevocation extends RevocationEntry {
  /** Opaque; names the log as well as the place, so that another log's position is recognised. */
  readonly position: string;
}

/** What a reader gets. */
export type LogPage =
  | {
      readonly verdict: 'read';
      /** In the order of the log; expired ones may be missing. */
      readonly entries: readonly LoggedRevocation[];
      /** Read on from here; `null` while the log has no entry. */
      readonly position: string | null;
      /** Whether nothing more stood in the log. */
      readonly atEnd: boolean;
    }
  /**
   * The log no longer holds what stood at `after`: it was wiped, or fell back to an older state. Read
   * it from the start, and append again what is still known.
   */
  | { readonly verdict: 'lost' };

/** What a follower hears. */
export interface LogFollower {
  /** The position to go on from, as the last page gave it. */
  readonly after: string | null;
  /** New entries, in order; each exactly once per follower. */
  readonly onEntries: (entries: readonly LoggedRevocation[]) => void;
  /** The follower was at the end of the log at this instant of its own clock; at least every second. */
  readonly onCurrent: () => void;
  /** As the verdict `lost`; the follower has stopped. */
  readonly onLost: () => void;
}

/**
 * Port: all revocations of an issuer in one order. Entries vanish when they expire, so the log is
 * bounded by the longest token, and reading it from the start is the snapshot.
 *
 * A backend that cannot order what several instances append may keep an order of each instance: then
 * a position is good for the instance that got it, and `lost` to any other. Nothing is ever missed.
 */
export abstract class RevocationLog {
  /**
   * Adds an entry. Resolves once it holds: every later `read` of any instance sees it. Appending the
   * same text again is harmless.
   */
  abstract append(entry: RevocationEntry): Promise<{ readonly position: string }>;

  /** Up to `limit` entries after a position; `null` for the start. */
  abstract read(request: {
    readonly after: string | null;
    readonly limit: number;
  }): Promise<LogPage>;

  /**
   * Reports entries as they are appended, by whatever instance. While the store cannot be reached it
   * reports nothing and goes on later from where it was. Returns what ends it.
   */
  abstract follow(follower: LogFollower): () => void;
}
