import { type CanActivate, type ExecutionContext, Injectable } from '@nestjs/common';
import { HttpAdapterHost } from '@nestjs/core';

import { SecurityEvents } from '../events/security-events.js';
import { Clock } from '../kernel/clock.js';
import { AccessError } from '../kernel/errors.js';
import type { OnStale } from '../kernel/outage.js';
import { TokenService } from '../tokens/token.service.js';
import { VerifiedToken } from '../tokens/verified-token.js';
import { refusalFor, toHttpException } from './challenge.js';
import { type HttpRequest, readBearerToken } from './credentials.js';
import { setCurrentToken } from './current-token.js';
import { type RefusalSurroundings, reportRefusal } from './refusal-report.js';
import { type CookieCredentials, type HttpsDemand, RequestTransport } from './request-transport.js';
import { authorize, RoutePolicies, type RoutePolicy } from './route-policy.js';

/**
 * Stands before every handler and lets a request through only when every check answered yes. What
 * it does not know, cannot find or did not expect is refused.
 *
 * A token it has seen before is decided without a promise.
 */
@Injectable()
export class AuthGuard implements CanActivate {
  readonly #policies = new RoutePolicies();
  readonly #surroundings: RefusalSurroundings;
  readonly #https: HttpsDemand | null;
  readonly #cookies: CookieCredentials | null;

  constructor(
    private readonly tokens: TokenService,
    events: SecurityEvents,
    clock: Clock,
    private readonly host: HttpAdapterHost,
    transport: RequestTransport,
  ) {
    this.#surroundings = { events, clock, host };
    this.#https = transport.https;
    this.#cookies = transport.cookies;
  }

  canActivate(context: ExecutionContext): boolean | Promise<boolean> {
    try {
      const verdict = this.#decide(context);
      return verdict === true
        ? true
        : verdict.catch((error: unknown) => this.#refuse(context, error));
    } catch (error) {
      return this.#refuse(context, error);
    }
  }

  #decide(context: ExecutionContext): true | Promise<true> {
    if (context.getType() !== 'http') {
      throw new AccessError('ERR_ACCESS_UNSUPPORTED_CONTEXT', 'only HTTP requests can be judged');
    }
    const request = context.switchToHttp().getRequest<HttpRequest>();
    // First of all: what came in clear is not even looked at.
    if (this.#https !== null) this.#https.assertSecure(request);
    const policy = this.#policies.of(context.getClass(), context.getHandler());
    if (policy.isPublic) return this.#decidePublic(context, request);
    const verified = this.#verify(request, policy.onStale);
    if (verified === undefined) {
      throw new AccessError('ERR_ACCESS_NO_CREDENTIALS', 'the request carries no token');
    }
    return verified instanceof Promise
      ? verified.then((late) => this.#admit(context, request, policy, late))
      : this.#admit(context, request, policy, verified);
  }

  /** The token of a request, from wherever it may stand; `undefined` if there is none. */
  #verify(
    request: HttpRequest,
    onStale?: OnStale,
  ): VerifiedToken | Promise<VerifiedToken> | undefined {
    const cookies = this.#cookies;
    const carried = cookies === null ? undefined : cookies.readToken(request);
    if (cookies === null || carried === undefined) {
      const token = readBearerToken(request);
      return token === undefined ? undefined : this.tokens.check(token, 'access', onStale);
    }
    const intended = (token: VerifiedToken): VerifiedToken => {
      cookies.assertIntended(request, token);
      return token;
    };
    const verified = this.tokens.check(carried, 'access', onStale);
    return verified instanceof Promise ? verified.then(intended) : intended(verified);
  }

  #admit(
    context: ExecutionContext,
    request: HttpRequest,
    policy: RoutePolicy,
    token: VerifiedToken,
  ): true | Promise<true> {
    if (!VerifiedToken.isSealed(token)) throw new TypeError('the verifier answered something else');
    const admitted = (): true => {
      setCurrentToken(request, token);
      return true;
    };
    if (policy.demands.length === 0) return admitted();
    const verdict = authorize(policy, { token, request, context });
    if (verdict === true) return admitted();
    return verdict.then(() => {
      // It may have been revoked while a policy function took its time.
      this.tokens.assertStands(token, policy.onStale);
      return admitted();
    });
  }

  /** Anyone may pass; who brings a right token is known, who brings a wrong one is nobody. */
  #decidePublic(context: ExecutionContext, request: HttpRequest): true | Promise<true> {
    const anonymous = (error: unknown): true => {
      reportRefusal(error, context, this.#surroundings);
      return true;
    };
    const known = (token: VerifiedToken): true => {
      if (VerifiedToken.isSealed(token)) setCurrentToken(request, token);
      return true;
    };
    try {
      const verified = this.#verify(request);
      if (verified === undefined) return true;
      return verified instanceof Promise ? verified.then(known, anonymous) : known(verified);
    } catch (error) {
      return anonymous(error);
    }
  }

  /** Throws the uniform answer; outside HTTP, `false` makes Nest refuse in the context's own terms. */
  #refuse(context: ExecutionContext, error: unknown): false {
    reportRefusal(error, context, this.#surroundings);
    if (context.getType() !== 'http') return false;
    const refusal = refusalFor(error);
    const response = context.switchToHttp().getResponse<object>();
    for (const [name, value] of Object.entries(refusal.headers)) {
      this.host.httpAdapter.setHeader(response, name, value);
    }
    throw toHttpException(refusal, error);
  }
}
