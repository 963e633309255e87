import { setTimeout as pause } from 'node:timers/promises';

import type { SessionRefresh, SessionStart } from '../../lib/sessions/session.js';
import { recordSecret } from '../support/witness.js';
import { HttpLine } from './http-line.js';
import type { Instance } from './instances.js';

/** Clients of instances that keep sessions, each with one connection that it keeps. */

/** What a client has of its session. All instants are of CLOCK_MONOTONIC. */
export interface Pair {
  readonly accessToken: string;
  readonly refreshToken: string;
  readonly sessionId: string;
  readonly subject: string;
  readonly scope: string;
  /** When the instance had it ready. */
  readonly at: number;
}

/** `undefined` for what was refused. */
export interface Refreshed {
  readonly status: number;
  readonly pair: Pair | undefined;
}

export interface Checked {
  readonly status: number;
  /** When the handler ran; `undefined` if it did not. */
  readonly at: number | undefined;
  /** How many milliseconds the instance was behind the log when it had decided. */
  readonly lag: number;
}

export type Fate = 'die before the write' | 'die during the write' | 'die after the write';

export interface RefreshRequest {
  readonly refresh?: SessionRefresh;
  /** How many with this token the instance lets go at once. @defaultValue each by itself */
  readonly barrier?: number;
  readonly fatedTo?: Fate;
}

/** Milliseconds before a client asks again whoever had no answer for it. */
const ASK_AGAIN_AFTER = 20;
/** And how long it goes on. */
const PATIENCE = 60_000;

export class SessionClient {
  readonly #line: HttpLine;

  constructor({ url }: Pick<Instance, 'url'>) {
    this.#line = new HttpLine(Number(new URL(url).port));
  }

  /** A login, asked for until there is an answer. */
  async start(subject: string, start: SessionStart = {}): Promise<Pair> {
    const { status, body } = await insist(() => this.#post('/sessions/start', { subject, start }));
    if (status !== 201) throw new Error(`a login was answered with ${status}`);
    return remember(body as Pair);
  }

  /** Whatever is answered. */
  async refresh(refreshToken: string, request: RefreshRequest = {}): Promise<Refreshed> {
    const { status, body } = await this.#post('/sessions/refresh', {
      refresh_token: refreshToken,
      ...request,
    });
    return { status, pair: status === 201 ? remember(body as Pair) : undefined };
  }

  /** Asked again for as long as the answer is that there is none. */
  insistOnRefresh(refreshToken: string, request: RefreshRequest = {}): Promise<Refreshed> {
    return insist(() => this.refresh(refreshToken, request));
  }

  async mustRefresh(refreshToken: string, request: RefreshRequest = {}): Promise<Pair> {
    const { status, pair } = await this.insistOnRefresh(refreshToken, request);
    if (pair === undefined) throw new Error(`a refresh was answered with ${status}`);
    return pair;
  }

  async end(sessionId: string): Promise<void> {
    const { status } = await insist(() => this.#post('/sessions/end', { sessionId }));
    if (status !== 201) throw new Error(`a logout was answered with ${status}`);
  }

  async check(accessToken: string): Promise<Checked> {
    const head = [`Authorization: Bearer ${accessToken}`];
    const { status, headers, text } = await this.#line.ask('GET /check', head);
    const { at } = JSON.parse(text) as { readonly at?: number };
    return { status, at, lag: Number(headers('x-lag')?.split(' ')[2]) };
  }

  /** Whether it is accepted, once that can be said. */
  async accepts(accessToken: string): Promise<boolean> {
    const { status } = await insist(() => this.check(accessToken));
    if (status !== 200 && status !== 401) throw new Error(`a token was answered with ${status}`);
    return status === 200;
  }

  close(): void {
    this.#line.close();
  }

  async #post(
    path: string,
    body: object,
  ): Promise<{ readonly status: number; readonly body: unknown }> {
    const head = ['Content-Type: application/json'];
    const { status, text } = await this.#line.ask(`POST ${path}`, head, JSON.stringify(body));
    return { status, body: JSON.parse(text) as unknown };
  }
}

async function insist<Answer extends { readonly status: number }>(
  ask: () => Promise<Answer>,
): Promise<Answer> {
  for (const deadline = performance.now() + PATIENCE; ;) {
    const answer = await ask();
    if (answer.status !== 503 || performance.now() > deadline) return answer;
    await pause(ASK_AGAIN_AFTER);
  }
}

function remember(pair: Pair): Pair {
  recordSecret(pair.accessToken);
  recordSecret(pair.refreshToken);
  return pair;
}
