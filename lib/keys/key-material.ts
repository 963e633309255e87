import {
  createPrivateKey,
  createPublicKey,
  createSecretKey,
  generateKey,
  generateKeyPair,
  generateKeyPairSync,
  type JsonWebKey,
  KeyObject,
  verify,
} from 'node:crypto';
import { promisify } from 'node:util';

import { calculateJwkThumbprint } from 'jose/jwk/thumbprint';

import { isCanonicalBase64url } from '../kernel/base64url.js';
import { KeyError } from '../kernel/errors.js';
import { randomId } from '../kernel/ids.js';
import {
  type AlgorithmRow,
  algorithmRow,
  findAlgorithm,
  type SigningAlgorithm,
} from './algorithms.js';
import { assertStrongRsa } from './rsa-strength.js';
import { createSignature } from './signature.js';

/**
 * Turns a JWK or PEM into keys that are fit to sign and verify with, or refuses it with the reason.
 *
 * Invariants: one key serves one algorithm; its type and curve are that algorithm's; a JWK that says
 * what it is for says signatures; the two halves belong together; an RSA key is strong.
 */

/** A private JWK with its algorithm; `kid` defaults to the RFC 7638 thumbprint. */
export interface PrivateJwk extends JsonWebKey {
  readonly kty: string;
  readonly alg?: string;
  readonly kid?: string;
  readonly use?: string;
  readonly key_ops?: readonly string[];
  /** The deployment it was made for, such as `staging`: no other takes it. */
  readonly environment?: string;
}

/** A public JWK as it stands in the JWKS (RFC 7517 §4): these members and no others. */
export interface PublicJwk extends JsonWebKey {
  readonly kty: string;
  readonly kid: string;
  readonly alg: SigningAlgorithm;
  readonly use: 'sig';
}

/** A private key in PEM (PKCS#8, SEC1 or PKCS#1), which cannot say its algorithm itself. */
export interface PemSigningKey {
  readonly pem: string;
  readonly algorithm: SigningAlgorithm;
  /** @defaultValue the RFC 7638 thumbprint */
  readonly kid?: string;
}

/** What a signature is checked with. */
export interface VerificationKey {
  readonly kid: string;
  readonly row: AlgorithmRow;
  readonly publicJwk: PublicJwk;
  /** The key object with the algorithm's parameters, in the form `node:crypto` takes. */
  readonly verifyWith: { readonly key: KeyObject } & AlgorithmRow['parameters'];
  readonly signatureLength: number;
}

/** A verification key together with what signs. */
export interface SigningKey extends VerificationKey {
  /** The private half; `null` when it never enters this process. */
  readonly privateKey: KeyObject | null;
  /** The signature in the form a JWS carries it. Rejects when the key cannot be reached. */
  sign(input: Uint8Array): Promise<Uint8Array>;
}

/** A signing key whose private half is in this process. */
export interface HeldSigningKey extends SigningKey {
  readonly privateKey: KeyObject;
}

/** RFC 7515 §4.1.4 leaves `kid` open; this is the set no log, header, path or query can misread. */
const KID = /^[A-Za-z0-9._:-]{1,128}$/;

export function isKid(value: unknown): value is string {
  return typeof value === 'string' && KID.test(value);
}

const generatePair = promisify(generateKeyPair) as (
  type: string,
  options: object,
) => Promise<{ privateKey: KeyObject }>;
const generateSecret = promisify(generateKey);

/** Whether this runtime has an algorithm: ML-DSA came with Node 24.6. */
export function isAvailable(algorithm: SigningAlgorithm): boolean {
  const { kty, generation } = algorithmRow(algorithm);
  if (kty !== 'AKP') return true;
  try {
    // Neither the version of Node nor that of OpenSSL tells; making one takes a millisecond.
    generateKeyPairSync(generation.type as 'ed25519');
    return true;
  } catch {
    return false;
  }
}

/** A new key pair. Runs in the thread pool: an RSA key takes hundreds of milliseconds. */
export async function generateSigningKey(algorithm: SigningAlgorithm): Promise<HeldSigningKey> {
  const row = algorithmRow(algorithm);
  const { generation } = row;
  if (generation.type === 'hmac') {
    const secret = await generateSecret('hmac', generation.options);
    return toSharedKey(secret, row, randomId());
  }
  const options = 'options' in generation ? generation.options : {};
  const { privateKey } = await generatePair(generation.type, options);
  return toSigningKey(privateKey, row, undefined);
}

/**
 * Reads a private key, or a secret that was generated here.
 * @throws KeyError `ERR_KEY_INVALID` or `ERR_KEY_WEAK`, naming the reason and never the key.
 */
export async function importSigningKey(
  source: PrivateJwk | PemSigningKey,
): Promise<HeldSigningKey> {
  if ('pem' in source) return importPem(source as PemSigningKey);
  const row = rowOf(source);
  assertJwkPurpose(source, 'sign');
  if (!row.privateMembers.some((name) => typeof source[name] === 'string')) {
    throw invalid('it has no private part');
  }
  if (row.symmetric) return toSharedKey(readSecret(source), row, source.kid);
  const members = pickMembers(source, [...row.publicMembers, ...row.privateMembers]);
  const privateKey = parse(() => createPrivateKey({ key: members, format: 'jwk' }));
  const key = await toSigningKey(privateKey, row, source.kid);
  // Of an Edwards key, OpenSSL reads the private member alone.
  const given = pickMembers(source, row.publicMembers);
  const publicKey = parse(() => createPublicKey({ key: given, format: 'jwk' }));
  if (!publicKey.equals(key.verifyWith.key)) throw invalid('its public and private parts differ');
  return key;
}

/** Reads a public key, for verifying only. Throws as `importSigningKey` does. */
export async function importVerificationKey(
  jwk: JsonWebKey & { readonly alg?: unknown; readonly kid?: unknown },
): Promise<VerificationKey> {
  const row = rowOf(jwk);
  assertJwkPurpose(jwk, 'verify');
  if (row.symmetric) return toSharedKey(readSecret(jwk), row, jwk.kid);
  const publicKey = parse(() =>
    createPublicKey({ key: pickMembers(jwk, row.publicMembers), format: 'jwk' }),
  );
  return toVerificationKey(publicKey, row, jwk.kid);
}

/** The key without what signs; of a shared secret there is no such half. */
export function publicHalf(key: SigningKey): VerificationKey {
  const { kid, row, publicJwk, verifyWith, signatureLength } = key;
  return { kid, row, publicJwk, verifyWith, signatureLength };
}

/** The JWK with its private members, to be stored sealed. */
export function exportPrivateJwk({ privateKey, row, kid }: HeldSigningKey): PrivateJwk {
  const jwk = privateKey.export({ format: 'jwk' });
  return {
    ...pickMembers(jwk, [...row.publicMembers, ...row.privateMembers]),
    kty: row.kty,
    alg: row.name,
    use: 'sig',
    kid,
  };
}

async function importPem({ pem, algorithm, kid }: PemSigningKey): Promise<HeldSigningKey> {
  const row = findAlgorithm(algorithm);
  if (row === undefined || row.symmetric) throw invalid('its algorithm is not on offer');
  // OpenSSL skips whatever stands before the first PEM line, so that another reader may see another
  // key, or a shared secret, in the same text (CVE-2026-34950).
  if (
    !/^-----BEGIN [A-Z ]*PRIVATE KEY-----\r?\n[^-]+-----END [A-Z ]*PRIVATE KEY-----\s*$/.test(pem)
  ) {
    throw invalid('it is not exactly one PEM block with a private key');
  }
  if (pem.includes('ENCRYPTED')) throw invalid('it is encrypted');
  const privateKey = parse(() => createPrivateKey(pem));
  const jwk = parse(() => privateKey.export({ format: 'jwk' }));
  if (!fits(jwk, row)) throw invalid(`it is not a key for ${row.name}`);
  return toSigningKey(privateKey, row, kid);
}

async function toSigningKey(
  privateKey: KeyObject,
  row: AlgorithmRow,
  kid: string | undefined,
): Promise<HeldSigningKey> {
  const verification = await toVerificationKey(createPublicKey(privateKey), row, kid);
  // A private JWK brings its own public members, which nothing has compared with its private ones.
  const probe = Buffer.from('nest-jwt-hardening');
  const signature = await createSignature(row, privateKey, probe).catch((error: unknown) => {
    throw invalid('it cannot sign', error);
  });
  if (!verify(row.digest, probe, verification.verifyWith, signature)) {
    throw invalid('its public and private parts differ');
  }
  return {
    ...verification,
    privateKey,
    sign: (input) => createSignature(row, privateKey, input),
  };
}

/**
 * RFC 7518 §6.4. The secret is both halves, so what is said of it in public is its name alone.
 */
function toSharedKey(secret: KeyObject, row: AlgorithmRow, kid: unknown): HeldSigningKey {
  // Not the RFC 7638 thumbprint, which would be a digest of the secret for everyone to guess at.
  if (kid === undefined) throw invalid('a shared secret needs a kid');
  if (!isKid(kid)) throw badKid();
  return {
    kid,
    row,
    publicJwk: { kty: row.kty, kid, alg: row.name, use: 'sig' },
    verifyWith: { key: secret },
    signatureLength: row.signatureLength === 'modulus' ? 0 : row.signatureLength,
    privateKey: secret,
    sign: (input) => createSignature(row, secret, input),
  };
}

function readSecret(jwk: JsonWebKey): KeyObject {
  const text = jwk.k;
  if (typeof text !== 'string' || !/^[A-Za-z0-9_-]+$/.test(text) || !isCanonicalBase64url(text)) {
    throw invalid('its k is not base64url');
  }
  const secret = Buffer.from(text, 'base64url');
  // RFC 7518 §3.2: as long as the digest, at least.
  if (secret.length < 32)
    throw new KeyError('ERR_KEY_WEAK', 'The secret is shorter than 32 bytes.');
  return createSecretKey(secret);
}

async function toVerificationKey(
  publicKey: KeyObject,
  row: AlgorithmRow,
  kid: unknown,
): Promise<VerificationKey> {
  const members = pickMembers(publicKey.export({ format: 'jwk' }), row.publicMembers);
  if (row.kty === 'RSA') assertStrongRsa(publicKey);
  const id = kid ?? (await calculateJwkThumbprint(members));
  if (!isKid(id)) throw badKid();
  return {
    kid: id,
    row,
    publicJwk: { ...members, kty: row.kty, kid: id, alg: row.name, use: 'sig' },
    verifyWith: { key: publicKey, ...row.parameters },
    signatureLength:
      row.signatureLength === 'modulus'
        ? Math.ceil((publicKey.asymmetricKeyDetails?.modulusLength ?? 0) / 8)
        : row.signatureLength,
  };
}

/** The one algorithm a JWK is for: it names it, and its type and curve are that algorithm's. */
function rowOf(jwk: JsonWebKey & { readonly alg?: unknown }): AlgorithmRow {
  const row = findAlgorithm(jwk.alg);
  if (row === undefined) {
    throw invalid(jwk.alg === undefined ? 'it names no alg' : 'its alg is not on offer');
  }
  if (!fits(jwk, row)) throw invalid(`its kty or crv is not that of ${row.name}`);
  return row;
}

function fits(jwk: JsonWebKey, row: AlgorithmRow): boolean {
  // Of an AKP key the type says nothing; its alg does.
  const isOfParameterSet = row.kty !== 'AKP' || jwk['alg'] === row.name;
  return jwk.kty === row.kty && jwk.crv === row.crv && isOfParameterSet;
}

/** RFC 7517 §4.2 and §4.3: a key that says what it is for is used for nothing else. */
function assertJwkPurpose(jwk: JsonWebKey, operation: 'sign' | 'verify'): void {
  if (jwk['use'] !== undefined && jwk['use'] !== 'sig') throw invalid('its use is not "sig"');
  const operations = jwk['key_ops'];
  if (operations === undefined) return;
  if (!Array.isArray(operations) || !operations.includes(operation)) {
    throw invalid(`its key_ops do not allow "${operation}"`);
  }
}

function pickMembers(jwk: JsonWebKey, names: readonly string[]): JsonWebKey {
  return Object.fromEntries(
    names.flatMap((name) => (typeof jwk[name] === 'string' ? [[name, jwk[name]]] : [])),
  );
}

function parse<T>(read: () => T): T {
  try {
    return read();
  } catch (error) {
    throw invalid('it cannot be read as a key of its type', error);
  }
}

function badKid(): KeyError {
  return invalid('its kid is not 1 to 128 characters of A-Z a-z 0-9 . _ : -');
}

function invalid(reason: string, cause?: unknown): KeyError {
  // OpenSSL's messages say nothing of the key, only of its encoding.
  return new KeyError('ERR_KEY_INVALID', `The key cannot be used: ${reason}.`, { cause });
}
