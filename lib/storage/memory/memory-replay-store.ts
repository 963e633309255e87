import { ReplayStore } from '../../binding/replay-store.js';
import type { Clock } from '../../kernel/clock.js';
import { Expiring } from './expiry-queue.js';
import { MemoryRoom } from './memory-room.js';
import { expectKey } from './port-limits.js';

class Claim extends Expiring {
  constructor(
    readonly key: string,
    expiresAt: number,
  ) {
    super(expiresAt);
  }
}

/** What was used once in this process. A restart forgets it, so that it can be used once more. */
export class MemoryReplayStore extends ReplayStore {
  readonly #claims = new Map<string, Claim>();
  readonly #room: MemoryRoom<Claim>;

  constructor(maxEntries: number, clock: Clock) {
    super();
    this.#room = new MemoryRoom(maxEntries, clock, ({ key }) => this.#claims.delete(key));
  }

  async claimOnce({
    key,
    expiresAt,
  }: {
    readonly key: string;
    readonly expiresAt: number;
  }): Promise<boolean> {
    const now = this.#room.enter();
    expectKey(key);
    // Also what is no number.
    if (!(expiresAt > now)) return false;
    if (expiresAt === Infinity) throw new TypeError('A claim expires at some instant.');
    const standing = this.#claims.get(key);
    if (standing !== undefined) {
      if (standing.expiresAt > now) return false;
      this.#room.reschedule(standing, expiresAt);
      return true;
    }
    this.#room.expectRoom();
    const claim = new Claim(key, expiresAt);
    this.#claims.set(key, claim);
    this.#room.add(claim);
    return true;
  }

  /** How many claims are held, expired ones that were not swept included. */
  get size(): number {
    return this.#room.size;
  }

  close(): void {
    this.#room.close();
  }
}
