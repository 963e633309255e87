import { Injectable, Logger } from '@nestjs/common';
import { Observable, Subject } from 'rxjs';

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
  'key.unavailable': { readonly code: KeyErrorCode | 'ERR_UNEXPECTED'; readonly detail: string };
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

type Listener = (event: SecurityEvent) => void;

/** The stream of security events of this instance. */
@Injectable()
export class SecurityEvents {
  readonly #logger = new Logger('JwtHardening');
  readonly #listeners = new Map<SecurityEventType, Set<Listener>>();
  readonly #subject = new Subject<SecurityEvent>();

  /** Calls back for every event of one type. Returns what ends the subscription. */
  on<Type extends SecurityEventType>(
    type: Type,
    listener: (event: SecurityEvent<Type>) => void,
  ): () => void {
    const deliver: Listener = (event) => {
      if (isOfType(event, type)) listener(event);
    };
    const listeners = this.#listeners.get(type) ?? new Set();
    this.#listeners.set(type, listeners.add(deliver));
    return () => listeners.delete(deliver);
  }

  /** All events, of all types. */
  asObservable(): Observable<SecurityEvent> {
    return this.#subject.asObservable();
  }

  /** @internal A listener that throws is logged and changes nothing else. */
  emit(event: SecurityEvent): void {
    for (const listener of this.#listeners.get(event.type) ?? []) this.#deliver(listener, event);
    if (this.#subject.observed) this.#subject.next(event);
  }

  #deliver(listener: Listener, event: SecurityEvent): void {
    try {
      listener(event);
    } catch (error) {
      const name = error instanceof Error ? error.name : typeof error;
      this.#logger.error(`a listener of ${event.type} failed (${name})`);
    }
  }
}

function isOfType<Type extends SecurityEventType>(
  event: { readonly type: SecurityEventType },
  type: Type,
): event is SecurityEvent<Type> {
  return event.type === type;
}
