import { isCanonicalBase64url } from '../kernel/base64url.js';
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

/** The parts of a token that is well formed as text. Nothing is decoded or believed yet. */
export interface CompactToken {
  readonly header: string;
  readonly payload: string;
  readonly signature: string;
  /** The bytes the signature covers, as text: header and payload with the dot between. */
  readonly signingInput: string;
}

/** A JOSE header whose members are all understood. */
export interface JoseHeader {
  readonly alg: string;
  readonly kid: string | undefined;
  readonly typ: string | undefined;
}

// An empty payload is well formed (RFC 7515 allows it); an empty signature never is.
const COMPACT = /^[A-Za-z0-9_-]+\.[A-Za-z0-9_-]*\.[A-Za-z0-9_-]+$/;

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
  if (token.length > MAX_TOKEN_LENGTH) {
    throw new TokenError('ERR_TOKEN_TOO_LARGE', 'the token is too long');
  }
  if (!COMPACT.test(token)) {
    throw new TokenError('ERR_TOKEN_FORMAT', 'the token is not three base64url parts');
  }
  const afterHeader = token.indexOf('.');
  const afterPayload = token.lastIndexOf('.');
  if (afterHeader > MAX_HEADER_LENGTH) {
    throw new TokenError('ERR_TOKEN_TOO_LARGE', 'the header is too long');
  }
  const header = token.slice(0, afterHeader);
  const payload = token.slice(afterHeader + 1, afterPayload);
  const signature = token.slice(afterPayload + 1);
  if (![header, payload, signature].every(isCanonicalBase64url)) {
    throw new TokenError('ERR_TOKEN_FORMAT', 'a part is not canonical base64url');
  }
  return { header, payload, signature, signingInput: token.slice(0, afterPayload) };
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
