import { createHmac, randomBytes, timingSafeEqual } from 'node:crypto';

/**
 * Whether two secrets are equal, in a time that does not depend on where they differ. Both sides are
 * digested under a fresh key first, so that unequal lengths take the same path as unequal bytes.
 */
export function secretsEqual(a: string, b: string): boolean {
  const key = randomBytes(32);
  // UTF-16, which unlike UTF-8 keeps lone surrogates apart.
  const blind = (text: string): Buffer =>
    createHmac('sha256', key).update(Buffer.from(text, 'utf16le')).digest();
  return timingSafeEqual(blind(a), blind(b));
}
