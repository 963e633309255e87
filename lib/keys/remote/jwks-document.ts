import type { JsonWebKey } from 'node:crypto';

import { isCanonicalBase64url } from '../../kernel/base64url.js';
import { KeyError } from '../../kernel/errors.js';
import { isJsonObject, type JsonObject, parseStrictJson } from '../../kernel/strict-json.js';
import { type AlgorithmRow, algorithmRow, type SigningAlgorithm } from '../algorithms.js';
import { importVerificationKey, type VerificationKey } from '../key-material.js';

/**
 * Reads the JWKS of another issuer into the keys its tokens may be verified with.
 *
 * Invariants: a key that is not for verifying signatures, by one of the algorithms asked for, is
 * never among them; what is ambiguous as a whole is refused as a whole.
 */

/** Why a document as a whole is not used. Stable: alerts are built on these. */
export type DocumentFault =
  'not-strict-json' | 'no-key-array' | 'too-many-keys' | 'duplicate-kid' | 'no-usable-key';

/** Why one key of a document is not used; for the last two its issuer is in danger. */
export type KeyFault =
  | 'not-an-object'
  | 'no-kid'
  | 'malformed-kid'
  | 'unknown-type'
  | 'other-purpose'
  | 'other-algorithm'
  | 'ambiguous-algorithm'
  | 'oversized'
  | 'weak'
  | 'unreadable'
  | 'symmetric'
  | 'private';

/** A key that is left out. */
export interface SkippedKey {
  /** `null` where it has none that may be repeated. */
  readonly kid: string | null;
  readonly fault: KeyFault;
}

export interface JwksDocument {
  readonly keys: ReadonlyMap<string, VerificationKey>;
  readonly skipped: readonly SkippedKey[];
}

/** The document is not used; says nothing of its content. */
export class JwksDocumentError extends Error {
  constructor(
    readonly fault: DocumentFault,
    readonly skipped: readonly SkippedKey[] = [],
  ) {
    super(`The JWKS cannot be used (${fault}).`);
    this.name = 'JwksDocumentError';
  }
}

export const MAX_JWKS_KEYS = 100;

/**
 * What we allow in our own, and the rest of base64: some issuers (Amazon Cognito) name keys so.
 * Compared with the token's as text, byte by byte.
 */
const KID = /^[A-Za-z0-9._:+/=-]{1,128}$/;

/** RFC 7518 §6.2.2, §6.3.2 and §6.4.1, and the private member of ML-DSA keys. */
const SECRET_MEMBERS = ['d', 'p', 'q', 'dp', 'dq', 'qi', 'oth', 'k', 'priv'];

/**
 * What a check with an RSA key costs grows with modulus and exponent: a key of the largest size
 * OpenSSL takes would cost every request milliseconds of the main thread. 8192 bits, and 32.
 */
const MAX_LENGTHS: Readonly<Record<string, number>> = { n: 1367, e: 6 };

/** @throws JwksDocumentError if the document as a whole cannot be used */
export async function readJwksDocument(
  body: Buffer,
  algorithms: readonly SigningAlgorithm[],
): Promise<JwksDocument> {
  const document = parseStrictJson(body);
  if (typeof document === 'string') throw new JwksDocumentError('not-strict-json');
  const members = document['keys'];
  if (!Array.isArray(members)) throw new JwksDocumentError('no-key-array');
  if (members.length > MAX_JWKS_KEYS) throw new JwksDocumentError('too-many-keys');

  const jwks = members.filter(isJsonObject);
  // Even of keys that are left out: which one a kid means must not depend on who reads it.
  const kids = jwks.flatMap(({ kid }) => (typeof kid === 'string' ? [kid] : []));
  if (new Set(kids).size !== kids.length) throw new JwksDocumentError('duplicate-kid');

  const rows = [...new Set(algorithms)].map(algorithmRow);
  const read: (VerificationKey | SkippedKey)[] = [];
  // One after the other: to check a point takes milliseconds of the main thread, and requests get
  // their turn in between.
  for (const jwk of jwks) read.push(await readKey(jwk, rows));
  const notObjects = members.length - jwks.length;
  const skipped: readonly SkippedKey[] = [
    ...read.filter((key) => 'fault' in key),
    ...Array.from({ length: notObjects }, () => ({ kid: null, fault: 'not-an-object' }) as const),
  ];
  const keys = read.flatMap((key) => ('fault' in key ? [] : [[key.kid, key] as const]));
  if (keys.length === 0) throw new JwksDocumentError('no-usable-key', skipped);
  return { keys: new Map(keys), skipped };
}

async function readKey(
  jwk: JsonObject,
  rows: readonly AlgorithmRow[],
): Promise<VerificationKey | SkippedKey> {
  const { kid } = jwk;
  const named = typeof kid === 'string' && KID.test(kid);
  const skip = (fault: KeyFault): SkippedKey => ({ kid: named ? kid : null, fault });

  // First, because it is news whatever else is wrong with the key.
  if (jwk['kty'] === 'oct' || jwk['k'] !== undefined) return skip('symmetric');
  if (SECRET_MEMBERS.some((member) => jwk[member] !== undefined)) return skip('private');
  if (!named) return skip(kid === undefined ? 'no-kid' : 'malformed-kid');
  if (!isForVerifying(jwk)) return skip('other-purpose');
  const row = rowOf(jwk, rows);
  if (typeof row === 'string') return skip(row);
  const fault = memberFault(jwk, row);
  if (fault !== undefined) return skip(fault);
  try {
    // Without its kid, which may be none of ours.
    const publicMembers = row.publicMembers.map((member) => [member, jwk[member]]);
    const bare = Object.fromEntries(publicMembers) as JsonWebKey;
    const key = await importVerificationKey({ ...bare, alg: row.name });
    return { ...key, kid, publicJwk: { ...key.publicJwk, kid } };
  } catch (error) {
    if (!(error instanceof KeyError)) throw error;
    return skip(error.code === 'ERR_KEY_WEAK' ? 'weak' : 'unreadable');
  }
}

/** RFC 7517 §4.2 and §4.3. A public key can verify and nothing else. */
function isForVerifying({ use, key_ops: operations }: JsonObject): boolean {
  if (use !== undefined && use !== 'sig') return false;
  if (operations === undefined) return true;
  return Array.isArray(operations) && operations.length === 1 && operations[0] === 'verify';
}

/**
 * The one algorithm the key is for. One that names none may have it only where there is no choice:
 * else the header of a token would choose, which is what confusion attacks need (RFC 8725 §3.1).
 */
function rowOf(
  { alg, kty, crv }: JsonObject,
  rows: readonly AlgorithmRow[],
): AlgorithmRow | KeyFault {
  if (alg !== undefined && !rows.some(({ name }) => name === alg)) return 'other-algorithm';
  const fitting = rows.filter(
    (row) => row.kty === kty && row.crv === crv && (alg === undefined || row.name === alg),
  );
  const [row] = fitting;
  if (row === undefined) return 'unknown-type';
  return fitting.length === 1 ? row : 'ambiguous-algorithm';
}

function memberFault(jwk: JsonObject, row: AlgorithmRow): KeyFault | undefined {
  for (const name of row.publicMembers) {
    const value = jwk[name];
    if (name === 'kty' || name === 'crv') continue;
    if (typeof value !== 'string' || !/^[A-Za-z0-9_-]+$/.test(value)) return 'unreadable';
    // OpenSSL's reader forgives stray bits; another would refuse the key, or see another one.
    if (!isCanonicalBase64url(value)) return 'unreadable';
    if (value.length > (MAX_LENGTHS[name] ?? Infinity)) return 'oversized';
  }
  return undefined;
}
