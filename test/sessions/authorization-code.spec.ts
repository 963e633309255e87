import { SessionSeals } from '../../lib/sessions/session-seals.js';
import { createHash, randomBytes } from 'node:crypto';

import {
  AuthorizationCodes,
  challengeOf,
  type CodeTerms,
  type PromisedStart,
} from '../../lib/sessions/authorization-code.js';
import { readRefreshToken, writeRefreshToken } from '../../lib/sessions/refresh-token.js';
import type { TokenPair } from '../../lib/sessions/session.js';
import { verdictOf } from '../revocation/instances.js';
import { ISSUER } from '../support/guarded-app.js';
import { recordSecret } from '../support/witness.js';
import {
  atOnce,
  AWAY,
  closeRooms,
  openRoom,
  ownerOf,
  SECOND,
  type SessionRoom,
  tally,
} from './session-room.js';

const VERIFIER = randomBytes(32).toString('base64url');
const TERMS: CodeTerms = {
  clientId: 'native',
  redirectUri: 'com.example.app:/callback',
  challenge: challengeOf(VERIFIER),
};

const ALPHABET = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_';

const CONFIG = { issuer: ISSUER, codeFor: 60 * SECOND, seals: new SessionSeals([null]) };

interface CodeRoom extends SessionRoom {
  issue(given?: Partial<PromisedStart>, subject?: string): Promise<string>;
  redeem(code: string, terms?: Partial<CodeTerms>, address?: string): Promise<TokenPair>;
  /** `accepted`, or the code of the refusal. */
  redeemed(code: string, terms?: Partial<CodeTerms>): Promise<string>;
}

async function open(...options: Parameters<typeof openRoom>): Promise<CodeRoom> {
  const room = await openRoom(...options);
  const { store, tokens, sessions, clock } = room;
  const codes = new AuthorizationCodes(CONFIG, { store, tokens, sessions });
  const redeem: CodeRoom['redeem'] = async (code, terms = {}, address) => {
    const pair = await codes.redeem(
      code,
      { ...TERMS, ...terms },
      address === undefined ? {} : { address },
    );
    recordSecret(pair.accessToken);
    recordSecret(pair.refreshToken);
    return pair;
  };
  return {
    ...room,
    redeem,
    redeemed: (code, terms) => verdictOf(redeem(code, terms)),
    issue: async (given = {}, subject = 'alice') => {
      const start = { authTime: new Date(clock.now() - 5 * SECOND), ...given };
      const code = await codes.issue(TERMS, subject, start);
      recordSecret(code);
      return code;
    },
  };
}

afterEach(closeRooms);

describe('challengeOf', () => {
  it('is S256 (RFC 7636, appendix B)', () => {
    expect(challengeOf('dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk')).toBe(
      'E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM',
    );
  });
});

describe('an authorization code', () => {
  it('starts the session it was made for', async () => {
    const room = await open();
    const code = await room.issue({
      scope: ['read', 'write'],
      roles: ['user'],
      permissions: ['p'],
      claims: { tenant: 'a' },
      acr: 'urn:acr:2',
      amr: ['pwd'],
      device: 'Phone',
    });
    const pair = await room.redeem(code, {}, '203.0.113.9');
    const { claims, subject, sessionId } = await room.tokens.verify(pair.accessToken);
    expect([subject, sessionId]).toEqual(['alice', pair.sessionId]);
    expect(claims).toMatchObject({
      client_id: 'native',
      scope: 'read write',
      roles: ['user'],
      permissions: ['p'],
      tenant: 'a',
      acr: 'urn:acr:2',
      amr: ['pwd'],
      auth_time: room.clock.seconds() - 5,
    });
    expect(await room.sessions.list('alice')).toMatchObject([
      { sessionId: pair.sessionId, device: 'Phone', addressPrefix: '203.0.113.0/24' },
    ]);
    const refreshed = await room.refresh(pair, { clientId: 'native' });
    expect(refreshed.sessionId).toBe(pair.sessionId);
  });

  it('has a session whose refresh tokens are good for its client alone', async () => {
    const room = await open();
    const pair = await room.redeem(await room.issue());
    expect(await room.refreshed(pair, { clientId: 'other' })).toBe('ERR_SESSION_UNKNOWN');
    expect(await room.refreshed(pair)).toBe('ERR_SESSION_UNKNOWN');
    expect(await room.refreshed(pair, { clientId: 'native' })).toBe('accepted');
  });

  it('is in nobody’s list before', async () => {
    const room = await open();
    await room.issue();
    expect(await room.sessions.list('alice')).toEqual([]);
  });

  it('leaves nothing at rest that it could be made of', async () => {
    const room = await open();
    const created: string[] = [];
    const create = room.store.create.bind(room.store);
    jest.spyOn(room.store, 'create').mockImplementation((request) => {
      created.push(JSON.stringify(request));
      return create(request);
    });
    const code = await room.issue({ scope: ['read'] });
    const token = readRefreshToken(code.replace('ac1_', 'rt1_'));
    for (const part of [token?.lineage, token?.secret]) {
      expect(created.join()).not.toContain(part?.toString('base64url').slice(0, 20));
    }
    for (const word of ['alice', 'native', 'com.example.app', 'read', TERMS.challenge, VERIFIER]) {
      expect(created.join()).not.toContain(word);
    }
    expect(created).toHaveLength(1);
  });

  it('is good for a minute, and not one millisecond longer', async () => {
    const room = await open();
    const [code, late] = [await room.issue(), await room.issue()];
    room.clock.advance(60 * SECOND - 1);
    expect(await room.redeemed(code)).toBe('accepted');
    room.clock.advance(1);
    expect(await room.redeemed(late)).toBe('ERR_SESSION_UNKNOWN');
  });

  it('ends its session when it is used a second time, for as long as a code is good', async () => {
    const room = await open();
    const code = await room.issue();
    room.clock.advance(59 * SECOND);
    const pair = await room.redeem(code);
    room.clock.advance(59 * SECOND);
    expect(await room.verdict(pair)).toBe('accepted');
    expect(await room.redeemed(code)).toBe('ERR_SESSION_REUSED');
    expect(await room.verdict(pair)).toBe('ERR_TOKEN_REVOKED');
    expect(await room.refreshed(pair, { clientId: 'native' })).not.toBe('accepted');
    expect(await room.redeemed(code)).toBe('ERR_SESSION_REUSED');
  });

  it.each<readonly [rule: string, terms: Partial<CodeTerms>]>([
    ['another verifier', { challenge: challengeOf(randomBytes(32).toString('base64url')) }],
    ['the challenge of no verifier', { challenge: '' }],
    ['the challenge for a verifier', { challenge: challengeOf(TERMS.challenge) }],
    ['another redirect_uri', { redirectUri: 'com.example.app:/callback2' }],
    ['no redirect_uri', { redirectUri: '' }],
    ['both run together', { redirectUri: `${TERMS.redirectUri}\0`, challenge: '' }],
  ])('dies of %s', async (_rule, terms) => {
    const room = await open();
    const code = await room.issue();
    expect(await room.redeemed(code, terms)).toBe('ERR_SESSION_REUSED');
    expect(await room.redeemed(code)).toBe('ERR_SESSION_REUSED');
    expect(await room.sessions.list('alice')).toEqual([]);
  });

  it('ends its session when it comes again with other terms', async () => {
    const room = await open();
    const code = await room.issue();
    const pair = await room.redeem(code);
    const challenge = challengeOf(randomBytes(32).toString('base64url'));
    expect(await room.redeemed(code, { challenge })).toBe('ERR_SESSION_REUSED');
    expect(await room.verdict(pair)).toBe('ERR_TOKEN_REVOKED');
  });

  it.each(['other', 'Native', 'native ', '', '\0', 'code native'])(
    'is none to the client %j, and stays good for its own',
    async (clientId) => {
      const room = await open();
      const code = await room.issue();
      expect(await room.redeemed(code, { clientId })).toBe('ERR_SESSION_UNKNOWN');
      expect(await room.redeemed(code)).toBe('accepted');
    },
  );

  it('is no refresh token, and a refresh token is no code', async () => {
    const room = await open();
    const code = await room.issue();
    const pair = await room.redeem(await room.issue());
    for (const refreshToken of [code, code.replace('ac1_', 'rt1_')]) {
      const verdict = await room.refreshed({ ...pair, refreshToken }, { clientId: 'native' });
      expect(['ERR_SESSION_MALFORMED', 'ERR_SESSION_UNKNOWN']).toContain(verdict);
    }
    for (const text of [pair.refreshToken, pair.refreshToken.replace('rt1_', 'ac1_')]) {
      expect(['ERR_SESSION_MALFORMED', 'ERR_SESSION_UNKNOWN']).toContain(await room.redeemed(text));
    }
    expect(await room.verdict(pair)).toBe('accepted');
    expect(await room.redeemed(code)).toBe('accepted');
  });

  it.each<readonly [rule: string, spoil: (code: string) => string]>([
    ['empty', () => ''],
    ['its prefix alone', () => 'ac1_'],
    ['one character short', (code) => code.slice(0, -1)],
    ['one character long', (code) => `${code}A`],
    // Two bits of the last character are left over.
    [
      'in another spelling',
      (code) => code.slice(0, -1) + ALPHABET[ALPHABET.indexOf(code.slice(-1)) + 1],
    ],
    ['with a space', (code) => `${code} `],
    ['padded', (code) => `${code}=`],
    ['under another prefix', (code) => code.replace('ac1_', 'AC1_')],
    ['random', () => `ac1_${randomBytes(80).toString('base64url')}`],
    ['100 kB', () => `ac1_${'A'.repeat(100_000)}`],
    [
      'with another lineage',
      (code) => {
        const token = readRefreshToken(code.replace('ac1_', 'rt1_'));
        if (token === undefined) throw new Error('no code');
        const lineage = randomBytes(16);
        return writeRefreshToken({ ...token, lineage }).replace('rt1_', 'ac1_');
      },
    ],
  ])('is refused %s, and stays good', async (_rule, spoil) => {
    const room = await open();
    const code = await room.issue();
    expect(['ERR_SESSION_MALFORMED', 'ERR_SESSION_UNKNOWN']).toContain(
      await room.redeemed(spoil(code)),
    );
    expect(await room.redeemed(code)).toBe('accepted');
  });

  it('used 50 times at once starts at most one session, and that one is over', async () => {
    for (let round = 0; round < 20; round++) {
      const room = await open();
      const code = await room.issue();
      const pairs: TokenPair[] = [];
      const answers = await atOnce(50, () =>
        verdictOf(room.redeem(code).then((pair) => void pairs.push(pair))),
      );
      expect(pairs.length).toBeLessThanOrEqual(1);
      expect(tally(answers)['ERR_SESSION_REUSED']).toBeGreaterThanOrEqual(49);
      for (const pair of pairs) expect(await room.verdict(pair)).toBe('ERR_TOKEN_REVOKED');
      expect(await room.sessions.list('alice')).toEqual([]);
      expect(room.said('session.started').length).toBeLessThanOrEqual(1);
      closeRooms();
    }
  });

  it('used again just before its session is stored leaves none behind', async () => {
    const room = await open();
    const code = await room.issue();
    room.store.once('before', 'create', async () => {
      expect(await room.redeemed(code)).toBe('ERR_SESSION_REUSED');
    });
    expect(await room.redeemed(code)).not.toBe('accepted');
    expect(await room.store.list(ownerOf('alice'))).toEqual([]);
  });

  it('used again by an instance that dies of it leaves no session behind', async () => {
    const room = await open();
    const { store, tokens, sessions } = room;
    const dying = new AuthorizationCodes(CONFIG, {
      store,
      tokens,
      sessions: {
        begin: (...begun) => sessions.begin(...begun),
        end: () => Promise.reject(AWAY),
      },
    });
    const code = await room.issue();
    room.store.once('before', 'create', () =>
      expect(dying.redeem(code, TERMS, {})).rejects.toBe(AWAY),
    );
    expect(await room.redeemed(code)).toBe('ERR_SESSION_REUSED');
    expect(await room.store.list(ownerOf('alice'))).toEqual([]);
  });

  it('used again just after its session was stored leaves none behind', async () => {
    const room = await open();
    const code = await room.issue();
    room.store.once('after', 'create', async () => {
      expect(await room.redeemed(code)).toBe('ERR_SESSION_REUSED');
    });
    expect(await room.redeemed(code)).not.toBe('accepted');
    expect(await room.store.list(ownerOf('alice'))).toEqual([]);
  });

  it.each<readonly [rule: string, revoke: (room: CodeRoom) => Promise<unknown>]>([
    ['its subject', ({ revocations }) => revocations.revokeSubject('alice')],
    ['the password of its subject', ({ revocations }) => revocations.bumpTokenVersion('alice')],
    ['everything', ({ revocations }) => revocations.revokeAll()],
    [
      'all other sessions',
      async (room) => {
        const { sessionId } = await room.start();
        await room.sessions.endAll('alice', { except: sessionId });
      },
    ],
  ])('is refused once %s was revoked', async (_rule, revoke) => {
    const room = await open();
    const code = await room.issue();
    await revoke(room);
    expect(await room.redeemed(code)).toBe('ERR_SESSION_REVOKED');
    // Logged in again, in the same second.
    expect(await room.redeemed(await room.issue())).toBe('accepted');
  });

  it('is refused when its subject is revoked while it is redeemed', async () => {
    const room = await open();
    const code = await room.issue();
    room.store.once('before', 'create', () => room.revocations.revokeSubject('alice'));
    expect(await room.redeemed(code)).toBe('ERR_SESSION_REVOKED');
    expect(await room.store.list(ownerOf('alice'))).toEqual([]);
  });

  it('is refused to a subject that was disabled', async () => {
    let isDisabled = false;
    const find = async () => ({ disabled: isDisabled });
    const room = await open({ subjects: { find } });
    const code = await room.issue();
    isDisabled = true;
    expect(await room.redeemed(code)).toBe('ERR_SESSION_SUBJECT');
  });

  describe('while the store is away', () => {
    const away = (): never => {
      throw AWAY;
    };

    it('is not made', async () => {
      const room = await open();
      room.store.once('before', 'create', away);
      await expect(room.issue()).rejects.toBe(AWAY);
    });

    it.each(['find', 'rotate'] as const)('at %s, is not used up', async (verb) => {
      const room = await open();
      const code = await room.issue();
      room.store.once('before', verb, away);
      expect(await room.redeemed(code)).toBe('ERR_STORE_UNAVAILABLE');
      expect(await room.redeemed(code)).toBe('accepted');
    });

    it('when the session is to be stored, starts none, then or later', async () => {
      const room = await open();
      const code = await room.issue();
      room.store.once('before', 'create', away);
      expect(await room.redeemed(code)).toBe('ERR_STORE_UNAVAILABLE');
      expect(await room.redeemed(code)).toBe('ERR_SESSION_REUSED');
      expect(await room.sessions.list('alice')).toEqual([]);
    });

    it('when it is to be confirmed, leaves no session behind', async () => {
      const room = await open();
      const code = await room.issue();
      room.store.once('after', 'create', () => room.store.once('before', 'find', away));
      expect(await room.redeemed(code)).toBe('ERR_STORE_UNAVAILABLE');
      expect(await room.sessions.list('alice')).toEqual([]);
    });
  });

  it('is refused, and not used up, with claims that no token may carry', async () => {
    const room = await open();
    const code = await room.issue({ claims: { password: 'x' } });
    expect(await room.redeemed(code)).toBe('ERR_CLAIM_SENSITIVE');
    expect(await room.redeemed(code)).toBe('ERR_CLAIM_SENSITIVE');
  });

  it('is not made for more than a session can keep', async () => {
    const room = await open();
    const claims = { note: 'x'.repeat(4_000) };
    expect(await verdictOf(room.issue({ claims }))).toBe('ERR_CLAIM_TOO_LARGE');
  });

  it('that somebody wrote into the store starts nothing', async () => {
    const room = await open();
    const code = await room.issue();
    const find = room.store.find.bind(room.store);
    const forged = createHash('sha256').update('x').digest('base64url');
    jest.spyOn(room.store, 'find').mockImplementation(async (asked) => {
      const found = await find(asked);
      return found === null ? null : { ...found, session: { ...found.session, data: forged } };
    });
    expect(await room.redeemed(code)).toBe('ERR_STORE_CORRUPT');
  });
});
