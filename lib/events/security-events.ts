import { Injectable, Logger } from '@nestjs/common';
import { Observable } from 'rxjs';

import type {
  AccessErrorCode,
  KeyErrorCode,
  ProofErrorCode,
  SessionErrorCode,
  StoreErrorCode,
  TokenErrorCode,
} from '../kernel/errors.js';

/**
 * What happens to keys, tokens and requests, as a typed stream. An event names ids, codes and
 * instants; it never carries a token, a key, a claim the application chose, or a personal value.
 */

interface KeyEventFields {
  readonly kid: string;
  readonly algorithm: string;
}

interface IssuerEventFields {
  readonly issuer: string;
}

interface SessionEventFields {
  /** The `sid` of its tokens; no credential. */
  readonly sessionId: string;
}

interface SenderEventFields {
  readonly sessionId?: string;
  /** Of the access token, where one was shown. */
  readonly jti?: string;
}

interface RefusalFields {
  /** Ties the event to the answer's `X-Request-Id`; absent outside a request. */
  readonly requestId?: string;
  /** What the route table calls the handler, such as `AccountsController.list`. */
  readonly handler?: string;
  /** The failed check in words; never a value from the token or the request. */
  readonly detail: string;
}

/** Every event by its type. Types are `noun.verb` and stable. */
export interface SecurityEventFields {
  'key.published': KeyEventFields & { readonly signsFrom: Date };
  'key.signing': KeyEventFields;
  'key.verifying': KeyEventFields & { readonly retiresAt: Date };
  'key.retired': KeyEventFields;
  /** An operator declared it to be in other hands; tokens it signed are refused from now on. */
  'key.compromised': KeyEventFields;
  /** The store had lost the ring, or its newest changes, and got them back from this instance. */
  'key.restored': { readonly lost: 'ring' | 'newest changes' };
  /** The ring is sealed under the newest key-encryption key now. */
  'key.rewrapped': object;
  /** The stored ring cannot be opened or believed. What this instance knows stands; nothing is made. */
  'key.unreadable': { readonly code: KeyErrorCode; readonly detail: string };
  /** The store or the vault failed. Said once, until `key.available`. */
  'key.unavailable': { readonly code: KeyErrorCode; readonly detail: string };
  'key.available': object;
  /** The store was not heard of for longer than `outage.maxLag`. Said once, until `key.available`. */
  'key.stale': { readonly onStale: 'reject' | 'acceptWithAlert' };
  /** The vault did not destroy a private key that has ended signing. */
  'key.undestroyed': { readonly kid: string; readonly detail: string };
  /** This host's clock and the store's differ, by milliseconds; too far apart to be `followed`? */
  'clock.skewed': { readonly skew: number; readonly verdict: 'followed' | 'ignored' };
  /** Another issuer's keys came, went, or were replaced under the same `kid`. */
  'issuer.rotated': IssuerEventFields & {
    readonly added: readonly string[];
    readonly removed: readonly string[];
    readonly replaced: readonly string[];
  };
  /** A key of another issuer's JWKS cannot be used. */
  'issuer.keySkipped': IssuerEventFields & { readonly kid: string | null; readonly fault: string };
  /** Another issuer publishes what it signs with: anybody can forge its tokens. */
  'issuer.secretPublished': IssuerEventFields & {
    readonly kid: string | null;
    readonly fault: string;
  };
  /** Another issuer's keys could not be fetched; those known stand until `usableUntil`. */
  'issuer.unavailable': IssuerEventFields & {
    readonly failure: string;
    readonly detail: string;
    readonly failures: number;
    readonly usableUntil: Date | null;
  };
  'issuer.available': IssuerEventFields & { readonly failures: number };
  /** A server showed a valid certificate, but none of those pinned; the digests are what it showed. */
  'pin.mismatched': IssuerEventFields & {
    readonly certificate: string;
    readonly publicKey: string;
    readonly failures: number;
    readonly usableUntil: Date | null;
  };
  /** The store has it and this instance enforces it. The digest is of what it names, as in the log. */
  'revocation.made': {
    readonly kind: string;
    readonly digest: string;
    readonly until: Date;
  };
  /** The store did not say that it took it: whoever asked was told so. */
  'revocation.unacknowledged': {
    readonly kind: string;
    readonly code: StoreErrorCode | 'ERR_UNEXPECTED';
  };
  /** The log was not heard of for longer than `outage.maxLag`. Said once, until `revocation.current`. */
  'revocation.stale': { readonly onStale: 'reject' | 'acceptWithAlert' };
  'revocation.current': object;
  /** The log was wiped, or fell back to an older state. What this instance knows stands. */
  'revocation.lost': object;
  /** So many revocations that the log had lost were written to it again by this instance. */
  'revocation.refilled': { readonly entries: number };
  /** An entry of the log that this version cannot read: another version's, or somebody else's. */
  'revocation.unreadable': object;
  /** Another issuer's status list could not be fetched, or is none. Said once, until it is available. */
  'statusList.unavailable': IssuerEventFields & {
    readonly origin: string;
    readonly failure: string;
  };
  'statusList.available': IssuerEventFields & { readonly origin: string };
  /**
   * An operator dealt with an incident; one event for each call of `EmergencyService.execute`. Each step
   * is `name:done`, or `name:` and the code of its failure.
   */
  'incident.executed': {
    readonly kind: 'leakedKey' | 'stolenAccount' | 'badDeployment' | 'everything';
    readonly reference?: string;
    readonly outcome: 'done' | 'incomplete';
    readonly counts: Readonly<
      Record<'sessions' | 'subjects' | 'tokens' | 'connections', number | null>
    >;
    readonly steps: readonly string[];
  };
  'store.down': { readonly store: string; readonly detail: string };
  /** `downFor` in milliseconds. */
  'store.up': { readonly store: string; readonly downFor: number };
  'token.issued': {
    readonly kind: string;
    readonly kid: string;
    readonly jti: string;
    readonly expiresAt: Date;
  };
  /**
   * An old application's token was verified, in the profile `legacy`: once for each, as far as this
   * instance remembers. When nobody hears of them any more, `legacy` can go.
   */
  'legacy.accepted': { readonly jti: string; readonly expiresAt: Date };
  /** `legacy.until` has passed. Said once, by the first thing that asks for it: the option can go. */
  'legacy.ended': { readonly until: Date };
  'token.rejected': RefusalFields & { readonly code: TokenErrorCode };
  'session.started': SessionEventFields & { readonly carrier: 'body' | 'cookie' };
  /** `repeated`: a second use of the same refresh token in the grace window got the same answer. */
  'session.refreshed': SessionEventFields & { readonly outcome: 'rotated' | 'repeated' };
  /** A logout or a revocation ended it in the store. */
  'session.ended': SessionEventFields;
  /** What is stored of it is another version's, or somebody else's. Said with each list of it. */
  'session.unreadable': SessionEventFields;
  /** Telling the owner of `refresh.reused` failed. */
  'session.unnotified': SessionEventFields & { readonly detail: string };
  /**
   * A refresh token was used that should not have been any more: its session is over. `recent`: one of
   * the last two before the current, too late; `older`: one before those; `unknown`: never issued, as
   * far as the store remembers; `binding`: the right one, from another sender.
   */
  'refresh.reused': SessionEventFields & {
    readonly misuse: 'recent' | 'older' | 'unknown' | 'binding';
  };
  /** A refresh was refused; `sessionId` where it ended a session. */
  'refresh.rejected': {
    readonly sessionId?: string;
    readonly code: SessionErrorCode;
    readonly detail: string;
  };
  /**
   * The sender of a token looks another way than before, and passes. `signals` names what changed,
   * `score` says how much that is.
   */
  'binding.drifted': SenderEventFields & {
    readonly signals: readonly string[];
    readonly score: number;
    readonly response: 'pass' | 'note';
  };
  /** Somebody else seems to have the token. */
  'binding.mismatched': SenderEventFields & {
    readonly kind: 'dpop' | 'mtls' | 'cookie' | 'fingerprint' | 'address';
    readonly response: 'note' | 'stepUp' | 'refuse';
  };
  /** A DPoP proof that was used before came again. `thumbprint` is that of its key (RFC 7638). */
  'proof.replayed': { readonly thumbprint: string };
  /** A key makes more proofs than `binding.dpop.perMinute`. */
  'proof.limited': { readonly thumbprint: string };
  'proof.rejected': RefusalFields & { readonly code: ProofErrorCode };
  /** A route asked for fresher or stronger authentication, or for a confirmation. */
  'stepUp.asked': RefusalFields;
  /** The user authenticated anew: one session took the place of another. */
  'stepUp.passed': SessionEventFields & { readonly replaced: string | null };
  'confirmation.issued': {
    readonly sessionId?: string;
    readonly jti: string;
    readonly action: string;
  };
  'confirmation.used': {
    readonly sessionId?: string;
    readonly jti: string;
    readonly action: string;
  };
  'confirmation.rejected': { readonly action: string; readonly detail: string };
  'access.denied': RefusalFields & { readonly code: AccessErrorCode | 'ERR_UNEXPECTED' };
}

export type SecurityEventType = keyof SecurityEventFields;

export type SecurityEvent<Type extends SecurityEventType = SecurityEventType> = {
  [T in Type]: { readonly type: T; readonly at: Date } & SecurityEventFields[T];
}[Type];

type Listener = (event: SecurityEvent) => unknown;

/** The stream of security events of this instance. */
@Injectable()
export class SecurityEvents {
  readonly #logger = new Logger('JwtHardening');
  readonly #listeners = new Set<Listener>();

  /**
   * Calls back for every event of one type. A listener that throws, or whose promise fails, is
   * logged and changes nothing else. Returns what ends the subscription.
   */
  on<Type extends SecurityEventType>(
    type: Type,
    listener: (event: SecurityEvent<Type>) => unknown,
  ): () => void {
    return this.onAny((event) => (isOfType(event, type) ? listener(event) : undefined));
  }

  /**
   * All events, of all types. RxJS rethrows what a subscriber throws as an uncaught exception:
   * prefer `on` where that matters.
   */
  asObservable(): Observable<SecurityEvent> {
    return new Observable((subscriber) => this.onAny((event) => subscriber.next(event)));
  }

  /** @internal */
  onAny(listener: Listener): () => void {
    // A listener may be registered twice; each registration ends by itself.
    const registration: Listener = (event) => listener(event);
    this.#listeners.add(registration);
    return () => this.#listeners.delete(registration);
  }

  /** @internal Never throws: what listeners do decides nothing. */
  emit(event: SecurityEvent): void {
    // A copy: who comes while an event is delivered hears the next one.
    for (const listener of Array.from(this.#listeners)) this.#deliver(listener, event);
  }

  #deliver(listener: Listener, event: SecurityEvent): void {
    try {
      const result = listener(event);
      if (result instanceof Promise) {
        result.catch((error: unknown) => this.#reportFailure(event, error));
      }
    } catch (error) {
      this.#reportFailure(event, error);
    }
  }

  #reportFailure({ type }: SecurityEvent, error: unknown): void {
    try {
      const name = error instanceof Error ? error.name : typeof error;
      this.#logger.error(`a listener of ${type} failed (${name})`);
    } catch {
      // The logger itself is broken: there is nobody left to tell.
    }
  }
}

function isOfType<Type extends SecurityEventType>(
  event: { readonly type: SecurityEventType },
  type: Type,
): event is SecurityEvent<Type> {
  return event.type === type;
}
