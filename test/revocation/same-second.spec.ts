import { TestClock } from '../support/test-clock.js';
import { type Instance, Instances } from './instances.js';
import { SharedLog } from './troubled-log.js';

/**
 * SEMANTICS 3: of tokens issued in the same second before and after a revocation of a subject, only
 * the earlier ones die. Clocks stand still here: `iat` can tell nothing apart. A thousand rounds are
 * played with `SAME_SECOND_ROUNDS=1000`.
 */
const ROUNDS = Number(process.env['SAME_SECOND_ROUNDS'] ?? 150);

/** The same on every run (mulberry32), so that a failure can be looked at again. */
function numbersFrom(seed: number): (below: number) => number {
  let state = seed;
  return (below) => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) % below;
  };
}

let instances: Instances;

beforeEach(() => {
  instances = new Instances(new SharedLog());
});

afterEach(() => instances.close());

/** @param skews milliseconds by which the clocks of the instances differ from the true time */
async function openAll(skews: readonly number[]): Promise<readonly Instance[]> {
  const opened: Instance[] = [];
  for (const skew of skews) {
    const clock = new TestClock();
    clock.advance(skew);
    opened.push(await instances.open({ tokens: { leeway: '60s' } }, clock));
  }
  return opened;
}

function pick<T>(list: readonly T[], number: (below: number) => number): T {
  const item = list[number(list.length)];
  if (item === undefined) throw new Error('nothing to pick from');
  return item;
}

const revocations = [
  ({ revocations: service }: Instance, sub: string) => service.revokeSubject(sub),
  ({ revocations: service }: Instance, sub: string) => service.bumpTokenVersion(sub),
  ({ revocations: service }: Instance) => service.revokeAll(),
] as const;

/** By whoever can accept it: to a clock that is far behind, a token is from the future. */
async function verdicts(all: readonly Instance[], token: string): Promise<readonly string[]> {
  const found = await Promise.all(all.map((instance) => instance.verdict(token)));
  return [...new Set(found.filter((verdict) => verdict !== 'ERR_TOKEN_NOT_YET_VALID'))];
}

describe.each<[what: string, skews: readonly number[]]>([
  ['one instance', [0]],
  ['two instances', [0, 0]],
  ['two instances, the other one 90 s ahead', [0, 90_000]],
  ['two instances, the other one 90 s behind', [0, -90_000]],
  ['two instances, the other one 0.2 s ahead', [0, 200]],
  ['three instances that all disagree', [-900, 0, 700]],
])('within one second, on %s', (_what, skews) => {
  it(`tokens from before a revocation die and tokens from after it live, ${ROUNDS} times`, async () => {
    const all = await openAll(skews);
    const number = numbersFrom(skews.length);
    const wrong: string[] = [];
    const expectThat = async (token: string, verdict: string): Promise<void> => {
      const found = (await verdicts(all, token)).join();
      if (found !== verdict) wrong.push(`${found} instead of ${verdict}`);
    };
    for (let round = 0; round < ROUNDS; round++) {
      const sub = `user-${number(3)}`;
      const earlier = await pick(all, number).sign({ sub });
      await pick(revocations, number)(pick(all, number), sub);
      const later = await pick(all, number).sign({ sub });
      await expectThat(earlier, 'ERR_TOKEN_REVOKED');
      await expectThat(later, 'accepted');
      if (number(50) === 0) for (const instance of all) await instance.pass(number(2_500));
    }
    expect(wrong).toEqual([]);
  });
});

interface Signing {
  readonly token: string;
  readonly sub: string;
  readonly began: number;
  readonly returned: number;
}

interface Revoking {
  /** `undefined` for everybody. */
  readonly sub: string | undefined;
  readonly began: number;
  readonly returned: number;
}

describe.each<[what: string, skews: readonly number[]]>([
  ['one instance', [0]],
  ['three instances', [0, 200, -900]],
])('a storm of signing and revoking on %s', (_what, skews) => {
  it('kills whatever was signed before a revocation began, and nothing that was begun after it', async () => {
    const all = await openAll(skews);
    const number = numbersFrom(7);
    for (const { log } of all) log.delay = () => number(4);
    const signings: Signing[] = [];
    const revokings: Revoking[] = [];
    let time = 0;
    const signer = async (): Promise<void> => {
      for (let turn = 0; turn < 40; turn++) {
        const sub = `user-${number(3)}`;
        const began = ++time;
        const token = await pick(all, number).sign({ sub });
        signings.push({ token, sub, began, returned: ++time });
      }
    };
    const revoker = async (): Promise<void> => {
      for (let turn = 0; turn < 25; turn++) {
        const which = number(10);
        const sub = which === 0 ? undefined : `user-${number(3)}`;
        const began = ++time;
        const revoke = revocations[which === 0 ? 2 : number(2)] ?? revocations[0];
        await revoke(pick(all, number), sub ?? '');
        revokings.push({ sub, began, returned: ++time });
      }
    };
    await Promise.all([
      ...Array.from({ length: 8 }, signer),
      ...Array.from({ length: 4 }, revoker),
    ]);

    const wrong: string[] = [];
    let dead = 0;
    for (const { token, sub, began, returned } of signings) {
      const concerning = revokings.filter((each) => each.sub === undefined || each.sub === sub);
      const mustDie = concerning.some((each) => returned < each.began);
      const mustLive = concerning.every((each) => each.returned < began);
      const found = (await verdicts(all, token)).join();
      if (mustDie && found !== 'ERR_TOKEN_REVOKED') wrong.push(`a dead one: ${found}`);
      if (mustLive && found !== 'accepted') wrong.push(`a living one: ${found}`);
      dead += mustDie ? 1 : 0;
    }
    expect(wrong).toEqual([]);
    expect(dead).toBeGreaterThan(0);
    // And everybody can still sign.
    for (const instance of all) {
      const token = await instance.sign({ sub: 'user-0' });
      expect(await verdicts(all, token)).toEqual(['accepted']);
    }
  });
});

describe('a token of a host whose clock is far ahead', () => {
  it.each(['revokeToken', 'revokeSession', 'revokeSubject'] as const)(
    'does not come back to life there after %s by a host that is behind',
    async (verb) => {
      const [behind, ahead] = await openAll([0, 90_000]);
      if (behind === undefined || ahead === undefined) throw new Error('two were opened');
      const token = await ahead.sign({ sid: 's1' });
      const { tokenId, expiresAt } = await ahead.tokens.verify(token);
      if (verb === 'revokeToken') await behind.revocations.revokeToken(tokenId, expiresAt);
      if (verb === 'revokeSession') await behind.revocations.revokeSession('s1');
      if (verb === 'revokeSubject') await behind.revocations.revokeSubject('alice');
      await ahead.pass((expiresAt + 60) * 1000 - 1 - ahead.clock.now());
      expect(await ahead.verdict(token)).toBe('ERR_TOKEN_REVOKED');
      ahead.clock.advance(1);
      expect(await ahead.verdict(token)).toBe('ERR_TOKEN_EXPIRED');
    },
  );
});
