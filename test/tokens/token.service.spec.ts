import type { JwtHardeningOptions } from '../../lib/config/options.js';
import { resolveConfig } from '../../lib/config/resolve-config.js';
import type { SecurityEvent } from '../../lib/events/security-events.js';
import { ClaimError, TokenError } from '../../lib/kernel/errors.js';
import { randomId } from '../../lib/kernel/ids.js';
import {
  exportPrivateJwk,
  generateSigningKey,
  type HeldSigningKey,
  type SigningKey,
} from '../../lib/keys/key-material.js';
import type { KeyRingService } from '../../lib/keys/key-ring.service.js';
import { TrustedIssuers } from '../../lib/keys/remote/trusted-issuers.service.js';
import { RESERVED_CLAIMS, TOKEN_TYPES, type TokenKind } from '../../lib/tokens/claims.js';
import { MAX_TOKEN_LENGTH } from '../../lib/tokens/compact.js';
import type { SignedToken, SignOptions } from '../../lib/tokens/token-signer.js';
import { TokenService } from '../../lib/tokens/token.service.js';
import { TokenStanding } from '../../lib/tokens/token-standing.js';
import { VerifiedCache } from '../../lib/tokens/verified-cache.js';
import { AUDIENCE, ISSUER } from '../support/guarded-app.js';
import { TestClock } from '../support/test-clock.js';
import {
  forge,
  forgeAccess,
  type Issuer,
  newPrivateJwk,
  openIssuer,
  validClaims,
} from '../support/token-mother.js';
import { recordSecret } from '../support/witness.js';

const MINUTE = 60_000;

async function sign(
  { tokens }: Issuer,
  claims: object = {},
  options: SignOptions = {},
): Promise<SignedToken> {
  const signed = await tokens.sign({ sub: 'user-1', ...claims }, options);
  recordSecret(signed.token);
  return signed;
}

function payloadOf(token: string): Record<string, unknown> {
  return decode(token, 1);
}

function headerOf(token: string): Record<string, unknown> {
  return decode(token, 0);
}

function decode(token: string, part: number): Record<string, unknown> {
  const text = Buffer.from(token.split('.')[part] ?? '', 'base64url').toString('utf8');
  return JSON.parse(text) as Record<string, unknown>;
}

/** `accepted`, or the code of the refusal. */
async function verdictOn(
  { tokens }: Issuer,
  token: string,
  kind: TokenKind = 'access',
): Promise<string> {
  try {
    await tokens.verify(token, { kind });
    return 'accepted';
  } catch (error) {
    if (error instanceof TokenError) return error.code;
    throw error;
  }
}

/** `signed`, or the code of the refusal. */
async function signingVerdict(
  issuer: Issuer,
  claims: object,
  options: SignOptions = {},
): Promise<unknown> {
  return sign(issuer, claims, options).then(
    () => 'signed',
    (error: unknown) => (error instanceof ClaimError ? error.code : error),
  );
}

describe('sign', () => {
  let issuer: Issuer;

  beforeAll(async () => {
    issuer = await openIssuer({
      tokens: { allowClaims: ['email', 'profile.phone'] },
    });
  });

  it('issues what RFC 9068 §2 asks for, and what it itself accepts', async () => {
    const { token, claims, expiresIn } = await sign(issuer, { scope: ['a', 'b'], tenant: 't1' });
    const now = issuer.clock.seconds();

    expect(headerOf(token)).toEqual({
      alg: 'ES256',
      typ: 'at+jwt',
      kid: (await issuer.keyRing.signingKey()).kid,
    });
    expect(payloadOf(token)).toEqual({
      sub: 'user-1',
      scope: 'a b',
      tenant: 't1',
      era: 0,
      iss: ISSUER,
      aud: AUDIENCE,
      iat: now,
      nbf: now,
      exp: now + 900,
      jti: expect.stringMatching(/^[\w-]{32}$/) as unknown,
    });
    expect(payloadOf(token)).toEqual(claims);
    expect(expiresIn).toBe(900);
    expect((await issuer.tokens.verify(token)).claims).toEqual(claims);
  });

  it('says whole seconds, whatever the clock says', async () => {
    const clock = new TestClock(1_800_000_000_999);
    const between = await openIssuer({}, clock);
    const { claims } = await sign(between);

    expect([claims.iat, claims.nbf]).toEqual([1_800_000_000, 1_800_000_000]);
    expect(claims.exp).toBe(1_800_000_900);
  });

  it('answers claims that are frozen to the last level, and leaves those of the caller alone', async () => {
    const given = { roles: ['user'], tenant: { groups: ['g1'] } };
    const { claims } = await sign(issuer, given);
    const tenant = claims['tenant'] as { readonly groups: object };

    for (const part of [claims, claims.roles, tenant, tenant.groups]) {
      expect(Object.isFrozen(part)).toBe(true);
    }
    for (const part of [given, given.roles, given.tenant, given.tenant.groups]) {
      expect(Object.isFrozen(part)).toBe(false);
    }
    expect(given).toEqual({ roles: ['user'], tenant: { groups: ['g1'] } });
  });

  it.each([...RESERVED_CLAIMS])('refuses the reserved claim %s', async (name) => {
    await expect(sign(issuer, { [name]: 'x' })).rejects.toMatchObject({
      name: 'ClaimError',
      code: 'ERR_CLAIM_RESERVED',
    });
  });

  it.each([
    ['a claim that is not JSON', { note: Number.NaN }, 'ERR_CLAIM_INVALID'],
    ['a subject that is none', { sub: '' }, 'ERR_CLAIM_INVALID'],
    ['a secret', { password: 'x' }, 'ERR_CLAIM_SENSITIVE'],
    ['a claim over 8192 characters', { note: 'x'.repeat(8_192) }, 'ERR_CLAIM_TOO_LARGE'],
  ])('refuses %s and issues nothing', async (_, claims, code) => {
    const issued: SecurityEvent[] = [];
    const stop = issuer.events.on('token.issued', (event) => issued.push(event));

    await expect(sign(issuer, claims)).rejects.toMatchObject({ name: 'ClaimError', code });
    expect(issued).toEqual([]);
    stop();
  });

  it('issues what tokens.allowClaims names, and that only', async () => {
    const { claims } = await sign(issuer, { email: 'a@example.org', profile: { phone: '1' } });

    expect(claims).toMatchObject({ email: 'a@example.org', profile: { phone: '1' } });
    await expect(sign(issuer, { phone: '1' })).rejects.toMatchObject({
      code: 'ERR_CLAIM_SENSITIVE',
    });
  });

  it('accepts every token it issues, up to the longest', async () => {
    const { token: bare } = await sign(issuer, { note: '' });
    let longest = Math.floor(((MAX_TOKEN_LENGTH - bare.length) * 3) / 4);
    for (;;) {
      const { token } = await sign(issuer, { note: 'x'.repeat(longest) });
      expect(await verdictOn(issuer, token)).toBe('accepted');
      if (token.length >= MAX_TOKEN_LENGTH - 1) break;
      longest++;
    }
    await expect(sign(issuer, { note: 'x'.repeat(longest + 3) })).rejects.toMatchObject({
      code: 'ERR_CLAIM_TOO_LARGE',
    });
  });

  it.each([
    ['twelve levels', { note: JSON.parse(`${'['.repeat(12)}${']'.repeat(12)}`) as object }],
    ['empty names', { '': { '': '' } }],
    ['separators of lines', { note: '\u2028\u2029' }],
    ['a pair of surrogates in a name', { '😀': '😀' }],
    ['a negative zero', { note: -0 }],
    ['the largest number', { note: Number.MAX_VALUE }],
    ['names that look like members of a prototype', { constructor: { prototype: 1 } }],
    ['colons, braces and quotes in text', { note: '{"a":"b","a":[}\\"' }],
    ['an empty scope', { scope: '' }],
    ['nothing but a subject', {}],
  ])('accepts its own token with %s', async (_, claims) => {
    const { token } = await sign(issuer, claims);

    expect(await verdictOn(issuer, token)).toBe('accepted');
  });

  it.each([
    ['a lone surrogate in a name', { '\ud800': 1 }],
    ['a hole in the roles', { roles: Object.assign(['a'], { length: 2 }) }],
  ])('does not issue a token with %s, which it would not accept', async (_, claims) => {
    expect(await signingVerdict(issuer, claims)).toBe('ERR_CLAIM_INVALID');
  });

  it('never says in an error what a claim said', async () => {
    const planted = 'planted-value';
    for (const claims of [
      { sub: `${planted}\u0000` },
      { password: planted },
      { exp: planted },
      { scope: `${planted}"` },
      { note: { password: planted } },
    ]) {
      const error = await sign(issuer, claims).catch((reason: unknown) => reason);
      expect(error).toBeInstanceOf(ClaimError);
      expect(`${String(error)} ${JSON.stringify(error)}`).not.toContain(planted);
    }
  });

  it('reports the token by its ids, and nothing the caller said', async () => {
    const events: SecurityEvent[] = [];
    const stop = issuer.events.on('token.issued', (event) => events.push(event));
    const { token, claims } = await sign(issuer, { sub: 'planted-subject', tenant: 'planted' });
    stop();

    expect(events).toEqual([
      {
        type: 'token.issued',
        at: new Date(issuer.clock.now()),
        kind: 'access',
        kid: headerOf(token)['kid'],
        jti: claims.jti,
        expiresAt: new Date(claims.exp * 1_000),
      },
    ]);
    expect(JSON.stringify(events)).not.toContain('planted');
  });
});

describe('jti (RFC 8725 §3.5; SEMANTICS 1: at least 128 random bits)', () => {
  it('is another one each time, over 100 000 ids', () => {
    const ids = new Set(Array.from({ length: 100_000 }, randomId));

    expect(ids.size).toBe(100_000);
  });

  it('has 192 bits, each of them set half of the time', () => {
    const rounds = 20_000;
    const ones = new Uint32Array(192);
    for (let round = 0; round < rounds; round++) {
      for (const [index, byte] of Buffer.from(randomId(), 'base64url').entries()) {
        for (let bit = 0; bit < 8; bit++) ones[index * 8 + bit]! += (byte >> bit) & 1;
      }
    }
    // Seven standard deviations: a fair bit is outside once in 10^11 runs.
    const margin = 7 * Math.sqrt(rounds / 4);

    expect(Math.min(...ones)).toBeGreaterThan(rounds / 2 - margin);
    expect(Math.max(...ones)).toBeLessThan(rounds / 2 + margin);
  });

  it('is that of no other token signed at the same instant', async () => {
    const issuer = await openIssuer({ keys: { algorithm: 'Ed25519' } });
    const signed = await Promise.all(Array.from({ length: 1_000 }, () => sign(issuer)));

    expect(new Set(signed.map(({ claims }) => claims.jti)).size).toBe(1_000);
    for (const { claims } of signed) {
      expect(Buffer.from(claims.jti, 'base64url')).toHaveLength(24);
    }
  });
});

describe('lifetime', () => {
  it.each([
    ['1s', 1],
    ['90s', 90],
    ['1500ms', 1],
    ['15m', 900],
    ['1h', 3_600],
    ['3600s', 3_600],
  ] as const)('takes a ttl of %s as %d seconds', async (ttl, seconds) => {
    const { claims, expiresIn } = await sign(await openIssuer(), {}, { ttl });

    expect([claims.exp - claims.iat, expiresIn]).toEqual([seconds, seconds]);
  });

  const refused: unknown[] = [
    '0s',
    '999ms',
    '3601s',
    '2h',
    '999999999999d',
    '-1s',
    '1.5h',
    '1e3s',
    '1 h',
    ' 1h',
    '1h ',
    '1H',
    '1w',
    '900',
    '',
    's',
    900,
    900_000,
    Number.NaN,
    Infinity,
    null,
    true,
    {},
    ['1h'],
    { toString: () => '1h' },
  ];

  it.each(refused.map((ttl) => [ttl]))(
    'refuses a ttl of %j: under a second, over tokens.maxLifetime, or no duration',
    async (ttl) => {
      await expect(sign(await openIssuer(), {}, { ttl: ttl as never })).rejects.toMatchObject({
        name: 'ClaimError',
        code: 'ERR_CLAIM_LIFETIME',
      });
    },
  );

  it('never issues a token for longer than it accepts one', async () => {
    const issuer = await openIssuer({ tokens: { accessTtl: '2m', maxLifetime: '3m' } });

    expect((await sign(issuer)).expiresIn).toBe(120);
    expect((await sign(issuer, {}, { ttl: '3m' })).expiresIn).toBe(180);
    await expect(sign(issuer, {}, { ttl: '181s' })).rejects.toBeInstanceOf(ClaimError);
  });

  it('is shortened by the jitter, within its bounds and never by more (SEMANTICS 1)', async () => {
    const options: Partial<JwtHardeningOptions> = {
      keys: { algorithm: 'Ed25519' },
      tokens: { accessTtl: '40s', lifetimeJitter: '20s' },
    };
    const issuer = await openIssuer(options);
    const signed = await Promise.all(Array.from({ length: 1_000 }, () => sign(issuer)));
    const lifetimes = signed.map(({ claims }) => claims.exp - claims.iat);

    expect(signed.map(({ expiresIn }) => expiresIn)).toEqual(lifetimes);
    // 21 values, each missed by all 1000 with a probability under 10^-20.
    expect(new Set(lifetimes).size).toBe(21);
    expect([Math.min(...lifetimes), Math.max(...lifetimes)]).toEqual([20, 40]);
  });

  it('loses at most half of a short ttl to the jitter', async () => {
    const options: Partial<JwtHardeningOptions> = {
      keys: { algorithm: 'Ed25519' },
      tokens: { accessTtl: '10m', lifetimeJitter: '5m' },
    };
    const issuer = await openIssuer(options);
    const signed = await Promise.all(
      Array.from({ length: 200 }, () => sign(issuer, {}, { ttl: '5s' })),
    );

    expect(new Set(signed.map(({ expiresIn }) => expiresIn))).toEqual(new Set([3, 4, 5]));
    expect((await sign(issuer, {}, { ttl: '1s' })).expiresIn).toBe(1);
  });
});

describe('audience', () => {
  it('is that of the configuration: text for one, a list for several', async () => {
    const two = await openIssuer({ audience: ['a', 'b'] });

    expect((await sign(await openIssuer({ audience: ['a'] }))).claims.aud).toBe('a');
    expect((await sign(two)).claims.aud).toEqual(['a', 'b']);
  });

  it('is another one on demand, which this service then refuses', async () => {
    const issuer = await openIssuer();
    const { token, claims } = await sign(issuer, {}, { audience: 'https://other.example' });

    expect(claims.aud).toBe('https://other.example');
    expect(await verdictOn(issuer, token)).toBe('ERR_TOKEN_AUDIENCE');
  });

  it('takes a list, and freezes its own copy only', async () => {
    const audience: [string, string] = [AUDIENCE, 'https://other.example'];
    const issuer = await openIssuer();
    const { token, claims } = await sign(issuer, {}, { audience });
    audience.push('https://attacker.example');

    expect(claims.aud).toEqual([AUDIENCE, 'https://other.example']);
    expect(Object.isFrozen(audience)).toBe(false);
    expect(await verdictOn(issuer, token)).toBe('accepted');
  });

  const holed = Object.assign([AUDIENCE], { length: 2 });
  const nobody: unknown[] = [
    '',
    [],
    [''],
    [AUDIENCE, ''],
    [AUDIENCE, 1],
    [undefined],
    'a\u0000',
    holed,
  ];

  it.each(nobody.map((audience) => [audience]))('refuses %j', async (audience) => {
    const options = { audience } as SignOptions;

    await expect(sign(await openIssuer(), {}, options)).rejects.toBeInstanceOf(ClaimError);
  });
});

describe('kind', () => {
  it.each(Object.keys(TOKEN_TYPES) as TokenKind[])(
    'signs and accepts %s under its own typ, asked for by name',
    async (kind) => {
      const issuer = await openIssuer();
      const { token } = await sign(issuer, {}, { kind });

      expect(headerOf(token)['typ']).toBe(TOKEN_TYPES[kind]);
      expect(await verdictOn(issuer, token, kind)).toBe('accepted');
    },
  );

  it.each(['', 'nothing', 'constructor', 'toString', '__proto__', 'Access'])(
    'neither signs nor accepts the unknown kind %j',
    async (name) => {
      const issuer = await openIssuer();
      const kind = name as TokenKind;
      const { token } = await sign(issuer);

      expect(await signingVerdict(issuer, {}, { kind })).not.toBe('signed');
      await expect(issuer.tokens.verify(token, { kind })).rejects.toThrow(Error);
    },
  );
});

describe('verify', () => {
  let issuer: Issuer;
  let key: SigningKey;

  beforeAll(async () => {
    issuer = await openIssuer();
    key = await issuer.keyRing.signingKey();
  });

  it('answers the facts of the token', async () => {
    const { token, claims } = await sign(issuer, {
      sid: 'session-1',
      client_id: 'web',
      scope: 'a b',
      roles: ['r'],
      permissions: ['p'],
    });

    expect(await issuer.tokens.verify(token)).toEqual({
      kind: 'access',
      kid: key.kid,
      algorithm: 'ES256',
      issuer: claims.iss,
      subject: 'user-1',
      tokenId: claims.jti,
      sessionId: 'session-1',
      clientId: 'web',
      issuedAt: claims.iat,
      expiresAt: claims.exp,
      scopes: ['a', 'b'],
      roles: ['r'],
      permissions: ['p'],
      era: 0,
      claims,
    });
  });

  const notText: unknown[] = [
    undefined,
    null,
    0,
    true,
    {},
    [],
    ['a.b.c'],
    Buffer.from('a.b.c'),
    Object('a.b.c'),
    { toString: () => 'a.b.c', length: 5 },
    () => 'a.b.c',
  ];

  it.each(notText.map((value) => [value]))('refuses %j, which is not text', async (value) => {
    await expect(issuer.tokens.verify(value as string)).rejects.toMatchObject({
      name: 'TokenError',
      code: 'ERR_TOKEN_FORMAT',
    });
  });

  it('rejects and never throws, whatever it is given', () => {
    for (const value of ['', 'x', 'a.b.c', null, undefined, 1]) {
      const answer = issuer.tokens.verify(value as string);
      expect(answer).toBeInstanceOf(Promise);
      answer.catch(() => {});
    }
  });

  it('has one message for every refusal, and keeps values out of the detail', async () => {
    const planted = 'planted-value';
    const claims = validClaims(issuer.clock);
    const bad = await Promise.all([
      forgeAccess(key, { ...claims, iss: planted }),
      forgeAccess(key, { ...claims, sub: `${planted}\u0000` }),
      forgeAccess(key, claims, { kid: planted }),
      forgeAccess(key, claims, { typ: planted }),
      forgeAccess(key, claims, { alg: planted }),
      forgeAccess(key, claims, { jku: planted }),
      forgeAccess(key, `{"${planted}":1,"${planted}":2}`),
    ]);
    for (const token of [...bad, planted]) {
      const error: unknown = await issuer.tokens.verify(token).catch((reason: unknown) => reason);
      expect(error).toBeInstanceOf(TokenError);
      const { message, detail, stack } = error as TokenError;
      expect(message).toBe('The token was refused.');
      expect(`${detail} ${stack}`).not.toContain(planted);
    }
  });

  it('refuses the token of another issuer, by its key, before anything it says', async () => {
    const other = await openIssuer();
    const { token } = await sign(other);

    expect(await verdictOn(issuer, token)).toBe('ERR_TOKEN_UNKNOWN_KEY');
  });

  it('refuses a token under a kid of ours that another key signed', async () => {
    const stranger = { ...(await generateSigningKey('ES256')), kid: key.kid };

    expect(await verdictOn(issuer, await forgeAccess(stranger, validClaims(issuer.clock)))).toBe(
      'ERR_TOKEN_SIGNATURE',
    );
  });

  it('refuses a signature of another length without asking OpenSSL', async () => {
    const token = await forgeAccess(key, validClaims(issuer.clock));
    const [header, payload, signature] = token.split('.') as [string, string, string];
    const bytes = Buffer.from(signature, 'base64url');
    for (const other of [bytes.subarray(0, 63), Buffer.concat([bytes, Buffer.alloc(1)])]) {
      const changed = `${header}.${payload}.${other.toString('base64url')}`;
      expect(await verdictOn(issuer, changed)).toBe('ERR_TOKEN_SIGNATURE');
    }
  });

  it('refuses a payload under the signature of another token', async () => {
    const [header, , signature] = (await sign(issuer)).token.split('.');
    const claims = { ...validClaims(issuer.clock), roles: ['admin'] };
    const payload = Buffer.from(JSON.stringify(claims)).toString('base64url');

    expect(await verdictOn(issuer, `${header}.${payload}.${signature}`)).toBe(
      'ERR_TOKEN_SIGNATURE',
    );
  });

  it('holds a token whose signature is right to every rule', async () => {
    const claims = validClaims(issuer.clock);

    expect(await verdictOn(issuer, await forgeAccess(key, claims))).toBe('accepted');
    expect(await verdictOn(issuer, await forgeAccess(key, { ...claims, cnf: {} }))).toBe(
      'ERR_TOKEN_BINDING',
    );
    expect(await verdictOn(issuer, await forgeAccess(key, '[]'))).toBe('ERR_TOKEN_JSON');
    expect(await verdictOn(issuer, await forge(key, { alg: 'ES256' }, claims))).toBe(
      'ERR_TOKEN_TYPE',
    );
    expect(await verdictOn(issuer, await forge(key, { alg: 'ES256', typ: 'at+jwt' }, claims))).toBe(
      'ERR_TOKEN_KID',
    );
  });
});

describe('a token seen before (DESIGN: only immutable facts are cached)', () => {
  it('is answered by the same facts, and at once', async () => {
    const issuer = await openIssuer();
    const { token } = await sign(issuer);
    const first = await issuer.tokens.verify(token);

    expect(issuer.tokens.check(token, 'access')).toBe(first);
  });

  it.each([
    ['1 ms before exp', -1, 'accepted'],
    ['at exp', 0, 'accepted'],
    ['1 ms before exp + leeway', 10_000 - 1, 'accepted'],
    ['at exp + leeway', 10_000, 'ERR_TOKEN_EXPIRED'],
    ['a day later', 86_400_000, 'ERR_TOKEN_EXPIRED'],
  ])('is asked for its expiry again: %s', async (_, afterExpiry, verdict) => {
    const issuer = await openIssuer();
    const { token, claims } = await sign(issuer);
    expect(await verdictOn(issuer, token)).toBe('accepted');

    issuer.clock.set(claims.exp * 1_000 + afterExpiry);
    expect(await verdictOn(issuer, token)).toBe(verdict);
    expect(await verdictOn(issuer, token)).toBe(verdict);
  });

  it('does not pass for another kind', async () => {
    const issuer = await openIssuer();
    const { token } = await sign(issuer);
    expect(await verdictOn(issuer, token)).toBe('accepted');

    for (const kind of Object.keys(TOKEN_TYPES) as TokenKind[]) {
      const verdict = kind === 'access' ? 'accepted' : 'ERR_TOKEN_TYPE';
      expect(await verdictOn(issuer, token, kind)).toBe(verdict);
    }
    expect(await verdictOn(issuer, token)).toBe('accepted');
  });

  it('is refused once its key has left the ring, although it has not expired', async () => {
    const issuer = await openIssuer();
    const { token, claims } = await sign(issuer);
    expect(await verdictOn(issuer, token)).toBe('accepted');

    await issuer.keyRing.compromise((await issuer.keyRing.signingKey()).kid);
    expect(claims.exp).toBeGreaterThan(issuer.clock.seconds());
    expect(await verdictOn(issuer, token)).toBe('ERR_TOKEN_UNKNOWN_KEY');
    expect(await verdictOn(issuer, token)).toBe('ERR_TOKEN_UNKNOWN_KEY');
  });

  it('is refused once its key is due to retire, also before anything has retired it', async () => {
    const issuer = await openIssuer({
      keys: { rotateEvery: '4h', publishAhead: '1h', retainFor: '2h' },
    });
    const { kid } = await issuer.keyRing.signingKey();
    const [token] = await signUntilRotation(issuer, 1);
    expect(await verdictOn(issuer, token)).toBe('accepted');

    issuer.clock.advance(2 * 60 * MINUTE);
    expect(issuer.keyRing.keys().map((description) => description.kid)).toContain(kid);
    expect(await verdictOn(issuer, token)).toBe('ERR_TOKEN_UNKNOWN_KEY');
  });

  it('cannot be made to answer for a token with the same signature part', async () => {
    const issuer = await openIssuer();
    const { token } = await sign(issuer, { roles: ['admin'] });
    expect(await verdictOn(issuer, token)).toBe('accepted');
    const [header, , signature] = token.split('.');
    const payload = Buffer.from(JSON.stringify(validClaims(issuer.clock))).toString('base64url');

    expect(await verdictOn(issuer, `${header}.${payload}.${signature}`)).toBe(
      'ERR_TOKEN_SIGNATURE',
    );
    expect(await verdictOn(issuer, `${header}.${payload}.`)).toBe('ERR_TOKEN_FORMAT');
    expect(await verdictOn(issuer, ` ${token}`)).toBe('ERR_TOKEN_FORMAT');
    expect(await verdictOn(issuer, token)).toBe('accepted');
  });

  it('cannot be changed by the handler that was given it', async () => {
    const issuer = await openIssuer();
    const { token } = await sign(issuer, { roles: ['user'], tenant: { id: 't' } });
    const facts = await issuer.tokens.verify(token);
    const before = structuredClone(facts);
    const attempts: (() => unknown)[] = [
      () => Object.assign(facts, { subject: 'admin' }),
      () => (facts.roles as string[]).push('admin'),
      () => Object.assign(facts.claims, { roles: ['admin'] }),
      () => Object.assign(facts.claims['tenant'] as object, { id: 'x' }),
      () => Object.defineProperty(facts, 'expiresAt', { value: Infinity }),
      () => Object.setPrototypeOf(facts, { roles: ['admin'] }),
    ];

    for (const attempt of attempts) expect(attempt).toThrow(TypeError);
    expect(await issuer.tokens.verify(token)).toEqual(before);
  });
});

describe('what the cache holds', () => {
  let remember: jest.SpyInstance<void, Parameters<VerifiedCache['remember']>>;

  beforeEach(() => {
    remember = jest.spyOn(VerifiedCache.prototype, 'remember');
  });

  afterEach(() => {
    remember.mockRestore();
  });

  function cacheInUse(): VerifiedCache {
    const [cache] = remember.mock.contexts as VerifiedCache[];
    if (cache === undefined) throw new Error('nothing was remembered');
    return cache;
  }

  it('is bounded by tokens.verifiedCache.maxEntries', async () => {
    const issuer = await openIssuer({
      keys: { algorithm: 'Ed25519' },
      tokens: { verifiedCache: { maxEntries: 5 } },
    });
    const signed = await Promise.all(Array.from({ length: 50 }, () => sign(issuer)));
    for (const { token } of signed) expect(await verdictOn(issuer, token)).toBe('accepted');

    expect(cacheInUse().size).toBe(5);
    for (const { token } of signed) expect(await verdictOn(issuer, token)).toBe('accepted');
  });

  it('is only tokens that passed every check', async () => {
    const issuer = await openIssuer();
    const key = await issuer.keyRing.signingKey();
    const claims = validClaims(issuer.clock);
    const refused = await Promise.all([
      forgeAccess(key, { ...claims, exp: issuer.clock.seconds() - 60 }),
      forgeAccess(key, { ...claims, iss: 'https://attacker.example' }),
      forgeAccess(key, { ...claims, aud: 'x' }),
      forgeAccess(key, { ...claims, cnf: {} }),
      forgeAccess(key, claims, { typ: 'JWT' }),
      forgeAccess({ ...(await generateSigningKey('ES256')), kid: key.kid }, claims),
    ]);
    for (let round = 0; round < 2; round++) {
      await Promise.all(
        [...refused, 'junk', ''].map(async (token) => {
          expect(await verdictOn(issuer, token)).not.toBe('accepted');
        }),
      );
    }
    expect(remember).not.toHaveBeenCalled();

    await issuer.tokens.verify(await forgeAccess(key, claims));
    expect(remember).toHaveBeenCalledTimes(1);
  });

  it('is nothing with tokens.verifiedCache: null', async () => {
    const issuer = await openIssuer({ tokens: { verifiedCache: null } });
    const { token } = await sign(issuer);
    await issuer.tokens.verify(token);

    expect(await verdictOn(issuer, token)).toBe('accepted');
    expect(remember).not.toHaveBeenCalled();
  });
});

describe.each([
  ['ES256', 120],
  ['Ed25519', 120],
  ['PS256', 12],
] as const)('many at a time (%s)', (algorithm, count) => {
  let ours: HeldSigningKey;
  let theirs: HeldSigningKey;

  beforeAll(async () => {
    [ours, theirs] = await Promise.all([
      generateSigningKey(algorithm),
      generateSigningKey(algorithm),
    ]);
  });

  it.each([
    ['with the cache', { maxEntries: 100 }],
    ['without the cache', null],
  ])('each gets its own verdict, %s', async (_, verifiedCache) => {
    const signingKey = exportPrivateJwk(ours);
    const issuer = await openIssuer({ keys: { signingKey }, tokens: { verifiedCache } });
    const key = await issuer.keyRing.signingKey();
    const stranger = { ...theirs, kid: key.kid };
    const tokens = await Promise.all(
      Array.from({ length: count }, async (__, index) => {
        const claims = { ...validClaims(issuer.clock), sub: `user-${index}`, jti: `id-${index}` };
        switch (index % 4) {
          case 0:
            return [await forgeAccess(stranger, claims), 'ERR_TOKEN_SIGNATURE'] as const;
          case 1:
            return [await forgeAccess(key, { ...claims, aud: 'x' }), 'ERR_TOKEN_AUDIENCE'] as const;
          default:
            return [await forgeAccess(key, claims), `user-${index}`] as const;
        }
      }),
    );
    for (let round = 0; round < 3; round++) {
      const verdicts = await Promise.all(
        tokens.map(([token]) =>
          issuer.tokens.verify(token).then(
            ({ subject }) => subject,
            (error: unknown) => (error as TokenError).code,
          ),
        ),
      );
      expect(verdicts).toEqual(tokens.map(([, verdict]) => verdict));
    }
  });
});

describe('a signature check in the thread pool', () => {
  it('is taken when one is under way already, and judges alike', async () => {
    const issuer = await openIssuer();
    const [first, second, bad] = await Promise.all([
      sign(issuer, { sub: 'first' }),
      sign(issuer, { sub: 'second' }),
      sign(issuer, { sub: 'bad' }),
    ]);
    const atOnce = issuer.tokens.check(first.token, 'access');
    const later = issuer.tokens.check(second.token, 'access');
    const forged = issuer.tokens.check(swapSignature(bad.token, first.token), 'access');

    expect(atOnce).not.toBeInstanceOf(Promise);
    expect(later).toBeInstanceOf(Promise);
    expect(await Promise.allSettled([later, forged])).toMatchObject([
      { value: { subject: 'second' } },
      { reason: { code: 'ERR_TOKEN_SIGNATURE' } },
    ]);
  });

  it('does not accept a key that was withdrawn meanwhile', async () => {
    const issuer = await openIssuer();
    const signed = await Promise.all([sign(issuer), sign(issuer)]);
    let keys: 'in the ring' | 'withdrawn' = 'in the ring';
    const { tokens: config } = await resolveConfig({ issuer: ISSUER, audience: AUDIENCE }, 'test');
    const keyRing: Pick<KeyRingService, 'verificationKey'> = {
      verificationKey: (kid) =>
        keys === 'withdrawn' ? undefined : issuer.keyRing.verificationKey(kid),
    };
    const { clock, events, revocations } = issuer;
    const tokens = new TokenService(config, {
      keyRing: keyRing as KeyRingService,
      trusted: new TrustedIssuers([], clock, events),
      standing: new TokenStanding({
        revocations,
        subjects: null,
        allocator: null,
        statusLists: null,
      }),
      clock,
      events,
    });
    const [atOnce, later] = signed.map(({ token }) => tokens.check(token, 'access'));
    keys = 'withdrawn';

    expect(atOnce).not.toBeInstanceOf(Promise);
    await expect(later).rejects.toMatchObject({
      code: 'ERR_TOKEN_UNKNOWN_KEY',
      detail: 'the key was withdrawn',
    });
  });

  it('does not accept a key whose time ran out meanwhile', async () => {
    const issuer = await openIssuer({
      keys: { rotateEvery: '4h', publishAhead: '1h', retainFor: '2h' },
    });
    const tokens = await signUntilRotation(issuer, 2);
    const [, pending] = tokens.map((token) => issuer.tokens.check(token, 'access'));
    issuer.clock.advance(2 * 60 * MINUTE);

    await expect(pending).rejects.toMatchObject({
      code: 'ERR_TOKEN_UNKNOWN_KEY',
      detail: 'the key was withdrawn',
    });
  });

  it('does not accept a token that expired meanwhile', async () => {
    const issuer = await openIssuer();
    const tokens = await Promise.all([sign(issuer), sign(issuer)]);
    const [, pending] = tokens.map(({ token }) => issuer.tokens.check(token, 'access'));
    issuer.clock.advance(60 * MINUTE);

    await expect(pending).rejects.toMatchObject({ code: 'ERR_TOKEN_EXPIRED' });
  });
});

describe('two instances with one key (S067: equal on all instances)', () => {
  it('judge every boundary alike, seen before or not', async () => {
    const signingKey = await newPrivateJwk();
    const clock = new TestClock();
    const instances = await Promise.all([
      openIssuer({ keys: { signingKey } }, clock),
      openIssuer({ keys: { signingKey } }, clock),
      openIssuer({ keys: { signingKey }, tokens: { verifiedCache: null } }, clock),
    ]);
    const [first] = instances;
    const { token, claims } = await sign(first);
    expect(await verdictOn(first, token)).toBe('accepted');
    const verdicts: (readonly [number, ...string[]])[] = [];
    for (const seconds of [-11, -10, 899, 900, 909, 910, 911]) {
      clock.set((claims.iat + seconds) * 1_000);
      const judged = await Promise.all(instances.slice(1).map((one) => verdictOn(one, token)));
      verdicts.push([seconds, ...judged]);
    }

    expect(verdicts).toEqual([
      [-11, 'ERR_TOKEN_NOT_YET_VALID', 'ERR_TOKEN_NOT_YET_VALID'],
      [-10, 'accepted', 'accepted'],
      [899, 'accepted', 'accepted'],
      [900, 'accepted', 'accepted'],
      [909, 'accepted', 'accepted'],
      [910, 'ERR_TOKEN_EXPIRED', 'ERR_TOKEN_EXPIRED'],
      [911, 'ERR_TOKEN_EXPIRED', 'ERR_TOKEN_EXPIRED'],
    ]);
  });
});

/** Tokens of a key that a moment later, when this answers, has handed over to its successor. */
async function signUntilRotation(issuer: Issuer, count: number): Promise<[string, ...string[]]> {
  issuer.clock.advance(3 * 60 * MINUTE);
  await issuer.keyRing.signingKey();
  issuer.clock.advance(60 * MINUTE - 1);
  const signed = await Promise.all(
    Array.from({ length: count }, () => sign(issuer, {}, { ttl: '1h' })),
  );
  issuer.clock.advance(1);
  await issuer.keyRing.signingKey();
  return signed.map(({ token }) => token) as [string, ...string[]];
}

function swapSignature(token: string, other: string): string {
  const [header, payload] = token.split('.');
  return `${header}.${payload}.${other.split('.')[2]}`;
}
