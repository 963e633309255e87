import { createHmac, type KeyObject, sign, timingSafeEqual, verify } from 'node:crypto';

import type { AlgorithmRow } from './algorithms.js';

/** Signs in the thread pool, so that a burst of logins does not hold up other requests. */
export async function createSignature(
  row: AlgorithmRow,
  privateKey: KeyObject,
  input: Uint8Array,
): Promise<Buffer> {
  if (row.symmetric) return authenticate(row, privateKey, input);
  return new Promise((resolve, reject) => {
    sign(row.digest, input, { key: privateKey, ...row.parameters }, (error, signature) => {
      if (error === null) resolve(signature);
      else reject(error);
    });
  });
}

/** RFC 7518 §3.2. */
function authenticate({ digest }: AlgorithmRow, secret: KeyObject, input: Uint8Array): Buffer {
  if (digest === null) throw new TypeError('an HMAC needs a digest');
  return createHmac(digest, secret).update(input).digest();
}

/** Everything one signature check needs. */
export interface SignatureCheck {
  readonly key: {
    readonly row: AlgorithmRow;
    /** The public key with the algorithm's parameters, built once per key. */
    readonly verifyWith: { readonly key: KeyObject } & AlgorithmRow['parameters'];
    readonly signatureLength: number;
  };
  readonly input: Buffer;
  readonly signature: Buffer;
}

/** Checks in a row that met no other before checks are done at once again. */
const CALM = 16;

/**
 * Checks signatures at once while requests come one by one (no hand-over, the lowest latency), and in
 * the thread pool once they overlap, which frees the main thread and uses every core: 12 us of main
 * thread for P-256 instead of 54. A pool that happens to be empty between two of many requests is no
 * reason to block them all, so it takes some calm to go back.
 */
export class SignatureVerifier {
  #inPool = 0;
  #calm = CALM;
  #checkedThisTurn = false;

  /** Answers `true` or `false`; a promise of it when the check went to the thread pool. */
  verify({ key, input, signature }: SignatureCheck): boolean | Promise<boolean> {
    const { row, verifyWith, signatureLength } = key;
    // RFC 8017 §8.1.2 and §8.2.2, step 1. OpenSSL takes an RSA signature without its leading zeros.
    if (signature.length !== signatureLength) return false;
    if (row.symmetric) return timingSafeEqual(signature, authenticate(row, verifyWith.key, input));
    if (row.verifiesInline || this.#isCalm()) {
      return verify(row.digest, input, verifyWith, signature);
    }
    this.#inPool++;
    return new Promise((resolve, reject) => {
      verify(row.digest, input, verifyWith, signature, (error, valid) => {
        this.#inPool--;
        if (error === null) resolve(valid);
        else reject(error);
      });
    });
  }

  #isCalm(): boolean {
    if (this.#inPool > 0 || this.#checkedThisTurn) {
      this.#calm = 0;
      return false;
    }
    this.#checkedThisTurn = true;
    setImmediate(() => {
      this.#checkedThisTurn = false;
    });
    return this.#calm >= CALM || ++this.#calm >= CALM;
  }
}
