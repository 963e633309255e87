import { type CanActivate, type ExecutionContext, Injectable } from '@nestjs/common';
import { HttpAdapterHost } from '@nestjs/core';

import { SecurityEvents } from '../events/security-events.js';
import { Clock } from '../kernel/clock.js';
import { AccessError, TokenError } from '../kernel/errors.js';
import { TokenService } from '../tokens/token.service.js';
import { VerifiedToken } from '../tokens/verified-token.js';
import { isOutage, refusalFor, toHttpException } from './challenge.js';
import { type HttpRequest, readBearerToken } from './credentials.js';
import { setCurrentToken } from './current-token.js';
import { requestIdOf } from './request-id.js';
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

  constructor(
    private readonly tokens: TokenService,
    private readonly events: SecurityEvents,
    private readonly clock: Clock,
    private readonly host: HttpAdapterHost,
  ) {}

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
    const policy = this.#policies.of(context.getClass(), context.getHandler());
    const request = context.switchToHttp().getRequest<HttpRequest>();
    if (policy.isPublic) return this.#decidePublic(context, request);
    const token = readBearerToken(request);
    if (token === undefined) {
      throw new AccessError('ERR_ACCESS_NO_CREDENTIALS', 'the request carries no bearer token');
    }
    const verified = this.tokens.check(token, 'access', policy.onStale);
    return verified instanceof Promise
      ? verified.then((late) => this.#admit(context, request, policy, late))
      : this.#admit(context, request, policy, verified);
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
      this.#report(context, error);
      return true;
    };
    const known = (token: VerifiedToken): true => {
      if (VerifiedToken.isSealed(token)) setCurrentToken(request, token);
      return true;
    };
    try {
      const token = readBearerToken(request);
      if (token === undefined) return true;
      const verified = this.tokens.check(token, 'access');
      return verified instanceof Promise ? verified.then(known, anonymous) : known(verified);
    } catch (error) {
      return anonymous(error);
    }
  }

  /** Throws the uniform answer; outside HTTP, `false` makes Nest refuse in the context's own terms. */
  #refuse(context: ExecutionContext, error: unknown): false {
    this.#report(context, error);
    if (context.getType() !== 'http') return false;
    const refusal = refusalFor(error);
    const response = context.switchToHttp().getResponse<object>();
    for (const [name, value] of Object.entries(refusal.headers)) {
      this.host.httpAdapter.setHeader(response, name, value);
    }
    throw toHttpException(refusal, error);
  }

  #report(context: ExecutionContext, error: unknown): void {
    const at = new Date(this.clock.now());
    const handler = `${context.getClass().name}.${context.getHandler().name}`;
    const requestId = requestIdOf(context, this.host);
    const where = { at, handler, ...(requestId === undefined ? {} : { requestId }) };
    if (error instanceof TokenError) {
      const { code, detail } = error;
      this.events.emit({ type: 'token.rejected', ...where, code, detail });
    } else if (error instanceof AccessError) {
      const { code, detail } = error;
      this.events.emit({ type: 'access.denied', ...where, code, detail });
    } else if (isOutage(error)) {
      const { message: detail } = error;
      this.events.emit({ type: 'access.denied', ...where, code: 'ERR_ACCESS_UNAVAILABLE', detail });
    } else {
      const detail = error instanceof Error ? error.name : typeof error;
      this.events.emit({ type: 'access.denied', ...where, code: 'ERR_UNEXPECTED', detail });
    }
  }
}
