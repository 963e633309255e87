import { RevocationError } from '../../lib/kernel/errors.js';
import { openIssuer } from '../support/token-mother.js';
import { type Instance, Instances, until } from './instances.js';
import { SharedLog } from './troubled-log.js';

/** An instance that has not heard of the log for longer than `outage.maxLag`. */
let instances: Instances;

beforeEach(() => {
  instances = new Instances(new SharedLog());
});

afterEach(() => instances.close());

/** Hears nothing any more; the key ring does. */
async function cutOff(instance: Instance, ms: number): Promise<void> {
  await Promise.resolve();
  instance.log.news = 'kept back';
  instance.log.reads = 'fail';
  instance.clock.advance(ms);
  await instance.keyRing.refresh();
}

function reconnect({ log }: Instance): void {
  log.news = 'told';
  log.reads = 'answered';
  instances.log.tell();
}

describe('outage.onStale: reject', () => {
  it('holds to the millisecond: until maxLag tokens pass, after it nobody can say', async () => {
    const one = await instances.open({ outage: { maxLag: '4s' } });
    const token = await one.sign();
    await cutOff(one, 4_000);
    expect(await one.verdict(token)).toBe('accepted');
    expect(one.revocations.health()).toEqual({ status: 'ok', lag: 4_000, entries: 0 });
    one.clock.advance(1);
    expect(await one.verdict(token)).toBe('ERR_REVOCATION_STALE');
    expect(one.revocations.health()).toEqual({ status: 'stale', lag: 4_001, entries: 0 });
  });

  it('is the default, after five seconds', async () => {
    const one = await instances.open();
    const token = await one.sign();
    await cutOff(one, 5_001);
    await expect(one.tokens.verify(token)).rejects.toBeInstanceOf(RevocationError);
  });

  it('says so once when it begins and once when it ends', async () => {
    const one = await instances.open();
    const token = await one.sign();
    for (let outage = 1; outage <= 2; outage++) {
      await cutOff(one, 5_001);
      for (let request = 0; request < 5; request++) await one.verdict(token);
      reconnect(one);
      expect(await one.verdict(token)).toBe('accepted');
      await until(() => one.said().length === 2 * outage);
    }
    expect(one.said()).toEqual([
      'revocation.stale',
      'revocation.current',
      'revocation.stale',
      'revocation.current',
    ]);
  });

  it('is noticed also while there are no requests', async () => {
    const one = await instances.open();
    await cutOff(one, 5_001);
    await until(() => one.said().includes('revocation.stale'));
    reconnect(one);
    await until(() => one.said().includes('revocation.current'));
    expect(one.said()).toEqual(['revocation.stale', 'revocation.current']);
  });

  it('ends with knowledge: what was revoked meanwhile is refused from the first request on', async () => {
    const one = await instances.open();
    const other = await instances.open();
    const token = await one.sign();
    const living = await one.sign({ sub: 'bob' });
    await cutOff(one, 60_000);
    await other.revocations.revokeSubject('alice');
    expect(await one.verdict(token)).toBe('ERR_REVOCATION_STALE');
    reconnect(one);
    expect(await one.verdict(token)).toBe('ERR_TOKEN_REVOKED');
    expect(await one.verdict(living)).toBe('accepted');
  });

  it('leaves what is wrong with a token wrong', async () => {
    const one = await instances.open();
    const token = await one.sign();
    await cutOff(one, 5_001);
    expect(await one.verdict(`${token.slice(0, -4)}AAAA`)).toBe('ERR_TOKEN_SIGNATURE');
    one.clock.advance(3_600_000);
    await one.keyRing.refresh();
    expect(await one.verdict(token)).toBe('ERR_TOKEN_EXPIRED');
  });

  it('ends signing neither', async () => {
    const one = await instances.open();
    await cutOff(one, 5_001);
    await expect(one.sign()).resolves.toMatch(/^ey/);
  });
});

describe('outage.onStale: acceptWithAlert', () => {
  it('goes on with what is known, and says so', async () => {
    const one = await instances.open({ outage: { onStale: 'acceptWithAlert' } });
    const dead = await one.sign({ sub: 'bob' });
    await one.revocations.revokeSubject('bob');
    const token = await one.sign();
    await cutOff(one, 3_600);
    one.clock.advance(60_000);
    await one.keyRing.refresh();
    expect(await one.verdict(token)).toBe('accepted');
    expect(await one.verdict(dead)).toBe('ERR_TOKEN_REVOKED');
    expect(one.heard.filter(({ type }) => type === 'revocation.stale')).toEqual([
      { type: 'revocation.stale', at: expect.any(Date), onStale: 'acceptWithAlert' },
    ]);
  });
});

describe('what a route says instead', () => {
  it.each([
    ['reject', 'acceptWithAlert', 'accepted'],
    ['acceptWithAlert', 'reject', 'ERR_REVOCATION_STALE'],
  ] as const)('counts more than %s: %s', async (onStale, atRoute, verdict) => {
    const one = await instances.open({ outage: { onStale } });
    const token = await one.sign();
    await one.tokens.verify(token);
    await cutOff(one, 5_001);
    const check = async (): Promise<unknown> => one.tokens.check(token, 'access', atRoute);
    const found = await check().then(
      () => 'accepted',
      (error: unknown) => (error as RevocationError).code,
    );
    expect(found).toBe(verdict);
  });
});

describe('a process that was frozen', () => {
  it('accepts nothing before it has heard of the log again', async () => {
    const one = await instances.open();
    const other = await instances.open();
    const token = await one.sign();
    await one.tokens.verify(token);
    // Nothing runs meanwhile, and nothing is told; time goes on.
    one.log.news = 'kept back';
    await other.revocations.revokeSubject('alice');
    one.clock.advance(30_000);
    await one.keyRing.refresh();
    expect(await one.verdict(token)).toBe('ERR_REVOCATION_STALE');
    reconnect(one);
    expect(await one.verdict(token)).toBe('ERR_TOKEN_REVOKED');
  });
});

describe('a log in this process', () => {
  it('is never stale', async () => {
    const { tokens, clock, revocations } = await openIssuer();
    const { token } = await tokens.sign({ sub: 'alice' });
    clock.advance(600_000);
    expect((await tokens.verify(token)).subject).toBe('alice');
    expect(revocations.health().status).toBe('ok');
    revocations.onModuleDestroy();
  });
});
