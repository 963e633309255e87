import type { BrowserContext, Page } from 'playwright-core';

import type { AuthClient, AuthTransport, SessionEnd } from '../../lib/client/index.js';
import { eventually } from '../support/redis-server.js';

/** The tabs of one browser profile, each with a client of its own. */

/** What fixtures/client/page.js puts into its window. */
interface PageScope {
  readonly client: AuthClient;
  readonly told: SessionEnd[];
}

export interface Call {
  readonly status: number;
  /** `code` of the error, if there was no answer. */
  readonly code: string | undefined;
}

/** From when to when a tab was being closed or reloaded: what it had under way was lost then. */
interface Leave {
  readonly from: number;
  /** `Infinity` while it goes on. */
  until: number;
}

let tabs = 0;

export class Tab {
  readonly #leaves: Leave[] = [];

  private constructor(
    readonly name: string,
    readonly page: Page,
    private readonly address: string,
  ) {}

  static async open(context: BrowserContext, url: string, transport: AuthTransport): Promise<Tab> {
    const name = `tab-${(tabs += 1)}`;
    const page = await context.newPage();
    // On every request of this tab, for the front's record.
    await page.setExtraHTTPHeaders({ 'x-tab': name });
    const tab = new Tab(name, page, `${url}/client-page/page.html?transport=${transport}`);
    await page.goto(tab.address);
    await tab.#start();
    return tab;
  }

  async reload(): Promise<void> {
    await this.#leave(() => this.page.reload());
    await this.#start();
  }

  async close(): Promise<void> {
    await this.#leave(() => this.page.close());
  }

  /** Whether it was being left at some moment of that time. */
  wasLeft(from: number, until: number): boolean {
    return this.#leaves.some((leave) => leave.from <= until && leave.until >= from);
  }

  login(user: string): Promise<Call> {
    return this.page.evaluate(async (username) => {
      const { client } = globalThis as typeof globalThis & PageScope;
      return client.login({ username, password: `${username}-demo` }).then(
        () => ({ status: 200, code: undefined }),
        (error: { code?: string }) => ({ status: 0, code: String(error.code) }),
      );
    }, user);
  }

  logout(): Promise<void> {
    return this.page.evaluate(() => (globalThis as typeof globalThis & PageScope).client.logout());
  }

  fetch(path: string, method = 'GET'): Promise<Call> {
    return this.page.evaluate(
      async ([path, method]) => {
        const { client } = globalThis as typeof globalThis & PageScope;
        const init = method === 'GET' ? {} : { method, body: 'a body' };
        return client.fetch(path, init).then(
          ({ status }) => ({ status, code: undefined }),
          (error: { code?: string }) => ({ status: 0, code: String(error.code) }),
        );
      },
      [path, method] as const,
    );
  }

  json(path: string): Promise<unknown> {
    return this.page.evaluate(async (path) => {
      const { client } = globalThis as typeof globalThis & PageScope;
      const answer = await client.fetch(path);
      return answer.json();
    }, path);
  }

  state(): Promise<string> {
    return this.page.evaluate(() => (globalThis as typeof globalThis & PageScope).client.state);
  }

  /** The ends of sessions that the page was told of since it was loaded. */
  told(): Promise<readonly string[]> {
    return this.page.evaluate(() => (globalThis as typeof globalThis & PageScope).told);
  }

  async becomes(state: 'signed-in' | 'signed-out'): Promise<void> {
    await eventually(`${this.name} is ${state}`, async () => (await this.state()) === state);
  }

  /** Everything a script of the page can get at without asking the server, as one text. */
  async visibleToScripts(): Promise<string> {
    return this.page.evaluate(async () => {
      const page = globalThis as typeof globalThis & {
        readonly localStorage: object;
        readonly sessionStorage: object;
        readonly document: { readonly cookie: string };
        readonly location: { readonly href: string };
        readonly client: object;
        readonly indexedDB: { databases(): Promise<readonly { readonly name?: string }[]> };
        readonly caches: { keys(): Promise<readonly string[]> };
      };
      const databases = await page.indexedDB.databases();
      const client = Object.entries(Object.getOwnPropertyDescriptors(page.client));
      return JSON.stringify([
        { ...page.localStorage },
        { ...page.sessionStorage },
        databases.map(({ name }) => name),
        await page.caches.keys(),
        page.document.cookie,
        page.location.href,
        client.map(([name, { value }]) => `${name}: ${String(value)}`),
      ]);
    });
  }

  async #leave(go: () => Promise<unknown>): Promise<void> {
    const leave: Leave = { from: Date.now(), until: Infinity };
    this.#leaves.push(leave);
    await go();
    leave.until = Date.now();
  }

  async #start(): Promise<void> {
    await this.page.waitForFunction(() => 'client' in globalThis);
    await this.page.evaluate(() => (globalThis as typeof globalThis & PageScope).client.ready);
  }
}
