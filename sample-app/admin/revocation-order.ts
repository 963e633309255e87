import { isText, malformed, namesIn } from '../http/json-body.js';

/** What an administrator wants to end. */
export type RevocationOrder =
  | { readonly kind: 'token'; readonly jti: string; readonly exp: number }
  | { readonly kind: 'session'; readonly sid: string }
  | { readonly kind: 'subject'; readonly sub: string }
  | { readonly kind: 'everything' };

/** As long as an identifier in a token may be. */
const MAX_LENGTH = 255;

/** What no identifier in a token holds, so that to end such a one would end nothing. */
const UNPRINTABLE = /[\p{Cc}\u2028\u2029\u200e\u200f\u202a-\u202e\u2066-\u2069]/u;

/** The last instant of the year 2286: milliseconds where seconds belong are beyond it. */
const MAX_EXP = 10_000_000_000;

/** Reads exactly one of `{jti, exp}`, `{sid}`, `{sub}`, `{all: true}`. */
export function readRevocationOrder(body: unknown): RevocationOrder {
  const { jti, exp, sid, sub, all } = (body ?? {}) as Partial<Record<string, unknown>>;
  switch (namesIn(body).toSorted().join()) {
    case 'exp,jti':
      if (isName(jti) && isInstant(exp)) return { kind: 'token', jti, exp };
      break;
    case 'sid':
      if (isName(sid)) return { kind: 'session', sid };
      break;
    case 'sub':
      if (isName(sub)) return { kind: 'subject', sub };
      break;
    case 'all':
      // `false` is a mistake, and not the wish to end nothing.
      if (all === true) return { kind: 'everything' };
      break;
  }
  throw malformed();
}

function isName(value: unknown): value is string {
  if (!isText(value, MAX_LENGTH) || UNPRINTABLE.test(value)) return false;
  return value.trim() !== '' && value.isWellFormed();
}

function isInstant(value: unknown): value is number {
  return typeof value === 'number' && value > 0 && value < MAX_EXP;
}
