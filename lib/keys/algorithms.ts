import { constants } from 'node:crypto';

/**
 * The signature algorithms on offer. All but `HS256` are asymmetric, so that a verifier can never
 * forge; `HS256` is for an application that verifies its own tokens only, and has to be asked for by
 * profile.
 */
export type SigningAlgorithm =
  | 'ES256'
  | 'ES384'
  | 'ES512'
  | 'Ed25519'
  | 'EdDSA'
  | 'RS256'
  | 'RS384'
  | 'RS512'
  | 'PS256'
  | 'PS384'
  | 'PS512'
  | 'ML-DSA-44'
  | 'ML-DSA-65'
  | 'ML-DSA-87'
  | 'HS256';

/**
 * What access tokens are encrypted with (RFC 7518 §4.4): one secret key, since who encrypts is who
 * decrypts. Nothing that comes with a public key, a password or a shared secret of two parties.
 */
export type EncryptionAlgorithm = 'A256KW';

/** What a key of the ring is for, by its algorithm. */
export type KeyAlgorithm = SigningAlgorithm | EncryptionAlgorithm;

/** How `node:crypto` generates a key pair for an algorithm. */
export type KeyGeneration =
  | { readonly type: 'ec'; readonly options: { readonly namedCurve: string } }
  | { readonly type: 'ed25519' }
  | { readonly type: 'rsa'; readonly options: { readonly modulusLength: number } }
  | { readonly type: 'ml-dsa-44' | 'ml-dsa-65' | 'ml-dsa-87' }
  | { readonly type: 'hmac'; readonly options: { readonly length: number } };

/** Everything this package knows about one signature algorithm. Nothing else may know any of it. */
export interface AlgorithmRow {
  readonly use: 'sig';
  /** The value of the header's `alg` and of the key's `alg` (RFC 7518 §3.1, RFC 8037, RFC 9864). */
  readonly name: SigningAlgorithm;
  /** The JWK key type a key of this algorithm has. */
  readonly kty: 'EC' | 'OKP' | 'RSA' | 'AKP' | 'oct';
  /** The JWK curve, for the key types that have one. */
  readonly crv?: string;
  /** Whether one secret both signs and verifies: it is never published. */
  readonly symmetric: boolean;
  /** The digest `node:crypto` needs by name; EdDSA and ML-DSA bring their own. */
  readonly digest: 'sha256' | 'sha384' | 'sha512' | null;
  /** What goes beside the key in a `node:crypto` call. */
  readonly parameters: {
    readonly dsaEncoding?: 'ieee-p1363';
    readonly padding?: number;
    readonly saltLength?: number;
  };
  /** The exact signature length in bytes; an RSA signature is as long as its modulus. */
  readonly signatureLength: number | 'modulus';
  readonly generation: KeyGeneration;
  /** The private and public members of a JWK of this type (RFC 7518 §6): nothing else leaves or enters. */
  readonly publicMembers: readonly string[];
  readonly privateMembers: readonly string[];
  /**
   * Whether verifying is so cheap that handing it to the thread pool costs more than it saves
   * (about 20 us for RSA against 54 us for P-256).
   */
  readonly verifiesInline: boolean;
}

/** The same about one way to encrypt. Lengths in bytes. */
export interface EncryptionRow {
  readonly use: 'enc';
  readonly name: EncryptionAlgorithm;
  readonly kty: 'oct';
  readonly symmetric: true;
  readonly keyLength: number;
  /** The header's `enc` (RFC 7518 §5.3): what the content is encrypted with, under a key of its own. */
  readonly contentEncryption: 'A256GCM';
  /** The ciphers by the names `node:crypto` has for them. */
  readonly wrapCipher: 'id-aes256-wrap';
  readonly contentCipher: 'aes-256-gcm';
  /** RFC 3394 §2.2.3.1: what unwraps to anything else was not wrapped under this key. */
  readonly wrapIv: string;
  readonly contentKeyLength: number;
  readonly wrappedKeyLength: number;
  readonly ivLength: number;
  readonly tagLength: number;
  readonly publicMembers: readonly string[];
  readonly privateMembers: readonly string[];
}

type Curve = 'P-256' | 'P-384' | 'P-521';
type Digest = 'sha256' | 'sha384' | 'sha512';

const ecdsa = (
  name: SigningAlgorithm,
  crv: Curve,
  digest: Digest,
  signatureLength: number,
): AlgorithmRow => ({
  use: 'sig',
  name,
  kty: 'EC',
  crv,
  symmetric: false,
  digest,
  parameters: { dsaEncoding: 'ieee-p1363' },
  signatureLength,
  generation: { type: 'ec', options: { namedCurve: crv } },
  publicMembers: ['kty', 'crv', 'x', 'y'],
  privateMembers: ['d'],
  verifiesInline: false,
});

const eddsa = (name: 'Ed25519' | 'EdDSA'): AlgorithmRow => ({
  use: 'sig',
  name,
  kty: 'OKP',
  crv: 'Ed25519',
  symmetric: false,
  digest: null,
  parameters: {},
  signatureLength: 64,
  generation: { type: 'ed25519' },
  publicMembers: ['kty', 'crv', 'x'],
  privateMembers: ['d'],
  verifiesInline: false,
});

const rsa = (
  name: SigningAlgorithm,
  digest: Digest,
  parameters: AlgorithmRow['parameters'],
): AlgorithmRow => ({
  use: 'sig',
  name,
  kty: 'RSA',
  symmetric: false,
  digest,
  parameters,
  signatureLength: 'modulus',
  generation: { type: 'rsa', options: { modulusLength: 3072 } },
  publicMembers: ['kty', 'n', 'e'],
  privateMembers: ['d', 'p', 'q', 'dp', 'dq', 'qi'],
  verifiesInline: true,
});

/** FIPS 204, as JWK carries it: `alg` is part of the key (type AKP), the private member is the seed. */
const mlDsa = (level: '44' | '65' | '87', signatureLength: number): AlgorithmRow => ({
  use: 'sig',
  name: `ML-DSA-${level}`,
  kty: 'AKP',
  symmetric: false,
  digest: null,
  parameters: {},
  signatureLength,
  generation: { type: `ml-dsa-${level}` },
  publicMembers: ['kty', 'alg', 'pub'],
  privateMembers: ['priv'],
  verifiesInline: false,
});

const hs256: AlgorithmRow = {
  use: 'sig',
  name: 'HS256',
  kty: 'oct',
  symmetric: true,
  digest: 'sha256',
  parameters: {},
  signatureLength: 32,
  generation: { type: 'hmac', options: { length: 256 } },
  publicMembers: ['kty'],
  privateMembers: ['k'],
  verifiesInline: true,
};

const PKCS1 = { padding: constants.RSA_PKCS1_PADDING };
// RFC 7518 §3.5: the salt is as long as the digest, no other length verifies.
const pss = (saltLength: number): AlgorithmRow['parameters'] => ({
  padding: constants.RSA_PKCS1_PSS_PADDING,
  saltLength,
});

const ROWS: readonly AlgorithmRow[] = [
  ecdsa('ES256', 'P-256', 'sha256', 64),
  ecdsa('ES384', 'P-384', 'sha384', 96),
  ecdsa('ES512', 'P-521', 'sha512', 132),
  eddsa('Ed25519'),
  eddsa('EdDSA'),
  rsa('RS256', 'sha256', PKCS1),
  rsa('RS384', 'sha384', PKCS1),
  rsa('RS512', 'sha512', PKCS1),
  rsa('PS256', 'sha256', pss(32)),
  rsa('PS384', 'sha384', pss(48)),
  rsa('PS512', 'sha512', pss(64)),
  mlDsa('44', 2420),
  mlDsa('65', 3309),
  mlDsa('87', 4627),
  hs256,
];

/** The one way to encrypt. */
export const ENCRYPTION: EncryptionRow = {
  use: 'enc',
  name: 'A256KW',
  kty: 'oct',
  symmetric: true,
  keyLength: 32,
  contentEncryption: 'A256GCM',
  wrapCipher: 'id-aes256-wrap',
  contentCipher: 'aes-256-gcm',
  wrapIv: 'a6a6a6a6a6a6a6a6',
  contentKeyLength: 32,
  wrappedKeyLength: 40,
  ivLength: 12,
  tagLength: 16,
  publicMembers: ['kty'],
  privateMembers: ['k'],
};

// A Map, so that a name like "constructor" finds nothing.
const TABLE: ReadonlyMap<string, AlgorithmRow> = new Map(ROWS.map((row) => [row.name, row]));

export const SIGNING_ALGORITHMS: readonly SigningAlgorithm[] = ROWS.map((row) => row.name);

export const ASYMMETRIC_ALGORITHMS: readonly SigningAlgorithm[] = ROWS.filter(
  (row) => !row.symmetric,
).map((row) => row.name);

/** The row of a signature algorithm, by its exact, case-sensitive name. */
export function findAlgorithm(name: unknown): AlgorithmRow | undefined {
  return typeof name === 'string' ? TABLE.get(name) : undefined;
}

/** The row of an algorithm that is known to be offered. */
export function algorithmRow(name: SigningAlgorithm): AlgorithmRow {
  const row = TABLE.get(name);
  if (row === undefined) throw new TypeError(`unknown signing algorithm ${name}`);
  return row;
}

/** The row of whatever a key of the ring can be for, by its exact, case-sensitive name. */
export function findKeyAlgorithm(name: unknown): AlgorithmRow | EncryptionRow | undefined {
  return name === ENCRYPTION.name ? ENCRYPTION : findAlgorithm(name);
}

/** The same for an algorithm that is known to be offered. */
export function keyAlgorithmRow(name: KeyAlgorithm): AlgorithmRow | EncryptionRow {
  return isEncryption(name) ? ENCRYPTION : algorithmRow(name);
}

export function isEncryption(name: KeyAlgorithm): name is EncryptionAlgorithm {
  return name === ENCRYPTION.name;
}
