import {
  Body,
  ConflictException,
  Controller,
  ForbiddenException,
  HttpCode,
  HttpException,
  Logger,
  Post,
  Req,
  Res,
  UseInterceptors,
} from '@nestjs/common';
import { HttpAdapterHost } from '@nestjs/core';
import {
  type CookieAnswer,
  CurrentToken,
  DuringStepUp,
  type HttpRequest,
  RequireStepUp,
  SenderProofs,
  type SenderRequest,
  SessionAnswers,
  SessionCookies,
  SessionService,
  StepUpService,
  type VerifiedToken,
} from 'nest-jwt-hardening';

import { RequestId } from '../http/request-id.js';
import { Settings } from '../settings.js';
import { type Authentication, UserDirectory } from '../users/user-directory.js';
import { ACR } from './acr.js';
import { readStepUp } from './credentials.js';
import { deviceLabel } from './device-label.js';
import { type TokenAnswer, tokenAnswer } from './token-answer.js';
import { TotpFactor } from './totp-factor.js';

type StepUpRequest = HttpRequest & SenderRequest;

/** RFC 6749 §5.1 in its manner. */
interface ConfirmationAnswer {
  readonly confirmation_token: string;
  /** Seconds. */
  readonly expires_in: number;
}

/** By what somebody authenticated, and how strongly. */
interface Strength {
  readonly amr: readonly string[];
  readonly acr: string;
}

/** Authenticating anew: for a fresh session, or to confirm one action. */
@UseInterceptors(SessionAnswers)
@Controller('auth')
export class StepUpController {
  readonly #logger = new Logger('Auth');

  constructor(
    private readonly users: UserDirectory,
    private readonly totp: TotpFactor,
    private readonly stepUps: StepUpService,
    private readonly sessions: SessionService,
    private readonly cookies: SessionCookies,
    private readonly senders: SenderProofs,
    private readonly settings: Settings,
    private readonly host: HttpAdapterHost,
  ) {}

  /**
   * By password, and by a code too for who has an authenticator app. The new session takes the place of
   * the one that asks; with `action` there is a confirmation of it instead, and nothing else changes.
   */
  @DuringStepUp()
  @Post('step-up')
  @HttpCode(200)
  async stepUp(
    @CurrentToken() token: VerifiedToken,
    @Req() request: StepUpRequest,
    @Res({ passthrough: true }) response: object,
    @Body() body: unknown,
    @RequestId() requestId: string,
  ): Promise<TokenAnswer | CookieAnswer | ConfirmationAnswer> {
    const { password, code, action } = readStepUp(body);
    this.#expectOwnUser(token);
    const authentication = await this.users.authenticate(token.subject, password);
    if (authentication === undefined) throw this.#refuse(requestId);
    const strength = await this.#strengthOf(token.subject, code, response);
    // The password may have been changed while the code was looked at.
    if (strength === undefined || !authentication.stillHolds()) throw this.#refuse(requestId);
    if (action !== undefined) return this.#confirmation(token, action);
    const pair = await this.stepUps.confirm(token, {
      scope: authentication.user.scopes,
      roles: authentication.user.roles,
      ...strength,
      device: this.#deviceOf(request),
      ...this.senders.look(request),
    });
    await this.#endUnlessHeld(authentication, pair.sessionId, requestId);
    return pair.carrier === 'cookie' ? this.cookies.write(response, pair) : tokenAnswer(pair);
  }

  /** Once: who lost the answer asks the bank. A stolen token alone must not enrol a thief's phone. */
  @RequireStepUp({ action: 'enroll_totp' })
  @Post('totp')
  enrol(@CurrentToken() token: VerifiedToken): { readonly otpauth_uri: string } {
    this.#expectOwnUser(token);
    const uri = this.totp.enrol(token.subject);
    if (uri === undefined) throw new ConflictException({ error: 'already_enrolled' });
    return { otpauth_uri: uri };
  }

  /** A wrong code is answered as a wrong password is. */
  async #strengthOf(
    subject: string,
    code: string | undefined,
    response: object,
  ): Promise<Strength | undefined> {
    if (!this.totp.isEnrolled(subject)) {
      // A code that nobody asked for is not ignored: its sender believes that it protects them.
      return code === undefined ? { amr: ['pwd'], acr: ACR.password } : undefined; // RFC 8176
    }
    if (code === undefined) throw new ForbiddenException({ error: 'code_required' });
    const verdict = await this.stepUps.verifyFactor({ subject, code });
    switch (verdict.outcome) {
      case 'verified':
        return { amr: verdict.amr, acr: verdict.acr ?? ACR.password };
      case 'refused':
        return undefined;
      case 'limited':
        this.host.httpAdapter.setHeader(response, 'Retry-After', `${verdict.retryAfter}`);
        throw new HttpException({ error: 'too_many_requests' }, 429);
    }
  }

  async #confirmation(token: VerifiedToken, action: string): Promise<ConfirmationAnswer> {
    const { confirmationToken, expiresIn } = await this.stepUps.issueConfirmation({
      token,
      action,
    });
    return { confirmation_token: confirmationToken, expires_in: expiresIn };
  }

  /** A session that was started while the password changed is younger than the end of all older ones. */
  async #endUnlessHeld(
    authentication: Authentication,
    sessionId: string,
    requestId: string,
  ): Promise<void> {
    if (authentication.stillHolds()) return;
    await this.sessions.end(sessionId);
    throw this.#refuse(requestId);
  }

  #deviceOf({ headers: { 'user-agent': userAgent } }: StepUpRequest): string {
    return deviceLabel(typeof userAgent === 'string' ? userAgent : undefined);
  }

  /** The users are this issuer's: another's `alice` is somebody else. */
  #expectOwnUser({ issuer }: VerifiedToken): void {
    if (issuer !== this.settings.jwt.issuer)
      throw new ForbiddenException({ error: 'access_denied' });
  }

  /** Not 401, on which clients throw a token away: nothing is wrong with this one. */
  #refuse(requestId: string): ForbiddenException {
    this.#logger.warn(`step-up.refused requestId=${requestId}`);
    return new ForbiddenException({ error: 'invalid_grant' });
  }
}
