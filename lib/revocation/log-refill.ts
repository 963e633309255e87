import { setImmediate as nextTurn, setTimeout as pause } from 'node:timers/promises';

import type { Clock } from '../kernel/clock.js';
import { type Revocation, writeRevocation } from './revocation-entry.js';
import { RevocationIndex } from './revocation-index.js';
import type { RevocationLog } from './revocation-log.js';

/** Appended at a time: a log that others need too is not to be flooded. */
const BATCH = 64;

/** Entries looked at without giving way to requests. */
const TURN = 2_000;

/** Milliseconds before a log that failed is tried again. */
const RETRY_AFTER = 1_000;

/**
 * Writes to a log that lost entries those that an index still knows. Every instance does, each in an
 * order of its own, and passes over what the others have written meanwhile.
 */
export class LogRefill {
  readonly #log: RevocationLog;
  readonly #index: RevocationIndex;
  readonly #clock: Clock;
  /** What the log is known to hold again. */
  readonly #present = new RevocationIndex();
  #isStopped = false;

  constructor({
    log,
    index,
    clock,
  }: {
    readonly log: RevocationLog;
    readonly index: RevocationIndex;
    readonly clock: Clock;
  }) {
    this.#log = log;
    this.#index = index;
    this.#clock = clock;
  }

  /** To be told of every entry that is read while this runs. */
  saw(revocation: Revocation): void {
    this.#present.add(revocation, this.#clock.now());
  }

  stop(): void {
    this.#isStopped = true;
  }

  /** How many entries it wrote; `undefined` if it was stopped. */
  async run(): Promise<number | undefined> {
    let written = 0;
    let seen = 0;
    let batch: Revocation[] = [];
    for (const revocation of this.#index.held(this.#clock.now())) {
      if (++seen % TURN === 0) await nextTurn();
      if (this.#isStopped) return undefined;
      if (this.#present.holds(revocation, this.#clock.now())) continue;
      if (batch.push(revocation) < BATCH) continue;
      written += await this.#write(batch);
      batch = [];
    }
    written += await this.#write(batch);
    return this.#isStopped ? undefined : written;
  }

  async #write(batch: readonly Revocation[]): Promise<number> {
    let missing = batch;
    let written = 0;
    for (;;) {
      const now = this.#clock.now();
      missing = missing.filter((revocation) => !this.#present.holds(revocation, now));
      const tries = await Promise.allSettled(
        missing.map((revocation) => this.#log.append(writeRevocation(revocation))),
      );
      const failed = missing.filter((_, index) => tries[index]?.status === 'rejected');
      written += missing.length - failed.length;
      if (failed.length === 0 || this.#isStopped) return written;
      missing = failed;
      await pause(RETRY_AFTER, undefined, { ref: false });
    }
  }
}
