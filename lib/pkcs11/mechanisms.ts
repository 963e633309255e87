import { constants, createHash, type JsonWebKey } from 'node:crypto';
import { endianness } from 'node:os';

import type { AlgorithmRow } from '../keys/algorithms.js';
import { type Attribute, CKA, type Mechanism } from './cryptoki.js';

/**
 * How PKCS#11 calls what a row of the algorithm table asks for. Nothing here decides anything about
 * an algorithm: digests, curves, paddings and lengths are the row's.
 */
export interface KeyMechanisms {
  readonly generate: Mechanism;
  readonly sign: Mechanism;
  /** What says which public key to make. */
  readonly parameters: readonly Attribute[];
  /** The attributes a public key consists of, and how they make a JWK. */
  readonly publicAttributes: readonly number[];
  readonly toJwk: (values: readonly Buffer[]) => JsonWebKey | undefined;
  /** What the token is given of the signing input. */
  readonly toData: (input: Buffer) => Buffer;
}

type Digest = NonNullable<AlgorithmRow['digest']>;

const RSA_KEY_PAIR_GEN = 0x0;
const EC_KEY_PAIR_GEN = 0x1040;
const ECDSA = 0x1041;
const EDWARDS_KEY_PAIR_GEN = 0x1055;
const EDDSA = 0x1057;

/** The digest, its mask generation function, and RSA with it: PKCS #1 v1.5 and PSS. */
const RSA_MECHANISMS: Readonly<
  Record<Digest, { hash: number; mgf: number; pkcs1: number; pss: number }>
> = {
  sha256: { hash: 0x250, mgf: 0x2, pkcs1: 0x40, pss: 0x43 },
  sha384: { hash: 0x260, mgf: 0x3, pkcs1: 0x41, pss: 0x44 },
  sha512: { hash: 0x270, mgf: 0x4, pkcs1: 0x42, pss: 0x45 },
};

/** The object identifiers of the curves, in DER. */
const CURVES: ReadonlyMap<string, string> = new Map([
  ['P-256', '06082a8648ce3d030107'],
  ['P-384', '06052b81040022'],
  ['P-521', '06052b81040023'],
  ['Ed25519', '06032b6570'],
]);

/**
 * The mechanisms of an algorithm; `undefined` for one that PKCS#11 tokens do not know.
 * @param pssType how `pkcs11js` counts the parameters of PSS
 */
export function mechanismsOf(row: AlgorithmRow, pssType: number): KeyMechanisms | undefined {
  if (row.kty === 'RSA') return rsa(row, pssType);
  const curve = CURVES.get(row.crv ?? '');
  if (curve === undefined) return undefined;
  const parameters = [{ type: CKA.EC_PARAMS, value: Buffer.from(curve, 'hex') }];
  return row.kty === 'EC' ? ecdsa(row, parameters) : eddsa(row, parameters);
}

/** A list of mechanisms as an attribute's value. */
export function mechanismList(mechanisms: readonly number[], ulongLength: number): Buffer {
  return Buffer.concat(
    mechanisms.map((mechanism) => {
      const bytes = Buffer.alloc(ulongLength);
      if (endianness() === 'LE') bytes.writeUInt32LE(mechanism);
      else bytes.writeUInt32BE(mechanism, ulongLength - 4);
      return bytes;
    }),
  );
}

function rsa(row: AlgorithmRow, pssType: number): KeyMechanisms | undefined {
  const { digest, generation, parameters } = row;
  if (digest === null || generation.type !== 'rsa') return undefined;
  const { hash, mgf, pkcs1, pss } = RSA_MECHANISMS[digest];
  const sign: Mechanism =
    parameters.padding === constants.RSA_PKCS1_PSS_PADDING
      ? {
          mechanism: pss,
          parameter: { type: pssType, hashAlg: hash, mgf, saltLen: parameters.saltLength ?? 0 },
        }
      : { mechanism: pkcs1 };
  return {
    generate: { mechanism: RSA_KEY_PAIR_GEN },
    sign,
    parameters: [
      { type: CKA.MODULUS_BITS, value: generation.options.modulusLength },
      { type: CKA.PUBLIC_EXPONENT, value: Buffer.from([1, 0, 1]) },
    ],
    publicAttributes: [CKA.MODULUS, CKA.PUBLIC_EXPONENT],
    toJwk: ([n, e]) =>
      n === undefined || e === undefined
        ? undefined
        : { kty: row.kty, n: integer(n), e: integer(e) },
    toData: (input) => input,
  };
}

function ecdsa(row: AlgorithmRow, parameters: readonly Attribute[]): KeyMechanisms | undefined {
  const { digest, kty, crv, signatureLength } = row;
  if (digest === null || crv === undefined || signatureLength === 'modulus') return undefined;
  // R and S are as long as a coordinate.
  const size = signatureLength / 2;
  return {
    generate: { mechanism: EC_KEY_PAIR_GEN },
    sign: { mechanism: ECDSA },
    parameters,
    publicAttributes: [CKA.EC_POINT],
    toJwk: ([point]) => {
      const bytes = point && unwrap(point, 1 + 2 * size);
      // SEC 1 §2.3.3: 04 marks an uncompressed point.
      if (bytes?.[0] !== 4) return undefined;
      const x = bytes.subarray(1, 1 + size).toString('base64url');
      return { kty, crv, x, y: bytes.subarray(1 + size).toString('base64url') };
    },
    // CKM_ECDSA signs a digest; few tokens have the mechanisms that hash as well.
    toData: (input) => createHash(digest).update(input).digest(),
  };
}

function eddsa(row: AlgorithmRow, parameters: readonly Attribute[]): KeyMechanisms | undefined {
  const { kty, crv, signatureLength } = row;
  if (kty !== 'OKP' || crv === undefined || signatureLength === 'modulus') return undefined;
  return {
    generate: { mechanism: EDWARDS_KEY_PAIR_GEN },
    sign: { mechanism: EDDSA },
    parameters,
    publicAttributes: [CKA.EC_POINT],
    toJwk: ([point]) => {
      const bytes = point && unwrap(point, signatureLength / 2);
      return bytes && { kty, crv, x: bytes.toString('base64url') };
    },
    toData: (input) => input,
  };
}

/** PKCS#11 wants a point in a DER OCTET STRING; some tokens give it bare. */
function unwrap(value: Buffer, length: number): Buffer | undefined {
  if (value.length === length) return value;
  const header = length < 0x80 ? Buffer.from([4, length]) : Buffer.from([4, 0x81, length]);
  const isWrapped =
    value.length === header.length + length && value.subarray(0, header.length).equals(header);
  return isWrapped ? value.subarray(header.length) : undefined;
}

/** RFC 7518 §2, Base64urlUInt: without leading zeros. */
function integer(value: Buffer): string {
  const start = value.findIndex((byte) => byte !== 0);
  return value.subarray(Math.max(start, 0)).toString('base64url');
}
