import { Injectable, Logger } from '@nestjs/common';
import { Observable } from 'rxjs';

import type { AccessErrorCode, KeyErrorCode, TokenErrorCode } from '../kernel/errors.js';

/**
 * What happens to keys, tokens and requests, as a typed stream. An event names ids, codes and
 * instants; it never carries a token, a key, a claim the application chose, or a personal value.
 */

interface KeyEventFields {
  readonly kid: string;
  readonly algorithm: string;
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
  'key.unavailable': { readonly code: KeyErrorCode; readonly detail: string };
  'token.issued': {
    readonly kind: string;
    readonly kid: string;
    readonly jti: string;
    readonly expiresAt: Date;
  };
  'token.rejected': RefusalFields & { readonly code: TokenErrorCode };
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
