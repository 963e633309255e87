import { ClaimError } from '../kernel/errors.js';
import {
  type ClaimInput,
  isIdentifier,
  isNameList,
  isScopeToken,
  RESERVED_CLAIMS,
  scopeTokens,
  type TokenClaims,
  type VerifiedClaims,
} from './claims.js';
import { MAX_TOKEN_LENGTH } from './compact.js';
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
}

export interface ComposeRules {
  readonly clientId: string | null;
  readonly requiredClaims: readonly string[];
  readonly allowClaims: ReadonlySet<string>;
}

/** Deeper than this, the strict reader on the other side might refuse the token. */
const MAX_DEPTH = 12;

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
  for (const name of RESERVED_CLAIMS) {
    if (input[name] !== undefined) {
      throw new ClaimError('ERR_CLAIM_RESERVED', `The claim ${name} is set by the service alone.`);
    }
  }
  const own = copyDefined(input);
  if (!('client_id' in own) && rules.clientId !== null) own['client_id'] = rules.clientId;
  if (Array.isArray(own['scope'])) own['scope'] = joinScope(own['scope']);
  checkRegistered(own, issued.iat);
  const size = { left: MAX_TOKEN_LENGTH };
  for (const [name, value] of Object.entries(own)) assertJson(name, value, 0, size);
  refuseSensitive(own, rules.allowClaims);
  const claims = { ...own, ...issued };
  for (const name of rules.requiredClaims) {
    if (!Object.hasOwn(claims, name)) throw malformed(name, 'is required by tokens.requiredClaims');
  }
  return deepFreeze(JSON.parse(JSON.stringify(claims)) as VerifiedClaims);
}

function copyDefined(input: TokenClaims): Record<string, ClaimInput> {
  const copy: Record<string, ClaimInput> = {};
  for (const [name, value] of Object.entries(input)) {
    if (name === '__proto__') throw malformed(name, 'is reserved by the runtime');
    if (value !== undefined) copy[name] = value;
  }
  return copy;
}

/** A list item with a space in it would be two scopes. */
function joinScope(scopes: readonly ClaimInput[]): string {
  if (!scopes.every(isScopeToken)) throw malformed('scope', 'must be scope tokens (RFC 6749 §3.3)');
  return scopes.join(' ');
}

function refuseSensitive(claims: Record<string, ClaimInput>, allowed: ReadonlySet<string>): void {
  const isCustom = ([name]: readonly [string, ClaimInput]): boolean => !REGISTERED.has(name);
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

function checkRegistered(claims: Record<string, ClaimInput>, now: number): void {
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

/**
 * Refuses what JSON would drop or change in silence (undefined items, NaN, dates, class instances),
 * and what no token has room for, before anything is searched or signed.
 */
function assertJson(
  path: string,
  value: ClaimInput | undefined,
  depth: number,
  size: { left: number },
): void {
  if (depth > MAX_DEPTH) throw malformed(path, 'is nested too deeply');
  size.left -= typeof value === 'string' ? value.length : 1;
  if (size.left < 0) {
    throw new ClaimError(
      'ERR_CLAIM_TOO_LARGE',
      'The claims make the token too long to be accepted.',
    );
  }
  if (value === null || typeof value === 'boolean') return;
  if (typeof value === 'string') {
    if (!value.isWellFormed()) throw malformed(path, 'holds a lone surrogate');
  } else if (typeof value === 'number') {
    if (!Number.isFinite(value)) throw malformed(path, 'is not a finite number');
  } else if (Array.isArray(value)) {
    const items = value as readonly ClaimInput[];
    for (let index = 0; index < items.length; index++) {
      assertJson(`${path}.${index}`, items[index], depth + 1, size);
    }
  } else if (isPlainObject(value)) {
    for (const [name, inner] of Object.entries(value)) {
      if (name === '__proto__') throw malformed(path, 'has a member reserved by the runtime');
      if (inner !== undefined) assertJson(`${path}.${name}`, inner, depth + 1, size);
    }
  } else {
    throw malformed(path, 'is not JSON');
  }
}

function isPlainObject(value: unknown): value is Record<string, ClaimInput> {
  if (typeof value !== 'object' || value === null) return false;
  const prototype: unknown = Object.getPrototypeOf(value);
  return prototype === Object.prototype || prototype === null;
}

function malformed(name: string, reason: string): ClaimError {
  return new ClaimError('ERR_CLAIM_INVALID', `The claim ${printable(name)} ${reason}.`);
}

/** A path for a message: member names below the first can be data, so strange ones are left out. */
function printable(path: string): string {
  const [name = ''] = path.split('.');
  return [path, name].find((text) => /^[\w.-]{1,64}$/.test(text)) ?? '(unprintable)';
}
