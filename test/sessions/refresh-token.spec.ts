import { createHash } from 'node:crypto';

import { csrfDigest } from '../../lib/binding/csrf-digest.js';
import {
  csrfTokenOf,
  newRefreshToken,
  presented,
  readRefreshToken,
  readSessionId,
  successorOf,
  writeRefreshToken,
} from '../../lib/sessions/refresh-token.js';
import { recordSecret } from '../support/witness.js';
import { closeRooms, openRoom, ownerOf, type SessionRoom } from './session-room.js';

const token = newRefreshToken('https://issuer.example', 'alice');
const text = writeRefreshToken(token);
recordSecret(text);

describe('the text of a refresh token', () => {
  it('is read as it was written', () => {
    const read = readRefreshToken(text);
    expect(read).toEqual(token);
    expect(text).toMatch(/^rt1_[A-Za-z0-9_-]{128}$/);
    expect(token.secret).toHaveLength(32);
    expect(readSessionId(token.key.id)).toEqual(token.key);
  });

  it.each<[what: string, spelling: unknown]>([
    ['nothing', ''],
    ['no text', undefined],
    ['null', null],
    ['a list of it', [text]],
    ['something that reads like it', { toString: () => text }],
    ['a text object', Object(text)],
    ['without its prefix', text.slice(4)],
    ['with the prefix of another version', text.replace('rt1_', 'rt2_')],
    ['with its prefix in capitals', text.replace('rt1_', 'RT1_')],
    ['with its prefix twice', `rt1_${text}`],
    ['a character less', text.slice(0, -1)],
    ['a character more', `${text}A`],
    ['with padding', `${text}=`],
    ['with a line feed behind', `${text}\n`],
    ['with a space before', ` ${text}`],
    ['with a NUL in it', `${text.slice(0, 50)}\0${text.slice(51)}`],
    ['in the other base64', `${text.slice(0, 50)}+/${text.slice(52)}`],
    ['with a letter that looks the same', `${text.slice(0, 50)}а${text.slice(51)}`],
    ['huge', text.repeat(10_000)],
    ['an access token', 'eyJhbGciOiJFUzI1NiJ9.e30.c2ln'],
  ])('is none: %s', async (_what, spelling) => {
    expect(readRefreshToken(spelling)).toBeUndefined();
    const { sessions } = await openRoom();
    await expect(sessions.refresh(spelling as string)).rejects.toMatchObject({
      code: 'ERR_SESSION_MALFORMED',
    });
    closeRooms();
  });

  it.each(['', 'x', `${token.key.id}A`, token.key.id.slice(1), `${token.key.id}=`, 'é'.repeat(43)])(
    'has no session named %j',
    (sid) => {
      expect(readSessionId(sid)).toBeUndefined();
    },
  );

  it('is not that of any other by chance', () => {
    const texts = Array.from({ length: 1_000 }, () =>
      writeRefreshToken(newRefreshToken('https://issuer.example', 'alice')),
    );
    expect(new Set(texts.map((one) => one.slice(26))).size).toBe(1_000);
  });
});

describe('what a store learns of a token', () => {
  it('is digests, of which each is for one thing', () => {
    const shown = presented(token, 'app', null);
    const digests = [shown.lineage, shown.secret];
    for (const digest of digests) expect(digest).toMatch(/^[\w-]{43}$/);
    const parts = [token.lineage, token.secret];
    const plain = parts.flatMap((part) => [
      part.toString('base64url'),
      createHash('sha256').update(part).digest('base64url'),
    ]);
    expect([...plain, csrfTokenOf(token)].filter((part) => digests.includes(part))).toEqual([]);
    // Equal parts in other places are other digests.
    const twin = { ...token, lineage: token.secret };
    expect(presented(twin, undefined, null).lineage).not.toBe(shown.secret);
  });

  it('keeps the lineage over rotations, and not over clients', () => {
    const successor = successorOf(token);
    expect(presented(successor, 'app', null)).toMatchObject({
      lineage: presented(token, 'app', null).lineage,
      key: token.key,
    });
    expect(presented(successor, 'app', null).secret).not.toBe(presented(token, 'app', null).secret);
    expect(presented(token, 'ap', null).lineage).not.toBe(presented(token, 'app', null).lineage);
  });
});

describe('the CSRF token', () => {
  let room: SessionRoom;

  beforeEach(async () => {
    room = await openRoom();
  });

  afterEach(closeRooms);

  it('stays the same over a session, and its access tokens say its digest', async () => {
    let pair = await room.start({ carrier: 'cookie' });
    const { csrfToken = '' } = pair;
    for (let round = 0; round < 3; round++) {
      expect(pair).toMatchObject({ carrier: 'cookie', csrfToken });
      const { claims } = await room.tokens.verify(pair.accessToken);
      expect(claims.csrf).toBe(csrfDigest(csrfToken));
      const read = readRefreshToken(pair.refreshToken);
      expect(read && csrfTokenOf(read)).toBe(csrfToken);
      pair = await room.refresh(pair);
    }
  });

  it('is another for each session, and none for tokens in bodies', async () => {
    const pairs = [
      await room.start({ carrier: 'cookie' }),
      await room.start({ carrier: 'cookie' }),
    ];
    expect(new Set(pairs.map(({ csrfToken }) => csrfToken)).size).toBe(2);
    const body = await room.start();
    expect(body).toMatchObject({ carrier: 'body', csrfToken: undefined });
    const next = await room.refresh(body);
    expect(next.csrfToken).toBeUndefined();
    expect('csrf' in (await room.tokens.verify(next.accessToken)).claims).toBe(false);
  });

  it('cannot be made of what an access token says, or a store holds', async () => {
    const { accessToken, csrfToken = '' } = await room.start({ carrier: 'cookie' });
    const { claims } = await room.tokens.verify(accessToken);
    const held = JSON.stringify(await room.store.list(ownerOf('alice')));
    const known = [...Object.values(claims).map(String), ...held.split(/[^\w-]+/)];
    const digests = known.flatMap((value) => [
      value,
      csrfDigest(value),
      createHash('sha256').update(value).digest('base64url'),
    ]);
    expect(csrfToken).toMatch(/^[\w-]{43}$/);
    expect(digests).not.toContain(csrfToken);
  });
});
