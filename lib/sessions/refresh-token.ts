import { createHmac, hash, randomBytes } from 'node:crypto';

import { sessionOwner } from './session-owner.js';
import type { PresentedToken, SessionKey } from './session-store.js';

/**
 * The text of refresh tokens: opaque to clients, 512 random bits of which no store keeps any. It says
 * where its session is, so that one step in the store can judge it.
 */

/** Refresh tokens begin with this, so that whoever scans for leaked secrets knows one. */
const PREFIX = 'rt1_';

/**
 * Bytes of each part, in the order in which they stand: what changes first, and the name where no
 * multiple of three begins, so that no text of a token holds the text of a `sid`.
 */
const SECRET = 32;
const OWNER = 16;
const ID = 16;
const LINEAGE = 32;
const NAME_ENDS = SECRET + OWNER + ID;
const BODY = NAME_ENDS + LINEAGE;

const TEXT = /^rt1_[A-Za-z0-9_-]{128}$/;
const SESSION_ID = /^[A-Za-z0-9_-]{43}$/;

/** The parts of a refresh token. */
export interface RefreshToken {
  readonly key: SessionKey;
  /** Shared by all refresh tokens of one session. */
  readonly lineage: Buffer;
  /** Changes with each rotation. */
  readonly secret: Buffer;
}

/** The first refresh token of a new session of this owner. */
export function newRefreshToken(issuer: string, subject: string): RefreshToken {
  const owner = Buffer.from(sessionOwner({ issuer, subject }), 'base64url');
  const name = Buffer.concat([owner, randomBytes(ID)]);
  return { key: keyOf(name), lineage: randomBytes(LINEAGE), secret: randomBytes(SECRET) };
}

/** The token that is to follow in the same session. */
export function successorOf({ key, lineage }: RefreshToken, secret?: Buffer): RefreshToken {
  return { key, lineage, secret: secret ?? randomBytes(SECRET) };
}

export function writeRefreshToken({ key, lineage, secret }: RefreshToken): string {
  const body = Buffer.concat([secret, Buffer.from(key.id, 'base64url'), lineage]);
  return `${PREFIX}${body.toString('base64url')}`;
}

/** `undefined` for everything that is no refresh token in its one spelling. */
export function readRefreshToken(text: unknown): RefreshToken | undefined {
  if (typeof text !== 'string' || !TEXT.test(text)) return undefined;
  const encoded = text.slice(PREFIX.length);
  const body = Buffer.from(encoded, 'base64url');
  if (body.length !== BODY || body.toString('base64url') !== encoded) return undefined;
  return {
    key: keyOf(body.subarray(SECRET, NAME_ENDS)),
    lineage: body.subarray(NAME_ENDS),
    secret: body.subarray(0, SECRET),
  };
}

/** Where a session of this package is by its `sid`; `undefined` for one that others named. */
export function readSessionId(sid: string): SessionKey | undefined {
  const name = SESSION_ID.test(sid) ? Buffer.from(sid, 'base64url') : undefined;
  return name?.toString('base64url') === sid ? keyOf(name) : undefined;
}

/**
 * A refresh token as the store knows it. Of another client the lineage is another, so a client that
 * presents what is not its own only learns that there is no such session (RFC 6749 §6).
 * @param binding digest of what the sender proved besides
 */
export function presented(
  token: RefreshToken,
  clientId: string | undefined,
  binding: string | null,
): PresentedToken {
  return {
    key: token.key,
    lineage: lineageDigest(token, clientId),
    secret: secretDigest(token),
    binding,
  };
}

export function secretDigest({ secret }: RefreshToken): string {
  return digestOf('secret', secret);
}

function lineageDigest({ lineage }: RefreshToken, clientId: string | undefined): string {
  return digestOf('lineage', lineage, Buffer.from(clientId ?? ''));
}

/**
 * The CSRF token of a session: the same for all its refresh tokens, so that no tab's goes out of date
 * while another refreshes, and known only to who got it with them.
 */
export function csrfTokenOf({ key, lineage }: RefreshToken): string {
  return createHmac('sha256', lineage).update(`csrf\0${key.id}`).digest('base64url');
}

function digestOf(part: 'secret' | 'lineage', ...bytes: readonly Buffer[]): string {
  return hash('sha256', Buffer.concat([Buffer.from(`${part}\0`), ...bytes]), 'base64url');
}

function keyOf(name: Buffer): SessionKey {
  return {
    owner: name.subarray(0, OWNER).toString('base64url'),
    id: name.toString('base64url'),
  };
}
