import { isJsonObject, type JsonObject, parseStrictJson } from '../kernel/strict-json.js';
import { algorithmRow, findAlgorithm, type SigningAlgorithm } from './algorithms.js';
import { isKid, type PrivateJwk, type PublicJwk } from './key-material.js';
import { assertRing, corrupt, type KeyRing, type RingKey } from './key-ring.js';

/**
 * The key ring as text in a store. What comes back is taken apart member by member: a store is
 * outside this process, and what it holds decides who can sign.
 */
export function serializeRing(ring: KeyRing): string {
  return JSON.stringify(ring);
}

/** @throws KeyError `ERR_KEY_RING_CORRUPT` for anything `serializeRing` did not write */
export function parseRing(text: string): KeyRing {
  const value = parseStrictJson(Buffer.from(text));
  if (typeof value === 'string' || !Array.isArray(value['keys'])) throw corrupt('it is not a ring');
  return assertRing({ keys: value['keys'].map(parseKey) });
}

function parseKey(value: unknown): RingKey {
  if (!isJsonObject(value)) throw corrupt('a key is not an object');
  const algorithm = findAlgorithm(value['algorithm'])?.name;
  const { kid, phase } = value;
  if (algorithm === undefined || !isKid(kid)) throw corrupt('a key has no algorithm or kid');
  const identity = {
    kid,
    algorithm,
    publicJwk: parsePublicJwk(value, algorithm),
    publishedAt: instant(value, 'publishedAt'),
  };
  switch (phase) {
    case 'published':
      return {
        ...identity,
        phase,
        privateJwk: parsePrivateJwk(value, algorithm),
        signsFrom: instant(value, 'signsFrom'),
      };
    case 'signing':
      return {
        ...identity,
        phase,
        privateJwk: parsePrivateJwk(value, algorithm),
        signingSince: instant(value, 'signingSince'),
      };
    case 'verifying':
      if (value['privateJwk'] !== undefined) {
        throw corrupt('a key that stopped signing kept its private part');
      }
      return {
        ...identity,
        phase,
        signingSince: instant(value, 'signingSince'),
        verifyingSince: instant(value, 'verifyingSince'),
        retiresAt: instant(value, 'retiresAt'),
      };
    default:
      throw corrupt('a key is in no known phase');
  }
}

function parsePublicJwk(key: JsonObject, algorithm: SigningAlgorithm): PublicJwk {
  const { kid, alg, use, ...members } = jwkOf(key, 'publicJwk');
  if (kid === undefined || alg !== algorithm || use !== 'sig') {
    throw corrupt('a public JWK is incomplete');
  }
  const { publicMembers } = algorithmRow(algorithm);
  if (!Object.keys(members).every((name) => publicMembers.includes(name))) {
    throw corrupt('a public JWK has a member that is not public');
  }
  return { ...members, kty: members['kty'] ?? '', kid, alg: algorithm, use };
}

function parsePrivateJwk(key: JsonObject, algorithm: SigningAlgorithm): PrivateJwk {
  const jwk = jwkOf(key, 'privateJwk');
  if (jwk['kid'] !== key['kid'] || jwk['alg'] !== algorithm) {
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
