import { randomBytes } from 'node:crypto';

import { recordSecret } from '../support/witness.js';

/** What all proofs of revocation need: a key, a choice in turn, and percentiles. */

export function newEncryptionKey(): string {
  const key = randomBytes(32).toString('base64url');
  recordSecret(key);
  return key;
}

/** One of them in turn. */
export function pick<Value>(values: readonly Value[], number: number): Value {
  const value = values[number % values.length];
  if (value === undefined) throw new RangeError('there is nothing to pick from');
  return value;
}

/** The value that so large a share of them does not exceed. */
export function percentile(values: readonly number[], share: number): number {
  const sorted = values.toSorted((a, b) => a - b);
  return sorted[Math.max(0, Math.ceil(sorted.length * share) - 1)] ?? 0;
}
