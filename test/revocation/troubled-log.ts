import { setImmediate as nextTurn } from 'node:timers/promises';

import {
  type LogFollower,
  type LoggedRevocation,
  type LogPage,
  type RevocationEntry,
  RevocationLog,
} from '../../lib/revocation/revocation-log.js';

/** What stores say when they fail: never for clients, nor for our own log. */
export const LOG_ERROR = new Error('connect ECONNREFUSED redis://user:pa55w0rd@10.0.0.7:6379');

/** The log itself, to which each instance has a `TroubledLog` of its own as its connection. */
export class SharedLog {
  entries: LoggedRevocation[] = [];
  readonly connections = new Set<TroubledLog>();
  /** Entries that were ever taken. */
  appended = 0;
  #life = 1;
  #number = 0;

  add({ data, expiresAt }: RevocationEntry): string {
    const position = `${this.#life}.${++this.#number}`;
    this.entries.push({ data, expiresAt, position });
    this.appended++;
    this.tell();
    return position;
  }

  /** Where an entry stands; -1 for the start, `undefined` if it is not there (any more). */
  placeOf(position: string | null): number | undefined {
    if (position === null) return -1;
    const place = this.entries.findIndex((entry) => entry.position === position);
    return place < 0 ? undefined : place;
  }

  /** All is gone, as after FLUSHALL. */
  wipe(): void {
    this.fallBackTo(0);
  }

  /** Only the first so many are left, as when a replica took over. */
  fallBackTo(count: number): void {
    this.entries = this.entries.slice(0, count);
    this.#life++;
    this.tell();
  }

  /** Every follower looks. */
  tell(): void {
    for (const connection of this.connections) connection.look();
  }

  /** The data of all entries, sorted. */
  texts(): readonly string[] {
    return this.entries.map(({ data }) => data).toSorted();
  }
}

interface Following {
  readonly follower: LogFollower;
  after: string | null;
  isOver: boolean;
}

/** The way of one instance to a shared log, with everything that can befall it. */
export class TroubledLog extends RevocationLog {
  appends: 'taken' | 'fail' | 'hang' | 'answer is lost' | 'fail strangely' = 'taken';
  reads: 'answered' | 'fail' | 'hang' = 'answered';
  /** Whether followers hear anything. */
  news: 'told' | 'kept back' = 'told';
  /** Turns of the event loop an append takes before the log has it. */
  delay: () => number = () => 1;
  /** Called when a page was read and is on its way. */
  onPage: (page: LogPage) => void | Promise<void> = () => {};
  pageSize = Infinity;
  readCount = 0;
  readonly #log: SharedLog;
  readonly #followings = new Set<Following>();

  constructor(log: SharedLog) {
    super();
    this.#log = log;
    log.connections.add(this);
  }

  async append(entry: RevocationEntry): Promise<{ readonly position: string }> {
    for (let turns = this.delay(); turns > 0; turns--) await nextTurn();
    if (this.appends === 'hang') return new Promise(() => {});
    if (this.appends === 'fail') throw LOG_ERROR;
    // Not even an error.
    if (this.appends === 'fail strangely') return Promise.reject(undefined);
    const position = this.#log.add(entry);
    if (this.appends === 'answer is lost') throw LOG_ERROR;
    await nextTurn();
    return { position };
  }

  async read(request: { readonly after: string | null; readonly limit: number }): Promise<LogPage> {
    this.readCount++;
    await nextTurn();
    if (this.reads === 'hang') return new Promise(() => {});
    if (this.reads === 'fail') throw LOG_ERROR;
    const page = this.#page(request.after, Math.min(request.limit, this.pageSize));
    // What stands now is what the answer says, however long it is on its way.
    await this.onPage(page);
    await nextTurn();
    return page;
  }

  follow(follower: LogFollower): () => void {
    const following = { follower, after: follower.after, isOver: false };
    this.#followings.add(following);
    queueMicrotask(() => this.#tell(following));
    return () => {
      following.isOver = true;
      this.#followings.delete(following);
    };
  }

  /** How many follow. */
  get followers(): number {
    return this.#followings.size;
  }

  look(): void {
    if (this.news === 'kept back') return;
    for (const following of this.#followings) this.#tell(following);
  }

  #tell(following: Following): void {
    if (following.isOver || this.news === 'kept back') return;
    const { follower } = following;
    const page = this.#page(following.after, Infinity);
    if (page.verdict === 'lost') {
      following.isOver = true;
      this.#followings.delete(following);
      follower.onLost();
      return;
    }
    following.after = page.position;
    if (page.entries.length > 0) follower.onEntries(page.entries);
    if (!following.isOver) follower.onCurrent();
  }

  #page(after: string | null, limit: number): LogPage {
    const place = this.#log.placeOf(after);
    if (place === undefined) return { verdict: 'lost' };
    const entries = this.#log.entries.slice(place + 1, place + 1 + limit);
    const position = entries.at(-1)?.position ?? after;
    const atEnd = place + 1 + entries.length === this.#log.entries.length;
    return { verdict: 'read', entries, position, atEnd };
  }
}
