import { TokenError } from '../../lib/kernel/errors.js';
import type { JsonObject, JsonValue } from '../../lib/kernel/strict-json.js';
import { checkClaims, checkInForce, type ClaimRules } from '../../lib/tokens/claim-checks.js';

const NOW = 1_800_000_000;
const LEEWAY = 10;

const RULES: ClaimRules = {
  issuer: 'https://issuer.example',
  audiences: ['https://api.example', 'admin-api'],
  leeway: LEEWAY,
  maxLifetime: 3_600,
  requiredClaims: [],
};

function claimsWith(more: Record<string, JsonValue | undefined> = {}): JsonObject {
  const claims: Record<string, JsonValue | undefined> = {
    iss: RULES.issuer,
    aud: 'https://api.example',
    sub: 'user-1',
    iat: NOW,
    nbf: NOW,
    exp: NOW + 300,
    jti: 'id-1',
    ...more,
  };
  return Object.fromEntries(
    Object.entries(claims).flatMap(([name, value]) => (value === undefined ? [] : [[name, value]])),
  );
}

/** `accepted`, or the code of the refusal. */
function verdictOn(claims: JsonObject, rules: ClaimRules = RULES, now = NOW): string {
  try {
    checkClaims(claims, rules, now);
    return 'accepted';
  } catch (error) {
    if (error instanceof TokenError) return error.code;
    throw error;
  }
}

function codeOf(check: () => void): string | undefined {
  try {
    check();
    return undefined;
  } catch (error) {
    return (error as TokenError).code;
  }
}

function refusalOf(claims: JsonObject): TokenError {
  try {
    checkClaims(claims, RULES, NOW);
  } catch (error) {
    if (error instanceof TokenError) return error;
    throw error;
  }
  throw new Error('it was not refused');
}

describe('checkClaims (RFC 7519 §4.1, RFC 9068 §4)', () => {
  it('answers the same object under another type', () => {
    const claims = claimsWith();

    expect(checkClaims(claims, RULES, NOW)).toBe(claims);
  });

  it.each(['iss', 'aud', 'exp', 'iat', 'sub', 'jti'])('demands %s', (name) => {
    expect(verdictOn(claimsWith({ [name]: undefined }))).toBe('ERR_TOKEN_CLAIM_MISSING');
  });

  it('does without nbf, which RFC 9068 leaves open', () => {
    expect(verdictOn(claimsWith({ nbf: undefined }))).toBe('accepted');
  });

  it('demands what tokens.requiredClaims names, own members only', () => {
    const rules = { ...RULES, requiredClaims: ['client_id', 'toString'] };

    expect(verdictOn(claimsWith({ client_id: 'web' }), rules)).toBe('ERR_TOKEN_CLAIM_MISSING');
    expect(verdictOn(claimsWith({ client_id: 'web', toString: 'x' }), rules)).toBe('accepted');
  });

  it('does not take an inherited claim for a claim of the token', () => {
    const claims = Object.assign(
      Object.create({ sub: 'admin' }) as JsonObject,
      claimsWith({ sub: undefined }),
    );

    expect(verdictOn(claims)).toBe('ERR_TOKEN_CLAIM_MISSING');
  });
});

describe('issuer (RFC 8725 §3.8; CVE-2025-30144)', () => {
  const others: JsonValue[] = [
    'https://issuer.example/',
    'https://Issuer.example',
    'HTTPS://issuer.example',
    'https://issuer.example ',
    'https://issuer.example.attacker.example',
    'https://issuer.exampl',
    'https://issuer.example\u0000',
    'https://\u0456ssuer.example',
    '',
    ['https://issuer.example'],
    ['https://attacker.example', 'https://issuer.example'],
    { 0: 'https://issuer.example' },
    null,
    true,
    0,
  ];

  it.each(others.map((value) => [value]))('refuses %j', (iss) => {
    expect(verdictOn(claimsWith({ iss }))).toBe('ERR_TOKEN_ISSUER');
  });
});

describe('audience (RFC 7519 §4.1.3, RFC 8725 §3.9)', () => {
  it.each([
    ['https://api.example'],
    ['admin-api'],
    [['https://api.example']],
    [['https://other.example', 'admin-api']],
  ])('accepts %j', (aud) => {
    expect(verdictOn(claimsWith({ aud }))).toBe('accepted');
  });

  const others: ReadonlyArray<readonly [JsonValue, string]> = [
    ['https://other.example', 'ERR_TOKEN_AUDIENCE'],
    ['https://api.example/', 'ERR_TOKEN_AUDIENCE'],
    ['https://API.example', 'ERR_TOKEN_AUDIENCE'],
    ['https://api.example admin-api', 'ERR_TOKEN_AUDIENCE'],
    ['', 'ERR_TOKEN_AUDIENCE'],
    [[], 'ERR_TOKEN_AUDIENCE'],
    [['https://other.example'], 'ERR_TOKEN_AUDIENCE'],
    [['https://api.example', 1], 'ERR_TOKEN_CLAIM_INVALID'],
    [['https://api.example', null], 'ERR_TOKEN_CLAIM_INVALID'],
    [[['https://api.example']], 'ERR_TOKEN_CLAIM_INVALID'],
    [{ 0: 'https://api.example', length: 1 }, 'ERR_TOKEN_CLAIM_INVALID'],
    [null, 'ERR_TOKEN_CLAIM_INVALID'],
    [true, 'ERR_TOKEN_CLAIM_INVALID'],
    [1, 'ERR_TOKEN_CLAIM_INVALID'],
  ];

  it.each(others)('refuses %j with %s', (aud, code) => {
    expect(verdictOn(claimsWith({ aud }))).toBe(code);
  });
});

describe('identity (SEMANTICS 1: identity)', () => {
  const malformed: ReadonlyArray<readonly [string, JsonValue]> = [
    ['nothing', ''],
    ['256 characters', 'x'.repeat(256)],
    ['a control character', 'a\u0000'],
    ['a number', 42],
    ['null', null],
    ['a list', ['user-1']],
    ['an object', { id: 'user-1' }],
    ['true', true],
  ];

  it.each(malformed)('refuses sub and jti that are %s', (_, value) => {
    expect(verdictOn(claimsWith({ sub: value }))).toBe('ERR_TOKEN_CLAIM_INVALID');
    expect(verdictOn(claimsWith({ jti: value }))).toBe('ERR_TOKEN_CLAIM_INVALID');
  });

  it.each(malformed)('refuses sid and client_id that are %s', (_, value) => {
    expect(verdictOn(claimsWith({ sid: value }))).toBe('ERR_TOKEN_CLAIM_INVALID');
    expect(verdictOn(claimsWith({ client_id: value }))).toBe('ERR_TOKEN_CLAIM_INVALID');
  });

  it('accepts 255 characters', () => {
    const longest = 'x'.repeat(255);

    expect(verdictOn(claimsWith({ sub: longest, jti: longest, sid: longest }))).toBe('accepted');
  });
});

/**
 * S067, the boundary grid: what each instant is worth with leeway L, at an instant `now` and for
 * ever. `exp` is the first second in which a token is no longer good (RFC 7519 §4.1.4: "on or after
 * which"), so the last good instant is just before exp + L; `nbf` and `iat` are the first in which
 * it is, so now + L is still good.
 *
 * | claim | now-L-1 | now-L   | now-L+1 | now  | now+L-1 | now+L | now+L+1 |
 * | exp   | refused | refused | good    | good |         |       |         |
 * | nbf   |         |         |         |      | good    | good  | refused |
 * | iat   |         |         |         |      | good    | good  | refused |
 */
describe('times at the boundary (S067)', () => {
  const EXPIRED = 'ERR_TOKEN_EXPIRED';
  const EARLY = 'ERR_TOKEN_NOT_YET_VALID';
  const grid: ReadonlyArray<readonly ['exp' | 'nbf' | 'iat', string, number, string]> = [
    ['exp', 'now-L-1', -LEEWAY - 1, EXPIRED],
    ['exp', 'now-L', -LEEWAY, EXPIRED],
    ['exp', 'now-L+1', -LEEWAY + 1, 'accepted'],
    ['exp', 'now', 0, 'accepted'],
    ['nbf', 'now+L-1', LEEWAY - 1, 'accepted'],
    ['nbf', 'now+L', LEEWAY, 'accepted'],
    ['nbf', 'now+L+1', LEEWAY + 1, EARLY],
    ['iat', 'now+L-1', LEEWAY - 1, 'accepted'],
    ['iat', 'now+L', LEEWAY, 'accepted'],
    ['iat', 'now+L+1', LEEWAY + 1, EARLY],
  ];

  it.each(grid)('%s = %s', (claim, _, offset, verdict) => {
    const past = NOW - 100;
    const base = claim === 'exp' ? { iat: past, nbf: past } : { nbf: past, iat: past };

    expect(verdictOn(claimsWith({ ...base, [claim]: NOW + offset }))).toBe(verdict);
  });

  it('is as strict between whole seconds', () => {
    const good = claimsWith({ iat: NOW - 100, nbf: NOW - 100, exp: NOW });

    expect(verdictOn(good, RULES, NOW + LEEWAY - 0.001)).toBe('accepted');
    expect(verdictOn(good, RULES, NOW + LEEWAY)).toBe(EXPIRED);
    expect(verdictOn(claimsWith({ nbf: NOW + LEEWAY + 0.5 }))).toBe(EARLY);
  });

  it.each([0, 60])('moves with a leeway of %d seconds', (leeway) => {
    const rules = { ...RULES, leeway };
    const past = { iat: NOW - 100, nbf: NOW - 100 };

    expect(verdictOn(claimsWith({ ...past, exp: NOW - leeway }), rules)).toBe(EXPIRED);
    expect(verdictOn(claimsWith({ ...past, exp: NOW - leeway + 1 }), rules)).toBe('accepted');
    expect(verdictOn(claimsWith({ iat: NOW + leeway }), rules)).toBe('accepted');
    expect(verdictOn(claimsWith({ iat: NOW + leeway + 1 }), rules)).toBe(EARLY);
  });

  it.each(grid)('of a token seen before: %s = %s', (claim, _, offset, verdict) => {
    const past = NOW - 100;
    const times = { iat: past, nbf: past, exp: NOW + 300, [claim]: NOW + offset };
    const check = (): void => checkInForce(times, LEEWAY, NOW);
    const code = verdict === 'accepted' ? undefined : verdict;

    expect(codeOf(check)).toBe(code);
  });

  it('takes iat for the nbf of a token seen before that has none', () => {
    const times = { iat: NOW, exp: NOW + 300 };

    expect(codeOf(() => checkInForce(times, LEEWAY, NOW))).toBeUndefined();
    expect(codeOf(() => checkInForce(times, LEEWAY, NOW - LEEWAY - 1))).toBe(EARLY);
  });
});

describe('times that are none (SEMANTICS 1: time)', () => {
  const malformed: ReadonlyArray<readonly [string, JsonValue]> = [
    ['Infinity, as 1e400 reads', JSON.parse('1e400') as number],
    ['-Infinity', -Infinity],
    ['NaN', Number.NaN],
    ['a string of digits', String(NOW)],
    ['a date', '2026-11-22T00:00:00Z'],
    ['null', null],
    ['true', true],
    ['a list', [NOW]],
    ['an object', {}],
  ];

  it.each(malformed)('refuses exp, iat, nbf and auth_time that are %s', (_, value) => {
    for (const name of ['exp', 'iat', 'nbf', 'auth_time']) {
      expect(verdictOn(claimsWith({ [name]: value }))).toBe('ERR_TOKEN_CLAIM_INVALID');
    }
  });

  const MS = 1_000;
  const lifetimes: ReadonlyArray<readonly [string, Record<string, JsonValue>, string]> = [
    ['exp before iat', { iat: NOW, exp: NOW - 1 }, 'ERR_TOKEN_LIFETIME'],
    ['exp at iat', { iat: NOW, exp: NOW }, 'ERR_TOKEN_LIFETIME'],
    ['exp at nbf', { iat: NOW - 50, nbf: NOW + 5, exp: NOW + 5 }, 'ERR_TOKEN_LIFETIME'],
    ['exp before nbf', { iat: NOW - 50, nbf: NOW + 9, exp: NOW + 5 }, 'ERR_TOKEN_LIFETIME'],
    ['the longest lifetime', { exp: NOW + 3_600 }, 'accepted'],
    ['a second more', { exp: NOW + 3_601 }, 'ERR_TOKEN_LIFETIME'],
    ['a fraction of a second more', { exp: NOW + 3_600.5 }, 'ERR_TOKEN_LIFETIME'],
    ['exp in milliseconds', { exp: (NOW + 300) * MS }, 'ERR_TOKEN_LIFETIME'],
    ['iat in milliseconds', { iat: NOW * MS }, 'ERR_TOKEN_NOT_YET_VALID'],
    ['nbf in milliseconds', { nbf: NOW * MS }, 'ERR_TOKEN_NOT_YET_VALID'],
    [
      'all in milliseconds',
      { iat: NOW * MS, nbf: NOW * MS, exp: (NOW + 300) * MS },
      'ERR_TOKEN_NOT_YET_VALID',
    ],
    ['iat at the epoch', { iat: 0 }, 'ERR_TOKEN_LIFETIME'],
    ['a negative iat', { iat: -1 }, 'ERR_TOKEN_LIFETIME'],
    ['the largest number', { exp: Number.MAX_VALUE }, 'ERR_TOKEN_LIFETIME'],
    ['fractions (RFC 7519 §2)', { iat: NOW - 0.5, exp: NOW + 299.5 }, 'accepted'],
  ];

  it.each(lifetimes)('%s', (_, times, verdict) => {
    expect(verdictOn(claimsWith({ nbf: undefined, ...times }))).toBe(verdict);
  });
});

describe('rights and binding (SEMANTICS 1)', () => {
  const right: Record<string, JsonValue>[] = [
    { scope: '' },
    { scope: 'a b' },
    { roles: [] },
    { roles: ['admin', 'Ж'] },
    { permissions: ['a.b'] },
    { auth_time: NOW - 60 },
    { auth_time: NOW + LEEWAY },
    { auth_time: 0 },
    { acr: 'urn:mfa' },
    { amr: ['pwd', 'otp'] },
    { anything: { else: [1, null, true] } },
  ];

  it.each(right.map((claims) => [claims]))('accepts %j', (claims) => {
    expect(verdictOn(claimsWith(claims))).toBe('accepted');
  });

  const wrong: Record<string, JsonValue>[] = [
    { scope: ['a', 'b'] },
    { scope: null },
    { scope: 1 },
    { scope: {} },
    { scope: ' a' },
    { scope: 'a  b' },
    { scope: 'a"b' },
    { scope: 'a\tb' },
    { roles: 'admin' },
    { roles: null },
    { roles: [1] },
    { roles: [['admin']] },
    { roles: [''] },
    { roles: { admin: true } },
    { permissions: 'keys.rotate' },
    { permissions: [null] },
    { auth_time: NOW + LEEWAY + 1 },
    { auth_time: -1 },
    { acr: '' },
    { acr: ['urn:mfa'] },
    { amr: 'pwd' },
    { amr: [1] },
  ];

  it.each(wrong.map((claims) => [claims]))('refuses %j', (claims) => {
    expect(verdictOn(claimsWith(claims))).toBe('ERR_TOKEN_CLAIM_INVALID');
  });

  const bindings: JsonValue[] = [
    { jkt: 'x' },
    { 'x5t#S256': 'x' },
    { jwk: {} },
    {},
    null,
    'x',
    false,
    0,
    [],
  ];

  it.each(bindings.map((cnf) => [cnf]))(
    'refuses cnf %j: a binding nobody checks is no bearer token (RFC 7800 §3.1; SEMANTICS 12)',
    (cnf) => {
      expect(verdictOn(claimsWith({ cnf }))).toBe('ERR_TOKEN_BINDING');
    },
  );
});

describe('what a refusal says', () => {
  it.each([
    ['iss', 'planted'],
    ['aud', 'planted'],
    ['sub', 'planted\u0000'],
    ['exp', 'planted'],
    ['scope', 'planted"'],
    ['roles', 'planted'],
    ['cnf', { jkt: 'planted' }],
  ])('names %s and never its value', (name, value) => {
    const { detail, message } = refusalOf(claimsWith({ [name]: value }));

    expect(detail).toContain(name);
    expect(`${message} ${detail}`).not.toContain('planted');
  });

  it('is about the first claim that fails, in a fixed order', () => {
    const wrong: Record<string, JsonValue> = {
      iss: 'x',
      aud: 'x',
      sub: '',
      exp: 0,
      scope: 1,
      cnf: {},
    };
    const order: string[] = [];
    const repairs: JsonObject = claimsWith({ scope: 'a' });
    for (const name of ['iss', 'aud', 'sub', 'exp', 'scope']) {
      order.push(verdictOn(claimsWith(wrong)));
      wrong[name] = repairs[name] ?? null;
    }
    order.push(verdictOn(claimsWith(wrong)));

    expect(order).toEqual([
      'ERR_TOKEN_ISSUER',
      'ERR_TOKEN_AUDIENCE',
      'ERR_TOKEN_CLAIM_INVALID',
      'ERR_TOKEN_EXPIRED',
      'ERR_TOKEN_CLAIM_INVALID',
      'ERR_TOKEN_BINDING',
    ]);
  });
});
