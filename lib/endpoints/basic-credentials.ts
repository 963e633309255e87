/**
 * Reads client credentials out of an `Authorization` header (RFC 6749 §2.3.1, RFC 7617): the id and
 * the secret, each form-urlencoded, with a colon between, in base64. Whatever has a second spelling
 * for the same bytes is none.
 */
export interface BasicCredentials {
  readonly clientId: string;
  readonly secret: string;
}

const BASIC = /^basic ([A-Za-z0-9+/]+={0,2})$/i;

/** RFC 6749 §A.1 and §A.2: both consist of printable ASCII, so no other escape can be right. */
const ENCODED = /^(?:[\x20-\x24\x26-\x7e]|%[2-6][0-9a-f]|%7[0-9a-e])+$/i;

/** `undefined` for another scheme, and for whatever is malformed. */
export function readBasicCredentials(authorization: string): BasicCredentials | undefined {
  const [, encoded = ''] = BASIC.exec(authorization) ?? [];
  const bytes = Buffer.from(encoded, 'base64');
  if (encoded === '' || bytes.toString('base64') !== encoded) return undefined;
  const pair = bytes.toString('latin1');
  // RFC 7617 §2: the first one, as a secret may hold more.
  const colon = pair.indexOf(':');
  if (colon < 0) return undefined;
  const clientId = decode(pair.slice(0, colon));
  const secret = decode(pair.slice(colon + 1));
  return clientId === undefined || secret === undefined ? undefined : { clientId, secret };
}

function decode(part: string): string | undefined {
  return ENCODED.test(part) ? decodeURIComponent(part.replaceAll('+', ' ')) : undefined;
}
