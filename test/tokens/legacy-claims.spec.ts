import { completeLegacyClaims, type LegacyClaimRules } from '../../lib/tokens/legacy-claims.js';
import { TokenError } from '../../lib/kernel/errors.js';
import type { JsonObject, JsonValue } from '../../lib/kernel/strict-json.js';

const HEIR = { issuer: 'https://issuer.example', audiences: ['api', 'admin-api'] };
const RULES: LegacyClaimRules = { issuer: null, audience: null, subject: 'text' };
const CLAIMS: JsonObject = { sub: 'user-1', iat: 1_000, exp: 2_000 };

function complete(
  change: Readonly<Record<string, JsonValue | undefined>> = {},
  rules: Partial<LegacyClaimRules> = {},
  token = 'the.whole.token',
): JsonObject {
  const claims = { ...CLAIMS, ...change } as JsonObject;
  for (const name of Object.keys(change)) if (change[name] === undefined) delete claims[name];
  return completeLegacyClaims({ token, claims }, { ...RULES, ...rules }, HEIR);
}

function codeOf(attempt: () => unknown): string {
  try {
    attempt();
  } catch (error) {
    if (error instanceof TokenError) return error.code;
    throw error;
  }
  return 'accepted';
}

describe('the claims of a legacy token', () => {
  it('are completed by whose tokens they count as now', () => {
    expect(complete({ username: 'alice', roles: ['user'] })).toEqual({
      ...CLAIMS,
      username: 'alice',
      roles: ['user'],
      iss: 'https://issuer.example',
      aud: ['api', 'admin-api'],
      jti: expect.stringMatching(/^[A-Za-z0-9_-]{43}$/),
    });
  });

  it('have a jti of their own, the same for the same token and for no other', () => {
    const [first, again, other] = [
      complete({}, {}, 'a.b.c'),
      complete({}, {}, 'a.b.c'),
      complete({}, {}, 'a.b.d'),
    ];
    expect(first['jti']).toBe(again['jti']);
    expect(first['jti']).not.toBe(other['jti']);
    expect(complete({ jti: 'mine' })['jti']).toBe('mine');
    // What is wrong with one is for the checks of every token to say.
    expect(complete({ jti: null })['jti']).toBeNull();
  });

  it('change nothing of what they were made of', () => {
    const claims = Object.freeze({ ...CLAIMS });
    completeLegacyClaims({ token: 't', claims }, { ...RULES, subject: 'text' }, HEIR);
    expect(claims).toEqual(CLAIMS);
  });

  it.each([
    [null, undefined, 'accepted'],
    [null, 'old-app', 'ERR_TOKEN_ISSUER'],
    [null, HEIR.issuer, 'ERR_TOKEN_ISSUER'],
    [null, null, 'ERR_TOKEN_ISSUER'],
    ['old-app', 'old-app', 'accepted'],
    ['old-app', undefined, 'ERR_TOKEN_ISSUER'],
    ['old-app', null, 'ERR_TOKEN_ISSUER'],
    ['old-app', 'OLD-APP', 'ERR_TOKEN_ISSUER'],
    ['old-app', 'old-app/', 'ERR_TOKEN_ISSUER'],
    ['old-app', ['old-app'], 'ERR_TOKEN_ISSUER'],
    ['old-app', HEIR.issuer, 'ERR_TOKEN_ISSUER'],
  ])('issuer %j and iss %j: %s', (issuer, iss, code) => {
    expect(codeOf(() => complete({ iss }, { issuer }))).toBe(code);
  });

  it.each([
    [null, undefined, 'accepted'],
    [null, 'old-api', 'ERR_TOKEN_AUDIENCE'],
    [null, 'api', 'ERR_TOKEN_AUDIENCE'],
    [null, [], 'ERR_TOKEN_AUDIENCE'],
    [null, null, 'ERR_TOKEN_CLAIM_INVALID'],
    ['old-api', 'old-api', 'accepted'],
    ['old-api', ['other', 'old-api'], 'accepted'],
    ['old-api', undefined, 'ERR_TOKEN_CLAIM_INVALID'],
    ['old-api', 'other', 'ERR_TOKEN_AUDIENCE'],
    ['old-api', ['other'], 'ERR_TOKEN_AUDIENCE'],
    ['old-api', [], 'ERR_TOKEN_AUDIENCE'],
    ['old-api', ['old-api', 7], 'ERR_TOKEN_CLAIM_INVALID'],
    ['old-api', { 'old-api': 1 }, 'ERR_TOKEN_CLAIM_INVALID'],
  ])('audience %j and aud %j: %s', (audience, aud, code) => {
    expect(codeOf(() => complete({ aud }, { audience }))).toBe(code);
  });

  it.each([
    [7, '7'],
    [0, '0'],
    [-3, '-3'],
    [Number.MAX_SAFE_INTEGER, '9007199254740991'],
  ])('with number subjects, %j reads as %j', (sub, text) => {
    expect(complete({ sub }, { subject: 'number' })['sub']).toBe(text);
  });

  it.each(['7', '', 1.5, -0, 2 ** 53, Infinity, NaN, true, null, [7], { id: 7 }])(
    'with number subjects, %j is none',
    (sub) => {
      const attempt = (): unknown => complete({ sub }, { subject: 'number' });
      expect(codeOf(attempt)).toBe('ERR_TOKEN_CLAIM_INVALID');
    },
  );

  it('with text subjects, a number stays what it is, for the checks of every token to refuse', () => {
    expect(complete({ sub: 7 })['sub']).toBe(7);
    expect('sub' in complete({ sub: undefined })).toBe(false);
    expect('sub' in complete({ sub: undefined }, { subject: 'number' })).toBe(false);
  });

  it.each([
    ['cnf', { jkt: 'x'.repeat(43) }],
    ['cnf', null],
    ['fingerprint', {}],
    ['era', 0],
    ['era', null],
    ['csrf', 'x'.repeat(43)],
    ['token_version', 1],
    ['status', { status_list: { idx: 0, uri: 'https://issuer.example/1' } }],
    ['status', []],
    ['status', null],
  ])('refuses %s %j, which is for this package to say', (name, value: JsonValue) => {
    expect(codeOf(() => complete({ [name]: value }))).toBe('ERR_TOKEN_CLAIM_INVALID');
  });

  it('leaves a status alone that is a word', () => {
    expect(complete({ status: 'active' })['status']).toBe('active');
  });
});
