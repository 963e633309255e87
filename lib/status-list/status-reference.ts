import { TokenError } from '../kernel/errors.js';
import { isJsonObject } from '../kernel/strict-json.js';
import { documentUrlFault } from '../keys/remote/document-fetch.js';
import type { VerifiedClaims } from '../tokens/claims.js';

/** Where a token says that its status stands (Token Status List §6.2). */
export interface StatusPlace {
  /** As the token writes it: what the list has to call itself. */
  readonly uri: string;
  readonly url: URL;
  readonly index: number;
}

/** What the claim is held to. */
export interface StatusClaimRules {
  /**
   * The only ones from which a list is ever fetched: a token names the place, and whoever could make
   * it name any other would have us send requests into our own network.
   */
  readonly origins: ReadonlyMap<string, unknown>;
  /**
   * What becomes of a token that names no list: an issuer may give `status` a meaning of its own.
   * @defaultValue `'pass'`
   */
  readonly unlisted?: 'pass' | 'refuse';
}

const URI = /^[\x21-\x7e]{1,2048}$/;

/**
 * Reads the claim `status`; `undefined` if there is none, or one that is no object, as Token Status List
 * §6.1 has it, and such tokens pass.
 * @throws TokenError `ERR_TOKEN_CLAIM_INVALID` for a place that is none of the origins, or no place, or
 * a status of another mechanism: what cannot be looked up is no permission
 */
export function readStatusClaim(
  { status }: VerifiedClaims,
  { origins, unlisted = 'pass' }: StatusClaimRules,
): StatusPlace | undefined {
  if (!isJsonObject(status)) {
    if (unlisted === 'pass') return undefined;
    throw refuse('status is not a reference to a status list');
  }
  const reference = status['status_list'];
  if (!isJsonObject(reference)) throw refuse('status is not a reference to a status list');
  const { idx, uri } = reference;
  if (typeof idx !== 'number' || !Number.isSafeInteger(idx) || idx < 0) {
    throw refuse('the index in status is not a whole number');
  }
  if (typeof uri !== 'string' || !URI.test(uri) || !URL.canParse(uri)) {
    throw refuse('the uri in status is malformed');
  }
  const url = new URL(uri);
  if (documentUrlFault(url) !== undefined || !origins.has(url.origin)) {
    throw refuse('the uri in status is not at an allowed origin');
  }
  return { uri, url, index: idx };
}

function refuse(detail: string): TokenError {
  return new TokenError('ERR_TOKEN_CLAIM_INVALID', detail);
}
