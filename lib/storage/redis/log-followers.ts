import type { Clock } from '../../kernel/clock.js';
import type { LogFollower, LogPage } from '../../revocation/revocation-log.js';
import { type LogAlarm, openLogAlarm } from './log-alarm.js';
import { parsePosition } from './log-position.js';
import type { RedisSource } from './redis-clients.js';
import { closed } from './redis-failure.js';

type Read = (request: {
  readonly after: string | null;
  readonly limit: number;
}) => Promise<LogPage>;

const PAGE = 500;

/** Milliseconds after a failed read. The calls themselves are bounded by deadline and circuit. */
const RETRY_AFTER = 100;

/** After an empty page at least so long, even if the alarm sees what no page shows. */
const REST_AFTER_NOTHING = 50;

/** An answer that took longer than this says too little of the present. */
const STALE_AFTER = 500;

/**
 * Everyone who follows the log. Pages are read as any reader reads them, which is what makes each
 * entry arrive exactly once and finds out what was lost; a blocked connection only says when.
 */
export class LogFollowers {
  readonly #source: RedisSource;
  readonly #key: string;
  readonly #clock: Clock;
  readonly #isProven: () => boolean;
  readonly #ends = new Set<() => void>();
  #isClosed = false;

  /**
   * @param isProven whether the log is that of a primary, with as many replicas as were configured:
   * any other may lack what was revoked since
   */
  constructor(source: RedisSource, key: string, clock: Clock, isProven: () => boolean) {
    this.#source = source;
    this.#key = key;
    this.#clock = clock;
    this.#isProven = isProven;
  }

  add(follower: LogFollower, read: Read): () => void {
    if (this.#isClosed) throw closed();
    const alarm = openLogAlarm(this.#source, this.#key);
    const isOver = { value: false };
    const end = (): void => {
      isOver.value = true;
      alarm.close();
      this.#ends.delete(end);
    };
    this.#ends.add(end);
    void this.#follow(follower, read, alarm, isOver).finally(end);
    return end;
  }

  close(): void {
    this.#isClosed = true;
    for (const end of this.#ends) end();
  }

  async #follow(
    follower: LogFollower,
    read: Read,
    alarm: LogAlarm,
    isOver: { readonly value: boolean },
  ): Promise<void> {
    let { after } = follower;
    while (!isOver.value) {
      const start = this.#elapsed();
      const page = await read({ after, limit: PAGE }).catch(() => undefined);
      if (isOver.value) return;
      if (page === undefined) {
        await alarm.pause(RETRY_AFTER);
        continue;
      }
      if (page.verdict === 'lost') return tell(follower.onLost);
      after = page.position;
      const { entries } = page;
      if (entries.length > 0) tell(() => follower.onEntries(entries));
      if (isOver.value) return;
      if (!page.atEnd) continue;
      const isPresent = this.#elapsed() - start <= STALE_AFTER && this.#isProven();
      if (isPresent) tell(follower.onCurrent);
      await Promise.all([
        alarm.wait(after === null ? '0-0' : (parsePosition(after)?.entry ?? '0-0')),
        entries.length === 0 ? alarm.pause(REST_AFTER_NOTHING) : undefined,
      ]);
    }
  }

  /** Of no wall clock: one that is set back would make a slow answer look quick. */
  #elapsed(): number {
    return this.#clock.elapsed?.() ?? this.#clock.now();
  }
}

function tell(listener: () => void): void {
  try {
    listener();
  } catch {
    // The entries were delivered; what a listener makes of them is its own affair.
  }
}
