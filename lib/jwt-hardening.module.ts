import { type DynamicModule, Module, type Provider } from '@nestjs/common';
import { APP_GUARD, DiscoveryModule, DiscoveryService, MetadataScanner } from '@nestjs/core';

import { ClientAddress } from './binding/client-address.js';
import { SenderProofs } from './binding/sender-proofs.service.js';
import { CONFIG } from './composition/configuration.js';
import { controllersAt, ENDPOINT_PROVIDERS } from './composition/endpoint-providers.js';
import { SENDER_PROVIDERS } from './composition/sender-providers.js';
import { SESSION_PROVIDERS } from './composition/session-providers.js';
import { statusListsAt } from './composition/status-list-providers.js';
import { TOKEN_PROVIDERS } from './composition/token-providers.js';
import type { ResolvedConfig } from './config/resolve-config.js';
import { EmergencyService } from './emergency/emergency.service.js';
import { SecurityEvents } from './events/security-events.js';
import { ActionConfirmations } from './guard/action-confirmations.js';
import { AuthGuard } from './guard/auth.guard.js';
import { MessageFence } from './guard/message-fence.js';
import { RequestTransport } from './guard/request-transport.js';
import { RouteAudit, type RouteAuditConfig } from './guard/route-audit.js';
import {
  type ASYNC_OPTIONS_TYPE,
  ConfigurableModuleClass,
  type OPTIONS_TYPE,
  resolveExtras,
} from './jwt-hardening.module-definition.js';
import { Clock } from './kernel/clock.js';
import { KeyRingService } from './keys/key-ring.service.js';
import { TrustedIssuers } from './keys/remote/trusted-issuers.service.js';
import { RevocationService } from './revocation/revocation.service.js';
import { SessionService } from './sessions/session.service.js';
import { StatusListReader } from './status-list/status-list-reader.js';
import { StatusLists } from './status-list/status-lists.service.js';
import { StepUpService } from './step-up/step-up.service.js';
import { StorageHealth } from './storage/storage-health.service.js';
import { TokenService } from './tokens/token.service.js';
import { SessionAnswers } from './transport/session-answers.service.js';
import { SessionCookies } from './transport/session-cookies.service.js';

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

  /** Options from a factory, a class or a provider; `isGlobal`, `guard` and the paths beside it. */
  static override forRootAsync(options: typeof ASYNC_OPTIONS_TYPE): DynamicModule {
    return assemble(super.forRootAsync(options), options);
  }
}

function assemble(
  definition: DynamicModule,
  options: Parameters<typeof resolveExtras>[0],
): DynamicModule {
  const extras = resolveExtras(options);
  const { isGlobal, guard, statusListPath } = extras;
  // `useExisting`, so that tests can override the guard like any provider.
  const guards: Provider[] =
    guard === 'global' ? [{ provide: APP_GUARD, useExisting: AuthGuard }, MessageFence] : [];
  return {
    ...definition,
    global: isGlobal,
    imports: [...(definition.imports ?? []), DiscoveryModule],
    providers: [
      ...(definition.providers ?? []),
      ...TOKEN_PROVIDERS,
      ...SENDER_PROVIDERS,
      ...SESSION_PROVIDERS,
      ...ENDPOINT_PROVIDERS,
      ...statusListsAt(statusListPath),
      routeAudit(guard),
      ...guards,
    ],
    controllers: controllersAt(extras),
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
      SenderProofs,
      SessionCookies,
      SessionAnswers,
      StepUpService,
      ActionConfirmations,
      StatusListReader,
      EmergencyService,
      StorageHealth,
      AuthGuard,
      RouteAudit,
    ],
  };
}
