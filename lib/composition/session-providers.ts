import type { Provider } from '@nestjs/common';
import { HttpAdapterHost } from '@nestjs/core';

import type { ResolvedConfig } from '../config/resolve-config.js';
import { SecurityEvents } from '../events/security-events.js';
import { ActionConfirmations } from '../guard/action-confirmations.js';
import { AuthGuard } from '../guard/auth.guard.js';
import { RequestTransport } from '../guard/request-transport.js';
import { Clock } from '../kernel/clock.js';
import { RevocationService } from '../revocation/revocation.service.js';
import { SessionService } from '../sessions/session.service.js';
import { StepUpService } from '../step-up/step-up.service.js';
import { TokenService } from '../tokens/token.service.js';
import { HttpTransport } from '../transport/http-transport.js';
import { SessionAnswers } from '../transport/session-answers.service.js';
import { SessionCookies } from '../transport/session-cookies.service.js';
import { carried, CONFIG, SENDER_CHECKS } from './configuration.js';
import type { SenderChecks } from './sender-providers.js';

/** Sessions, how they travel, and the guard that all requests pass. */
export const SESSION_PROVIDERS: readonly Provider[] = [
  {
    provide: SessionService,
    useFactory: (
      { sessions, storage, binding }: ResolvedConfig,
      tokens: TokenService,
      revocations: RevocationService,
      { fingerprints, cookieKeys }: SenderChecks,
      clock: Clock,
      events: SecurityEvents,
    ) => {
      const store = carried(storage.sessionStore);
      const replays = carried(storage.replayStore);
      const { offered, required } = binding;
      const senders = { fingerprints, cookieKeys, offered, required };
      const surroundings = { store, replays, tokens, revocations, senders, clock, events };
      return new SessionService(sessions, surroundings);
    },
    inject: [CONFIG, TokenService, RevocationService, SENDER_CHECKS, Clock, SecurityEvents],
  },
  {
    provide: StepUpService,
    useFactory: (
      { stepUp, storage }: ResolvedConfig,
      tokens: TokenService,
      sessions: SessionService,
      revocations: RevocationService,
      clock: Clock,
      events: SecurityEvents,
    ) => {
      const replays = carried(storage.replayStore);
      const attempts = carried(storage.attemptStore);
      const surroundings = { replays, attempts, tokens, sessions, revocations, clock, events };
      return new StepUpService(stepUp, surroundings);
    },
    inject: [CONFIG, TokenService, SessionService, RevocationService, Clock, SecurityEvents],
  },
  { provide: ActionConfirmations, useExisting: StepUpService },
  {
    provide: RequestTransport,
    useFactory: ({ transport }: ResolvedConfig) => new HttpTransport(transport),
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
