import { randomBytes } from 'node:crypto';

import type { JwtHardeningOptions } from '../../lib/config/options.js';
import {
  SubjectDirectory,
  type SubjectReference,
  type SubjectStanding,
} from '../../lib/revocation/subject-directory.js';
import { codeOf, verdictOf } from '../revocation/instances.js';
import { AUDIENCE, ISSUER } from '../support/guarded-app.js';
import { TestClock } from '../support/test-clock.js';
import { forgeAccess, type Issuer, newPrivateJwk, openIssuer } from '../support/token-mother.js';
import { recordSecret } from '../support/witness.js';

/** What can befall a token after it was issued, as `TokenService` asks for it. */
let clock: TestClock;
const opened: Issuer[] = [];

beforeEach(() => {
  clock = new TestClock();
});

afterEach(() => {
  for (const { revocations } of opened.splice(0)) revocations.onModuleDestroy();
});

async function open(options: Partial<JwtHardeningOptions> = {}): Promise<Issuer> {
  const issuer = await openIssuer({ profile: 'monolith', ...options }, clock);
  opened.push(issuer);
  return issuer;
}

async function sign({ tokens }: Issuer, claims: { sub?: string; sid?: string } = {}) {
  const { token } = await tokens.sign({ sub: 'alice', ...claims });
  recordSecret(token);
  return token;
}

const verdict = ({ tokens }: Issuer, token: string): Promise<string> =>
  verdictOf(tokens.verify(token));

/** A users table with a cache before it. */
class Users extends SubjectDirectory {
  readonly rows = new Map<string, SubjectStanding>([['alice', { disabled: false, version: 1 }]]);
  readonly cached = new Map<string, SubjectStanding>();
  readonly asked: string[] = [];
  answer: (standing: SubjectStanding | null) => Promise<SubjectStanding | null> = async (found) =>
    found;

  async find({ issuer, subject }: SubjectReference): Promise<SubjectStanding | null> {
    this.asked.push(`find ${issuer} ${subject}`);
    return this.answer(this.cached.get(subject) ?? this.rows.get(subject) ?? null);
  }

  override async refresh({ subject }: SubjectReference): Promise<SubjectStanding | null> {
    this.asked.push(`refresh ${subject}`);
    return this.answer(this.rows.get(subject) ?? null);
  }
}

describe('era', () => {
  it('is 0 while nothing of a subject was revoked, and then that of the revocation', async () => {
    const issuer = await open();
    const era = async (sub: string): Promise<unknown> =>
      (await issuer.tokens.sign({ sub })).claims.era;
    expect(await era('alice')).toBe(0);
    const { since } = await issuer.revocations.revokeSubject('alice');
    expect([await era('alice'), await era('bob')]).toEqual([since.getTime(), 0]);
    const all = await issuer.revocations.revokeAll();
    expect(await era('bob')).toBe(all.since.getTime());
    expect(all.since.getTime()).toBeGreaterThan(since.getTime());
  });

  it('is in confirmations too, and in nothing that only reports', async () => {
    const { tokens } = await open();
    for (const kind of ['access', 'confirmation', 'logout', 'introspection'] as const) {
      const { claims } = await tokens.sign({ sub: 'alice' }, { kind });
      expect('era' in claims).toBe(kind === 'access' || kind === 'confirmation');
    }
  });

  it.each([null, '0', -1, 0.5, true, [], {}, 2 ** 53])(
    'is refused when a token of our own key says %j',
    async (era) => {
      const jwk = await newPrivateJwk();
      const issuer = await open({ profile: 'service', keys: { signingKey: jwk } });
      const key = await issuer.keyRing.signingKey();
      const now = clock.seconds();
      const claims = { iss: ISSUER, aud: AUDIENCE, sub: 'a', jti: 'j', iat: now, exp: now + 60 };
      const right = await forgeAccess(key, { ...claims, era: 0 });
      expect(await verdict(issuer, right)).toBe('accepted');
      const wrong = await forgeAccess(key, { ...claims, era });
      expect(await verdict(issuer, wrong)).toBe('ERR_TOKEN_CLAIM_INVALID');
    },
  );

  it('may be missing, where another signer has our key: then iat and leeway decide', async () => {
    const jwk = await newPrivateJwk();
    const issuer = await open({ profile: 'service', keys: { signingKey: jwk } });
    const key = await issuer.keyRing.signingKey();
    const start = clock.seconds();
    clock.advance(30_000);
    await issuer.revocations.revokeSubject('a');
    const at = async (iat: number): Promise<string> => {
      const claims = { iss: ISSUER, aud: AUDIENCE, sub: 'a', jti: `j${iat}`, iat, exp: iat + 600 };
      return verdict(issuer, await forgeAccess(key, claims));
    };
    clock.advance(60_000);
    expect(await at(start)).toBe('ERR_TOKEN_REVOKED');
    expect(await at(start + 30)).toBe('ERR_TOKEN_REVOKED');
    expect(await at(start + 40)).toBe('ERR_TOKEN_REVOKED');
    expect(await at(start + 41)).toBe('accepted');
  });
});

describe('confirmations and reports', () => {
  it('confirmations end with who they stand for; the news of an end does not', async () => {
    const { tokens, revocations } = await open();
    const confirmation = await tokens.sign({ sub: 'alice', sid: 's' }, { kind: 'confirmation' });
    const logout = await tokens.sign({ sub: 'alice', sid: 's' }, { kind: 'logout' });
    await revocations.revokeSession('s');
    expect(await verdictOf(tokens.verify(confirmation.token, { kind: 'confirmation' }))).toBe(
      'ERR_TOKEN_REVOKED',
    );
    expect(await verdictOf(tokens.verify(logout.token, { kind: 'logout' }))).toBe('accepted');
  });
});

describe('keys', () => {
  it('that were configured are refused by revokeKey, on the path with and without memory', async () => {
    for (const verifiedCache of [null, { maxEntries: 10 }]) {
      const issuer = await open({
        profile: 'service',
        keys: { signingKey: await newPrivateJwk() },
        tokens: { verifiedCache },
      });
      const token = await sign(issuer);
      const { kid } = await issuer.tokens.verify(token);
      await issuer.revocations.revokeKey(kid);
      expect(await verdict(issuer, token)).toBe('ERR_TOKEN_REVOKED');
    }
  });
});

describe('a configured secret from which others are derived', () => {
  it('ends with all of them', async () => {
    const k = randomBytes(32).toString('base64url');
    recordSecret(k);
    const issuer = await open({
      keys: {
        signingKey: { kty: 'oct', alg: 'HS256', kid: 'master', k },
        derivation: { period: '1d' },
      },
    });
    const token = await sign(issuer);
    expect((await issuer.tokens.verify(token)).kid).toBe('master');
    await issuer.revocations.revokeKey('master');
    expect(await verdict(issuer, token)).toBe('ERR_TOKEN_REVOKED');
  });
});

describe('a subject directory', () => {
  it.each<[what: string, row: SubjectStanding | undefined, verdict: string]>([
    ['is fine', { disabled: false, version: 1 }, 'accepted'],
    ['has no version', { disabled: false }, 'accepted'],
    ['was disabled', { disabled: true, version: 1 }, 'ERR_TOKEN_SUBJECT'],
    ['was deleted', undefined, 'ERR_TOKEN_SUBJECT'],
    ['got a new version', { disabled: false, version: 2 }, 'ERR_TOKEN_SUBJECT'],
  ])('whose subject %s', async (_what, row, expected) => {
    const users = new Users();
    const issuer = await open({ subjects: users });
    const token = await sign(issuer);
    await issuer.tokens.verify(token);
    if (row === undefined) users.rows.delete('alice');
    else users.rows.set('alice', row);
    expect(await verdict(issuer, token)).toBe(expected);
  });

  it('is asked with the issuer, and past its cache when a token is signed', async () => {
    const users = new Users();
    users.cached.set('alice', { disabled: false, version: 1 });
    users.rows.set('alice', { disabled: false, version: 2 });
    const issuer = await open({ subjects: users });
    const { token, claims } = await issuer.tokens.sign({ sub: 'alice' });
    expect(claims.token_version).toBe(2);
    expect(await verdict(issuer, token)).toBe('accepted');
    expect(users.asked).toEqual(['refresh alice', `find ${ISSUER} alice`]);
  });

  it.each([undefined, '', 7, { $ne: null }, 'a\0b'])(
    'is not bothered with a subject that is none: %j',
    async (sub) => {
      const users = new Users();
      const issuer = await open({ subjects: users });
      const signing = issuer.tokens.sign({ sub: sub as string });
      expect(await verdictOf(signing)).toBe('ERR_CLAIM_INVALID');
      expect(users.asked).toEqual([]);
    },
  );

  it('that fails lets nobody pass and nothing be signed', async () => {
    const users = new Users();
    const issuer = await open({ subjects: users });
    const token = await sign(issuer);
    users.answer = () => Promise.reject(new Error('connect ECONNREFUSED db?user=alice'));
    expect(await verdict(issuer, token)).toBe('ERR_SUBJECT_UNAVAILABLE');
    const error: unknown = await sign(issuer).catch((caught: unknown) => caught);
    expect(codeOf(error)).toBe('ERR_SUBJECT_UNAVAILABLE');
    expect(String(error)).not.toContain('alice');
  });

  it.each<[what: string, code: string, end: (issuer: Issuer, kid: string) => Promise<unknown>]>([
    ['its subject was revoked', 'ERR_TOKEN_REVOKED', (it) => it.revocations.revokeSubject('alice')],
    ['its session was revoked', 'ERR_TOKEN_REVOKED', (it) => it.revocations.revokeSession('s')],
    ['its key was withdrawn', 'ERR_TOKEN_UNKNOWN_KEY', (it, kid) => it.keyRing.compromise(kid)],
    ['it expired', 'ERR_TOKEN_EXPIRED', async () => clock.advance(1_000_000)],
  ])('that was slow: %s meanwhile', async (_what, code, end) => {
    for (const verifiedCache of [null, { maxEntries: 10 }]) {
      const users = new Users();
      const issuer = await open({ subjects: users, tokens: { verifiedCache } });
      const token = await sign(issuer, { sid: 's' });
      const { kid } = await issuer.tokens.verify(token);
      let answer = (): void => {};
      users.answer = (found) => new Promise((resolve) => (answer = () => resolve(found)));
      const verifying = verdict(issuer, token);
      users.answer = async (found) => found;
      await end(issuer, kid);
      answer();
      expect(await verifying).toBe(code);
    }
  });
});
