import {
  type CallHandler,
  type ExecutionContext,
  Injectable,
  type NestInterceptor,
} from '@nestjs/common';
import { HttpAdapterHost } from '@nestjs/core';
import { catchError, type Observable } from 'rxjs';

import { SecurityEvents } from '../events/security-events.js';
import { isOutage, refusalFor, toHttpException } from '../guard/challenge.js';
import { type RefusalSurroundings, reportRefusal } from '../guard/refusal-report.js';
import { Clock } from '../kernel/clock.js';
import { AccessError, SessionError, TokenError } from '../kernel/errors.js';

/**
 * For the application's own routes that log in, refresh and log out: `@UseInterceptors(SessionAnswers)`.
 * Their answers are never stored by anyone, and what `SessionService` and `SessionCookies` refuse is
 * answered as the guard answers it. Other errors are the application's.
 */
@Injectable()
export class SessionAnswers implements NestInterceptor {
  readonly #surroundings: RefusalSurroundings;

  constructor(events: SecurityEvents, clock: Clock, host: HttpAdapterHost) {
    this.#surroundings = { events, clock, host };
  }

  intercept(context: ExecutionContext, next: CallHandler): Observable<unknown> {
    if (context.getType() !== 'http') return next.handle();
    // RFC 6749 §5.1.
    this.#write(context, { 'Cache-Control': 'no-store' });
    return next.handle().pipe(
      catchError((error: unknown) => {
        throw this.#answer(context, error);
      }),
    );
  }

  #answer(context: ExecutionContext, error: unknown): unknown {
    const isOurs = error instanceof AccessError || error instanceof TokenError || isOutage(error);
    // What sessions refuse they tell by themselves.
    if (isOurs) reportRefusal(error, context, this.#surroundings);
    else if (!(error instanceof SessionError)) return error;
    const refusal = refusalFor(error);
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
