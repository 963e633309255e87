import { isCanonicalBase64url } from './base64url.js';

/**
 * The compact serialisation (RFC 7515 §3.1) as text: judged before anything is decoded, so that it has
 * exactly one spelling and no parser ever sees junk.
 */

/** The parts of a signed text that is well formed. Nothing is decoded or believed yet. */
export interface CompactText {
  readonly header: string;
  readonly payload: string;
  readonly signature: string;
  /** The bytes the signature covers, as text: header and payload with the dot between. */
  readonly signingInput: string;
}

/** Why a text was not taken; says nothing of its content. */
export type CompactFault =
  'too long' | 'its header is too long' | 'not three base64url parts' | 'not canonical base64url';

/** In characters. */
export interface CompactLimits {
  readonly whole: number;
  readonly header: number;
}

// An empty payload is well formed (RFC 7515 allows it); an empty signature never is.
const COMPACT = /^[A-Za-z0-9_-]+\.[A-Za-z0-9_-]*\.[A-Za-z0-9_-]+$/;

/** Splits a text into its three parts, or names the fault. */
export function splitCompact(text: string, limits: CompactLimits): CompactText | CompactFault {
  if (text.length > limits.whole) return 'too long';
  if (!COMPACT.test(text)) return 'not three base64url parts';
  const afterHeader = text.indexOf('.');
  const afterPayload = text.lastIndexOf('.');
  if (afterHeader > limits.header) return 'its header is too long';
  const header = text.slice(0, afterHeader);
  const payload = text.slice(afterHeader + 1, afterPayload);
  const signature = text.slice(afterPayload + 1);
  if (![header, payload, signature].every(isCanonicalBase64url)) return 'not canonical base64url';
  return { header, payload, signature, signingInput: text.slice(0, afterPayload) };
}
