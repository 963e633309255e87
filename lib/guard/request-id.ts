import type { ExecutionContext } from '@nestjs/common';
import type { HttpAdapterHost } from '@nestjs/core';

import { randomId } from '../kernel/ids.js';

const HEADER = 'X-Request-Id';
/** What is safe in a log line and a header; anything longer or stranger is replaced. */
const SAFE = /^[A-Za-z0-9._:-]{1,128}$/;

/** Fastify's own count of requests: it starts anew with each process and tells how many there were. */
const FASTIFY_COUNT = /^req-[0-9a-z]+$/;

interface Answer {
  getHeader?(name: string): unknown;
}

/**
 * The id that ties an answer to its log line. An id the application chose stands (in the answer's
 * `X-Request-Id`, or as `request.id`, which loggers and Fastify set); without one, the answer gets
 * a new one. `undefined` outside HTTP.
 */
export function requestIdOf(context: ExecutionContext, host: HttpAdapterHost): string | undefined {
  if (context.getType() !== 'http') return undefined;
  const http = context.switchToHttp();
  const response = http.getResponse<Answer>();
  const chosen = response.getHeader?.(HEADER);
  if (isSafe(chosen)) return chosen;
  const { id } = http.getRequest<{ readonly id?: unknown }>();
  const requestId = isSafe(id) && !FASTIFY_COUNT.test(id) ? id : randomId();
  host.httpAdapter.setHeader(response, HEADER, requestId);
  return requestId;
}

function isSafe(value: unknown): value is string {
  return typeof value === 'string' && SAFE.test(value);
}
