import type { Proof } from '../binding/confirmation.js';
import type { SigningAlgorithm } from '../keys/algorithms.js';
import { DAY, HOUR, MINUTE } from './units.js';

/**
 * What each profile sets where nothing else is written. A profile is nothing but these defaults:
 * nowhere else does the package ask which one it is, except for what an application may write at all.
 */
export interface ProfileDefaults {
  readonly algorithm: SigningAlgorithm;
  /** Lengths in milliseconds. */
  readonly rotateEvery: number;
  readonly retainFor: number;
  readonly accessTtl: number;
  readonly maxLifetime: number;
  readonly sessions: { readonly idleFor: number; readonly absoluteFor: number };
  readonly accessTokens: 'encrypted' | 'signed';
  readonly dpop: 'offered' | 'absent';
  /** Of these, those that are offered: every token has to be bound by one at least. */
  readonly required: readonly Proof[];
}

export type Profile = 'service' | 'monolith' | 'highSecurity' | 'native' | 'legacy';

const SERVICE: ProfileDefaults = {
  algorithm: 'ES256',
  rotateEvery: 30 * DAY,
  retainFor: DAY,
  accessTtl: 15 * MINUTE,
  maxLifetime: HOUR,
  sessions: { idleFor: 14 * DAY, absoluteFor: 90 * DAY },
  accessTokens: 'signed',
  dpop: 'absent',
  required: [],
};

const PROFILES: Readonly<Record<Profile, ProfileDefaults>> = {
  service: SERVICE,
  monolith: { ...SERVICE, algorithm: 'HS256' },
  highSecurity: {
    ...SERVICE,
    accessTtl: 5 * MINUTE,
    maxLifetime: 5 * MINUTE,
    sessions: { idleFor: HOUR, absoluteFor: 12 * HOUR },
    accessTokens: 'encrypted',
    dpop: 'offered',
    required: ['dpop', 'mtls'],
  },
  // RFC 8252 §8.10 leaves it to others how tokens on a device are kept from thieves: by a key of its own.
  native: { ...SERVICE, dpop: 'offered', required: ['dpop'] },
  // A team that moves from one secret for ever gets time to look at its keys.
  legacy: { ...SERVICE, rotateEvery: 90 * DAY, retainFor: 30 * DAY },
};

export const PROFILE_NAMES: readonly Profile[] = [
  'service',
  'monolith',
  'highSecurity',
  'native',
  'legacy',
];

export function defaultsOf(profile: Profile): ProfileDefaults {
  return PROFILES[profile];
}
