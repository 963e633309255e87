import {
  describeStepUp,
  isAskedBy,
  isFresh,
  readRequirement,
  reauthenticationFor,
  type StepUpDemand,
  type StepUpRequirement,
} from '../../lib/guard/step-up-demand.js';
import type { VerifiedToken } from '../../lib/tokens/verified-token.js';

const NOW = 1_000_000;

const all = (...requirements: readonly StepUpRequirement[]): readonly StepUpDemand[] =>
  requirements.map(readRequirement);

function isMet(requirement: StepUpRequirement, claims: object, now = NOW): boolean {
  const token = { claims } as Pick<VerifiedToken, 'claims'>;
  return isFresh(readRequirement(requirement), token, now);
}

describe('how long ago', () => {
  it.each([
    ['now', NOW, true],
    ['as long ago as it may be', NOW - 300, true],
    ['a millisecond longer', NOW - 300.001, false],
    ['a second longer', NOW - 301, false],
    ['long ago', 0, false],
    ['in the future, by as much as a clock may be ahead', NOW + 60, true],
    ['in the future', NOW + 61, false],
    ['in a future without an end', Infinity, false],
    ['never', undefined, false],
    ['at no time', NaN, false],
  ])('%s', (_, auth_time, met) => {
    expect(isMet({ maxAge: '5m' }, { auth_time })).toBe(met);
  });

  it('is asked anew at each time: what was fresh is fresh no more', () => {
    const claims = { auth_time: NOW };
    expect([0, 300, 301].map((later) => isMet({ maxAge: '5m' }, claims, NOW + later))).toEqual([
      true,
      true,
      false,
    ]);
  });

  it('is not asked where only the strength is', () => {
    expect(isMet({ acr: 'gold' }, { acr: 'gold' })).toBe(true);
  });
});

describe('how strong', () => {
  it.each<readonly [string, unknown, boolean]>([
    ['one of them', 'gold', true],
    ['another of them', 'silver', true],
    ['none of them', 'bronze', false],
    ['in capitals', 'Gold', false],
    ['with a space', 'gold ', false],
    ['with a letter that looks the same', 'gоld', false],
    ['both in one', 'gold silver', false],
    ['longer', 'golden', false],
    ['an empty text', '', false],
    ['a list', ['gold'], false],
    ['missing', undefined, false],
  ])('%s', (_, acr, met) => {
    expect(isMet({ acr: ['gold', 'silver'] }, { acr })).toBe(met);
  });
});

describe('by what', () => {
  it.each<readonly [string, unknown, boolean]>([
    ['all of it', ['pwd', 'otp'], true],
    ['and more', ['hwk', 'otp', 'pwd'], true],
    ['a part of it', ['otp'], false],
    ['in capitals', ['PWD', 'OTP'], false],
    ['nothing', [], false],
    ['missing', undefined, false],
  ])('%s', (_, amr, met) => {
    expect(isMet({ amr: ['pwd', 'otp'] }, { amr })).toBe(met);
  });
});

describe('all of it together', () => {
  const demand = { maxAge: '5m', acr: 'gold', amr: 'otp', action: 'pay' } as const;
  const right = { auth_time: NOW, acr: 'gold', amr: ['otp'] };
  it('is met', () => expect(isMet(demand, right)).toBe(true));
  it.each([
    ['too old', { auth_time: 1 }],
    ['too weak', { acr: 'silver' }],
    ['by something else', { amr: ['pwd'] }],
  ])('is not met when it is %s', (_, claims) => {
    expect(isMet(demand, { ...right, ...claims })).toBe(false);
  });

  it('is met by anything when only an action is to be confirmed, which is asked elsewhere', () => {
    expect(isMet({ action: 'pay' }, {})).toBe(true);
  });
});

describe('what satisfies several demands at once', () => {
  it.each<readonly [string, readonly StepUpRequirement[], object]>([
    ['one age', [{ maxAge: '5m' }], { maxAge: 300 }],
    ['the shortest age', [{ maxAge: '5m' }, { maxAge: '1m' }, { maxAge: '1h' }], { maxAge: 60 }],
    ['one acr', [{ acr: ['b', 'a'] }], { acrValues: ['b', 'a'] }],
    ['what both take', [{ acr: ['a', 'b', 'c'] }, { acr: ['c', 'b'] }], { acrValues: ['b', 'c'] }],
    ['age and acr', [{ maxAge: '5m' }, { acr: 'a' }], { maxAge: 300, acrValues: ['a'] }],
    ['nothing to say of amr and actions', [{ amr: 'otp' }, { action: 'pay' }], {}],
    ['nothing where nothing would do', [{ acr: 'a' }, { acr: 'b' }], {}],
  ])('%s', (_, requirements, challenge) => {
    expect(reauthenticationFor(all(...requirements))).toEqual(challenge);
  });
});

describe('whether others ask as much', () => {
  const demand = { maxAge: '5m', acr: ['a', 'b'], amr: ['pwd', 'otp'], action: 'pay' } as const;
  it.each<readonly [string, readonly StepUpRequirement[], boolean]>([
    ['the same', [demand], true],
    ['more', [{ ...demand, maxAge: '1m', acr: 'b', amr: ['hwk', 'otp', 'pwd'] }], true],
    [
      'piece by piece',
      [{ maxAge: '5m' }, { acr: 'a' }, { amr: 'otp' }, { amr: 'pwd' }, { action: 'pay' }],
      true,
    ],
    ['nothing', [], false],
    ['a longer age', [{ ...demand, maxAge: '6m' }], false],
    ['no age', [{ acr: 'a', amr: ['pwd', 'otp'], action: 'pay' }], false],
    ['a wider choice of acr', [{ ...demand, acr: ['a', 'b', 'c'] }], false],
    ['no acr', [{ maxAge: '5m', amr: ['pwd', 'otp'], action: 'pay' }], false],
    ['less amr', [{ ...demand, amr: 'otp' }], false],
    ['another action', [{ ...demand, action: 'delete' }], false],
  ])('%s', (_, others, asked) => {
    expect(isAskedBy(readRequirement(demand), all(...others))).toBe(asked);
  });
});

it.each<readonly [StepUpRequirement, string]>([
  [{ maxAge: '300s' }, 'stepUp(max 5m)'],
  [{ acr: ['a', 'b'], amr: ['pwd', 'otp'] }, 'stepUp(acr a | b, amr pwd + otp)'],
  [{ maxAge: '90s', acr: 'a', action: 'pay' }, 'stepUp(max 90s, acr a, action pay)'],
])('%j is called %s', (requirement, text) => {
  expect(describeStepUp(readRequirement(requirement))).toBe(text);
});

it('cannot be changed by who reads it', () => {
  const acr = ['gold'];
  const demand = readRequirement({ acr });
  acr.push('bronze');
  expect(demand.acr).toEqual(['gold']);
  expect(Object.isFrozen(demand) && Object.isFrozen(demand.acr)).toBe(true);
});
