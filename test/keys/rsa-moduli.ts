import { randomBytes } from 'node:crypto';

/**
 * An RSA modulus with the ROCA flaw (CVE-2017-15361), from Project Wycheproof,
 * testvectors/json_web_key_test.json, "rejectsKeyWithRocaVulnerability".
 * Copyright Google LLC, Apache License 2.0.
 */
export const WYCHEPROOF_ROCA_MODULUS =
  'AanFpofbj7KjD4Lf-N2hVMKR7yewSyXhhbirIMTGpfYEhZ_lnt5UoK98DnKIgArXGTu3MaW_HhFw16HGaTDUHqPrId7f' +
  'e4r11CqRw09yBFuW79V8sYIwHdzCaWflUI6auImYbVfoN9_nD5n8N8SY9DwXw7mwZM9wREPXoDPgOoIWl6q_MPsp7n0z' +
  's3Z5ZaiQWOOzl1S9OhwAfSiiOwz6efnXEaxuTEtPd7BjSx7NaFka8Dx9U7YqXy2RFj1O9PjyaDGuRh7YXsX3iMUSP_wS' +
  'yHQg_c_qHRtKUsNSGCT7OZg0hzm2KphtjnayKJvC64vAbROBR4Ubg6Bxg9IQVZ-QYyE';

const bigint = (bytes: Buffer): bigint => BigInt(`0x${bytes.toString('hex')}`);

/** A number as JWK writes it (RFC 7518 §2, Base64urlUInt). */
export function base64urlUInt(value: bigint): string {
  const hex = value.toString(16);
  return Buffer.from(hex.length % 2 === 0 ? hex : `0${hex}`, 'hex').toString('base64url');
}

/** An odd random number of exactly so many bits: as good as a modulus where nobody factors it. */
export function randomModulus(bits: number): bigint {
  const top = 1n << BigInt(bits - 1);
  return top | (bigint(randomBytes(Math.ceil(bits / 8))) % top) | 1n;
}

function power(base: bigint, exponent: bigint, modulus: bigint): bigint {
  let result = 1n;
  for (let square = base, left = exponent; left > 0n; left >>= 1n) {
    if (left & 1n) result = (result * square) % modulus;
    square = (square * square) % modulus;
  }
  return result;
}

/** The product of the first 126 primes: what the flawed library used for keys of 2048 bits. */
const PRIMORIAL = ((): bigint => {
  const primes: number[] = [];
  for (let n = 2; primes.length < 126; n++) if (primes.every((p) => n % p !== 0)) primes.push(n);
  return primes.reduce((product, prime) => product * BigInt(prime), 1n);
})();

/** A modulus as the flawed library made them: both factors are k * M + (65537^a mod M). */
export function rocaModulus(): bigint {
  const factor = (): bigint => {
    const exponent = bigint(randomBytes(8));
    const k = (1n << 1030n) / PRIMORIAL + bigint(randomBytes(4));
    return k * PRIMORIAL + power(65537n, exponent, PRIMORIAL);
  };
  return factor() * factor();
}
