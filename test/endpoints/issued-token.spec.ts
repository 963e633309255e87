import { createHmac } from 'node:crypto';

import { readIssuedToken } from '../../lib/endpoints/issued-token.js';
import { TestClock } from '../support/test-clock.js';
import { forgeAccess, type Issuer, openIssuer, validClaims } from '../support/token-mother.js';

const DERIVED = { profile: 'monolith', keys: { derivation: { period: '1d' } } } as const;

let clock: TestClock;

beforeEach(() => {
  clock = new TestClock();
});

const ofVictim = (): Record<string, unknown> => ({
  ...validClaims(clock),
  jti: 'of-the-victim',
  client_id: 'shop',
});

describe('a token that our key signed', () => {
  it.each<[claim: string, value: unknown]>([
    ['sub', ['alice']],
    ['sub', ''],
    ['sid', 7],
    ['scope', ['a']],
    ['roles', 'admin'],
    ['auth_time', 'now'],
    ['era', -1],
  ])('can be revoked although its %s is %j', async (claim, value) => {
    const issuer = await openIssuer({}, clock);
    const key = await issuer.keyRing.signingKey();
    const token = await forgeAccess(key, { ...ofVictim(), [claim]: value });
    expect(await readIssuedToken(issuer.tokens, token)).toMatchObject({
      tokenId: 'of-the-victim',
      clientId: 'shop',
    });
  });
});

describe('a token that names the jti of another and was signed by nobody', () => {
  /** Under a real kid, as every token shows it. */
  async function forged(issuer: Issuer, sub: unknown): Promise<string> {
    const { token } = await issuer.tokens.sign({ sub: 'mallory' });
    const [header = ''] = token.split('.');
    const payload = Buffer.from(JSON.stringify({ ...ofVictim(), sub })).toString('base64url');
    const input = `${header}.${payload}`;
    return `${input}.${createHmac('sha256', 'guess').update(input).digest('base64url')}`;
  }

  it.each([undefined, null, '', 7, ['alice'], { a: 1 }, 'x'.repeat(256), '\ud800', 'alice'])(
    'revokes nothing where secrets are derived, with the sub %j',
    async (sub) => {
      const issuer = await openIssuer(DERIVED, clock);
      expect(await readIssuedToken(issuer.tokens, await forged(issuer, sub))).toBeUndefined();
    },
  );

  it.each<[claim: string, value: unknown]>([
    ['sub', ['alice']],
    ['roles', 'admin'],
    ['era', -1],
    ['aud', 'https://other.example'],
    ['status', { status_list: {} }],
  ])('revokes nothing, also not with a malformed or strange %s', async (claim, value) => {
    const [issuer, stranger] = [await openIssuer({}, clock), await openIssuer({}, clock)];
    const { kid } = await issuer.keyRing.signingKey();
    const key = { ...(await stranger.keyRing.signingKey()), kid };
    const token = await forgeAccess(key, { ...ofVictim(), [claim]: value });
    expect(await readIssuedToken(issuer.tokens, token)).toBeUndefined();
  });
});
