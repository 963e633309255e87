import { createHmac, hash } from 'node:crypto';

import type { SenderKey } from './sender-secrets.js';

/**
 * The cookie that goes with a session whose tokens are kept by scripts: scripts cannot read it, so a
 * token that one of them gives away is of no use elsewhere. It is made of the refresh token, under a
 * secret of ours, so that it changes with each refresh and is the same for one that is repeated.
 */

/** What `SenderSecrets.derive` is asked for. */
export const SENDER_COOKIE_PURPOSE = 'cookie';

/** The value that belongs to a refresh token. */
export function senderCookieFor({ key }: SenderKey, refreshSecret: string | Uint8Array): string {
  return createHmac('sha256', key).update(refreshSecret).digest('base64url');
}

/** What the access token says of it, in `cnf`. It has 256 bits that nobody can guess. */
export function senderCookieDigest(value: string): string {
  return hash('sha256', `sender cookie\0${value}`, 'base64url');
}
