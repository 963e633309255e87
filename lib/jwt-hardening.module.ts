import { type DynamicModule, Module, type Provider, type Type } from '@nestjs/common';
import {
  APP_GUARD,
  DiscoveryModule,
  DiscoveryService,
  HttpAdapterHost,
  MetadataScanner,
} from '@nestjs/core';

import { ClientAddress } from './binding/client-address.js';
import { nodeEnv } from './config/environment.js';
import { resolveConfig, type ResolvedConfig } from './config/resolve-config.js';
import { publishedStatusLists } from './config/resolve-status-lists.js';
import { EmergencyService } from './emergency/emergency.service.js';
import type { LiveFilter } from './emergency/incident-counts.js';
import { EndpointAnswers } from './endpoints/endpoint-answers.service.js';
import { introspectionControllerAt } from './endpoints/introspection.controller.js';
import { revocationControllerAt } from './endpoints/revocation.controller.js';
import { TokenEndpoints } from './endpoints/token-endpoints.service.js';
import { EventLog } from './events/event-log.js';
import { SecurityEvents } from './events/security-events.js';
import { AuthGuard } from './guard/auth.guard.js';
import { Public } from './guard/decorators.js';
import { MessageFence } from './guard/message-fence.js';
import { RequestTransport } from './guard/request-transport.js';
import { RouteAudit, type RouteAuditConfig } from './guard/route-audit.js';
import {
  type ASYNC_OPTIONS_TYPE,
  ConfigurableModuleClass,
  MODULE_OPTIONS_TOKEN,
  type OPTIONS_TYPE,
  resolveExtras,
} from './jwt-hardening.module-definition.js';
import { Clock, SystemClock } from './kernel/clock.js';
import { CoordinatedClock } from './kernel/coordinated-clock.js';
import { jwksControllerAt } from './keys/jwks.controller.js';
import { KeyRingService } from './keys/key-ring.service.js';
import { KeyRotationSchedule } from './keys/key-rotation.schedule.js';
import { TrustedIssuers } from './keys/remote/trusted-issuers.service.js';
import { RevocationService } from './revocation/revocation.service.js';
import { AllocationBook } from './status-list/allocation-book.js';
import { StatusListReader } from './status-list/status-list-reader.js';
import { statusListControllerAt } from './status-list/status-list.controller.js';
import { StatusLists } from './status-list/status-lists.service.js';
import { SessionEnds } from './sessions/session-ends.js';
import { SessionService } from './sessions/session.service.js';
import { NotCarried } from './storage/storage.js';
import { StorageHealth } from './storage/storage-health.service.js';
import { TokenService } from './tokens/token.service.js';
import { TokenStanding } from './tokens/token-standing.js';
import type { VerifiedToken } from './tokens/verified-token.js';
import { HttpTransport } from './transport/http-transport.js';
import { SessionAnswers } from './transport/session-answers.service.js';
import { SessionCookies } from './transport/session-cookies.service.js';

/** The configuration after all checks. */
const CONFIG = Symbol('nest-jwt-hardening:config');

/** What the status lists are made of; `null` where there are none. */
const ALLOCATION_BOOK = Symbol('nest-jwt-hardening:allocation-book');
const STATUS_LISTS = Symbol('nest-jwt-hardening:status-lists');

const SERVICES: Provider[] = [
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
          if (keyRing.rotates) await keyRing.compromise(kid);
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
    provide: SessionService,
    useFactory: (
      { sessions, storage }: ResolvedConfig,
      tokens: TokenService,
      revocations: RevocationService,
      clock: Clock,
      events: SecurityEvents,
    ) => {
      const store = carried(storage.sessionStore);
      return new SessionService(sessions, { store, tokens, revocations, clock, events });
    },
    inject: [CONFIG, TokenService, RevocationService, Clock, SecurityEvents],
  },
  {
    provide: RequestTransport,
    useFactory: ({ transport }: ResolvedConfig) => new HttpTransport(transport),
    inject: [CONFIG],
  },
  {
    provide: ClientAddress,
    useFactory: ({ transport }: ResolvedConfig) => new ClientAddress(transport.trustedProxies),
    inject: [CONFIG],
  },
  {
    provide: SessionCookies,
    useFactory: ({ transport }: ResolvedConfig, host: HttpAdapterHost) =>
      new SessionCookies(transport, host),
    inject: [CONFIG, HttpAdapterHost],
  },
  SessionAnswers,
  {
    provide: TokenEndpoints,
    useFactory: (
      { endpoints, storage }: ResolvedConfig,
      tokens: TokenService,
      revocations: RevocationService,
      clock: Clock,
    ) => {
      const replays = carried(storage.replayStore);
      return new TokenEndpoints(endpoints, { tokens, revocations, replays, clock });
    },
    inject: [CONFIG, TokenService, RevocationService, Clock],
  },
  EndpointAnswers,
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
  AuthGuard,
];

function carried<Port extends object>(port: Port | NotCarried): Port | null {
  return port instanceof NotCarried ? null : port;
}

/** The status lists at a path, or their absence. */
function statusListsAt(path: string | null): readonly Provider[] {
  if (path === null) {
    return [
      { provide: ALLOCATION_BOOK, useValue: null },
      { provide: STATUS_LISTS, useValue: null },
    ];
  }
  return [
    {
      provide: ALLOCATION_BOOK,
      useFactory: ({ statusLists }: ResolvedConfig) => new AllocationBook(statusLists.size),
      inject: [CONFIG],
    },
    {
      provide: StatusLists,
      useFactory: (
        { statusLists, keys, storage }: ResolvedConfig,
        book: AllocationBook,
        keyRing: KeyRingService,
        revocations: RevocationService,
        clock: Clock,
      ) => {
        const config = publishedStatusLists(statusLists, path, keys.algorithms);
        const replayStore = required(storage.replayStore);
        const log = required(storage.revocationLog);
        return new StatusLists(config, { book, clock, keyRing, log, replayStore, revocations });
      },
      inject: [CONFIG, ALLOCATION_BOOK, KeyRingService, RevocationService, Clock],
    },
    { provide: STATUS_LISTS, useExisting: StatusLists },
  ];
}

function isAmong(token: VerifiedToken, filter: LiveFilter): boolean {
  const { issuer, kid, subject, issuedBefore } = filter;
  return (
    (issuer === undefined || token.issuer === issuer) &&
    (kid === undefined || token.kid === kid) &&
    (subject === undefined || token.subject === subject) &&
    (issuedBefore === undefined || token.issuedAt * 1000 < issuedBefore.getTime())
  );
}

/** A port that the configuration made sure of. */
function required<Port extends object>(port: Port | NotCarried): Port {
  if (port instanceof NotCarried) throw new TypeError(`the storage lacks a port: ${port.reason}`);
  return port;
}

function routeAudit(guard: RouteAuditConfig['guard']): Provider {
  return {
    provide: RouteAudit,
    useFactory: (
      { printRoutes }: ResolvedConfig,
      discovery: DiscoveryService,
      scanner: MetadataScanner,
    ) => new RouteAudit({ printRoutes, guard }, discovery, scanner),
    inject: [CONFIG, DiscoveryService, MetadataScanner],
  };
}

/**
 * Protects a Nest application: import it once, with `issuer` and `audience`, and every route
 * demands a valid token unless it says otherwise.
 */
@Module({})
export class JwtHardeningModule extends ConfigurableModuleClass {
  /** Options in code. Wrong ones stop the start with one message that lists every problem. */
  static override forRoot(options: typeof OPTIONS_TYPE): DynamicModule {
    return assemble(super.forRoot(options), options);
  }

  /** Options from a factory, a class or a provider; `isGlobal`, `guard` and `jwksPath` beside it. */
  static override forRootAsync(options: typeof ASYNC_OPTIONS_TYPE): DynamicModule {
    return assemble(super.forRootAsync(options), options);
  }
}

function assemble(
  definition: DynamicModule,
  options: Parameters<typeof resolveExtras>[0],
): DynamicModule {
  const extras = resolveExtras(options);
  const { isGlobal, guard, jwksPath, revocationPath, introspectionPath, statusListPath } = extras;
  const controllers: Type[] = [
    ...(jwksPath === null ? [] : [jwksControllerAt(jwksPath)]),
    ...(revocationPath === null ? [] : [revocationControllerAt(revocationPath)]),
    ...(introspectionPath === null ? [] : [introspectionControllerAt(introspectionPath)]),
    ...(statusListPath === null ? [] : [statusListControllerAt(statusListPath)]),
  ];
  // They are for whoever asks, or tell their clients apart by themselves.
  for (const controller of controllers) Public()(controller);
  // `useExisting`, so that tests can override the guard like any provider.
  const guards: Provider[] =
    guard === 'global' ? [{ provide: APP_GUARD, useExisting: AuthGuard }, MessageFence] : [];
  return {
    ...definition,
    global: isGlobal,
    imports: [...(definition.imports ?? []), DiscoveryModule],
    providers: [
      ...(definition.providers ?? []),
      ...SERVICES,
      ...statusListsAt(statusListPath),
      routeAudit(guard),
      ...guards,
    ],
    controllers,
    exports: [
      ...(statusListPath === null ? [] : [StatusLists]),
      Clock,
      SecurityEvents,
      KeyRingService,
      TrustedIssuers,
      RevocationService,
      TokenService,
      SessionService,
      RequestTransport,
      ClientAddress,
      SessionCookies,
      SessionAnswers,
      StatusListReader,
      EmergencyService,
      StorageHealth,
      AuthGuard,
      RouteAudit,
    ],
  };
}
