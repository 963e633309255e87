import type { RevocationService } from '../../lib/revocation/revocation.service.js';
import { MemoryRevocationLog } from '../../lib/storage/memory/memory-revocation-log.js';
import { type Instance, Instances, until, verdictOf } from './instances.js';
import { LOG_ERROR, SharedLog } from './troubled-log.js';

/** SEMANTICS 12: a failed revocation answered with success. */
let instances: Instances;
let one: Instance;
let other: Instance;

beforeEach(async () => {
  instances = new Instances(new SharedLog());
  one = await instances.open();
  other = await instances.open();
});

afterEach(() => {
  jest.useRealTimers();
  instances.close();
});

const EXPIRY = 1_900_000_000;

const VERBS: ReadonlyArray<readonly [string, (service: RevocationService) => Promise<unknown>]> = [
  ['token', (service) => service.revokeToken('jti', EXPIRY)],
  ['session', (service) => service.revokeSession('s1')],
  ['subject', (service) => service.revokeSubject('alice')],
  ['version', (service) => service.bumpTokenVersion('alice')],
  ['everything', (service) => service.revokeAll()],
  ['before', (service) => service.revokeAll({ before: new Date(0) })],
];

/** Lets faked deadlines pass. */
async function passing(begin: () => Promise<unknown>): Promise<string> {
  jest.useFakeTimers({ doNotFake: ['nextTick', 'setImmediate', 'queueMicrotask', 'Date'] });
  let verdict: string | undefined;
  void verdictOf(begin()).then((code) => (verdict = code));
  await until(async () => {
    await jest.advanceTimersByTimeAsync(1_000);
    return verdict !== undefined;
  });
  return verdict ?? 'never';
}

describe.each(VERBS)('a revocation of kind %s', (kind, revoke) => {
  it.each(['fail', 'fail strangely', 'answer is lost'] as const)(
    'rejects when the appends of the log %s, and says so',
    async (appends) => {
      one.log.appends = appends;
      const error: unknown = await revoke(one.revocations).catch((caught: unknown) => caught);
      expect(error).toMatchObject({
        name: 'StoreError',
        code: 'ERR_STORE_UNAVAILABLE',
        message: 'The revocation log failed.',
      });
      const cause = appends === 'fail strangely' ? undefined : LOG_ERROR;
      expect(error).toMatchObject({ cause });
      expect(one.heard.filter(({ type }) => type.startsWith('revocation.'))).toEqual([
        { type: 'revocation.unacknowledged', at: expect.any(Date), kind, code: 'ERR_UNEXPECTED' },
      ]);
      expect(JSON.stringify(one.heard)).not.toContain('pa55w0rd');
    },
  );

  it('rejects when the append hangs', async () => {
    one.log.appends = 'hang';
    expect(await passing(() => revoke(one.revocations))).toBe('ERR_STORE_UNAVAILABLE');
    expect(one.said()).toEqual(['revocation.unacknowledged']);
  });

  it('can be asked for again', async () => {
    one.log.appends = 'fail';
    await expect(revoke(one.revocations)).rejects.toMatchObject({ code: 'ERR_STORE_UNAVAILABLE' });
    one.log.appends = 'taken';
    await revoke(one.revocations);
    expect(one.said()).toEqual(['revocation.unacknowledged', 'revocation.made']);
  });
});

describe('a revocation that needs to know what was revoked before', () => {
  it.each(['fail', 'hang'] as const)('is not made while reads %s', async (reads) => {
    one.log.reads = reads;
    expect(await passing(() => one.revocations.revokeSubject('alice'))).toBe(
      'ERR_STORE_UNAVAILABLE',
    );
    expect(instances.log.appended).toBe(0);
    expect(one.said()).toEqual(['revocation.unacknowledged']);
  });

  it('holds all the same, once its answer was lost', async () => {
    const token = await one.sign();
    one.log.appends = 'answer is lost';
    await expect(one.revocations.revokeSubject('alice')).rejects.toMatchObject({
      code: 'ERR_STORE_UNAVAILABLE',
    });
    expect(await other.verdict(token)).toBe('ERR_TOKEN_REVOKED');
    expect(await one.verdict(token)).toBe('ERR_TOKEN_REVOKED');
  });
});

describe('a store that is full', () => {
  it('is not taken for one that took it', async () => {
    const full = new MemoryRevocationLog(1, one.clock);
    one.log.append = (entry) => full.append(entry);
    await one.revocations.revokeSession('a');
    await expect(one.revocations.revokeSession('b')).rejects.toMatchObject({
      code: 'ERR_STORE_FULL',
    });
    expect(one.heard.at(-1)).toMatchObject({
      type: 'revocation.unacknowledged',
      kind: 'session',
      code: 'ERR_STORE_FULL',
    });
  });
});

describe('signing while the log is away', () => {
  it.each(['fail', 'hang'] as const)('goes on when reads %s', async (reads) => {
    one.log.reads = reads;
    one.log.news = 'kept back';
    const signed: string[] = [];
    expect(await passing(async () => signed.push(await one.sign()))).toBe('accepted');
    expect(await one.verdict(signed[0] ?? '')).toBe('accepted');
  });

  it('gives tokens that die with whatever was revoked unheard, and no living one is lost', async () => {
    one.log.reads = 'fail';
    one.log.news = 'kept back';
    const before = await one.sign();
    await other.revocations.revokeSubject('alice');
    const after = await one.sign();
    expect(await one.verdict(before)).toBe('accepted');
    one.log.reads = 'answered';
    one.log.news = 'told';
    instances.log.tell();
    for (const instance of [one, other]) {
      expect(await instance.verdict(before)).toBe('ERR_TOKEN_REVOKED');
      // Signed without knowing of the revocation: too early is the safe side.
      expect(await instance.verdict(after)).toBe('ERR_TOKEN_REVOKED');
      expect(await instance.verdict(await one.sign())).toBe('accepted');
    }
  });
});
