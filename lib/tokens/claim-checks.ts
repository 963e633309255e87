import { readConfirmation } from '../binding/confirmation.js';
import { TokenError, type TokenErrorCode } from '../kernel/errors.js';
import type { JsonObject } from '../kernel/strict-json.js';
import {
  isIdentifier,
  isNameList,
  MANDATORY_CLAIMS,
  scopeTokens,
  type VerifiedClaims,
} from './claims.js';

/** What claims are held to. Lengths in seconds, as in the claims themselves. */
export interface ClaimRules {
  readonly issuer: string;
  readonly audiences: readonly string[];
  readonly leeway: number;
  readonly maxLifetime: number;
  readonly requiredClaims: readonly string[];
}

/**
 * Holds the claims of a token whose signature is right to the rules, in a fixed order.
 * The answer is the same object under the type that only this check gives.
 * @throws TokenError naming the first claim that fails
 */
export function checkClaims(claims: JsonObject, rules: ClaimRules, now: number): VerifiedClaims {
  for (const name of MANDATORY_CLAIMS) if (!Object.hasOwn(claims, name)) throw missing(name);
  for (const name of rules.requiredClaims) if (!Object.hasOwn(claims, name)) throw missing(name);

  checkIssuer(claims, rules);
  checkAudience(claims, rules);
  checkIdentifiers(claims);
  checkTimes(claims, rules, now);
  checkRights(claims);
  checkAuthentication(claims, now + rules.leeway);
  checkBinding(claims);
  return claims as unknown as VerifiedClaims;
}

/** The instants between which a token is good. */
interface Validity {
  readonly iat: number;
  readonly nbf?: number;
  readonly exp: number;
}

/**
 * The checks that time changes, asked on every use of a token.
 * @throws TokenError `ERR_TOKEN_EXPIRED`, `ERR_TOKEN_NOT_YET_VALID`
 */
export function checkInForce({ iat, nbf = iat, exp }: Validity, leeway: number, now: number): void {
  if (now >= exp + leeway) throw refuse('ERR_TOKEN_EXPIRED', 'exp has passed');
  if (iat > now + leeway) throw refuse('ERR_TOKEN_NOT_YET_VALID', 'iat is in the future');
  if (nbf > now + leeway) throw refuse('ERR_TOKEN_NOT_YET_VALID', 'nbf is in the future');
}

function checkIssuer({ iss }: JsonObject, { issuer }: ClaimRules): void {
  // A list that holds our issuer is not our issuer (CVE-2025-30144).
  if (iss !== issuer) throw refuse('ERR_TOKEN_ISSUER', 'iss is not this issuer');
}

function checkAudience({ aud }: JsonObject, { audiences }: ClaimRules): void {
  const values = Array.isArray(aud) ? aud : [aud];
  if (!values.every((value) => typeof value === 'string')) throw invalid('aud');
  if (!values.some((value) => audiences.includes(value))) {
    throw refuse('ERR_TOKEN_AUDIENCE', 'aud does not name this audience');
  }
}

function checkIdentifiers(claims: JsonObject): void {
  for (const name of ['sub', 'jti']) if (!isIdentifier(claims[name])) throw invalid(name);
  for (const name of ['sid', 'client_id']) {
    if (claims[name] !== undefined && !isIdentifier(claims[name])) throw invalid(name);
  }
}

function checkTimes(claims: JsonObject, { leeway, maxLifetime }: ClaimRules, now: number): void {
  const exp = numericDate(claims, 'exp');
  const iat = numericDate(claims, 'iat');
  const nbf = claims['nbf'] === undefined ? iat : numericDate(claims, 'nbf');
  checkInForce({ iat, nbf, exp }, leeway, now);
  if (exp <= iat || exp <= nbf) throw refuse('ERR_TOKEN_LIFETIME', 'exp is not after iat and nbf');
  // Also what catches milliseconds where seconds belong.
  if (exp - iat > maxLifetime) throw refuse('ERR_TOKEN_LIFETIME', 'the lifetime is too long');
}

function checkRights({ scope, roles, permissions }: JsonObject): void {
  if (scope !== undefined && (typeof scope !== 'string' || scopeTokens(scope) === undefined)) {
    throw invalid('scope');
  }
  if (roles !== undefined && !isNameList(roles)) throw invalid('roles');
  if (permissions !== undefined && !isNameList(permissions)) throw invalid('permissions');
}

function checkAuthentication(claims: JsonObject, latest: number): void {
  const authTime = claims['auth_time'] === undefined ? 0 : numericDate(claims, 'auth_time');
  // In the future it would look fresh for ever.
  if (authTime < 0 || authTime > latest) throw invalid('auth_time');
  if (claims['acr'] !== undefined && !isIdentifier(claims['acr'])) throw invalid('acr');
  if (claims['amr'] !== undefined && !isNameList(claims['amr'])) throw invalid('amr');
}

function checkBinding({ cnf }: JsonObject): void {
  // RFC 7800 §3.1: who cannot check the proof must not take the token for a bearer token.
  if (cnf !== undefined && readConfirmation(cnf) === undefined) {
    throw refuse('ERR_TOKEN_BINDING', 'cnf asks for a proof that cannot be checked');
  }
}

/** RFC 7519 §2: a JSON number, fractions allowed; `1e400` reads as infinite and is none. */
function numericDate(claims: JsonObject, name: string): number {
  const value = claims[name];
  if (typeof value !== 'number' || !Number.isFinite(value)) throw invalid(name);
  return value;
}

function missing(name: string): TokenError {
  return refuse('ERR_TOKEN_CLAIM_MISSING', `${name} is missing`);
}

function invalid(name: string): TokenError {
  return refuse('ERR_TOKEN_CLAIM_INVALID', `${name} has a wrong type or form`);
}

function refuse(code: TokenErrorCode, detail: string): TokenError {
  return new TokenError(code, detail);
}
