import type { SecurityEvent } from '../../lib/events/security-events.js';
import { memoryStorage } from '../../lib/storage/memory/memory-storage.js';
import { verdictOf } from '../revocation/instances.js';
import { TestClock } from '../support/test-clock.js';
import { type Issuer, openIssuer } from '../support/token-mother.js';
import { recordSecret } from '../support/witness.js';

describe('a session', () => {
  let clock: TestClock;
  let issuer: Issuer;
  let said: SecurityEvent[];

  beforeEach(async () => {
    clock = new TestClock();
    issuer = await openIssuer({ storage: memoryStorage({ clock }) }, clock);
    said = [];
    issuer.events.onAny((event) => said.push(event));
  });

  it('goes on with each refresh, with the same scope, subject and authentication', async () => {
    const { sessions, tokens } = issuer;
    const first = await sessions.start('user-1', {
      scope: ['a', 'b'],
      roles: ['r'],
      claims: { tenant: 't' },
      amr: ['pwd'],
    });
    clock.advance(60_000);
    const second = await sessions.refresh(first.refreshToken);
    for (const pair of [first, second]) {
      recordSecret(pair.accessToken);
      recordSecret(pair.refreshToken);
    }
    expect(second).toMatchObject({ sessionId: first.sessionId, scope: 'a b', subject: 'user-1' });
    expect(second.refreshToken).not.toBe(first.refreshToken);
    const [one, two] = await Promise.all([
      tokens.verify(first.accessToken),
      tokens.verify(second.accessToken),
    ]);
    const lasting = ['sub', 'sid', 'scope', 'roles', 'tenant', 'amr', 'auth_time'] as const;
    for (const claim of lasting) expect(two.claims[claim]).toEqual(one.claims[claim]);
    expect(two.tokenId).not.toBe(one.tokenId);
  });

  it('answers the same successor within the grace window, until that was used', async () => {
    const { sessions } = issuer;
    const { refreshToken } = await sessions.start('user-1');
    const [one, two] = await Promise.all([
      sessions.refresh(refreshToken),
      sessions.refresh(refreshToken),
    ]);
    expect(two.refreshToken).toBe(one.refreshToken);
    const next = await sessions.refresh(one.refreshToken);
    expect(await verdictOf(sessions.refresh(refreshToken))).toBe('ERR_SESSION_REUSED');
    expect(await verdictOf(sessions.refresh(next.refreshToken))).toBe('ERR_SESSION_ENDED');
    expect(await verdictOf(issuer.tokens.verify(next.accessToken))).toBe('ERR_TOKEN_REVOKED');
    expect(said.filter(({ type }) => type === 'refresh.reused')).toHaveLength(1);
  });

  it('ends for good when it, its subject, or everything is revoked', async () => {
    const { sessions, revocations } = issuer;
    const ways = [
      (sid: string) => sessions.end(sid),
      (sid: string) => revocations.revokeSession(sid),
      () => sessions.endAll('user-1'),
      () => revocations.revokeSubject('user-1'),
      () => revocations.bumpTokenVersion('user-1'),
      () => revocations.revokeAll(),
    ];
    for (const end of ways) {
      const pair = await sessions.start('user-1');
      await end(pair.sessionId);
      clock.advance(12 * 3_600_000);
      expect(await verdictOf(sessions.refresh(pair.refreshToken))).toMatch(
        /^ERR_SESSION_(?:UNKNOWN|REVOKED)$/,
      );
      const again = await sessions.start('user-1');
      expect(await verdictOf(sessions.refresh(again.refreshToken))).toBe('accepted');
      expect(await verdictOf(issuer.tokens.verify(again.accessToken))).toBe('accepted');
    }
  });
});
