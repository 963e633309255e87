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
import { type ClientFront, type Passage, startFront } from './client-front.js';
import { Tab } from './client-tabs.js';

/**
 * The built browser client in a real Chromium, several tabs of one profile at once. Behind it is
 * the built sample app, or one that runs already: CLIENT_APP_URL, with an access TTL of
 * CLIENT_ACCESS_TTL seconds. CLIENT_MINUTES makes the long run longer.
 */

const ACCESS_TTL = Number(process.env['CLIENT_ACCESS_TTL'] ?? 2);
const GRACE = 3_000;
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
      JWT_REUSE_GRACE: `${GRACE}ms`,
    },
    readyWhen: /ledger is ready on (http:\/\/localhost:\d+)/,
  });
  return app.match[1] ?? '';
}

function refreshesOf({ passages }: ClientFront): readonly Passage[] {
  return passages.filter(({ path }) => path === '/auth/refresh');
}

/** Pairs of refreshes that were under way at once, but for those whose tab was left meanwhile. */
function overlaps(refreshes: readonly Passage[], tabs: readonly Tab[]): readonly string[] {
  const wasLeft = ({ tab, start }: Passage, before: number): boolean =>
    tabs.some(({ name, left }) => name === tab && left.some((at) => at >= start && at <= before));
  return refreshes.flatMap((first, index) =>
    refreshes
      .slice(index + 1)
      .filter((second) => second.start < first.end && !wasLeft(first, second.start))
      .map((second) => `${first.tab} and ${second.tab}`),
  );
}

/** A refresh was answered so late that the token before the first one was over, grace and all. */
function outlivesGrace(front: ClientFront): boolean {
  const [first, ...later] = refreshesOf(front);
  return later.some(({ start, status }) => status === 200 && start > (first?.end ?? 0) + GRACE);
}

describe('the built client', () => {
  it('is a few KiB for who loads it', async () => {
    const { outputFiles } = await build({
      entryPoints: [join(__dirname, '../../dist/client/index.js')],
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
      const uses = refreshesOf(front).length;
      // The owner goes on twice; then the thief comes with a grandparent of what the owner holds.
      await eventually('two refreshes', () => refreshesOf(front).length >= uses + 2);
      await eventually('both answered', () =>
        refreshesOf(front).every(({ end }) => end < Infinity),
      );
      expect((await stolen()).status).toBe(401);
      await Promise.all(tabs.map((tab) => tab.becomes('signed-out')));
      for (const tab of tabs) expect(await tab.told()).toEqual(['refused']);
      const refused = refreshesOf(front).filter(
        ({ tab, status }) => tab !== 'thief' && status !== 200,
      );
      expect(refused).toHaveLength(1);
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

    it('goes on when the tab that was refreshing is closed', async () => {
      const [first, second] = await openSignedIn(2);
      front.refreshes = { slow: 1_000 };
      await eventually('a refresh is under way', () => refreshesOf(front).length === 1);
      const [refreshing, other] =
        refreshesOf(front)[0]?.tab === first.name ? [first, second] : [second, first];
      await refreshing?.close();
      front.refreshes = 'answered';
      await eventually('the session goes on', () => outlivesGrace(front));
      expect((await other?.fetch('/me'))?.status).toBe(200);
      expect(await other?.told()).toEqual([]);
    });

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
      const asked = refreshesOf(front).length;
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
      await eventually('lost', () => refreshesOf(front).some(({ end }) => end < Infinity));
      front.refreshes = 'answered';
      await eventually('the session goes on', () => outlivesGrace(front));
      expect((await only.fetch('/me')).status).toBe(200);
      expect(await only.told()).toEqual([]);
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
        front.refreshes = { slow: 100 };
        const answers = new Map<string, number>();
        const until = Date.now() + RUN_FOR;
        const beganAt = Date.now();

        const use = async (seat: number): Promise<void> => {
          while (Date.now() < until) {
            const tab = tabs[seat];
            if (tab === undefined) throw new Error('no tab sits here');
            const leaves = tab.left.length;
            const method = Math.random() < 0.3 ? 'DELETE' : 'GET';
            // What nobody has is not found, once the guard has let the request through.
            const expected = method === 'GET' ? '200' : '404';
            const path = method === 'GET' ? '/me' : '/auth/sessions/of-nobody';
            const calls = Array.from({ length: 1 + Math.floor(Math.random() * 4) }, () =>
              tab.fetch(path, method).then(
                ({ status, code }) => code ?? String(status),
                // The page was left under it.
                () => 'interrupted',
              ),
            );
            for (const answer of await Promise.all(calls)) {
              const isCut = answer !== expected && tab.left.length > leaves;
              const counted = isCut ? 'interrupted' : answer === expected ? '200' : answer;
              answers.set(counted, (answers.get(counted) ?? 0) + 1);
            }
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
        const others = [...answers.keys()].filter((it) => it !== '200' && it !== 'interrupted');
        expect(others).toEqual([]);
        expect(answers.get('200') ?? 0).toBeGreaterThan(RUN_FOR / 1_000);
        const refreshes = refreshesOf(front);
        expect(refreshes.filter(({ status }) => status !== 200 && status !== 0)).toEqual([]);
        expect(overlaps(refreshes, [...all])).toEqual([]);
        // Due after 80 to 90 percent of a token's life, for all tabs together.
        const perLife = refreshes.length / (lasted / (ACCESS_TTL * 1_000));
        expect(perLife).toBeLessThan(1.6);
        process.stderr.write(
          `${transport}: ${Math.round(lasted / 1000)} s, ${JSON.stringify(Object.fromEntries(answers))}, ${refreshes.length} refreshes, ${perLife.toFixed(2)} per token life\n`,
        );
      },
      RUN_FOR + 60_000,
    );
  });

  it('keeps the cookies of a refresh whose only tab was reloaded meanwhile', async () => {
    const tab = await Tab.open(context, front.url, 'cookie');
    await tab.login('alice');
    front.refreshes = { slow: 1_000 };
    await eventually('a refresh is under way', () => refreshesOf(front).length === 1);
    await tab.reload();
    front.refreshes = 'answered';
    await eventually('the session goes on', async () => {
      expect((await tab.fetch('/me')).status).toBe(200);
      return outlivesGrace(front);
    });
    expect(await tab.told()).toEqual([]);
  });
});
