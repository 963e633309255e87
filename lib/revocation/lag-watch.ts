import type { SecurityEvents } from '../events/security-events.js';
import type { Clock } from '../kernel/clock.js';
import { RevocationError } from '../kernel/errors.js';
import type { OnStale } from '../kernel/outage.js';
import type { RevocationFeed } from './revocation-feed.js';

/** What is watched, and what it means when it is late. */
export interface WatchedLag {
  readonly feed: Pick<RevocationFeed, 'lag'>;
  readonly config: {
    /** In milliseconds. */
    readonly maxLag: number;
    readonly onStale: OnStale;
  };
  readonly clock: Clock;
  readonly events: SecurityEvents;
}

/**
 * Decides what becomes of requests while the log was not heard of for too long, and says so once
 * when that begins and once when it ends.
 */
export class LagWatch {
  readonly #watched: WatchedLag;
  #wasStale = false;

  constructor(watched: WatchedLag) {
    this.#watched = watched;
  }

  get isStale(): boolean {
    return this.#watched.feed.lag > this.#watched.config.maxLag;
  }

  /**
   * @param onStale instead of what the configuration says
   * @throws RevocationError `ERR_REVOCATION_STALE`
   */
  assertCurrent(onStale: OnStale = this.#watched.config.onStale): void {
    if (!this.isStale) return;
    this.note();
    if (onStale === 'acceptWithAlert') return;
    throw new RevocationError(
      'ERR_REVOCATION_STALE',
      'The revocation log was not heard of for too long.',
    );
  }

  /** To be called often, also while there are no requests. */
  note(): void {
    const { isStale } = this;
    if (isStale === this.#wasStale) return;
    this.#wasStale = isStale;
    const { clock, events, config } = this.#watched;
    const at = new Date(clock.now());
    const { onStale } = config;
    events.emit(
      isStale ? { type: 'revocation.stale', at, onStale } : { type: 'revocation.current', at },
    );
  }
}
