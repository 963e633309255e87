import * as fc from 'fast-check';

import { isCanonicalBase64url } from '../../lib/kernel/base64url.js';

const ALPHABET = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_';
const LETTERS = ALPHABET.split('');

/** RFC 4648 §5 without padding, bit by bit: slow, and shares nothing with what it judges. */
function encode(bytes: readonly number[]): string {
  const bits = bytes.map((byte) => byte.toString(2).padStart(8, '0')).join('');
  return (bits.match(/.{1,6}/g) ?? [])
    .map((group) => ALPHABET.charAt(Number.parseInt(group.padEnd(6, '0'), 2)))
    .join('');
}

const BYTES = Array.from({ length: 256 }, (_, byte) => byte);

/** The one canonical spelling of every byte string of up to two bytes. */
const CANONICAL: ReadonlySet<string> = new Set(
  [[], ...BYTES.map((a) => [a]), ...BYTES.flatMap((a) => BYTES.map((b) => [a, b]))].map(encode),
);

describe('isCanonicalBase64url, against the definition (RFC 7515 §2, RFC 4648 §3.5 and §5)', () => {
  it('agrees on every text of up to 3 characters', () => {
    const two = LETTERS.flatMap((a) => LETTERS.map((b) => a + b));
    const three = two.flatMap((ab) => LETTERS.map((c) => ab + c));
    const texts = ['', ...LETTERS, ...two, ...three];
    expect(texts).toHaveLength(1 + 64 + 64 ** 2 + 64 ** 3);
    expect(CANONICAL.size).toBe(1 + 256 + 256 ** 2);
    expect(texts.filter((text) => isCanonicalBase64url(text) !== CANONICAL.has(text))).toEqual([]);
  });

  it('accepts 4 of 64 last characters after one, 16 after two, all after three', () => {
    const accepted = (start: string): number =>
      LETTERS.filter((last) => isCanonicalBase64url(start + last)).length;
    expect(['', 'A', 'AA', 'AAA'].map(accepted)).toEqual([0, 4, 16, 64]);
  });

  it.each([
    ['a length no bytes have', 'QUJDQ'],
    ['stray bits in the last of two', 'QR'],
    ['stray bits in the last of three', 'QUJ'],
    ['stray bits at the end of a longer text', 'QUJDQUJDQR'],
  ])('refuses %s', (_rule, text) => {
    expect(isCanonicalBase64url(text)).toBe(false);
  });

  it('accepts whatever was encoded', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 200 }), (bytes) => {
        expect(isCanonicalBase64url(encode([...bytes]))).toBe(true);
      }),
      { numRuns: 1_000 },
    );
  });

  it('accepts one spelling for every sequence of bytes: what decodes, encodes to itself', () => {
    const text = fc.string({ unit: fc.constantFrom(...LETTERS), maxLength: 40 });
    fc.assert(
      fc.property(text, (spelling) => {
        const bytes = Buffer.from(spelling, 'base64url');
        expect(isCanonicalBase64url(spelling)).toBe(encode([...bytes]) === spelling);
      }),
      { numRuns: 5_000 },
    );
  });
});
