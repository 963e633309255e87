import {
  isIdentifier,
  isNameList,
  isScopeToken,
  MANDATORY_CLAIMS,
  RESERVED_CLAIMS,
  scopeTokens,
  TOKEN_TYPES,
} from '../../lib/tokens/claims.js';

describe('token types (RFC 8725 §3.11: explicit typing)', () => {
  it('gives each kind a typ of its own, whatever the case', () => {
    const types = Object.values(TOKEN_TYPES).map((typ) => typ.toLowerCase());

    expect(new Set(types).size).toBe(types.length);
  });

  it('types access tokens as RFC 9068 §2.1 asks', () => {
    expect(TOKEN_TYPES.access).toBe('at+jwt');
  });

  it('reserves every claim that only the service can set', () => {
    const standing = ['era', 'token_version', 'status'];
    const service = ['iss', 'aud', 'exp', 'nbf', 'iat', 'jti', 'cnf'];
    expect(RESERVED_CLAIMS).toEqual([...service, ...standing, 'csrf', 'fingerprint']);
    expect(MANDATORY_CLAIMS).toEqual(['iss', 'aud', 'exp', 'iat', 'sub', 'jti']);
  });
});

describe('scope tokens (RFC 6749 §3.3)', () => {
  it.each(['a', 'accounts:read', 'https://api.example/read', '!', '~', '#', '[', ']', '0'])(
    'takes %j',
    (text) => {
      expect(isScopeToken(text)).toBe(true);
    },
  );

  it.each([
    ['nothing', ''],
    ['a space', 'a b'],
    ['a quote, which would end the scope attribute of a challenge', 'a"b'],
    ['a backslash', 'a\\b'],
    ['a tab', 'a\tb'],
    ['a newline', 'a\nb'],
    ['a carriage return, which would split a header', 'a\r\nSet-Cookie: x'],
    ['DEL', 'a\u007f'],
    ['NUL', 'a\u0000'],
    ['anything outside ASCII', 'lesen:ä'],
    ['a no-break space', 'a\u00a0b'],
    ['a list', ['a']],
    ['undefined', undefined],
    ['a number', 1],
  ])('refuses %s', (_, value) => {
    expect(isScopeToken(value)).toBe(false);
  });

  it.each([
    ['', []],
    ['a', ['a']],
    ['a b', ['a', 'b']],
    ['a a', ['a', 'a']],
  ])('reads %j as %j', (text, tokens) => {
    expect(scopeTokens(text)).toEqual(tokens);
  });

  it.each([' a', 'a ', 'a  b', 'a\tb', 'a\nb', ' ', 'a\u00a0b', 'a "b"'])(
    'does not repair %j',
    (text) => {
      expect(scopeTokens(text)).toBeUndefined();
    },
  );
});

describe('identifiers (SEMANTICS 1: identity)', () => {
  it.each([
    ['one character', 'x'],
    ['255 characters', 'x'.repeat(255)],
    ['spaces inside', 'Jane Doe'],
    ['letters of any script', 'Ж字é'],
    ['a pair of surrogates', '😀'],
    ['a URI', 'urn:uuid:1'],
  ])('takes %s', (_, value) => {
    expect(isIdentifier(value)).toBe(true);
  });

  it.each([
    ['nothing', ''],
    ['256 characters', 'x'.repeat(256)],
    ['NUL, where another reader may stop', 'admin\u0000x'],
    ['a newline, which would forge a log line', 'a\nb'],
    ['an escape sequence', '\u001b[31m'],
    ['DEL', '\u007f'],
    ['a C1 control character', '\u0085'],
    ['a lone high surrogate', '\ud800'],
    ['a lone low surrogate', 'a\udfff'],
    ['a number', 7],
    ['null', null],
    ['undefined', undefined],
    ['a list', ['a']],
    ['an object with toString', { toString: () => 'admin' }],
    ['a String object', Object('a')],
  ])('refuses %s', (_, value) => {
    expect(isIdentifier(value)).toBe(false);
  });

  it.each([
    [[], true],
    [['a', 'b'], true],
    [['a', ''], false],
    [['a', 1], false],
    [[['a']], false],
    ['admin', false],
    [{ 0: 'admin', length: 1 }, false],
    [null, false],
  ])('a list of names: %j is %s', (value, verdict) => {
    expect(isNameList(value)).toBe(verdict);
  });

  it('does not take a list with a hole for a list of names', () => {
    const holed: unknown[] = ['a'];
    holed[2] = 'c';

    expect(isNameList(holed)).toBe(false);
  });
});
