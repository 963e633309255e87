import { Controller, Get, ServiceUnavailableException } from '@nestjs/common';
import {
  type KeyDescription,
  type KeyRingHealth,
  KeyRingService,
  Public,
  type RemoteJwksStatus,
  type RevocationHealth,
  RevocationService,
  StorageHealth,
  TrustedIssuers,
} from 'nest-jwt-hardening';

interface Health {
  readonly status: 'ok' | 'degraded' | 'unavailable';
  readonly storage: {
    readonly name: string;
    readonly state: 'up' | 'down';
    readonly since: Date;
    readonly detail: string;
    /** Milliseconds since it last confirmed what this instance knows of the keys. */
    readonly lag_ms: number;
  };
  readonly key_ring: {
    readonly mode: 'rotating' | 'static';
    readonly status: KeyRingHealth['status'];
    /** The error code of the last look at the stored ring, if it failed. */
    readonly problem: string | null;
    /** How many keys are in each phase. */
    readonly keys: Readonly<Record<KeyDescription['phase'], number>>;
  };
  readonly revocation: {
    readonly status: RevocationHealth['status'];
    /** Milliseconds since this instance knew all of the log. */
    readonly lag_ms: number;
    /** Revocations held in memory. */
    readonly entries: number;
  };
  readonly trusted_issuers: readonly Pick<RemoteJwksStatus, 'issuer' | 'state'>[];
}

/** Readiness: whether this instance can issue and verify tokens, and what stands in the way. */
@Controller('health')
export class HealthController {
  constructor(
    private readonly keyRing: KeyRingService,
    private readonly revocations: RevocationService,
    private readonly storage: StorageHealth,
    private readonly trusted: TrustedIssuers,
  ) {}

  @Public()
  @Get()
  check(): Health {
    const health = this.#read();
    if (health.status === 'unavailable') {
      throw new ServiceUnavailableException({ error: 'temporarily_unavailable', ...health });
    }
    return health;
  }

  #read(): Health {
    const { status, lag, code } = this.keyRing.health();
    const revocation = this.revocations.health();
    const storage = this.storage.status();
    const isStale = status === 'stale' || revocation.status === 'stale';
    const isWell = status === 'ok' && revocation.status === 'ok' && storage.state === 'up';
    return {
      status: isStale ? 'unavailable' : isWell ? 'ok' : 'degraded',
      storage: { name: this.storage.name, ...storage, lag_ms: lag },
      key_ring: {
        mode: this.keyRing.rotates ? 'rotating' : 'static',
        status,
        problem: code,
        keys: this.#countKeys(),
      },
      revocation: {
        status: revocation.status,
        lag_ms: revocation.lag,
        entries: revocation.entries,
      },
      trusted_issuers: this.trusted.status().map(({ issuer, state }) => ({ issuer, state })),
    };
  }

  #countKeys(): Readonly<Record<KeyDescription['phase'], number>> {
    const phases = this.keyRing.keys().map(({ phase }) => phase);
    const count = (phase: KeyDescription['phase']): number =>
      phases.filter((candidate) => candidate === phase).length;
    return {
      published: count('published'),
      signing: count('signing'),
      verifying: count('verifying'),
      compromised: count('compromised'),
    };
  }
}
