import type { RouteName, TokenRow } from '../../vectors/arena.js';

/**
 * Builds rows in the language of the given `materialize.mjs`. What a recipe does not say is as in a
 * right token: header, claims, the live key, the protected route.
 */

export type Json =
  string | number | boolean | null | readonly Json[] | { readonly [name: string]: Json };

/** `undefined` leaves a member out. */
export type Value = Json | undefined;

export interface Recipe {
  readonly header?: Readonly<Record<string, Value>>;
  readonly header_raw?: string;
  readonly header_hex?: string;
  readonly payload?: Readonly<Record<string, Value>>;
  readonly payload_raw?: string;
  readonly payload_suffix_hex?: string;
  readonly h_suffix?: string;
  readonly p_suffix?: string;
  readonly template?: string;
  readonly sign?: { readonly by: string; readonly hash?: string; readonly key?: Json };
  readonly sig?: Readonly<Record<string, Json>>;
  readonly jwe?: Readonly<Record<string, Json>>;
  readonly route?: RouteName;
}

export type Entry = readonly [name: string, recipe: Recipe];

export const HEADER = { alg: 'ES256', typ: '{{TYP}}', kid: '{{KID}}' } as const;
export const CLAIMS = {
  iss: '{{ISS}}',
  aud: '{{AUD}}',
  sub: '{{SUB}}',
  client_id: '{{CLIENT}}',
  iat: '#NOW#',
  exp: '#NOW+300#',
  jti: '{{JTI}}',
  scope: 'read',
} as const;

/** The members without braces, to write objects that no serialiser would. */
export const HEADER_TEXT = JSON.stringify(HEADER).slice(1, -1);
export const CLAIMS_TEXT = JSON.stringify(CLAIMS).slice(1, -1);

export const UNSIGNED: Recipe = { sign: { by: 'none' }, sig: { op: 'empty' } };
export const BY_ATTACKER: Recipe = { sign: { by: 'attacker_es256' } };

export function accepted(className: string, ...groups: readonly (readonly Entry[])[]): TokenRow[] {
  return toRows(className, { expected: 'accept', status: [200] }, groups.flat());
}

export function refused(className: string, ...groups: readonly (readonly Entry[])[]): TokenRow[] {
  return toRows(className, { expected: 'reject', status: [401] }, groups.flat());
}

/** Rows of rights: a token can be right and still not be enough. */
export function denied(className: string, ...groups: readonly (readonly Entry[])[]): TokenRow[] {
  return toRows(className, { expected: 'reject', status: [401, 403] }, groups.flat());
}

function toRows(
  className: string,
  verdict: Pick<TokenRow, 'expected' | 'status'>,
  entries: readonly Entry[],
): TokenRow[] {
  return entries.map(([name, recipe], index) => ({
    id: `${className}-${verdict.expected}-${index + 1}`,
    name,
    class: className,
    slot: 'bearer',
    ...verdict,
    route: 'protected',
    // A template is the whole token.
    ...(recipe.template === undefined ? { header: HEADER, payload: CLAIMS } : {}),
    ...recipe,
  }));
}

/** Entries that differ in one header parameter. */
export function header(name: string, ...groups: readonly (readonly Value[])[]): Entry[] {
  return groups
    .flat()
    .map((value) => [`${name} ${show(value)}`, { header: { ...HEADER, [name]: value } }]);
}

/** Entries that differ in one claim. */
export function claim(name: string, ...groups: readonly (readonly Value[])[]): Entry[] {
  return groups
    .flat()
    .map((value) => [`${name} ${show(value)}`, { payload: { ...CLAIMS, [name]: value } }]);
}

/** The same entries with something more, said in their names. */
export function also(text: string, more: Recipe, entries: readonly Entry[]): Entry[] {
  return entries.map(([name, recipe]) => [`${name}, ${text}`, { ...recipe, ...more }]);
}

/** Entries that are a text as it stands. */
export function template(...groups: readonly (readonly string[])[]): Entry[] {
  return groups.flat().map((text) => [show(text), { template: text }]);
}

/** Entries that differ in how the payload is written. */
export function payloadText(...groups: readonly (readonly string[])[]): Entry[] {
  return groups.flat().map((text) => [`payload ${show(text)}`, { payload_raw: text }]);
}

/** Entries that differ in how the header is written. */
export function headerText(...groups: readonly (readonly string[])[]): Entry[] {
  return groups.flat().map((text) => [`header ${show(text)}`, { header_raw: text }]);
}

/** One list of several, so that a long list reads by lines. */
export function values(...groups: readonly (readonly Value[])[]): readonly Value[] {
  return groups.flat();
}

/** A JSON literal that JavaScript would not write, such as 1e400. */
export function literal(text: string): string {
  return `#RAW:${text}#`;
}

export function show(value: Value): string {
  const text = value === undefined ? 'missing' : JSON.stringify(value);
  return text.length > 60 ? `${text.slice(0, 25)}…${text.slice(-25)}` : text;
}
