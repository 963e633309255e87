import { setImmediate as nextTurn, setTimeout as pause } from 'node:timers/promises';

import type { Clock } from '../kernel/clock.js';
import { withDeadline } from '../kernel/deadline.js';
import { StoreError } from '../kernel/errors.js';
import { type Revocation, writeRevocation } from './revocation-entry.js';
import { RevocationIndex } from './revocation-index.js';
import type { LogCompanion } from './log-companion.js';
import type { RevocationEntry, RevocationLog } from './revocation-log.js';

/** Appended at a time: a log that others need too is not to be flooded. */
const BATCH = 64;

/** Entries looked at without giving way to requests. */
const TURN = 2_000;

/** Milliseconds for a log of the application's to take an entry. */
const APPEND_WITHIN = 30_000;

/** Milliseconds before a log that failed is tried again. */
const RETRY_AFTER = 1_000;

/** What a log is refilled from. */
export interface RefillSources {
  readonly log: RevocationLog;
  readonly index: RevocationIndex;
  readonly clock: Clock;
  readonly companion: Pick<LogCompanion, 'missing'>;
}

/** Something to write, unless another instance did meanwhile. */
interface Lacking {
  readonly entry: RevocationEntry;
  readonly revocation?: Revocation;
}

/**
 * Writes to a log that lost entries those that an index still knows. Every instance does, each in an
 * order of its own, and passes over what the others have written meanwhile.
 */
export class LogRefill {
  readonly #sources: RefillSources;
  /** What the log is known to hold again. */
  readonly #present = new RevocationIndex();
  #isStopped = false;

  constructor(sources: RefillSources) {
    this.#sources = sources;
  }

  /** To be told of every entry that is read while this runs. */
  saw(revocation: Revocation): void {
    this.#present.add(revocation, this.#sources.clock.now());
  }

  stop(): void {
    this.#isStopped = true;
  }

  /** How many entries it wrote; `undefined` if it was stopped. */
  async run(): Promise<number | undefined> {
    let written = 0;
    let seen = 0;
    let batch: Lacking[] = [];
    for (const lacking of this.#lacking()) {
      if (++seen % TURN === 0) await nextTurn();
      if (this.#isStopped) return undefined;
      if (this.#isPresent(lacking) || batch.push(lacking) < BATCH) continue;
      written += await this.#write(batch);
      batch = [];
    }
    written += await this.#write(batch);
    return this.#isStopped ? undefined : written;
  }

  /** What may have to be written, revocations first. */
  *#lacking(): Generator<Lacking> {
    const { index, companion, clock } = this.#sources;
    for (const revocation of index.held(clock.now())) {
      yield { entry: writeRevocation(revocation), revocation };
    }
    for (const entry of companion.missing(clock.now())) yield { entry };
  }

  #isPresent({ revocation }: Lacking): boolean {
    const { clock } = this.#sources;
    return revocation !== undefined && this.#present.holds(revocation, clock.now());
  }

  async #write(batch: readonly Lacking[]): Promise<number> {
    const { log, clock } = this.#sources;
    let missing = batch;
    let written = 0;
    for (;;) {
      const now = clock.now();
      missing = missing.filter((each) => each.entry.expiresAt > now && !this.#isPresent(each));
      const tries = await Promise.allSettled(
        missing.map(({ entry }) => withDeadline(log.append(entry), APPEND_WITHIN, tooLate)),
      );
      const failed = missing.filter((_, place) => isPassing(tries[place]));
      written += tries.filter(({ status }) => status === 'fulfilled').length;
      if (failed.length === 0 || this.#isStopped) return written;
      missing = failed;
      await pause(RETRY_AFTER, undefined, { ref: false });
    }
  }
}

function tooLate(): StoreError {
  return new StoreError('ERR_STORE_UNAVAILABLE', 'The revocation log did not answer in time.');
}

/** What a store refused for good is not offered to it for ever. */
function isPassing(attempt: PromiseSettledResult<unknown> | undefined): boolean {
  return attempt?.status === 'rejected' && !(attempt.reason instanceof TypeError);
}
