import type { Cache } from 'cache-manager';

import { StoreError } from '../../kernel/errors.js';
import type { StoreHealth } from '../store-health.js';

/** A `Keyv`: one store of a cache. */
export type CacheStore = Cache['stores'][number];

/** What all keys of this package begin with. No colon: Keyv cuts keys there when it lists them. */
const PREFIX = 'nest-jwt-hardening.';

/** So many entries are listed in one go. */
const BREATH = 1_000;

/**
 * Texts under names of their own, in a store that can put, get and list, and nothing atomically. A
 * cache is made to go on when its backend fails; here every answer is doubted, so that what is not
 * known to be kept counts as not kept.
 */
export class CacheShelf {
  readonly #store: CacheStore;
  readonly #health: StoreHealth;
  readonly #deadline: number;

  /** @param deadline milliseconds until a call counts as failed */
  constructor(store: CacheStore, health: StoreHealth, deadline: number) {
    this.#store = store;
    this.#health = health;
    this.#deadline = deadline;
  }

  /** Keeps a text, for so many milliseconds or, with 0, for ever. */
  async put(name: string, text: string, ttl: number): Promise<void> {
    await this.#ask('keep an entry', async () => {
      const kept = await this.#store.set(PREFIX + name, text, ttl);
      // Keyv and most of its adapters swallow errors, and say that what they lost was kept.
      if (!kept || (await this.#store.get<unknown>(PREFIX + name)) !== text) throw notKept();
      this.#health.reportUp(this);
    });
  }

  async has(name: string): Promise<boolean> {
    return this.#ask('answer', async () => {
      const isThere = (await this.#store.get<unknown>(PREFIX + name)) !== undefined;
      if (isThere) this.#health.reportUp(this);
      return isThere;
    });
  }

  /** All texts by their names, of those at least that were kept when it began. */
  async list(): Promise<ReadonlyMap<string, unknown>> {
    return this.#ask('list its entries', async (isLate) => {
      const texts = new Map<string, unknown>();
      const entries: AsyncIterable<unknown> | undefined = this.#store.iterator?.(undefined);
      let listed = 0;
      for await (const entry of entries ?? []) {
        // A store in this process never lets others have a turn.
        if (++listed % BREATH === 0) await new Promise((resolve) => void setImmediate(resolve));
        if (isLate()) break;
        if (!Array.isArray(entry)) continue;
        const [key, text]: readonly unknown[] = entry;
        if (typeof key !== 'string' || !key.startsWith(PREFIX)) continue;
        texts.set(key.slice(PREFIX.length), text);
      }
      // An empty list can be the answer of an adapter that swallowed an error.
      if (texts.size > 0) this.#health.reportUp(this);
      return texts;
    });
  }

  /** @throws StoreError `ERR_STORE_UNAVAILABLE` */
  async #ask<Answer>(
    what: string,
    call: (isLate: () => boolean) => Promise<Answer>,
  ): Promise<Answer> {
    let late = false;
    let timer: NodeJS.Timeout | undefined;
    const deadline = new Promise<never>((_resolve, reject) => {
      timer = setTimeout(() => {
        late = true;
        reject(new StoreError('ERR_STORE_UNAVAILABLE', 'The deadline passed.'));
      }, this.#deadline).unref();
    });
    try {
      return await Promise.race([call(() => late), deadline]);
    } catch (cause) {
      const detail = `The cache did not ${what} in time, or at all.`;
      this.#health.reportDown(this, detail);
      throw new StoreError('ERR_STORE_UNAVAILABLE', detail, { cause });
    } finally {
      clearTimeout(timer);
    }
  }
}

function notKept(): StoreError {
  return new StoreError('ERR_STORE_UNAVAILABLE', 'What was put is not there.');
}

/** Why a cache cannot be listed, or `null` if it can. */
export function whyNotListed(cache: Cache): string | null {
  const [store, ...others] = cache.stores;
  if (store === undefined || others.length > 0) {
    return `its cache has ${cache.stores.length} stores, and one in front hides what other instances put into the one behind`;
  }
  if (store.iterator === undefined) {
    return 'its backend cannot list its keys (Keyv has no iterator for it), so that other instances would not find an entry';
  }
  const { namespace } = store;
  if (store.useKeyPrefix && (namespace === undefined || /^$|:/.test(namespace))) {
    return 'its Keyv has no namespace, or one with a colon, and so cuts its keys when it lists them';
  }
  return null;
}
