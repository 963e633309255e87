import { grantOf } from '../../lib/sessions/session-grant.js';
import { memoryStorage } from '../../lib/storage/memory/memory-storage.js';
import { RESERVED_CLAIMS, type VerifiedClaims } from '../../lib/tokens/claims.js';
import { TestClock } from '../support/test-clock.js';
import { newPrivateJwk } from '../support/token-mother.js';
import { AWAY, closeRooms, openRoom, type SessionRoom } from './session-room.js';

afterEach(closeRooms);

describe('what a session was granted', () => {
  it('is nothing that belongs to its first token alone', () => {
    const own = { iss: 'i', aud: 'a', exp: 3, nbf: 1, iat: 1, jti: 'j', era: 7, token_version: 2 };
    const reserved = { ...own, cnf: {}, status: {}, csrf: 'c', fingerprint: {} };
    expect(Object.keys(reserved).toSorted()).toEqual(RESERVED_CLAIMS.toSorted());
    const lasting = {
      sub: 'alice',
      sid: 's',
      scope: 'a b',
      roles: ['r'],
      auth_time: 1,
      tenant: 't',
    };
    const claims: VerifiedClaims = { ...lasting, ...reserved };
    expect(grantOf(claims, { standing: { era: 7 }, carrier: 'cookie' })).toEqual({
      claims: lasting,
      standing: { era: 7 },
      carrier: 'cookie',
    });
  });

  it('makes no token of those that are required by now, and uses nothing up', async () => {
    const [first, second] = await rooms({}, { requiredClaims: ['tenant'] });
    const without = await first.start({ scope: 'a' });
    const within = await first.start({ scope: 'a', claims: { tenant: 't' } });
    second.store.always('before', 'rotate', () => Promise.reject(AWAY));
    expect(await second.refreshed(without)).toBe('ERR_CLAIM_INVALID');
    second.store.always('before', 'rotate');
    expect(await second.refreshed(within)).toBe('accepted');
    expect(await second.verdict(without)).toBe('ERR_TOKEN_CLAIM_MISSING');
    expect(await first.refreshed(without)).toBe('accepted');
  });

  it('stays what it was when a claim of it could not be granted by now', async () => {
    const [first, second] = await rooms({ allowClaims: ['contact'] }, {});
    const pair = await first.start({ claims: { contact: 'someone@mail.example' } });
    const next = await second.refresh(pair);
    const { claims } = await second.tokens.verify(next.accessToken);
    expect(claims['contact']).toBe('someone@mail.example');
    const refused = second.start({ claims: { contact: 'someone@mail.example' } });
    await expect(refused).rejects.toMatchObject({ code: 'ERR_CLAIM_SENSITIVE' });
  });
});

/** Two instances of one service, before and after its rules for tokens were changed. */
async function rooms(before: object, after: object): Promise<readonly [SessionRoom, SessionRoom]> {
  const keys = { signingKey: await newPrivateJwk() };
  const clock = new TestClock();
  const storage = memoryStorage({ clock });
  const first = await openRoom({ keys, storage, tokens: before }, clock);
  return [first, await openRoom({ keys, storage, tokens: after }, clock)];
}
