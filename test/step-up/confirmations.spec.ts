import { createHash } from 'node:crypto';

import { StepUpRequired } from '../../lib/kernel/errors.js';
import { importSigningKey } from '../../lib/keys/key-material.js';
import type { ConfirmationAsk } from '../../lib/step-up/step-up.service.js';
import { memoryStorage } from '../../lib/storage/memory/memory-storage.js';
import { TOKEN_TYPES, type TokenKind } from '../../lib/tokens/claims.js';
import { VerifiedToken } from '../../lib/tokens/verified-token.js';
import { verdictOf } from '../revocation/instances.js';
import { atOnce, closeRooms, tally } from '../sessions/session-room.js';
import { ISSUER } from '../support/guarded-app.js';
import { TestClock } from '../support/test-clock.js';
import { forge, newPrivateJwk, validClaims } from '../support/token-mother.js';
import { type LoggedIn, openStepUp, type StepUpRoom } from './step-up-room.js';

const ACTION = 'delete_account';
const REFUSED = 'ERR_ACCESS_STEP_UP';

let clock: TestClock;
let room: StepUpRoom;
let alice: LoggedIn;

beforeEach(async () => {
  clock = new TestClock();
  room = await openStepUp({ clock });
  alice = await room.logIn();
});
afterEach(closeRooms);

function use(
  confirmation: string,
  {
    token,
    action = ACTION,
    at = room,
  }: Partial<{ token: VerifiedToken; action: string; at: StepUpRoom }> = {},
): Promise<string> {
  return verdictOf(
    at.stepUp.consumeConfirmation(confirmation, { token: token ?? alice.token, action }),
  );
}

describe('a confirmation', () => {
  it('is good once, for its action, subject and session', async () => {
    const confirmation = await room.confirmation(alice.token);
    expect(await use(confirmation)).toBe('accepted');
    expect(await use(confirmation)).toBe(REFUSED);
    expect(room.said('confirmation.issued')).toHaveLength(1);
    expect(room.said('confirmation.used')).toMatchObject([
      { sessionId: alice.token.sessionId, action: ACTION },
    ]);
    expect(room.said('confirmation.rejected')).toMatchObject([
      { action: ACTION, detail: 'it was used before' },
    ]);
  });

  it('is a token of its own kind, for two minutes, and says no more than it has to', async () => {
    const { confirmationToken, expiresIn } = await room.stepUp.issueConfirmation({
      token: alice.token,
      action: ACTION,
    });
    const { claims, kind } = await room.tokens.verify(confirmationToken, { kind: 'confirmation' });
    expect(expiresIn).toBe(120);
    expect(kind).toBe('confirmation');
    expect(Object.keys(claims).toSorted()).toEqual([
      'action',
      'aud',
      'era',
      'exp',
      'iat',
      'iss',
      'jti',
      'nbf',
      'sid',
      'sub',
    ]);
  });

  it('can be asked for by the ids alone', async () => {
    const { subject: sub, sessionId: sid = '' } = alice.token;
    const { confirmationToken } = await room.stepUp.issueConfirmation({ sub, sid, action: ACTION });
    expect(await use(confirmationToken)).toBe('accepted');
  });

  it('goes with the next access token of the session, too', async () => {
    const confirmation = await room.confirmation(alice.token);
    const next = await room.refresh(alice.pair);
    expect(await use(confirmation, { token: await room.verified(next.accessToken) })).toBe(
      'accepted',
    );
  });

  it('leaves another one of the same session good', async () => {
    const [one, two] = [await room.confirmation(alice.token), await room.confirmation(alice.token)];
    expect([await use(one), await use(two), await use(one)]).toEqual([
      'accepted',
      'accepted',
      REFUSED,
    ]);
  });
});

describe('of 50 uses at once', () => {
  it('one gets through', async () => {
    const confirmation = await room.confirmation(alice.token);
    const answers = await atOnce(50, () => use(confirmation));
    expect(tally(answers)).toEqual({ accepted: 1, [REFUSED]: 49 });
  });

  it('one gets through on all instances together', async () => {
    const storage = memoryStorage({ clock });
    const keys = { signingKey: await newPrivateJwk() };
    const instances = await Promise.all(
      [0, 1, 2].map(() => openStepUp({ clock, options: { storage, keys } })),
    );
    const [first] = instances as [StepUpRoom];
    const { pair, token } = await first.logIn();
    const confirmation = await first.confirmation(token);
    const answers = await atOnce(50, async (index) => {
      const at = instances[index % 3] ?? first;
      return use(confirmation, { at, token: await at.verified(pair.accessToken) });
    });
    expect(tally(answers)).toEqual({ accepted: 1, [REFUSED]: 49 });
  });
});

describe('what confirms nothing', () => {
  it('the confirmation of another user', async () => {
    const bob = await room.logIn({}, 'bob');
    expect(await use(await room.confirmation(bob.token))).toBe(REFUSED);
  });

  it('the confirmation of another session of the same user', async () => {
    const other = await room.logIn();
    expect(await use(await room.confirmation(other.token))).toBe(REFUSED);
  });

  it('the confirmation of a session for a token without one, and the reverse', async () => {
    const { token: bare } = await room.tokens.sign({ sub: 'alice' });
    const token = await room.verified(bare);
    expect(await use(await room.confirmation(alice.token), { token })).toBe(REFUSED);
    expect(await use(await room.confirmation(token))).toBe(REFUSED);
  });

  it('the confirmation of another token without a session', async () => {
    const [one, two] = await Promise.all(
      [0, 1].map(async () => room.verified((await room.tokens.sign({ sub: 'alice' })).token)),
    );
    const confirmation = await room.confirmation(one!);
    expect(await use(confirmation, { token: two! })).toBe(REFUSED);
    expect(await use(confirmation, { token: one! })).toBe('accepted');
  });

  it.each(['delete_account2', 'delete_accoun', 'Delete_account', 'transfer', 'delete_account.'])(
    'the confirmation of delete_account for %s',
    async (action) => {
      const confirmation = await room.confirmation(alice.token);
      expect(await use(confirmation, { action })).toBe(REFUSED);
      expect(await use(confirmation)).toBe('accepted');
    },
  );

  it.each((Object.keys(TOKEN_TYPES) as TokenKind[]).filter((kind) => kind !== 'confirmation'))(
    'a token of kind %s that says the same',
    async (kind) => {
      const { subject: sub, sessionId: sid = '' } = alice.token;
      const { token } = await room.tokens.sign({ sub, sid, action: ACTION }, { kind });
      expect(await use(token)).toBe(REFUSED);
      const { token: right } = await room.tokens.sign(
        { sub, sid, action: ACTION },
        { kind: 'confirmation' },
      );
      expect(await use(right)).toBe('accepted');
    },
  );

  it('the access token itself', async () => {
    expect(await use(alice.pair.accessToken)).toBe(REFUSED);
    expect(room.said('confirmation.rejected')).toMatchObject([
      { detail: expect.stringMatching(/^ERR_TOKEN_TYPE: /) as string },
    ]);
  });

  it('and a confirmation is no access token', async () => {
    const confirmation = await room.confirmation(alice.token);
    expect(await verdictOf(room.tokens.verify(confirmation))).toBe('ERR_TOKEN_TYPE');
  });

  it.each([
    ['its action is missing', { action: undefined }],
    ['its action is a list', { action: [ACTION] }],
    ['its action is an object', { action: { [ACTION]: true } }],
    ['its session is missing', { sid: undefined }],
    ['it names a token besides the session', { access_jti: 'another' }],
    ['it is of another issuer', { iss: 'https://another.example' }],
    ['it is for another service', { aud: 'another-api' }],
    ['its subject is a list', { sub: ['alice'] }],
    ['it has no jti', { jti: undefined }],
    ['it lives for ever', { exp: 1e12 }],
  ])('one that is signed, but %s', async (_, claims) => {
    const key = await room.keyRing.signingKey();
    const { subject: sub, sessionId: sid, era } = alice.token;
    const header = { alg: key.row.name, typ: TOKEN_TYPES.confirmation, kid: key.kid };
    const right = { ...validClaims(clock), sub, sid, era, action: ACTION };
    expect(await use(await forge(key, header, { ...right, ...claims }))).toBe(REFUSED);
    expect(await use(await forge(key, header, right))).toBe('accepted');
  });

  it('one that another key signed', async () => {
    const jwk = await newPrivateJwk();
    const { kid } = await room.keyRing.signingKey();
    const key = await importSigningKey({ ...jwk, kid });
    const { subject: sub, sessionId: sid } = alice.token;
    const header = { alg: key.row.name, typ: TOKEN_TYPES.confirmation, kid };
    const claims = { ...validClaims(clock), sub, sid, action: ACTION };
    expect(await use(await forge(key, header, claims))).toBe(REFUSED);
  });

  it.each([
    ['nothing', undefined],
    ['null', null],
    ['a number', 1],
    ['an object', { toString: () => 'a.b.c' }],
    ['a list', ['a.b.c']],
    ['an empty text', ''],
    ['three dots', '...'],
    ['a megabyte', 'a'.repeat(1 << 20)],
    ['a megabyte of dots', '.'.repeat(1 << 20)],
    ['a lone surrogate', '\ud800.\ud800.\ud800'],
  ])('%s', async (_, confirmation) => {
    expect(await use(confirmation as string)).toBe(REFUSED);
    expect(room.replays.claims).toBe(0);
  });

  it('a right one with a space behind it', async () => {
    const confirmation = await room.confirmation(alice.token);
    expect(await use(`${confirmation} `)).toBe(REFUSED);
    expect(await use(confirmation)).toBe('accepted');
  });
});

describe('in time', () => {
  it('is good until it expires, and is remembered for as long as somebody may take it', async () => {
    const used = await room.confirmation(alice.token);
    const unused = await room.confirmation(alice.token);
    expect(await use(used)).toBe('accepted');
    // The leeway of 10 s included.
    clock.advance(129_999);
    expect(await use(used)).toBe(REFUSED);
    expect(room.said('confirmation.rejected').at(-1)).toMatchObject({
      detail: 'it was used before',
    });
    clock.advance(1);
    expect(await use(unused)).toBe(REFUSED);
    expect(room.said('confirmation.rejected').at(-1)).toMatchObject({
      detail: expect.stringMatching(/^ERR_TOKEN_EXPIRED: /) as string,
    });
  });

  it('is used up for nothing when it expires while its use is written down', async () => {
    const confirmation = await room.confirmation(alice.token);
    room.replays.before = () => clock.advance(200_000);
    expect(await use(confirmation)).toBe(REFUSED);
    expect(room.said('confirmation.used')).toEqual([]);
  });
});

describe('after a revocation', () => {
  const REVOCATIONS: ReadonlyArray<readonly [string, () => Promise<unknown>]> = [
    ['the session', () => room.revocations.revokeSession(alice.token.sessionId ?? '')],
    ['the subject', () => room.revocations.revokeSubject('alice')],
    ['the token version', () => room.revocations.bumpTokenVersion('alice')],
    ['everything', () => room.revocations.revokeAll()],
  ];

  it.each(REVOCATIONS)('of %s nothing is confirmed or used up', async (_, revoke) => {
    const confirmation = await room.confirmation(alice.token);
    await revoke();
    expect(await use(confirmation)).toBe(REFUSED);
    expect(room.replays.claims).toBe(0);
  });

  it.each(REVOCATIONS)(
    'of %s while its use is written down it does not go through',
    async (_, revoke) => {
      const confirmation = await room.confirmation(alice.token);
      room.replays.before = async () => void (await revoke());
      expect(await use(confirmation)).toBe('ERR_TOKEN_REVOKED');
      expect(room.said('confirmation.used')).toEqual([]);
    },
  );

  it.each(REVOCATIONS)('of %s none is issued', async (_, revoke) => {
    const before = await room.confirmation(alice.token);
    await revoke();
    const ask: ConfirmationAsk = { token: alice.token, action: ACTION };
    expect(await verdictOf(room.stepUp.issueConfirmation(ask))).toBe('ERR_TOKEN_REVOKED');
    expect(room.said('confirmation.issued')).toHaveLength(1);
    expect(await use(before)).toBe(REFUSED);
  });

  it('of the access token alone it is not used up, and another token of the session takes it', async () => {
    const confirmation = await room.confirmation(alice.token);
    const next = await room.refresh(alice.pair);
    await room.revocations.revokeToken(alice.token.tokenId, alice.token.expiresAt);
    expect(await use(confirmation)).toBe('ERR_TOKEN_REVOKED');
    expect(room.replays.claims).toBe(0);
    expect(await use(confirmation, { token: await room.verified(next.accessToken) })).toBe(
      'accepted',
    );
  });

  it('of the confirmation alone it is none', async () => {
    const confirmation = await room.confirmation(alice.token);
    const { tokenId, expiresAt } = await room.tokens.verify(confirmation, { kind: 'confirmation' });
    await room.revocations.revokeToken(tokenId, expiresAt);
    expect(await use(confirmation)).toBe(REFUSED);
  });

  it('by its ids alone, one for a session that is over confirms nothing', async () => {
    const { subject: sub, sessionId: sid = '' } = alice.token;
    await room.sessions.end(sid);
    const { confirmationToken } = await room.stepUp.issueConfirmation({ sub, sid, action: ACTION });
    expect(await use(confirmationToken)).toBe(REFUSED);
  });
});

describe('when something fails', () => {
  it('says so, and not that the confirmation is wrong', async () => {
    const confirmation = await room.confirmation(alice.token);
    const outage = new Error('planted');
    room.replays.before = () => Promise.reject(outage);
    const used = room.stepUp.consumeConfirmation(confirmation, {
      token: alice.token,
      action: ACTION,
    });
    await expect(used).rejects.toBe(outage);
    expect(room.said('confirmation.rejected')).toEqual([]);
    room.replays.before = () => {};
    expect(await use(confirmation)).toBe('accepted');
  });

  it('asks with the action, and says what was wrong to the log alone', async () => {
    const error: unknown = await room.stepUp
      .consumeConfirmation('a.b.c', { token: alice.token, action: ACTION })
      .catch((reason: unknown) => reason);
    expect(error).toBeInstanceOf(StepUpRequired);
    expect(error).toMatchObject({
      challenge: { action: ACTION },
      message: 'The request was refused.',
    });
  });
});

describe('who cannot confirm', () => {
  const stranger = (iss: string): VerifiedToken =>
    VerifiedToken.seal(
      'access',
      { kid: 'k', algorithm: 'ES256', era: undefined },
      { ...alice.token.claims, iss },
    );

  it('the subject of another issuer, whatever it is called', async () => {
    const token = stranger('https://another.example');
    const ask: ConfirmationAsk = { token, action: ACTION };
    expect(await verdictOf(room.stepUp.issueConfirmation(ask))).toBe('ERR_ACCESS_DENIED');
    const confirmation = await room.confirmation(alice.token);
    expect(await use(confirmation, { token })).toBe('ERR_ACCESS_DENIED');
    expect(await use(confirmation)).toBe('accepted');
  });

  it('who holds a token that this verifier never saw', async () => {
    const ask: ConfirmationAsk = { token: stranger(ISSUER), action: ACTION };
    expect(await verdictOf(room.stepUp.issueConfirmation(ask))).toBe('ERR_TOKEN_UNKNOWN_KEY');
    const confirmation = await room.confirmation(alice.token);
    expect(await use(confirmation, { token: stranger(ISSUER) })).toBe('ERR_TOKEN_UNKNOWN_KEY');
    expect(await use(confirmation)).toBe('accepted');
  });

  it.each([
    ['a look-alike', () => Object.create(alice.token) as object],
    ['nothing', () => undefined],
    [
      'a confirmation',
      async () =>
        room.tokens.verify(await room.confirmation(alice.token), { kind: 'confirmation' }),
    ],
  ])('who shows %s instead of a token', async (_, make) => {
    const token = (await Promise.resolve(make())) as VerifiedToken;
    const confirmation = await room.confirmation(alice.token);
    await expect(room.stepUp.issueConfirmation({ token, action: ACTION })).rejects.toThrow(
      TypeError,
    );
    await expect(
      room.stepUp.consumeConfirmation(confirmation, { token, action: ACTION }),
    ).rejects.toThrow(TypeError);
    expect(await use(confirmation)).toBe('accepted');
  });
});

describe('an action', () => {
  it.each([
    ['nothing', ''],
    ['undefined', undefined],
    ['a list', ['a']],
    ['a space', 'a b'],
    ['a quote, which would end a header parameter', 'a"b'],
    ['a backslash', 'a\\b'],
    ['a line break, which would begin a header', 'a\r\nSet-Cookie: b'],
    ['NUL', 'a\u0000'],
    ['a letter that is not of ASCII', 'löschen'],
    ['129 characters', 'a'.repeat(129)],
  ])('cannot be %s', async (_, odd) => {
    const action = odd as string;
    const { token } = alice;
    await expect(room.stepUp.issueConfirmation({ token, action })).rejects.toThrow(TypeError);
    const confirmation = await room.confirmation(token);
    await expect(room.stepUp.consumeConfirmation(confirmation, { token, action })).rejects.toThrow(
      TypeError,
    );
    expect(room.replays.claims).toBe(0);
  });

  it.each(['a', 'transfers:create', 'a'.repeat(128), '!#$%&()*+,-./:;<=>?@[]^_`{|}~'])(
    'can be %s',
    async (action) => {
      const confirmation = await room.confirmation(alice.token, action);
      expect(await use(confirmation, { action })).toBe('accepted');
    },
  );
});

it('needs no claims that the application demands of its access tokens', async () => {
  const strict = await openStepUp({ clock, options: { tokens: { requiredClaims: ['tenant'] } } });
  const { token } = await strict.logIn({ claims: { tenant: 'north' } });
  expect(await use(await strict.confirmation(token), { token, at: strict })).toBe('accepted');
});

describe('what is kept of it', () => {
  it('is a digest of its id, until nobody takes it any more', async () => {
    const kept: { readonly key: string; readonly expiresAt: number }[] = [];
    const confirmation = await room.confirmation(alice.token);
    const claimOnce = room.replays.claimOnce.bind(room.replays);
    room.replays.claimOnce = (claim) => {
      kept.push(claim);
      return claimOnce(claim);
    };
    await use(confirmation);
    const { tokenId, issuer } = await room.tokens.verify(confirmation, { kind: 'confirmation' });
    const digest = createHash('sha256')
      .update(JSON.stringify([issuer, tokenId]))
      .digest('base64url');
    expect(kept).toEqual([{ key: `confirmation:${digest}`, expiresAt: clock.now() + 130_000 }]);
  });
});
