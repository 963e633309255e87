import { tokenFailed } from './token-failure.js';

/** Callers that wait beyond this many are told so: memory is bounded, and none would be served in time. */
const MAX_WAITING = 1_000;

/**
 * So many at a time, the others in the order they came. A seat is free again when the work on it has
 * ended, however long its caller has stopped waiting: a PKCS#11 session serves one operation.
 */
export class Seats {
  readonly #waiting = new Set<{ enter(): void; refuse(error: Error): void }>();
  #free: number;

  constructor(private readonly count: number) {
    this.#free = count;
  }

  /** Runs `work` once there is a seat. Rejects when all of it took longer than `deadlineMs`. */
  async use<T>(deadlineMs: number, work: () => Promise<T>): Promise<T> {
    const { expired, settle } = startDeadline(deadlineMs);
    try {
      await this.#enter(expired);
      const running = work().finally(() => this.#leave());
      return await Promise.race([running, expired]);
    } finally {
      settle();
    }
  }

  /** Refuses all who wait, and answers once nobody works any more, or after the deadline. */
  async close(deadlineMs: number, reason: Error): Promise<void> {
    for (const waiting of this.#waiting) waiting.refuse(reason);
    this.#waiting.clear();
    const { expired, settle } = startDeadline(deadlineMs);
    const all = Array.from({ length: this.count }, () => this.#enter(expired));
    // What still runs after that is stuck in the library, where nobody can reach it.
    await Promise.allSettled(all);
    settle();
  }

  async #enter(expired: Promise<never>): Promise<void> {
    if (this.#free > 0) {
      this.#free--;
      return;
    }
    if (this.#waiting.size >= MAX_WAITING) throw tokenFailed('too many operations wait for it');
    let seat: { enter(): void; refuse(error: Error): void } | undefined;
    const turn = new Promise<void>((resolve, reject) => {
      seat = { enter: resolve, refuse: reject };
      this.#waiting.add(seat);
    });
    try {
      await Promise.race([turn, expired]);
    } catch (error) {
      // Given a seat in the very moment of giving up: it goes to the next.
      if (seat !== undefined && !this.#waiting.delete(seat)) turn.then(() => this.#leave(), ignore);
      throw error;
    }
  }

  #leave(): void {
    const [next] = this.#waiting;
    if (next === undefined) {
      this.#free++;
      return;
    }
    this.#waiting.delete(next);
    next.enter();
  }
}

/** `expired` rejects after `ms`, unless it was settled before. */
export function startDeadline(ms: number): {
  readonly expired: Promise<never>;
  readonly settle: () => void;
} {
  let timer: NodeJS.Timeout | undefined;
  const expired = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(tokenFailed('it did not answer in time')), ms);
    timer.unref();
  });
  // Whoever awaits it still sees it; nobody has to.
  expired.catch(ignore);
  return { expired, settle: () => clearTimeout(timer) };
}

function ignore(): void {}
