import { Injectable } from '@nestjs/common';

import type { ReplayStore } from '../binding/replay-store.js';
import type { HttpRequest } from '../guard/credentials.js';
import type { Clock } from '../kernel/clock.js';
import { ConfigError, RevocationError, TokenError } from '../kernel/errors.js';
import type { RevocationService } from '../revocation/revocation.service.js';
import type { SessionService } from '../sessions/session.service.js';
import type { TokenService } from '../tokens/token.service.js';
import { ClientAssertions } from './client-assertion.js';
import { ClientAuthenticator } from './client-authenticator.js';
import { EndpointRefusal, malformed } from './endpoint-refusal.js';
import { INACTIVE, introspect, type Introspection } from './introspection.js';
import { readIssuedToken } from './issued-token.js';
import type { ClientPermission, RegisteredClient } from './registered-client.js';
import { readForm } from './request-form.js';

/** The part of the configuration that the endpoints need. */
export interface TokenEndpointsConfig {
  /** This service's own issuer. */
  readonly issuer: string;
  /** In seconds. */
  readonly leeway: number;
  readonly clients: readonly RegisteredClient[];
}

/** @internal What the endpoints work on. */
export interface TokenEndpointsSurroundings {
  readonly tokens: Pick<TokenService, 'check' | 'readClaims' | 'verify'>;
  readonly revocations: Pick<RevocationService, 'revokeToken' | 'health'>;
  /** @defaultValue none, where the storage carries none */
  readonly sessions?: Pick<SessionService, 'revoke'> | null;
  /** `null` if the storage carries none, which is enough without `private_key_jwt`. */
  readonly replays: ReplayStore | null;
  readonly clock: Clock;
}

/** A client that was told apart from others, and the token it asks about. */
interface Call {
  readonly client: RegisteredClient;
  readonly token: string;
}

/** What the endpoints for revocation (RFC 7009) and introspection (RFC 7662) do. */
@Injectable()
export class TokenEndpoints {
  readonly #config: TokenEndpointsConfig;
  readonly #surroundings: TokenEndpointsSurroundings;
  readonly #authenticator: ClientAuthenticator;

  /** @internal */
  constructor(config: TokenEndpointsConfig, surroundings: TokenEndpointsSurroundings) {
    this.#config = config;
    this.#surroundings = surroundings;
    const { replays, clock } = surroundings;
    const assertions = new ClientAssertions(config, replays, clock);
    this.#authenticator = new ClientAuthenticator(config.clients, assertions);
  }

  /**
   * Revokes the token a client presents: a refresh token with its session and all access tokens of it
   * (RFC 7009 §2.1), an access token alone. Which of them it is says the token; hints change nothing.
   * Resolves once the store has the revocation, or when there is nothing to revoke (§2.2).
   * @throws EndpointRefusal if the request, the client, or its claim to the token is wrong
   * @throws StoreError, KeyError, RevocationError if the token may live on: ask again
   */
  async revoke(request: HttpRequest): Promise<void> {
    const { client, token } = await this.#admit(request, 'revoke');
    const { tokens, revocations, sessions } = this.#surroundings;
    if (await sessions?.revoke(token, client.clientId)) return;
    const issued = await readIssuedToken(tokens, token);
    if (issued === undefined) return;
    // RFC 7009 §2.1. A `client_id` means something only together with the issuer that gave it.
    if (issued.issuer !== this.#config.issuer || issued.clientId !== client.clientId) {
      const detail = 'the token was issued to another client';
      throw new EndpointRefusal('invalid_grant', 'ERR_ACCESS_DENIED', detail);
    }
    await revocations.revokeToken(issued.tokenId, issued.expiresAt);
  }

  /**
   * Says whether a token of this service is good, and what it says.
   * @throws EndpointRefusal if the request or the client is wrong
   * @throws StoreError, KeyError, RevocationError while that cannot be said
   */
  async introspect(request: HttpRequest): Promise<Introspection> {
    const { token } = await this.#admit(request, 'introspect');
    const answer = await this.#judge(token);
    // Whoever asks did not choose to go by what may be outdated, so `acceptWithAlert` is not for them.
    if (this.#surroundings.revocations.health().status === 'stale') {
      const message = 'The revocation log was not heard of for too long.';
      throw new RevocationError('ERR_REVOCATION_STALE', message);
    }
    return answer;
  }

  /**
   * For the controllers, at the start.
   * @throws ConfigError `ERR_CONFIG_INVALID` if an endpoint is there for nobody
   */
  expectClients(permission: ClientPermission, option: string): void {
    if (this.#config.clients.some(({ may }) => may.includes(permission))) return;
    const problem = `it is set, and no client may ${permission}`;
    const fix = `Register one in clients with may: ['${permission}'], or leave ${option} out`;
    throw new ConfigError('ERR_CONFIG_INVALID', [{ path: option, problem, fix }]);
  }

  async #judge(token: string): Promise<Introspection> {
    try {
      const verified = await this.#surroundings.tokens.check(token, 'access', 'reject');
      // RFC 7662 §2.2 speaks of tokens this server issued; others have their own to ask.
      return verified.issuer === this.#config.issuer ? introspect(verified) : INACTIVE;
    } catch (error) {
      if (error instanceof TokenError) return INACTIVE;
      throw error;
    }
  }

  async #admit(request: HttpRequest, permission: ClientPermission): Promise<Call> {
    const form = readForm(request, ['token', 'token_type_hint']);
    const client = await this.#authenticator.authenticate(request, form);
    if (!client.may.includes(permission)) {
      const detail = `the client may not ${permission}`;
      throw new EndpointRefusal('unauthorized_client', 'ERR_ACCESS_DENIED', detail);
    }
    if (form.token === undefined) throw malformed('token is missing');
    return { client, token: form.token };
  }
}
