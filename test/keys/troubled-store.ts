import { KeyStore, type LoadedKeyRing, type StoredKeyRing } from '../../lib/keys/key-store.js';

export type Trouble =
  | 'none'
  | 'load fails'
  | 'replace fails'
  | 'always loses'
  /** It stores the ring, and the answer that says so is lost. */
  | 'answer is lost';

/** What stores say when they fail: never for clients, nor for our own log. */
export const STORE_ERROR = new Error('connect ECONNREFUSED redis://user:pa55w0rd@10.0.0.7:6379');

const nextTurn = (): Promise<void> => new Promise((resolve) => void setImmediate(resolve));

/**
 * A key store somewhere else: every call takes a turn of the event loop, so that calls of several
 * instances interleave; and it can be in trouble.
 */
export class TroubledStore extends KeyStore {
  trouble: Trouble = 'none';
  /** What versions do when the ring was wiped; only a store that breaks its promise begins anew. */
  numbers: 'go on' | 'begin anew' = 'go on';
  /** Whether a change is announced, or the announcement is lost on its way. */
  announcements: 'delivered' | 'lost' = 'delivered';
  /** What its clock says. */
  time: (() => number) | null = null;
  loads = 0;
  attempts = 0;
  /** Every ring that was ever stored, in order. */
  readonly rings: string[] = [];
  readonly listeners = new Set<() => void>();
  #stored: StoredKeyRing | null = null;
  #highest = 0;
  #held: Promise<void> | undefined;

  /** The answer to the next load stays on its way until it is let go. */
  holdNextLoad(): () => void {
    let letGo = (): void => {};
    this.#held = new Promise((resolve) => {
      letGo = resolve;
    });
    return letGo;
  }

  async load(): Promise<LoadedKeyRing> {
    this.loads++;
    // What stands now is what the answer says, however long it is on its way.
    const answer = this.#stored;
    const held = this.#held;
    this.#held = undefined;
    await nextTurn();
    await held;
    if (this.trouble === 'load fails') throw STORE_ERROR;
    return { stored: answer, storeTime: this.time?.() ?? null };
  }

  async replace(request: {
    readonly expectedVersion: number | null;
    readonly ring: string;
  }): Promise<boolean> {
    this.attempts++;
    await nextTurn();
    if (this.trouble === 'replace fails') throw STORE_ERROR;
    if (this.trouble === 'always loses') return false;
    if ((this.#stored?.version ?? null) !== request.expectedVersion) return false;
    const before = this.numbers === 'go on' ? this.#highest : (request.expectedVersion ?? 0);
    this.put({ version: before + 1, ring: request.ring });
    if (this.trouble === 'answer is lost') throw STORE_ERROR;
    return true;
  }

  onChange(listener: () => void): () => void {
    this.listeners.add(listener);
    return () => this.listeners.delete(listener);
  }

  /** What no instance did: an operator, a restored backup, an attacker. */
  put(stored: StoredKeyRing | null): void {
    this.#stored = stored;
    this.#highest = Math.max(this.#highest, stored?.version ?? 0);
    if (stored !== null) this.rings.push(stored.ring);
    if (this.announcements === 'delivered') for (const listener of this.listeners) listener();
  }

  get stored(): StoredKeyRing | null {
    return this.#stored;
  }
}
