import { freePort } from '../support/processes.js';
import {
  describeWithRedis,
  eventually,
  type RedisServer,
  startRedis,
} from '../support/redis-server.js';
import { Instance, type InstanceOptions } from './instances.js';
import { pick } from './revocation-figures.js';
import { type Fate, SessionClient } from './session-clients.js';
import { saidOfThefts, sessionSetting, storedGenerations } from './session-instances.js';
import { SessionLoad } from './session-load.js';

/** Over both graces. The brief's two hundred take minutes: `SESSION_KILLS=200`. */
const KILLS = Math.ceil(Number(process.env['SESSION_KILLS'] ?? 4) / 2);

/** What a process is doing when it is killed. */
const FATES: readonly (Fate | 'die at random')[] = [
  'die after the write',
  'die at random',
  'die after the write',
  'die during the write',
  'die before the write',
];

/** Milliseconds within which one is killed that does whatever it does. */
const AT_RANDOM = 60;

/** Instances that are killed, beside one that is not. */
const MORTAL = 2;

describeWithRedis('a process that is killed while it refreshes', () => {
  let redis: RedisServer;
  let setting: InstanceOptions;
  /** Whoever serves at each place now, and everyone who did. */
  let seats: Instance[];
  let everyone: Instance[];
  let ports: readonly number[];
  let load: SessionLoad;

  async function start(reuseGrace: '0s' | '10s'): Promise<void> {
    redis = await startRedis();
    setting = sessionSetting(redis, { sessions: { reuseGrace } });
    ports = await Promise.all(Array.from({ length: MORTAL + 1 }, freePort));
    seats = await Promise.all(ports.map((port) => Instance.start({ ...setting, port })));
    everyone = [...seats];
  }

  afterEach(async () => {
    await load.stop();
    await Promise.all(seats.map(({ process }) => process.stop()));
    await redis.stop();
  });

  /** One at a time on each place, until so many died on both. */
  async function killAll(): Promise<void> {
    let begun = 0;
    await Promise.all(
      Array.from({ length: MORTAL }, async (_, place) => {
        for (let number = begun++; number < KILLS; number = begun++) {
          const { process } = pick(seats, place);
          const refreshed = load.refreshes;
          await eventually('users refresh', () => load.refreshes > refreshed + 5);
          await kill(process, place, pick(FATES, number));
          expect(await process.exitCode).toBeNull();
          const next = await Instance.start({ ...setting, port: pick(ports, place) });
          seats[place] = next;
          everyone.push(next);
        }
      }),
    );
  }

  async function kill(
    process: Instance['process'],
    place: number,
    fatedTo: Fate | 'die at random',
  ): Promise<void> {
    if (fatedTo === 'die at random') {
      await new Promise((resolve) => setTimeout(resolve, Math.random() * AT_RANDOM));
      await process.stop('SIGKILL');
    } else {
      // It is to die by its own hand: users come, and one of them brings it.
      load.aim(place, fatedTo);
      await process.exitCode;
    }
  }

  it.each([
    ['10s', 2],
    ['0s', 1],
  ] as const)(
    `${KILLS} times with grace %s: users go on, or are cleanly out`,
    async (reuseGrace, tabs) => {
      await start(reuseGrace);
      const grace = reuseGrace === '0s' ? 0 : 10_000;
      load = new SessionLoad(seats, { users: 4, tabs, grace });
      load.start();
      await killAll();
      await load.stop();

      expect(load.wrong).toEqual([]);
      // One chain: as many rotations as the user saw, and the user has the end of it.
      const stored = await storedGenerations(redis);
      const [judge] = seats.map((seat) => new SessionClient(seat));
      for (const [sessionId, { pair, rotations }] of load.alive) {
        expect(stored.get(sessionId)).toBe(rotations);
        await judge?.mustRefresh(pair.refreshToken);
      }
      judge?.close();
      for (const sessionId of load.out) expect(stored.has(sessionId)).toBe(false);
      // Nobody was taken for a thief but who was put out.
      const reused = saidOfThefts(everyone, 'refresh.reused').map(({ sessionId }) => sessionId);
      expect(reused.filter((sessionId) => !load.out.has(sessionId))).toEqual([]);
      expect(new Set(reused).size).toBe(reused.length);
      process.stdout.write(
        `${KILLS} kills, grace ${reuseGrace}: of ${load.refreshes} refreshes ` +
          `${load.wentOn + load.loggedOut} lost an answer, ${load.wentOn} went on, ` +
          `${load.loggedOut} were cleanly out\n`,
      );
    },
  );
});
