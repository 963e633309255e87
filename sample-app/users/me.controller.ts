import { Controller, Get } from '@nestjs/common';
import { CurrentToken, type VerifiedToken } from 'nest-jwt-hardening';

interface Me {
  readonly sub: string;
  readonly scope: string;
  readonly roles: readonly string[];
  /** Tokens of other services of this issuer need not belong to a session. */
  readonly sid: string | null;
  /** Seconds since the epoch, as the token's own `exp`. */
  readonly expires_at: number;
}

/** No decorator: a valid token is what every route demands. */
@Controller('me')
export class MeController {
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
}
