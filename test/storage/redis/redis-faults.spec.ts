import { StoreError } from '../../../lib/kernel/errors.js';
import {
  redisStorage,
  type RedisStorageOptions,
} from '../../../lib/storage/redis/redis-storage.js';
import type { Storage, StorageStatus } from '../../../lib/storage/storage.js';
import {
  describeWithRedis,
  eventually,
  type RedisServer,
  startRedis,
} from '../../support/redis-server.js';
import { startSentinelSet, startCluster } from '../../support/redis-topologies.js';
import { carried, digest, Listener, type Outcome, SteadyLoad } from './steady-load.js';

/** The default deadline, and what a busy machine may add to it: to most calls, and to few of them. */
const BOUND = 100 + 900;
const MOST = 0.9;

/** How long a server is held still: far longer than any call may wait. */
const STILL = 10_000;

const HOUR = 3_600_000;

// An unhandled rejection anywhere in here fails the test it happens in: Jest watches for them.
const opened: Storage[] = [];

function open(options: RedisStorageOptions): Storage {
  const storage = redisStorage(options);
  opened.push(storage);
  return storage;
}

afterEach(async () => {
  await Promise.all(opened.splice(0).map((storage) => storage.close()));
});

function statesOf(storage: Storage): StorageStatus['state'][] {
  const states: StorageStatus['state'][] = [];
  storage.onStatus(({ state }) => states.push(state));
  return states;
}

function isAnswered(call: Promise<unknown>): Promise<boolean> {
  return call.then(
    () => true,
    () => false,
  );
}

function expectQuickStoreErrors(failures: readonly Outcome[]): void {
  expect(failures.length).toBeGreaterThan(0);
  for (const { failure, took } of failures) {
    expect(failure).toBeInstanceOf(StoreError);
    expect(failure).toMatchObject({ code: 'ERR_STORE_UNAVAILABLE' });
    expect(took).toBeLessThan(STILL);
  }
  const quick = failures.filter(({ took }) => took < BOUND);
  expect(quick.length).toBeGreaterThan(failures.length * MOST);
}

/** One outage and its end; where the machine stalls there can be more, each said once. */
async function expectOutages(
  storage: Storage,
  states: readonly StorageStatus['state'][],
): Promise<void> {
  await eventually('it is up', () => storage.status().state === 'up');
  expect(states.length).toBeGreaterThan(0);
  expect(states).toEqual(states.map((_, place) => (place % 2 === 0 ? 'down' : 'up')));
}

function expectNothingGrantedTwice({ grants, verdicts }: SteadyLoad): void {
  expect([...grants].filter(([, times]) => times > 1)).toEqual([]);
  for (const verdict of verdicts) expect(['rotated', 'repeated']).toContain(verdict);
}

/** One line of descent, as long as the client believes. */
async function expectOneLineage(load: SteadyLoad): Promise<void> {
  const [session, ...others] = await carried(load.storage).sessionStore.list(load.owner);
  expect(others).toEqual([]);
  expect([load.rotations, load.rotations + 1]).toContain(session?.generation);
}

async function expectHeardOnce(listener: Listener, load: SteadyLoad): Promise<void> {
  await eventually('the follower heard all that was acknowledged', () => {
    const heard = new Set(listener.heard);
    return [...load.appended].every((data) => heard.has(data));
  });
  expect(listener.lost).toBe(0);
  expect(new Set(listener.heard).size).toBe(listener.heard.length);
}

async function answersAgain(load: SteadyLoad, since: number): Promise<void> {
  await eventually('every kind of call is answered again', () => {
    const failures = load.failuresSince(Date.now() - 500);
    return load.answersSince(since).length > 20 && failures.length === 0;
  });
}

describeWithRedis('when Redis', () => {
  let server: RedisServer;

  afterEach(() => server.stop());

  it('is killed and comes back with its data, everything goes on where it was', async () => {
    server = await startRedis({ args: ['--appendonly', 'yes', '--appendfsync', 'always'] });
    const storage = open({ url: server.url });
    const load = new SteadyLoad(storage, 'killed');
    await load.start();
    const states = statesOf(storage);
    const listener = new Listener(storage);
    await eventually('the load runs', () => load.appended.size > 5);

    const killedAt = Date.now();
    await server.kill();
    await eventually('the outage is known', () => storage.status().state === 'down');
    await eventually('calls are refused', () => load.failuresSince(killedAt).length > 20);
    const restartedAt = Date.now();
    await server.restart();
    await answersAgain(load, restartedAt);
    await load.stop();

    expectQuickStoreErrors(load.failuresSince(0));
    await expectOutages(storage, states);
    expectNothingGrantedTwice(load);
    await expectOneLineage(load);
    await expectHeardOnce(listener, load);
    expect(load.unsettled).toBe(0);
  });

  it('is held still for 10 s, nobody waits longer than the deadline', async () => {
    server = await startRedis();
    const storage = open({ url: server.url });
    const load = new SteadyLoad(storage, 'paused');
    await load.start();
    const states = statesOf(storage);
    const listener = new Listener(storage);
    await eventually('the load runs', () => load.appended.size > 5);

    const pausedAt = Date.now();
    server.pause();
    await eventually('10 s have passed', () => Date.now() - pausedAt > STILL);
    await eventually('the outage is known', () => storage.status().state === 'down');
    // What was asked before it stood still can be read later; nothing that was asked since.
    expect(load.answersSince(pausedAt + 1_000)).toEqual([]);
    const { currentAt } = listener;
    const resumedAt = Date.now();
    expect(resumedAt - currentAt).toBeGreaterThan(STILL / 2);
    server.resume();
    await answersAgain(load, resumedAt);
    await load.stop();

    expectQuickStoreErrors(load.failuresSince(0));
    await expectOutages(storage, states);
    expectNothingGrantedTwice(load);
    await expectOneLineage(load);
    await expectHeardOnce(listener, load);
  });

  it('restarts empty, what it lost is reported and no version is given again', async () => {
    server = await startRedis();
    const storage = open({ url: server.url, deadline: '5s' });
    const { keyStore, revocationLog, sessionStore } = carried(storage);
    await keyStore.replace({ expectedVersion: null, ring: 'first' });
    const before = (await keyStore.load()).stored?.version ?? Infinity;
    const { position } = await revocationLog.append({ data: 'a', expiresAt: Date.now() + HOUR });
    const load = new SteadyLoad(storage, 'emptied');
    await load.start();
    await load.stop();
    const listener = new Listener(storage);
    await eventually('the follower is at the end', () => listener.currentAt > 0);
    let changes = 0;
    keyStore.onChange(() => changes++);
    await eventually('the subscription stands', () => changes > 0);

    const changesBefore = changes;
    await server.kill();
    await server.restart();
    await eventually('the loss of the ring is announced', () => changes > changesBefore);
    await eventually('the follower is told', () => listener.lost === 1);
    await eventually('it answers', () => isAnswered(keyStore.load()));
    expect((await keyStore.load()).stored).toBeNull();
    expect(await revocationLog.read({ after: position, limit: 10 })).toEqual({ verdict: 'lost' });
    await revocationLog.append({ data: 'b', expiresAt: Date.now() + HOUR });
    expect(await revocationLog.read({ after: position, limit: 10 })).toEqual({ verdict: 'lost' });
    expect(await keyStore.replace({ expectedVersion: before, ring: 'stale' })).toBe(false);
    expect(await keyStore.replace({ expectedVersion: null, ring: 'second' })).toBe(true);
    expect((await keyStore.load()).stored?.version).toBeGreaterThan(before);
    const presented = { key: load.key, lineage: digest('lineage'), secret: digest(load.secret) };
    const verdict = await sessionStore.rotate({
      presented: { ...presented, binding: null },
      next: { secret: digest('x'), sealed: 'x', data: null },
      graceFor: 0,
      askedAt: null,
    });
    expect(verdict).toEqual({ verdict: 'unknown' });
    expect(listener.lost).toBe(1);
  });

  it('has no memory left, it says so, forgets nothing and still answers', async () => {
    server = await startRedis({ args: ['--maxmemory-policy', 'noeviction'] });
    const storage = open({ url: server.url, deadline: '5s' });
    const states = statesOf(storage);
    const { keyStore, revocationLog, sessionStore, replayStore, attemptStore } = carried(storage);
    await keyStore.replace({ expectedVersion: null, ring: 'ring' });
    const version = (await keyStore.load()).stored?.version ?? null;
    await replayStore.claimOnce({ key: 'claimed', expiresAt: Date.now() + HOUR });
    const revoked = { data: 'revoked', expiresAt: Date.now() + HOUR };
    const { position } = await revocationLog.append(revoked);
    const load = new SteadyLoad(storage, 'full');
    await load.start();
    await load.stop();
    await server.command('CONFIG', 'SET', 'maxmemory', '1');

    const rotation = {
      presented: {
        key: load.key,
        lineage: digest('lineage'),
        secret: digest(load.secret),
        binding: null,
      },
      next: { secret: digest('n'), sealed: 'n', data: null },
      graceFor: 0,
      askedAt: null,
    };
    const claim = { key: 'new', expiresAt: Date.now() + HOUR };
    const writes: readonly (() => Promise<unknown>)[] = [
      () => keyStore.replace({ expectedVersion: version, ring: 'other' }),
      () => revocationLog.append({ data: 'x', expiresAt: Date.now() + HOUR }),
      () => sessionStore.rotate(rotation),
      () => replayStore.claimOnce(claim),
      () => attemptStore.record({ key: 'k', window: HOUR, runsFrom: 'last' }),
    ];
    for (const write of [...writes, ...writes]) {
      await expect(write()).rejects.toMatchObject({ name: 'StoreError', code: 'ERR_STORE_FULL' });
    }
    expect((await keyStore.load()).stored).toEqual({ version, ring: 'ring' });
    expect(await sessionStore.list('full')).toHaveLength(1);
    const page = await revocationLog.read({ after: null, limit: 1 });
    expect(page).toMatchObject({ verdict: 'read', entries: [revoked] });
    expect(await revocationLog.read({ after: position, limit: 10 })).toMatchObject({
      verdict: 'read',
    });
    const listener = new Listener(storage);
    await eventually('a follower is current', () => listener.currentAt > 0);
    expect(listener.heard).toContain('revoked');
    expect(states).toEqual([]);

    await server.command('CONFIG', 'SET', 'maxmemory', '0');
    expect(await replayStore.claimOnce(claim)).toBe(true);
    expect(await replayStore.claimOnce({ ...claim, key: 'claimed' })).toBe(false);
    expect(await sessionStore.rotate(rotation)).toMatchObject({ verdict: 'rotated' });
  });

  it('becomes a replica, writing is an outage until it is a primary again', async () => {
    server = await startRedis();
    const storage = open({ url: server.url });
    const load = new SteadyLoad(storage, 'demoted');
    await load.start();
    const states = statesOf(storage);
    await eventually('the load runs', () => load.appended.size > 5);
    await server.command('REPLICAOF', '127.0.0.1', '1');
    await eventually('the outage is known', () => storage.status().state === 'down');
    expect(storage.status().detail).not.toMatch(/127|localhost|redis:/);
    const promotedAt = Date.now();
    await server.command('REPLICAOF', 'NO', 'ONE');
    await answersAgain(load, promotedAt);
    await load.stop();
    expectQuickStoreErrors(load.failuresSince(0));
    await expectOutages(storage, states);
    expectNothingGrantedTwice(load);
    await expectOneLineage(load);
  });

  it('becomes a replica while it is only read, it is not taken for the truth', async () => {
    server = await startRedis();
    const storage = open({ url: server.url });
    const { keyStore } = carried(storage);
    await keyStore.replace({ expectedVersion: null, ring: 'ring' });
    const listener = new Listener(storage);
    await eventually('the follower is current', () => listener.currentAt > 0);
    const reader = new AbortController();
    const reading = (async () => {
      while (!reader.signal.aborted) {
        await isAnswered(keyStore.load());
        await new Promise((resolve) => void setImmediate(resolve));
      }
    })();
    await server.command('REPLICAOF', '127.0.0.1', '1');
    await eventually('the outage is known', () => storage.status().state === 'down');
    await expect(keyStore.load()).rejects.toMatchObject({ code: 'ERR_STORE_UNAVAILABLE' });
    await eventually('nobody is current any more', () => Date.now() - listener.currentAt > 4_000);
    await server.command('REPLICAOF', 'NO', 'ONE');
    await eventually('it is up', () => storage.status().state === 'up');
    const promotedAt = Date.now();
    await eventually('the follower is current', () => listener.currentAt > promotedAt);
    reader.abort();
    await reading;
  });

  it('takes up again from an older state, a reader finds out whatever was appended since', async () => {
    server = await startRedis();
    const replica = await startRedis({ args: ['--replicaof', '127.0.0.1', String(server.port)] });
    try {
      const first = carried(open({ url: server.url, deadline: '5s' })).revocationLog;
      const entry = { data: 'a', expiresAt: Date.now() + HOUR };
      const kept = await first.append(entry);
      await eventually('the replica has it', async () =>
        /master_link_status:up/.test(String(await replica.command('INFO', 'replication'))),
      );
      expect(await server.command('WAIT', '1', '5000')).toBe(1);
      await replica.command('REPLICAOF', 'NO', 'ONE');
      const short = { data: 'b', expiresAt: Date.now() + 300 };
      const forgotten = [await first.append(entry), await first.append(short)];

      const second = carried(open({ url: replica.url, deadline: '5s' })).revocationLog;
      const read = (after: string): Promise<string> =>
        second.read({ after, limit: 10 }).then(({ verdict }) => verdict);
      expect(await read(kept.position)).toBe('read');
      for (const { position } of forgotten) expect(await read(position)).toBe('lost');
      await eventually('the last one has expired', () => Date.now() > short.expiresAt);
      for (let count = 0; count < 5; count++) {
        for (const { position } of forgotten) expect(await read(position)).toBe('lost');
        await second.append(entry);
      }
    } finally {
      await replica.stop();
    }
  });
});

describeWithRedis('when fewer replicas are there than were asked for', () => {
  it('a change is an error, and a claim is not granted when it is repeated', async () => {
    const server = await startRedis();
    try {
      const storage = open({ url: server.url, replicas: 1 });
      const { keyStore, replayStore } = carried(storage);
      const claim = { key: 'k', expiresAt: Date.now() + HOUR };
      await expect(replayStore.claimOnce(claim)).rejects.toThrow(/Too few replicas acknowledged/);
      await expect(replayStore.claimOnce(claim)).rejects.toMatchObject({
        code: 'ERR_STORE_UNAVAILABLE',
      });
      // Reading needs none; that nothing can be changed is an outage.
      expect((await keyStore.load()).stored).toBeNull();
      expect(storage.status()).toMatchObject({ state: 'down', detail: 'too few replicas' });
      const replica = await startRedis({ args: ['--replicaof', '127.0.0.1', String(server.port)] });
      await eventually('the replica acknowledges', async () =>
        isAnswered(replayStore.claimOnce({ ...claim, key: 'other' })),
      );
      expect(await replayStore.claimOnce(claim)).toBe(false);
      await replica.stop();
    } finally {
      await server.stop();
    }
  });
});

describeWithRedis('when the replicas go away', () => {
  let server: RedisServer;
  let replica: RedisServer;

  beforeEach(async () => {
    server = await startRedis();
    replica = await startRedis({ args: ['--replicaof', '127.0.0.1', String(server.port)] });
  });

  afterEach(async () => {
    await replica.stop();
    await server.stop();
  });

  it('changes are refused before they are made, and the session outlives it', async () => {
    const storage = open({ url: server.url, replicas: 1, deadline: '2s' });
    const { sessionStore } = carried(storage);
    const key = { owner: 'owner', id: 'id' };
    const token = { lineage: digest('l'), secret: digest('0'), binding: null };
    const times = { idleFor: HOUR, absoluteFor: HOUR, atMost: 9 };
    await eventually('the replica acknowledges', () =>
      isAnswered(sessionStore.create({ key, ...token, data: '', ...times })),
    );
    const rotation = {
      presented: { key, ...token },
      next: { secret: digest('1'), sealed: 'sealed', data: null },
      graceFor: 0,
      askedAt: null,
    };
    await replica.kill();
    await eventually('the outage is known', () => storage.status().state === 'down');
    for (let count = 0; count < 10; count++) {
      await expect(sessionStore.rotate(rotation)).rejects.toMatchObject({
        code: 'ERR_STORE_UNAVAILABLE',
      });
    }
    expect(await sessionStore.list('owner')).toMatchObject([{ generation: 0 }]);
    await replica.restart();
    await eventually('it is up', () => storage.status().state === 'up');
    expect(await sessionStore.rotate(rotation)).toMatchObject({ verdict: 'rotated' });
  });

  it('a client whose answer was lost gets it, and nothing else changes', async () => {
    // Calls on one connection wait for replicas one after the other.
    const patient = open({ url: server.url, replicas: 1, deadline: '2s' });
    const { sessionStore, replayStore } = carried(patient);
    const { sessionStore: plain, replayStore: plainReplays } = carried(
      open({ url: server.url, deadline: '5s' }),
    );
    const key = { owner: 'owner', id: 'id' };
    const token = { lineage: digest('l'), secret: digest('0'), binding: null };
    await plain.create({
      key,
      ...token,
      data: '',
      idleFor: HOUR,
      absoluteFor: HOUR,
      atMost: 9,
    });
    const rotation = {
      presented: { key, ...token },
      next: { secret: digest('1'), sealed: 'sealed', data: null },
      graceFor: HOUR,
      askedAt: null,
    };
    await plain.rotate(rotation);
    await plainReplays.claimOnce({ key: 'k', expiresAt: Date.now() + HOUR });
    await eventually('the replica acknowledges', () =>
      isAnswered(replayStore.claimOnce({ key: 'other', expiresAt: Date.now() + HOUR })),
    );
    // At once, before a probe makes it known.
    await replica.kill();
    const [repeated, claimed] = await Promise.all([
      sessionStore.rotate(rotation),
      replayStore.claimOnce({ key: 'k', expiresAt: Date.now() + HOUR }),
    ]);
    expect(repeated).toMatchObject({ verdict: 'repeated', sealed: 'sealed' });
    expect(claimed).toBe(false);
  });
});

describeWithRedis('when the primary behind Sentinels is killed', () => {
  it('a replica takes over, and what was acknowledged is there', async () => {
    const set = await startSentinelSet(2);
    const client = set.connect();
    try {
      const storage = open({ client, replicas: 1 });
      const load = new SteadyLoad(storage, 'failover');
      await load.start();
      const states = statesOf(storage);
      const listener = new Listener(storage);
      await eventually('the load runs', () => load.appended.size > 10);
      const killedAt = Date.now();
      await set.primary.kill();
      await eventually('the outage is known', () => storage.status().state === 'down');
      await eventually('it answers again', () => storage.status().state === 'up');
      await answersAgain(load, Date.now());
      await load.stop();
      expectQuickStoreErrors(load.failuresSince(killedAt));
      await expectOutages(storage, states);
      expectNothingGrantedTwice(load);
      await expectOneLineage(load);
      await expectHeardOnce(listener, load);
    } finally {
      client.disconnect();
      await set.stop();
    }
  });
});

describeWithRedis('when a master of a Cluster is killed', () => {
  it('the others go on, and its replica takes over', async () => {
    const cluster = await startCluster(1);
    const client = cluster.connect();
    try {
      // Sixty calls at once on a busy machine are not what is tested here.
      const storage = open({ client, deadline: '500ms' });
      const { attemptStore } = carried(storage);
      const load = new SteadyLoad(storage, 'cluster');
      await load.start();
      const states = statesOf(storage);
      await eventually('the load runs', () => load.appended.size > 10);
      const keys = Array.from({ length: 60 }, (_, index) => `key-${index}`);
      const record = (key: string): Promise<boolean> =>
        attemptStore.record({ key, window: HOUR, runsFrom: 'first' }).then(
          () => true,
          () => false,
        );
      const isServed = async (): Promise<boolean> =>
        (await Promise.all(keys.map(record))).every(Boolean);
      await eventually('all keys are served', isServed);
      const replicated = carried(
        open({ client, replicas: 1, keyPrefix: 'wait:', deadline: '2s', waitFor: '5s' }),
      );
      const claims = keys.map((key) =>
        replicated.replayStore.claimOnce({ key, expiresAt: Date.now() + HOUR }),
      );
      expect(await Promise.all(claims)).not.toContain(false);

      await cluster.masters[0]?.kill();
      const served = await Promise.all(keys.map(record));
      expect(served.filter(Boolean).length).toBeGreaterThan(20);
      expect(served.filter((one) => !one).length).toBeGreaterThan(5);
      await eventually('all keys are served again', isServed);
      await answersAgain(load, Date.now());
      await eventually('it is up', () => storage.status().state === 'up');
      await load.stop();
      expect(states.slice(-1)).not.toEqual(['down']);
      expect(load.unsettled).toBe(0);
      for (const verdict of load.verdicts) expect(['rotated', 'repeated']).toContain(verdict);
    } finally {
      client.disconnect();
      await cluster.stop();
    }
  });
});
