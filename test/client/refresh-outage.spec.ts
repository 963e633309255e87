import { pathsOf } from './bank.js';
import type { World } from './browser-world.js';
import { AFTER_EXPIRY, signedIn, TRANSPORTS } from './signed-in.js';

/** Refreshes that fail, and what the tabs make of it together. */

/** How a refresh is not answered. */
const SILENCES: readonly [string, () => Promise<Response>][] = [
  ['no network', () => Promise.reject(new TypeError('Failed to fetch'))],
  ['no answer', () => new Promise(() => {})],
  ['half of one', () => Promise.resolve(halfAnAnswer())],
];

/** Its connection breaks off in the middle. */
function halfAnAnswer(): Response {
  const parts = [new TextEncoder().encode('{"expires_in":600,')];
  return new Response(
    new ReadableStream({
      pull(controller) {
        const part = parts.pop();
        if (part === undefined) controller.error(new TypeError('terminated'));
        else controller.enqueue(part);
      },
    }),
  );
}

function typesOf({ posted }: World): readonly unknown[] {
  return posted.map((message) => (message as { readonly type?: unknown }).type);
}

describe.each(TRANSPORTS)('a client with the transport %s whose refresh fails', (transport) => {
  it.each([
    ['busy', () => new Response('{}', { status: 503, headers: { 'Retry-After': '7' } })],
    ['throttled', () => new Response('{}', { status: 429, headers: { 'Retry-After': '7' } })],
    ['broken', () => new Response('oops', { status: 500 })],
    ['a firewall', () => new Response('no', { status: 403 })],
    ['another 400', () => Response.json({ error: 'invalid_request' }, { status: 400 })],
    ['no JSON', () => new Response('<html>')],
    ['half an answer', () => Response.json({ expires_in: 60, access_token: 'a' })],
    ['a life without end', () => Response.json({ expires_in: 'Infinity', csrf_token: 'c' })],
    // Each of two tabs asks twice before it is believed.
    ['no network', () => Promise.reject(new TypeError('Failed to fetch')), 4],
    ['no answer', () => new Promise<Response>(() => {}), 4],
    ['half of one', () => halfAnAnswer(), 4],
  ])('signs nobody out when a refresh meets: %s', async (_what, refusal, asked = 1) => {
    const { world, bank, tabs } = await signedIn(transport, 2);
    for (const tab of tabs) tab.hide();
    bank.refusal = refusal;
    await world.advance(AFTER_EXPIRY);
    const calls = tabs.map(({ client }) => client.fetch('/me'));
    const outcomes = await world.outcome(Promise.allSettled(calls));
    for (const outcome of outcomes) {
      expect(outcome).toMatchObject({
        status: 'rejected',
        reason: { code: expect.stringMatching(/^ERR_CLIENT_(?:UNAVAILABLE|ANSWER)$/) as string },
      });
    }
    expect(bank.refreshes).toBe(asked);
    expect(tabs.map(({ client }) => client.state)).toEqual(['signed-in', 'signed-in']);
    expect(tabs.flatMap(({ told }) => told)).toEqual([]);
    bank.refusal = undefined;
    await world.advance(30_000);
    expect((await world.outcome(tabs[1]?.client.fetch('/me') ?? Promise.reject())).status).toBe(
      200,
    );
  });

  it('leaves the server alone for as long as it asked', async () => {
    const { world, bank, tabs } = await signedIn(transport, 2);
    for (const tab of tabs) tab.hide();
    bank.refusal = () => new Response('{}', { status: 503, headers: { 'Retry-After': '60' } });
    await world.advance(AFTER_EXPIRY);
    for (let second = 0; second < 55; second += 5) {
      for (const { client } of tabs) {
        await expect(world.outcome(client.fetch('/me'))).rejects.toMatchObject({ retryAfter: 60 });
      }
      await world.advance(5_000);
    }
    expect(bank.refreshes).toBe(1);
  });

  it.each(SILENCES)('asks again at once, and nobody notices, when it met %s', async (_what, no) => {
    const { world, bank, tabs } = await signedIn(transport, 3);
    for (const tab of tabs) tab.hide();
    bank.refusal = () => {
      bank.refusal = undefined;
      return no();
    };
    await world.advance(AFTER_EXPIRY);
    const calls = tabs.map(({ client }) => client.fetch('/me'));
    const answers = await world.outcome(Promise.all(calls));
    expect(answers.map(({ status }) => status)).toEqual([200, 200, 200]);
    expect(pathsOf(world).slice(0, 2)).toEqual(['POST /auth/refresh', 'POST /auth/refresh']);
    expect(bank.refreshes).toBe(2);
    const [first, second] = await Promise.all(world.sent.slice(0, 2).map((sent) => sent.text()));
    expect(second).toBe(first);
    expect(tabs.flatMap(({ told }) => told)).toEqual([]);
  });

  it('gives a refresh four seconds, and repeats it while the grace window stands open', async () => {
    const { world, bank, tabs } = await signedIn(transport);
    tabs[0].hide();
    bank.refusal = () => new Promise<Response>(() => {});
    await world.advance(AFTER_EXPIRY);
    const begun = world.now;
    const times: number[] = [];
    const { answer } = world;
    world.answer = (request) => {
      times.push(world.now - begun);
      return answer(request);
    };
    await expect(world.outcome(tabs[0].client.fetch('/me'))).rejects.toMatchObject({
      code: 'ERR_CLIENT_UNAVAILABLE',
    });
    expect(world.now - begun).toBe(8_000);
    await world.advance(2_000);
    expect(times).toEqual([0, 4_000, 9_000]);
  });

  it('sees for itself when another tab met silence', async () => {
    const { world, bank, tabs } = await signedIn(transport, 3);
    const [unlucky, ...others] = tabs;
    for (const tab of tabs) tab.hide();
    unlucky.block();
    await world.advance(AFTER_EXPIRY);
    const failing = Promise.allSettled([unlucky.client.fetch('/me')]);
    const calls = others.map(({ client }) => client.fetch('/me'));
    const answers = await world.outcome(Promise.all(calls));
    expect(answers.map(({ status }) => status)).toEqual([200, 200]);
    expect(await world.outcome(failing)).toMatchObject([
      { reason: { code: 'ERR_CLIENT_UNAVAILABLE' } },
    ]);
    await world.advance(1_000);
    unlucky.unblock();
    expect((await world.outcome(unlucky.client.fetch('/me'))).status).toBe(200);
    expect(bank.refreshes).toBe(1);
  });

  it.each(SILENCES)(
    'stops in all tabs once two have met %s, one after the other',
    async (...to) => {
      const { world, bank, tabs } = await signedIn(transport, 5);
      for (const tab of tabs) tab.hide();
      [, bank.refusal] = to;
      let underWay = 0;
      let most = 0;
      const { answer } = world;
      world.answer = async (request) => {
        most = Math.max(most, (underWay += 1));
        request.signal.addEventListener('abort', () => (underWay -= 1));
        try {
          return await answer(request);
        } finally {
          underWay -= 1;
        }
      };
      await world.advance(AFTER_EXPIRY);
      const call = (): Promise<readonly PromiseSettledResult<Response>[]> =>
        world.outcome(Promise.allSettled(tabs.map(({ client }) => client.fetch('/me'))));
      for (const outcome of [...(await call()), ...(await call())]) {
        expect(outcome).toMatchObject({ reason: { code: 'ERR_CLIENT_UNAVAILABLE' } });
      }
      expect([bank.refreshes, most]).toEqual([4, 1]);
    },
  );

  it('asks not more than once a second, of all tabs, while it is refused', async () => {
    const { world, bank, tabs } = await signedIn(transport, 3);
    const times: number[] = [];
    bank.refusal = () => {
      times.push(world.now);
      return new Response('{}', { status: 503 });
    };
    await world.advance(AFTER_EXPIRY - 1_000);
    for (let step = 0; step < 300; step++) {
      for (const { client } of tabs) client.fetch('/me').catch(() => {});
      await world.advance(100);
    }
    expect(times.length).toBeGreaterThan(3);
    const gaps = times.slice(1).map((at, index) => at - (times[index] ?? 0));
    expect(Math.min(...gaps)).toBeGreaterThanOrEqual(1_000);
  });

  it('is told nothing by a page that is left, and goes on with its refresh at once', async () => {
    const { world, bank, tabs } = await signedIn(transport, 3);
    const [leaving, ...others] = tabs;
    for (const tab of tabs) tab.hide();
    await world.advance(AFTER_EXPIRY);
    bank.refusal = () => new Promise<Response>(() => {});
    leaving.show();
    void leaving.client.fetch('/me').catch(() => {});
    await world.advance(0);
    const calls = others.map(({ client }) => client.fetch('/me'));
    await world.advance(0);
    expect(bank.refreshes).toBe(1);
    world.posted.length = 0;
    await leaving.leave();
    // Not once more by a page that will not live to see the answer.
    expect(bank.refreshes).toBe(1);
    bank.refusal = undefined;
    leaving.kill();
    const answers = await world.outcome(Promise.all(calls));
    expect(answers.map(({ status }) => status)).toEqual([200, 200]);
    expect(bank.refreshes).toBe(2);
    expect(typesOf(world)).not.toContain('postponed');
  });

  it('goes on as before when the page comes back from the history', async () => {
    const { world, bank, tabs } = await signedIn(transport, 2);
    const [{ client }, other] = tabs;
    for (const tab of tabs) tab.hide();
    await tabs[0].leave();
    tabs[0].show();
    tabs[0].hide();
    bank.refusal = () => Promise.reject(new TypeError('Failed to fetch'));
    await world.advance(AFTER_EXPIRY);
    other?.kill();
    world.posted.length = 0;
    await expect(world.outcome(client.fetch('/me'))).rejects.toMatchObject({
      code: 'ERR_CLIENT_UNAVAILABLE',
    });
    expect(bank.refreshes).toBe(2);
    expect(typesOf(world)).toEqual(['refreshing', 'postponed']);
  });

  it('does not mind a refresh that failed when another tab has won meanwhile', async () => {
    const { world, bank, tabs } = await signedIn(transport, 2, ['locks']);
    for (const tab of tabs) tab.hide();
    await world.advance(AFTER_EXPIRY);
    bank.refusal = () => new Promise<Response>(() => {});
    const late = tabs[0].client.fetch('/me');
    await world.advance(0);
    bank.refusal = undefined;
    const call = tabs[1]?.client.fetch('/me') ?? Promise.reject();
    expect((await world.outcome(call)).status).toBe(200);
    expect((await world.outcome(late)).status).toBe(200);
    expect(bank.refreshes).toBe(2);
    expect(typesOf(world)).not.toContain('postponed');
  });

  it('asks nothing again for a client that was closed', async () => {
    const { world, bank, tabs } = await signedIn(transport);
    tabs[0].hide();
    bank.refusal = () => new Promise<Response>(() => {});
    await world.advance(AFTER_EXPIRY);
    void tabs[0].client.fetch('/me').catch(() => {});
    await world.advance(1_000);
    tabs[0].client.close();
    await world.advance(60_000);
    expect(bank.refreshes).toBe(1);
  });
});
