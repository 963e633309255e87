import {
  composeDerivedKid,
  DerivedSecretCache,
  parseDerivedKid,
  periodOf,
} from '../keys/secrets/derived-secrets.js';
import type { VerificationKey } from '../keys/key-material.js';
import type { KeyRingService } from '../keys/key-ring.service.js';
import type { RemoteJwks } from '../keys/remote/remote-jwks.js';
import { TokenError } from '../kernel/errors.js';
import type { OnStale } from '../kernel/outage.js';
import type { JsonObject } from '../kernel/strict-json.js';
import type { ClaimRules } from './claim-checks.js';
import type { VerifiedClaims } from './claims.js';

/** What a token says of itself before anything of it is believed. */
export interface Unverified {
  readonly kid: string;
  /** Reads the payload; throws as `readPayload` does. */
  readonly payload: () => JsonObject;
  /** For the own ring: instead of `outage.onStale`. */
  readonly onStale: OnStale | undefined;
}

/** One issuer whose tokens are accepted: its keys, and what its tokens are held to. */
export interface IssuerKeys {
  readonly rules: ClaimRules;
  /** Values of the header's `typ` beside the kind's own. */
  readonly tokenTypes: readonly string[];
  /**
   * The one key that can have signed a token; `undefined` if the issuer has none with this `kid`.
   * @throws KeyError while that cannot be said
   */
  find(token: Unverified): VerificationKey | undefined | Promise<VerificationKey | undefined>;
  /** Whether this very key still verifies. */
  stands(key: VerificationKey, onStale: OnStale | undefined): boolean;
  /** @throws TokenError if the key may not have signed these claims */
  checkUse(key: VerificationKey, claims: VerifiedClaims): void;
}

/** The keys of this service's own ring. */
export class OwnKeys implements IssuerKeys {
  readonly tokenTypes: readonly string[] = [];

  constructor(
    readonly rules: ClaimRules,
    private readonly keyRing: KeyRingService,
  ) {}

  find({ kid, onStale }: Unverified): VerificationKey | undefined {
    return this.keyRing.verificationKey(kid, onStale);
  }

  stands(key: VerificationKey, onStale: OnStale | undefined): boolean {
    return this.keyRing.verificationKey(key.kid, onStale) === key;
  }

  checkUse(): void {}
}

/** A secret derived from one of the ring, with what it is good for. */
interface DerivedKey extends VerificationKey {
  readonly master: VerificationKey;
  readonly subject: string;
  readonly period: number;
}

function isDerived(key: VerificationKey): key is DerivedKey {
  return 'master' in key;
}

/** The `kid` under which the ring has a key, or the one that a derived secret comes from. */
export function ringKidOf(key: VerificationKey): string {
  return isDerived(key) ? key.master.kid : key.kid;
}

/** Derived secrets remembered; about 300 bytes each. */
const MAX_DERIVED = 10_000;

/**
 * Secrets derived from those of the ring, one for each subject and period (HKDF): one that leaks
 * signs for one subject, with an `iat` in one period.
 */
export class DerivedKeys implements IssuerKeys {
  readonly tokenTypes: readonly string[] = [];
  readonly #secrets = new DerivedSecretCache(MAX_DERIVED);

  constructor(
    readonly rules: ClaimRules,
    private readonly keyRing: KeyRingService,
    /** In seconds. */
    private readonly periodLength: number,
  ) {}

  find({ kid, payload, onStale }: Unverified): VerificationKey | undefined {
    const own = this.keyRing.verificationKey(kid, onStale);
    if (own !== undefined && !own.row.symmetric) return own;
    const parsed = parseDerivedKid(kid);
    const master = parsed && this.keyRing.verificationKey(parsed.masterKid, onStale);
    if (parsed === undefined || master === undefined || !master.row.symmetric) return undefined;
    const { sub } = payload();
    // A subject nobody can have has no secret either; and an endless one costs nothing. Not the code
    // of a claim: that one is said of tokens whose signature is right.
    if (typeof sub !== 'string' || sub === '' || sub.length > 255 || !sub.isWellFormed()) {
      throw new TokenError('ERR_TOKEN_KID', 'no secret is derived for a sub of this type or form');
    }
    return this.#derive(master, sub, parsed.period, kid);
  }

  /**
   * The key to sign with, for a subject at an instant in seconds.
   * @throws KeyError `ERR_KEY_INVALID` if the master's kid is too long to name a period beside it
   */
  signingKey(master: VerificationKey, subject: string, iat: number): DerivedKey {
    const period = periodOf(iat, this.periodLength);
    const kid = composeDerivedKid({ masterKid: master.kid, period });
    return this.#derive(master, subject, period, kid);
  }

  stands(key: VerificationKey, onStale: OnStale | undefined): boolean {
    const held = isDerived(key) ? key.master : key;
    return this.keyRing.verificationKey(held.kid, onStale) === held;
  }

  checkUse(key: VerificationKey, { sub, iat }: VerifiedClaims): void {
    if (!isDerived(key)) return;
    const { subject, period, master } = key;
    const { issuer } = this.rules;
    if (sub !== subject || periodOf(iat, this.periodLength) !== period) {
      throw new TokenError('ERR_TOKEN_KID', 'iat is not in the period of the derived secret');
    }
    const request = {
      masterKid: master.kid,
      master: master.verifyWith.key,
      issuer,
      subject,
      period,
    };
    this.#secrets.remember(request, key.verifyWith.key);
  }

  #derive(master: VerificationKey, subject: string, period: number, kid: string): DerivedKey {
    const { issuer } = this.rules;
    const { key } = master.verifyWith;
    const request = { masterKid: master.kid, master: key, issuer, subject, period };
    const secret = this.#secrets.derive(request);
    return { ...master, kid, verifyWith: { key: secret }, master, subject, period };
  }
}

/** The keys of another issuer, by way of its JWKS. */
export class TrustedKeys implements IssuerKeys {
  constructor(
    readonly rules: ClaimRules,
    readonly tokenTypes: readonly string[],
    private readonly jwks: RemoteJwks,
  ) {}

  find({ kid }: Unverified): VerificationKey | undefined | Promise<VerificationKey | undefined> {
    return this.jwks.find(kid);
  }

  stands(key: VerificationKey): boolean {
    return this.jwks.stands(key);
  }

  checkUse(): void {}
}
