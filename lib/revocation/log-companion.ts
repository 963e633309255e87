import { isAllocation, type Revocation } from './revocation-entry.js';
import type { RevocationEntry } from './revocation-log.js';

/** Keeps what stands in the log beside revocations, and hears of these, too. */
export interface LogCompanion {
  /** Answers whether it knows this kind of entry. */
  onOther(entry: RevocationEntry, now: number): 'taken' | 'unreadable';
  /** Called once the revocation is enforced. */
  onRevocation(revocation: Revocation): void;
  /** The log has lost entries: from here on those that are read are to be told apart. */
  beginRefill(): void;
  /** What the log does not hold any more. May be iterated slowly. */
  missing(now: number): Iterable<RevocationEntry>;
}

/** Without status lists, the places that others give to tokens in theirs mean nothing here. */
export const NO_COMPANION: LogCompanion = {
  onOther: ({ data }) => (isAllocation(data) ? 'taken' : 'unreadable'),
  onRevocation: () => {},
  beginRefill: () => {},
  missing: () => [],
};
