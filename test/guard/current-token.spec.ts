import { currentToken, setCurrentToken } from '../../lib/guard/current-token.js';
import { VerifiedToken } from '../../lib/tokens/verified-token.js';

function verified(subject: string): VerifiedToken {
  const claims = {
    iss: 'https://issuer.example',
    aud: 'https://api.example',
    sub: subject,
    iat: 1_000,
    exp: 1_300,
    jti: 'id-1',
  };
  return VerifiedToken.seal('access', { kid: 'k1', algorithm: 'ES256', era: 0 }, claims);
}

describe('currentToken', () => {
  it('is nothing until the guard has accepted a token', () => {
    expect(currentToken({})).toBeUndefined();
  });

  it('is the token of this request and of no other', () => {
    const [first, second] = [{}, {}];
    const alice = verified('alice');
    setCurrentToken(first, alice);

    expect(currentToken(first)).toBe(alice);
    expect(currentToken(second)).toBeUndefined();
  });

  it('cannot be planted under a name: no body, header or query reaches a symbol', () => {
    const token = verified('admin');
    const planted = { token, currentToken: token, user: token, 'nest-jwt-hardening:token': token };

    expect(currentToken(planted)).toBeUndefined();
    expect(currentToken(JSON.parse(JSON.stringify(planted)) as object)).toBeUndefined();
  });

  it('does not appear when a request is written as JSON, as loggers do', () => {
    const request = { url: '/' };
    setCurrentToken(request, verified('alice'));

    expect(JSON.stringify(request)).toBe('{"url":"/"}');
    expect(Object.keys(request)).toEqual(['url']);
  });
});
