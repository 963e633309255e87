import {
  BadRequestException,
  ConflictException,
  Controller,
  Get,
  HttpCode,
  NotFoundException,
  Param,
  Post,
  Query,
} from '@nestjs/common';
import {
  type Compromise,
  type KeyDescription,
  KeyError,
  KeyRingService,
  Roles,
} from 'nest-jwt-hardening';

interface KeyRow {
  readonly kid: string;
  readonly algorithm: string;
  readonly phase: KeyDescription['phase'];
  readonly published_at: Date;
  readonly signs_from: Date;
  readonly retires_at: Date | null;
}

interface RotationAnswer {
  readonly kid: string;
  readonly signs_from: Date;
}

@Roles('admin')
@Controller('admin/keys')
export class KeysController {
  constructor(private readonly keyRing: KeyRingService) {}

  @Get()
  list(): readonly KeyRow[] {
    return this.keyRing.keys().map((key) => ({
      kid: key.kid,
      algorithm: key.algorithm,
      phase: key.phase,
      published_at: key.publishedAt,
      signs_from: key.signsFrom,
      retires_at: key.retiresAt,
    }));
  }

  /** Accepted, not done: the new key signs once every verifier has had time to fetch it. */
  @Post('rotate')
  @HttpCode(202)
  async rotate(): Promise<RotationAnswer> {
    const { kid, signsFrom } = await this.keyRing.rotate().catch(explain);
    return { kid, signs_from: signsFrom };
  }

  /** Done when it is answered; `?dry_run=true` only says what it would do. */
  @Post(':kid/compromise')
  @HttpCode(200)
  compromise(
    @Param('kid') kid: string,
    @Query('dry_run') dryRun: string | undefined,
  ): Promise<Compromise> {
    // A switch that was misspelt must not do for real what was only asked about.
    if (dryRun !== undefined && dryRun !== 'true' && dryRun !== 'false') {
      throw new BadRequestException({ error: 'invalid_request' });
    }
    return this.keyRing.compromise(kid, { dryRun: dryRun === 'true' }).catch(explain);
  }
}

/** The operator is told what the library says of keys; nothing in it is secret. */
function explain(error: unknown): never {
  if (error instanceof KeyError) {
    const body = { error_description: error.message };
    if (error.code === 'ERR_KEY_STATIC')
      throw new ConflictException({ error: 'static_key', ...body });
    if (error.code === 'ERR_KEY_UNKNOWN')
      throw new NotFoundException({ error: 'unknown_key', ...body });
  }
  throw error;
}
