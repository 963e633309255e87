import { createHash } from 'node:crypto';

/**
 * Names of keys. What belongs to one atomic step shares the text between braces, which puts it into
 * one slot of a Cluster; the prefix has none, or it would decide the slot.
 */
export class RedisKeys {
  constructor(private readonly prefix: string) {}

  readonly keyRing = (): string => `${this.prefix}{keyring}`;
  readonly keyRingChanges = (): string => `${this.prefix}{keyring}:changed`;
  readonly log = (): string => `${this.prefix}{log}:entries`;
  readonly logState = (): string => `${this.prefix}{log}:state`;
  readonly session = (owner: string, id: string): string => `${this.sessionsOf(owner)}${id}`;
  /** What the names of all sessions of an owner begin with. */
  readonly sessionsOf = (owner: string): string => `${this.prefix}session:{${owner}}:`;
  readonly sessionIndex = (owner: string): string => `${this.prefix}sessions:{${owner}}`;
  readonly endedSession = (owner: string, id: string): string =>
    `${this.prefix}ended:{${owner}}:${id}`;
  /** Matches every session, in the pattern language of `SCAN`. */
  readonly anySession = (): string =>
    `${this.prefix.replaceAll(/[\\*?[\]]/g, String.raw`\$&`)}session:{*`;
  readonly claim = (key: string): string => `${this.prefix}claim:${digest(key)}`;
  readonly attempts = (key: string): string => `${this.prefix}attempts:${digest(key)}`;
  readonly probe = (tag: string): string => `${this.prefix}probe:{${tag}}`;
}

/** Callers' keys can hold addresses and names, of any length and form: only a digest is stored. */
function digest(key: string): string {
  // By UTF-16 units: in UTF-8 all lone surrogates are one.
  return createHash('sha256').update(key, 'utf16le').digest('base64url');
}

const NAME = /^[A-Za-z0-9_-]{1,128}$/;

/** Refuses what could not be part of a key: braces would move it to another slot. */
export function expectName(name: string, what: string): void {
  if (typeof name !== 'string' || !NAME.test(name)) {
    throw new TypeError(`${what} is not 1 to 128 characters of A-Z, a-z, 0-9, _ and -.`);
  }
}

export function expectText(text: string, what: string, maxBytes: number): void {
  if (typeof text !== 'string' || !text.isWellFormed() || Buffer.byteLength(text) > maxBytes) {
    throw new TypeError(`${what} is not a text of at most ${maxBytes} bytes.`);
  }
}

export function expectKey(key: string): void {
  if (typeof key !== 'string' || key.length < 1 || key.length > 512) {
    throw new TypeError('A key is not a text of 1 to 512 characters.');
  }
}

export function expectWhole(
  number: number,
  what: string,
  min: number,
  max = Number.MAX_SAFE_INTEGER,
): void {
  if (!Number.isSafeInteger(number) || number < min || number > max) {
    throw new TypeError(`${what} is not a whole number from ${min} to ${max}.`);
  }
}

/** Nothing lives longer, in milliseconds: no token does, and instants far off are no exact numbers. */
export const LONGEST = 400 * 24 * 60 * 60 * 1_000;
