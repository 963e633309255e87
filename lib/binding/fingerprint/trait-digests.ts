import { createHmac, type KeyObject, randomBytes } from 'node:crypto';

import type { SenderKey, SenderSecrets } from '../sender-secrets.js';
import {
  type FingerprintClaim,
  type Trait,
  type TraitValues,
  TRAITS,
} from './fingerprint-claim.js';

/** The digest of one trait under the key and the salt of a claim. */
export type TraitDigest = (trait: Trait, value: string | null) => string;

/** 96 bits, as a salt and as a digest. */
const BYTES = 12;

/** Makes and recognises traits by keyed digests; that a sender shows none has a digest too. */
export class TraitDigests {
  readonly #newest: SenderKey;
  readonly #keys: ReadonlyMap<string, KeyObject>;

  constructor(secrets: SenderSecrets) {
    const keys = secrets.derive('fingerprint');
    this.#newest = keys[0];
    this.#keys = new Map(keys.map(({ id, key }) => [id, key]));
  }

  claimOf(values: TraitValues): FingerprintClaim {
    const { id: k, key } = this.#newest;
    const s = randomBytes(BYTES).toString('base64url');
    const digests = TRAITS.flatMap((trait) => {
      const value = values[trait];
      return value === undefined ? [] : [[trait, digestOf(key, s, trait, value)] as const];
    });
    return { k, s, ...Object.fromEntries(digests) };
  }

  /** `undefined` if none of our secrets made the claim. */
  of({ k, s }: FingerprintClaim): TraitDigest | undefined {
    const key = this.#keys.get(k);
    return key && ((trait, value) => digestOf(key, s, trait, value));
  }
}

// The first two have a fixed length, so no two inputs read the same.
function digestOf(key: KeyObject, salt: string, trait: Trait, value: string | null): string {
  const input = value === null ? `${salt}${trait}` : `${salt}${trait}=${value}`;
  return createHmac('sha256', key).update(input).digest().toString('base64url', 0, BYTES);
}
