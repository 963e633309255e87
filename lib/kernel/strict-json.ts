import { isUtf8 } from 'node:buffer';

/**
 * JSON as a security boundary reads it: what one parser takes for the first member and another for
 * the last is refused, not interpreted (RFC 7515 §4, RFC 7519 §4, RFC 8725 §2.4).
 */

export type JsonValue = string | number | boolean | null | JsonValue[] | JsonObject;
export interface JsonObject {
  [name: string]: JsonValue;
}

/** Why a text was not accepted; says nothing of its content. */
export type JsonFault =
  | 'not UTF-8'
  | 'starts with a byte order mark'
  | 'nested too deeply'
  | 'not JSON'
  | 'not a JSON object'
  | 'a member name occurs twice'
  | 'a member name is reserved by the runtime'
  | 'a string holds a lone surrogate';

/** Deeper than any claim set in use, far below what a recursive reader could not survive. */
const MAX_DEPTH = 16;

const QUOTE = 0x22;
const BACKSLASH = 0x5c;
const COLON = 0x3a;

/**
 * Parses one JSON object, or names the fault.
 *
 * Duplicate names are found by counting: every member has exactly one colon outside strings, and
 * `JSON.parse` keeps one member per distinct name, so fewer members than colons means that a name
 * was repeated, however it was escaped.
 */
export function parseStrictJson(bytes: Buffer): JsonObject | JsonFault {
  if (!isUtf8(bytes)) return 'not UTF-8';
  const text = bytes.toString('utf8');
  if (text.charCodeAt(0) === 0xfeff) return 'starts with a byte order mark';

  let colons = 0;
  let depth = 0;
  let escapes = false;
  for (let at = 0; at < text.length; at++) {
    switch (text.charCodeAt(at)) {
      case QUOTE:
        for (at++; at < text.length && text.charCodeAt(at) !== QUOTE; at++) {
          if (text.charCodeAt(at) === BACKSLASH) {
            escapes = true;
            at++;
          }
        }
        break;
      case COLON:
        colons++;
        break;
      case 0x7b /* { */:
      case 0x5b /* [ */:
        if (++depth > MAX_DEPTH) return 'nested too deeply';
        break;
      case 0x7d /* } */:
      case 0x5d /* ] */:
        depth--;
        break;
    }
  }

  let value: JsonValue;
  try {
    value = JSON.parse(text) as JsonValue;
  } catch {
    return 'not JSON';
  }
  if (!isJsonObject(value)) return 'not a JSON object';
  const members = countMembers(value);
  if (members < 0) return 'a member name is reserved by the runtime';
  if (members !== colons) return 'a member name occurs twice';
  // Raw UTF-8 cannot carry a surrogate; only an escape can.
  if (escapes && !isWellFormed(value)) return 'a string holds a lone surrogate';
  return value;
}

export function isJsonObject(value: unknown): value is JsonObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** All members at every depth; negative once a name could reach a prototype. */
function countMembers(value: JsonValue): number {
  if (typeof value !== 'object' || value === null) return 0;
  let count = 0;
  if (Array.isArray(value)) {
    for (const item of value) {
      const inner = countMembers(item);
      if (inner < 0) return inner;
      count += inner;
    }
    return count;
  }
  for (const name of Object.keys(value)) {
    if (name === '__proto__') return -1;
    const inner = countMembers(value[name] as JsonValue);
    if (inner < 0) return inner;
    count += 1 + inner;
  }
  return count;
}

function isWellFormed(value: JsonValue): boolean {
  if (typeof value === 'string') return value.isWellFormed();
  if (typeof value !== 'object' || value === null) return true;
  if (Array.isArray(value)) return value.every(isWellFormed);
  return Object.entries(value).every(([name, item]) => name.isWellFormed() && isWellFormed(item));
}
