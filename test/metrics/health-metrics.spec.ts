import type { Meter, MetricOptions, ObservableCallback, ObservableGauge } from '@opentelemetry/api';

import type { KeyRingHealth } from '../../lib/keys/key-description.js';
import { observeHealth } from '../../lib/metrics/health-metrics.js';
import type { RevocationHealth } from '../../lib/revocation/revoked.js';
import type { StorageStatus } from '../../lib/storage/storage.js';
import { openIssuer } from '../support/token-mother.js';

/** A meter that collects when it is told to, as an SDK does. */
class Collector implements Pick<Meter, 'createObservableGauge'> {
  readonly units = new Map<string, string | undefined>();
  readonly #callbacks = new Map<string, Set<ObservableCallback>>();

  createObservableGauge(name: string, options?: MetricOptions): ObservableGauge {
    const callbacks = new Set<ObservableCallback>();
    this.units.set(name, options?.unit);
    this.#callbacks.set(name, callbacks);
    return {
      addCallback: (callback) => void callbacks.add(callback),
      removeCallback: (callback) => void callbacks.delete(callback),
    };
  }

  collect(): Readonly<Record<string, number>> {
    const seen: Record<string, number> = {};
    for (const [name, callbacks] of this.#callbacks) {
      for (const callback of callbacks) {
        void callback({
          observe: (value, attributes = {}) => {
            seen[[name, ...Object.keys(attributes)].join(' by ')] = value;
          },
        });
      }
    }
    return seen;
  }
}

let collector: Collector;
let revocation: RevocationHealth;
let ring: KeyRingHealth;
let store: StorageStatus;

const observed = {
  revocations: { health: () => revocation },
  keyRing: { health: () => ring },
  storage: { status: () => store },
};

beforeEach(() => {
  collector = new Collector();
  revocation = { status: 'ok', lag: 0, entries: 0 };
  ring = { status: 'ok', lag: 0, code: null };
  store = { state: 'up', since: new Date(0), detail: 'answers' };
});

describe('observeHealth', () => {
  it('shows the health at each collection, in the units it names', () => {
    observeHealth(collector, observed);
    expect(Object.fromEntries(collector.units)).toEqual({
      'jwt.revocation.lag': 's',
      'jwt.revocation.entries': '{entry}',
      'jwt.key_ring.lag': 's',
      'jwt.storage.up': '1',
    });
    revocation = { status: 'stale', lag: 6_250, entries: 42 };
    ring = { status: 'failing', lag: 1_500, code: null };
    expect(collector.collect()).toEqual({
      'jwt.revocation.lag': 6.25,
      'jwt.revocation.entries': 42,
      'jwt.key_ring.lag': 1.5,
      'jwt.storage.up': 1,
    });
    store = { ...store, state: 'down' };
    expect(collector.collect()).toMatchObject({ 'jwt.storage.up': 0 });
  });

  it('shows no figure where there is none', () => {
    observeHealth(collector, observed);
    revocation = { ...revocation, lag: Infinity };
    expect(collector.collect()).not.toHaveProperty('jwt.revocation.lag');
  });

  it('makes no metric of what it was not given', () => {
    observeHealth(collector, { storage: observed.storage });
    expect([...collector.units.keys()]).toEqual(['jwt.storage.up']);
  });

  it('ends when it is told to', () => {
    const end = observeHealth(collector, observed);
    end();
    expect(collector.collect()).toEqual({});
  });

  it('takes the services as they are', async () => {
    const { revocations, keyRing } = await openIssuer();
    observeHealth(collector, { revocations, keyRing });
    await revocations.revokeSubject('alice');
    expect(collector.collect()).toMatchObject({
      'jwt.revocation.entries': 1,
      'jwt.key_ring.lag': 0,
    });
    revocations.onModuleDestroy();
  });
});
