import { randomUUID } from 'node:crypto';
import type { IncomingHttpHeaders } from 'node:http';

import { createParamDecorator, type ExecutionContext } from '@nestjs/common';

/** Ties an answer to its log lines. The guard logs refusals under the id it finds here. */
export const REQUEST_ID = 'X-Request-Id';

/** What can stand in a log line and a header unharmed. */
const SAFE = /^[A-Za-z0-9._:-]{1,128}$/;

/** The id the caller gave, if it is safe to repeat; else a new one. */
export function chooseRequestId(headers: IncomingHttpHeaders): string {
  const given = headers['x-request-id'];
  return typeof given === 'string' && SAFE.test(given) ? given : randomUUID();
}

/** The request's id, as a parameter of a handler. */
export const RequestId = createParamDecorator((_: unknown, context: ExecutionContext): string => {
  const http = context.switchToHttp();
  return String(http.getResponse<{ getHeader(name: string): unknown }>().getHeader(REQUEST_ID));
});
