import { SystemClock } from '../../../lib/kernel/clock.js';
import { LogFollowers } from '../../../lib/storage/redis/log-followers.js';
import {
  describeWithRedis,
  eventually,
  type RedisServer,
  startRedis,
} from '../../support/redis-server.js';

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
});
