import { ClaimError } from '../kernel/errors.js';
import {
  type ClaimInput,
  isIdentifier,
  isNameList,
  RESERVED_CLAIMS,
  scopeTokens,
  type TokenClaims,
  type VerifiedClaims,
} from './claims.js';
import { findSensitiveClaim } from './sensitive-claims.js';
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
  if (Array.isArray(own['scope'])) own['scope'] = own['scope'].join(' ');
  checkRegistered(own);
  for (const [name, value] of Object.entries(own)) assertJson(name, value, 0);
  const custom = Object.fromEntries(Object.entries(own).filter(([name]) => !REGISTERED.has(name)));
  const sensitive = findSensitiveClaim(custom, rules.allowClaims);
  if (sensitive !== undefined) {
    throw new ClaimError(
      'ERR_CLAIM_SENSITIVE',
      `The claim ${sensitive} looks secret or personal, and a token can be read by whoever holds it. ` +
        'Leave it out, or name it in tokens.allowClaims.',
    );
  }
  const claims = { ...own, ...issued };
  for (const name of rules.requiredClaims) {
    if (!Object.hasOwn(claims, name)) throw malformed(name, 'is required by tokens.requiredClaims');
  }
  return deepFreeze(structuredClone(claims)) as VerifiedClaims;
}

function copyDefined(input: TokenClaims): Record<string, ClaimInput> {
  const copy: Record<string, ClaimInput> = {};
  for (const [name, value] of Object.entries(input)) {
    if (name === '__proto__') throw malformed(name, 'is reserved by the runtime');
    if (value !== undefined) copy[name] = value;
  }
  return copy;
}

function checkRegistered(claims: Record<string, ClaimInput>): void {
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
  if (auth_time !== undefined && !(typeof auth_time === 'number' && auth_time >= 0)) {
    throw malformed('auth_time', 'must be seconds since the epoch');
  }
}

/** Refuses what JSON would drop or change in silence: undefined items, NaN, dates, class instances. */
function assertJson(path: string, value: ClaimInput | undefined, depth: number): void {
  if (depth > MAX_DEPTH) throw malformed(path, 'is nested too deeply');
  if (value === null || typeof value === 'boolean') return;
  if (typeof value === 'string') {
    if (!value.isWellFormed()) throw malformed(path, 'holds a lone surrogate');
  } else if (typeof value === 'number') {
    if (!Number.isFinite(value)) throw malformed(path, 'is not a finite number');
  } else if (Array.isArray(value)) {
    value.forEach((item: ClaimInput, index) => assertJson(`${path}.${index}`, item, depth + 1));
  } else if (isPlainObject(value)) {
    for (const [name, inner] of Object.entries(value)) {
      if (name === '__proto__') throw malformed(path, 'has a member reserved by the runtime');
      assertJson(`${path}.${name}`, inner, depth + 1);
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
  return new ClaimError('ERR_CLAIM_INVALID', `The claim ${name} ${reason}.`);
}
