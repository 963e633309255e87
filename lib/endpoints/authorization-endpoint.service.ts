import { Injectable } from '@nestjs/common';

import { isOutage } from '../guard/challenge.js';
import type { HttpRequest } from '../guard/credentials.js';
import type { Clock } from '../kernel/clock.js';
import { AccessError, ConfigError } from '../kernel/errors.js';
import type { AuthorizationCodes } from '../sessions/authorization-code.js';
import {
  type AuthorizationDecision,
  type AuthorizationGrant,
  type AuthorizationLogin,
  decide,
  grantedScope,
} from './authorization-login.js';
import {
  AuthorizationQuery,
  type AuthorizationRequest,
  readAuthorizationRequest,
  readRedirection,
  type Redirection,
} from './authorization-request.js';
import { AuthorizationRefusal, malformed, RedirectedRefusal } from './endpoint-refusal.js';
import { formTargetOf, withParameters } from './redirect-uri.js';
import type { RegisteredClient } from './registered-client.js';

/** The part of the configuration that the code flow needs. Lengths in milliseconds. */
export interface AuthorizationConfig {
  readonly login: AuthorizationLogin;
  /** How long the login has to answer. */
  readonly loginWithin: number;
  readonly codeFor: number;
  /** Scope tokens that clients can be granted. */
  readonly scopes: readonly string[];
}

export interface AuthorizationEndpointConfig {
  /** This service's own issuer. */
  readonly issuer: string;
  readonly clients: readonly RegisteredClient[];
  /** `null` where the options have none. */
  readonly authorization: AuthorizationConfig | null;
}

export interface AuthorizationEndpointSurroundings {
  /** `null` where there is no configuration for them. */
  readonly codes: Pick<AuthorizationCodes, 'issue'> | null;
  /** Throws an `AccessError` unless a page of this service's own origin sent the request. */
  readonly ownPages: { assertAllowed(request: HttpRequest): void };
  readonly clock: Clock;
}

/** Milliseconds a login may take to answer what it has just seen. */
const AGE_LEEWAY = 10_000;

/** What the browser gets. */
export type AuthorizationAnswer =
  | { readonly kind: 'redirect'; readonly location: string }
  | {
      readonly kind: 'page';
      readonly html: string;
      readonly status: number;
      readonly contentSecurityPolicy: string;
    };

/**
 * What the authorization endpoint does (RFC 6749 §3.1, RFC 7636, RFC 9700 §2.1): lets the application
 * say who sits there, and sends the client a code for them. It always says who answers (RFC 9207).
 */
@Injectable()
export class AuthorizationEndpoint {
  readonly #config: AuthorizationEndpointConfig;
  readonly #surroundings: AuthorizationEndpointSurroundings;
  readonly #clients: ReadonlyMap<string, RegisteredClient>;

  constructor(
    config: AuthorizationEndpointConfig,
    surroundings: AuthorizationEndpointSurroundings,
  ) {
    this.#config = config;
    this.#surroundings = surroundings;
    this.#clients = new Map(config.clients.map((client) => [client.clientId, client]));
  }

  /**
   * @throws EndpointRefusal, AccessError for what is shown to the user
   * @throws RedirectedRefusal for what the client is told
   */
  async authorize(request: HttpRequest): Promise<AuthorizationAnswer> {
    const { method } = request;
    if (method !== 'GET' && method !== 'POST') throw malformed('it is neither GET nor POST');
    // A form of another site would log its victim in as somebody else.
    if (method === 'POST') this.#surroundings.ownPages.assertAllowed(request);
    const query = AuthorizationQuery.of(request);
    const redirection = readRedirection(query, this.#clients);
    try {
      const asked = readAuthorizationRequest(query, redirection);
      const decision = await this.#decide({ request, method, query, redirection, asked });
      return await this.#answer(decision, redirection, asked);
    } catch (error) {
      const { redirectUri, state } = redirection;
      const refusal = refusalOf(error);
      throw new RedirectedRefusal(
        refusal,
        withParameters(redirectUri, { error: refusal.error, state, iss: this.#config.issuer }),
      );
    }
  }

  /**
   * For the controller, at the start.
   * @throws ConfigError `ERR_CONFIG_INVALID` if the endpoint could not do anything
   */
  expectReady(): void {
    if (this.#config.authorization === null) {
      throw misconfigured('it is set, and authorization is missing', 'Write authorization.login');
    }
    if (!this.#config.clients.some(({ may }) => may.includes('authorize'))) {
      const fix = "Register one in clients with may: ['authorize'], or leave authorizationPath out";
      throw misconfigured('it is set, and no client may authorize', fix);
    }
  }

  async #decide({
    request,
    method,
    query,
    redirection: { client, redirectUri },
    asked,
  }: {
    readonly request: HttpRequest;
    readonly method: 'GET' | 'POST';
    readonly query: AuthorizationQuery;
    readonly redirection: Redirection;
    readonly asked: AuthorizationRequest;
  }): Promise<Exclude<AuthorizationDecision, { readonly outcome: 'denied' }>> {
    const { scope, prompt, maxAge, acrValues, loginHint } = asked;
    const { clientId, authentication } = client;
    const kind = authentication.method === 'none' ? 'public' : 'confidential';
    const { login, loginWithin } = this.#authorization();
    const decision = await decide(
      login,
      Object.freeze({
        request,
        method,
        requestUrl: query.url,
        client: Object.freeze({ clientId, kind }),
        redirectUri,
        scope,
        prompt,
        maxAge,
        acrValues,
        loginHint,
      }),
      { within: loginWithin, clock: this.#surroundings.clock },
    );
    const shows = decision.outcome !== 'granted';
    if (shows && prompt.includes('none')) throw loginRequired('something would have to be shown');
    return decision;
  }

  async #answer(
    decision: Exclude<AuthorizationDecision, { readonly outcome: 'denied' }>,
    redirection: Redirection,
    asked: AuthorizationRequest,
  ): Promise<AuthorizationAnswer> {
    const { redirectUri, state } = redirection;
    switch (decision.outcome) {
      case 'granted': {
        const code = await this.#code(decision, redirection, asked);
        const parameters = { code, state, iss: this.#config.issuer };
        return { kind: 'redirect', location: withParameters(redirectUri, parameters) };
      }
      case 'page': {
        const { html, status = 200, contentSecurityPolicy = pagePolicy(redirectUri) } = decision;
        return { kind: 'page', html, status, contentSecurityPolicy };
      }
      case 'redirect':
        return { kind: 'redirect', location: decision.location };
    }
  }

  async #code(
    grant: AuthorizationGrant,
    { client: { clientId }, redirectUri }: Redirection,
    { challenge, scope, maxAge = Infinity, jkt }: AuthorizationRequest,
  ): Promise<string> {
    const { codes, clock } = this.#surroundings;
    if (codes === null) throw new TypeError('there are no codes to issue');
    const { subject, authTime, roles, permissions, claims, acr, amr, device } = grant;
    if (clock.now() - authTime.getTime() > maxAge * 1_000 + AGE_LEEWAY) {
      throw loginRequired('the user authenticated too long ago');
    }
    return codes.issue({ clientId, redirectUri, challenge, jkt }, subject, {
      authTime,
      scope: grantedScope(scope, grant),
      ...(roles === undefined ? {} : { roles }),
      ...(permissions === undefined ? {} : { permissions }),
      ...(claims === undefined ? {} : { claims }),
      ...(acr === undefined ? {} : { acr }),
      ...(amr === undefined ? {} : { amr }),
      ...(device === undefined ? {} : { device }),
    });
  }

  #authorization(): AuthorizationConfig {
    const { authorization } = this.#config;
    if (authorization === null) throw new TypeError('authorization is not configured');
    return authorization;
  }
}

/** Styles in the page, its form to this service and on to the client: nothing is loaded from anywhere. */
function pagePolicy(redirectUri: string): string {
  const form = `form-action 'self' ${formTargetOf(redirectUri)}`;
  return `default-src 'none'; style-src 'unsafe-inline'; img-src data:; base-uri 'none'; ${form}`;
}

function loginRequired(detail: string): AuthorizationRefusal {
  return new AuthorizationRefusal('login_required', 'ERR_ACCESS_DENIED', detail);
}

/** The browser is on its way to the client, so it carries every error; 503 would strand the user. */
function refusalOf(error: unknown): AuthorizationRefusal {
  if (error instanceof AuthorizationRefusal) return error;
  if (isOutage(error)) {
    const { message } = error;
    const code = 'ERR_ACCESS_UNAVAILABLE';
    return new AuthorizationRefusal('temporarily_unavailable', code, message, { cause: error });
  }
  if (error instanceof AccessError) {
    return new AuthorizationRefusal('invalid_request', error.code, error.detail, { cause: error });
  }
  const detail = error instanceof Error ? error.name : typeof error;
  const code = 'ERR_ACCESS_POLICY_FAILED';
  return new AuthorizationRefusal('server_error', code, detail, { cause: error });
}

function misconfigured(problem: string, fix: string): ConfigError {
  return new ConfigError('ERR_CONFIG_INVALID', [{ path: 'authorizationPath', problem, fix }]);
}
