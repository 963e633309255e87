import type { Provider } from '@nestjs/common';
import { HttpAdapterHost } from '@nestjs/core';

import { ClientAddress } from '../binding/client-address.js';
import type { ResolvedConfig } from '../config/resolve-config.js';
import { SecurityEvents } from '../events/security-events.js';
import { AuthGuard } from '../guard/auth.guard.js';
import { RequestTransport } from '../guard/request-transport.js';
import { Clock } from '../kernel/clock.js';
import { RevocationService } from '../revocation/revocation.service.js';
import { SessionService } from '../sessions/session.service.js';
import { TokenService } from '../tokens/token.service.js';
import { HttpTransport } from '../transport/http-transport.js';
import { SessionAnswers } from '../transport/session-answers.service.js';
import { SessionCookies } from '../transport/session-cookies.service.js';
import { carried, CONFIG } from './configuration.js';

/** Sessions, how they travel, and the guard that all requests pass. */
export const SESSION_PROVIDERS: readonly Provider[] = [
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
      const replays = carried(storage.replayStore);
      const surroundings = { store, replays, tokens, revocations, clock, events };
      return new SessionService(sessions, surroundings);
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
  AuthGuard,
];
