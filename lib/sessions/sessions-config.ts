import type { ReplayStore } from '../binding/replay-store.js';
import type { SecurityEvents } from '../events/security-events.js';
import type { Clock } from '../kernel/clock.js';
import type { RevocationService } from '../revocation/revocation.service.js';
import type { TokenService } from '../tokens/token.service.js';
import type { EntitlementsOf } from './entitlements.js';
import type { SessionReuse } from './session.js';
import type { SessionSenderParts } from './session-sender.js';
import type { SessionSeals } from './session-seals.js';
import type { SessionStore } from './session-store.js';

/** The part of the configuration that sessions need. Lengths in milliseconds. */
export interface SessionsConfig {
  /** This service's own issuer. */
  readonly issuer: string;
  /** The `client_id` of sessions that name none. */
  readonly clientId: string | null;
  /** In seconds. */
  readonly accessTtl: number;
  readonly idleFor: number;
  readonly absoluteFor: number;
  readonly reuseGrace: number;
  /** How many sessions a subject can have at one time. */
  readonly perSubject: number;
  readonly seals: SessionSeals;
  readonly entitlements: EntitlementsOf | null;
  readonly onReuse: ((reuse: SessionReuse) => unknown) | null;
}

/** @internal What sessions are kept and judged with. */
export interface SessionsSurroundings {
  /** `null` for a storage that cannot carry sessions. */
  readonly store: SessionStore | null;
  readonly replays: ReplayStore | null;
  readonly tokens: Pick<TokenService, 'standingFor' | 'standingOf' | 'prepare'>;
  readonly revocations: Pick<
    RevocationService,
    'catchUp' | 'revokeSession' | 'revokeSubject' | 'status'
  >;
  readonly senders: SessionSenderParts;
  readonly clock: Clock;
  readonly events: SecurityEvents;
}
