import type { ExecutionContext } from '@nestjs/common';
import type { HttpAdapterHost } from '@nestjs/core';

import type { SecurityEvents } from '../events/security-events.js';
import type { Clock } from '../kernel/clock.js';
import { AccessError, ProofError, StepUpRequired, TokenError } from '../kernel/errors.js';
import { isOutage } from './challenge.js';
import { requestIdOf } from './request-id.js';

/** Whom to tell of a refusal, and where its answer goes. */
export interface RefusalSurroundings {
  readonly events: SecurityEvents;
  readonly clock: Clock;
  readonly host: HttpAdapterHost;
}

/** Says as an event which check refused a request; what nobody foresaw is named by its kind alone. */
export function reportRefusal(
  error: unknown,
  context: ExecutionContext,
  { events, clock, host }: RefusalSurroundings,
): void {
  const at = new Date(clock.now());
  const handler = `${context.getClass().name}.${context.getHandler().name}`;
  const requestId = requestIdOf(context, host);
  const where = { at, handler, ...(requestId === undefined ? {} : { requestId }) };
  if (error instanceof TokenError) {
    const { code, detail } = error;
    events.emit({ type: 'token.rejected', ...where, code, detail });
  } else if (error instanceof ProofError) {
    const { code, detail } = error;
    events.emit({ type: 'proof.rejected', ...where, code, detail });
  } else if (error instanceof StepUpRequired) {
    const { detail } = error;
    events.emit({ type: 'stepUp.asked', ...where, detail });
  } else if (error instanceof AccessError) {
    const { code, detail } = error;
    events.emit({ type: 'access.denied', ...where, code, detail });
  } else if (isOutage(error)) {
    const { message: detail } = error;
    events.emit({ type: 'access.denied', ...where, code: 'ERR_ACCESS_UNAVAILABLE', detail });
  } else {
    const detail = error instanceof Error ? error.name : typeof error;
    events.emit({ type: 'access.denied', ...where, code: 'ERR_UNEXPECTED', detail });
  }
}
