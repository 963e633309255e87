import { setImmediate as nextTurn } from 'node:timers/promises';

import { type Instance, Instances, until } from './instances.js';
import { SharedLog } from './troubled-log.js';

/** A log that forgets: what an instance knows stands, and the log gets it back. */
let shared: SharedLog;
let instances: Instances;
let one: Instance;
let other: Instance;

beforeEach(async () => {
  shared = new SharedLog();
  instances = new Instances(shared);
  one = await instances.open();
  other = await instances.open();
});

afterEach(() => instances.close());

const REVOKED = 'ERR_TOKEN_REVOKED';
const MANY = 500;

const count = ({ heard }: Instance, type: string): number =>
  heard.filter((event) => event.type === type).length;

const refilled = (instance: Instance, times = 1): boolean =>
  count(instance, 'revocation.refilled') === times;

/** Revokes so many sessions, one of each kind and one with an exemption. */
async function revokeMany(): Promise<readonly string[]> {
  const tokens: string[] = [];
  for (const sid of ['s1', 's2', 'mine']) tokens.push(await one.sign({ sub: 'bob', sid }));
  await one.revocations.revokeSession('s1');
  await one.revocations.revokeSubject('bob', { except: { sessionId: 'mine' } });
  await other.revocations.bumpTokenVersion('carol');
  await other.revocations.revokeToken('jti', one.clock.seconds() + 600);
  for (let number = 0; number < MANY; number++) {
    await (number % 2 === 0 ? one : other).revocations.revokeSession(`many-${number}`);
  }
  return tokens;
}

async function verdictsOf(tokens: readonly string[], instance = one): Promise<readonly string[]> {
  return Promise.all(tokens.map((token) => instance.verdict(token)));
}

describe('a log that was wiped', () => {
  it('is reported, and gets back everything from those who know it', async () => {
    const tokens = await revokeMany();
    const before = new Set(shared.texts());
    shared.wipe();
    expect(await verdictsOf(tokens)).toEqual([REVOKED, REVOKED, 'accepted']);
    await until(() => refilled(one) && refilled(other));
    expect(new Set(shared.texts())).toEqual(before);
    expect(one.said().filter((type) => type !== 'revocation.made')).toEqual([
      'revocation.lost',
      'revocation.refilled',
    ]);
    const late = await instances.open();
    expect(await verdictsOf(tokens, late)).toEqual([REVOKED, REVOKED, 'accepted']);
  });

  it('is not written twice by two who know the same', async () => {
    await revokeMany();
    const before = shared.entries.length;
    shared.appended = 0;
    shared.wipe();
    await until(() => refilled(one) && refilled(other));
    // What both have on its way at once is written twice; far from all.
    expect(shared.appended).toBeGreaterThanOrEqual(before);
    expect(shared.appended).toBeLessThan(before * 1.6);
    const written = [one, other].flatMap(({ heard }) =>
      heard.flatMap((event) => (event.type === 'revocation.refilled' ? event.entries : [])),
    );
    expect(written[0]).toBeGreaterThan(0);
    expect((written[0] ?? 0) + (written[1] ?? 0)).toBe(shared.appended);
  });

  it('is recovering until then, and ok afterwards', async () => {
    await revokeMany();
    one.log.appends = 'fail';
    other.log.appends = 'fail';
    shared.wipe();
    await until(() => count(one, 'revocation.lost') === 1);
    expect(one.revocations.health().status).toBe('recovering');
    one.log.appends = 'taken';
    other.log.appends = 'taken';
    await until(() => refilled(one) && refilled(other));
    expect(one.revocations.health()).toMatchObject({ status: 'ok', lag: 0 });
  });

  it('is noticed by who reads next, even if nobody is told', async () => {
    const token = await one.sign();
    await one.revocations.revokeSubject('alice');
    one.log.news = 'kept back';
    shared.wipe();
    expect(count(one, 'revocation.lost')).toBe(0);
    expect(await one.verdict(await one.sign())).toBe('accepted');
    expect(count(one, 'revocation.lost')).toBe(1);
    expect(await one.verdict(token)).toBe(REVOKED);
  });

  it('gives one instance what only the other knew', async () => {
    const token = await one.sign();
    one.log.news = 'kept back';
    await other.revocations.revokeSubject('alice');
    expect(await one.verdict(token)).toBe('accepted');
    shared.wipe();
    await until(() => refilled(other));
    one.log.news = 'told';
    shared.tell();
    await until(async () => (await one.verdict(token)) === REVOKED);
  });

  it('takes new revocations while it is recovered, and loses none of them', async () => {
    await revokeMany();
    const token = await one.sign();
    one.log.delay = () => 30;
    shared.wipe();
    await one.revocations.revokeSubject('alice');
    await other.revocations.revokeSession('new');
    expect(await verdictsOf([token])).toEqual([REVOKED]);
    await until(() => refilled(one) && refilled(other));
    const late = await instances.open();
    expect(await late.verdict(token)).toBe(REVOKED);
    const session = await late.sign({ sub: 'dave', sid: 'new' });
    expect(await late.verdict(session)).toBe(REVOKED);
  });

  it('gets back nothing that has expired meanwhile', async () => {
    await one.revocations.revokeToken('short', one.clock.seconds() + 1);
    await one.revocations.revokeSession('long');
    for (const { clock } of [one, other]) clock.advance(30_000);
    shared.wipe();
    await until(() => refilled(one) && refilled(other));
    expect(new Set(shared.texts()).size).toBe(1);
  });
});

describe('a log that is lost again', () => {
  it('while it is refilled is refilled from the start', async () => {
    const tokens = await revokeMany();
    const before = new Set(shared.texts());
    one.log.delay = () => 3;
    other.log.delay = () => 3;
    shared.wipe();
    await until(() => shared.entries.length > MANY / 4);
    shared.wipe();
    await until(() => refilled(one) && refilled(other));
    expect(new Set(shared.texts())).toEqual(before);
    expect(await verdictsOf(tokens)).toEqual([REVOKED, REVOKED, 'accepted']);
    expect(count(one, 'revocation.lost')).toBe(2);
  });

  it('while it is read anew gets back also what had been read of it', async () => {
    await revokeMany();
    const before = new Set(shared.texts());
    // Only this one has to know it all again.
    other.close();
    one.log.pageSize = 50;
    shared.fallBackTo(200);
    let pages = 0;
    one.log.onPage = () => {
      if (++pages === 3) shared.wipe();
    };
    await until(() => refilled(one));
    expect(new Set(shared.texts())).toEqual(before);
  });

  it('at the moment it is followed again is recovered again', async () => {
    await one.revocations.revokeSession('a');
    other.close();
    let reads = 0;
    one.log.onPage = async (page) => {
      // The answer that ends the recovery: it is at the end of a log that is about to be gone.
      if (page.verdict !== 'read' || ++reads !== 1) return;
      shared.add({ data: 'x', expiresAt: one.clock.now() + 60_000 });
      await nextTurn();
      shared.wipe();
    };
    shared.wipe();
    await until(() => refilled(one));
    expect(shared.texts()).toHaveLength(1);
    expect(one.log.followers).toBe(1);
    await one.revocations.revokeSession('b');
    expect(shared.texts()).toHaveLength(2);
  });

  it('does not take a page of the old log, that was still on its way, for one of the new', async () => {
    await revokeMany();
    const before = new Set(shared.texts());
    const late = await instances.open({}, one.clock);
    late.log.news = 'kept back';
    for (let number = 0; number < 50; number++) {
      await one.revocations.revokeSession(`late-${number}`);
    }
    const all = new Set(shared.texts());
    one.close();
    other.close();

    const held: (() => void)[] = [];
    late.log.onPage = () => new Promise((resolve) => held.push(resolve));
    const signing = late.sign();
    await until(() => held.length === 1);
    shared.wipe();
    late.log.news = 'told';
    shared.tell();
    await until(() => held.length === 2);
    late.log.onPage = () => {};
    // The old page, with fifty that are nowhere else, and then the empty one of the new log.
    held[0]?.();
    await nextTurn();
    await nextTurn();
    held[1]?.();
    await signing;
    await until(() => refilled(late));
    expect(all.size).toBe(before.size + 50);
    expect(new Set(shared.texts())).toEqual(all);
  });
});

describe('a log that fell back to an older state', () => {
  it('gets back what it had lost, and only that', async () => {
    const tokens = await revokeMany();
    const before = new Set(shared.texts());
    const kept = shared.entries.length - 40;
    shared.appended = 0;
    shared.fallBackTo(kept);
    await until(() => refilled(one) && refilled(other));
    expect(new Set(shared.texts())).toEqual(before);
    expect(shared.appended).toBeLessThanOrEqual(80);
    expect(await verdictsOf(tokens)).toEqual([REVOKED, REVOKED, 'accepted']);
  });
});

describe('a store that fails while the log is refilled', () => {
  it('is tried again until it has everything', async () => {
    await revokeMany();
    const before = new Set(shared.texts());
    let turn = 0;
    for (const { log } of [one, other]) {
      const append = log.append.bind(log);
      log.append = (entry) =>
        ++turn % 100 < 5 ? Promise.reject(new Error('busy')) : append(entry);
    }
    shared.wipe();
    await until(() => refilled(one) && refilled(other));
    expect(new Set(shared.texts())).toEqual(before);
  });

  it('is tried again until it can be read', async () => {
    const token = await one.sign();
    await one.revocations.revokeSubject('alice');
    one.log.reads = 'fail';
    shared.wipe();
    await until(() => count(one, 'revocation.lost') === 1);
    expect(await one.verdict(token)).toBe(REVOKED);
    const failed = one.log.readCount;
    await until(() => one.log.readCount > failed + 1);
    one.log.reads = 'answered';
    await until(() => refilled(one) && refilled(other));
    expect(count(one, 'revocation.lost')).toBe(1);
    expect(await one.verdict(token)).toBe(REVOKED);
    expect(new Set(shared.texts()).size).toBe(1);
  });

  it('does not keep from it what another entry keeps being refused for', async () => {
    await revokeMany();
    const before = new Set(shared.texts());
    const refused = [...before][0];
    other.close();
    const append = one.log.append.bind(one.log);
    one.log.append = (entry) =>
      entry.data === refused ? Promise.reject(new TypeError('too far ahead')) : append(entry);
    shared.wipe();
    await until(() => refilled(one));
    expect(new Set(shared.texts()).size).toBe(before.size - 1);
  });
});
