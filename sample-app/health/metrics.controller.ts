import { Controller, Get, Header, UseGuards } from '@nestjs/common';
import { KeyRingService, Public, RevocationService, StorageHealth } from 'nest-jwt-hardening';

import { LoopbackGuard } from './loopback.guard.js';

/** A number that goes up and down, in base units. */
interface Gauge {
  readonly name: string;
  readonly help: string;
  readonly value: number;
}

/** What an operator alerts on, as Prometheus reads it; for this machine alone. */
@Controller('metrics')
@UseGuards(LoopbackGuard)
export class MetricsController {
  constructor(
    private readonly keyRing: KeyRingService,
    private readonly revocations: RevocationService,
    private readonly storage: StorageHealth,
  ) {}

  @Public()
  @Get()
  @Header('Content-Type', 'text/plain; version=0.0.4; charset=utf-8')
  show(): string {
    return this.#gauges()
      .flatMap(({ name, help, value }) => [
        `# HELP ${name} ${help}`,
        `# TYPE ${name} gauge`,
        `${name} ${value}`,
      ])
      .map((line) => `${line}\n`)
      .join('');
  }

  #gauges(): readonly Gauge[] {
    const revocation = this.revocations.health();
    const keyRing = this.keyRing.health();
    return [
      {
        name: 'jwt_revocation_lag_seconds',
        help: 'Since this instance last knew all of the revocation log.',
        value: revocation.lag / 1000,
      },
      {
        name: 'jwt_revocation_entries',
        help: 'Revocations held in memory.',
        value: revocation.entries,
      },
      {
        name: 'jwt_revocation_stale',
        help: 'Whether requests are answered 503 because of the lag.',
        value: Number(revocation.status === 'stale'),
      },
      {
        name: 'jwt_key_ring_lag_seconds',
        help: 'Since the store last confirmed the keys.',
        value: keyRing.lag / 1000,
      },
      {
        name: 'jwt_key_ring_stale',
        help: 'Whether requests are answered 503 because of that.',
        value: Number(keyRing.status === 'stale'),
      },
      {
        name: 'jwt_storage_up',
        help: 'Whether the storage answers.',
        value: Number(this.storage.status().state === 'up'),
      },
    ];
  }
}
