import { type Cache, createCache } from 'cache-manager';
import { Keyv } from 'keyv';

import {
  cacheManagerStorage,
  type CacheManagerStorageOptions,
} from '../../../lib/storage/cache-manager/cache-manager-storage.js';
import type { Storage } from '../../../lib/storage/storage.js';

export type Trouble = 'none' | 'hangs' | 'throws' | 'swallows errors' | 'loses entries';

const nextTurn = (): Promise<void> => new Promise((resolve) => void setImmediate(resolve));

/**
 * A server of texts, as Keyv's adapters for Redis and SQL speak to one: every call takes a turn, keys
 * are listed page by page while others write; and it can be in trouble.
 */
export class RemoteBackend {
  readonly texts = new Map<string, string>();
  trouble: Trouble = 'none';

  /** A cache of another process that uses this server. */
  newCache(options: { readonly namespace?: string } = {}): Cache {
    return createCache({ stores: [new Keyv({ store: this.#newAdapter(), ...options })] });
  }

  connect(options?: CacheManagerStorageOptions): Storage {
    return cacheManagerStorage(this.newCache(), options);
  }

  #newAdapter() {
    const texts = this.texts;
    const turn = this.#turn;
    return {
      // By this name Keyv decides whether it may list the keys.
      opts: { dialect: 'redis', url: '' },
      namespace: undefined as string | undefined,
      on: () => {},
      get: async (key: string) => {
        const works = await turn();
        return works ? texts.get(key) : undefined;
      },
      set: async (key: string, text: string) => {
        const works = await turn();
        if (works && this.trouble !== 'loses entries') texts.set(key, text);
        return true;
      },
      delete: async (key: string) => {
        await turn();
        return texts.delete(key);
      },
      clear: async () => texts.clear(),
      async *iterator() {
        const keys = [...texts.keys()];
        for (let at = 0; at < keys.length; at += 10) {
          const works = await turn();
          for (const key of keys.slice(at, at + 10)) {
            const text = texts.get(key);
            if (works && text !== undefined) yield [key, text];
          }
        }
      },
    };
  }

  readonly #turn = async (): Promise<boolean> => {
    await nextTurn();
    if (this.trouble === 'hangs') await new Promise(() => {});
    if (this.trouble === 'throws') throw new Error('connect ECONNREFUSED redis://a:pa55w0rd@b');
    return this.trouble !== 'swallows errors';
  };
}

/** Two caches of one process over one Map, as Keyv keeps them. */
export function cachesOver(store: Map<string, unknown>): () => Cache {
  return () => createCache({ stores: [new Keyv({ store })] });
}
