import { AttemptStore } from '../../lib/abuse/attempt-store.js';
import { ReplayStore } from '../../lib/binding/replay-store.js';
import { StoreError } from '../../lib/kernel/errors.js';
import { FactorChecks, type FactorVerdict } from '../../lib/step-up/factor-checks.js';
import {
  type FactorAsk,
  type ProvenFactor,
  SecondFactor,
} from '../../lib/step-up/second-factor.js';
import { memoryStorage } from '../../lib/storage/memory/memory-storage.js';
import { verdictOf } from '../revocation/instances.js';
import { atOnce, closeRooms, tally } from '../sessions/session-room.js';
import { ISSUER } from '../support/guarded-app.js';
import { TestClock } from '../support/test-clock.js';
import { openStepUp } from './step-up-room.js';

const MINUTE = 60_000;
const HOUR = 60 * MINUTE;
const RIGHT = '246810';

/** Takes one code, in two spellings, and counts how often it was asked. */
class OneCode extends SecondFactor {
  asked = 0;
  /** What is answered instead. */
  answer: unknown = undefined;

  override async verify({ code }: FactorAsk): Promise<ProvenFactor | null> {
    this.asked++;
    if (this.answer !== undefined)
      return (await Promise.resolve(this.answer)) as ProvenFactor | null;
    const isRight = code.replaceAll(' ', '') === RIGHT;
    return isRight ? { amr: ['pwd', 'otp'], acr: 'gold', codeId: RIGHT } : null;
  }
}

let clock: TestClock;
let factor: OneCode;
let checks: FactorChecks;

beforeEach(() => {
  clock = new TestClock();
  factor = new OneCode();
  checks = checksOn(memoryStorage({ clock }));
});
afterEach(closeRooms);

function checksOn(storage: ReturnType<typeof memoryStorage>, issuer = ISSUER): FactorChecks {
  const { attemptStore: attempts, replayStore: replays } = storage;
  if (!(attempts instanceof AttemptStore && replays instanceof ReplayStore)) throw new Error();
  return new FactorChecks({ issuer, factor, attempts, replays, clock });
}

const tryCode = (code: string, subject = 'alice'): Promise<FactorVerdict> =>
  checks.verify({ subject, code });
const outcomeOf = async (code: string, subject?: string): Promise<FactorVerdict['outcome']> =>
  (await tryCode(code, subject)).outcome;

describe('a code', () => {
  it('that is right proves what the factor says of it', async () => {
    expect(await tryCode(RIGHT)).toEqual({ outcome: 'verified', amr: ['pwd', 'otp'], acr: 'gold' });
  });

  it('that is wrong looks as one that was used', async () => {
    const wrong = await tryCode('000000');
    await tryCode(RIGHT);
    expect(await tryCode(RIGHT)).toEqual(wrong);
    expect(wrong).toEqual({ outcome: 'refused' });
  });

  it('is good once, in whatever spelling', async () => {
    expect(await outcomeOf('246 810')).toBe('verified');
    for (const code of ['246 810', RIGHT, ' 2 4 6 8 1 0']) {
      expect(await outcomeOf(code)).toBe('refused');
    }
  });

  it('is good once of 5 at a time, on two instances', async () => {
    const storage = memoryStorage({ clock });
    const instances = [checksOn(storage), checksOn(storage)];
    const answers = await atOnce(5, async (index) => {
      const at = instances[index % 2] ?? checks;
      return (await at.verify({ subject: 'alice', code: RIGHT })).outcome;
    });
    expect(tally(answers)).toEqual({ verified: 1, refused: 4 });
  });

  it('of one user is no code of another, nor of another service', async () => {
    const storage = memoryStorage({ clock });
    const [here, there] = [checksOn(storage), checksOn(storage, 'https://another.example')];
    for (const [at, subject] of [
      [here, 'alice'],
      [here, 'bob'],
      [there, 'alice'],
    ] as const) {
      expect((await at.verify({ subject, code: RIGHT })).outcome).toBe('verified');
    }
  });

  it.each([
    ['nothing', ''],
    ['65 characters', '1'.repeat(65)],
    ['a number', 246_810],
    ['a list', [RIGHT]],
    ['undefined', undefined],
  ])('that is %s is not asked for', async (_, code) => {
    expect(await outcomeOf(code as string)).toBe('refused');
    expect(factor.asked).toBe(0);
  });
});

describe('guessing', () => {
  it('ends after 5 codes, for 15 minutes, and then for twice as long each time', async () => {
    for (let attempt = 0; attempt < 5; attempt++) expect(await outcomeOf('000000')).toBe('refused');
    for (const minutes of [15, 30, 60, 120, 240, 240]) {
      expect(await tryCode(RIGHT)).toEqual({ outcome: 'limited', retryAfter: minutes * 60 });
      clock.advance(minutes * MINUTE - 1);
      expect(await tryCode(RIGHT)).toEqual({ outcome: 'limited', retryAfter: 1 });
      clock.advance(1);
      expect(await outcomeOf('000000')).toBe('refused');
    }
    expect(factor.asked).toBe(5 + 6);
  });

  it('by many at once gets 5 answers', async () => {
    const answers = await atOnce(50, () => outcomeOf('000000'));
    expect(tally(answers)).toEqual({ refused: 5, limited: 45 });
    expect(factor.asked).toBe(5);
  });

  it('by many at once gets one answer when the time is over', async () => {
    for (let attempt = 0; attempt < 5; attempt++) await tryCode('000000');
    clock.advance(15 * MINUTE);
    const answers = await atOnce(50, () => outcomeOf('000000'));
    expect(tally(answers)).toEqual({ refused: 1, limited: 49 });
  });

  it('is not made harder for who asks too early', async () => {
    for (let attempt = 0; attempt < 5; attempt++) await tryCode('000000');
    for (let attempt = 0; attempt < 100; attempt++) await tryCode(RIGHT);
    clock.advance(15 * MINUTE);
    expect(await outcomeOf(RIGHT)).toBe('verified');
  });

  it('costs nobody else anything', async () => {
    for (let attempt = 0; attempt < 6; attempt++) await tryCode('000000');
    expect(await outcomeOf(RIGHT)).toBe('limited');
    expect(await outcomeOf(RIGHT, 'bob')).toBe('verified');
  });

  it('is forgotten after a right code, and after a day', async () => {
    for (let attempt = 0; attempt < 4; attempt++) await tryCode('000000');
    expect(await outcomeOf(RIGHT)).toBe('verified');
    for (let attempt = 0; attempt < 5; attempt++) expect(await outcomeOf('000000')).toBe('refused');
    expect(await outcomeOf('000000')).toBe('limited');
    clock.advance(24 * HOUR);
    for (let attempt = 0; attempt < 5; attempt++) expect(await outcomeOf('000000')).toBe('refused');
  });

  it('is not forgotten after a code that was used', async () => {
    await tryCode(RIGHT);
    for (let attempt = 0; attempt < 5; attempt++) expect(await outcomeOf(RIGHT)).toBe('refused');
    expect(await outcomeOf(RIGHT)).toBe('limited');
  });
});

describe('a factor that', () => {
  const proven = { amr: ['otp'], codeId: 'one' };
  it.each<readonly [string, unknown]>([
    ['answers true', true],
    ['answers a text', 'ok'],
    ['answers an empty object', {}],
    ['does not say what the code is', { amr: ['otp'] }],
    ['says it with an empty text', { ...proven, codeId: '' }],
    ['says it with a number', { ...proven, codeId: 1 }],
    ['does not say by what', { codeId: 'one' }],
    ['says by what as a text', { ...proven, amr: 'otp' }],
    ['has an odd acr', { ...proven, acr: ['gold'] }],
    ['fails', Promise.reject(new Error('planted'))],
  ])('%s lets nobody pass, and is said to be away', async (_, answer) => {
    void Promise.resolve(answer).catch(() => {});
    factor.answer = answer;
    const error: unknown = await tryCode(RIGHT).catch((reason: unknown) => reason);
    expect(error).toBeInstanceOf(StoreError);
    expect(String(error)).not.toContain('planted');
  });

  it('answers undefined, as a function without a return, lets nobody pass', async () => {
    class Forgetful extends SecondFactor {
      override verify(): Promise<ProvenFactor | null> {
        return undefined as never;
      }
    }
    const room = await openStepUp({ clock, secondFactor: new Forgetful() });
    const asked = room.stepUp.verifyFactor({ subject: 'alice', code: RIGHT });
    expect(await verdictOf(asked)).toBe('ERR_STORE_UNAVAILABLE');
  });

  it('throws before it answers lets nobody pass', async () => {
    factor.verify = () => {
      throw new Error('planted');
    };
    expect(await verdictOf(tryCode(RIGHT))).toBe('ERR_STORE_UNAVAILABLE');
  });
});

describe('where use cannot be written down', () => {
  it('no code passes', async () => {
    const { attemptStore, replayStore } = memoryStorage({ clock, maxEntries: 1 });
    if (!(attemptStore instanceof AttemptStore && replayStore instanceof ReplayStore)) {
      throw new Error('the storage lacks a port');
    }
    const full = new FactorChecks({
      issuer: ISSUER,
      factor,
      attempts: attemptStore,
      replays: replayStore,
      clock,
    });
    await replayStore.claimOnce({ key: 'room', expiresAt: clock.now() + HOUR });
    expect(await verdictOf(full.verify({ subject: 'alice', code: RIGHT }))).toBe('ERR_STORE_FULL');
    await attemptStore.clear('none');
    expect(await verdictOf(full.verify({ subject: 'bob', code: RIGHT }))).toBe('ERR_STORE_FULL');
    expect(factor.asked).toBe(1);
  });

  it('and without a second factor nobody is asked', async () => {
    const room = await openStepUp({ clock });
    await expect(room.stepUp.verifyFactor({ subject: 'alice', code: RIGHT })).rejects.toThrow(
      TypeError,
    );
  });
});
