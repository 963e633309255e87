import type { Confirmation } from '../binding/confirmation.js';
import { ClaimError } from '../kernel/errors.js';
import {
  isIdentifier,
  isNameList,
  isScopeToken,
  RESERVED_CLAIMS,
  scopeTokens,
  type TokenClaims,
  type VerifiedClaims,
} from './claims.js';
import { type ClaimCopy, copyClaims, malformed, printable } from './claims-copy.js';
import { findSensitiveClaim, looksSensitive } from './sensitive-claims.js';
import { deepFreeze } from './verified-token.js';

/** What the service itself says in a token. */
export interface IssuerClaims {
  readonly iss: string;
  readonly aud: string | readonly string[];
  readonly iat: number;
  readonly nbf: number;
  readonly exp: number;
  readonly jti: string;
  readonly era?: number;
  readonly token_version?: number;
  readonly csrf?: string;
  readonly cnf?: Confirmation;
  readonly fingerprint?: object;
}

export interface ComposeRules {
  readonly clientId: string | null;
  readonly requiredClaims: readonly string[];
  readonly allowClaims: ReadonlySet<string>;
}

/** Claims with a meaning of their own: checked for their form, not searched for secrets. */
const REGISTERED = new Set([
  'sub',
  'scope',
  'roles',
  'permissions',
  'sid',
  'client_id',
  'auth_time',
  'acr',
  'amr',
]);

/** Registered claims whose value can be an e-mail address or a card number all the same. */
const IDENTIFIERS = ['sub', 'sid', 'client_id'] as const;

/**
 * Joins what the caller says and what the service says into the claims of one token, frozen.
 * @throws ClaimError naming the claim, never its value
 */
export function composeClaims(
  input: TokenClaims,
  rules: ComposeRules,
  issued: IssuerClaims,
): VerifiedClaims {
  const own = copyClaims(input);
  for (const name of RESERVED_CLAIMS) {
    // Inherited ones would not be copied, but whoever passes them means something by it.
    if (name in own || input[name] !== undefined) {
      throw new ClaimError('ERR_CLAIM_RESERVED', `The claim ${name} is set by the service alone.`);
    }
  }
  if (!('client_id' in own) && rules.clientId !== null) own['client_id'] = rules.clientId;
  if (Array.isArray(own['scope'])) own['scope'] = joinScope(own['scope']);
  checkRegistered(own, issued.iat);
  refuseSensitive(own, rules.allowClaims);
  const claims = { ...own, ...issued };
  for (const name of rules.requiredClaims) {
    if (!Object.hasOwn(claims, name)) throw malformed(name, 'is required by tokens.requiredClaims');
  }
  return deepFreeze(claims) as VerifiedClaims;
}

/**
 * The same for claims that were composed before, and kept where nobody could change them: what was
 * right then is right now, but for what is required by now.
 */
export function composeAgain(
  granted: TokenClaims,
  { requiredClaims }: Pick<ComposeRules, 'requiredClaims'>,
  issued: IssuerClaims,
): VerifiedClaims {
  const { scope } = granted;
  const claims = { ...granted, ...(isText(scope) ? {} : { scope: scope.join(' ') }), ...issued };
  for (const name of requiredClaims) {
    if (!Object.hasOwn(claims, name)) throw malformed(name, 'is required by tokens.requiredClaims');
  }
  return deepFreeze(claims) as VerifiedClaims;
}

function isText(scope: TokenClaims['scope']): scope is string | undefined {
  return scope === undefined || typeof scope === 'string';
}

/**
 * The claim `aud` for one service or several (RFC 7519 §4.1.3).
 * @throws ClaimError `ERR_CLAIM_INVALID`
 */
export function audienceClaim(audience: string | readonly string[]): string | readonly string[] {
  const list = typeof audience === 'string' ? [audience] : [...audience];
  const [first, ...others] = list;
  if (first === undefined || !list.every(isIdentifier)) {
    throw new ClaimError('ERR_CLAIM_INVALID', 'The audience must name at least one service.');
  }
  return others.length === 0 ? first : list;
}

/** A list item with a space in it would be two scopes. */
function joinScope(scopes: readonly ClaimCopy[]): string {
  if (!scopes.every(isScopeToken)) throw malformed('scope', 'must be scope tokens (RFC 6749 §3.3)');
  return scopes.join(' ');
}

function refuseSensitive(claims: Record<string, ClaimCopy>, allowed: ReadonlySet<string>): void {
  const isCustom = ([name]: readonly [string, ClaimCopy]): boolean => !REGISTERED.has(name);
  const custom = Object.fromEntries(Object.entries(claims).filter(isCustom));
  const found =
    findSensitiveClaim(custom, allowed) ??
    IDENTIFIERS.find((name) => {
      const value = claims[name];
      return typeof value === 'string' && !allowed.has(name) && looksSensitive(value);
    });
  if (found === undefined) return;
  throw new ClaimError(
    'ERR_CLAIM_SENSITIVE',
    `The claim ${printable(found)} looks secret or personal, and a token can be read by whoever ` +
      'holds it. Leave it out, or name it in tokens.allowClaims.',
  );
}

function checkRegistered(claims: Record<string, ClaimCopy>, now: number): void {
  const { sub, scope, roles, permissions, sid, client_id, auth_time, acr, amr } = claims;
  const identifier = 'must be 1 to 255 printable characters';
  const names = 'must be a list of names';
  if (!isIdentifier(sub)) throw malformed('sub', identifier);
  for (const [name, value] of Object.entries({ sid, client_id, acr })) {
    if (value !== undefined && !isIdentifier(value)) throw malformed(name, identifier);
  }
  for (const [name, value] of Object.entries({ roles, permissions, amr })) {
    if (value !== undefined && !isNameList(value)) throw malformed(name, names);
  }
  if (scope !== undefined && (typeof scope !== 'string' || scopeTokens(scope) === undefined)) {
    throw malformed('scope', 'must be scope tokens (RFC 6749 §3.3)');
  }
  // A second more, because iat is rounded down and auth_time need not be.
  const isPast = typeof auth_time === 'number' && auth_time >= 0 && auth_time <= now + 1;
  if (auth_time !== undefined && !isPast) {
    throw malformed('auth_time', 'must be seconds since the epoch, and not in the future');
  }
}
