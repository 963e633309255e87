import {
  type CallHandler,
  type ExecutionContext,
  Injectable,
  type NestInterceptor,
} from '@nestjs/common';
import { HttpAdapterHost } from '@nestjs/core';
import { catchError, type Observable } from 'rxjs';

import { SenderProofs } from '../binding/sender-proofs.service.js';
import { SecurityEvents } from '../events/security-events.js';
import { isOutage, issuerRefusalFor, refusalFor, toHttpException } from '../guard/challenge.js';
import type { HttpRequest } from '../guard/credentials.js';
import { type RefusalSurroundings, reportRefusal } from '../guard/refusal-report.js';
import { Clock } from '../kernel/clock.js';
import { AccessError, ProofError, SessionError, TokenError } from '../kernel/errors.js';

/**
 * For the application's own routes that log in, refresh and log out: `@UseInterceptors(SessionAnswers)`.
 * Their answers are never stored by anyone, and what `SessionService` and `SessionCookies` refuse is
 * answered as the guard answers it. Other errors are the application's.
 */
@Injectable()
export class SessionAnswers implements NestInterceptor {
  readonly #surroundings: RefusalSurroundings;

  constructor(
    private readonly senders: SenderProofs,
    events: SecurityEvents,
    clock: Clock,
    host: HttpAdapterHost,
  ) {
    this.#surroundings = { events, clock, host };
  }

  intercept(context: ExecutionContext, next: CallHandler): Observable<unknown> {
    if (context.getType() !== 'http') return next.handle();
    // RFC 6749 §5.1.
    this.#write(context, { 'Cache-Control': 'no-store' });
    // RFC 9449 §8.2: so that the next proof needs no second attempt.
    const nonce = this.senders.freshNonce(context.switchToHttp().getRequest<HttpRequest>());
    if (nonce !== undefined) this.#write(context, { 'DPoP-Nonce': nonce });
    return next.handle().pipe(
      catchError((error: unknown) => {
        throw this.#answer(context, error);
      }),
    );
  }

  #answer(context: ExecutionContext, error: unknown): unknown {
    const kinds = [AccessError, TokenError, ProofError];
    const isOurs = kinds.some((kind) => error instanceof kind) || isOutage(error);
    // What sessions refuse they tell by themselves.
    if (isOurs) reportRefusal(error, context, this.#surroundings);
    else if (!(error instanceof SessionError)) return error;
    const refusal = error instanceof ProofError ? issuerRefusalFor(error) : refusalFor(error);
    this.#write(context, refusal.headers);
    return toHttpException(refusal, error);
  }

  #write(context: ExecutionContext, headers: Readonly<Record<string, string>>): void {
    const response = context.switchToHttp().getResponse<object>();
    for (const [name, value] of Object.entries(headers)) {
      this.#surroundings.host.httpAdapter.setHeader(response, name, value);
    }
  }
}
