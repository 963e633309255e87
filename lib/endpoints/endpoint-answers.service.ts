import {
  type CallHandler,
  type ExecutionContext,
  HttpException,
  Injectable,
  type NestInterceptor,
} from '@nestjs/common';
import { HttpAdapterHost } from '@nestjs/core';
import { catchError, type Observable } from 'rxjs';

import { SenderProofs } from '../binding/sender-proofs.service.js';
import { SecurityEvents } from '../events/security-events.js';
import { isOutage, issuerRefusalFor, type Refusal, toHttpException } from '../guard/challenge.js';
import type { HttpRequest } from '../guard/credentials.js';
import { type RefusalSurroundings, reportRefusal } from '../guard/refusal-report.js';
import { Clock } from '../kernel/clock.js';
import { AccessError, ProofError, SessionError } from '../kernel/errors.js';
import { endpointRefusalFor, FAILED, sessionRefusalFor, UNAVAILABLE } from './endpoint-refusal.js';

/**
 * Writes what the OAuth endpoints answer: never to be stored by anyone, errors in the form of
 * RFC 6749 §5.2, and each refusal as an event beside it.
 */
@Injectable()
export class EndpointAnswers implements NestInterceptor {
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
    // RFC 6749 §5.1.
    this.#write(context, { 'Cache-Control': 'no-store', Pragma: 'no-cache' });
    // RFC 9449 §8.2: so that the next proof needs no second attempt.
    const nonce = this.senders.freshNonce(context.switchToHttp().getRequest<HttpRequest>());
    if (nonce !== undefined) this.#write(context, { 'DPoP-Nonce': nonce });
    return next.handle().pipe(
      catchError((error: unknown) => {
        throw this.#refuse(context, error);
      }),
    );
  }

  #refuse(context: ExecutionContext, error: unknown): HttpException {
    if (error instanceof HttpException) return error;
    const refusal = refusalFor(error);
    // What sessions refuse they tell by themselves.
    if (!(error instanceof SessionError)) reportRefusal(error, context, this.#surroundings);
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

function refusalFor(error: unknown): Refusal {
  if (error instanceof AccessError) return endpointRefusalFor(error);
  if (error instanceof SessionError) return sessionRefusalFor(error);
  if (error instanceof ProofError) return issuerRefusalFor(error);
  return isOutage(error) ? UNAVAILABLE : FAILED;
}
