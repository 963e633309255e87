import type { CertificateFingerprints } from './certificate-pins.js';
import type { FetchFailure } from './document-fetch.js';
import type { DocumentFault, KeyFault } from './jwks-document.js';

/**
 * What happens between us and the JWKS of another issuer, in words safe for any log: kids that were
 * checked, digests every client of that server sees, names from fixed lists.
 */

/** Why a refresh brought no keys. `unexpected` is a defect of this package. */
export type RefreshFailure = Exclude<FetchFailure, 'pin-mismatch'> | DocumentFault | 'unexpected';

interface RefreshFailed {
  /** Refreshes that failed in a row, this one included. */
  readonly failures: number;
  /** Until when the keys that stand may be used; `null` if there are none. */
  readonly usableUntil: Date | null;
}

/** Every incident by its type. */
export interface RemoteJwksIncidentFields {
  /** Keys came, went, or were replaced under the same kid. */
  'keys-changed': {
    readonly severity: 'info';
    readonly added: readonly string[];
    readonly removed: readonly string[];
    readonly replaced: readonly string[];
  };
  /** A key of the document is left out. Once for each key and reason, until it goes and returns. */
  'key-skipped': {
    readonly severity: 'warning';
    readonly kid: string | null;
    readonly fault: Exclude<KeyFault, 'symmetric' | 'private'>;
  };
  /** The issuer publishes what it signs with: its tokens can be forged by anybody. */
  'secret-published': {
    readonly severity: 'critical';
    readonly kid: string | null;
    readonly fault: Extract<KeyFault, 'symmetric' | 'private'>;
  };
  /** The keys that stand go on until `usableUntil`. */
  'refresh-failed': RefreshFailed & {
    readonly severity: 'warning';
    readonly failure: RefreshFailure;
    readonly detail: string;
  };
  /** A certificate that is valid but not one of those pinned: somebody is in between, or it changed. */
  'pin-mismatch': RefreshFailed & {
    readonly severity: 'critical';
    readonly shown: CertificateFingerprints;
  };
  /** The first refresh that succeeded after others failed. */
  recovered: { readonly severity: 'info'; readonly failures: number };
}

export type RemoteJwksIncidentType = keyof RemoteJwksIncidentFields;

export type RemoteJwksIncident = {
  [T in RemoteJwksIncidentType]: {
    readonly type: T;
    readonly issuer: string;
  } & RemoteJwksIncidentFields[T];
}[RemoteJwksIncidentType];
