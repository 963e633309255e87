import { NotCarried } from '../storage/storage.js';

/** The configuration after all checks. */
export const CONFIG = Symbol('nest-jwt-hardening:config');

/** What both the guard and sessions recognise senders with. */
export const SENDER_CHECKS = Symbol('nest-jwt-hardening:sender-checks');

/** What the status lists are made of; `null` where there are none. */
export const ALLOCATION_BOOK = Symbol('nest-jwt-hardening:allocation-book');
export const STATUS_LISTS = Symbol('nest-jwt-hardening:status-lists');

/** A port, or its absence. */
export function carried<Port extends object>(port: Port | NotCarried): Port | null {
  return port instanceof NotCarried ? null : port;
}

/** A port that the configuration made sure of. */
export function required<Port extends object>(port: Port | NotCarried): Port {
  if (port instanceof NotCarried) throw new TypeError(`the storage lacks a port: ${port.reason}`);
  return port;
}
