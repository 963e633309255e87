import { KeyError } from '../kernel/errors.js';
import { isJsonObject, type JsonObject, parseStrictJson } from '../kernel/strict-json.js';
import { findKeyAlgorithm, type KeyAlgorithm, keyAlgorithmRow } from './algorithms.js';
import type { EncryptionJwk } from './encryption-key.js';
import { isKid, type PrivateJwk, type PublicJwk } from './key-material.js';
import {
  assertRing,
  type CompromisedKey,
  corrupt,
  type KeyRing,
  type RingKey,
} from './key-ring.js';

/** Whose ring it is: a ring is taken for no other issuer and no other deployment. */
export interface RingOwner {
  readonly issuer: string;
  /** The deployment, such as `staging`; `null` for one without a name. */
  readonly environment: string | null;
}

/**
 * The key ring as text in a store. What comes back is taken apart member by member: a store is
 * outside this process, and what it holds decides who can sign.
 */
export function serializeRing({ keys, compromised }: KeyRing, owner: RingOwner): string {
  return JSON.stringify({ ...owner, keys, compromised });
}

/**
 * @throws KeyError `ERR_KEY_RING_CORRUPT` for anything `serializeRing` did not write,
 * `ERR_KEY_ENVIRONMENT` for the ring of another deployment
 */
export function parseRing(text: string, { issuer, environment }: RingOwner): KeyRing {
  const value = parseStrictJson(Buffer.from(text));
  if (typeof value === 'string') throw corrupt('it is not a ring');
  const { keys, compromised } = value;
  if (!Array.isArray(keys) || !Array.isArray(compromised)) throw corrupt('it is not a ring');
  if (value['issuer'] !== issuer) throw corrupt('it is that of another issuer');
  const mark = value['environment'];
  // One that is not marked is nobody's but theirs who have no mark either.
  if (mark !== environment) {
    throw new KeyError('ERR_KEY_ENVIRONMENT', 'The key ring was made for another environment.');
  }
  return assertRing({
    keys: keys.map(parseKey),
    compromised: compromised.map(parseCompromisedKey),
  });
}

function parseCompromisedKey(value: unknown): CompromisedKey {
  if (!isJsonObject(value)) throw corrupt('a compromised key is not an object');
  return {
    ...parseName(value),
    compromisedAt: instant(value, 'compromisedAt'),
    forgottenAt: instant(value, 'forgottenAt'),
  };
}

function parseKey(value: unknown): RingKey {
  if (!isJsonObject(value)) throw corrupt('a key is not an object');
  const { phase } = value;
  const name = parseName(value);
  const { algorithm } = name;
  const identity = {
    ...name,
    publicJwk: parsePublicJwk(value, algorithm),
    publishedAt: instant(value, 'publishedAt'),
  };
  switch (phase) {
    case 'published':
      return {
        ...identity,
        phase,
        privateJwk: value['privateJwk'] === null ? null : parsePrivateJwk(value, 'privateJwk'),
        signsFrom: instant(value, 'signsFrom'),
      };
    case 'signing':
      return {
        ...identity,
        phase,
        privateJwk: value['privateJwk'] === null ? null : parsePrivateJwk(value, 'privateJwk'),
        signingSince: instant(value, 'signingSince'),
      };
    case 'verifying':
      if (value['privateJwk'] !== undefined) {
        throw corrupt('a key that stopped signing kept its private part');
      }
      return {
        ...identity,
        ...(keyAlgorithmRow(algorithm).symmetric
          ? { sharedSecret: parsePrivateJwk(value, 'sharedSecret') }
          : {}),
        phase,
        signingSince: instant(value, 'signingSince'),
        verifyingSince: instant(value, 'verifyingSince'),
        retiresAt: instant(value, 'retiresAt'),
      };
    default:
      throw corrupt('a key is in no known phase');
  }
}

function parseName(value: JsonObject): Pick<RingKey, 'kid' | 'algorithm'> {
  const algorithm = findKeyAlgorithm(value['algorithm'])?.name;
  const { kid } = value;
  if (algorithm === undefined || !isKid(kid)) throw corrupt('a key has no algorithm or kid');
  return { kid, algorithm };
}

function parsePublicJwk(key: JsonObject, algorithm: KeyAlgorithm): PublicJwk | EncryptionJwk {
  const { kid, alg, use, ...members } = jwkOf(key, 'publicJwk');
  const row = keyAlgorithmRow(algorithm);
  if (kid === undefined || alg !== algorithm || use !== row.use) {
    throw corrupt('a public JWK is incomplete');
  }
  if (!Object.keys(members).every((name) => row.publicMembers.includes(name))) {
    throw corrupt('a public JWK has a member that is not public');
  }
  if (row.use === 'enc') {
    if (members['kty'] !== row.kty) throw corrupt('a public JWK is incomplete');
    return { kty: row.kty, kid, alg: row.name, use: row.use };
  }
  return { ...members, kty: members['kty'] ?? '', kid, alg: row.name, use: row.use };
}

function parsePrivateJwk(key: JsonObject, name: string): PrivateJwk {
  const jwk = jwkOf(key, name);
  if (jwk['kid'] !== key['kid'] || jwk['alg'] !== key['algorithm']) {
    throw corrupt('a key and its private JWK differ');
  }
  return { ...jwk, kty: jwk['kty'] ?? '' };
}

function jwkOf(key: JsonObject, name: string): Readonly<Record<string, string>> {
  const jwk = key[name];
  if (!isJsonObject(jwk) || !Object.values(jwk).every((member) => typeof member === 'string')) {
    throw corrupt('a JWK is not an object of texts');
  }
  return jwk as Readonly<Record<string, string>>;
}

function instant(key: JsonObject, name: string): number {
  const value = key[name];
  // Beyond this, no Date can be made of it (ECMA-262, time values).
  if (typeof value !== 'number' || !(Math.abs(value) <= 8.64e15)) {
    throw corrupt('an instant is missing');
  }
  return value;
}
