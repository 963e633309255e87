import { TokenError, type TokenErrorCode } from '../kernel/errors.js';
import type { JsonObject } from '../kernel/strict-json.js';
import { isIdentifier } from '../tokens/claims.js';
import type { TokenService } from '../tokens/token.service.js';

/** What has to be known of a token to revoke it. */
export interface IssuedToken {
  /** `iss`, which is not always this service. */
  readonly issuer: string;
  /** `jti` */
  readonly tokenId: string;
  /** `exp`, in seconds. */
  readonly expiresAt: number;
  /** `client_id` */
  readonly clientId: string | undefined;
}

/**
 * Refusals of tokens whose signature is right: they are not good here and now, but may be elsewhere,
 * or become so. To answer that such a token was revoked, and not to revoke it, would be a lie.
 */
const ONLY_HERE_AND_NOW: ReadonlySet<TokenErrorCode> = new Set<TokenErrorCode>([
  'ERR_TOKEN_AUDIENCE',
  'ERR_TOKEN_NOT_YET_VALID',
  'ERR_TOKEN_LIFETIME',
  'ERR_TOKEN_CLAIM_MISSING',
  'ERR_TOKEN_CLAIM_INVALID',
  'ERR_TOKEN_BINDING',
  'ERR_TOKEN_SUBJECT',
]);

/**
 * Reads an access token that may still be good somewhere; `undefined` for one that is good nowhere:
 * forged, expired, revoked already, or no token at all.
 * @throws KeyError, RevocationError while that cannot be said
 */
export async function readIssuedToken(
  tokens: Pick<TokenService, 'verify' | 'readClaims'>,
  token: string,
): Promise<IssuedToken | undefined> {
  try {
    const { issuer, tokenId, expiresAt, clientId } = await tokens.verify(token, {
      sender: 'checkedByCaller',
    });
    return { issuer, tokenId, expiresAt, clientId };
  } catch (error) {
    if (!(error instanceof TokenError)) throw error;
    return ONLY_HERE_AND_NOW.has(error.code) ? readSigned(tokens.readClaims(token)) : undefined;
  }
}

/** What a token says whose signature is right and whose claims were not all looked at. */
function readSigned({ iss, jti, exp, client_id: clientId }: JsonObject): IssuedToken | undefined {
  if (typeof iss !== 'string' || !isIdentifier(jti)) return undefined;
  if (typeof exp !== 'number' || !Number.isFinite(exp)) return undefined;
  return {
    issuer: iss,
    tokenId: jti,
    expiresAt: exp,
    clientId: isIdentifier(clientId) ? clientId : undefined,
  };
}
