import { Injectable, type OnModuleDestroy } from '@nestjs/common';

import type { SecurityEvents } from '../events/security-events.js';
import type { Clock } from '../kernel/clock.js';
import type { Storage, StorageStatus } from './storage.js';

/** Says when the storage goes down and comes back, and how it stands; closes it with the application. */
@Injectable()
export class StorageHealth implements OnModuleDestroy {
  readonly #storage: Storage;
  readonly #unsubscribe: () => void;
  #downSince: number | undefined;

  /** @internal */
  constructor(
    storage: Storage,
    private readonly clock: Clock,
    private readonly events: SecurityEvents,
  ) {
    this.#storage = storage;
    this.#unsubscribe = storage.onStatus((status) => this.#report(status));
  }

  /** What the storage is called, such as `redisStorage()`. */
  get name(): string {
    return this.#storage.name;
  }

  /** Whether it answers, and since when. */
  status(): StorageStatus {
    return this.#storage.status();
  }

  async onModuleDestroy(): Promise<void> {
    this.#unsubscribe();
    await this.#storage.close();
  }

  #report({ state, detail }: StorageStatus): void {
    const now = this.clock.now();
    const at = new Date(now);
    const { name: store } = this.#storage;
    if (state === 'down') {
      this.#downSince = now;
      this.events.emit({ type: 'store.down', at, store, detail });
    } else {
      const downFor = Math.max(0, now - (this.#downSince ?? now));
      this.#downSince = undefined;
      this.events.emit({ type: 'store.up', at, store, downFor });
    }
  }
}
