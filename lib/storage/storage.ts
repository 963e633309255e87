import type { AttemptStore } from '../abuse/attempt-store.js';
import type { ReplayStore } from '../binding/replay-store.js';
import type { KeyStore } from '../keys/key-store.js';
import type { RevocationLog } from '../revocation/revocation-log.js';
import type { SessionStore } from '../sessions/session-store.js';

/** Stands where a port would, in a storage that cannot carry it. */
export class NotCarried {
  /** @param reason why not, as the end of a sentence: what the backend lacks */
  constructor(readonly reason: string) {}
}

/** Whether a storage answers. */
export interface StorageStatus {
  readonly state: 'up' | 'down';
  /** Since when; by this instance's clock. */
  readonly since: Date;
  /** What happened, for operators; without addresses and passwords. */
  readonly detail: string;
}

/**
 * A place to keep state: one adapter for each port. Make one with `memoryStorage()`,
 * `redisStorage()` or `cacheManagerStorage()`, or write your own and prove it with the contracts of
 * `nest-jwt-hardening/testing`.
 */
export interface Storage {
  /** How messages call it, such as `redisStorage()`. */
  readonly name: string;
  /** Whether state stays in this process, or lies where others can read and change it. */
  readonly reach: 'process' | 'shared';
  readonly keyStore: KeyStore | NotCarried;
  readonly revocationLog: RevocationLog | NotCarried;
  readonly sessionStore: SessionStore | NotCarried;
  readonly replayStore: ReplayStore | NotCarried;
  readonly attemptStore: AttemptStore | NotCarried;
  status(): StorageStatus;
  /** Calls back after each change of `status().state`. Returns what ends the subscription. */
  onStatus(listener: (status: StorageStatus) => void): () => void;
  /** Lets go of timers, and of connections it opened itself. Calls after it reject. */
  close(): Promise<void>;
}
