import type { Clock } from '../../kernel/clock.js';
import type { StoreHealth } from '../store-health.js';
import type { LuaScript } from './lua-script.js';
import { OutageWatch, type Replication } from './outage-watch.js';
import { isCluster, type RedisClient } from './redis-clients.js';
import {
  closed,
  failureOf,
  isUnknownScript,
  TooFewReplicas,
  unavailable,
} from './redis-failure.js';
import type { RedisKeys } from './redis-keys.js';
import { RedisReply } from './redis-reply.js';

/** Lengths in milliseconds. */
export interface GateLimits {
  /** For one call, waiting for the connection included. */
  readonly deadline: number;
  /** For the first connection, in place of the deadline. */
  readonly connectTimeout: number;
  /** How many calls may be under way. */
  readonly maxPending: number;
  readonly replication: Replication | null;
}

/** What a call is about. */
export interface Call {
  /** As the end of a sentence in an error: "rotating a session". */
  readonly task: string;
  /** Decides which node of a Cluster must answer. */
  readonly key: string;
  readonly send: (client: RedisClient) => Promise<unknown>;
}

/** A script, and what it is run with. */
export interface ScriptCall {
  readonly task: string;
  readonly script: LuaScript;
  readonly keys: readonly [string, ...string[]];
  readonly args: readonly string[];
  /**
   * Tells an answer that refused and changed nothing: it counts however few replicas there are.
   * Without it every answer counts as a change.
   */
  readonly isRefusal?: (reply: unknown) => boolean;
}

/**
 * The one way to Redis. Every call ends within its deadline, whatever the network does: waiting for
 * a connection counts, the number of calls under way is bounded, and while a server fails calls are
 * refused at once.
 *
 * A call that failed or missed its deadline may have been carried out nevertheless, or may yet be.
 * That is why every verb of every port can be repeated without granting anything twice.
 */
export class RedisGate {
  readonly #client: RedisClient;
  readonly #limits: GateLimits;
  readonly #watch: OutageWatch;
  readonly #waiting = new Set<() => void>();
  readonly #pending = new Set<Promise<unknown>>();
  #isClosed = false;
  #wasReady = false;

  constructor(
    client: RedisClient,
    limits: GateLimits,
    keys: RedisKeys,
    health: StoreHealth,
    clock: Clock,
  ) {
    this.#client = client;
    this.#limits = limits;
    this.#watch = new OutageWatch(client, limits, keys, health, clock);
    client.on('ready', () => void this.#admit());
  }

  /** How many calls are under way. */
  get pending(): number {
    return this.#pending.size;
  }

  /** Runs a script, and waits for replicas where that was configured. */
  async run(script: ScriptCall): Promise<RedisReply> {
    const { task } = script;
    const key = script.keys[0];
    const { replication } = this.#limits;
    if (replication === null) {
      return this.call({ task, key, send: (client) => runScript(client, script) });
    }
    const send = (client: RedisClient): Promise<unknown> =>
      runReplicated(client, script, replication);
    return this.call({ task, key, send });
  }

  /** Connects, and finds out what holds of the servers, before any call. Once closed: nothing. */
  watch(): void {
    if (!this.#isClosed) this.#watch.start();
  }

  /**
   * Whether the server of this key took a write a moment ago, and is no replica of another; where
   * replicas were configured, whether as many of them took it as well.
   */
  isProven(key: string): boolean {
    return this.#watch.isProven(key);
  }

  async call(call: Call): Promise<RedisReply> {
    if (this.#isClosed) throw closed();
    if (this.#pending.size >= this.#limits.maxPending) {
      throw unavailable(`Too many calls are under way for ${call.task}`);
    }
    this.#watch.start();
    const outage = this.#watch.outageFor(call.key);
    if (outage !== undefined) throw unavailable(`Redis is down, so there is no ${call.task}`);

    const attempt = this.#attempt(call);
    this.#pending.add(attempt);
    try {
      const reply = await attempt;
      this.#watch.noteAnswer(call.key);
      return new RedisReply(reply, call.task);
    } catch (reason) {
      const failure = failureOf(reason, call.task);
      const { error, isOutage } = failure;
      if (isOutage) this.#watch.noteFailure(call.key, failure);
      else if (error.code !== 'ERR_STORE_CLOSED') this.#watch.noteAnswer(call.key);
      throw error;
    } finally {
      this.#pending.delete(attempt);
    }
  }

  /** A client of each server that holds a part of the store. */
  async masters(): Promise<readonly RedisClient[]> {
    const key = 'connection';
    await this.call({ task: 'connecting', key, send: (client) => client.exists(key) });
    return isCluster(this.#client) ? this.#client.nodes('master') : [this.#client];
  }

  /** Refuses new calls and lets those under way come to their end, which their deadline bounds. */
  async close(): Promise<void> {
    this.#isClosed = true;
    this.#watch.stop();
    for (const wake of this.#waiting) wake();
    await Promise.allSettled(this.#pending);
    this.#client.disconnect();
  }

  async #admit(): Promise<void> {
    if (isCluster(this.#client) && !this.#wasReady) {
      // Nodes are connected by their first command; no caller's deadline should pay for that.
      const greetings = this.#client.nodes('master').map((node) => node.ping());
      const patience = new Promise((resolve) => setTimeout(resolve, 1_000).unref());
      await Promise.race([Promise.allSettled(greetings), patience]);
    }
    this.#wasReady = true;
    for (const wake of this.#waiting) wake();
  }

  /** Settles within the deadline, whatever becomes of the command. */
  #attempt({ task, send }: Call): Promise<unknown> {
    const { deadline, connectTimeout } = this.#limits;
    const isFirst = !this.#wasReady;
    return new Promise<unknown>((resolve, reject) => {
      let timer: NodeJS.Timeout | undefined;
      let isOver = false;
      const end = (settle: () => void): void => {
        isOver = true;
        clearTimeout(timer);
        this.#waiting.delete(begin);
        settle();
      };
      const endAfter = (ms: number): void => {
        clearTimeout(timer);
        const giveUp = (): void =>
          end(() => reject(unavailable(`Redis did not answer in time while ${task}`)));
        // After a stall of this process the answer may lie in the socket already: one look at it.
        timer = setTimeout(() => setImmediate(() => isOver || giveUp()), ms).unref();
      };
      const begin = (): void => {
        if (this.#isClosed) return end(() => reject(closed()));
        if (!this.#isReady) return;
        this.#waiting.delete(begin);
        if (isFirst) endAfter(deadline);
        send(this.#client).then(
          (reply) => end(() => resolve(reply)),
          (reason: unknown) => end(() => reject(reason)),
        );
      };
      if (!this.#isReady) this.#waiting.add(begin);
      endAfter(isFirst ? connectTimeout : deadline);
      begin();
    });
  }

  get #isReady(): boolean {
    return this.#wasReady && this.#client.status === 'ready';
  }
}

/** The answer of a script that did nothing, where it could have done one thing. */
export function isNothingDone(reply: unknown): boolean {
  return reply === 0;
}

/** By its name, or by its text where the server does not know it yet. */
async function runScript(
  client: RedisClient,
  { script, keys, args }: ScriptCall,
): Promise<unknown> {
  try {
    return await client.evalsha(script.sha, keys.length, ...keys, ...args);
  } catch (error) {
    if (!isUnknownScript(error)) throw error;
    return client.eval(script.text, keys.length, ...keys, ...args);
  }
}

/**
 * `WAIT` speaks of what its own connection wrote before: both go out together. By its text, because
 * an unknown name would cost the wait twice.
 *
 * What was written stays, here and on the replicas that have it, also when they are too few.
 */
async function runReplicated(
  client: RedisClient,
  { script, keys, args, isRefusal }: ScriptCall,
  { replicas, waitFor }: Replication,
): Promise<unknown> {
  const results = await client
    .pipeline()
    .eval(script.text, keys.length, ...keys, ...args)
    .wait(replicas, waitFor)
    .exec();
  const [reply, acknowledged] = (results ?? []).map(([error, result]) => {
    if (error !== null) throw error;
    return result;
  });
  const isHeld = typeof acknowledged === 'number' && acknowledged >= replicas;
  if (!isHeld && isRefusal?.(reply) !== true) throw new TooFewReplicas();
  return reply;
}
