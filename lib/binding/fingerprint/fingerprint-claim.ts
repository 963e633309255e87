/**
 * What a token says of the sender it was issued to: digests of traits, never a trait itself. Members
 * have one letter, as the claim travels with every request.
 *
 * A digest has 96 bits: nobody without the key can look for another value with the same one, so all
 * that counts is how seldom two values meet by chance.
 */
export interface FingerprintClaim {
  /** The key of the digests: `SenderKey.id`. */
  readonly k: string;
  /** The salt, fresh with every claim: no two have a digest in common. */
  readonly s: string;
  /** The browser: the family of its user agent. */
  readonly b?: string;
  /** Its major version. */
  readonly v?: string;
  /** The operating system, as the user agent has it. */
  readonly o?: string;
  /** The platform, as the client hint has it. */
  readonly p?: string;
  /** Whether it is a mobile, as the client hint has it. */
  readonly m?: string;
  /** The language it likes best. */
  readonly l?: string;
  /** All languages it accepts. */
  readonly a?: string;
  /** The network: the prefix of the address. */
  readonly n?: string;
  /** What the client found out of itself. */
  readonly c?: string;
  /** The address, for `binding.address`: of IPv6 its /64. */
  readonly i?: string;
}

/** What is told of a sender, by its member in the claim. */
export type Trait = Exclude<keyof FingerprintClaim, 'k' | 's'>;

/** Each trait that is looked at; `null` where the sender shows none. */
export type TraitValues = { readonly [Name in Trait]?: string | null };

export const TRAITS = [
  'b',
  'v',
  'o',
  'p',
  'm',
  'l',
  'a',
  'n',
  'c',
  'i',
] as const satisfies readonly Trait[];

const KEY_ID = /^[A-Za-z0-9_-]{8}$/;
/** Twelve bytes, of which every spelling is the only one. */
const DIGEST = /^[A-Za-z0-9_-]{16}$/;

/** Reads `fingerprint`; `undefined` if it is malformed, or tells of what nobody here knows. */
export function readFingerprint(value: unknown): FingerprintClaim | undefined {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return undefined;
  const { k, s, ...digests } = value as Readonly<Record<string, unknown>>;
  if (!isText(k, KEY_ID) || !isText(s, DIGEST)) return undefined;
  const told = Object.entries(digests);
  const isRead = told.every(([name, digest]) => isTrait(name) && isText(digest, DIGEST));
  return told.length > 0 && isRead ? (value as FingerprintClaim) : undefined;
}

function isTrait(name: string): name is Trait {
  return TRAITS.some((trait) => trait === name);
}

function isText(value: unknown, form: RegExp): boolean {
  return typeof value === 'string' && form.test(value);
}

/** Whether it tells what the sender looks like, and not its address alone. */
export function tellsLooks(claim: FingerprintClaim): boolean {
  return TRAITS.some((trait) => trait !== 'i' && claim[trait] !== undefined);
}
