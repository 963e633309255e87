import { createHash } from 'node:crypto';

import { TokenError, type TokenErrorCode } from '../kernel/errors.js';
import type { JsonObject } from '../kernel/strict-json.js';

/**
 * What a token of the time before this package says, in the terms of the tokens since: what was not
 * said is completed, and what would mean something else today is refused. The result is then held to
 * the rules of every other token.
 */

/** What they say of themselves. */
export interface LegacyClaimRules {
  /** `null`: nothing. */
  readonly issuer: string | null;
  /** `null`: nothing. */
  readonly audience: string | null;
  readonly subject: 'text' | 'number';
}

/** Whose tokens they count as from now on. */
export interface LegacyHeir {
  readonly issuer: string;
  readonly audiences: readonly string[];
}

/**
 * Claims with a meaning that only this package gave them. An old application that has one of the same
 * name meant something else by it, and a proof that nobody can check must not be overlooked.
 */
const NEVER_LEGACY = ['cnf', 'fingerprint', 'era', 'csrf', 'token_version'] as const;

/** @throws TokenError naming the first claim that fails */
export function completeLegacyClaims(
  { token, claims }: { readonly token: string; readonly claims: JsonObject },
  rules: LegacyClaimRules,
  heir: LegacyHeir,
): JsonObject {
  for (const name of NEVER_LEGACY) if (Object.hasOwn(claims, name)) throw foreign(name);
  // As a text it is somebody's own; as an object, a place in a list that nobody here looks at.
  if (typeof claims['status'] === 'object') throw foreign('status');
  assertIssuer(claims, rules);
  assertAudience(claims, rules);
  return {
    ...claims,
    iss: heir.issuer,
    aud: [...heir.audiences],
    ...subjectOf(claims, rules),
    // So that one token can be revoked. The strict reader leaves it one spelling.
    ...(Object.hasOwn(claims, 'jti') ? {} : { jti: digestOf(token) }),
  };
}

function assertIssuer({ iss }: JsonObject, { issuer }: LegacyClaimRules): void {
  if (iss !== (issuer ?? undefined)) {
    throw refuse('ERR_TOKEN_ISSUER', 'iss is not that of legacy tokens');
  }
}

function assertAudience({ aud }: JsonObject, { audience }: LegacyClaimRules): void {
  if (aud === undefined && audience === null) return;
  const values = Array.isArray(aud) ? aud : [aud];
  if (!values.every((value) => typeof value === 'string')) throw malformed('aud');
  if (audience === null || !values.includes(audience)) {
    throw refuse('ERR_TOKEN_AUDIENCE', 'aud is not that of legacy tokens');
  }
}

/** One form, whatever was agreed: `1` and `'1'` are not both somebody. */
function subjectOf({ sub }: JsonObject, { subject }: LegacyClaimRules): { readonly sub?: string } {
  // What is missing, or no text, the checks of every token say.
  if (subject === 'text' || sub === undefined) return {};
  if (typeof sub === 'number' && Number.isSafeInteger(sub) && !Object.is(sub, -0)) {
    return { sub: String(sub) };
  }
  throw malformed('sub');
}

function digestOf(token: string): string {
  return createHash('sha256').update(`legacy token\0${token}`).digest('base64url');
}

function foreign(name: string): TokenError {
  return refuse('ERR_TOKEN_CLAIM_INVALID', `${name} has no place in a legacy token`);
}

function malformed(name: string): TokenError {
  return refuse('ERR_TOKEN_CLAIM_INVALID', `${name} has a wrong type or form`);
}

function refuse(code: TokenErrorCode, detail: string): TokenError {
  return new TokenError(code, detail);
}
