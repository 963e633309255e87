import { Controller, Delete, Get, HttpCode, UseInterceptors } from '@nestjs/common';
import {
  CurrentToken,
  RequireStepUp,
  SessionAnswers,
  SessionService,
  type VerifiedToken,
} from 'nest-jwt-hardening';

import { TotpFactor } from '../auth/totp-factor.js';
import { UserDirectory } from './user-directory.js';

interface Me {
  readonly sub: string;
  readonly scope: string;
  readonly roles: readonly string[];
  /** Tokens of other services of this issuer need not belong to a session. */
  readonly sid: string | null;
  /** Seconds since the epoch, as the token's own `exp`. */
  readonly expires_at: number;
}

/** Without a decorator a valid token is what a route demands. */
@UseInterceptors(SessionAnswers)
@Controller('me')
export class MeController {
  constructor(
    private readonly users: UserDirectory,
    private readonly totp: TotpFactor,
    private readonly sessions: SessionService,
  ) {}

  @Get()
  show(@CurrentToken() token: VerifiedToken): Me {
    return {
      sub: token.subject,
      scope: token.scopes.join(' '),
      roles: token.roles,
      sid: token.sessionId ?? null,
      expires_at: token.expiresAt,
    };
  }

  /**
   * Deletes the account, which its user confirmed with their password for this one request. Only
   * subjects of this issuer can confirm anything, so the user is one of ours.
   */
  @RequireStepUp({ action: 'delete_account' })
  @Delete()
  @HttpCode(204)
  async remove(@CurrentToken() { subject }: VerifiedToken): Promise<void> {
    // All tokens first: an account that is gone must have no logins left.
    await this.sessions.endAll(subject);
    this.users.reset(subject);
    this.totp.forget(subject);
  }
}
