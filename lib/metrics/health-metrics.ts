import type { Meter, ObservableResult } from '@opentelemetry/api';

import type { KeyRingService } from '../keys/key-ring.service.js';
import type { RevocationService } from '../revocation/revocation.service.js';
import type { StorageHealth } from '../storage/storage-health.service.js';

/** What is observed; what is left out has no metric. */
export interface ObservedHealth {
  readonly revocations?: Pick<RevocationService, 'health'>;
  readonly keyRing?: Pick<KeyRingService, 'health'>;
  readonly storage?: Pick<StorageHealth, 'status'>;
}

interface Gauge {
  readonly name: string;
  /** As UCUM writes it, which is what OpenTelemetry asks for. */
  readonly unit: string;
  readonly description: string;
  readonly read: () => number;
}

/**
 * Registers the health of this instance as gauges of an OpenTelemetry meter, read whenever the meter
 * collects. They have no attributes, so their number never grows. Answers what ends it.
 */
export function observeHealth(
  meter: Pick<Meter, 'createObservableGauge'>,
  observed: ObservedHealth,
): () => void {
  const ends = gaugesOf(observed).map(({ name, unit, description, read }) => {
    const gauge = meter.createObservableGauge(name, { unit, description });
    const observe = (result: ObservableResult): void => {
      const value = read();
      // Before there was any word there is no lag, and exporters choke on what is no number.
      if (Number.isFinite(value)) result.observe(value);
    };
    gauge.addCallback(observe);
    return () => gauge.removeCallback(observe);
  });
  return () => {
    for (const end of ends) end();
  };
}

function gaugesOf({ revocations, keyRing, storage }: ObservedHealth): readonly Gauge[] {
  const gauges: Gauge[] = [];
  if (revocations !== undefined) {
    gauges.push(
      {
        name: 'jwt.revocation.lag',
        unit: 's',
        description: 'Time since this instance knew all of the revocation log.',
        read: () => revocations.health().lag / 1000,
      },
      {
        name: 'jwt.revocation.entries',
        unit: '{entry}',
        description: 'Revocations held in memory.',
        read: () => revocations.health().entries,
      },
    );
  }
  if (keyRing !== undefined) {
    gauges.push({
      name: 'jwt.key_ring.lag',
      unit: 's',
      description: 'Time since the store confirmed the key ring that this instance knows.',
      read: () => keyRing.health().lag / 1000,
    });
  }
  if (storage !== undefined) {
    gauges.push({
      name: 'jwt.storage.up',
      unit: '1',
      description: 'Whether the storage answers: 1, or 0.',
      read: () => (storage.status().state === 'up' ? 1 : 0),
    });
  }
  return gauges;
}
