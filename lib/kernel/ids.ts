import { randomBytes, randomInt } from 'node:crypto';

/** A new identifier with 192 random bits (RFC 8725 §3.5 asks for entropy, 128 bits is the floor). */
export function randomId(): string {
  return randomBytes(24).toString('base64url');
}

/** A uniformly random whole number from 0 up to and including `max`. */
export function randomUpTo(max: number): number {
  return max > 0 ? randomInt(max + 1) : 0;
}
