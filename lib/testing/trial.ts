import assert from 'node:assert/strict';
import { setTimeout as pause } from 'node:timers/promises';

import { SystemClock } from '../kernel/clock.js';
import { NotCarried, type Storage } from '../storage/storage.js';

/** The clock a backend goes by, for adapters whose author can move it. */
export interface ContractClock {
  /** Milliseconds since the epoch. */
  now(): number;
  /** Comes back when so many milliseconds have passed on this clock. */
  pass(ms: number): void | Promise<void>;
}

/** One empty place to keep state, such as a database or a key prefix of its own. */
export interface ContractBackend {
  /** Opens another storage on this backend, as another instance of an application would. */
  connect(): Promise<Storage>;
  /** Throws the backend away; the storages are closed by then. */
  dispose(): Promise<void>;
  /** @defaultValue the host's clock, and cases wait for windows of about 100 ms */
  readonly clock?: ContractClock;
}

/** A port by the name of its member of `Storage`. */
export type PortName =
  'keyStore' | 'revocationLog' | 'sessionStore' | 'replayStore' | 'attemptStore';

/** What a storage has to offer where a port is carried. */
export type Carried<Name extends PortName> = Exclude<Storage[Name], NotCarried>;

/** One sentence of a port's contract, and what proves it. */
export interface Clause<Port> {
  readonly name: string;
  readonly prove: (trial: Trial<Port>) => Promise<void>;
}

const hostClock = new SystemClock();

/** The host's clock passes by itself. The wait holds the process: it is a test's work in progress. */
const realTime: ContractClock = {
  now: () => hostClock.now(),
  pass: async (ms) => {
    // Two more, because clocks of two processes are cut to milliseconds at different instants.
    for (const until = hostClock.now() + ms + 2; hostClock.now() < until;) {
      await pause(Math.max(1, until - hostClock.now()));
    }
  },
};

/** One case at work: two instances of a port on one fresh backend, and its clock. */
export class Trial<Port> {
  readonly one: Port;
  readonly other: Port;
  /** Opens the port on a backend of its own. */
  readonly elsewhere: () => Promise<Port>;
  /** Lets the backend lose all it holds; there for clauses that were asked for with `wipe` only. */
  readonly wipe: () => Promise<void>;
  readonly #patience: number;
  readonly #clock: ContractClock;

  /** @param patience real milliseconds to wait for what comes by itself */
  constructor(
    ports: Pick<Trial<Port>, 'one' | 'other' | 'elsewhere' | 'wipe'>,
    patience: number,
    clock: ContractClock = realTime,
  ) {
    this.one = ports.one;
    this.other = ports.other;
    this.elsewhere = ports.elsewhere;
    this.wipe = ports.wipe;
    this.#patience = patience;
    this.#clock = clock;
  }

  now(): number {
    return this.#clock.now();
  }

  async pass(ms: number): Promise<void> {
    await this.#clock.pass(ms);
  }

  /**
   * Lets the five minutes pass that a log may keep entries after they expired, and answers whether it
   * did. Only a clock that can be moved is worth that wait.
   */
  async passMargin(): Promise<boolean> {
    if (this.#clock === realTime) return false;
    await this.pass(5 * 60_000);
    return true;
  }

  /** Calls made at once, every second one on the other instance. */
  parallel<Answer>(
    times: number,
    call: (port: Port, index: number) => Promise<Answer>,
  ): Promise<Answer[]> {
    return Promise.all(
      Array.from({ length: times }, (_, index) => call(index % 2 ? this.other : this.one, index)),
    );
  }

  /** Waits until it holds; fails when it does not for that long. */
  async until(
    what: string,
    holds: () => boolean | Promise<boolean>,
    longest = Infinity,
  ): Promise<void> {
    const patience = Math.min(this.#patience, longest);
    const deadline = hostClock.now() + patience;
    while (!(await holds())) {
      assert.ok(hostClock.now() < deadline, `waited ${patience} ms in vain: ${what}`);
      await pause(5);
    }
  }

  /**
   * Proves what holds inside a window of so many milliseconds, and again with longer ones while the
   * machine is too slow to say anything about it.
   *
   * `open` begins a window; what it answers passes while that window is certainly still open.
   */
  async within(prove: (window: number, open: () => () => void) => Promise<void>): Promise<void> {
    for (let window = 100; ; window *= 2) {
      const open = (): (() => void) => {
        const closes = this.now() + window;
        return () => {
          if (this.now() >= closes) throw new TooSlow(`a few calls took more than ${window} ms`);
        };
      };
      try {
        await prove(window, open);
        return;
      } catch (error) {
        if (!(error instanceof TooSlow) || window > 3_000) throw error;
      }
    }
  }
}

class TooSlow extends Error {}
