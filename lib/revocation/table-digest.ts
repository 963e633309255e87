import { randomBytes } from 'node:crypto';

import { DIGEST_LENGTH } from './revocation-entry.js';

const ALPHABET = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_';
const BITS = 6;

/** What a character stands for; negative for one that no digest has. */
const VALUES = Int8Array.from({ length: 128 }, (_, code) =>
  ALPHABET.indexOf(String.fromCharCode(code)),
);

/**
 * Digests as a table keeps them: 13 characters of base64url as whole numbers of 30, 30 and 18 bits.
 *
 * Where a digest stands depends on random numbers of this object, or who can choose names could put
 * any number of them in one place and make every look-up walk past them. Simple tabulation hashing
 * (Zobrist; Pătraşcu and Thorup, "The Power of Simple Tabulation Hashing", J. ACM 2012) keeps linear
 * probing short for any set of digests that is chosen without knowledge of these numbers. This
 * guards time, not secrets: digests are compared as a whole.
 */
export class TableDigest {
  readonly #random: Int32Array;
  /** The parts of the digest that was parsed last: fields, because an answer would be allocated. */
  first = 0;
  second = 0;
  third = 0;

  constructor() {
    const { buffer, byteOffset, byteLength } = randomBytes(DIGEST_LENGTH << (BITS + 2));
    this.#random = new Int32Array(buffer.slice(byteOffset, byteOffset + byteLength));
  }

  /** Whether it is a digest; if so, its parts are in the fields. */
  parse(digest: string): boolean {
    if (digest.length !== DIGEST_LENGTH) return false;
    this.first = parsePart(digest, 0, 5);
    this.second = parsePart(digest, 5, 10);
    this.third = parsePart(digest, 10, DIGEST_LENGTH);
    return (this.first | this.second | this.third) >= 0;
  }

  /** 32 bits that decide where these parts stand. */
  place(first: number, second: number, third: number): number {
    const random = this.#random;
    let place = 0;
    for (let row = 0, rest = first; row < 5; row++, rest >>>= BITS) {
      place ^= random[(row << BITS) | (rest & 63)] ?? 0;
    }
    for (let row = 5, rest = second; row < 10; row++, rest >>>= BITS) {
      place ^= random[(row << BITS) | (rest & 63)] ?? 0;
    }
    for (let row = 10, rest = third; row < DIGEST_LENGTH; row++, rest >>>= BITS) {
      place ^= random[(row << BITS) | (rest & 63)] ?? 0;
    }
    return place;
  }
}

/** Negative if one of the characters is none of base64url. */
function parsePart(digest: string, start: number, end: number): number {
  let part = 0;
  for (let at = start; at < end; at++) {
    const code = digest.charCodeAt(at);
    const value = code < 128 ? (VALUES[code] ?? -1) : -1;
    if (value < 0) return -1;
    part = (part << BITS) | value;
  }
  return part;
}

/** The digest with these parts. */
export function formatDigest(first: number, second: number, third: number): string {
  return formatPart(first, 5) + formatPart(second, 5) + formatPart(third, 3);
}

function formatPart(part: number, length: number): string {
  let text = '';
  for (let shift = (length - 1) * BITS; shift >= 0; shift -= BITS) {
    text += ALPHABET.charAt((part >>> shift) & 63);
  }
  return text;
}
