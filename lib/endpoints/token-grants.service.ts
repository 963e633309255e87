import { Injectable } from '@nestjs/common';

import type { ReplayStore } from '../binding/replay-store.js';
import type { ProvenSender, SenderProofs } from '../binding/sender-proofs.service.js';
import type { HttpRequest } from '../guard/credentials.js';
import type { Clock } from '../kernel/clock.js';
import { ConfigError, SessionError } from '../kernel/errors.js';
import { type AuthorizationCodes, challengeOf } from '../sessions/authorization-code.js';
import type { TokenPair } from '../sessions/session.js';
import type { SessionService } from '../sessions/session.service.js';
import { ClientAssertions } from './client-assertion.js';
import { ClientAuthenticator } from './client-authenticator.js';
import { EndpointRefusal, malformed } from './endpoint-refusal.js';
import type { RegisteredClient } from './registered-client.js';
import { readForm, type RequestForm } from './request-form.js';
import type { TokenEndpointsConfig } from './token-endpoints.service.js';

export interface TokenGrantsSurroundings {
  /** `null` if the storage carries none. */
  readonly sessions: Pick<SessionService, 'refresh'> | null;
  /** `null` where the options have no `authorization`. */
  readonly codes: Pick<AuthorizationCodes, 'redeem'> | null;
  readonly senders: Pick<SenderProofs, 'prove'>;
  /** `null` if the storage carries none, which is enough without `private_key_jwt`. */
  readonly replays: ReplayStore | null;
  readonly clock: Clock;
}

/** RFC 6749 §5.1. */
export interface TokenAnswer {
  readonly access_token: string;
  readonly token_type: 'Bearer' | 'DPoP';
  /** In seconds. */
  readonly expires_in: number;
  readonly refresh_token: string;
  readonly scope: string;
}

const PARAMETERS = [
  'grant_type',
  'code',
  'redirect_uri',
  'code_verifier',
  'refresh_token',
  'scope',
] as const;

type GrantForm = RequestForm<(typeof PARAMETERS)[number]>;

/** RFC 7636 §4.1. A shorter one could be guessed, whatever the client made its challenge of. */
const VERIFIER = /^[A-Za-z0-9._~-]{43,128}$/;

/** What the token endpoint does (RFC 6749 §3.2): exchanges codes and refresh tokens for tokens. */
@Injectable()
export class TokenGrants {
  readonly #config: TokenEndpointsConfig;
  readonly #surroundings: TokenGrantsSurroundings;
  readonly #authenticator: ClientAuthenticator;

  constructor(config: TokenEndpointsConfig, surroundings: TokenGrantsSurroundings) {
    this.#config = config;
    this.#surroundings = surroundings;
    const { replays, clock } = surroundings;
    const assertions = new ClientAssertions(config, replays, clock);
    this.#authenticator = new ClientAuthenticator(config.clients, assertions);
  }

  /**
   * @throws EndpointRefusal if the request, the client, or the code is wrong
   * @throws SessionError if the refresh token is
   * @throws ProofError if what is to show who asks is wrong, or missing where one is needed
   * @throws StoreError, KeyError, RevocationError while nothing can be said: ask again
   */
  async grant(request: HttpRequest): Promise<TokenAnswer> {
    const form = readForm(request, PARAMETERS);
    const client = await this.#authenticator.authenticate(request, form);
    if (!client.may.includes('authorize')) {
      const detail = 'the client may not authorize';
      throw new EndpointRefusal('unauthorized_client', 'ERR_ACCESS_DENIED', detail);
    }
    const sender = await this.#surroundings.senders.prove(request);
    return answerOf(await this.#exchange(form, client, sender));
  }

  /**
   * For the controller, at the start.
   * @throws ConfigError `ERR_CONFIG_INVALID` if there is nothing to exchange, or nobody to do it
   */
  expectReady(): void {
    if (this.#surroundings.sessions === null) {
      throw misconfigured(
        'it is set, and the storage carries no sessions',
        'Write redisStorage(…)',
      );
    }
    if (!this.#config.clients.some(({ may }) => may.includes('authorize'))) {
      const fix = "Register one in clients with may: ['authorize'], or leave tokenPath out";
      throw misconfigured('it is set, and no client may authorize', fix);
    }
  }

  #exchange(form: GrantForm, client: RegisteredClient, sender: ProvenSender): Promise<TokenPair> {
    switch (form.grant_type) {
      case 'authorization_code':
        return this.#redeem(form, client, sender);
      case 'refresh_token':
        return this.#refresh(form, client, sender);
      case undefined:
        throw malformed('grant_type is missing');
      default:
        throw unsupported();
    }
  }

  async #redeem(
    { code, redirect_uri: redirectUri, code_verifier: verifier }: GrantForm,
    { clientId }: RegisteredClient,
    sender: ProvenSender,
  ): Promise<TokenPair> {
    const { codes } = this.#surroundings;
    if (codes === null) throw unsupported();
    if (code === undefined || redirectUri === undefined || verifier === undefined) {
      throw malformed('code, redirect_uri or code_verifier is missing');
    }
    if (!VERIFIER.test(verifier)) throw malformed('code_verifier is malformed');
    const terms = { clientId, redirectUri, challenge: challengeOf(verifier) };
    try {
      return await codes.redeem(code, terms, sender);
    } catch (error) {
      if (!(error instanceof SessionError)) throw error;
      const { detail } = error;
      throw new EndpointRefusal('invalid_grant', 'ERR_ACCESS_DENIED', detail, { cause: error });
    }
  }

  async #refresh(
    { refresh_token: refreshToken, scope }: GrantForm,
    { clientId }: RegisteredClient,
    sender: ProvenSender,
  ): Promise<TokenPair> {
    const { sessions } = this.#surroundings;
    if (sessions === null) throw unsupported();
    if (refreshToken === undefined) throw malformed('refresh_token is missing');
    return sessions.refresh(refreshToken, {
      clientId,
      ...(scope === undefined ? {} : { scope }),
      ...sender,
    });
  }
}

function answerOf({
  accessToken,
  tokenType,
  expiresIn,
  refreshToken,
  scope,
}: TokenPair): TokenAnswer {
  return {
    access_token: accessToken,
    token_type: tokenType,
    expires_in: expiresIn,
    refresh_token: refreshToken,
    scope,
  };
}

function unsupported(): EndpointRefusal {
  const detail = 'grant_type is not on offer';
  return new EndpointRefusal('unsupported_grant_type', 'ERR_ACCESS_DENIED', detail);
}

function misconfigured(problem: string, fix: string): ConfigError {
  return new ConfigError('ERR_CONFIG_INVALID', [{ path: 'tokenPath', problem, fix }]);
}
