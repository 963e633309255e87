import {
  type ArgumentsHost,
  Catch,
  type ExceptionFilter,
  HttpException,
  Logger,
} from '@nestjs/common';
import { HttpAdapterHost } from '@nestjs/core';
import { KeyError, RevocationError, StoreError } from 'nest-jwt-hardening';

import { REQUEST_ID } from './request-id.js';

interface ErrorAnswer {
  readonly status: number;
  /** `error`, and `error_description` where the reader is an operator (RFC 6749 §5.2). */
  readonly body: object;
  readonly headers?: Readonly<Record<string, string>>;
}

const ERRORS: Readonly<Record<number, string>> = {
  404: 'not_found',
  413: 'request_too_large',
  415: 'unsupported_media_type',
};

const HEADERS: Readonly<Record<number, Readonly<Record<string, string>>>> = {
  // RFC 9110 §15.5.2: a 401 names a scheme; the guard's own says more and stays.
  401: { 'WWW-Authenticate': 'Bearer' },
  503: { 'Retry-After': '5' },
};

/** What a part of the service that is away looks like: nothing is wrong with the request. */
const OUTAGES = [KeyError, RevocationError, StoreError];

/** Every error is `{"error": code}`. What the framework would say quotes the request, and itself. */
@Catch()
export class ErrorFilter implements ExceptionFilter {
  readonly #logger = new Logger('Http');

  constructor(private readonly host: HttpAdapterHost) {}

  catch(exception: unknown, host: ArgumentsHost): void {
    const { httpAdapter } = this.host;
    const response = host.switchToHttp().getResponse<object>();
    const { status, body, headers = {} } = answerTo(exception);
    if (status === 500) {
      const requestId = String(httpAdapter.getHeader(response, REQUEST_ID));
      const stack = exception instanceof Error ? exception.stack : typeof exception;
      this.#logger.error(`request.failed requestId=${requestId}`, stack);
    }
    for (const [name, value] of Object.entries(headers)) {
      if (httpAdapter.getHeader(response, name) === undefined) {
        httpAdapter.setHeader(response, name, value);
      }
    }
    httpAdapter.reply(response, body, status);
  }
}

/** What an error is called when nobody named it better. */
export function errorBody(status: number): object {
  return { error: ERRORS[status] ?? (status < 500 ? 'invalid_request' : 'internal_error') };
}

function answerTo(exception: unknown): ErrorAnswer {
  // What an operator can be told of keys was turned into its own answer where it happened.
  if (OUTAGES.some((kind) => exception instanceof kind)) {
    const body = { error: 'temporarily_unavailable' };
    return { status: 503, body, headers: HEADERS[503] ?? {} };
  }
  if (!(exception instanceof HttpException)) return { status: 500, body: errorBody(500) };
  const status = exception.getStatus();
  const given = exception.getResponse();
  const isOurs = typeof given === 'object' && 'error' in given && !('statusCode' in given);
  return {
    status,
    body: isOurs ? given : errorBody(status),
    headers: HEADERS[status] ?? {},
  };
}
