import { setTimeout as pause } from 'node:timers/promises';

import type { Instance } from './instances.js';
import { instant } from './revocation-clients.js';
import { pick } from './revocation-figures.js';
import { type Fate, type Pair, type Refreshed, SessionClient } from './session-clients.js';

/** Users who refresh all the time, on all instances in turn, and ask again for lost answers. */

/** Milliseconds between two refreshes of a user, and before one is asked for again. */
const PACE = 10;

/** Milliseconds after which a user that nobody answers counts as hung. */
const PATIENCE = 60_000;

export interface SessionLoadOptions {
  readonly users: number;
  /** How often each token is used at a time. */
  readonly tabs: number;
  /** Milliseconds for which its successor is owed to whoever lost it. */
  readonly grace: number;
}

/** One refresh, until it was answered. */
interface Answered extends Refreshed {
  /** Some attempt was not answered: whether it was carried out nobody can say. */
  readonly isDoubtful: boolean;
  readonly took: number;
}

/** The next refresh of whoever comes first is the last thing an instance does. */
interface Aim {
  readonly place: number;
  readonly fatedTo: Fate;
}

export class SessionLoad {
  /** The last token of each session that lives, with how often it was rotated. */
  readonly alive = new Map<string, { readonly pair: Pair; readonly rotations: number }>();
  /** Those whose user was told to log in again. */
  readonly out = new Set<string>();
  /** Refreshes some attempt of which was lost, and that were answered then. */
  wentOn = 0;
  loggedOut = 0;
  /** Attempts that were answered with 503. */
  unanswered = 0;
  /** What no user may ever see, in words. */
  readonly wrong: string[] = [];
  refreshes = 0;
  readonly #options: SessionLoadOptions;
  readonly #clients: (readonly SessionClient[])[];
  readonly #aims: Aim[] = [];
  #isOver = false;
  #turn = 0;
  #done: Promise<unknown> = Promise.resolve();

  constructor(instances: readonly Pick<Instance, 'url'>[], options: SessionLoadOptions) {
    this.#options = options;
    const { users, tabs } = options;
    this.#clients = Array.from({ length: users * tabs }, () =>
      instances.map((instance) => new SessionClient(instance)),
    );
  }

  start(): void {
    const { users } = this.#options;
    this.#done = Promise.all(Array.from({ length: users }, (_, user) => this.#live(user)));
  }

  aim(place: number, fatedTo: Fate): void {
    this.#aims.push({ place, fatedTo });
  }

  /** Answers once everyone has an answer. */
  async stop(): Promise<void> {
    this.#isOver = true;
    await this.#done;
    for (const client of this.#clients.flat()) client.close();
  }

  /** Logs in whenever there is nothing to go on with. */
  async #live(user: number): Promise<void> {
    for (let login = 0; !this.#isOver; login++) {
      const pair = await this.#logIn(user, login);
      if (pair !== undefined) await this.#goOn(user, pair);
    }
  }

  async #logIn(user: number, login: number): Promise<Pair | undefined> {
    for (const deadline = instant() + PATIENCE; instant() < deadline;) {
      const client = this.#next(user);
      const pair = await client.start(`user-${user}-${login}`).catch(() => undefined);
      if (pair !== undefined) return pair;
      await pause(PACE);
    }
    this.wrong.push('a user could not log in any more');
    this.#isOver = true;
    return undefined;
  }

  async #goOn(user: number, first: Pair): Promise<void> {
    const { tabs } = this.#options;
    let pair = first;
    for (let rotations = 0; ; rotations++) {
      this.alive.set(pair.sessionId, { pair, rotations });
      if (this.#isOver) return;
      await pause(PACE);
      const { refreshToken } = pair;
      const answers = await Promise.all(
        Array.from({ length: tabs }, (_, tab) => this.#refresh(user * tabs + tab, refreshToken)),
      );
      const next = this.#judge(answers);
      if (next === undefined) {
        this.alive.delete(pair.sessionId);
        this.out.add(pair.sessionId);
        return;
      }
      pair = next;
    }
  }

  /** What to go on with, if anything. */
  #judge(answers: readonly Answered[]): Pair | undefined {
    const { tabs, grace } = this.#options;
    const doubtful = answers.filter(({ isDoubtful }) => isDoubtful);
    const pairs = answers.flatMap(({ pair }) => pair ?? []);
    if (new Set(pairs.map(({ refreshToken }) => refreshToken)).size > 1) {
      this.wrong.push('two tokens came of one');
    }
    const isOut = pairs.length < tabs;
    if (isOut) {
      const statuses = answers.map(({ status }) => status);
      const words = statuses.join();
      // Who asks once and is answered is never put out, nor who is back within the grace.
      const isOwed = doubtful.length === 0 ? tabs === 1 || grace > 0 : grace > 0;
      const wasStretched = answers.some(({ took }) => took > grace) && grace > 0;
      if (isOwed && !wasStretched) this.wrong.push(`a good token was answered with ${words}`);
      if (statuses.some((status) => status !== 401 && status !== 201)) {
        this.wrong.push(`answered with ${words}, which is nothing it may say`);
      }
    }
    this.refreshes++;
    if (doubtful.length > 0) {
      if (isOut) this.loggedOut++;
      else this.wentOn++;
    }
    return isOut ? undefined : pairs[0];
  }

  async #refresh(tab: number, refreshToken: string): Promise<Answered> {
    let isDoubtful = false;
    const startedAt = instant();
    while (instant() < startedAt + PATIENCE) {
      const aim = this.#aims.shift();
      const client = aim === undefined ? this.#next(tab) : this.#at(tab, aim.place);
      const request = aim === undefined ? {} : { fatedTo: aim.fatedTo };
      try {
        const answer = await client.refresh(refreshToken, request);
        if (answer.status !== 503) return { ...answer, isDoubtful, took: instant() - startedAt };
        isDoubtful = true;
        this.unanswered++;
      } catch (error) {
        // Who found nobody there has asked nobody.
        if (!isRefusedConnection(error)) isDoubtful = true;
      }
      await pause(PACE);
    }
    this.wrong.push('a refresh was never answered');
    return { status: 0, pair: undefined, isDoubtful, took: PATIENCE };
  }

  #next(tab: number): SessionClient {
    return this.#at(tab, this.#turn++);
  }

  #at(tab: number, place: number): SessionClient {
    return pick(pick(this.#clients, tab), place);
  }
}

function isRefusedConnection(error: unknown): boolean {
  // Of Node's own realm, whose errors are none of the test's.
  return (error as { readonly code?: unknown } | null)?.code === 'ECONNREFUSED';
}
