import type { Provider } from '@nestjs/common';

import type { ResolvedConfig } from '../config/resolve-config.js';
import { publishedStatusLists } from '../config/resolve-status-lists.js';
import { Clock } from '../kernel/clock.js';
import { KeyRingService } from '../keys/key-ring.service.js';
import { RevocationService } from '../revocation/revocation.service.js';
import { AllocationBook } from '../status-list/allocation-book.js';
import { StatusLists } from '../status-list/status-lists.service.js';
import { ALLOCATION_BOOK, CONFIG, required, STATUS_LISTS } from './configuration.js';

/** The status lists at a path, or their absence. */
export function statusListsAt(path: string | null): readonly Provider[] {
  if (path === null) {
    return [
      { provide: ALLOCATION_BOOK, useValue: null },
      { provide: STATUS_LISTS, useValue: null },
    ];
  }
  return [
    {
      provide: ALLOCATION_BOOK,
      useFactory: ({ statusLists }: ResolvedConfig) => new AllocationBook(statusLists.size),
      inject: [CONFIG],
    },
    {
      provide: StatusLists,
      useFactory: (
        { statusLists, keys, storage }: ResolvedConfig,
        book: AllocationBook,
        keyRing: KeyRingService,
        revocations: RevocationService,
        clock: Clock,
      ) => {
        const config = publishedStatusLists(statusLists, path, keys.algorithms);
        const replayStore = required(storage.replayStore);
        const log = required(storage.revocationLog);
        return new StatusLists(config, { book, clock, keyRing, log, replayStore, revocations });
      },
      inject: [CONFIG, ALLOCATION_BOOK, KeyRingService, RevocationService, Clock],
    },
    { provide: STATUS_LISTS, useExisting: StatusLists },
  ];
}
