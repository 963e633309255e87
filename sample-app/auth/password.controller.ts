import {
  BadRequestException,
  Body,
  Controller,
  ForbiddenException,
  HttpCode,
  Logger,
  Post,
} from '@nestjs/common';
import { CurrentToken, RevocationService, type VerifiedToken } from 'nest-jwt-hardening';

import { RequestId } from '../http/request-id.js';
import { Settings } from '../settings.js';
import { weaknessOf } from '../users/password-rules.js';
import { UserDirectory } from '../users/user-directory.js';
import { readPasswordChange } from './credentials.js';

/** Changes passwords: whoever is logged in elsewhere, by the old password or a stolen token, is out. */
@Controller('auth/password')
export class PasswordController {
  readonly #logger = new Logger('Auth');

  constructor(
    private readonly users: UserDirectory,
    private readonly revocations: RevocationService,
    private readonly settings: Settings,
  ) {}

  @Post()
  @HttpCode(204)
  async change(
    @CurrentToken() token: VerifiedToken,
    @Body() body: unknown,
    @RequestId() requestId: string,
  ): Promise<void> {
    const { subject, sessionId, tokenId } = token;
    const { password, newPassword } = readPasswordChange(body);
    // The users are this issuer's: another's `alice` is somebody else.
    if (token.issuer !== this.settings.jwt.issuer) throw this.#refuse(requestId);
    const weakness = weaknessOf({ name: subject, current: password, next: newPassword });
    if (weakness !== undefined) {
      throw new BadRequestException({ error: 'weak_password', error_description: weakness });
    }
    const except = sessionId === undefined ? { tokenId } : { sessionId };
    const verdict = await this.users.changePassword(subject, { password, newPassword }, () =>
      this.revocations.bumpTokenVersion(subject, { except }),
    );
    if (verdict === 'refused') throw this.#refuse(requestId);
  }

  /** Not 401, on which clients throw a token away: nothing is wrong with this one. */
  #refuse(requestId: string): ForbiddenException {
    this.#logger.warn(`password.refused requestId=${requestId}`);
    return new ForbiddenException({ error: 'invalid_grant' });
  }
}
