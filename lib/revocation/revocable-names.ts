/**
 * The names that revocations are made by, as callers of this service write them.
 */

/** The year 2286: milliseconds where seconds belong are beyond it. */
const MAX_SECONDS = 10_000_000_000;

/** @throws TypeError */
export function assertName(what: string, value: unknown): asserts value is string {
  const isName = typeof value === 'string' && value !== '' && value.length <= 255;
  if (!isName || value.includes('\0')) throw new TypeError(`${what} is 1 to 255 characters.`);
}

/** @throws TypeError */
export function assertExpiry(exp: unknown): asserts exp is number {
  if (typeof exp === 'number' && exp >= 0 && exp <= MAX_SECONDS) return;
  throw new TypeError('exp is an instant in seconds since the epoch.');
}
