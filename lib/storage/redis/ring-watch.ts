import { openClient, type RedisClient, type RedisSource } from './redis-clients.js';
import { closed } from './redis-failure.js';
import type { RedisGate } from './redis-gate.js';
import type { RedisKeys } from './redis-keys.js';

/** So often the version is compared: a lost notification delays a change by no more. */
const COMPARE_EVERY = 500;

/**
 * Tells listeners that the ring may have changed. A subscription brings it within milliseconds, but
 * messages get lost with connections, and a Cluster client changes those silently; so the version is
 * looked at as well.
 */
export class RingWatch {
  readonly #source: RedisSource;
  readonly #gate: RedisGate;
  readonly #keys: RedisKeys;
  readonly #listeners = new Set<() => void>();
  #subscriber: RedisClient | undefined;
  #timer: NodeJS.Timeout | undefined;
  #version: string | null | undefined;
  #isClosed = false;

  constructor(source: RedisSource, gate: RedisGate, keys: RedisKeys) {
    this.#source = source;
    this.#gate = gate;
    this.#keys = keys;
  }

  add(listener: () => void): () => void {
    if (this.#isClosed) throw closed();
    // Registered under a function of its own, so that one listener can be given twice.
    const registered = (): void => listener();
    this.#listeners.add(registered);
    if (this.#subscriber === undefined) this.#start();
    return () => {
      this.#listeners.delete(registered);
      if (this.#listeners.size === 0) this.#stop();
    };
  }

  close(): void {
    this.#isClosed = true;
    this.#listeners.clear();
    this.#stop();
  }

  #stop(): void {
    clearInterval(this.#timer);
    this.#subscriber?.disconnect();
    this.#subscriber = undefined;
    this.#version = undefined;
  }

  #start(): void {
    const subscriber = openClient(this.#source);
    this.#subscriber = subscriber;
    const channel = this.#keys.keyRingChanges();
    subscriber.on('message', () => this.#notify(subscriber));
    subscriber.on('ready', () => {
      // What was published before this connection listened is lost on it.
      subscriber.subscribe(channel).then(
        () => this.#notify(subscriber),
        () => {},
      );
    });
    subscriber.connect().catch(() => {});
    this.#timer = setInterval(() => void this.#compare(subscriber), COMPARE_EVERY).unref();
  }

  async #compare(subscriber: RedisClient): Promise<void> {
    if (subscriber.status === 'end') subscriber.connect().catch(() => {});
    let version: string | null;
    try {
      const key = this.#keys.keyRing();
      const reply = await this.#gate.call({
        task: 'watching the key ring',
        key,
        send: (client) => client.hget(key, 'version'),
      });
      version = reply.textOrNull();
    } catch {
      // Whoever needs the ring meets the same failure, and says so.
      return;
    }
    if (this.#version === version) return;
    this.#version = version;
    this.#notify(subscriber);
  }

  /** @param subscriber of which round; one that was ended meanwhile has nobody to tell */
  #notify(subscriber: RedisClient): void {
    if (subscriber !== this.#subscriber) return;
    for (const listener of this.#listeners) {
      try {
        listener();
      } catch {
        // What a listener makes of it is its own affair; the others still hear of it.
      }
    }
  }
}
