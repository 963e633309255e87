import {
  type CanActivate,
  type ExecutionContext,
  Injectable,
  type Type,
  UseGuards,
} from '@nestjs/common';
import { DiscoveryService, MetadataScanner } from '@nestjs/core';

import { AuthGuard } from './auth.guard.js';
import { discoverHandlers } from './handlers.js';

/**
 * Asks the guard of the application that was started last; guards of closed ones are let go. HTTP
 * requests to the same class have met the global guard already.
 */
class Fence implements CanActivate {
  constructor(public guard: AuthGuard) {}

  canActivate(context: ExecutionContext): boolean | Promise<boolean> {
    return context.getType() === 'http' || this.guard.canActivate(context);
  }
}

const fences = new WeakMap<Type, Fence>();

/**
 * Puts the guard before the message handlers of every class that has some. A hybrid application
 * (`connectMicroservice` without `inheritAppConfig`) leaves global guards out, and they would be open.
 *
 * It works in the constructor, because Nest reads the guards of a handler when the microservice is
 * connected, before any life-cycle hook has run; and at the class, because a handler may be bound or
 * replaced in its constructor.
 */
@Injectable()
export class MessageFence {
  constructor(guard: AuthGuard, discovery: DiscoveryService, scanner: MetadataScanner) {
    for (const { type, context } of discoverHandlers(discovery, scanner)) {
      if (context !== 'message') continue;
      const fence = fences.get(type) ?? surround(type, guard);
      fence.guard = guard;
    }
  }
}

function surround(type: Type, guard: AuthGuard): Fence {
  const fence = new Fence(guard);
  UseGuards(fence)(type);
  fences.set(type, fence);
  return fence;
}
