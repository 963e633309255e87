import { type CanActivate, type ExecutionContext, Injectable, UseGuards } from '@nestjs/common';
import { DiscoveryService, MetadataScanner } from '@nestjs/core';

import { AuthGuard } from './auth.guard.js';
import { type DiscoveredHandler, discoverHandlers } from './handlers.js';

/** Asks the guard of the application that was started last; guards of closed ones are let go. */
class Fence implements CanActivate {
  constructor(public guard: AuthGuard) {}

  canActivate(context: ExecutionContext): boolean | Promise<boolean> {
    return this.guard.canActivate(context);
  }
}

const fences = new WeakMap<DiscoveredHandler['handler'], Fence>();

/**
 * Puts the guard before every message handler itself. A hybrid application (`connectMicroservice`
 * without `inheritAppConfig`) leaves global guards out, and its message handlers would be open.
 *
 * It works in the constructor, because Nest reads a handler's guards when the microservice is
 * connected, before any life-cycle hook has run.
 */
@Injectable()
export class MessageFence {
  constructor(guard: AuthGuard, discovery: DiscoveryService, scanner: MetadataScanner) {
    for (const { type, name, handler, context } of discoverHandlers(discovery, scanner)) {
      if (context !== 'message') continue;
      const fence = fences.get(handler);
      if (fence === undefined) fences.set(handler, surround(type, name, handler, guard));
      else fence.guard = guard;
    }
  }
}

function surround(
  type: DiscoveredHandler['type'],
  name: string,
  handler: DiscoveredHandler['handler'],
  guard: AuthGuard,
): Fence {
  const fence = new Fence(guard);
  UseGuards(fence)(type.prototype as object, name, { value: handler });
  return fence;
}
