import { type CanActivate, type ExecutionContext, Injectable } from '@nestjs/common';
import { HttpAdapterHost } from '@nestjs/core';

import { proofsOf } from '../binding/confirmation.js';
import { type SenderAnswer, SenderProofs } from '../binding/sender-proofs.service.js';
import { SecurityEvents } from '../events/security-events.js';
import { Clock } from '../kernel/clock.js';
import { AccessError, StepUpRequired, TokenError } from '../kernel/errors.js';
import { TokenService } from '../tokens/token.service.js';
import { VerifiedToken } from '../tokens/verified-token.js';
import { ActionConfirmations } from './action-confirmations.js';
import { refusalFor, toHttpException } from './challenge.js';
import { type CarriedToken, type HttpRequest, readAuthorization, schemeOf } from './credentials.js';
import { setCurrentToken } from './current-token.js';
import { type RefusalSurroundings, reportRefusal } from './refusal-report.js';
import { type CookieCredentials, type HttpsDemand, RequestTransport } from './request-transport.js';
import { authorize, RoutePolicies, type RoutePolicy } from './route-policy.js';

/** One call of a handler. */
interface Call {
  readonly context: ExecutionContext;
  readonly request: HttpRequest;
  readonly policy: RoutePolicy;
}

/**
 * Stands before every handler and lets a request through only when every check answered yes: the
 * token, who sends it, what it may, how its user authenticated. What it does not know, cannot find or
 * did not expect is refused.
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
    private readonly senders: SenderProofs,
    private readonly confirmations: ActionConfirmations,
    events: SecurityEvents,
    private readonly clock: Clock,
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
    const call = { context, request, policy };
    if (policy.isPublic) return this.#decidePublic(call);
    const identified = this.#identify(call);
    if (identified === undefined) {
      throw new AccessError('ERR_ACCESS_NO_CREDENTIALS', 'the request carries no token');
    }
    return identified instanceof Promise
      ? identified.then((late) => this.#admit(call, late))
      : this.#admit(call, identified);
  }

  /** The token of a request whose sender is its owner; `undefined` if there is none. */
  #identify(call: Call): VerifiedToken | Promise<VerifiedToken> | undefined {
    const carried = this.#carried(call.request);
    if (carried === undefined) return undefined;
    const verified = this.tokens.check(carried.text, 'access', call.policy.onStale);
    return verified instanceof Promise
      ? verified.then((late) => this.#checkSender(call, carried, late))
      : this.#checkSender(call, carried, verified);
  }

  /** From wherever it may stand. */
  #carried(request: HttpRequest): CarriedToken | undefined {
    const text = this.#cookies?.readToken(request);
    if (text !== undefined) return { scheme: 'cookie', text };
    const carried = readAuthorization(request);
    const isUnderstood = carried?.scheme !== 'DPoP' || this.senders.dpopAlgorithms !== null;
    return isUnderstood ? carried : undefined;
  }

  #checkSender(
    call: Call,
    carried: CarriedToken,
    token: VerifiedToken,
  ): VerifiedToken | Promise<VerifiedToken> {
    if (!VerifiedToken.isSealed(token)) throw new TypeError('the verifier answered something else');
    if (carried.scheme === 'cookie') this.#cookies?.assertIntended(call.request, token);
    const answer = this.senders.assert(call.request, token, carried);
    if (!(answer instanceof Promise)) {
      this.#heed(call, answer);
      return token;
    }
    return answer.then((late) => {
      this.#heed(call, late);
      // It may have been revoked while the store was asked.
      this.tokens.assertStands(token, call.policy.onStale);
      return token;
    });
  }

  #heed({ context, policy }: Call, { verdict, nextNonce }: SenderAnswer): void {
    if (nextNonce !== undefined) this.#write(context, { 'DPoP-Nonce': nextNonce });
    if (verdict === 'stepUp' && !policy.duringStepUp) {
      // RFC 9470 §4: no authentication of before will do.
      throw new StepUpRequired({ maxAge: 0 }, 'the sender looks different');
    }
  }

  #admit(call: Call, token: VerifiedToken): true | Promise<true> {
    const { context, request, policy } = call;
    assertBound(policy, token);
    const hasDemands = policy.demands.length > 0;
    const verdict = hasDemands
      ? authorize(policy, { token, request, context }, this.clock.now() / 1000)
      : true;
    if (verdict === true && policy.actions.length === 0) {
      setCurrentToken(request, token);
      return true;
    }
    return this.#admitLate(call, token, verdict);
  }

  async #admitLate(
    { request, policy }: Call,
    token: VerifiedToken,
    verdict: true | Promise<true>,
  ): Promise<true> {
    await verdict;
    // It may have been revoked while a policy function took its time.
    this.tokens.assertStands(token, policy.onStale);
    // Last of all: it is used up by being asked for.
    for (const action of policy.actions) {
      await this.confirmations.consume({ request, token, action });
      this.tokens.assertStands(token, policy.onStale);
    }
    setCurrentToken(request, token);
    return true;
  }

  /** Anyone may pass; who brings a right token is known, who brings a wrong one is nobody. */
  #decidePublic(call: Call): true | Promise<true> {
    const anonymous = (error: unknown): true => {
      reportRefusal(error, call.context, this.#surroundings);
      return true;
    };
    const known = (token: VerifiedToken): true => {
      setCurrentToken(call.request, token);
      return true;
    };
    try {
      const identified = this.#identify(call);
      if (identified === undefined) return true;
      return identified instanceof Promise
        ? identified.then(known).catch(anonymous)
        : known(identified);
    } catch (error) {
      return anonymous(error);
    }
  }

  /** Throws the uniform answer; outside HTTP, `false` makes Nest refuse in the context's own terms. */
  #refuse(context: ExecutionContext, error: unknown): false {
    reportRefusal(error, context, this.#surroundings);
    if (context.getType() !== 'http') return false;
    const { dpopAlgorithms } = this.senders;
    const used = schemeOf(context.switchToHttp().getRequest<HttpRequest>());
    const refusal = refusalFor(error, {
      used: dpopAlgorithms === null ? 'Bearer' : used,
      dpopAlgorithms,
    });
    this.#write(context, refusal.headers);
    throw toHttpException(refusal, error);
  }

  #write(context: ExecutionContext, headers: Readonly<Record<string, string>>): void {
    const response = context.switchToHttp().getResponse<object>();
    for (const [name, value] of Object.entries(headers)) {
      this.host.httpAdapter.setHeader(response, name, value);
    }
  }
}

/** @throws TokenError `ERR_TOKEN_BINDING` */
function assertBound({ bound }: RoutePolicy, token: VerifiedToken): void {
  if (bound.length === 0) return;
  const proofs = proofsOf(token);
  if (bound.every((any) => any.some((kind) => proofs.includes(kind)))) return;
  throw new TokenError('ERR_TOKEN_BINDING', 'it is not bound as the route demands');
}
