import { randomBytes } from 'node:crypto';

import { Body, Controller, HttpCode, Logger, Post, UnauthorizedException } from '@nestjs/common';
import {
  Clock,
  CurrentToken,
  Public,
  RevocationService,
  TokenService,
  type VerifiedToken,
} from 'nest-jwt-hardening';

import { RequestId } from '../http/request-id.js';
import { UserDirectory } from '../users/user-directory.js';
import { readCredentials } from './credentials.js';

/** RFC 6749 §5.1. */
interface TokenAnswer {
  readonly access_token: string;
  readonly token_type: 'Bearer';
  /** Seconds. */
  readonly expires_in: number;
  readonly scope: string;
}

@Controller('auth')
export class AuthController {
  readonly #logger = new Logger('Auth');

  constructor(
    private readonly users: UserDirectory,
    private readonly tokens: TokenService,
    private readonly revocations: RevocationService,
    private readonly clock: Clock,
  ) {}

  @Public()
  @Post('login')
  @HttpCode(200)
  async login(@Body() body: unknown, @RequestId() requestId: string): Promise<TokenAnswer> {
    const { username, password } = readCredentials(body);
    const authentication = await this.users.authenticate(username, password);
    if (authentication === undefined) throw this.#refuse(requestId);
    const { user } = authentication;
    const { token, expiresIn } = await this.tokens.sign({
      sub: user.name,
      scope: user.scopes,
      roles: user.roles,
      // A login starts a session of its own: nothing from before it is taken over.
      sid: randomBytes(24).toString('base64url'),
      auth_time: Math.floor(this.clock.now() / 1000),
      amr: ['pwd'], // RFC 8176
    });
    // A token that was signed while the password changed is newer than the end of all older ones.
    if (!authentication.stillHolds()) throw this.#refuse(requestId);
    return {
      access_token: token,
      token_type: 'Bearer',
      expires_in: expiresIn,
      scope: user.scopes.join(' '),
    };
  }

  /** When it is answered, no token of the session is accepted here; elsewhere within a second. */
  @Post('logout')
  @HttpCode(204)
  async logout(@CurrentToken() token: VerifiedToken): Promise<void> {
    const { issuer, sessionId, tokenId, expiresAt } = token;
    if (sessionId !== undefined) await this.revocations.revokeSession(sessionId, { issuer });
    // A token of another service need not belong to a session: then it ends alone.
    else await this.revocations.revokeToken(tokenId, expiresAt, { issuer });
  }

  #refuse(requestId: string): UnauthorizedException {
    // Not the name: people type their password into the wrong field.
    this.#logger.warn(`login.refused requestId=${requestId}`);
    return new UnauthorizedException({ error: 'invalid_grant' });
  }
}
