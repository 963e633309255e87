import {
  Controller,
  Delete,
  ForbiddenException,
  Get,
  HttpCode,
  NotFoundException,
  Param,
  UseInterceptors,
} from '@nestjs/common';
import {
  CurrentToken,
  RevocationService,
  SessionAnswers,
  SessionService,
  type VerifiedToken,
} from 'nest-jwt-hardening';

import { Settings } from '../settings.js';

/** A device the user is logged in on. */
interface Device {
  readonly sid: string;
  readonly device: string | null;
  readonly address_prefix: string | null;
  readonly created_at: string;
  readonly last_used_at: string;
  /** When it is logged out unless it is used. */
  readonly expires_at: string;
  readonly binding: string;
  /** Whether it is the one that asks. */
  readonly current: boolean;
}

/** The user's devices: which there are, and logging them out. */
@UseInterceptors(SessionAnswers)
@Controller('auth/sessions')
export class SessionsController {
  constructor(
    private readonly sessions: SessionService,
    private readonly revocations: RevocationService,
    private readonly settings: Settings,
  ) {}

  @Get()
  async list(@CurrentToken() token: VerifiedToken): Promise<readonly Device[]> {
    this.#expectOwnUser(token);
    const sessions = await this.sessions.list(token.subject);
    return sessions.map((session) => ({
      sid: session.sessionId,
      device: session.device ?? null,
      address_prefix: session.addressPrefix ?? null,
      created_at: session.createdAt.toISOString(),
      last_used_at: session.lastUsedAt.toISOString(),
      expires_at: session.expiresAt.toISOString(),
      binding: session.binding ?? 'unknown',
      current: session.sessionId === token.sessionId,
    }));
  }

  @Delete(':sid')
  @HttpCode(204)
  async end(@CurrentToken() token: VerifiedToken, @Param('sid') sid: string): Promise<void> {
    this.#expectOwnUser(token);
    const sessions = await this.sessions.list(token.subject);
    // Another user's session is none, as far as this user is concerned.
    if (!sessions.some(({ sessionId }) => sessionId === sid)) {
      throw new NotFoundException({ error: 'not_found' });
    }
    await this.sessions.end(sid);
  }

  /** All but the one that asks. */
  @Delete()
  @HttpCode(204)
  async endOthers(@CurrentToken() token: VerifiedToken): Promise<void> {
    this.#expectOwnUser(token);
    const { subject, sessionId, tokenId } = token;
    if (sessionId !== undefined) await this.sessions.endAll(subject, { except: sessionId });
    else await this.revocations.revokeSubject(subject, { except: { tokenId } });
  }

  /** The users are this issuer's: another's `alice` is somebody else. */
  #expectOwnUser({ issuer }: VerifiedToken): void {
    if (issuer !== this.settings.jwt.issuer)
      throw new ForbiddenException({ error: 'access_denied' });
  }
}
