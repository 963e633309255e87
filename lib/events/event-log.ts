import { Injectable, Logger, type OnModuleDestroy } from '@nestjs/common';

import { type SecurityEvent, SecurityEvents } from './security-events.js';

/**
 * Writes security events through the application's Nest logger, so that the code of a failed check
 * stands in the log beside the request id the client was given.
 */
@Injectable()
export class EventLog implements OnModuleDestroy {
  readonly #logger = new Logger('JwtHardening');
  readonly #unsubscribe: () => void;

  constructor(events: SecurityEvents) {
    this.#unsubscribe = events.onAny((event) => this.#write(event));
  }

  onModuleDestroy(): void {
    this.#unsubscribe();
  }

  #write(event: SecurityEvent): void {
    switch (event.type) {
      case 'token.issued':
      case 'legacy.accepted':
      case 'session.refreshed':
        // There is one for each token: nothing is written together that nobody reads.
        return Logger.isLevelEnabled('debug') ? this.#logger.debug(line(event)) : undefined;
      case 'token.rejected':
      case 'legacy.ended':
      case 'refresh.rejected':
      case 'session.unnotified':
      case 'session.unreadable':
      case 'access.denied':
      case 'binding.mismatched':
      case 'proof.replayed':
      case 'proof.limited':
      case 'proof.rejected':
      case 'confirmation.rejected':
      case 'key.compromised':
      case 'key.restored':
      case 'key.undestroyed':
      case 'clock.skewed':
      case 'issuer.keySkipped':
      case 'issuer.unavailable':
      case 'statusList.unavailable':
      case 'revocation.refilled':
      case 'incident.executed':
        return this.#logger.warn(line(event));
      case 'key.unavailable':
      case 'key.unreadable':
      case 'key.stale':
      case 'revocation.unacknowledged':
      case 'revocation.stale':
      case 'revocation.lost':
      case 'revocation.unreadable':
      case 'store.down':
      case 'issuer.secretPublished':
      case 'pin.mismatched':
      case 'refresh.reused':
        return this.#logger.error(line(event));
      default:
        return this.#logger.log(line(event));
    }
  }
}

/** `type name=value …`: one line, readable and easy to search. */
function line({ type, at: _, ...fields }: SecurityEvent): string {
  const pairs = Object.entries(fields).map(([name, value]) => `${name}=${format(value)}`);
  return [type, ...pairs].join(' ');
}

function format(value: unknown): string {
  if (value instanceof Date) return value.toISOString();
  if (typeof value === 'object' && value !== null && !Array.isArray(value)) {
    const members = Object.entries(value).map(([name, member]) => `${name}:${format(member)}`);
    return members.join(',');
  }
  const text = String(value);
  return /^[A-Za-z0-9._:-]+$/.test(text) ? text : escape(text);
}

/** What JSON leaves as it is can still end a line or steer a terminal. */
function escape(text: string): string {
  return JSON.stringify(text).replace(
    /[\u007f-\u009f\u2028\u2029]/g,
    (character) => `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`,
  );
}
