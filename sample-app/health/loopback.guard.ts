import type { IncomingHttpHeaders } from 'node:http';

import {
  type CanActivate,
  type ExecutionContext,
  Injectable,
  NotFoundException,
} from '@nestjs/common';

/** What of a request says where it comes from; the same on both platforms. */
export interface Arrival {
  readonly socket: { readonly remoteAddress?: string | undefined };
  readonly headers: IncomingHttpHeaders;
}

/** IPv4, in both of its spellings, and IPv6. */
const LOOPBACK = /^(?:(?:::ffff:)?127\.\d{1,3}\.\d{1,3}\.\d{1,3}|::1)$/;

/** A proxy on this machine speaks for somebody else. One that adds no header cannot be told apart. */
const FORWARDED = /^(?:forwarded|via|x-real-ip|x-forwarded-.+|cf-.+)$/;

/**
 * Lets through what comes from this machine and has no header of a proxy; to everybody else the route
 * does not exist.
 */
@Injectable()
export class LoopbackGuard implements CanActivate {
  canActivate(context: ExecutionContext): boolean {
    if (isLocal(context.switchToHttp().getRequest<Arrival>())) return true;
    throw new NotFoundException();
  }
}

export function isLocal({ socket, headers }: Arrival): boolean {
  if (Object.keys(headers).some((name) => FORWARDED.test(name))) return false;
  return LOOPBACK.test(socket.remoteAddress ?? '');
}
