import { fieldsOf, type Grant, isInstant, readGrant } from './grant.js';
import type { AuthTransport } from './options.js';

/**
 * What the tabs of one origin tell each other. BroadcastChannel reaches no other origin. A page of
 * the same origin is trusted, as it could do all this client can; its messages are checked for their
 * shape, so that another version of the client, left open in a tab, does no harm.
 */
export type TabMessage =
  /** What is known that is newer than this? */
  | { readonly type: 'ask'; readonly at: number }
  | { readonly type: 'grant'; readonly grant: Grant }
  /** I hold the lock and am about to send this grant's refresh. */
  | { readonly type: 'refreshing'; readonly at: number }
  /** The refresh failed; leave the server alone until then. */
  | {
      readonly type: 'postponed';
      /** 0 if it was silent to this tab only, as far as is known: another may try. */
      readonly until: number;
      /** Seconds, if it was the server that asked for it. */
      readonly retryAfter: number | undefined;
    }
  /** Every grant up to this one is over. */
  | { readonly type: 'ended'; readonly at: number; readonly reason: 'logout' | 'refused' };

const VERSION = 1;

/** As it is posted. */
export function tabMessage(message: TabMessage): unknown {
  return { ...message, v: VERSION };
}

/** The message in what was heard; `undefined` if it is none for this client. */
export function readTabMessage(heard: unknown, transport: AuthTransport): TabMessage | undefined {
  const { v, type, at, grant: given, until, retryAfter, reason } = fieldsOf(heard);
  if (v !== VERSION) return undefined;
  if (type === 'grant') {
    const grant = readGrant(given, transport);
    return grant && { type, grant };
  }
  if (type === 'postponed') {
    if (typeof until !== 'number' || !(until < Infinity)) return undefined;
    return { type, until, retryAfter: typeof retryAfter === 'number' ? retryAfter : undefined };
  }
  if (!isInstant(at)) return undefined;
  if (type === 'ask' || type === 'refreshing') return { type, at };
  return type === 'ended' && (reason === 'logout' || reason === 'refused')
    ? { type, at, reason }
    : undefined;
}
