import type { Confirmation } from '../binding/confirmation.js';
import type { SecurityEvents } from '../events/security-events.js';
import type { Clock } from '../kernel/clock.js';
import { type Duration, durationToMs } from '../kernel/duration.js';
import { ClaimError } from '../kernel/errors.js';
import { randomId, randomUpTo } from '../kernel/ids.js';
import type { SigningAlgorithm } from '../keys/algorithms.js';
import { publicHalf, type SigningKey } from '../keys/key-material.js';
import type { KeyRingService } from '../keys/key-ring.service.js';
import { createSignature } from '../keys/signature.js';
import {
  NONE,
  TOKEN_TYPES,
  type TokenClaims,
  type TokenKind,
  type VerifiedClaims,
} from './claims.js';
import { MAX_TOKEN_LENGTH } from './compact.js';
import { audienceClaim, composeAgain, composeClaims, type ComposeRules } from './compose-claims.js';
import type { DerivedKeys } from './issuer-keys.js';
import type { NestedTokens } from './nested-token.js';
import type { StandingClaims, TokenStanding } from './token-standing.js';

/** What new tokens are held to. Lengths in seconds. */
export interface SigningRules extends ComposeRules {
  readonly issuer: string;
  readonly audiences: readonly string[];
  readonly accessTtl: number;
  readonly maxLifetime: number;
  readonly lifetimeJitter: number;
}

/** What tokens are signed with. */
export interface SigningParts {
  readonly keyRing: KeyRingService;
  readonly standing: TokenStanding;
  /** `undefined` to sign with the secrets of the ring themselves. */
  readonly derived: DerivedKeys | undefined;
  /** What access tokens are encrypted with; `undefined` to sign them only. */
  readonly nested: NestedTokens | undefined;
  readonly clock: Clock;
  readonly events: SecurityEvents;
}

export interface SignOptions {
  /** How long the token lives, at most `tokens.maxLifetime`. @defaultValue `tokens.accessTtl` */
  readonly ttl?: Duration;
  /** Who it is for, instead of this service. @defaultValue the configured audience */
  readonly audience?: string | readonly [string, ...string[]];
  /** @defaultValue `'access'` */
  readonly kind?: TokenKind;
  /** One of `keys.algorithm`, while tokens move from one to another. @defaultValue the first */
  readonly algorithm?: SigningAlgorithm;
}

/** As `sign` is asked, and by whom. */
export interface PrepareOptions extends SignOptions {
  /** `'grant'`: they were in a token before, and nobody could change them since. */
  readonly claimsFrom?: 'caller' | 'grant';
}

export interface SignedToken {
  /** The compact serialisation. */
  readonly token: string;
  /** What it says; frozen. */
  readonly claims: VerifiedClaims;
  /** Seconds until it expires, as `expires_in` in RFC 6749 §5.1. */
  readonly expiresIn: number;
}

/** A token that is ready, and not yet issued. */
export interface PreparedToken {
  readonly signed: SignedToken;
  /** Says that it was issued; to be called when it is handed out. */
  readonly announce: () => void;
}

/** What only this package says in a token. */
export interface OwnClaims extends StandingClaims {
  /** The digest of the CSRF token of a session whose tokens travel in cookies. */
  readonly csrf?: string;
  /** What the sender of the token has to prove. */
  readonly cnf?: Confirmation;
  /** What the sender looked like. */
  readonly fingerprint?: object;
}

/** Signs tokens that this service would itself accept. */
export class TokenSigner {
  readonly #rules: SigningRules;
  readonly #parts: SigningParts;

  constructor(rules: SigningRules, parts: SigningParts) {
    this.#rules = rules;
    this.#parts = parts;
  }

  /** @param own asked for beforehand, with `TokenStanding.claimsFor` */
  async prepare(
    claims: TokenClaims,
    own: OwnClaims,
    options: PrepareOptions,
  ): Promise<PreparedToken> {
    const { keyRing, standing, nested, clock, events } = this.#parts;
    const { issuer, audiences } = this.#rules;
    const { kind = 'access' } = options;
    const key = await keyRing.signingKey(options.algorithm);
    // Before anything is recorded of a token that nobody would get.
    if (kind === 'access') nested?.assertReady();
    const issuedAt = Math.floor(clock.now() / 1000);
    const lifetime = this.#lifetime(options.ttl);
    const compose = options.claimsFrom === 'grant' ? composeAgain : composeClaims;
    const composed = compose(claims, this.#rulesFor(kind), {
      iss: issuer,
      aud: audienceClaim(options.audience ?? audiences),
      iat: issuedAt,
      nbf: issuedAt,
      exp: issuedAt + lifetime,
      jti: randomId(),
      ...own,
    });
    const payload = await standing.listed(kind, key.kid, composed);
    const { kid, sign } = this.#signerFor(key, payload);
    const header = { alg: key.row.name, typ: TOKEN_TYPES[kind], kid };
    const input = `${encode(header)}.${encode(payload)}`;
    const signature = await sign(Buffer.from(input));
    const text = `${input}.${Buffer.from(signature).toString('base64url')}`;
    const token = kind === 'access' && nested !== undefined ? nested.seal(text) : text;
    if (token.length > MAX_TOKEN_LENGTH) {
      throw new ClaimError(
        'ERR_CLAIM_TOO_LARGE',
        'The claims make the token too long to be accepted.',
      );
    }
    const announce = (): void => {
      const at = new Date(clock.now());
      const { jti, exp } = payload;
      const expiresAt = new Date(exp * 1000);
      events.emit({ type: 'token.issued', at, kind, kid, jti, expiresAt });
    };
    return { signed: { token, claims: payload, expiresIn: lifetime }, announce };
  }

  /** What an application demands, it demands of access tokens: the other kinds are ours. */
  #rulesFor(kind: TokenKind): SigningRules {
    return kind === 'access' ? this.#rules : { ...this.#rules, requiredClaims: NONE };
  }

  /** What signs these claims: the key itself, or the secret derived from it for their subject. */
  #signerFor(key: SigningKey, { sub, iat }: VerifiedClaims): Pick<SigningKey, 'kid' | 'sign'> {
    const { derived } = this.#parts;
    if (derived === undefined || !key.row.symmetric) return key;
    const { kid, row, verifyWith } = derived.signingKey(publicHalf(key), sub, iat);
    return { kid, sign: (input) => createSignature(row, verifyWith.key, input) };
  }

  #lifetime(ttl: Duration | undefined): number {
    const { accessTtl, maxLifetime, lifetimeJitter } = this.#rules;
    const seconds = ttl === undefined ? accessTtl : Math.floor((durationToMs(ttl) ?? 0) / 1000);
    if (seconds < 1 || seconds > maxLifetime) {
      throw new ClaimError(
        'ERR_CLAIM_LIFETIME',
        `A token lives from 1 second to tokens.maxLifetime (${maxLifetime} seconds).`,
      );
    }
    // Never more than half: jitter spreads refreshes, it must not make a token useless.
    return seconds - randomUpTo(Math.min(lifetimeJitter, Math.floor(seconds / 2)));
  }
}

function encode(value: object): string {
  return Buffer.from(JSON.stringify(value)).toString('base64url');
}
