import { isUtf8 } from 'node:buffer';

import { KeyError } from '../../kernel/errors.js';
import { descriptionBits } from './guess-model.js';
import { lookalikeOf } from './key-lookalikes.js';
import { viewsOf } from './secret-views.js';
import { isLeakedSecret } from './weak-secret-filter.js';

/**
 * Refuses a shared secret that is not one: too short, leaked, a key of another kind, or made up by a
 * person. Whoever holds one token can try secrets offline, as fast as their machines hash.
 *
 * Secrets from a random generator pass, in every usual encoding. Of 32 random bytes one in 10^9 is
 * refused at most; what bounds it is said in weak-secret-filter.ts and guess-model.ts.
 *
 * Importing this module brings 320 kB of tables: import it where shared secrets are used, not before.
 */

/** What a secret is for decides how long it must be. */
export interface SecretRequirement {
  /** RFC 7518 §3.2: as long as the hash, so 32 bytes for HS256, 48 for HS384 and 64 for HS512. */
  readonly minBytes: number;
}

const HS256: SecretRequirement = { minBytes: 32 };

/**
 * 256 random bits, less 40: one in 2^40 random secrets happens to have a shorter description. Text
 * that cannot hold 32 random bytes stays below: 32 letters and digits are 190 bits, a UUID is 122
 * (and RFC 9562 §8 says not to take one for a secret), 32 hexadecimal digits are 128.
 */
const MIN_BITS = 216;

/**
 * The share of what its alphabet can carry that a text must carry. Long phrases and drumming on the
 * keyboard have bits enough in sum; that they are no random generator's work shows in the rate.
 */
const MIN_RATE = 0.85;

/** The alphabets that random generators write in, the smallest first, and the bits of a character. */
const ALPHABETS: readonly (readonly [characters: RegExp, bits: number])[] = [
  [/^[0-9]+$/, Math.log2(10)],
  [/^(?:[0-9a-f]+|[0-9A-F]+)$/, 4],
  [/^(?:[a-z2-7]+|[A-Z2-7]+)=*$/, 5],
  [/^(?:[a-z0-9]+|[A-Z0-9]+)$/, Math.log2(36)],
  // Of base64, too, only letters and digits: it may happen to hold nothing else.
  [/^[A-Za-z0-9+/_-]+=*$/, Math.log2(62)],
  [/^(?:[ -@[-~]+|[ -`{-~]+)$/, Math.log2(69)],
  [/^[ -~]+$/, Math.log2(95)],
];
const BITS_OF_BYTE = 8;

/** Where a random part may be found in a secret with a prefix, as in `whsec_…` or `0x…`. */
const RUNS: readonly RegExp[] = [
  /[0-9a-f]{48,}/g,
  /[0-9A-F]{48,}/g,
  /[A-Za-z0-9]{36,}/g,
  /[A-Za-z0-9+/_-]{36,}/g,
];

/** What generators of projects and authors of examples write into secrets that are to be replaced. */
const UNFIT =
  /insecure|not[-_ ]?secure|do[-_ ]?not[-_ ]?use|change[-_ ]?(?:me|it|this)|replace[-_ ]?(?:me|this)|place[-_ ]?holder/i;

/** Larger than any secret that leaked: what is longer is a file given by mistake. */
const MAX_BYTES = 16_384;

/**
 * Refuses a weak shared secret.
 * @param requirement by default what HS256 needs
 * @throws KeyError `ERR_KEY_WEAK`, naming the reason and nothing of the secret
 */
export function assertStrongSecret(secret: Uint8Array, requirement = HS256): void {
  const { minBytes } = requirement;
  if (secret.byteLength < minBytes) throw weak(`it has fewer than ${minBytes} bytes`);
  if (secret.byteLength > MAX_BYTES) throw weak(`it has more than ${MAX_BYTES} bytes`);
  const bytes = Buffer.from(secret);
  const views = viewsOf(bytes);
  for (const view of views) {
    const lookalike = lookalikeOf(view.bytes);
    if (lookalike !== undefined) throw weak(`it is ${lookalike}`);
  }
  const parts = [bytes, ...partsOf(bytes)];
  if (UNFIT.test(bytes.toString('latin1'))) throw weak('it says itself that it is not for use');
  if ([...views.map((view) => view.bytes), ...parts].some(isLeakedSecret)) {
    throw weak('it, or what it encodes or is the hash of, is on the list of leaked secrets');
  }
  if (views.some((view) => isForeignText(view.bytes)))
    throw weak('it is text with letters no random generator uses');
  if (!parts.some(isRandomEnough)) {
    throw weak(
      'it can be guessed. Take 32 bytes of a random generator, as `openssl rand -base64 32` prints',
    );
  }
}

/** The stretches of a secret that may be strong by themselves. */
function partsOf(bytes: Buffer): readonly Buffer[] {
  const text = bytes.toString('latin1');
  const runs = RUNS.flatMap((pattern) => text.match(pattern) ?? []);
  // Hexadecimal in groups, with colons or spaces between.
  const joined = text.replace(/[\s:-]+/g, '');
  if (/^(?:[0-9a-f]+|[0-9A-F]+)$/.test(joined)) runs.push(joined);
  return runs.filter((run) => run !== text).map((run) => Buffer.from(run, 'latin1'));
}

/** Whether no reading of it has a description that a random one would not have. */
function isRandomEnough(bytes: Buffer): boolean {
  const needed = Math.max(MIN_BITS, MIN_RATE * capacityOf(bytes));
  return viewsOf(bytes).every((view) => view.cost + descriptionBits(view.bytes, needed) >= needed);
}

/** How many bits a random text of the same length in the same alphabet has. */
function capacityOf(bytes: Buffer): number {
  // What comes later is not described either.
  const text = bytes.subarray(0, 1024).toString('latin1');
  const bits = ALPHABETS.find(([characters]) => characters.test(text))?.[1] ?? BITS_OF_BYTE;
  return bits * text.replace(/=+$/, '').length;
}

/**
 * Text beyond ASCII is written by people: 32 random bytes are UTF-8 without control characters once
 * in 10^11.
 */
function isForeignText(bytes: Buffer): boolean {
  const text = bytes.toString();
  return isUtf8(bytes) && !/\p{Cc}/u.test(text) && /[^ -~]/.test(text);
}

function weak(reason: string): KeyError {
  return new KeyError('ERR_KEY_WEAK', `The secret cannot be used: ${reason}.`);
}
