import type { Confirmation } from '../binding/confirmation.js';
import type { VerifiedToken } from '../tokens/verified-token.js';

/**
 * The answer of the introspection endpoint (RFC 7662 §2.2): of a token that is good, the registered
 * members and no other claim (§5, privacy); of any other, nothing.
 */
export type Introspection = { readonly active: false } | ActiveToken;

interface ActiveToken {
  readonly active: true;
  /** RFC 9449 §6.2. */
  readonly token_type: 'Bearer' | 'DPoP';
  readonly iss: string;
  readonly sub: string;
  readonly aud: string | readonly string[];
  readonly jti: string;
  readonly exp: number;
  readonly iat: number;
  readonly nbf?: number;
  readonly scope?: string;
  readonly client_id?: string;
  /** RFC 9470 §6.2, as is `auth_time`. */
  readonly acr?: string;
  readonly auth_time?: number;
  /** What its sender has to prove: whoever asks has to check it (RFC 8705 §3.2, RFC 9449 §6.2). */
  readonly cnf?: Confirmation;
}

/** The same bytes for whatever is wrong with a token, or with none. */
export const INACTIVE: Introspection = Object.freeze({ active: false });

export function introspect({ claims }: VerifiedToken): Introspection {
  const { iss, sub, aud, jti, exp, iat, nbf, scope, client_id, acr, auth_time, cnf } = claims;
  return {
    active: true,
    token_type: cnf?.jkt === undefined ? 'Bearer' : 'DPoP',
    iss,
    sub,
    aud,
    jti,
    exp,
    iat,
    ...(nbf === undefined ? {} : { nbf }),
    ...(scope === undefined ? {} : { scope }),
    ...(client_id === undefined ? {} : { client_id }),
    ...(acr === undefined ? {} : { acr }),
    ...(auth_time === undefined ? {} : { auth_time }),
    ...(cnf === undefined ? {} : { cnf }),
  };
}
