import {
  type CallHandler,
  type ExecutionContext,
  HttpException,
  Injectable,
  type NestInterceptor,
} from '@nestjs/common';
import { HttpAdapterHost } from '@nestjs/core';
import { catchError, type Observable } from 'rxjs';

import { SecurityEvents } from '../events/security-events.js';
import { isOutage, type Refusal, toHttpException } from '../guard/challenge.js';
import { requestIdOf } from '../guard/request-id.js';
import { Clock } from '../kernel/clock.js';
import { AccessError } from '../kernel/errors.js';
import { endpointRefusalFor, FAILED, UNAVAILABLE } from './endpoint-refusal.js';

/**
 * Writes what the OAuth endpoints answer: never to be stored by anyone, errors in the form of
 * RFC 6749 §5.2, and each refusal as an event beside it.
 */
@Injectable()
export class EndpointAnswers implements NestInterceptor {
  constructor(
    private readonly events: SecurityEvents,
    private readonly clock: Clock,
    private readonly host: HttpAdapterHost,
  ) {}

  intercept(context: ExecutionContext, next: CallHandler): Observable<unknown> {
    // RFC 6749 §5.1.
    this.#write(context, { 'Cache-Control': 'no-store', Pragma: 'no-cache' });
    return next.handle().pipe(
      catchError((error: unknown) => {
        throw this.#refuse(context, error);
      }),
    );
  }

  #refuse(context: ExecutionContext, error: unknown): HttpException {
    if (error instanceof HttpException) return error;
    const refusal = refusalFor(error);
    this.#report(context, error);
    this.#write(context, refusal.headers);
    return toHttpException(refusal, error);
  }

  #report(context: ExecutionContext, error: unknown): void {
    const requestId = requestIdOf(context, this.host);
    const where = {
      at: new Date(this.clock.now()),
      handler: `${context.getClass().name}.${context.getHandler().name}`,
      ...(requestId === undefined ? {} : { requestId }),
    };
    if (error instanceof AccessError) {
      const { code, detail } = error;
      this.events.emit({ type: 'access.denied', ...where, code, detail });
    } else {
      const code = isOutage(error) ? 'ERR_ACCESS_UNAVAILABLE' : 'ERR_UNEXPECTED';
      this.events.emit({ type: 'access.denied', ...where, code, detail: describe(error) });
    }
  }

  #write(context: ExecutionContext, headers: Readonly<Record<string, string>>): void {
    const response = context.switchToHttp().getResponse<object>();
    for (const [name, value] of Object.entries(headers)) {
      this.host.httpAdapter.setHeader(response, name, value);
    }
  }
}

function refusalFor(error: unknown): Refusal {
  if (error instanceof AccessError) return endpointRefusalFor(error);
  return isOutage(error) ? UNAVAILABLE : FAILED;
}

function describe(error: unknown): string {
  if (isOutage(error)) return error.message;
  return error instanceof Error ? error.name : typeof error;
}
