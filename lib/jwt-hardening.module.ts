import { type DynamicModule, Module, type Provider } from '@nestjs/common';
import { APP_GUARD, DiscoveryModule, DiscoveryService, MetadataScanner } from '@nestjs/core';

import { nodeEnv } from './config/environment.js';
import { resolveConfig, type ResolvedConfig } from './config/resolve-config.js';
import { EventLog } from './events/event-log.js';
import { SecurityEvents } from './events/security-events.js';
import { AuthGuard } from './guard/auth.guard.js';
import { Public } from './guard/decorators.js';
import { MessageFence } from './guard/message-fence.js';
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
import { NotCarried } from './storage/storage.js';
import { StorageHealth } from './storage/storage-health.service.js';
import { TokenService } from './tokens/token.service.js';
import { TokenStanding } from './tokens/token-standing.js';

/** The configuration after all checks. */
const CONFIG = Symbol('nest-jwt-hardening:config');

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
    ) =>
      RevocationService.open(revocation, {
        log: required(storage.revocationLog),
        clock,
        events,
        withdrawKey: async (kid) => {
          if (!keyRing.rotates) return 'configured';
          await keyRing.compromise(kid);
          return 'withdrawn';
        },
      }),
    // The keys first: their store may be what is waited for, and sets the clock.
    inject: [CONFIG, KeyRingService, Clock, SecurityEvents],
  },
  {
    provide: TokenService,
    useFactory: (
      { tokens, subjects }: ResolvedConfig,
      keyRing: KeyRingService,
      trusted: TrustedIssuers,
      revocations: RevocationService,
      clock: Clock,
      events: SecurityEvents,
    ) => {
      const standing = new TokenStanding({
        revocations,
        subjects,
        allocator: null,
        statusLists: null,
      });
      return new TokenService(tokens, { keyRing, trusted, standing, clock, events });
    },
    inject: [CONFIG, KeyRingService, TrustedIssuers, RevocationService, Clock, SecurityEvents],
  },
  AuthGuard,
];

function carried<Port extends object>(port: Port | NotCarried): Port | null {
  return port instanceof NotCarried ? null : port;
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
  const { isGlobal, guard, jwksPath } = resolveExtras(options);
  const controllers = [];
  if (jwksPath !== null) {
    const controller = jwksControllerAt(jwksPath);
    Public()(controller);
    controllers.push(controller);
  }
  // `useExisting`, so that tests can override the guard like any provider.
  const guards: Provider[] =
    guard === 'global' ? [{ provide: APP_GUARD, useExisting: AuthGuard }, MessageFence] : [];
  return {
    ...definition,
    global: isGlobal,
    imports: [...(definition.imports ?? []), DiscoveryModule],
    providers: [...(definition.providers ?? []), ...SERVICES, routeAudit(guard), ...guards],
    controllers,
    exports: [
      Clock,
      SecurityEvents,
      KeyRingService,
      TrustedIssuers,
      RevocationService,
      TokenService,
      StorageHealth,
      AuthGuard,
      RouteAudit,
    ],
  };
}
