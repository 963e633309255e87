import { generateKeyPairSync } from 'node:crypto';
import { inspect } from 'node:util';

import { JwtService } from '@nestjs/jwt';
import jsonwebtoken from 'jsonwebtoken';

import type { SecurityEvent } from '../../lib/events/security-events.js';
import { TOKEN_TYPES, type TokenKind } from '../../lib/tokens/claims.js';
import { SubjectDirectory } from '../../lib/revocation/subject-directory.js';
import { LEGACY_KID } from '../../lib/tokens/legacy-keys.js';
import { AUDIENCE, ISSUER } from '../support/guarded-app.js';
import type { TestClock } from '../support/test-clock.js';
import { forgeAccess, type Issuer, validClaims } from '../support/token-mother.js';
import { recordSecret } from '../support/witness.js';
import {
  HEADER,
  inDays,
  legacyClock,
  oldClaims,
  oldToken,
  openLegacy,
  SECRET,
  verdict,
} from './legacy-mother.js';

const MINUTE = 60_000;

let clock: TestClock;
let issuer: Issuer;

beforeEach(async () => {
  clock = legacyClock();
  issuer = await openLegacy(clock);
});

describe('a token of the old application', () => {
  it.each([
    ['jsonwebtoken', (claims: object) => jsonwebtoken.sign(claims, SECRET, { expiresIn: '1h' })],
    [
      '@nestjs/jwt',
      (claims: object) => new JwtService({ secret: SECRET }).sign(claims, { expiresIn: '1h' }),
    ],
  ])('made by %s is accepted, as one of this service', async (_library, make) => {
    const token = make({ sub: 'user-1', iat: clock.seconds(), roles: ['admin'], username: 'a' });
    recordSecret(token);
    const verified = await issuer.tokens.verify(token);
    expect(verified).toMatchObject({
      kind: 'access',
      kid: LEGACY_KID,
      algorithm: 'HS256',
      issuer: ISSUER,
      subject: 'user-1',
      sessionId: undefined,
      era: undefined,
      confirmation: undefined,
      fingerprint: undefined,
      roles: ['admin'],
      claims: { iss: ISSUER, aud: [AUDIENCE], username: 'a' },
    });
    expect(verified.expiresAt - verified.issuedAt).toBe(3600);
    expect(verified.tokenId).toMatch(/^[A-Za-z0-9_-]{43}$/);
    expect(Object.isFrozen(verified.claims)).toBe(true);
  });

  it('is the same token on every instance and after a restart', async () => {
    const token = oldToken(oldClaims(clock));
    const other = await openLegacy(clock);
    const [first, second] = [await issuer.tokens.verify(token), await other.tokens.verify(token)];
    expect(second.tokenId).toBe(first.tokenId);
  });

  it('is accepted without typ, and by either of two secrets', async () => {
    const { typ: _, ...bare } = HEADER;
    expect(await verdict(issuer, oldToken(oldClaims(clock), bare))).toBe('accepted');
    const older = Buffer.from(SECRET.repeat(2)).subarray(7, 60);
    const both = await openLegacy(clock, { secrets: [SECRET, older] });
    for (const secret of [SECRET, older]) {
      expect(await verdict(both, oldToken(oldClaims(clock), HEADER, { secret }))).toBe('accepted');
    }
    const old = oldToken(oldClaims(clock), HEADER, { secret: older });
    expect(await verdict(issuer, old)).toBe('ERR_TOKEN_SIGNATURE');
  });

  it('may name the kid that is configured, and then has to', async () => {
    const named = await openLegacy(clock, { kid: 'key-1' });
    const claims = oldClaims(clock);
    expect(await verdict(named, oldToken(claims, { ...HEADER, kid: 'key-1' }))).toBe('accepted');
    for (const kid of [undefined, 'key-2', '', 'KEY-1']) {
      expect(await verdict(named, oldToken(claims, { ...HEADER, kid }))).toBe('ERR_TOKEN_KID');
    }
  });

  it('says what is configured of iss, aud and sub', async () => {
    const options = { issuer: 'old-app', audience: 'old-api', subject: 'number' } as const;
    const strict = await openLegacy(clock, options);
    const claims = { ...oldClaims(clock), iss: 'old-app', aud: 'old-api', sub: 42 };
    expect(await strict.tokens.verify(oldToken(claims))).toMatchObject({
      issuer: ISSUER,
      subject: '42',
    });
    expect(await verdict(strict, oldToken({ ...claims, sub: '42' }))).toBe(
      'ERR_TOKEN_CLAIM_INVALID',
    );
    expect(await verdict(strict, oldToken({ ...claims, iss: ISSUER }))).toBe('ERR_TOKEN_ISSUER');
    expect(await verdict(issuer, oldToken(claims))).toBe('ERR_TOKEN_ISSUER');
  });

  it('is not held to what new tokens have to say', async () => {
    const demanding = await openLegacy(clock, {}, { tokens: { requiredClaims: ['client_id'] } });
    expect(await verdict(demanding, oldToken(oldClaims(clock)))).toBe('accepted');
    const { token } = await demanding.tokens.sign({ sub: 'user-1', client_id: 'web' });
    recordSecret(token);
    expect((await demanding.tokens.verify(token)).algorithm).toBe('ES256');
  });

  it('is refused in every other profile, with the secret configured as a key or not', async () => {
    const token = oldToken(oldClaims(clock));
    const { openIssuer } = await import('../support/token-mother.js');
    const k = Buffer.from(SECRET).toString('base64url');
    const signingKey = { kty: 'oct', alg: 'HS256', kid: 'old', k };
    const others = [
      {},
      { profile: 'monolith' },
      { profile: 'monolith', keys: { signingKey } },
    ] as const;
    for (const options of others) {
      expect(await verdict(await openIssuer(options, clock), token)).toMatch(
        /^ERR_TOKEN_(?:TYPE|KID)$/,
      );
    }
  });
});

describe('time', () => {
  it('ends them all at until, those in the cache as well', async () => {
    const short = await openLegacy(clock, { until: new Date(clock.now() + MINUTE).toISOString() });
    const [seen, unseen] = [
      oldToken(oldClaims(clock)),
      oldToken({ ...oldClaims(clock), sub: 'user-2' }),
    ];
    const verified = await short.tokens.verify(seen);
    clock.advance(MINUTE - 1);
    expect(await verdict(short, seen)).toBe('accepted');
    clock.advance(1);
    for (const token of [seen, unseen]) {
      expect(await verdict(short, token)).toBe('ERR_TOKEN_UNKNOWN_KEY');
    }
    // Also while its bearer was waiting.
    expect(() => short.tokens.assertStands(verified)).toThrow(
      expect.objectContaining({ code: 'ERR_TOKEN_UNKNOWN_KEY' }),
    );
    const { token } = await short.tokens.sign({ sub: 'user-1' });
    recordSecret(token);
    expect(await verdict(short, token)).toBe('accepted');
  });

  it('starts after until, and accepts none', async () => {
    const late = await openLegacy(clock, { until: inDays(clock, -1) });
    expect(await verdict(late, oldToken(oldClaims(clock)))).toBe('ERR_TOKEN_UNKNOWN_KEY');
  });

  it('bounds their lives by their own cap, and new tokens by the other', async () => {
    const iat = clock.seconds();
    const living = (seconds: number): string =>
      oldToken({ sub: 'user-1', iat, exp: iat + seconds });
    expect(await verdict(issuer, living(86_400))).toBe('accepted');
    expect(await verdict(issuer, living(86_401))).toBe('ERR_TOKEN_LIFETIME');
    const short = await openLegacy(clock, { maxLifetime: '10m' });
    expect(await verdict(short, living(600))).toBe('accepted');
    expect(await verdict(short, living(601))).toBe('ERR_TOKEN_LIFETIME');
    const key = await issuer.keyRing.signingKey();
    const own = await forgeAccess(key, { ...validClaims(clock), exp: iat + 7200 });
    expect(await verdict(issuer, own)).toBe('ERR_TOKEN_LIFETIME');
  });

  it.each([
    ['no exp', { exp: undefined }, 'ERR_TOKEN_CLAIM_MISSING'],
    ['no iat', { iat: undefined }, 'ERR_TOKEN_CLAIM_MISSING'],
    ['no sub', { sub: undefined }, 'ERR_TOKEN_CLAIM_MISSING'],
    ['a number for sub', { sub: 7 }, 'ERR_TOKEN_CLAIM_INVALID'],
    ['an empty sub', { sub: '' }, 'ERR_TOKEN_CLAIM_INVALID'],
    ['a number for jti', { jti: 7 }, 'ERR_TOKEN_CLAIM_INVALID'],
    ['exp as text', { exp: '9999999999' }, 'ERR_TOKEN_CLAIM_INVALID'],
    ['exp in milliseconds', { exp: Date.UTC(2099, 0) }, 'ERR_TOKEN_LIFETIME'],
    ['a list for scope', { scope: ['read'] }, 'ERR_TOKEN_CLAIM_INVALID'],
    ['text for roles', { roles: 'admin' }, 'ERR_TOKEN_CLAIM_INVALID'],
    ['an object for permissions', { permissions: {} }, 'ERR_TOKEN_CLAIM_INVALID'],
    ['cnf', { cnf: { jkt: 'x'.repeat(43) } }, 'ERR_TOKEN_CLAIM_INVALID'],
    ['an era', { era: 1e15 }, 'ERR_TOKEN_CLAIM_INVALID'],
    ['a token_version', { token_version: 1e15 }, 'ERR_TOKEN_CLAIM_INVALID'],
    ['a csrf', { csrf: 'x'.repeat(43) }, 'ERR_TOKEN_CLAIM_INVALID'],
    ['a fingerprint', { fingerprint: {} }, 'ERR_TOKEN_CLAIM_INVALID'],
    ['iss', { iss: ISSUER }, 'ERR_TOKEN_ISSUER'],
    ['aud', { aud: AUDIENCE }, 'ERR_TOKEN_AUDIENCE'],
    ['auth_time in the future', { auth_time: 1e11 }, 'ERR_TOKEN_CLAIM_INVALID'],
  ])('and claims: %s is refused', async (_rule, change, code) => {
    expect(await verdict(issuer, oldToken({ ...oldClaims(clock), ...change }))).toBe(code);
  });

  it.each([
    ['an infinite exp', (iat: number) => `{"sub":"a","iat":${iat},"exp":1e400}`],
    ['a huge exp', (iat: number) => `{"sub":"a","iat":${iat},"exp":1e300}`],
    ['both huge', () => '{"sub":"a","iat":1e300,"exp":1e300}'],
    ['a negative iat', (iat: number) => `{"sub":"a","iat":-1e300,"exp":${iat + 60}}`],
    ['exp twice', (iat: number) => `{"sub":"a","iat":${iat},"exp":1,"exp":${iat + 60}}`],
    ['sub twice', (iat: number) => `{"sub":"b","iat":${iat},"exp":${iat + 60},"s\\u0075b":"a"}`],
    ['__proto__', (iat: number) => `{"__proto__":{"sub":"a"},"iat":${iat},"exp":${iat + 60}}`],
    ['a list', () => '[]'],
    ['no JSON', () => 'sub=a'],
    ['nothing', () => ''],
  ])('and JSON: %s is refused', async (_rule, text) => {
    expect(await verdict(issuer, oldToken(text(clock.seconds())))).toMatch(/^ERR_TOKEN_/);
  });

  it('checks them on every use: expired, and issued in the future', async () => {
    const token = oldToken(oldClaims(clock));
    expect(await verdict(issuer, token)).toBe('accepted');
    clock.advance(3_600_000 + 10_000);
    expect(await verdict(issuer, token)).toBe('ERR_TOKEN_EXPIRED');
    const iat = clock.seconds() + 11;
    expect(await verdict(issuer, oldToken({ sub: 'a', iat, exp: iat + 60 }))).toBe(
      'ERR_TOKEN_NOT_YET_VALID',
    );
  });
});

describe('revocation', () => {
  const earlier = (): string => {
    const iat = clock.seconds() - 60;
    return oldToken({ sub: 'user-1', iat, exp: iat + 3600 });
  };

  it('of one of them, by the id it has here', async () => {
    const [token, other] = [earlier(), oldToken(oldClaims(clock))];
    const { tokenId, expiresAt } = await issuer.tokens.verify(token);
    await issuer.revocations.revokeToken(tokenId, expiresAt);
    expect(await verdict(issuer, token)).toBe('ERR_TOKEN_REVOKED');
    expect(await verdict(issuer, other)).toBe('accepted');
  });

  it('of a subject and of everything, by iat', async () => {
    const revocations: readonly ((of: Issuer) => Promise<unknown>)[] = [
      (of) => of.revocations.revokeSubject('user-1'),
      (of) => of.revocations.bumpTokenVersion('user-1'),
      (of) => of.revocations.revokeAll(),
      (of) => of.revocations.revokeAll({ before: new Date(clock.now()) }),
    ];
    for (const revoke of revocations) {
      const fresh = await openLegacy(clock);
      const [known, unknown] = [
        earlier(),
        oldToken({ ...oldClaims(clock), iat: clock.seconds() - 61 }),
      ];
      expect(await verdict(fresh, known)).toBe('accepted');
      await revoke(fresh);
      for (const token of [known, unknown]) {
        expect(await verdict(fresh, token)).toBe('ERR_TOKEN_REVOKED');
      }
      clock.advance(MINUTE);
      expect(await verdict(fresh, oldToken(oldClaims(clock)))).toBe('accepted');
    }
  });

  it('lasts as long as the longest of them, which live longer than new ones', async () => {
    const iat = clock.seconds() - 1;
    const token = oldToken({ sub: 'user-1', iat, exp: iat + 86_400 });
    const single = oldToken({ sub: 'user-2', iat, exp: iat + 86_400 });
    const { tokenId, expiresAt } = await issuer.tokens.verify(single);
    await issuer.revocations.revokeSubject('user-1');
    await issuer.revocations.revokeToken(tokenId, expiresAt);
    clock.set((iat + 86_400 + 9) * 1000);
    for (const revoked of [token, single]) {
      expect(await verdict(issuer, revoked)).toBe('ERR_TOKEN_REVOKED');
    }
  });

  it('of all of them at once, by the kid that they count as signed under', async () => {
    const [known, unknown] = [earlier(), oldToken({ ...oldClaims(clock), sub: 'user-2' })];
    expect(await verdict(issuer, known)).toBe('accepted');
    await issuer.revocations.revokeKey(LEGACY_KID);
    clock.advance(MINUTE);
    const later = oldToken({ ...oldClaims(clock), sub: 'user-3' });
    for (const token of [known, unknown, later]) {
      expect(await verdict(issuer, token)).toBe('ERR_TOKEN_REVOKED');
    }
    const { token } = await issuer.tokens.sign({ sub: 'user-1' });
    recordSecret(token);
    expect(await verdict(issuer, token)).toBe('accepted');
  });

  it('is also what the directory of subjects says', async () => {
    class Directory extends SubjectDirectory {
      find = async ({
        subject,
      }: {
        readonly subject: string;
      }): ReturnType<SubjectDirectory['find']> =>
        subject === 'user-1'
          ? { disabled: false }
          : subject === 'user-2'
            ? { disabled: true }
            : null;
    }
    const asking = await openLegacy(clock, {}, { subjects: new Directory() });
    const of = (sub: string): string => oldToken({ ...oldClaims(clock), sub });
    expect(await verdict(asking, of('user-1'))).toBe('accepted');
    expect(await verdict(asking, of('user-2'))).toBe('ERR_TOKEN_SUBJECT');
    expect(await verdict(asking, of('user-3'))).toBe('ERR_TOKEN_SUBJECT');
  });
});

describe('what is said of them', () => {
  const heardOf = (of: Issuer): SecurityEvent[] => {
    const heard: SecurityEvent[] = [];
    of.events.onAny((event) => heard.push(event));
    return heard;
  };

  it('each that is accepted, once while it is remembered', async () => {
    const heard = heardOf(issuer);
    const token = oldToken(oldClaims(clock));
    const { tokenId } = await issuer.tokens.verify(token);
    await issuer.tokens.verify(token);
    await verdict(issuer, oldToken({ ...oldClaims(clock), exp: 1 }));
    const expiresAt = new Date(clock.now() + 3_600_000);
    expect(heard).toEqual([
      { type: 'legacy.accepted', at: new Date(clock.now()), jti: tokenId, expiresAt },
    ]);
    expect(JSON.stringify(heard)).not.toContain('user-1');
  });

  it('their end, once', async () => {
    const until = new Date(clock.now() + MINUTE);
    const ending = await openLegacy(clock, { until: until.toISOString() });
    const heard = heardOf(ending);
    clock.advance(MINUTE);
    for (const sub of ['a', 'b']) await verdict(ending, oldToken({ ...oldClaims(clock), sub }));
    expect(heard).toEqual([{ type: 'legacy.ended', at: until, until }]);
  });
});

describe('what they are never', () => {
  const others = Object.keys(TOKEN_TYPES).filter((kind) => kind !== 'access') as TokenKind[];

  it.each(others)('a %s', async (kind) => {
    for (const typ of [undefined, 'JWT', TOKEN_TYPES[kind]]) {
      const token = oldToken(oldClaims(clock), { ...HEADER, typ });
      await expect(issuer.tokens.verify(token, { kind })).rejects.toMatchObject({
        code: expect.stringMatching(/^ERR_TOKEN_(?:TYPE|KID)$/),
      });
    }
  });

  it('signed here', async () => {
    for (const options of [{}, { algorithm: 'HS256' }] as const) {
      const signed = issuer.tokens.sign({ sub: 'user-1' }, options);
      const alg = await signed.then(
        ({ token }) => {
          recordSecret(token);
          return JSON.parse(Buffer.from(token.split('.')[0] ?? '', 'base64url').toString()).alg;
        },
        (error: { readonly code: string }) => error.code,
      );
      expect(alg).toBe('algorithm' in options ? 'ERR_KEY_RING_UNAVAILABLE' : 'ES256');
    }
  });

  it('published: the secret is in no JWKS, no list of keys, and nothing that is printed', async () => {
    const { keyRing, tokens } = issuer;
    const verified = await tokens.verify(oldToken(oldClaims(clock)));
    expect(keyRing.keys().map(({ algorithm }) => algorithm)).toEqual(['ES256']);
    const shown = inspect([keyRing.jwks(), keyRing.keys(), tokens, verified], {
      depth: Infinity,
      showHidden: true,
    });
    for (const text of [SECRET, Buffer.from(SECRET).toString('base64url')]) {
      expect(shown).not.toContain(text);
    }
  });

  it('checked with anything but HS256', async () => {
    const claims = oldClaims(clock);
    for (const [alg, hash] of [
      ['HS384', 'sha384'],
      ['HS512', 'sha512'],
      ['HS1', 'sha1'],
      ['hs256', 'sha256'],
      ['HS256 ', 'sha256'],
    ] as const) {
      const token = oldToken(claims, { ...HEADER, alg }, { hash });
      expect(await verdict(issuer, token)).toBe('ERR_TOKEN_ALGORITHM');
    }
    const { privateKey } = generateKeyPairSync('rsa', { modulusLength: 2048 });
    const token = jsonwebtoken.sign({ ...claims }, privateKey, { algorithm: 'RS256' });
    expect(await verdict(issuer, token)).toMatch(/^ERR_TOKEN_(?:TYPE|KID|UNKNOWN_KEY)$/);
  });

  it('longer or shorter than an HMAC is', async () => {
    const [header, payload, signature = ''] = oldToken(oldClaims(clock)).split('.');
    const bytes = Buffer.from(signature, 'base64url');
    const wrong = [
      Buffer.alloc(0),
      bytes.subarray(0, 16),
      bytes.subarray(0, 31),
      Buffer.concat([bytes, Buffer.alloc(1)]),
      Buffer.concat([bytes, bytes]),
      Buffer.alloc(32),
    ];
    for (const forged of wrong) {
      const token = `${header}.${payload}.${forged.toString('base64url')}`;
      expect(await verdict(issuer, token)).toMatch(/^ERR_TOKEN_(?:SIGNATURE|FORMAT)$/);
    }
  });
});
