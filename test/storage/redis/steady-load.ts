import { createHash } from 'node:crypto';

import type { Storage } from '../../../lib/storage/storage.js';
import { redisStorage } from '../../../lib/storage/redis/redis-storage.js';
import type { LoggedRevocation } from '../../../lib/revocation/revocation-log.js';

/**
 * What an app does to a storage while something happens to Redis: it goes on calling, repeats what
 * failed, and writes down what it was answered.
 */

type RedisStorage = ReturnType<typeof redisStorage>;

export interface Outcome {
  readonly at: number;
  readonly took: number;
  /** `undefined` for an answer. */
  readonly failure: unknown;
}

const HOUR = 3_600_000;
/** One round of calls so often, in milliseconds. */
const ROUND = 20;

export function digest(text: string): string {
  return createHash('sha256').update(text).digest('base64url');
}

export class SteadyLoad {
  readonly outcomes: Outcome[] = [];
  /** How often each claim was granted. */
  readonly grants = new Map<string, number>();
  /** What was acknowledged, by its text. */
  readonly appended = new Set<string>();
  /** Rotations this client knows to have happened. */
  rotations = 0;
  readonly verdicts = new Set<string>();
  /** What the session's refresh token is now, as far as this client knows. */
  secret = 'secret-0';
  #isOver = false;
  #workers: Promise<unknown> = Promise.resolve();
  #unsettled = 0;

  constructor(
    readonly storage: Storage,
    readonly owner: string,
  ) {}

  get unsettled(): number {
    return this.#unsettled;
  }

  get key(): { readonly owner: string; readonly id: string } {
    return { owner: this.owner, id: 'session' };
  }

  async start(): Promise<void> {
    const { sessionStore } = carried(this.storage);
    await sessionStore.create({
      key: this.key,
      lineage: digest('lineage'),
      secret: digest(this.secret),
      binding: null,
      data: 'device',
      idleFor: HOUR,
      absoluteFor: HOUR,
      atMost: 1,
    });
    this.#workers = Promise.all([
      this.#claims(),
      this.#rotations(),
      this.#appends(),
      this.#counts(),
    ]);
  }

  async stop(): Promise<void> {
    this.#isOver = true;
    await this.#workers;
  }

  /** Failures since an instant. */
  failuresSince(at: number): readonly Outcome[] {
    return this.outcomes.filter((outcome) => outcome.at >= at && outcome.failure !== undefined);
  }

  answersSince(at: number): readonly Outcome[] {
    return this.outcomes.filter((outcome) => outcome.at >= at && outcome.failure === undefined);
  }

  /** Claims one key after the other, each until there is an answer. */
  #claims(): Promise<void> {
    const { replayStore } = carried(this.storage);
    let number = 0;
    return this.#loop(async () => {
      const key = `${this.owner}-${number}`;
      const isGranted = await this.#note(() =>
        replayStore.claimOnce({ key, expiresAt: Date.now() + HOUR }),
      );
      if (isGranted === true) {
        this.grants.set(key, (this.grants.get(key) ?? 0) + 1);
        // Once more, as an attacker would.
        if (
          (await this.#note(() => replayStore.claimOnce({ key, expiresAt: Date.now() + HOUR }))) ===
          true
        ) {
          this.grants.set(key, (this.grants.get(key) ?? 0) + 1);
        }
      }
      if (isGranted !== undefined) number++;
    });
  }

  /** Rotates one refresh token; after an unknown outcome it presents the same one again. */
  #rotations(): Promise<void> {
    const { sessionStore } = carried(this.storage);
    let attempt = 0;
    return this.#loop(async () => {
      const next = `secret-${this.rotations + 1}-${attempt++}`;
      const verdict = await this.#note(() =>
        sessionStore.rotate({
          presented: {
            key: this.key,
            lineage: digest('lineage'),
            secret: digest(this.secret),
            binding: null,
          },
          next: { secret: digest(next), sealed: next, data: null },
          graceFor: 60_000,
          askedAt: null,
        }),
      );
      if (verdict === undefined) return;
      this.verdicts.add(verdict.verdict);
      if (verdict.verdict === 'rotated') this.secret = next;
      else if (verdict.verdict === 'repeated') this.secret = verdict.sealed;
      else return;
      this.rotations++;
    });
  }

  #appends(): Promise<void> {
    const { revocationLog } = carried(this.storage);
    let number = 0;
    return this.#loop(async () => {
      const data = `${this.owner}-${number++}`;
      const entry = { data, expiresAt: Date.now() + HOUR };
      if ((await this.#note(() => revocationLog.append(entry))) !== undefined) {
        this.appended.add(data);
      }
    });
  }

  #counts(): Promise<void> {
    const { attemptStore, keyStore } = carried(this.storage);
    return this.#loop(async () => {
      await Promise.all([
        this.#note(() => attemptStore.record({ key: this.owner, window: HOUR, runsFrom: 'first' })),
        this.#note(() => keyStore.load()),
      ]);
    });
  }

  async #loop(round: () => Promise<void>): Promise<void> {
    while (!this.#isOver) {
      await round();
      await new Promise((resolve) => setTimeout(resolve, ROUND));
    }
  }

  async #note<Answer>(call: () => Promise<Answer>): Promise<Answer | undefined> {
    const at = Date.now();
    this.#unsettled++;
    try {
      const answer = await call();
      this.outcomes.push({ at, took: Date.now() - at, failure: undefined });
      return answer;
    } catch (failure) {
      this.outcomes.push({ at, took: Date.now() - at, failure });
      return undefined;
    } finally {
      this.#unsettled--;
    }
  }
}

/** The ports of a storage that carries all of them, as `redisStorage()` does. */
export function carried(storage: Storage): {
  readonly [
    Name in 'keyStore' | 'revocationLog' | 'sessionStore' | 'replayStore' | 'attemptStore'
  ]: Exclude<Storage[Name], { readonly reason: string }>;
} {
  const { keyStore, revocationLog, sessionStore, replayStore, attemptStore } = storage;
  for (const port of [keyStore, revocationLog, sessionStore, replayStore, attemptStore]) {
    if ('reason' in port) throw new TypeError('a port is not carried');
  }
  return { keyStore, revocationLog, sessionStore, replayStore, attemptStore } as ReturnType<
    typeof carried
  >;
}

/** Follows the log and keeps what it heard. */
export class Listener {
  readonly heard: string[] = [];
  lost = 0;
  currentAt = 0;
  readonly end: () => void;

  constructor(storage: RedisStorage, after: string | null = null) {
    this.end = carried(storage).revocationLog.follow({
      after,
      onEntries: (entries: readonly LoggedRevocation[]) =>
        void this.heard.push(...entries.map(({ data }) => data)),
      onCurrent: () => (this.currentAt = Date.now()),
      onLost: () => this.lost++,
    });
  }
}
