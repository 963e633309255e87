import { createHmac, type KeyObject } from 'node:crypto';

import type { Clock } from '../../kernel/clock.js';
import type { ReplayStore } from '../replay-store.js';
import type { SenderSecrets } from '../sender-secrets.js';
import { type TraitValues, TRAITS } from './fingerprint-claim.js';
import type { RapidConfig, Response } from './fingerprint-config.js';

/** Counts for all instances together; an `AttemptStore` does. */
export interface ChangeCounter {
  record(change: {
    readonly key: string;
    readonly window: number;
    readonly runsFrom: 'first' | 'last';
  }): Promise<{ readonly count: number }>;
  read(key: string): Promise<{ readonly count: number }>;
}

/** Where it is remembered by whom a session was shown. */
export interface ChangeMemory {
  readonly replays: ReplayStore;
  readonly counter: ChangeCounter;
  readonly clock: Clock;
}

/**
 * Counts the senders that one session is shown by, on whatever instance: a copied token that is tried
 * by many, each of whom differs by little. The stores hold keyed digests, for as long as they count.
 */
export class RapidChanges {
  readonly #key: KeyObject;

  constructor(
    private readonly config: RapidConfig,
    private readonly memory: ChangeMemory,
    secrets: SenderSecrets,
  ) {
    this.#key = secrets.derive('fingerprint changes')[0].key;
  }

  /**
   * What is done about one more sender: nothing, unless there are too many. Then it is done about each
   * of them until the window is over, as nobody knows which came first.
   * @param shown what is shown: a session, or a token without one
   * @throws StoreError if nobody knows. One that was claimed and could not be counted counts for none.
   */
  async responseTo(shown: string, values: TraitValues): Promise<Response> {
    const { changes, within: window, response } = this.config;
    const { replays, counter, clock } = this.memory;
    const key = `fingerprint:${this.#digest(shown)}`;
    // First of all: who is over the limit writes nothing more, however many senders he makes up.
    if ((await counter.read(key)).count > changes) return response;
    const sender = `fingerprint:${this.#digest(shown, variantOf(values))}`;
    const expiresAt = Math.ceil(clock.now()) + window;
    if (!(await replays.claimOnce({ key: sender, expiresAt }))) return 'pass';
    const { count } = await counter.record({ key, window, runsFrom: 'first' });
    return count > changes ? response : 'pass';
  }

  #digest(...parts: readonly string[]): string {
    return createHmac('sha256', this.#key).update(JSON.stringify(parts)).digest('base64url');
  }
}

/** What makes senders different ones; an address within its prefix does not. */
function variantOf(values: TraitValues): string {
  return JSON.stringify(TRAITS.map((trait) => (trait === 'i' ? null : values[trait])));
}
