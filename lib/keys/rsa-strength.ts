import type { KeyObject } from 'node:crypto';

import { KeyError } from '../kernel/errors.js';

const MIN_MODULUS_BITS = 2048;
const MIN_EXPONENT = 65537n;

/** The primes of the ROCA fingerprint (Nemec et al., CCS 2017, §3.3). */
const FINGERPRINT_PRIMES = [
  3, 5, 7, 11, 13, 17, 19, 23, 29, 31, 37, 41, 43, 47, 53, 59, 61, 67, 71, 73, 79, 83, 89, 97, 101,
  103, 107, 109, 113, 127, 131, 137, 139, 149, 151, 157, 163, 167,
];

/**
 * Refuses an RSA key that is short, has a small exponent, or was made by the Infineon library whose
 * keys can be factored (CVE-2017-15361).
 * @throws KeyError `ERR_KEY_WEAK`
 */
export function assertStrongRsa(publicKey: KeyObject): void {
  const { modulusLength = 0, publicExponent = 0n } = publicKey.asymmetricKeyDetails ?? {};
  if (modulusLength < MIN_MODULUS_BITS)
    throw weak(`its modulus has fewer than ${MIN_MODULUS_BITS} bits`);
  if (publicExponent < MIN_EXPONENT || publicExponent % 2n === 0n) {
    throw weak(`its exponent is below ${MIN_EXPONENT} or even`);
  }
  const { n } = publicKey.export({ format: 'jwk' });
  const modulus = BigInt(`0x${Buffer.from(n ?? '', 'base64url').toString('hex')}`);
  if (hasRocaFingerprint(modulus)) throw weak('it was made by a library with the ROCA flaw');
}

/** Modulo every small prime, a ROCA modulus is a power of 65537; a random one is not, for some. */
function hasRocaFingerprint(modulus: bigint): boolean {
  return FINGERPRINT_PRIMES.every((prime) => {
    const residue = Number(modulus % BigInt(prime));
    for (let power = 1, step = 0; step < prime; step++) {
      if (power === residue) return true;
      power = (power * 65537) % prime;
    }
    return false;
  });
}

function weak(reason: string): KeyError {
  return new KeyError('ERR_KEY_WEAK', `The key cannot be used: ${reason}.`);
}
