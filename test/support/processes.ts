import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { createServer } from 'node:net';
import { StringDecoder } from 'node:string_decoder';

import { recordOutput } from './witness.js';

/** Real processes for end-to-end tests: waited for by what they say, never by the clock. */

export interface ProcessOptions {
  /** @defaultValue this Node */
  readonly command?: string;
  readonly args: readonly string[];
  /** All of the environment but `PATH` and `HOME`: the test runner's own stays out. */
  readonly env?: Readonly<Record<string, string | undefined>>;
  readonly cwd?: string;
}

export interface StartOptions extends ProcessOptions {
  /** What the process prints, on either stream, once it is ready to be used. */
  readonly readyWhen: RegExp;
}

type OutputStream = 'stdout' | 'stderr';

export interface RunningProcess {
  readonly pid: number;
  /** What `readyWhen` matched. */
  readonly match: RegExpExecArray;
  /** Settles when the process has ended; `null` when a signal ended it. */
  readonly exitCode: Promise<number | null>;
  /** What it printed so far, on one stream or on both in the order of arrival. */
  output(stream?: OutputStream): string;
  /** The first match in the output so far or to come. Rejects when the process ends without one. */
  waitFor(pattern: RegExp): Promise<RegExpExecArray>;
  /** Ends it, with `SIGTERM` unless told otherwise; answers its exit code once it is gone. */
  stop(signal?: NodeJS.Signals): Promise<number | null>;
}

export interface EndedProcess {
  readonly exitCode: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

const running = new Set<ChildProcess>();

// A test that fails halfway must not leave its servers behind.
afterAll(async () => {
  await Promise.all([...running].map((child) => end(child, 'SIGKILL')));
});

/** Starts a process and answers once it is ready; rejects, with its output, if it ends before. */
export async function startProcess({
  readyWhen,
  ...options
}: StartOptions): Promise<RunningProcess> {
  const observed = observe(options);
  return { ...observed, match: await observed.waitFor(readyWhen) };
}

/** Runs a process to its end. */
export async function runProcess(options: ProcessOptions): Promise<EndedProcess> {
  const { exitCode, output } = observe(options);
  return { exitCode: await exitCode, stdout: output('stdout'), stderr: output('stderr') };
}

/**
 * Ports to choose from, so many for each of Jest's workers. They lie below those that systems give
 * out by themselves: nobody gets one while a server that had it is down.
 */
const FIRST_PORT = 10_000;
const PORTS_EACH = 1_000;
const WORKERS = 20;
const OWN_PORTS = FIRST_PORT + (Number(process.env['JEST_WORKER_ID'] ?? 1) % WORKERS) * PORTS_EACH;
// Files of one worker, and runs beside each other, begin at different ones.
let nextPort = (process.pid * 37 + performance.now() * 1_000) % PORTS_EACH;

/** A port nobody listens on, for processes that must know theirs in advance; never the same again. */
export async function freePort(): Promise<number> {
  for (let attempt = 0; attempt < PORTS_EACH; attempt++) {
    nextPort = Math.floor(nextPort + 1) % PORTS_EACH;
    const port = OWN_PORTS + nextPort;
    if (await isFree(port)) return port;
  }
  throw new Error('no port is free');
}

function isFree(port: number): Promise<boolean> {
  const server = createServer();
  return new Promise((resolve) => {
    server.once('error', () => resolve(false));
    server.listen(port, '127.0.0.1', () => void server.close(() => resolve(true)));
  });
}

function observe({
  command = process.execPath,
  args,
  env,
  cwd,
}: ProcessOptions): Omit<RunningProcess, 'match'> {
  const { PATH, HOME } = process.env;
  const child = spawn(command, args, {
    cwd,
    env: { PATH, HOME, ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  running.add(child);

  const chunks: { readonly stream: OutputStream; readonly text: string }[] = [];
  const watchers = new Set<() => void>();
  const output = (stream?: OutputStream): string =>
    chunks
      .filter((chunk) => stream === undefined || chunk.stream === stream)
      .map(({ text }) => text)
      .join('');
  for (const stream of ['stdout', 'stderr'] as const) {
    const decoder = new StringDecoder('utf8');
    child[stream].on('data', (bytes: Buffer) => {
      chunks.push({ stream, text: decoder.write(bytes) });
      for (const look of watchers) look();
    });
  }

  const exitCode = new Promise<number | null>((resolve, reject) => {
    child.once('error', reject);
    // Not 'exit': what is still in the pipes counts too.
    child.once('close', (code) => {
      running.delete(child);
      // Once and whole, one stream after the other: a secret split between chunks is found as well.
      recordOutput(output('stdout'));
      recordOutput(output('stderr'));
      resolve(code);
    });
  });
  // Who awaits it still sees the error; who does not must not crash the runner.
  exitCode.catch(() => running.delete(child));

  const waitFor = (pattern: RegExp): Promise<RegExpExecArray> =>
    new Promise((resolve, reject) => {
      const look = (): void => {
        const match = pattern.exec(output());
        if (match === null) return;
        watchers.delete(look);
        resolve(match);
      };
      watchers.add(look);
      look();
      const giveUp = (reason: unknown): void => {
        watchers.delete(look);
        const line = [command, ...args].join(' ');
        reject(new Error(`${line}: never printed ${pattern} (${String(reason)})\n${output()}`));
      };
      exitCode.then((code) => giveUp(`exit code ${code}`), giveUp);
    });

  return {
    pid: child.pid ?? -1,
    exitCode,
    output,
    waitFor,
    stop: async (signal = 'SIGTERM') => {
      await end(child, signal);
      return exitCode;
    },
  };
}

async function end(child: ChildProcess, signal: NodeJS.Signals): Promise<void> {
  if (!running.has(child)) return;
  const closed = once(child, 'close');
  child.kill(signal);
  await closed;
}
