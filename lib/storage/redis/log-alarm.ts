import { setTimeout as pause } from 'node:timers/promises';

import { openClient, type RedisClient, type RedisSource } from './redis-clients.js';

/** Blocked for so long at a time, so that a follower is current at least every second. */
const BLOCK = 400;
/** No answer after so long: the connection leads nowhere. */
const DEAD_AFTER = 1_500;
/** How often it looks by itself while there is no connection to wait on. */
const WITHOUT_CONNECTION = 200;

/** Wakes a follower when the log grows. */
export interface LogAlarm {
  /** Until something stands in the log after this entry, or for less than half a second. */
  wait(entry: string): Promise<void>;
  /** For so many milliseconds, or until it is closed. */
  pause(ms: number): Promise<void>;
  close(): void;
}

/**
 * A connection of its own, because a blocked one can do nothing else. It may fail at any time: the
 * follower then looks a little more often instead of being told.
 */
export function openLogAlarm(source: RedisSource, key: string): LogAlarm {
  const ended = new AbortController();
  let client = connect(source);

  const rest = async (ms: number): Promise<void> => {
    try {
      await pause(ms, undefined, { ref: false, signal: ended.signal });
    } catch {
      // Closed, which ends every pause.
    }
  };

  const block = async (entry: string): Promise<void> => {
    const woken = client.xread('COUNT', 1, 'BLOCK', BLOCK, 'STREAMS', key, entry).then(
      () => 'answered' as const,
      () => 'failed' as const,
    );
    let timer: NodeJS.Timeout | undefined;
    const silence = new Promise<'silent'>((resolve) => {
      timer = setTimeout(() => resolve('silent'), DEAD_AFTER).unref();
    });
    const outcome = await Promise.race([woken, silence]);
    clearTimeout(timer);
    if (outcome === 'failed') await rest(WITHOUT_CONNECTION);
    if (outcome === 'silent' && !ended.signal.aborted) {
      client.disconnect();
      client = connect(source);
    }
  };

  return {
    wait: async (entry) => {
      if (ended.signal.aborted) return;
      if (client.status === 'end') client = connect(source);
      await (client.status === 'ready' ? block(entry) : rest(WITHOUT_CONNECTION));
    },
    pause: rest,
    close: () => {
      ended.abort();
      client.disconnect();
    },
  };
}

function connect(source: RedisSource): RedisClient {
  const client = openClient(source);
  client.connect().catch(() => {});
  return client;
}
