import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { gzipSync } from 'node:zlib';

import { build } from 'esbuild';
import type { Browser, BrowserContext } from 'playwright-core';

import { describeWithChromium, newProfile, startChromium } from '../support/chromium.js';
import { freePort, startProcess } from '../support/processes.js';
import { eventually } from '../support/redis-server.js';
import { recordSecret } from '../support/witness.js';
import { type ClientFront, startFront } from './client-front.js';
import {
  goesOn,
  hold,
  inWords,
  nextRefresh,
  overlaps,
  refreshesOf,
  timeOf,
  wasLeft,
} from './client-refreshes.js';
import { Tab } from './client-tabs.js';

/**
 * The built browser client in a real Chromium, several tabs of one profile at once. Behind it is
 * the built sample app, or one that runs already: CLIENT_APP_URL, with an access TTL of
 * CLIENT_ACCESS_TTL seconds. CLIENT_MINUTES makes the long run longer.
 */

const ACCESS_TTL = Number(process.env['CLIENT_ACCESS_TTL'] ?? 2);
/** Seven lives of a token: with tokens of fifteen minutes, more than an hour. */
const RUN_FOR = Number(process.env['CLIENT_MINUTES'] ?? (7 * ACCESS_TTL) / 60) * 60_000;
const TRANSPORTS = ['cookie', 'body'] as const;

/** The sample app as `npm start` runs it, unless one runs already. */
async function startApp(): Promise<string> {
  const given = process.env['CLIENT_APP_URL'];
  if (given !== undefined) return given;
  const app = await startProcess({
    args: [join(__dirname, '../../sample-app/dist/main.js')],
    env: {
      PORT: String(await freePort()),
      JWT_ACCESS_TTL: `${ACCESS_TTL}s`,
    },
    readyWhen: /ledger is ready on (http:\/\/localhost:\d+)/,
  });
  return app.match[1] ?? '';
}

describe('the built client', () => {
  it('is a few KiB for who loads it', async () => {
    const { outputFiles } = await build({
      // What every page needs; whoever wants the signals loads them too.
      stdin: {
        contents: `export { AuthClientError, createAuthClient } from './dist/client/index.js';`,
        resolveDir: join(__dirname, '../..'),
      },
      bundle: true,
      minify: true,
      format: 'esm',
      target: 'es2022',
      write: false,
    });
    const size = gzipSync(outputFiles[0]?.contents ?? '', { level: 9 }).length;
    process.stderr.write(`the browser client: ${size} bytes, minified and gzipped\n`);
    expect(size).toBeGreaterThan(1_024);
    expect(size).toBeLessThanOrEqual(5 * 1_024);
  });
});

describeWithChromium('the browser client', () => {
  let browser: Browser;
  let app: string;
  beforeAll(async () => {
    [browser, app] = await Promise.all([startChromium(), startApp()]);
  });
  afterAll(() => browser.close());

  let front: ClientFront;
  let context: BrowserContext;
  beforeEach(async () => {
    front = await startFront(app);
    context = await newProfile(browser);
  });
  afterEach(async () => {
    await context.close();
    await front.close();
  });

  describe.each(TRANSPORTS)('with the transport %s', (transport) => {
    const open = (): Promise<Tab> => Tab.open(context, front.url, transport);

    async function openSignedIn(count: number): Promise<readonly [Tab, ...Tab[]]> {
      const first = await open();
      expect(await first.login('alice')).toEqual({ status: 200, code: undefined });
      const others: Tab[] = [];
      while (others.length < count - 1) others.push(await open());
      await Promise.all(others.map((tab) => tab.becomes('signed-in')));
      return [first, ...others];
    }

    it('is signed out before a login, and after one that failed', async () => {
      const tab = await open();
      expect(await tab.state()).toBe('signed-out');
      expect((await tab.fetch('/me')).status).toBe(401);
      await tab.page.evaluate(() => {
        const { client } = globalThis as typeof globalThis & {
          readonly client: { login(credentials: object): Promise<void> };
        };
        return client.login({ username: 'alice', password: 'wrong' }).catch(() => {});
      });
      expect(await tab.state()).toBe('signed-out');
      expect(refreshesOf(front)).toEqual([]);
    });

    it('gives a tab that is opened later the session, and a reloaded one', async () => {
      const [first, second] = await openSignedIn(2);
      expect(await second?.json('/me')).toMatchObject({ sub: 'alice' });
      await first.reload();
      await first.becomes('signed-in');
      expect((await first.fetch('/me')).status).toBe(200);
    });

    it('tells its device by the same digest in every request of every tab', async () => {
      const [first, second] = await openSignedIn(2);
      expect((await first.fetch('/me')).status).toBe(200);
      expect((await second?.fetch('/me'))?.status).toBe(200);
      await first.logout();
      // The browser itself asks for an icon.
      const ofClient = front.passages.filter(({ path }) => /^\/(?:me|auth\/)/.test(path));
      const digests = ofClient.map(({ headers }) => headers['x-client-signals']);
      expect(digests.length).toBeGreaterThanOrEqual(4);
      expect(new Set(digests).size).toBe(1);
      expect(digests[0]).toMatch(/^[A-Za-z0-9_-]{43}$/);
    });

    it('lets no script see a token', async () => {
      const [first, second] = await openSignedIn(2);
      await first.fetch('/me');
      const cookies = await context.cookies();
      const secrets =
        transport === 'cookie'
          ? cookies.filter(({ httpOnly }) => httpOnly).map(({ value }) => value)
          : front.passages.flatMap(({ headers }) => headers.authorization?.slice(7) ?? []);
      expect(secrets.length).toBeGreaterThan(0);
      for (const secret of secrets) recordSecret(secret);
      const visible = `${await first.visibleToScripts()}${await second?.visibleToScripts()}`;
      expect(visible).toContain('/client-page/page.html');
      expect(secrets.filter((secret) => visible.includes(secret))).toEqual([]);
      const addresses = front.passages.map(({ path }) => path).join();
      expect(secrets.filter((secret) => addresses.includes(secret))).toEqual([]);
    });

    it('signs all tabs out together, each told once', async () => {
      const tabs = await openSignedIn(3);
      await tabs[0].logout();
      await Promise.all(tabs.map((tab) => tab.becomes('signed-out')));
      for (const tab of tabs) expect(await tab.told()).toEqual(['logout']);
      expect((await tabs[0].fetch('/me')).status).toBe(401);
      await tabs[0].reload();
      expect(await tabs[0].state()).toBe('signed-out');
    });

    it('signs all tabs out once when the server ends a stolen session', async () => {
      const tabs = await openSignedIn(3);
      const stolen = await steal(tabs[0]);
      // The owner goes on twice; then the thief comes with a grandparent of what the owner holds.
      await goesOn(front, () => pause(10));
      await eventually('all answered', () => refreshesOf(front).every(({ end }) => end < Infinity));
      expect((await stolen()).status).toBe(401);
      await Promise.all(tabs.map((tab) => tab.becomes('signed-out')));
      for (const tab of tabs) expect(await tab.told()).toEqual(['refused']);
      // The first tab's answer was good for all.
      const refused = refreshesOf(front).filter(({ status }) => status === 401);
      expect(new Set(refused.map(({ tab }) => tab)).size).toBe(2);
    });

    /** The refresh token as it stands now; answers its use from elsewhere. */
    async function steal(tab: Tab): Promise<() => Promise<Response>> {
      const headers = { 'content-type': 'application/json', 'x-tab': 'thief', origin: front.url };
      if (transport === 'cookie') {
        const cookies = await context.cookies();
        const valueOf = (name: string): string =>
          cookies.find((cookie) => cookie.name === name)?.value ?? '';
        const cookie = `__Host-refresh_token=${valueOf('__Host-refresh_token')}`;
        recordSecret(valueOf('__Host-refresh_token'));
        const csrf = { cookie, 'x-csrf-token': valueOf('__Host-csrf_token') };
        return () =>
          fetch(`${front.url}/auth/refresh`, {
            method: 'POST',
            headers: { ...headers, ...csrf },
            body: '{}',
          });
      }
      const request = await tab.page.context().waitForEvent('request', {
        predicate: (candidate) => candidate.url().endsWith('/auth/refresh'),
      });
      const body = request.postData() ?? '';
      recordSecret((JSON.parse(body) as { refresh_token: string }).refresh_token);
      return () => fetch(`${front.url}/auth/refresh`, { method: 'POST', headers, body });
    }

    it('tells the other tabs when somebody else logs in', async () => {
      const [first, second] = await openSignedIn(2);
      expect((await second?.login('bob'))?.status).toBe(200);
      await eventually('told', async () => (await first.told()).length > 0);
      expect(await first.told()).toEqual(['replaced']);
      expect(await first.json('/me')).toMatchObject({ sub: 'bob' });
      expect(await first.state()).toBe('signed-in');
    });

    it.each(['closed', 'reloaded'] as const)(
      'goes on, and no other tab notices, when the one that was refreshing is %s',
      async (how) => {
        const tabs = await openSignedIn(3);
        const letGo = hold(front);
        const { tab: name } = await nextRefresh(front);
        const refreshing = tabs.find((tab) => tab.name === name);
        const others = tabs.filter((tab) => tab !== refreshing);
        const answers = new Set<string>();
        const over = new AbortController();
        const use = async (tab: Tab): Promise<void> => {
          while (!over.signal.aborted) {
            const { status, code } = await tab.fetch('/me');
            answers.add(code ?? String(status));
          }
        };
        const users = Promise.all(others.map(use));
        try {
          await (how === 'closed' ? refreshing?.close() : refreshing?.reload());
          letGo();
          await goesOn(front, () => pause(10));
        } finally {
          over.abort();
          await users;
        }
        expect([...answers]).toEqual(['200']);
        for (const tab of others) expect(await tab.told()).toEqual([]);
      },
    );

    it('signs nobody out while the server cannot refresh, and leaves it alone for a while', async () => {
      const [first, second] = await openSignedIn(2);
      front.refreshes = 'busy';
      const before = Date.now();
      await eventually(
        'the access token is over',
        async () => (await first.fetch('/me')).code === 'ERR_CLIENT_UNAVAILABLE',
      );
      await eventually('told', async () => (await second?.fetch('/me'))?.status !== 200);
      expect((await second?.fetch('/me'))?.code).toBe('ERR_CLIENT_UNAVAILABLE');
      // Not more than one a second, as it asked for; of all tabs together.
      const asked = refreshesOf(front).filter(({ status }) => status === 503).length;
      expect(asked).toBeLessThanOrEqual(2 + (Date.now() - before) / 1_000);
      expect(await first.state()).toBe('signed-in');
      front.refreshes = 'answered';
      await eventually('it works again', async () => (await first.fetch('/me')).status === 200);
      await eventually('for all', async () => (await second?.fetch('/me'))?.status === 200);
      expect([await first.told(), await second?.told()]).toEqual([[], []]);
    });

    it('survives an answer that was lost', async () => {
      const [only] = await openSignedIn(1);
      front.refreshes = 'lost';
      const { start } = await nextRefresh(front);
      await eventually('lost', () =>
        refreshesOf(front).some((it) => it.start >= start && it.end < Infinity),
      );
      front.refreshes = 'answered';
      await goesOn(front, () => pause(10));
      expect((await only.fetch('/me')).status).toBe(200);
      expect(await only.told()).toEqual([]);
    });

    it('lets nobody notice an answer that broke off', async () => {
      const tabs = await openSignedIn(2);
      front.refreshes = 'halved';
      const broken = nextRefresh(front);
      const answers = new Set<string>();
      await goesOn(front, async () => {
        for (const { status, code } of await Promise.all(tabs.map((tab) => tab.fetch('/me')))) {
          answers.add(code ?? String(status));
        }
      });
      expect([...answers]).toEqual(['200']);
      const { presented, tab } = await broken;
      const tries = refreshesOf(front).filter((refresh) => refresh.presented === presented);
      expect(tries.slice(0, 2).map((refresh) => refresh.tab)).toEqual([tab, tab]);
    });

    it('takes its headers to no other origin', async () => {
      const seen: string[] = [];
      const other = createServer((request, response) => {
        seen.push(JSON.stringify([request.method, request.headers]));
        const { origin = '*' } = request.headers;
        response.setHeader('Access-Control-Allow-Origin', origin);
        response.setHeader('Access-Control-Allow-Headers', 'authorization, x-csrf-token');
        response.end('{}');
      }).listen(0, '127.0.0.1');
      await once(other, 'listening');
      const elsewhere = `http://localhost:${(other.address() as AddressInfo).port}`;
      const [tab] = await openSignedIn(1);
      expect(await tab.fetch(elsewhere, 'POST')).toEqual({ status: 0, code: 'ERR_CLIENT_ORIGIN' });
      for (const method of ['GET', 'POST']) {
        expect((await tab.fetch(`/leave?to=${elsewhere}`, method)).status).toBe(0);
      }
      expect(
        front.passages.filter(({ path, status }) => path === '/leave' && status === 307),
      ).toHaveLength(2);
      expect(seen.join()).not.toMatch(/bearer|x-csrf-token"/i);
      other.close();
    });

    it(
      'stays signed in through a long day of several tabs',
      async () => {
        const tabs = [...(await openSignedIn(3))];
        const all = new Set(tabs);
        // So that two at once would be seen.
        front.refreshes = () => pause(100);
        let good = 0;
        let interrupted = 0;
        const strange: { readonly from: number; readonly until: number; readonly what: string }[] =
          [];
        const until = Date.now() + RUN_FOR;
        const beganAt = Date.now();

        const use = async (seat: number): Promise<void> => {
          while (Date.now() < until) {
            const tab = tabs[seat];
            if (tab === undefined) throw new Error('no tab sits here');
            const method = Math.random() < 0.3 ? 'DELETE' : 'GET';
            // What nobody has is not found, once the guard has let the request through.
            const expected = method === 'GET' ? '200' : '404';
            const path = method === 'GET' ? '/me' : '/auth/sessions/of-nobody';
            const call = async (): Promise<void> => {
              const from = Date.now();
              const { status, code } = await tab
                .fetch(path, method)
                .catch(() => ({ status: 0, code: 'no answer of the page' }));
              const answer = code ?? String(status);
              if (answer === expected) good += 1;
              // The page was left under it.
              else if (tab.wasLeft(from, Date.now())) interrupted += 1;
              else
                strange.push({ from, until: Date.now(), what: `${tab.name} ${method} ${answer}` });
            };
            await Promise.all(Array.from({ length: 1 + Math.floor(Math.random() * 4) }, call));
            await pause(Math.random() * 700);
          }
        };

        const disturb = async (): Promise<void> => {
          while (Date.now() < until) {
            await pause(500 + Math.random() * 2_500);
            const seat = Math.floor(Math.random() * tabs.length);
            const tab = tabs[seat];
            if (tab === undefined) throw new Error('no tab sits here');
            expect(await tab.told()).toEqual([]);
            if (Math.random() < 0.5) {
              await tab.reload();
              await tab.becomes('signed-in');
              continue;
            }
            const next = await open();
            all.add(next);
            await next.becomes('signed-in');
            tabs[seat] = next;
            await tab.close();
          }
        };

        await Promise.all([use(0), use(1), use(2), disturb()]);
        const lasted = Date.now() - beganAt;
        for (const tab of tabs) {
          expect(await tab.told()).toEqual([]);
          expect(await tab.state()).toBe('signed-in');
        }
        const refreshes = refreshesOf(front);
        // With all that went on in the five seconds before and the second after.
        const stories = strange.map(({ from, until: end, what }) => [
          `${timeOf(from)} to ${timeOf(end)} ${what}`,
          ...refreshes.filter((it) => it.end > from - 5_000 && it.start < end + 1_000).map(inWords),
          ...[...all]
            .filter((tab) => tab.wasLeft(from - 5_000, end))
            .map(({ name }) => `left: ${name}`),
        ]);
        expect(stories).toEqual([]);
        expect(good).toBeGreaterThan(RUN_FOR / 1_000);
        const refused = refreshes.filter(({ status }) => status !== 200 && status !== 0);
        expect(refused.map(inWords)).toEqual([]);
        expect(overlaps(refreshes, [...all])).toEqual([]);
        // Due after 80 to 90 percent of a token's life, for all tabs together: two tabs on their own
        // would make more than 2.2. One whose tab was left has to be repeated.
        const whole = refreshes.filter((it) => !wasLeft([...all], it, it.end));
        const perLife = whole.length / (lasted / (ACCESS_TTL * 1_000));
        expect(perLife).toBeLessThan(2);
        process.stderr.write(
          `${transport}: ${Math.round(lasted / 1000)} s, ${good} answers, ${interrupted} interrupted, ${refreshes.length} refreshes, ${perLife.toFixed(2)} per token life\n`,
        );
      },
      RUN_FOR + 60_000,
    );
  });

  it('keeps the cookies of a refresh whose only tab was reloaded meanwhile', async () => {
    const tab = await Tab.open(context, front.url, 'cookie');
    await tab.login('alice');
    const letGo = hold(front);
    await nextRefresh(front);
    await tab.reload();
    letGo();
    await goesOn(front, async () => expect((await tab.fetch('/me')).status).toBe(200));
    expect(await tab.told()).toEqual([]);
  });
});
