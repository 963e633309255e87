import type { Provider, Type } from '@nestjs/common';

import { SenderProofs } from '../binding/sender-proofs.service.js';
import type { JwtHardeningExtras } from '../config/options.js';
import type { ResolvedConfig } from '../config/resolve-config.js';
import { AuthorizationEndpoint } from '../endpoints/authorization-endpoint.service.js';
import { authorizationControllerAt } from '../endpoints/authorization.controller.js';
import { EndpointAnswers } from '../endpoints/endpoint-answers.service.js';
import { introspectionControllerAt } from '../endpoints/introspection.controller.js';
import { metadataControllerAt } from '../endpoints/metadata.controller.js';
import { revocationControllerAt } from '../endpoints/revocation.controller.js';
import { ServerMetadata } from '../endpoints/server-metadata.service.js';
import { TokenEndpoints } from '../endpoints/token-endpoints.service.js';
import { TokenGrants } from '../endpoints/token-grants.service.js';
import { tokenControllerAt } from '../endpoints/token.controller.js';
import { Public } from '../guard/decorators.js';
import { Clock } from '../kernel/clock.js';
import { jwksControllerAt } from '../keys/jwks.controller.js';
import { RevocationService } from '../revocation/revocation.service.js';
import { AuthorizationCodes } from '../sessions/authorization-code.js';
import { SessionService } from '../sessions/session.service.js';
import { statusListControllerAt } from '../status-list/status-list.controller.js';
import { TokenService } from '../tokens/token.service.js';
import { RequestOrigin } from '../transport/request-origin.js';
import { carried, CONFIG, required } from './configuration.js';

/** What stands behind the OAuth endpoints. */
export const ENDPOINT_PROVIDERS: readonly Provider[] = [
  {
    provide: TokenEndpoints,
    useFactory: (
      { endpoints, storage }: ResolvedConfig,
      tokens: TokenService,
      revocations: RevocationService,
      sessionService: SessionService,
      clock: Clock,
    ) => {
      const replays = carried(storage.replayStore);
      const sessions = carried(storage.sessionStore) === null ? null : sessionService;
      return new TokenEndpoints(endpoints, { tokens, revocations, sessions, replays, clock });
    },
    inject: [CONFIG, TokenService, RevocationService, SessionService, Clock],
  },
  {
    provide: AuthorizationCodes,
    useFactory: (
      { authorization, endpoints: { issuer }, sessions: { seals }, storage }: ResolvedConfig,
      tokens: TokenService,
      sessionService: SessionService,
    ) => {
      if (authorization === null) return null;
      const { codeFor } = authorization;
      const store = required(storage.sessionStore);
      return new AuthorizationCodes(
        { issuer, codeFor, seals },
        {
          store,
          tokens,
          sessions: sessionService,
        },
      );
    },
    inject: [CONFIG, TokenService, SessionService],
  },
  {
    provide: AuthorizationEndpoint,
    useFactory: (
      { authorization, endpoints, transport }: ResolvedConfig,
      codes: AuthorizationCodes | null,
      clock: Clock,
    ) => {
      const { issuer, clients } = endpoints;
      // Its pages are where clients find it, whatever a Host header says.
      const origins = URL.canParse(issuer) ? [new URL(issuer).origin] : [];
      const ownPages = new RequestOrigin({ ...transport, origins });
      return new AuthorizationEndpoint(
        { issuer, clients, authorization },
        { codes, ownPages, clock },
      );
    },
    inject: [CONFIG, AuthorizationCodes, Clock],
  },
  {
    provide: TokenGrants,
    useFactory: (
      { endpoints, storage }: ResolvedConfig,
      sessionService: SessionService,
      codes: AuthorizationCodes | null,
      senders: SenderProofs,
      clock: Clock,
    ) => {
      const replays = carried(storage.replayStore);
      const sessions = carried(storage.sessionStore) === null ? null : sessionService;
      return new TokenGrants(endpoints, { sessions, codes, senders, replays, clock });
    },
    inject: [CONFIG, SessionService, AuthorizationCodes, SenderProofs, Clock],
  },
  {
    provide: ServerMetadata,
    useFactory: (
      { authorization, binding, endpoints: { issuer, clients } }: ResolvedConfig,
      { dpopAlgorithms }: SenderProofs,
    ) =>
      new ServerMetadata({
        issuer,
        clients,
        scopes: authorization?.scopes ?? [],
        dpopAlgorithms,
        certificates: binding.mtls === null ? 'ignored' : 'bound',
      }),
    inject: [CONFIG, SenderProofs],
  },
  EndpointAnswers,
];

/** The controllers of the paths that were chosen. They are for whoever asks, or tell their clients apart. */
export function controllersAt(paths: Required<JwtHardeningExtras>): Type[] {
  const { jwksPath, revocationPath, introspectionPath, statusListPath } = paths;
  const { authorizationPath, tokenPath, metadataPath } = paths;
  const controllers: Type[] = [
    ...(jwksPath === null ? [] : [jwksControllerAt(jwksPath)]),
    ...(authorizationPath === null ? [] : [authorizationControllerAt(authorizationPath)]),
    ...(tokenPath === null ? [] : [tokenControllerAt(tokenPath)]),
    ...(metadataPath === null ? [] : [metadataControllerAt(metadataPath, paths)]),
    ...(revocationPath === null ? [] : [revocationControllerAt(revocationPath)]),
    ...(introspectionPath === null ? [] : [introspectionControllerAt(introspectionPath)]),
    ...(statusListPath === null ? [] : [statusListControllerAt(statusListPath)]),
  ];
  for (const controller of controllers) Public()(controller);
  return controllers;
}
