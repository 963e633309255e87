import { ConflictException, Controller, Get, HttpCode, Post } from '@nestjs/common';
import { type KeyDescription, KeyError, KeyRingService, Roles } from 'nest-jwt-hardening';

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
    try {
      const { kid, signsFrom } = await this.keyRing.rotate();
      return { kid, signs_from: signsFrom };
    } catch (error) {
      if (!(error instanceof KeyError && error.code === 'ERR_KEY_STATIC')) throw error;
      throw new ConflictException({ error: 'static_key', error_description: error.message });
    }
  }
}
