import {
  AccessError,
  ClaimError,
  ConfigError,
  type ConfigProblem,
  type JwtHardeningError,
  KeyError,
  TokenError,
} from '../../lib/kernel/errors.js';

const DETAIL = 'the detail only the log may see';
const CAUSE = new Error('what OpenSSL said');

const ERRORS: readonly (readonly [name: string, code: string, error: JwtHardeningError])[] = [
  [
    'TokenError',
    'ERR_TOKEN_SIGNATURE',
    new TokenError('ERR_TOKEN_SIGNATURE', DETAIL, { cause: CAUSE }),
  ],
  [
    'AccessError',
    'ERR_ACCESS_DENIED',
    new AccessError('ERR_ACCESS_DENIED', DETAIL, { cause: CAUSE }),
  ],
  [
    'ClaimError',
    'ERR_CLAIM_RESERVED',
    new ClaimError('ERR_CLAIM_RESERVED', 'text', { cause: CAUSE }),
  ],
  ['KeyError', 'ERR_KEY_INVALID', new KeyError('ERR_KEY_INVALID', 'text', { cause: CAUSE })],
];

describe.each(ERRORS)('%s', (name, code, error) => {
  it('is an Error with its own name and a stable code', () => {
    expect(error).toBeInstanceOf(Error);
    expect(error.name).toBe(name);
    expect(error.code).toBe(code);
    expect(String(error)).toBe(`${name}: ${error.message}`);
  });

  it('keeps its cause, and has none when none was given', () => {
    expect(error.cause).toBe(CAUSE);
    expect(new KeyError('ERR_KEY_INVALID', 'text')).not.toHaveProperty('cause');
  });
});

describe('what a client may see of an error', () => {
  it.each(['ERR_TOKEN_FORMAT', 'ERR_TOKEN_EXPIRED', 'ERR_TOKEN_BINDING'] as const)(
    'a token refused for %s reads like any other (SEMANTICS 1)',
    (code) => {
      expect(new TokenError(code, DETAIL).message).toBe('The token was refused.');
    },
  );

  it.each(['ERR_ACCESS_NO_CREDENTIALS', 'ERR_ACCESS_UNAVAILABLE'] as const)(
    'a request refused for %s reads like any other',
    (code) => {
      expect(new AccessError(code, DETAIL).message).toBe('The request was refused.');
    },
  );

  it('the detail is beside the message, in neither message, stack nor text', () => {
    for (const error of [
      new TokenError('ERR_TOKEN_JSON', DETAIL),
      new AccessError('ERR_ACCESS_DENIED', DETAIL),
    ]) {
      expect(error.detail).toBe(DETAIL);
      expect(`${String(error)} ${error.stack}`).not.toContain(DETAIL);
    }
  });

  it('an AccessError names a scope only when more scope would have been enough (RFC 6750 §3)', () => {
    const requiredScope = 'accounts:read';
    expect(new AccessError('ERR_ACCESS_DENIED', DETAIL).requiredScope).toBeUndefined();
    expect(new AccessError('ERR_ACCESS_DENIED', DETAIL, { requiredScope }).requiredScope).toBe(
      requiredScope,
    );
  });
});

describe('ConfigError', () => {
  const problem = (path: string): ConfigProblem => ({
    path,
    problem: 'it is empty',
    fix: 'Fill it',
  });

  it('says where, what and what to write instead, one line for each problem', () => {
    const error = new ConfigError('ERR_CONFIG_INVALID', [problem('issuer'), problem('audience')]);
    expect(error.message).toBe(
      [
        'nest-jwt-hardening cannot start, 2 problems to fix:',
        '  - issuer: it is empty. Fill it',
        '  - audience: it is empty. Fill it',
      ].join('\n'),
    );
  });

  it('counts one problem in the singular and keeps the problems for programs', () => {
    const error = new ConfigError('ERR_CONFIG_ROUTES', [problem('issuer')]);
    expect(error.message).toMatch(/^nest-jwt-hardening cannot start, 1 problem to fix:/);
    expect(error.name).toBe('ConfigError');
    expect(error.code).toBe('ERR_CONFIG_ROUTES');
    expect(error.problems).toEqual([problem('issuer')]);
  });
});

describe('JwtHardeningError', () => {
  // Compiles only while `code` tells the families apart: each branch reads what only it has.
  const say = (error: JwtHardeningError): unknown => {
    switch (error.code) {
      case 'ERR_CONFIG_INVALID':
      case 'ERR_CONFIG_ROUTES':
        return error.problems.length;
      case 'ERR_ACCESS_DENIED':
        return error.requiredScope;
      case 'ERR_TOKEN_EXPIRED':
        return error.detail;
      default:
        return error.message;
    }
  };

  it('is discriminated by its code', () => {
    expect(say(new TokenError('ERR_TOKEN_EXPIRED', DETAIL))).toBe(DETAIL);
    expect(say(new ConfigError('ERR_CONFIG_INVALID', []))).toBe(0);
    expect(say(new KeyError('ERR_KEY_STATIC', 'text'))).toBe('text');
  });
});
