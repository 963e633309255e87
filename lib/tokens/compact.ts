import { type CompactText, splitCompact } from '../kernel/compact-text.js';
import { TokenError } from '../kernel/errors.js';
import { type JsonObject, parseStrictJson } from '../kernel/strict-json.js';

/**
 * The strict reader of the compact serialisation (RFC 7515 §3.1): text is judged as text, before
 * anything is decoded, so that a token has exactly one spelling and no parser ever sees junk.
 */

/** Longest token taken, in characters: half of the header block Node accepts. */
export const MAX_TOKEN_LENGTH = 8192;
/** Longest header part, in characters. */
const MAX_HEADER_LENGTH = 2048;

/** A token that is well formed as text. */
export type CompactToken = CompactText;

/** A JOSE header whose members are all understood. */
export interface JoseHeader {
  readonly alg: string;
  readonly kid: string | undefined;
  readonly typ: string | undefined;
}

/**
 * Members that name a key, a key's place, or another encoding. Trusting them is CVE-2018-0114 and
 * its kin, ignoring them is a token that means something else to the next reader (RFC 8725 §3.10).
 */
const FORBIDDEN_MEMBERS = [
  'jku',
  'jwk',
  'x5u',
  'x5c',
  'x5t',
  'x5t#S256',
  'crit',
  'zip',
  'enc',
  'b64',
  // Of an encrypted token (RFC 7516 §4.1, RFC 7518 §4): this one is signed.
  'epk',
  'apu',
  'apv',
  'iv',
  'tag',
  'p2s',
  'p2c',
] as const;

/** RFC 7519 §5.2: the payload is another token, not claims. */
const NESTED = /^(?:application\/)?jwt$/i;

/**
 * Splits a token into its three parts.
 * @throws TokenError `ERR_TOKEN_TOO_LARGE`, `ERR_TOKEN_FORMAT`
 */
export function readCompact(token: string): CompactToken {
  const read = splitCompact(token, { whole: MAX_TOKEN_LENGTH, header: MAX_HEADER_LENGTH });
  if (typeof read !== 'string') return read;
  const code = read.endsWith('too long') ? 'ERR_TOKEN_TOO_LARGE' : 'ERR_TOKEN_FORMAT';
  throw new TokenError(code, `the token: ${read}`);
}

/**
 * Decodes the header and refuses members this package does not honour.
 * @throws TokenError `ERR_TOKEN_JSON`, `ERR_TOKEN_HEADER`
 */
export function readHeader({ header }: CompactToken): JoseHeader {
  const members = readJson(header, 'header');
  if (FORBIDDEN_MEMBERS.some((name) => name in members)) {
    throw new TokenError('ERR_TOKEN_HEADER', 'the header has a member that is never honoured');
  }
  const { alg, kid, typ, cty } = members;
  if (typeof alg !== 'string') throw new TokenError('ERR_TOKEN_HEADER', 'alg is not a string');
  if (!isOptionalString(kid)) throw new TokenError('ERR_TOKEN_HEADER', 'kid is not a string');
  if (!isOptionalString(typ)) throw new TokenError('ERR_TOKEN_HEADER', 'typ is not a string');
  if (!isOptionalString(cty) || NESTED.test(cty ?? '')) {
    throw new TokenError('ERR_TOKEN_HEADER', 'cty is that of a nested token, or not a string');
  }
  return { alg, kid, typ };
}

/**
 * Decodes the payload as one JSON object.
 * @throws TokenError `ERR_TOKEN_JSON`
 */
export function readPayload({ payload }: CompactToken): JsonObject {
  return readJson(payload, 'payload');
}

function readJson(part: string, name: string): JsonObject {
  const parsed = parseStrictJson(Buffer.from(part, 'base64url'));
  if (typeof parsed === 'string') throw new TokenError('ERR_TOKEN_JSON', `the ${name}: ${parsed}`);
  return parsed;
}

function isOptionalString(value: unknown): value is string | undefined {
  return value === undefined || typeof value === 'string';
}
