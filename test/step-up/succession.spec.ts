import { AccessError } from '../../lib/kernel/errors.js';
import type { SessionStart } from '../../lib/sessions/session.js';
import type { StepUpStart } from '../../lib/step-up/succession.js';
import { successionOf } from '../../lib/step-up/succession.js';
import { memoryStorage } from '../../lib/storage/memory/memory-storage.js';
import { VerifiedToken } from '../../lib/tokens/verified-token.js';
import { verdictOf } from '../revocation/instances.js';
import { AWAY, closeRooms, ownerOf } from '../sessions/session-room.js';
import { ISSUER } from '../support/guarded-app.js';
import { TestClock } from '../support/test-clock.js';
import { newPrivateJwk } from '../support/token-mother.js';
import { type LoggedIn, openStepUp, type StepUpRoom } from './step-up-room.js';

const MINUTE = 60_000;
const LOGIN: SessionStart = {
  scope: ['accounts:read', 'transfers:write'],
  roles: ['user'],
  permissions: ['pay'],
  claims: { tenant: 'north' },
  amr: ['pwd'],
};

let clock: TestClock;
let room: StepUpRoom;
let alice: LoggedIn;

beforeEach(async () => {
  clock = new TestClock();
  room = await openStepUp({ clock });
  alice = await room.logIn(LOGIN);
});
afterEach(closeRooms);

async function stepUp(start: StepUpStart = {}, { token }: LoggedIn = alice): Promise<LoggedIn> {
  const pair = await room.stepUp.confirm(token, start);
  return { pair, token: await room.verified(pair.accessToken) };
}

const sessionsOf = async (subject: string): Promise<readonly string[]> =>
  (await room.store.list(ownerOf(subject))).map(({ key }) => key.id);

describe('a step-up', () => {
  it('puts a new session with a fresh authentication in the place of the old one', async () => {
    clock.advance(5 * MINUTE);
    const { pair, token } = await stepUp({ acr: 'gold', amr: ['pwd', 'otp'] });
    expect(token.sessionId).not.toBe(alice.token.sessionId);
    expect(token.claims).toMatchObject({
      sub: 'alice',
      auth_time: clock.seconds(),
      acr: 'gold',
      amr: ['pwd', 'otp'],
      scope: 'accounts:read transfers:write',
      roles: ['user'],
      permissions: ['pay'],
      tenant: 'north',
    });
    expect(await sessionsOf('alice')).toEqual([pair.sessionId]);
    expect(await room.verdict(alice.pair)).toBe('ERR_TOKEN_REVOKED');
    expect(await room.refreshed(alice.pair)).toMatch(/^ERR_SESSION_/);
    expect(await room.refreshed(pair)).toBe('accepted');
    expect(room.said('stepUp.passed')).toMatchObject([
      { sessionId: pair.sessionId, replaced: alice.token.sessionId },
    ]);
  });

  it('does not carry over how strong the authentication before it was', async () => {
    const strong = await stepUp({ acr: 'gold', amr: ['pwd', 'otp'] });
    const { token } = await stepUp({ amr: ['pwd'] }, strong);
    expect(token.claims.acr).toBeUndefined();
    expect(token.claims.amr).toEqual(['pwd']);
  });

  it('grants what it is told to, instead of what the token may', async () => {
    const { token } = await stepUp({ scope: 'accounts:read', roles: [], claims: {} });
    expect(token.scopes).toEqual(['accounts:read']);
    expect(token.roles).toEqual([]);
    expect(token.permissions).toEqual(['pay']);
    expect(token.claims['tenant']).toBeUndefined();
  });

  it('gives no more scope than the token that was shown has', async () => {
    const narrow = await room.refresh(alice.pair, { scope: 'accounts:read' });
    const token = await room.verified(narrow.accessToken);
    expect((await stepUp({}, { pair: narrow, token })).token.scopes).toEqual(['accounts:read']);
  });

  it('keeps the client, and how the tokens travel', async () => {
    const web = await room.logIn({ clientId: 'web', carrier: 'cookie' });
    const { pair, token } = await stepUp({}, web);
    expect(pair.carrier).toBe('cookie');
    expect(pair.csrfToken).toEqual(expect.any(String));
    expect(pair.csrfToken).not.toBe(web.pair.csrfToken);
    expect(token.clientId).toBe('web');
    expect(await room.refreshed(pair, { clientId: 'web', carrier: 'cookie' })).toBe('accepted');
    expect((await stepUp()).pair.carrier).toBe('body');
  });

  it('ends a token without a session by itself, and starts a session', async () => {
    const { token: bare } = await room.tokens.sign({ sub: 'alice', scope: 'accounts:read' });
    const token = await room.verified(bare);
    const { token: next } = await stepUp({ amr: ['pwd'] }, { ...alice, token });
    expect(next.sessionId).toEqual(expect.any(String));
    expect(await verdictOf(room.tokens.verify(bare))).toBe('ERR_TOKEN_REVOKED');
    expect(await room.verdict(alice.pair)).toBe('accepted');
    expect(room.said('stepUp.passed')).toMatchObject([{ replaced: null }]);
  });

  it('is what a refresh does not do: it keeps when and how the user authenticated', async () => {
    const { pair, token } = await stepUp({ acr: 'gold', amr: ['pwd', 'otp'] });
    clock.advance(10 * MINUTE);
    const refreshed = await room.verified((await room.refresh(pair)).accessToken);
    const { auth_time, acr, amr } = token.claims;
    expect(refreshed.issuedAt).toBe(token.issuedAt + 600);
    expect(refreshed.claims).toMatchObject({ auth_time, acr, amr });
  });
});

describe('what is not chosen at a step-up', () => {
  it.each([
    ['when the user authenticated', { authTime: new Date(0) }],
    ['nor left open', { authTime: undefined }],
    ['how the tokens travel', { carrier: 'body' }],
    ['the client', { clientId: 'another' }],
    ['what is no member', { sid: 'mine' }],
  ])('%s', async (_, start) => {
    await expect(stepUp(start as StepUpStart)).rejects.toThrow(TypeError);
    expect(await room.verdict(alice.pair)).toBe('accepted');
    expect(await sessionsOf('alice')).toEqual([alice.token.sessionId]);
  });
});

describe('the sender of the new session', () => {
  const THUMBPRINT = 'A'.repeat(43);
  const OTHER = `${'B'.repeat(42)}A`;
  const bound = (cnf: object, claims: object = {}): VerifiedToken =>
    VerifiedToken.seal(
      'access',
      { kid: 'k', algorithm: 'ES256', era: 0 },
      {
        ...alice.token.claims,
        ...claims,
        cnf,
      },
    );
  const dpop = { kind: 'dpop', value: THUMBPRINT } as const;
  const mtls = { kind: 'mtls', value: THUMBPRINT } as const;

  it.each<readonly [string, object, object]>([
    ['a key', { jkt: THUMBPRINT }, dpop],
    ['a certificate', { 'x5t#S256': THUMBPRINT }, mtls],
    ['a cookie', { 'cookie#S256': THUMBPRINT }, { kind: 'cookie' }],
  ])('is that of the token, proven just now: %s', (_, cnf, binding) => {
    expect(successionOf(bound(cnf), {})).toMatchObject({ binding });
    expect(successionOf(bound(cnf), { binding: binding as typeof dpop })).toMatchObject({
      binding,
    });
  });

  it.each<readonly [string, object, StepUpStart['binding']]>([
    ['another key', { jkt: THUMBPRINT }, { ...dpop, value: OTHER }],
    ['a certificate instead of a key', { jkt: THUMBPRINT }, mtls],
    ['a cookie instead of a key', { jkt: THUMBPRINT }, { kind: 'cookie' }],
    ['another certificate', { 'x5t#S256': THUMBPRINT }, { ...mtls, value: OTHER }],
    ['a key instead of a certificate', { 'x5t#S256': THUMBPRINT }, dpop],
    ['a key instead of a cookie', { 'cookie#S256': THUMBPRINT }, dpop],
    ['one of two', { jkt: THUMBPRINT, 'x5t#S256': THUMBPRINT }, dpop],
    ['what there is not', {}, dpop],
  ])('is refused: %s', (_, cnf, binding) => {
    expect(() => successionOf(bound(cnf), binding === undefined ? {} : { binding })).toThrow(
      TypeError,
    );
  });

  it('cannot be one of two without a word, either', () => {
    const cnf = { jkt: THUMBPRINT, 'x5t#S256': THUMBPRINT };
    expect(() => successionOf(bound(cnf), {})).toThrow(TypeError);
  });

  it('is looked at again where the token says how it looked', () => {
    const facts = { kid: 'k', algorithm: 'ES256', era: 0, fingerprint: {} } as const;
    const token = VerifiedToken.seal('access', facts as never, alice.token.claims);
    expect(() => successionOf(token, {})).toThrow(TypeError);
    const signals = {} as NonNullable<StepUpStart['fingerprint']>;
    expect(successionOf(token, { fingerprint: signals }).fingerprint).toBe(signals);
  });

  it.each<readonly [string, SessionStart]>([
    ['a key', { binding: dpop }],
    ['a certificate', { binding: mtls }],
  ])('is kept from session to session: %s', async (_, start) => {
    const bob = await room.logIn(start, 'bob');
    const { pair, token } = await stepUp({}, bob);
    expect(token.confirmation).toEqual(bob.token.confirmation);
    expect(token.confirmation).toBeDefined();
    // And asked for at its refresh.
    expect(await room.refreshed(pair)).not.toBe('accepted');
  });

  it('may be bound where the token was not', () => {
    expect(successionOf(alice.token, { binding: dpop })).toMatchObject({ binding: dpop });
  });
});

describe('the old session', () => {
  it('is dead after two step-ups at once, whichever succeeded', async () => {
    const answers = await Promise.allSettled([stepUp({ acr: 'a' }), stepUp({ acr: 'b' })]);
    const passed = answers.flatMap((answer) =>
      answer.status === 'fulfilled' ? [answer.value] : [],
    );
    expect(passed.length).toBeGreaterThan(0);
    expect(await room.verdict(alice.pair)).toBe('ERR_TOKEN_REVOKED');
    expect(await room.refreshed(alice.pair)).toMatch(/^ERR_SESSION_/);
    const left = await sessionsOf('alice');
    expect(left.toSorted()).toEqual(passed.map(({ pair }) => pair.sessionId).toSorted());
    for (const { pair } of passed) expect(await room.verdict(pair)).toBe('accepted');
  });

  it.each([2, 10, 50])('is dead after %i at once', async (count) => {
    const answers = await Promise.allSettled(Array.from({ length: count }, () => stepUp()));
    const passed = answers.flatMap((one) => (one.status === 'fulfilled' ? one.value.pair : []));
    expect(passed.length).toBeGreaterThan(0);
    expect(await room.verdict(alice.pair)).toBe('ERR_TOKEN_REVOKED');
    expect((await sessionsOf('alice')).toSorted()).toEqual(
      passed.map(({ sessionId }) => sessionId).toSorted(),
    );
  });

  it.each<readonly [string, () => Promise<unknown>]>([
    ['its session', () => room.revocations.revokeSession(alice.token.sessionId ?? '')],
    ['its subject', () => room.revocations.revokeSubject('alice')],
    ['its token version', () => room.revocations.bumpTokenVersion('alice')],
    ['everything', () => room.revocations.revokeAll()],
    ['its token', () => room.revocations.revokeToken(alice.token.tokenId, alice.token.expiresAt)],
  ])('leaves nobody when %s is revoked before, or while the new one begins', async (_, revoke) => {
    const create = room.store.create.bind(room.store);
    room.store.create = async (session) => {
      const ended = await create(session);
      await revoke();
      return ended;
    };
    expect(await verdictOf(stepUp())).toMatch(/^ERR_(TOKEN|SESSION)_REVOKED$/);
    room.store.create = create;
    expect(await verdictOf(stepUp())).toBe('ERR_TOKEN_REVOKED');
    const left = await sessionsOf('alice');
    expect(left.filter((sessionId) => sessionId !== alice.token.sessionId)).toEqual([]);
    expect(room.said('stepUp.passed')).toEqual([]);
  });

  it('leaves nobody when another instance revokes it while the new one begins', async () => {
    const storage = memoryStorage({ clock });
    const keys = { signingKey: await newPrivateJwk() };
    const here = await openStepUp({ clock, options: { storage, keys } });
    const there = await openStepUp({ clock, options: { storage, keys } });
    const { pair, token } = await here.logIn();
    const create = here.store.create.bind(here.store);
    here.store.create = async (session) => {
      const ended = await create(session);
      await there.sessions.end(pair.sessionId);
      return ended;
    };
    expect(await verdictOf(here.stepUp.confirm(token))).toBe('ERR_TOKEN_REVOKED');
    expect(await there.sessions.list('alice')).toEqual([]);
  });

  it('ends with the new one when the subject is revoked at the very end', async () => {
    const { token } = await stepUp();
    await room.revocations.revokeSubject('alice');
    expect(await verdictOf(room.stepUp.confirm(token))).toBe('ERR_TOKEN_REVOKED');
    expect(await sessionsOf('alice')).toEqual([]);
  });

  it('goes on when the new one cannot be stored', async () => {
    const create = room.store.create.bind(room.store);
    room.store.create = () => Promise.reject(AWAY);
    expect(await verdictOf(stepUp())).toBe(AWAY.code);
    room.store.create = create;
    expect(await room.verdict(alice.pair)).toBe('accepted');
    expect(await room.refreshed(alice.pair)).toBe('accepted');
  });

  it('is not left beside a new one when it cannot be ended', async () => {
    const started: string[] = [];
    const failing = await openStepUp({ clock });
    const { token } = await failing.logIn();
    const end = failing.sessions.end.bind(failing.sessions);
    failing.sessions.end = (sessionId) => {
      started.push(sessionId);
      return sessionId === token.sessionId ? Promise.reject(AWAY) : end(sessionId);
    };
    expect(await verdictOf(failing.stepUp.confirm(token))).toBe(AWAY.code);
    expect(started).toHaveLength(2);
    const left = (await failing.store.list(ownerOf('alice'))).map(({ key }) => key.id);
    expect(left).toEqual([token.sessionId]);
    expect(failing.said('stepUp.passed')).toEqual([]);
  });

  it('has no successor when its token expires while the new one begins', async () => {
    const create = room.store.create.bind(room.store);
    room.store.create = async (session) => {
      const ended = await create(session);
      clock.advance(59_000);
      return ended;
    };
    // Fourteen minutes and a bit of fifteen, and the leeway.
    clock.advance(14 * MINUTE + 20_000);
    expect(await verdictOf(stepUp())).toBe('ERR_TOKEN_EXPIRED');
    expect(await sessionsOf('alice')).toEqual([alice.token.sessionId]);
  });
});

describe('who cannot step up here', () => {
  const stranger = (iss: string): VerifiedToken =>
    VerifiedToken.seal(
      'access',
      { kid: 'k', algorithm: 'ES256', era: 0 },
      { ...alice.token.claims, iss },
    );

  it('the subject of another issuer', async () => {
    const confirmed = room.stepUp.confirm(stranger('https://another.example'));
    await expect(confirmed).rejects.toThrow(AccessError);
    await expect(confirmed).rejects.toMatchObject({ code: 'ERR_ACCESS_DENIED' });
    expect(await sessionsOf('alice')).toEqual([alice.token.sessionId]);
  });

  it('who holds a token that this verifier never saw', async () => {
    expect(await verdictOf(room.stepUp.confirm(stranger(ISSUER)))).toBe('ERR_TOKEN_UNKNOWN_KEY');
    expect(await sessionsOf('alice')).toEqual([alice.token.sessionId]);
  });

  it('who shows a confirmation instead of an access token', async () => {
    const confirmation = await room.confirmation(alice.token);
    const token = await room.tokens.verify(confirmation, { kind: 'confirmation' });
    await expect(room.stepUp.confirm(token)).rejects.toThrow(TypeError);
  });
});
