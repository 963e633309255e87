import type { KeyObject } from 'node:crypto';

import type { SecurityEvents } from '../events/security-events.js';
import type { Clock } from '../kernel/clock.js';
import { TokenError } from '../kernel/errors.js';
import { type JsonObject, parseStrictJson } from '../kernel/strict-json.js';
import { algorithmRow } from '../keys/algorithms.js';
import type { VerificationKey } from '../keys/key-material.js';
import { SignatureVerifier } from '../keys/signature.js';
import type { ClaimRules } from './claim-checks.js';
import { type CompactToken, type JoseHeader, readPayload } from './compact.js';
import type { IssuerKeys } from './issuer-keys.js';
import { completeLegacyClaims, type LegacyClaimRules } from './legacy-claims.js';
import type { VerifiedToken } from './verified-token.js';

/** The tokens of an application's past that are still good. */
export interface LegacyTokensConfig {
  readonly secrets: readonly KeyObject[];
  /** The instant, in milliseconds, from which on none is. */
  readonly until: number;
  /** What their headers say in `kid`; `null` for none. */
  readonly kid: string | null;
  readonly claims: LegacyClaimRules;
  /** In seconds. */
  readonly maxLifetime: number;
}

/** What tells the time, and whom to tell. */
export interface LegacyParts {
  readonly clock: Clock;
  readonly events: SecurityEvents;
}

/** The `kid` that all of them count as signed under. No key of the ring has it. */
export const LEGACY_KID = 'legacy';

const ALGORITHM = algorithmRow('HS256');

const HEADER_MEMBERS: readonly string[] = ['alg', 'typ', 'kid'];

/**
 * The shared secrets of the time before this package. They verify and never sign, and only tokens whose
 * header is the one those libraries write: a secret that forges is one that many know, so nothing else
 * is ever checked with it, and it with nothing else (RFC 8725 §3.1).
 */
export class LegacyKeys implements IssuerKeys {
  readonly tokenTypes: readonly string[] = [];
  readonly rules: ClaimRules;
  readonly #config: LegacyTokensConfig;
  readonly #parts: LegacyParts;
  readonly #keys: readonly VerificationKey[];
  readonly #signatures = new SignatureVerifier();
  #end: 'ahead' | 'said' = 'ahead';

  /** @param own what the tokens of this service are held to */
  constructor(own: ClaimRules, config: LegacyTokensConfig, parts: LegacyParts) {
    const { issuer, audiences, leeway } = own;
    const { maxLifetime } = config;
    this.rules = { issuer, audiences, leeway, maxLifetime, requiredClaims: [] };
    this.#config = config;
    this.#parts = parts;
    this.#keys = config.secrets.map(keyOf);
    this.#isOpen();
  }

  /** Whether a token is for these secrets, by its `alg`: no key of the ring beside them has that one. */
  isFor({ alg }: JoseHeader): boolean {
    return alg === ALGORITHM.name;
  }

  /**
   * The secret that signed a token.
   * @throws TokenError if none did, or none would have written this header
   */
  verify(token: CompactToken): VerificationKey {
    if (!this.#isOpen()) throw new TokenError('ERR_TOKEN_UNKNOWN_KEY', 'legacy tokens have ended');
    this.#assertHeader(token);
    const input = Buffer.from(token.signingInput, 'latin1');
    const signature = Buffer.from(token.signature, 'base64url');
    const key = this.#keys.find(
      (candidate) => this.#signatures.verify({ key: candidate, input, signature }) === true,
    );
    if (key === undefined) throw new TokenError('ERR_TOKEN_SIGNATURE', 'the signature is wrong');
    return key;
  }

  /**
   * What a token says, in the terms of this service.
   * @throws TokenError
   */
  read(token: string, compact: CompactToken): JsonObject {
    const claims = readPayload(compact);
    return completeLegacyClaims({ token, claims }, this.#config.claims, this.rules);
  }

  /** No `kid` leads to them. */
  find(): undefined {
    return undefined;
  }

  stands(key: VerificationKey): boolean {
    return this.#isOpen() && this.#keys.includes(key);
  }

  checkUse(): void {}

  /** A token of theirs passed every check. */
  noteAccepted({ tokenId: jti, expiresAt }: VerifiedToken): void {
    const { clock, events } = this.#parts;
    const at = new Date(clock.now());
    events.emit({ type: 'legacy.accepted', at, jti, expiresAt: new Date(expiresAt * 1000) });
  }

  #isOpen(): boolean {
    const { clock, events } = this.#parts;
    const { until } = this.#config;
    const now = clock.now();
    if (now < until) return true;
    if (this.#end === 'ahead') {
      this.#end = 'said';
      events.emit({ type: 'legacy.ended', at: new Date(now), until: new Date(until) });
    }
    return false;
  }

  #assertHeader({ header }: CompactToken): void {
    const members = parseStrictJson(Buffer.from(header, 'base64url'));
    if (
      typeof members === 'string' ||
      !Object.keys(members).every((name) => HEADER_MEMBERS.includes(name))
    ) {
      throw new TokenError('ERR_TOKEN_HEADER', 'a legacy token has no such header');
    }
    const { typ, kid } = members;
    if (typ !== undefined && typ !== 'JWT') {
      throw new TokenError('ERR_TOKEN_TYPE', 'typ is not that of legacy tokens');
    }
    if (kid !== (this.#config.kid ?? undefined)) {
      throw new TokenError('ERR_TOKEN_KID', 'kid is not that of legacy tokens');
    }
  }
}

function keyOf(secret: KeyObject): VerificationKey {
  const { name: alg, kty, signatureLength } = ALGORITHM;
  return {
    kid: LEGACY_KID,
    row: ALGORITHM,
    publicJwk: { kty, kid: LEGACY_KID, alg, use: 'sig' },
    verifyWith: { key: secret },
    signatureLength: signatureLength === 'modulus' ? 0 : signatureLength,
  };
}
