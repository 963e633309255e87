/**
 * base64url exactly as RFC 7515 §2 defines it: no padding, no white space, and one spelling for
 * every sequence of bytes. `Buffer.from` forgives all three, which makes tokens malleable: the same
 * token in another spelling would dodge whatever remembers tokens.
 */

// The unused low bits of the last character must be zero: 4 of them after 2 characters, 2 after 3.
const LAST_OF_TWO = 'AQgw';
const LAST_OF_THREE = 'AEIMQUYcgkosw048';

/** Whether text that holds only base64url characters has a possible length and no stray bits. */
export function isCanonicalBase64url(text: string): boolean {
  switch (text.length & 3) {
    case 0:
      return true;
    case 2:
      return LAST_OF_TWO.includes(text.charAt(text.length - 1));
    case 3:
      return LAST_OF_THREE.includes(text.charAt(text.length - 1));
    default:
      return false;
  }
}
