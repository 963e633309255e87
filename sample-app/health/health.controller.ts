import { Controller, Get, ServiceUnavailableException } from '@nestjs/common';
import { type KeyDescription, KeyRingService, Public } from 'nest-jwt-hardening';

import { Settings } from '../settings.js';

interface Health {
  readonly status: 'ok';
  readonly storage: string;
  readonly key_ring: {
    readonly mode: 'rotating' | 'static';
    /** How many keys are in each phase. */
    readonly keys: Readonly<Record<KeyDescription['phase'], number>>;
  };
}

/** Readiness: whether this instance can issue and verify tokens. */
@Controller('health')
export class HealthController {
  constructor(
    private readonly keyRing: KeyRingService,
    private readonly settings: Settings,
  ) {}

  @Public()
  @Get()
  check(): Health {
    const phases = this.keyRing.keys().map(({ phase }) => phase);
    const count = (phase: KeyDescription['phase']): number =>
      phases.filter((candidate) => candidate === phase).length;
    if (count('signing') === 0) {
      throw new ServiceUnavailableException({ error: 'temporarily_unavailable' });
    }
    return {
      status: 'ok',
      storage: this.settings.jwt.storage.name,
      key_ring: {
        mode: this.keyRing.rotates ? 'rotating' : 'static',
        keys: {
          published: count('published'),
          signing: count('signing'),
          verifying: count('verifying'),
        },
      },
    };
  }
}
