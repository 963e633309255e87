import { randomInt } from 'node:crypto';

import type { ReplayStore } from '../binding/replay-store.js';
import type { Clock } from '../kernel/clock.js';
import { StoreError } from '../kernel/errors.js';
import type { RevocableNames } from '../revocation/revocable-token.js';
import type { RevocationLog } from '../revocation/revocation-log.js';
import type { AllocationBook } from './allocation-book.js';
import { type Allocation, writeAllocation } from './allocation-entry.js';
import { closesAt, formatListName, type ListName, listNameAt } from './list-name.js';

/** How lists take tokens. Lengths in seconds. */
export interface AllocationPolicy {
  /** Where the lists are served, without a slash at the end. */
  readonly baseUri: string;
  /** Tokens a list has room for; a multiple of 8. */
  readonly size: number;
  /** How long one list takes tokens. */
  readonly period: number;
  /** No token lives longer. */
  readonly maxLifetime: number;
  readonly leeway: number;
}

export interface AllocationStores {
  readonly book: AllocationBook;
  readonly log: RevocationLog;
  readonly replayStore: ReplayStore;
  readonly clock: Clock;
}

/** Where the status of a token stands: the claim `status.status_list` (Token Status List §6.2). */
export interface StatusReference {
  readonly idx: number;
  readonly uri: string;
}

/** Draws in a row that hit a taken index, before the next list is begun: one is then half full. */
const MAX_COLLISIONS = 8;

/** Lists tried for one token. Only a store that grants nothing gets this far. */
const MAX_LISTS = 16;

/**
 * Gives every token an index that nobody can foresee, drawn at random, claimed in the store that all
 * instances share, and told to all of them by the log. No other token of this service has it, unless the
 * store loses its claims (a wipe, or a restart of embedded storage) while the first token lives.
 */
export class IndexAllocator {
  readonly #policy: AllocationPolicy;
  readonly #stores: AllocationStores;
  /** The list of this period that has room, as far as is known here. */
  #current: ListName = { start: 0, period: 1, number: 0 };

  constructor(policy: AllocationPolicy, stores: AllocationStores) {
    this.#policy = policy;
    this.#stores = stores;
  }

  /**
   * @param expiresAt the `exp` of the token, in seconds
   * @throws StoreError if the stores do not have it: a token must not go out that no list can withdraw
   */
  async allocate(token: RevocableNames, expiresAt: number): Promise<StatusReference> {
    const { book, log, clock } = this.#stores;
    const { list, index } = await this.#claim();
    const allocation: Allocation = {
      list,
      index,
      token: {
        token: token.token,
        session: token.session,
        subject: token.subject,
        key: token.key,
        issuedAt: Math.floor(token.issuedAt),
        // Without one it dies with whatever befalls its subject.
        era: token.era ?? 0,
      },
      until: this.#acceptedUntil(expiresAt),
    };
    await log.append(writeAllocation(allocation));
    if (book.add(allocation, clock.now()) === 'unreadable') throw noRoom();
    return { idx: index, uri: `${this.#policy.baseUri}/${formatListName(list)}` };
  }

  async #claim(): Promise<{ readonly list: ListName; readonly index: number }> {
    for (let lists = 0; lists < MAX_LISTS; lists++) {
      const list = this.#listNow();
      for (let draws = 0; draws < MAX_COLLISIONS; draws++) {
        const index = randomInt(this.#policy.size);
        if (await this.#isFree(list, index)) return { list, index };
      }
      this.#leave(list);
    }
    throw noRoom();
  }

  async #isFree(list: ListName, index: number): Promise<boolean> {
    const { book, replayStore, clock } = this.#stores;
    const name = formatListName(list);
    if (book.find(name, clock.now())?.isTaken(index) === true) return false;
    // Held until the last token that the list can take has expired, whatever becomes of this one.
    const expiresAt = this.#acceptedUntil(closesAt(list) + this.#policy.maxLifetime);
    return replayStore.claimOnce({ key: `status-list:${name}:${index}`, expiresAt });
  }

  /** In milliseconds, of an `exp` in seconds. Stores take whole ones. */
  #acceptedUntil(expiresAt: number): number {
    return Math.ceil((expiresAt + this.#policy.leeway) * 1000);
  }

  #listNow(): ListName {
    const now = Math.floor(this.#stores.clock.now() / 1000);
    const first = listNameAt(now, this.#policy.period, 0);
    if (first.start !== this.#current.start) this.#current = first;
    return this.#current;
  }

  /** Unless others who share the list have left it already. */
  #leave(list: ListName): void {
    if (this.#current === list) this.#current = { ...list, number: list.number + 1 };
  }
}

function noRoom(): StoreError {
  return new StoreError('ERR_STORE_FULL', 'No status list has room for another token.');
}
