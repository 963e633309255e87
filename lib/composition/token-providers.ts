import type { Provider } from '@nestjs/common';

import { nodeEnv } from '../config/environment.js';
import { resolveConfig, type ResolvedConfig } from '../config/resolve-config.js';
import { EmergencyService } from '../emergency/emergency.service.js';
import type { LiveFilter } from '../emergency/incident-counts.js';
import { EventLog } from '../events/event-log.js';
import { SecurityEvents } from '../events/security-events.js';
import { MODULE_OPTIONS_TOKEN } from '../jwt-hardening.module-definition.js';
import { Clock, SystemClock } from '../kernel/clock.js';
import { CoordinatedClock } from '../kernel/coordinated-clock.js';
import { KeyRingService } from '../keys/key-ring.service.js';
import { KeyRotationSchedule } from '../keys/key-rotation.schedule.js';
import { TrustedIssuers } from '../keys/remote/trusted-issuers.service.js';
import { RevocationService } from '../revocation/revocation.service.js';
import { SessionEnds } from '../sessions/session-ends.js';
import { AllocationBook } from '../status-list/allocation-book.js';
import { StatusListReader } from '../status-list/status-list-reader.js';
import { StatusLists } from '../status-list/status-lists.service.js';
import { StorageHealth } from '../storage/storage-health.service.js';
import { LEGACY_KID } from '../tokens/legacy-keys.js';
import { TokenStanding } from '../tokens/token-standing.js';
import { TokenService } from '../tokens/token.service.js';
import type { VerifiedToken } from '../tokens/verified-token.js';
import { ALLOCATION_BOOK, carried, CONFIG, required, STATUS_LISTS } from './configuration.js';

/** Keys, revocation and tokens, and what they stand on. */
export const TOKEN_PROVIDERS: readonly Provider[] = [
  {
    provide: CONFIG,
    useFactory: (options: unknown) => resolveConfig(options, nodeEnv()),
    inject: [MODULE_OPTIONS_TOKEN],
  },
  { provide: Clock, useFactory: () => new CoordinatedClock(new SystemClock()) },
  SecurityEvents,
  EventLog,
  {
    provide: StorageHealth,
    useFactory: ({ storage }: ResolvedConfig, clock: Clock, events: SecurityEvents) =>
      new StorageHealth(storage, clock, events),
    inject: [CONFIG, Clock, SecurityEvents],
  },
  {
    provide: KeyRingService,
    useFactory: ({ keys, storage }: ResolvedConfig, clock: Clock, events: SecurityEvents) =>
      KeyRingService.open(keys, {
        store: carried(storage.keyStore),
        clock,
        events,
        countSessions: async () => (await carried(storage.sessionStore)?.count())?.sessions ?? null,
      }),
    // The health of the storage first: it is to report what goes wrong from the start.
    inject: [CONFIG, Clock, SecurityEvents, StorageHealth],
  },
  KeyRotationSchedule,
  {
    provide: TrustedIssuers,
    useFactory: ({ trust }: ResolvedConfig, clock: Clock, events: SecurityEvents) =>
      new TrustedIssuers(trust, clock, events),
    inject: [CONFIG, Clock, SecurityEvents],
  },
  {
    provide: RevocationService,
    useFactory: (
      { revocation, storage }: ResolvedConfig,
      keyRing: KeyRingService,
      clock: Clock,
      events: SecurityEvents,
      book: AllocationBook | null,
    ) => {
      const { issuer } = revocation;
      const store = carried(storage.sessionStore);
      return RevocationService.open(revocation, {
        log: required(storage.revocationLog),
        clock,
        events,
        ...(book === null ? {} : { companion: book }),
        ...(store === null ? {} : { sessions: new SessionEnds(issuer, store, clock, events) }),
        withdrawKey: async (kid) => {
          // The secrets of legacy tokens are configured, and end with what was revoked.
          if (keyRing.rotates && kid !== LEGACY_KID) await keyRing.compromise(kid);
        },
      });
    },
    // The keys first: their store may be what is waited for, and sets the clock.
    inject: [CONFIG, KeyRingService, Clock, SecurityEvents, ALLOCATION_BOOK],
  },
  {
    provide: StatusListReader,
    useFactory: (
      { statusListIssuers }: ResolvedConfig,
      trusted: TrustedIssuers,
      clock: Clock,
      events: SecurityEvents,
    ) =>
      new StatusListReader(statusListIssuers, {
        keysOf: (issuer) => trusted.jwksOf(issuer),
        report: ({ failure, ...list }) => {
          const at = new Date(clock.now());
          events.emit(
            failure === null
              ? { type: 'statusList.available', at, ...list }
              : { type: 'statusList.unavailable', at, ...list, failure },
          );
        },
        clock,
      }),
    inject: [CONFIG, TrustedIssuers, Clock, SecurityEvents],
  },
  {
    provide: TokenService,
    useFactory: (
      { tokens, subjects }: ResolvedConfig,
      keyRing: KeyRingService,
      trusted: TrustedIssuers,
      revocations: RevocationService,
      allocator: StatusLists | null,
      statusLists: StatusListReader,
      clock: Clock,
      events: SecurityEvents,
    ) => {
      const standing = new TokenStanding({ revocations, subjects, allocator, statusLists });
      return new TokenService(tokens, { keyRing, trusted, standing, clock, events });
    },
    inject: [
      CONFIG,
      KeyRingService,
      TrustedIssuers,
      RevocationService,
      STATUS_LISTS,
      StatusListReader,
      Clock,
      SecurityEvents,
    ],
  },
  {
    provide: EmergencyService,
    useFactory: (
      { tokens: { issuer }, storage }: ResolvedConfig,
      keyRing: KeyRingService,
      revocations: RevocationService,
      tokens: TokenService,
      clock: Clock,
      events: SecurityEvents,
    ) =>
      new EmergencyService({
        issuer,
        keyRing,
        revocations,
        sessions: carried(storage.sessionStore),
        countTokens: (filter) => tokens.countSeen((token) => isAmong(token, filter)),
        // Nothing watches them yet.
        countConnections: () => null,
        clock,
        events,
      }),
    inject: [CONFIG, KeyRingService, RevocationService, TokenService, Clock, SecurityEvents],
  },
];

function isAmong(token: VerifiedToken, filter: LiveFilter): boolean {
  const { issuer, kid, subject, issuedBefore } = filter;
  return (
    (issuer === undefined || token.issuer === issuer) &&
    (kid === undefined || token.kid === kid || token.encryptionKid === kid) &&
    (subject === undefined || token.subject === subject) &&
    (issuedBefore === undefined || token.issuedAt * 1000 < issuedBefore.getTime())
  );
}
