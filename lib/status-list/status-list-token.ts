import { isCanonicalBase64url } from '../kernel/base64url.js';
import { TokenError } from '../kernel/errors.js';
import { isJsonObject, type JsonObject } from '../kernel/strict-json.js';
import { findAlgorithm } from '../keys/algorithms.js';
import { isKid, type VerificationKey } from '../keys/key-material.js';
import type { RemoteJwks } from '../keys/remote/remote-jwks.js';
import { SignatureVerifier } from '../keys/signature.js';
import { type CompactToken, readHeader, readPayload } from '../tokens/compact.js';
import {
  decodeStatuses,
  isStatusWidth,
  type StatusBitsFault,
  type StatusWidth,
} from './status-bits.js';

/** What a list of another issuer is held to. */
export interface ListRules {
  readonly issuer: string;
  /** What a list may name in `aud`, if it names anybody. */
  readonly audiences: readonly string[];
  /** In seconds. */
  readonly leeway: number;
  /** Bytes of the list when it is unpacked. */
  readonly maxListBytes: number;
}

/** A list that passed every check. Times in seconds. */
export interface StatusList {
  readonly bytes: Buffer;
  readonly width: StatusWidth;
  /** What it was signed with. */
  readonly key: VerificationKey;
  readonly issuedAt: number;
  readonly expiresAt: number | undefined;
  readonly ttl: number | undefined;
}

/** Why a list is not used. Stable: alerts are built on these. */
export type StatusListFault =
  | 'not-a-token'
  | 'wrong-type'
  | 'wrong-algorithm'
  | 'unknown-key'
  | 'bad-signature'
  | 'wrong-issuer'
  | 'wrong-subject'
  | 'wrong-audience'
  | 'malformed-claims'
  | 'not-yet-valid'
  | 'expired'
  | 'older-than-before'
  | StatusBitsFault;

/** A list is not used; says nothing of its content. */
export class StatusListError extends Error {
  constructor(
    readonly fault: StatusListFault,
    options?: ErrorOptions,
  ) {
    super(`The status list cannot be used (${fault}).`, options);
    this.name = 'StatusListError';
  }
}

const TYPE = /^(?:application\/)?statuslist\+jwt$/i;
const COMPACT = /^([A-Za-z0-9_-]{1,2048})\.([A-Za-z0-9_-]+)\.([A-Za-z0-9_-]+)$/;

/** Verifies Status List Tokens of one issuer, whose own keys have to sign them. */
export class StatusListVerifier {
  readonly #signatures = new SignatureVerifier();

  constructor(
    private readonly rules: ListRules,
    private readonly keys: Pick<RemoteJwks, 'find'>,
  ) {}

  /**
   * @param uri where it was fetched, as the token says that asked for it
   * @param now in seconds
   * @throws StatusListError naming the first check that fails (Token Status List §8.3)
   * @throws KeyError while the keys of the issuer cannot be had
   */
  async verify(body: Buffer, uri: string, now: number): Promise<StatusList> {
    const compact = split(body);
    const key = await this.#keyOf(compact);
    const valid = await this.#signatures.verify({
      key,
      input: Buffer.from(compact.signingInput, 'latin1'),
      signature: Buffer.from(compact.signature, 'base64url'),
    });
    if (!valid) throw new StatusListError('bad-signature');
    const claims = read(() => readPayload(compact));
    this.#checkIdentity(claims, uri);
    const times = this.#checkTimes(claims, now);
    return { ...times, ...(await this.#unpack(claims)), key };
  }

  async #keyOf(compact: CompactToken): Promise<VerificationKey> {
    const { alg, typ, kid } = read(() => readHeader(compact));
    if (typ === undefined || !TYPE.test(typ)) throw new StatusListError('wrong-type');
    // A MAC would be one that every verifier can make.
    if (findAlgorithm(alg)?.symmetric !== false) throw new StatusListError('wrong-algorithm');
    const key = isKid(kid) ? await this.keys.find(kid) : undefined;
    if (key === undefined) throw new StatusListError('unknown-key');
    if (key.row.name !== alg) throw new StatusListError('wrong-algorithm');
    return key;
  }

  #checkIdentity({ iss, sub, aud }: JsonObject, uri: string): void {
    const { issuer, audiences } = this.rules;
    if (iss !== undefined && iss !== issuer) throw new StatusListError('wrong-issuer');
    // Else one list of an issuer could stand in for another.
    if (sub !== uri) throw new StatusListError('wrong-subject');
    if (aud === undefined) return;
    const named: readonly unknown[] = Array.isArray(aud) ? aud : [aud];
    if (!audiences.some((audience) => named.includes(audience))) {
      throw new StatusListError('wrong-audience');
    }
  }

  #checkTimes(claims: JsonObject, now: number): Pick<StatusList, 'issuedAt' | 'expiresAt' | 'ttl'> {
    const { leeway } = this.rules;
    const issuedAt = seconds(claims, 'iat');
    const expiresAt = optionalSeconds(claims, 'exp');
    const notBefore = optionalSeconds(claims, 'nbf') ?? issuedAt;
    const ttl = optionalSeconds(claims, 'ttl');
    if (ttl !== undefined && ttl <= 0) throw new StatusListError('malformed-claims');
    if (issuedAt > now + leeway || notBefore > now + leeway) {
      throw new StatusListError('not-yet-valid');
    }
    if (expiresAt !== undefined && now >= expiresAt + leeway) throw new StatusListError('expired');
    return { issuedAt, expiresAt, ttl };
  }

  async #unpack({ status_list: list }: JsonObject): Promise<Pick<StatusList, 'bytes' | 'width'>> {
    if (!isJsonObject(list)) throw new StatusListError('malformed-claims');
    const { bits: width, lst } = list;
    if (!isStatusWidth(width) || typeof lst !== 'string') {
      throw new StatusListError('malformed-claims');
    }
    const bytes = await decodeStatuses(lst, this.rules.maxListBytes);
    if (typeof bytes === 'string') throw new StatusListError(bytes);
    return { bytes, width };
  }
}

/** As `readCompact`, for a token whose length the fetch has bounded. */
function split(body: Buffer): CompactToken {
  const [, header, payload, signature] = COMPACT.exec(body.toString('latin1')) ?? [];
  if (header === undefined || payload === undefined || signature === undefined) {
    throw new StatusListError('not-a-token');
  }
  if (![header, payload, signature].every(isCanonicalBase64url)) {
    throw new StatusListError('not-a-token');
  }
  return { header, payload, signature, signingInput: `${header}.${payload}` };
}

function read<T>(part: () => T): T {
  try {
    return part();
  } catch (cause) {
    if (cause instanceof TokenError) throw new StatusListError('not-a-token', { cause });
    throw cause;
  }
}

function seconds(claims: JsonObject, name: string): number {
  const value = optionalSeconds(claims, name);
  if (value === undefined) throw new StatusListError('malformed-claims');
  return value;
}

function optionalSeconds(claims: JsonObject, name: string): number | undefined {
  const value = claims[name];
  if (value === undefined) return undefined;
  if (typeof value === 'number' && Number.isFinite(value)) return value;
  throw new StatusListError('malformed-claims');
}
