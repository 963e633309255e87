import { Clock, SystemClock } from '../../../lib/kernel/clock.js';
import { LogFollowers } from '../../../lib/storage/redis/log-followers.js';
import {
  describeWithRedis,
  eventually,
  type RedisServer,
  startRedis,
} from '../../support/redis-server.js';

/** A host whose wall clock is set back while time goes on. */
class SetBackClock extends Clock {
  #wall = Date.UTC(2026, 10, 22);
  #elapsed = 0;

  now(): number {
    return this.#wall;
  }

  override elapsed(): number {
    return this.#elapsed;
  }

  pass(ms: number): void {
    this.#elapsed += ms;
    this.#wall -= ms;
  }
}

describeWithRedis('LogFollowers', () => {
  let server: RedisServer;
  let followers: LogFollowers;
  let isProven = true;
  let reads = 0;
  let current = 0;

  beforeEach(async () => {
    server = await startRedis();
    // The alarm sees an entry that no page shows.
    await server.command('XADD', 'log', '1-1', 'e', 'x');
    followers = new LogFollowers({ url: server.url }, 'log', new SystemClock(), () => isProven);
    isProven = true;
    reads = 0;
    current = 0;
    followers.add(
      { after: null, onEntries: () => {}, onCurrent: () => current++, onLost: () => {} },
      async () => {
        reads++;
        return { verdict: 'read', entries: [], position: null, atEnd: true };
      },
    );
  });

  afterEach(async () => {
    followers.close();
    await server.stop();
  });

  it('rests after a page without entries, whatever the alarm sees', async () => {
    const start = Date.now();
    await eventually('it goes on', () => reads >= 10);
    expect(Date.now() - start).toBeGreaterThan(9 * 45);
  });

  it('calls nobody current whose log nothing proves to be that of a primary', async () => {
    await eventually('it is current', () => current > 0);
    isProven = false;
    const [told, read] = [current, reads];
    await eventually('it reads on', () => reads >= read + 5);
    expect(current).toBe(told);
  });

  it('calls nobody current by a slow answer, also when the wall clock was set back', async () => {
    const clock = new SetBackClock();
    const others = new LogFollowers({ url: server.url }, 'log', clock, () => true);
    let took = 501;
    const heard = { pages: 0, current: 0 };
    try {
      others.add(
        { after: null, onEntries: () => {}, onCurrent: () => heard.current++, onLost: () => {} },
        async () => {
          heard.pages++;
          clock.pass(took);
          return { verdict: 'read', entries: [], position: null, atEnd: true };
        },
      );
      await eventually('it reads', () => heard.pages >= 5);
      expect(heard.current).toBe(0);
      took = 500;
      await eventually('it is current', () => heard.current > 0);
    } finally {
      others.close();
    }
  });
});
