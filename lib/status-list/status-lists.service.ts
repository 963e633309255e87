import { Injectable } from '@nestjs/common';

import type { RevocableNames } from '../revocation/revocable-token.js';
import {
  type AllocationPolicy,
  type AllocationStores,
  IndexAllocator,
  type StatusReference,
} from './index-allocator.js';
import {
  type PublicationPolicy,
  type PublicationSources,
  type PublishedStatusList,
  StatusListPublisher,
} from './status-list-publisher.js';

/** The part of the configuration that published lists need. Lengths in seconds. */
export interface StatusListsConfig extends AllocationPolicy, PublicationPolicy {}

/**
 * The status lists of this service (Token Status List), by which services that verify its tokens
 * without its help learn that one was revoked.
 */
@Injectable()
export class StatusLists {
  readonly #allocator: IndexAllocator;
  readonly #publisher: StatusListPublisher;

  /** @internal */
  constructor(config: StatusListsConfig, surroundings: AllocationStores & PublicationSources) {
    this.#allocator = new IndexAllocator(config, surroundings);
    this.#publisher = new StatusListPublisher(config, surroundings);
  }

  /**
   * @internal The place of a token that is about to be signed.
   * @param expiresAt its `exp`, in seconds
   * @throws StoreError if the stores do not have it: then the token must not be signed
   */
  allocate(token: RevocableNames, expiresAt: number): Promise<StatusReference> {
    return this.#allocator.allocate(token, expiresAt);
  }

  /**
   * A list by the last part of its URI, up to date; `undefined` if there is none.
   * @throws RevocationError, KeyError while it cannot be said what is revoked: answer 503
   */
  read(name: string): Promise<PublishedStatusList | undefined> {
    return this.#publisher.read(name);
  }
}
