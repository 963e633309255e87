import { createHash } from 'node:crypto';

import { WEAK_SECRETS } from './weak-secrets.data.js';

/**
 * Whether a secret is on the list of leaked ones, without holding the list: sorted truncations of
 * SHA-256, from test/keys/weak-secrets. Everything on the list is found; a random secret is taken
 * for one of it with a probability below 10^-9.
 *
 * That is the sum of two. The table of all secrets keeps 46 bits (52 000 / 2^46 = 7.4 * 10^-10) and
 * answers for short texts, which a random secret never is, and for 32 bytes that may be the SHA-256
 * of a leaked secret, which is one question. The table of the long ones keeps 52 bits
 * (1 000 / 2^52 = 3 * 10^-13), as several readings of a secret are looked up in it.
 */

/** A Golomb-Rice coded set: the differences of the sorted values, low bits and then high in unary. */
interface CodedSet {
  readonly count: number;
  /** Bits of the digest that a value keeps. */
  readonly bits: number;
  /** How many low bits of a difference are written as they are. */
  readonly low: number;
  readonly data: readonly string[];
}

/** From here on a text is looked up among the long ones. */
const LONG_BYTES = 24;

const SHA256_BYTES = 32;

/** Whether the bytes, or what they are the SHA-256 of, are on the list; so is their text in capitals. */
export function isLeakedSecret(bytes: Buffer): boolean {
  const { short, long } = decodedSets();
  if (bytes.length === SHA256_BYTES && has(short, head(bytes, WEAK_SECRETS.short.bits)))
    return true;
  const text = normalise(bytes);
  return text.length < LONG_BYTES
    ? [bytes, text].some((form) => has(short, fingerprint(form, WEAK_SECRETS.short.bits)))
    : has(long, fingerprint(text, WEAK_SECRETS.long.bits));
}

/** White space around it and the case of its letters make no secret another secret. */
function normalise(bytes: Buffer): Buffer {
  const text = bytes.toString('latin1').replace(/^(?:ï»¿|[\s\0])+|[\s\0]+$/g, '');
  return Buffer.from(
    text.replace(/[A-Z]/g, (letter) => letter.toLowerCase()),
    'latin1',
  );
}

function fingerprint(bytes: Buffer, bits: number): number {
  return head(createHash('sha256').update(bytes).digest(), bits);
}

/** The first bits of a digest, of which a number holds 53. */
function head(digest: Buffer, bits: number): number {
  return Number(digest.readBigUInt64BE() >> BigInt(64 - bits));
}

function has(sorted: Float64Array, value: number): boolean {
  let from = 0;
  let to = sorted.length;
  while (from < to) {
    const middle = (from + to) >> 1;
    if ((sorted[middle] ?? 0) < value) from = middle + 1;
    else to = middle;
  }
  return sorted[from] === value;
}

let sets: { readonly short: Float64Array; readonly long: Float64Array } | undefined;

/** Both tables, decoded when first needed: 420 kB that an application without shared secrets saves. */
function decodedSets(): { readonly short: Float64Array; readonly long: Float64Array } {
  sets ??= { short: decode(WEAK_SECRETS.short), long: decode(WEAK_SECRETS.long) };
  return sets;
}

function decode({ count, low, data }: CodedSet): Float64Array {
  const bytes = Buffer.from(data.join(''), 'base64');
  const values = new Float64Array(count);
  let at = 0;
  const bit = (): number => {
    const value = ((bytes[at >> 3] ?? 0) >> (7 - (at & 7))) & 1;
    at++;
    return value;
  };
  let previous = -1;
  for (let index = 0; index < count; index++) {
    let gap = 0;
    while (bit() === 1) gap++;
    // Numbers, not 32-bit integers: the low part alone may have 44 bits.
    for (let left = low; left > 0; left--) gap = gap * 2 + bit();
    previous += gap + 1;
    values[index] = previous;
  }
  return values;
}
