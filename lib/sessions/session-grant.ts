import type { FingerprintClaim } from '../binding/fingerprint/fingerprint-claim.js';
import { ClaimError, SessionError, StoreError } from '../kernel/errors.js';
import { RESERVED_CLAIMS, type TokenClaims, type VerifiedClaims } from '../tokens/claims.js';
import type { SessionFacts, StandingClaims } from '../tokens/token-standing.js';
import type { Sealing } from './sealed-text.js';
import type { RefreshToken } from './refresh-token.js';
import type { Carrier, SessionBinding } from './session.js';
import type { SessionSeals } from './session-seals.js';
import type { SessionRecord } from './session-store.js';

/**
 * What the store keeps of a session besides its tokens: in clear what its owner may see in a list,
 * and sealed under the session's own tokens whom it is for and what they may do.
 */

/** What a session was granted, and to whom. Only the look of its sender changes. */
export interface SessionGrant {
  /** What each access token says, `sid` included. */
  readonly claims: TokenClaims;
  /** What its first token said. */
  readonly standing: StandingClaims;
  readonly carrier: Carrier;
  /** What its sender has to prove. */
  readonly binding?: SessionBinding['kind'];
  /** The digest of the key or certificate, sealed: the store has it too, where it could be taken away. */
  readonly proof?: string;
  /** What its sender looked like the last time. */
  readonly fingerprint?: FingerprintClaim;
}

/** What can be read without its tokens. */
export interface SessionLabel {
  readonly device: string | undefined;
  readonly addressPrefix: string | undefined;
  readonly binding: SessionBinding['kind'] | undefined;
  readonly carrier: Carrier;
}

/** Both parts as text; short names, because there is one for each session. */
interface SessionData {
  readonly device?: string | undefined;
  readonly address?: string | undefined;
  readonly binding?: SessionBinding['kind'] | undefined;
  readonly carrier: Carrier;
  readonly grant: string;
}

/** What `SessionStore` takes. */
export const MAX_DATA = 4 * 1024;

/** What a session was granted by its first token, whose claims were checked. */
export function grantOf(claims: VerifiedClaims, given: Omit<SessionGrant, 'claims'>): SessionGrant {
  const issued: readonly string[] = RESERVED_CLAIMS;
  const granted = Object.entries(claims).filter(([name]) => !issued.includes(name));
  return { claims: { ...Object.fromEntries(granted), sub: claims.sub }, ...given };
}

/** Both parts as the store keeps them. @throws ClaimError if that is more than it takes */
export function sealData(
  seals: SessionSeals,
  token: RefreshToken,
  { label, grant }: { readonly label: SessionLabel; readonly grant: SessionGrant },
): string {
  const data = writeData(label, sealGrant(seals, token, grant));
  if (Buffer.byteLength(data) <= MAX_DATA) return data;
  throw new ClaimError('ERR_CLAIM_TOO_LARGE', 'The claims are too large for a session.');
}

function sealGrant(seals: SessionSeals, token: RefreshToken, grant: SessionGrant): string {
  return seals.seal(Buffer.from(JSON.stringify(grant)), sealingOf(token));
}

function writeData(label: SessionLabel, grant: string): string {
  const { device, addressPrefix: address, binding, carrier } = label;
  return JSON.stringify({ device, address, binding, carrier, grant } satisfies SessionData);
}

export function readLabel(record: SessionRecord): SessionLabel {
  const { device, address: addressPrefix, binding, carrier } = readData(record);
  return { device, addressPrefix, binding, carrier };
}

/**
 * The same, with another device, address or look and under the newest seal, for the store to replace it by;
 * `null` to leave it, also where there is no room: a session does not fail for its label.
 */
export function renewData(
  seals: SessionSeals,
  token: RefreshToken,
  record: SessionRecord,
  { grant, ...label }: Partial<SessionLabel> & { readonly grant: SessionGrant },
): string | null {
  const { grant: sealed } = readData(record);
  const before = readLabel(record);
  const after = { ...before, ...label };
  const isSame = after.device === before.device && after.addressPrefix === before.addressPrefix;
  // A sender never looks the same twice: its digests have another salt.
  const isSealed = seals.isNewest(sealed) && grant.fingerprint === undefined;
  if (isSame && isSealed) return null;
  const data = writeData(after, isSealed ? sealed : sealGrant(seals, token, grant));
  return Buffer.byteLength(data) <= MAX_DATA ? data : null;
}

/**
 * @throws StoreError `ERR_STORE_CORRUPT` if what is stored is no session's
 * @throws SessionError `ERR_SESSION_UNKNOWN` if it was not sealed for this session, by this service
 */
export function openGrant(
  seals: SessionSeals,
  token: RefreshToken,
  record: SessionRecord,
): SessionGrant {
  const plain = seals.unseal(readData(record).grant, sealingOf(token));
  if (plain === undefined) {
    // Under a key that was taken away, or written by somebody else: there is nothing to go on with.
    throw new SessionError('ERR_SESSION_UNKNOWN', 'what is stored of it was not sealed here');
  }
  // What the seal fits was written here, by `sealData`.
  return JSON.parse(plain.toString()) as SessionGrant;
}

export function factsOf(grant: SessionGrant, record: SessionRecord): SessionFacts {
  const { claims, standing } = grant;
  const { key, createdAt: startedAt } = record;
  return { subject: claims.sub, sessionId: key.id, startedAt, standing };
}

function sealingOf({ key, lineage }: RefreshToken): Sealing {
  return { secret: lineage, purpose: 'grant', context: key.id };
}

function readData({ data }: SessionRecord): SessionData {
  let read: unknown;
  try {
    read = JSON.parse(data);
  } catch (cause) {
    throw corrupt({ cause });
  }
  if (!isData(read)) throw corrupt();
  return read;
}

function isData(read: unknown): read is SessionData {
  if (typeof read !== 'object' || read === null) return false;
  const { device, address, binding, carrier, grant }: Partial<Record<string, unknown>> = read;
  return (
    typeof grant === 'string' &&
    (carrier === 'body' || carrier === 'cookie') &&
    [device, address, binding].every((text) => text === undefined || typeof text === 'string')
  );
}

function corrupt(options?: ErrorOptions): StoreError {
  return new StoreError(
    'ERR_STORE_CORRUPT',
    'The stored session is none of this service.',
    options,
  );
}
