import { isCanonicalBase64url } from '../kernel/base64url.js';
import { type FingerprintClaim, tellsLooks } from './fingerprint/fingerprint-claim.js';

/**
 * What the sender of a token has to prove, as the token says it in `cnf` (RFC 7800 §3.1). With several
 * members, each has to be proven.
 */
export interface Confirmation {
  /** The RFC 7638 thumbprint of the key that signs its DPoP proofs (RFC 9449 §6.1). */
  readonly jkt?: string;
  /** The digest of its TLS certificate (RFC 8705 §3.1). */
  readonly 'x5t#S256'?: string;
  /** The digest of the cookie `__Host-sender`; this package's own. */
  readonly 'cookie#S256'?: string;
}

const MEMBERS: readonly string[] = [
  'jkt',
  'x5t#S256',
  'cookie#S256',
] satisfies (keyof Confirmation)[];

/** What a token can be bound to: a key, a client certificate, the sender cookie, its sender's look. */
export type Proof = 'dpop' | 'mtls' | 'cookie' | 'fingerprint';

/** What a token is bound to. */
export function proofsOf(token: {
  readonly confirmation: Confirmation | undefined;
  readonly fingerprint: FingerprintClaim | undefined;
}): readonly Proof[] {
  const { confirmation = {}, fingerprint } = token;
  return [
    ...(confirmation.jkt === undefined ? [] : (['dpop'] as const)),
    ...(confirmation['x5t#S256'] === undefined ? [] : (['mtls'] as const)),
    ...(confirmation['cookie#S256'] === undefined ? [] : (['cookie'] as const)),
    ...(fingerprint && tellsLooks(fingerprint) ? (['fingerprint'] as const) : []),
  ];
}

/** Reads `cnf`; `undefined` if it is malformed, or asks for a proof that nobody here can check. */
export function readConfirmation(cnf: unknown): Confirmation | undefined {
  if (typeof cnf !== 'object' || cnf === null || Array.isArray(cnf)) return undefined;
  const members = Object.entries(cnf);
  const isRead = members.every(([name, value]) => MEMBERS.includes(name) && isThumbprint(value));
  return members.length > 0 && isRead ? cnf : undefined;
}

/** Whether a value is a SHA-256 digest in its one base64url spelling. */
export function isThumbprint(value: unknown): value is string {
  return (
    typeof value === 'string' && /^[A-Za-z0-9_-]{43}$/.test(value) && isCanonicalBase64url(value)
  );
}
