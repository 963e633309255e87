import { Injectable, type OnApplicationBootstrap, type OnModuleDestroy } from '@nestjs/common';

import type { SecurityEvents } from '../../events/security-events.js';
import type { Clock } from '../../kernel/clock.js';
import type { RemoteJwksIncident } from './remote-incident.js';
import { RemoteJwks, type RemoteJwksConfig, type RemoteJwksStatus } from './remote-jwks.js';

/** The keys of the other issuers whose tokens are accepted (`trust`). */
@Injectable()
export class TrustedIssuers implements OnApplicationBootstrap, OnModuleDestroy {
  readonly #jwks = new Map<string, RemoteJwks>();

  /** @internal */
  constructor(
    configs: readonly RemoteJwksConfig[],
    private readonly clock: Clock,
    private readonly events: SecurityEvents,
  ) {
    for (const config of configs) {
      const report = (incident: RemoteJwksIncident): void => this.#report(incident);
      this.#jwks.set(config.issuer, new RemoteJwks(config, clock, report));
    }
  }

  /** How each stands, for readiness checks. */
  status(): readonly RemoteJwksStatus[] {
    return [...this.#jwks.values()].map((jwks) => jwks.status());
  }

  /** @internal */
  jwksOf(issuer: string): RemoteJwks {
    const jwks = this.#jwks.get(issuer);
    if (jwks === undefined) throw new TypeError('this issuer is not trusted');
    return jwks;
  }

  /** The first fetch starts with the application; nobody waits for an issuer that is down. */
  onApplicationBootstrap(): void {
    // A failure is reported as an incident, and the next token tries again.
    for (const jwks of this.#jwks.values()) void jwks.prefetch().catch(() => {});
  }

  onModuleDestroy(): void {
    for (const jwks of this.#jwks.values()) jwks.close();
  }

  #report(incident: RemoteJwksIncident): void {
    const { issuer } = incident;
    const where = { at: new Date(this.clock.now()), issuer };
    switch (incident.type) {
      case 'keys-changed': {
        const { added, removed, replaced } = incident;
        return this.events.emit({ type: 'issuer.rotated', ...where, added, removed, replaced });
      }
      case 'key-skipped':
      case 'secret-published': {
        const { kid, fault } = incident;
        const type =
          incident.type === 'key-skipped' ? 'issuer.keySkipped' : 'issuer.secretPublished';
        return this.events.emit({ type, ...where, kid, fault });
      }
      case 'refresh-failed': {
        const { failure, detail, failures, usableUntil } = incident;
        const fields = { failure, detail, failures, usableUntil };
        return this.events.emit({ type: 'issuer.unavailable', ...where, ...fields });
      }
      case 'pin-mismatch': {
        const { shown, failures, usableUntil } = incident;
        const fields = { ...shown, failures, usableUntil };
        return this.events.emit({ type: 'pin.mismatched', ...where, ...fields });
      }
      case 'recovered': {
        const { failures } = incident;
        return this.events.emit({ type: 'issuer.available', ...where, failures });
      }
    }
  }
}
