/**
 * What the ports promise their callers to take, held against them: a bound on the number of entries
 * bounds memory only if each is small. A caller that breaks it has a mistake in its program.
 */
const NAME = /^[A-Za-z0-9_-]{1,128}$/;

/** Nothing here lives longer: no token does, and instants far off are no exact numbers. */
const LONGEST = 400 * 86_400_000;

export function expectKey(key: string): void {
  if (typeof key !== 'string' || key.length < 1 || key.length > 512) {
    throw new TypeError('A key is a text of 1 to 512 characters.');
  }
}

export function expectSessionName(name: string, what: string): void {
  if (typeof name !== 'string' || !NAME.test(name)) {
    throw new TypeError(`${what} is 1 to 128 characters of A-Z, a-z, 0-9, "_" and "-".`);
  }
}

export function expectText(text: string, what: string, maxBytes: number): void {
  if (typeof text !== 'string' || Buffer.byteLength(text) > maxBytes) {
    throw new TypeError(`${what} is a text of at most ${maxBytes} bytes.`);
  }
}

export function expectDuration(ms: number, what: string): void {
  if (!(ms > 0 && ms <= LONGEST)) {
    throw new TypeError(`${what} is a positive number of milliseconds, at most 400 days.`);
  }
}

export function expectCount(count: number, what: string): void {
  if (!(Number.isSafeInteger(count) && count > 0)) {
    throw new TypeError(`${what} is a whole number from 1.`);
  }
}
