import { Injectable } from '@nestjs/common';

import {
  type FingerprintClaim,
  readFingerprint,
} from '../binding/fingerprint/fingerprint-claim.js';
import type { Clock } from '../kernel/clock.js';
import { TokenError } from '../kernel/errors.js';
import type { OnStale } from '../kernel/outage.js';
import type { JsonObject } from '../kernel/strict-json.js';
import { findAlgorithm } from '../keys/algorithms.js';
import { isKid, type VerificationKey } from '../keys/key-material.js';
import { SignatureVerifier } from '../keys/signature.js';
import { RevocableToken } from '../revocation/revocable-token.js';
import { checkClaims, checkInForce, type ClaimRules } from './claim-checks.js';
import {
  NONE,
  TOKEN_TYPES,
  type TokenClaims,
  type TokenKind,
  type VerifiedClaims,
} from './claims.js';
import { type CompactToken, readPayload } from './compact.js';
import { DerivedKeys, type IssuerKeys, OwnKeys, ringKidOf, TrustedKeys } from './issuer-keys.js';
import { LegacyKeys } from './legacy-keys.js';
import { NestedTokens } from './nested-token.js';
import {
  type OwnClaims,
  type PreparedToken,
  type PrepareOptions,
  type SignedToken,
  type SignOptions,
  TokenSigner,
} from './token-signer.js';
import {
  eraOf,
  type SessionFacts,
  type StandingClaims,
  type TokenStanding,
} from './token-standing.js';
import { type TokenText, TokenTexts } from './token-text.js';
import { hasType } from './token-type.js';
import type { TokensConfig, TokensSurroundings, TrustedIssuerConfig } from './tokens-config.js';
import { VerifiedCache } from './verified-cache.js';
import { VerifiedToken } from './verified-token.js';

export type { TokensConfig, TokensSurroundings, TrustedIssuerConfig };

export interface VerifyOptions {
  /** The only kind to accept. @defaultValue `'access'` */
  readonly kind?: TokenKind;
  /**
   * A token that is bound to its sender (`cnf`, or a fingerprint) is refused, unless the caller says
   * that it checks the sender: without that it would be a bearer token.
   * @defaultValue `'unchecked'`
   */
  readonly sender?: 'unchecked' | 'checkedByCaller';
}

/** A token and the keys it is checked with. */
interface SignedText extends TokenText {
  readonly token: string;
  readonly kind: TokenKind;
  readonly issuer: IssuerKeys;
  readonly key: VerificationKey;
  readonly onStale: OnStale | undefined;
}

/** What can change about a token that was verified. */
type Origin = Pick<SignedText, 'issuer' | 'key' | 'envelope'> & {
  readonly revocable: RevocableToken;
};

/** Signs tokens that it would itself accept, and accepts nothing else. */
@Injectable()
export class TokenService {
  readonly #config: TokensConfig;
  readonly #standing: TokenStanding;
  readonly #clock: Clock;
  readonly #signatures = new SignatureVerifier();
  readonly #cache: VerifiedCache | undefined;
  readonly #own: IssuerKeys;
  readonly #legacy: LegacyKeys | undefined;
  readonly #texts: TokenTexts;
  readonly #signer: TokenSigner;
  /** By `iss`, compared byte for byte. */
  readonly #trusted: ReadonlyMap<string, IssuerKeys>;
  readonly #origins = new WeakMap<VerifiedToken, Origin>();

  constructor(
    config: TokensConfig,
    { keyRing, trusted, standing, clock, events }: TokensSurroundings,
  ) {
    this.#config = config;
    this.#standing = standing;
    this.#clock = clock;
    const { verifiedCacheEntries, derivationPeriod, encryption, legacy } = config;
    this.#cache = verifiedCacheEntries > 0 ? new VerifiedCache(verifiedCacheEntries) : undefined;
    const derived =
      derivationPeriod === null ? undefined : new DerivedKeys(config, keyRing, derivationPeriod);
    this.#own = derived ?? new OwnKeys(config, keyRing);
    this.#legacy = legacy === null ? undefined : new LegacyKeys(config, legacy, { clock, events });
    const nested = encryption === null ? undefined : new NestedTokens(encryption.accept, keyRing);
    this.#texts = new TokenTexts(nested);
    this.#signer = new TokenSigner(config, { keyRing, standing, derived, nested, clock, events });
    this.#trusted = new Map(
      config.trusted.map(({ rules, tokenTypes }) => [
        rules.issuer,
        new TrustedKeys(rules, tokenTypes, trusted.jwksOf(rules.issuer)),
      ]),
    );
  }

  /**
   * Signs a token. `iss`, `aud`, `iat`, `nbf`, `exp` and `jti` are set here and cannot be passed.
   * @throws ClaimError if a claim is reserved, malformed, or looks secret or personal and is not
   * named in `tokens.allowClaims`
   * @throws KeyError `ERR_KEY_RING_UNAVAILABLE` while no key (of this algorithm) is ready,
   * `ERR_KEY_RING_STALE` while the key store is out of reach, `ERR_KEY_SIGNER_FAILED` when what holds
   * the private key does not sign
   * @throws RevocationError `ERR_SUBJECT_UNAVAILABLE` when the `SubjectDirectory` fails
   * @throws StoreError when the token is to have a place in a status list and none was recorded
   */
  async sign(claims: TokenClaims, options: SignOptions = {}): Promise<SignedToken> {
    const kind = knownKind(options.kind);
    const own = await this.#standing.claimsFor(kind, this.#config.issuer, claims.sub);
    // The key after that, which can take its time: another one may sign by then.
    const { signed, announce } = await this.#signer.prepare(claims, own, options);
    announce();
    return signed;
  }

  /** @internal What a first access token has to say to stand apart from those withdrawn before it. */
  standingFor(subject: string): Promise<StandingClaims> {
    return this.#standing.claimsFor('access', this.#config.issuer, subject);
  }

  /**
   * @internal What a new access token of a session has to say, if the session may get one.
   * @throws TokenError, RevocationError as `TokenStanding.claimsForSession`
   */
  standingOf(session: SessionFacts): Promise<StandingClaims> {
    return this.#standing.claimsForSession(this.#config.issuer, session);
  }

  /** @internal As `sign`, for an access token whose standing was asked for before. */
  prepare(claims: TokenClaims, own: OwnClaims, options: PrepareOptions): Promise<PreparedToken> {
    return this.#signer.prepare(claims, own, options);
  }

  /**
   * Verifies a token of this issuer for this audience.
   * @throws TokenError for whatever is wrong with it (RFC 8725 §3, RFC 9068 §4), or if it was revoked
   * @throws KeyError, RevocationError when it cannot be said whether its key or it still stands
   */
  async verify(token: string, options: VerifyOptions = {}): Promise<VerifiedToken> {
    const verified = await this.check(token, knownKind(options.kind));
    if (options.sender !== 'checkedByCaller' && isBound(verified)) {
      throw new TokenError('ERR_TOKEN_BINDING', 'nobody checks who sends it');
    }
    return verified;
  }

  /**
   * @internal As `verify`, but answers at once when nothing has to be awaited. Who sends the token is
   * for the caller to check.
   */
  check(token: string, kind: TokenKind, onStale?: OnStale): VerifiedToken | Promise<VerifiedToken> {
    if (typeof token !== 'string') {
      throw new TokenError('ERR_TOKEN_FORMAT', 'the token is not text');
    }
    return this.#checkKnown(token, kind, onStale) ?? this.#checkUnknown(token, kind, onStale);
  }

  /**
   * @internal Asks again of a verified token what can have changed while its bearer was waiting.
   * @throws TokenError, KeyError, RevocationError as `verify`
   */
  assertStands(token: VerifiedToken, onStale?: OnStale): void {
    const origin = this.#origins.get(token);
    if (origin === undefined || !this.#keysStand(origin, onStale)) throw withdrawn();
    checkInForce(token.claims, this.#config.leeway, this.#now());
    this.#standing.assertUnrevoked(token, origin.revocable, onStale);
  }

  /**
   * @internal What an access token says, without a word on whether it is true.
   * @throws TokenError, KeyError as `verify`, if it cannot be read
   */
  readClaims(token: string): JsonObject {
    return readPayload(this.#texts.read(token, 'access', undefined).compact);
  }

  /** How a token stands, and that it still does when that had to be asked for. */
  #settled(
    token: VerifiedToken,
    revocable: RevocableToken,
    onStale: OnStale | undefined,
  ): VerifiedToken | Promise<VerifiedToken> {
    const standing = this.#standing.check(token, revocable, onStale);
    if (!(standing instanceof Promise)) return standing;
    return standing.then((late) => {
      this.assertStands(late, onStale);
      return late;
    });
  }

  /**
   * @internal How many tokens that still live this instance has seen of late; `null` if it remembers
   * none.
   */
  countSeen(matches: (token: VerifiedToken) => boolean): number | null {
    if (this.#cache === undefined) return null;
    const oldest = this.#now() - this.#config.leeway;
    let count = 0;
    for (const { verified, revocable } of this.#cache.tokens()) {
      const lives = verified.expiresAt > oldest && this.#standing.isUnrevoked(revocable);
      if (lives && matches(verified)) count++;
    }
    return count;
  }

  /** A token verified before: what can have changed since is asked again. */
  #checkKnown(
    token: string,
    kind: TokenKind,
    onStale: OnStale | undefined,
  ): VerifiedToken | Promise<VerifiedToken> | undefined {
    const known = this.#cache?.find(token);
    if (known === undefined || known.verified.kind !== kind) return undefined;
    if (!this.#keysStand(known, onStale)) {
      this.#cache?.forget(token);
      return undefined;
    }
    checkInForce(known.verified.claims, this.#config.leeway, this.#now());
    return this.#settled(known.verified, known.revocable, onStale);
  }

  #checkUnknown(
    token: string,
    kind: TokenKind,
    onStale: OnStale | undefined,
  ): VerifiedToken | Promise<VerifiedToken> {
    const text = this.#texts.read(token, kind, onStale);
    const { compact, header, envelope } = text;
    if (findAlgorithm(header.alg) === undefined) {
      throw new TokenError('ERR_TOKEN_ALGORITHM', 'alg is not on offer');
    }
    // Those of the past are nothing but access tokens, and were never encrypted.
    const legacy = kind === 'access' && envelope === undefined ? this.#legacy : undefined;
    if (legacy?.isFor(header) === true) {
      const key = legacy.verify(compact);
      return this.#accept({ token, ...text, kind, issuer: legacy, key, onStale });
    }
    // What this service encrypted is its own, whoever's it says it is.
    const issuer = envelope === undefined ? this.#issuerOf(compact, kind) : this.#own;
    if (!hasType(header, kind, issuer)) {
      throw new TokenError('ERR_TOKEN_TYPE', 'typ is not that of the kind of token expected here');
    }
    if (issuer === this.#own) this.#texts.assertEncrypted(text, kind);
    const { alg, kid } = header;
    if (!isKid(kid)) throw new TokenError('ERR_TOKEN_KID', 'kid is missing or malformed');
    const found = issuer.find({ kid, payload: () => readPayload(compact), onStale });
    const verify = (key: VerificationKey | undefined): VerifiedToken | Promise<VerifiedToken> =>
      this.#checkSignature({ token, ...text, kind, issuer, key: fit(key, alg), onStale });
    return found instanceof Promise ? found.then(verify) : verify(found);
  }

  #keysStand(origin: Omit<Origin, 'revocable'>, onStale?: OnStale): boolean {
    return origin.issuer.stands(origin.key, onStale) && this.#texts.stands(origin, onStale);
  }

  /** Whose token it says it is, which decides whose key it has to be signed with. */
  #issuerOf(compact: CompactToken, kind: TokenKind): IssuerKeys {
    // Confirmations and the like are between us and ourselves.
    if (this.#trusted.size === 0 || kind !== 'access') return this.#own;
    const { iss } = readPayload(compact);
    return (typeof iss === 'string' ? this.#trusted.get(iss) : undefined) ?? this.#own;
  }

  #checkSignature(seen: SignedText): VerifiedToken | Promise<VerifiedToken> {
    const { compact, key } = seen;
    const valid = this.#signatures.verify({
      key,
      input: Buffer.from(compact.signingInput, 'latin1'),
      signature: Buffer.from(compact.signature, 'base64url'),
    });
    if (valid === true) return this.#accept(seen);
    if (valid === false) throw badSignature();
    return valid.then((late) => {
      if (!late) throw badSignature();
      return this.#accept(seen);
    });
  }

  /** The signature is right; what it says is another matter. */
  #accept(seen: SignedText): VerifiedToken | Promise<VerifiedToken> {
    const { token, compact, kind, issuer, key, envelope, onStale } = seen;
    // While the thread pool was busy.
    if (!this.#keysStand(seen, onStale)) throw withdrawn();
    const said = issuer instanceof LegacyKeys ? issuer.read(token, compact) : readPayload(compact);
    const claims = checkClaims(said, rulesFor(kind, issuer.rules), this.#now());
    issuer.checkUse(key, claims);
    this.#texts.remember(seen);
    const { name: algorithm } = key.row;
    const facts = {
      kid: ringKidOf(key),
      encryptionKid: envelope?.kid,
      algorithm,
      ...this.#ownFacts(issuer, claims),
    };
    const verified = VerifiedToken.seal(kind, facts, claims);
    if (issuer instanceof LegacyKeys) issuer.noteAccepted(verified);
    const revocable = new RevocableToken(verified);
    this.#origins.set(verified, { issuer, key, envelope, revocable });
    this.#cache?.remember({ token, issuer, key, envelope, verified, revocable });
    return this.#settled(verified, revocable, onStale);
  }

  /** Claims that only mean something if this service wrote them. */
  #ownFacts(
    issuer: IssuerKeys,
    claims: VerifiedClaims,
  ): Pick<VerifiedToken, 'era' | 'fingerprint'> {
    return issuer === this.#own
      ? { era: eraOf(claims), fingerprint: fingerprintOf(claims) }
      : { era: undefined, fingerprint: undefined };
  }

  #now(): number {
    return this.#clock.now() / 1000;
  }
}

function isBound({ confirmation, fingerprint }: VerifiedToken): boolean {
  return confirmation !== undefined || fingerprint !== undefined;
}

/** @throws TokenError `ERR_TOKEN_BINDING` */
function fingerprintOf({ fingerprint }: VerifiedClaims): FingerprintClaim | undefined {
  if (fingerprint === undefined) return undefined;
  const read = readFingerprint(fingerprint);
  if (read !== undefined) return read;
  throw new TokenError('ERR_TOKEN_BINDING', 'fingerprint has a wrong type or form');
}

function knownKind(kind: TokenKind = 'access'): TokenKind {
  if (!Object.hasOwn(TOKEN_TYPES, kind)) throw new TypeError('unknown kind of token');
  return kind;
}

/** What an application demands, it demands of access tokens: the other kinds are ours. */
function rulesFor(kind: TokenKind, rules: ClaimRules): ClaimRules {
  return kind === 'access' ? rules : { ...rules, requiredClaims: NONE };
}

/** The one key that can have signed this header (RFC 8725 §3.1: one key, one algorithm). */
function fit(key: VerificationKey | undefined, alg: string): VerificationKey {
  if (key === undefined) throw new TokenError('ERR_TOKEN_UNKNOWN_KEY', 'no key has this kid');
  if (key.row.name !== alg) {
    throw new TokenError('ERR_TOKEN_ALGORITHM', 'alg is not that of the key');
  }
  return key;
}

function withdrawn(): TokenError {
  return new TokenError('ERR_TOKEN_UNKNOWN_KEY', 'the key was withdrawn');
}

function badSignature(): TokenError {
  return new TokenError('ERR_TOKEN_SIGNATURE', 'the signature is wrong');
}
