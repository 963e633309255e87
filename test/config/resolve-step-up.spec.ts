import { createCache } from 'cache-manager';

import { OptionReader } from '../../lib/config/option-reader.js';
import { readStepUp } from '../../lib/config/resolve-step-up.js';
import { SecondFactor } from '../../lib/step-up/second-factor.js';
import type { StepUpConfig } from '../../lib/step-up/step-up.service.js';
import { cacheManagerStorage } from '../../lib/storage/cache-manager/cache-manager-storage.js';
import { memoryStorage } from '../../lib/storage/memory/memory-storage.js';
import type { Storage } from '../../lib/storage/storage.js';

const HOUR = 3_600_000;

interface Read {
  readonly value: StepUpConfig;
  readonly problems: readonly string[];
}

function read(
  stepUp?: unknown,
  {
    storage = memoryStorage(),
    maxLifetime = HOUR,
  }: { storage?: Storage; maxLifetime?: number } = {},
): Read {
  const reader = new OptionReader({ stepUp });
  const issuer = 'https://issuer.example';
  const value = readStepUp(reader, { issuer, maxLifetime, leeway: 10_000, storage });
  return { value, problems: reader.problems.map(({ path, problem }) => `${path}: ${problem}`) };
}

class Factor extends SecondFactor {
  override verify = async (): Promise<null> => null;
}

it('has these defaults', () => {
  expect(read()).toEqual({
    problems: [],
    value: {
      issuer: 'https://issuer.example',
      leeway: 10,
      confirmationFor: 120,
      secondFactor: null,
    },
  });
});

it('takes a length and a factor, of whatever class', () => {
  const secondFactor = new Factor();
  expect(read({ confirmationFor: '10m', secondFactor })).toMatchObject({
    problems: [],
    value: { confirmationFor: 600, secondFactor },
  });
  const plain = { verify: async () => null };
  expect(read({ secondFactor: plain }).value.secondFactor).toBe(plain);
});

it('lets no confirmation outlive the longest token, nor be shorter than one can be used', () => {
  expect(read(undefined, { maxLifetime: 60_000 }).value.confirmationFor).toBe(60);
  expect(read({ confirmationFor: '61s' }, { maxLifetime: 60_000 }).problems).toEqual([
    'stepUp.confirmationFor: it is too long',
  ]);
  // Tokens that live for five seconds are odd, and no mistake of this option.
  expect(read(undefined, { maxLifetime: 5_000 })).toMatchObject({
    problems: [],
    value: { confirmationFor: 5 },
  });
});

it.each<readonly [unknown, string]>([
  [null, 'stepUp: it is null'],
  [[], 'stepUp: it is an empty list'],
  ['2m', 'stepUp: it is a text of another form'],
  [{ confirmFor: '2m' }, 'stepUp.confirmFor: it is not an option'],
  [{ confirmationFor: 120 }, 'stepUp.confirmationFor: it is a number'],
  [{ confirmationFor: '9s' }, 'stepUp.confirmationFor: it is too short'],
  [{ confirmationFor: '11m' }, 'stepUp.confirmationFor: it is too long'],
  [{ confirmationFor: '10500ms' }, 'stepUp.confirmationFor: it is not in whole seconds'],
  [{ secondFactor: null }, 'stepUp.secondFactor: it is null'],
  [{ secondFactor: () => null }, 'stepUp.secondFactor: it is a function'],
  [{ secondFactor: { check: () => null } }, 'stepUp.secondFactor: it is an object'],
  [{ secondFactor: { verify: true } }, 'stepUp.secondFactor: it is an object'],
])('refuses %j', (stepUp, problem) => {
  expect(read(stepUp).problems).toEqual([problem]);
});

it('says that a storage cannot carry it, once somebody asks for it', () => {
  const storage = cacheManagerStorage(createCache());
  expect(read(undefined, { storage }).problems).toEqual([]);
  expect(read({}, { storage }).problems).toEqual([
    expect.stringMatching(/^stepUp: cacheManagerStorage\(\) cannot carry it: /),
  ]);
});
