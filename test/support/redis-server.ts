import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { Redis } from 'ioredis';

import { freePort, type RunningProcess, startProcess } from './processes.js';
import { recordNotRun } from './witness.js';

/** Real Redis servers for tests, each a process of its own in a folder of its own. */

const MISSING = ['redis-server', 'redis-sentinel', 'redis-cli'].filter(
  (binary) => spawnSync(binary, ['--version']).error !== undefined,
);

/** `describe` where Redis is installed; elsewhere the end of the run says that nothing was tested. */
export function describeWithRedis(name: string, suite: () => void): void {
  if (MISSING.length === 0) {
    describe(name, suite);
    return;
  }
  recordNotRun(name, MISSING.join(', '));
  describe(`NOT RUN: ${name}`, () => {
    it('needs redis-server, redis-sentinel and redis-cli', () => {
      expect(MISSING).not.toEqual([]);
    });
  });
}

export interface RedisServer {
  readonly port: number;
  readonly url: string;
  /** Ends it as a crash would. */
  kill(): Promise<void>;
  /** Starts it again on its port, empty: nothing is ever saved. */
  restart(): Promise<void>;
  /** Holds it still, connections and all, until `resume`. */
  pause(): void;
  resume(): void;
  /** One command on a connection of its own; answers what redis-cli would print. */
  command(...args: readonly [string, ...string[]]): Promise<unknown>;
  stop(): Promise<void>;
}

export interface RedisServerOptions {
  /** @defaultValue a free one */
  readonly port?: number;
  /** More arguments of redis-server, or of redis-sentinel with a file of its own. */
  readonly args?: readonly string[];
  readonly command?: 'redis-server' | 'redis-sentinel';
  /** @defaultValue a new one */
  readonly folder?: string;
}

/** Starts a server that keeps nothing on disk. It ends with the test file, if not before. */
export async function startRedis({
  port: chosen,
  args = [],
  command = 'redis-server',
  folder: given,
}: RedisServerOptions = {}): Promise<RedisServer> {
  const port = chosen ?? (await freePort());
  const folder = given ?? newFolder();
  const options = ['--port', String(port), '--bind', '127.0.0.1', '--dir', folder];
  const unsaved = ['--save', '', '--appendonly', 'no', '--repl-diskless-sync-delay', '0'];
  const start = (): Promise<RunningProcess> =>
    startProcess({
      command,
      args: command === 'redis-server' ? [...options, ...unsaved, ...args] : args,
      readyWhen: /Ready to accept connections|Sentinel ID is/,
    });
  let server = await start();
  return {
    port,
    url: `redis://127.0.0.1:${port}`,
    kill: async () => void (await server.stop('SIGKILL')),
    restart: async () => {
      server = await start();
    },
    pause: () => void process.kill(server.pid, 'SIGSTOP'),
    resume: () => void process.kill(server.pid, 'SIGCONT'),
    command: (...line) => runCommand(port, line),
    stop: async () => {
      await server.stop('SIGKILL');
      rmSync(folder, { recursive: true, force: true });
    },
  };
}

export function newFolder(): string {
  return mkdtempSync(join(tmpdir(), 'njh-redis-'));
}

async function runCommand(port: number, [name, ...args]: readonly string[]): Promise<unknown> {
  const client = new Redis({ port, lazyConnect: true, retryStrategy: null });
  try {
    await client.connect();
    return await client.call(name ?? 'PING', ...args);
  } finally {
    client.disconnect();
  }
}

/**
 * Waits until it holds, asking again and again; fails after so many milliseconds. A minute is what a
 * machine that stalls may take: how soon something is done is measured elsewhere.
 */
export async function eventually(
  what: string,
  holds: () => boolean | Promise<boolean>,
  patience = 60_000,
): Promise<void> {
  const deadline = Date.now() + patience;
  while (!(await holds())) {
    if (Date.now() > deadline) throw new Error(`waited ${patience} ms in vain: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
}
