import {
  type AuthorizationAsk,
  decide,
  grantedScope,
} from '../../lib/endpoints/authorization-login.js';
import { TestClock } from '../support/test-clock.js';

const clock = new TestClock();
const ASK: AuthorizationAsk = {
  request: { headers: {} },
  method: 'GET',
  requestUrl: '/oauth/authorize?client_id=native',
  client: { clientId: 'native', kind: 'public' },
  redirectUri: 'com.example.app:/callback',
  scope: ['read'],
  prompt: [],
  maxAge: undefined,
  acrValues: [],
  loginHint: undefined,
};

describe('a login', () => {
  it('that never answers grants nothing', async () => {
    const asked = decide(() => new Promise(() => {}), ASK, { within: 1, clock });
    await expect(asked).rejects.toMatchObject({
      error: 'server_error',
      code: 'ERR_ACCESS_POLICY_FAILED',
      detail: 'the login failed: it did not answer in time',
    });
  });

  it('may answer at once', async () => {
    const granted = { outcome: 'granted', subject: 'alice', authTime: new Date(0) } as const;
    const decision = await decide(() => granted, ASK, { within: 60_000, clock });
    expect(decision).toBe(granted);
  });
});

describe('the granted scope', () => {
  const grant = { outcome: 'granted', subject: 'alice', authTime: new Date(0) } as const;

  it.each<readonly [scope: string | readonly string[] | undefined, granted: readonly string[]]>([
    [undefined, ['a', 'b']],
    ['', []],
    [[], []],
    ['b', ['b']],
    [
      ['b', 'a', 'c'],
      ['a', 'b'],
    ],
    ['a b c', ['a', 'b']],
    ['c', []],
  ])('of what was asked for, with %j, is %j', (scope, expected) => {
    const decided = scope === undefined ? grant : { ...grant, scope };
    expect(grantedScope(['a', 'b'], decided)).toEqual(expected);
  });
});
