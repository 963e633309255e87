import { type INestApplication, Injectable, Module, type ModuleMetadata } from '@nestjs/common';
import { Cron, Interval, ScheduleModule, SchedulerRegistry, Timeout } from '@nestjs/schedule';
import { Test } from '@nestjs/testing';

import type { JwtHardeningOptions } from '../../lib/config/options.js';
import { SecurityEvents, type SecurityEventType } from '../../lib/events/security-events.js';
import { JwtHardeningModule } from '../../lib/jwt-hardening.module.js';
import { Clock } from '../../lib/kernel/clock.js';
import { KeyRingService } from '../../lib/keys/key-ring.service.js';
import { KEY_ROTATION_INTERVAL } from '../../lib/keys/key-rotation.schedule.js';
import { AUDIENCE, ISSUER } from '../support/guarded-app.js';
import { TestClock } from '../support/test-clock.js';
import { newPrivateJwk } from '../support/token-mother.js';
import { DAY } from './ring-mother.js';

const MINUTE = 60_000;

@Injectable()
class Jobs {
  ticks = 0;
  crons = 0;
  timeouts = 0;

  @Interval('application-interval', 1_000)
  tick(): void {
    this.ticks++;
  }

  @Cron('*/10 * * * * *', { name: 'application-cron' })
  cron(): void {
    this.crons++;
  }

  @Timeout('application-timeout', 1_000)
  timeout(): void {
    this.timeouts++;
  }
}

const opened: INestApplication[] = [];
let clock: TestClock;

async function start(
  imports: NonNullable<ModuleMetadata['imports']>,
  options: Partial<JwtHardeningOptions> = {},
): Promise<INestApplication> {
  const hardening = JwtHardeningModule.forRoot({ issuer: ISSUER, audience: AUDIENCE, ...options });
  const module = await Test.createTestingModule({
    imports: [...imports, hardening],
    providers: [Jobs],
  })
    .overrideProvider(Clock)
    .useValue(clock)
    .compile();
  const app = await module.createNestApplication().init();
  opened.push(app);
  return app;
}

const next = (app: INestApplication, type: SecurityEventType): Promise<unknown> =>
  new Promise((resolve) => app.get(SecurityEvents).on(type, resolve));

const phases = (app: INestApplication): readonly string[] =>
  app
    .get(KeyRingService)
    .keys()
    .map(({ phase }) => phase);

beforeEach(() => {
  clock = new TestClock();
  jest.useFakeTimers({
    // Everything but what schedules: promises, the thread pool and Nest go on as ever.
    doNotFake: [
      'nextTick',
      'setImmediate',
      'clearImmediate',
      'queueMicrotask',
      'performance',
      'hrtime',
    ],
  });
});

afterEach(async () => {
  for (const app of opened.splice(0)) await app.close();
  jest.useRealTimers();
});

@Module({ imports: [ScheduleModule.forRoot()] })
class ModuleThatSchedules {}

const HOSTS: readonly (readonly [name: string, imports: NonNullable<ModuleMetadata['imports']>])[] =
  [
    ['an application that imports ScheduleModule', [ScheduleModule.forRoot()]],
    ['an application of which some module imports it', [ModuleThatSchedules]],
    ['an application without it', []],
  ];

describe.each(HOSTS)('in %s', (_name, imports) => {
  it('keys move through their phases on time though nobody signs', async () => {
    const app = await start(imports);
    clock.advance(29 * DAY);
    const published = next(app, 'key.published');
    jest.advanceTimersByTime(MINUTE);
    await published;
    clock.advance(DAY);
    const signing = next(app, 'key.signing');
    jest.advanceTimersByTime(MINUTE);
    await signing;
    expect(phases(app)).toEqual(['verifying', 'signing']);
    clock.advance(DAY);
    const retired = next(app, 'key.retired');
    jest.advanceTimersByTime(MINUTE);
    await retired;
    expect(phases(app)).toEqual(['signing']);
  });

  it('closing leaves no timer, and no key moves after it', async () => {
    const app = await start(imports);
    expect(jest.getTimerCount()).toBeGreaterThan(0);
    const heard = jest.fn();
    app.get(SecurityEvents).asObservable().subscribe(heard);
    await app.close();
    expect(jest.getTimerCount()).toBe(0);
    clock.advance(400 * DAY);
    await jest.advanceTimersByTimeAsync(MINUTE);
    expect(heard).not.toHaveBeenCalled();
  });
});

describe('the interval', () => {
  it('stands in the registry of the application, under a name that says whose it is', async () => {
    const app = await start([ScheduleModule.forRoot()]);
    const registry = app.get(SchedulerRegistry);
    expect(registry.getIntervals()).toEqual(
      expect.arrayContaining([KEY_ROTATION_INTERVAL, 'application-interval']),
    );
    await app.close();
    expect(registry.getIntervals()).toEqual([]);
  });

  it('can be taken away by an operator, and closing still works', async () => {
    const app = await start([ScheduleModule.forRoot()]);
    app.get(SchedulerRegistry).deleteInterval(KEY_ROTATION_INTERVAL);
    await expect(app.close()).resolves.toBeUndefined();
  });

  it('does not keep the process alive', async () => {
    jest.useRealTimers();
    const app = await start([ScheduleModule.forRoot()]);
    const interval: unknown = app.get(SchedulerRegistry).getInterval(KEY_ROTATION_INTERVAL);
    expect((interval as NodeJS.Timeout).hasRef()).toBe(false);
  });

  it('is not there for a configured key, which never rotates', async () => {
    const app = await start([ScheduleModule.forRoot()], {
      keys: { signingKey: await newPrivateJwk() },
    });
    expect(app.get(SchedulerRegistry).getIntervals()).toEqual(['application-interval']);
    const alone = await start([], { keys: { signingKey: await newPrivateJwk() } });
    await app.close();
    // The sweep of the revocations and the pulse of their log; none for keys.
    expect(jest.getTimerCount()).toBe(2);
    await alone.close();
    expect(jest.getTimerCount()).toBe(0);
  });

  it('of one application is not that of another in the same process', async () => {
    const [first, second] = [
      await start([ScheduleModule.forRoot()]),
      await start([ScheduleModule.forRoot()]),
    ];
    await first.close();
    clock.advance(29 * DAY);
    const published = next(second, 'key.published');
    jest.advanceTimersByTime(MINUTE);
    await expect(published).resolves.toMatchObject({ type: 'key.published' });
  });
});

describe("the application's own jobs", () => {
  it('run as often as they say, not twice, beside ours', async () => {
    const app = await start([ScheduleModule.forRoot()]);
    await jest.advanceTimersByTimeAsync(MINUTE);
    const { ticks, crons, timeouts } = app.get(Jobs);
    expect({ ticks, crons, timeouts }).toEqual({ ticks: 60, crons: 6, timeouts: 1 });
  });

  it('do not begin to run because of us in an application that does not import ScheduleModule', async () => {
    const app = await start([]);
    await jest.advanceTimersByTimeAsync(MINUTE);
    const { ticks, crons, timeouts } = app.get(Jobs);
    expect({ ticks, crons, timeouts }).toEqual({ ticks: 0, crons: 0, timeouts: 0 });
  });
});
