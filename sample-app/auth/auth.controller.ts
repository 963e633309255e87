import {
  Body,
  Controller,
  HttpCode,
  Logger,
  Post,
  Req,
  Res,
  UnauthorizedException,
  UseInterceptors,
} from '@nestjs/common';
import {
  type CookieAnswer,
  CurrentToken,
  DuringStepUp,
  type HttpRequest,
  Public,
  RevocationService,
  SenderProofs,
  type SenderRequest,
  SessionAnswers,
  SessionCookies,
  SessionService,
  type TokenPair,
  type VerifiedToken,
} from 'nest-jwt-hardening';

import { malformed } from '../http/json-body.js';
import { RequestId } from '../http/request-id.js';
import { UserDirectory } from '../users/user-directory.js';
import { readCredentials, readRefresh } from './credentials.js';
import { deviceLabel } from './device-label.js';
import { type TokenAnswer, tokenAnswer } from './token-answer.js';

type LoginRequest = HttpRequest & SenderRequest;

/** Logging in and out, by password; tokens travel in bodies or in cookies, as the client wants. */
@UseInterceptors(SessionAnswers)
@Controller('auth')
export class AuthController {
  readonly #logger = new Logger('Auth');

  constructor(
    private readonly users: UserDirectory,
    private readonly sessions: SessionService,
    private readonly cookies: SessionCookies,
    private readonly revocations: RevocationService,
    private readonly senders: SenderProofs,
  ) {}

  @Public()
  @Post('login')
  @HttpCode(200)
  async login(
    @Req() request: LoginRequest,
    @Res({ passthrough: true }) response: object,
    @Body() body: unknown,
    @RequestId() requestId: string,
  ): Promise<TokenAnswer | CookieAnswer> {
    const { username, password, transport } = readCredentials(body);
    // Another site must not log its visitors in as somebody else.
    if (transport === 'cookie') this.#expectPage(request);
    const authentication = await this.users.authenticate(username, password);
    if (authentication === undefined) throw this.#refuse(requestId);
    const { user } = authentication;
    const pair = await this.sessions.start(user.name, {
      scope: user.scopes,
      roles: user.roles,
      amr: ['pwd'], // RFC 8176
      carrier: transport,
      device: this.#deviceOf(request),
      // With a DPoP header the pair is bound to its key.
      ...(await this.senders.prove(request)),
    });
    // A session that was started while the password changed is younger than the end of all older ones.
    if (!authentication.stillHolds()) {
      await this.sessions.end(pair.sessionId);
      throw this.#refuse(requestId);
    }
    return this.#answer(response, pair);
  }

  /** A refusal leaves cookies alone: another tab may have got new ones in the meantime. */
  @Public()
  @Post('refresh')
  @HttpCode(200)
  async refresh(
    @Req() request: LoginRequest,
    @Res({ passthrough: true }) response: object,
    @Body() body: unknown,
  ): Promise<TokenAnswer | CookieAnswer> {
    const carried = this.cookies.readRefreshToken(request);
    const pair = await this.sessions.refresh(carried ?? readRefresh(body), {
      device: this.#deviceOf(request),
      ...(await this.senders.prove(request)),
      // A form of another site brings its token in the body, and must not get cookies for it.
      carrier: carried === undefined ? 'body' : 'cookie',
    });
    return this.#answer(response, pair);
  }

  /** When it is answered, no token of the session is accepted here; elsewhere within a second. */
  @DuringStepUp()
  @Post('logout')
  @HttpCode(204)
  async logout(
    @CurrentToken() token: VerifiedToken,
    @Res({ passthrough: true }) response: object,
  ): Promise<void> {
    const { issuer, sessionId, tokenId, expiresAt } = token;
    if (sessionId !== undefined) await this.revocations.revokeSession(sessionId, { issuer });
    // A token of another service need not belong to a session: then it ends alone.
    else await this.revocations.revokeToken(tokenId, expiresAt, { issuer });
    this.cookies.clear(response);
  }

  #answer(response: object, pair: TokenPair): TokenAnswer | CookieAnswer {
    return pair.carrier === 'cookie' ? this.cookies.write(response, pair) : tokenAnswer(pair);
  }

  #deviceOf({ headers: { 'user-agent': userAgent } }: LoginRequest): string {
    return deviceLabel(typeof userAgent === 'string' ? userAgent : undefined);
  }

  #expectPage(request: LoginRequest): void {
    this.cookies.assertSameOrigin(request);
    // No script sees a token in a cookie, so none could make the proofs for it.
    if (request.headers['dpop'] !== undefined) throw malformed();
  }

  #refuse(requestId: string): UnauthorizedException {
    // Not the name: people type their password into the wrong field.
    this.#logger.warn(`login.refused requestId=${requestId}`);
    return new UnauthorizedException({ error: 'invalid_grant' });
  }
}
