import { setTimeout as pause } from 'node:timers/promises';

import type { SecurityEvents } from '../events/security-events.js';
import type { Clock } from '../kernel/clock.js';
import { withDeadline } from '../kernel/deadline.js';
import { RevocationError, StoreError } from '../kernel/errors.js';
import { LogRefill } from './log-refill.js';
import type { LogCompanion } from './log-companion.js';
import { readRevocation, type Revocation, writeRevocation } from './revocation-entry.js';
import { RevocationIndex } from './revocation-index.js';
import type { LoggedRevocation, LogPage, RevocationLog } from './revocation-log.js';
import { UnreadEntries } from './unread-entries.js';

/** What the index is fed with. */
export interface Feeding {
  readonly log: RevocationLog;
  readonly index: RevocationIndex;
  readonly clock: Clock;
  readonly events: SecurityEvents;
  readonly companion: LogCompanion;
}

/** A page that was asked for, and when. */
interface Reading {
  readonly after: string | null;
  readonly life: number;
  readonly start: number;
  readonly answer: Promise<LogPage>;
}

/** Entries asked for at a time; a log may give fewer. */
const PAGE = 5_000;

/** Milliseconds after which a log of the application's that does not answer counts as failed. */
const READ_WITHIN = 5_000;

/** How often a log that fails at the start is read, `RETRY_AFTER` milliseconds apart. */
const START_ATTEMPTS = 10;
const RETRY_AFTER = 1_000;

/**
 * Keeps the index of this instance in step with the log: all of it at the start, then what is
 * appended. A log that has lost entries is read anew, and gets back what the index still knows.
 */
export class RevocationFeed {
  readonly #feeding: Feeding;
  #position: string | null = null;
  /** How often the log was lost. */
  #life = 0;
  readonly #unread = new UnreadEntries();
  /** When the end of the log was last seen, on a clock that does not run back. */
  #currentAt = -Infinity;
  #unfollow = (): void => {};
  #refill: LogRefill | undefined;
  #recovery: Promise<void> | undefined;
  #reading: Promise<void> | undefined;
  #nextReading: Promise<void> | undefined;
  #latestExemption = 0;
  readonly #watchers = new Set<(revocation: Revocation) => void>();
  #isClosed = false;

  private constructor(feeding: Feeding) {
    this.#feeding = feeding;
  }

  /**
   * Answers once the index holds all of the log.
   * @throws RevocationError `ERR_REVOCATION_UNAVAILABLE` when the log cannot be read for 10 seconds
   */
  static async open(feeding: Feeding): Promise<RevocationFeed> {
    const feed = new RevocationFeed(feeding);
    for (let attempt = 1; ; attempt++) {
      try {
        if ((await feed.#readToEnd()) === 'read') {
          feed.#follow();
          feed.#giveBack();
          return feed;
        }
        // What was read of the log that is gone may be known to nobody else.
        feed.#beginAnew();
        throw new StoreError(
          'ERR_STORE_UNAVAILABLE',
          'The revocation log changed while it was read.',
        );
      } catch (cause) {
        if (attempt === START_ATTEMPTS) {
          const message = 'The revocation log cannot be read.';
          throw new RevocationError('ERR_REVOCATION_UNAVAILABLE', message, { cause });
        }
        await pause(RETRY_AFTER);
      }
    }
  }

  /** Milliseconds since the end of the log was seen. */
  get lag(): number {
    return Math.max(0, Math.floor(this.#elapsed() - this.#currentAt));
  }

  /** Whether the log is getting back what it had lost. */
  get isRecovering(): boolean {
    return this.#recovery !== undefined || this.#refill !== undefined;
  }

  /** The highest era of which the log ever spared something; 0 if of none. */
  get latestExemption(): number {
    return this.#latestExemption;
  }

  /** Resolves once the log has it; this instance enforces it then too. */
  async append(revocation: Revocation): Promise<void> {
    const { log, index, clock } = this.#feeding;
    const entry = writeRevocation(revocation);
    // A log may keep only one of two that are the same; what was read before is not read again then.
    const isAwaited = !index.holds(revocation, clock.now());
    if (isAwaited) this.#unread.send(entry.data, revocation.until);
    try {
      await log.append(entry);
    } catch (error) {
      this.#unread.forget(entry.data);
      throw error;
    }
    index.add(revocation, clock.now());
    if (isAwaited) this.#unread.acknowledge(entry.data);
  }

  /**
   * Resolves once the index holds whatever was in the log when this was called. Callers at one time
   * share a read, but none is given one that began before it asked.
   */
  catchUp(): Promise<void> {
    if (this.#reading === undefined) return this.#startReading();
    this.#nextReading ??= this.#reading
      .catch(() => {})
      .then(() => {
        this.#nextReading = undefined;
        return this.#startReading();
      });
    return this.#nextReading;
  }

  /** Calls back for every revocation that is read from the log, once it is enforced. */
  watch(watcher: (revocation: Revocation) => void): () => void {
    this.#watchers.add(watcher);
    return () => this.#watchers.delete(watcher);
  }

  close(): void {
    this.#isClosed = true;
    this.#unfollow();
    this.#refill?.stop();
  }

  #startReading(): Promise<void> {
    this.#reading = this.#readOn().finally(() => (this.#reading = undefined));
    return this.#reading;
  }

  async #readOn(): Promise<void> {
    await this.#recovery;
    if ((await this.#readToEnd()) === 'lost') await this.#recover();
  }

  async #readToEnd(): Promise<'read' | 'lost'> {
    let ahead: Reading | undefined;
    for (;;) {
      const life = this.#life;
      const isNext = ahead?.after === this.#position && ahead.life === life;
      const { start, answer }: Reading = ahead !== undefined && isNext ? ahead : this.#ask();
      const page = await answer;
      // On its way while this one is taken in: a new instance reads a million of them.
      ahead = page.verdict === 'read' && !page.atEnd ? this.#ask(page.position) : undefined;
      if (page.verdict === 'read') this.#take(page.entries, life);
      // It was on its way while the log was lost: it says nothing of the one that is there now.
      if (life !== this.#life) continue;
      if (page.verdict === 'lost') return 'lost';
      this.#position = page.position;
      if (page.atEnd) {
        // Once it follows, the follower knows better: it can tell a primary that was cut off.
        if (this.#currentAt === -Infinity) this.#currentAt = start;
        return 'read';
      }
    }
  }

  #ask(after = this.#position): Reading {
    const start = this.#elapsed();
    const answer = withDeadline(
      this.#feeding.log.read({ after, limit: PAGE }),
      READ_WITHIN,
      () => new StoreError('ERR_STORE_UNAVAILABLE', 'The revocation log did not answer.'),
    );
    // Nobody may come to wait for it.
    answer.catch(() => {});
    return { after, life: this.#life, start, answer };
  }

  #follow(): void {
    if (this.#isClosed) return;
    const life = this.#life;
    this.#unfollow = this.#feeding.log.follow({
      after: this.#position,
      onEntries: (entries) => {
        this.#take(entries, life);
        if (life === this.#life) this.#position = entries.at(-1)?.position ?? this.#position;
      },
      onCurrent: () => {
        if (life !== this.#life) return;
        this.#currentAt = Math.max(this.#currentAt, this.#elapsed());
        if (this.#unread.isAnyLost(this.#feeding.clock.now())) this.#recover().catch(() => {});
      },
      // What goes wrong is tried again by whoever reads next; nobody waits for this one.
      onLost: () => {
        if (life === this.#life) this.#recover().catch(() => {});
      },
    });
  }

  /** Reads the log from its start, and sees to it that it gets back what it lacks. */
  #recover(): Promise<void> {
    this.#recovery ??= this.#readAnew().finally(() => {
      this.#recovery = undefined;
      // Not before: a log that is lost again at once has to be recovered again.
      this.#follow();
      this.#giveBack();
    });
    return this.#recovery;
  }

  async #readAnew(): Promise<void> {
    this.#beginAnew();
    while (!this.#isClosed) {
      const verdict = await this.#readToEnd().catch(() => 'failed' as const);
      if (verdict === 'read') return;
      // What was read of it is gone again, and has to be given back too.
      if (verdict === 'lost') this.#beginAnew();
      await pause(RETRY_AFTER, undefined, { ref: false });
    }
  }

  #beginAnew(): void {
    const { clock, events, companion } = this.#feeding;
    this.#unfollow();
    this.#refill?.stop();
    this.#position = null;
    this.#life++;
    this.#unread.forgetAcknowledged();
    companion.beginRefill();
    events.emit({ type: 'revocation.lost', at: new Date(clock.now()) });
    this.#refill = new LogRefill(this.#feeding);
  }

  /** Nobody waits for it: what the log lacks meanwhile, this instance enforces all the same. */
  #giveBack(): void {
    const refill = this.#refill;
    if (refill === undefined) return;
    this.#run(refill)
      .catch(() => {})
      .finally(() => {
        if (this.#refill === refill) this.#refill = undefined;
      });
  }

  async #run(refill: LogRefill): Promise<void> {
    const entries = await refill.run();
    if (entries === undefined) return;
    const { clock, events } = this.#feeding;
    events.emit({ type: 'revocation.refilled', at: new Date(clock.now()), entries });
  }

  #take(entries: readonly LoggedRevocation[], life: number): void {
    const { clock, events } = this.#feeding;
    const now = clock.now();
    for (const entry of entries) {
      // One that nobody can make sense of must not keep the others out.
      if (this.#takeOne(entry, now, life) === 'taken') continue;
      events.emit({ type: 'revocation.unreadable', at: new Date(now) });
    }
  }

  #takeOne(entry: LoggedRevocation, now: number, life: number): 'taken' | 'unreadable' {
    const { index, companion } = this.#feeding;
    try {
      const revocation = readRevocation(entry);
      if (revocation === undefined) return companion.onOther(entry, now);
      index.add(revocation, now);
      if (life === this.#life) {
        this.#unread.forget(entry.data);
        this.#refill?.saw(revocation);
      }
      if (revocation.kind === 'exemption') {
        this.#latestExemption = Math.max(this.#latestExemption, revocation.since);
      }
      for (const watch of this.#watchers) watch(revocation);
      companion.onRevocation(revocation);
      return 'taken';
    } catch {
      return 'unreadable';
    }
  }

  #elapsed(): number {
    const { clock } = this.#feeding;
    return clock.elapsed?.() ?? clock.now();
  }
}
