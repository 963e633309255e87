import {
  formTargetOf,
  isRegistered,
  redirectUriProblem,
  withParameters,
} from '../../lib/endpoints/redirect-uri.js';

describe('a redirect URI', () => {
  it.each([
    'https://app.example/callback',
    'https://app.example',
    'https://app.example:8443/cb?tenant=a&x=1',
    'https://app.example?x=1',
    'com.example.app:/callback',
    'com.example.app:callback',
    'com.example.app://callback',
    'com.example-app.x1:/a/b',
    'http://127.0.0.1/callback',
    'http://127.0.0.1:4567/callback',
    'http://[::1]/callback',
    'http://[::1]:1/callback?x=1',
    'http://localhost:3000/callback',
  ])('can be %s', (uri) => {
    expect(redirectUriProblem(uri)).toBeUndefined();
  });

  it.each([
    ['', /no URI/],
    ['/callback', /no URI/],
    ['app.example/callback', /no URI/],
    ['https://', /no URI|no host/],
    ['https:app.example/callback', /no host/],
    ['https:///app.example/callback', /no host/],
    ['https://user@app.example/callback', /no host/],
    ['https://user:pass@app.example/callback', /no host/],
    ['https://app.example/callback#', /fragment/],
    ['https://app.example/callback#x', /fragment/],
    ['https://*.app.example/callback', /pattern/],
    ['https://app.example/*', /pattern/],
    ['https://app.example\\@evil.example/', /no URI/],
    ['https://app.example/call back', /no URI/],
    ['https://app.example/callback\n', /no URI/],
    ['https://äpp.example/callback', /no URI/],
    ['HTTPS://app.example/callback', /no dot|no URI/],
    ['https://app.example/callback?code=x', /parameter/],
    ['https://app.example/callback?a=b&st%61te=x', /parameter/],
    ['https://app.example/callback?iss=x', /parameter/],
    ['https://app.example/callback?error=x', /parameter/],
    ['http://app.example/callback', /http/],
    ['http://127.0.0.1.evil.example/callback', /http/],
    ['http://127.0.0.2/callback', /http/],
    ['http://127.1/callback', /http/],
    ['http://2130706433/callback', /http/],
    ['http://0.0.0.0/callback', /http/],
    ['http://localhost.evil.example/callback', /http/],
    ['http://[::2]/callback', /http/],
    ['http://127.0.0.1:99999/callback', /no URI/],
    ['javascript:alert(1)', /dot/],
    ['data:text/html,x', /dot/],
    ['myapp:/callback', /dot/],
    ['myapp://com.example/callback', /dot/],
    ['com.example.app:', /dot/],
    ['com..example:/callback', /dot/],
    ['.com.example:/callback', /no URI/],
    [`https://app.example/${'a'.repeat(2_000)}`, /long/],
  ])('cannot be %j', (uri, problem) => {
    expect(redirectUriProblem(uri)).toMatch(problem);
  });
});

describe('a request to be answered at', () => {
  const REGISTERED = [
    'https://app.example/callback',
    'com.example.app:/callback',
    'http://127.0.0.1/callback',
    'http://[::1]:8080/callback?x=1',
    'http://localhost:3000/callback',
  ];

  it.each([
    ...REGISTERED,
    'http://127.0.0.1:1/callback',
    'http://127.0.0.1:65535/callback',
    'http://[::1]/callback?x=1',
    'http://[::1]:9/callback?x=1',
  ])('%s, is in order', (uri) => {
    expect(isRegistered(REGISTERED, uri)).toBe(true);
  });

  it.each([
    '',
    'https://app.example/callback/',
    'https://app.example/Callback',
    'https://app.example/callback?x=1',
    'https://app.example/callback#',
    'https://app.example/callback/../other',
    'https://app.example/%63allback',
    'https://app.example:443/callback',
    'https://APP.example/callback',
    'https://app.example./callback',
    'https://app.example@evil.example/callback',
    'https://app.example.evil.example/callback',
    'https://app.example/callback ',
    ' https://app.example/callback',
    'http://app.example/callback',
    '//app.example/callback',
    'com.example.app:/callback2',
    'com.example.app://callback',
    'COM.example.app:/callback',
    'http://127.0.0.1:/callback',
    'http://127.0.0.1:0/callback',
    'http://127.0.0.1:080/callback',
    'http://127.0.0.1:65536/callback',
    'http://127.0.0.1:99999/callback',
    'http://127.0.0.1:1/callback2',
    'http://127.0.0.1:1/callback?x=1',
    'http://127.0.0.1:1@evil.example/callback',
    'http://127.0.0.1:1.evil.example/callback',
    'http://127.0.0.1.evil.example/callback',
    'http://127.0.0.1\\@evil.example/callback',
    'http://user@127.0.0.1/callback',
    'https://127.0.0.1:1/callback',
    'http://127.0.0.2:1/callback',
    'http://127.1:1/callback',
    'http://[::1]:9/callback',
    'http://[0:0:0:0:0:0:0:1]/callback?x=1',
    'http://[::ffff:127.0.0.1]/callback',
    'http://localhost/callback',
    'http://localhost:3001/callback',
    'http://localhost:1/callback',
  ])('%j, is not', (uri) => {
    expect(isRegistered(REGISTERED, uri)).toBe(false);
  });
});

describe('an answer', () => {
  it('is added to whatever query there is', () => {
    const answer = { code: 'c', state: undefined, iss: 'https://a.example' };
    expect(withParameters('https://app.example/cb', answer)).toBe(
      'https://app.example/cb?code=c&iss=https%3A%2F%2Fa.example',
    );
    expect(withParameters('https://app.example/cb?x=1', answer)).toBe(
      'https://app.example/cb?x=1&code=c&iss=https%3A%2F%2Fa.example',
    );
    expect(withParameters('com.example.app:/cb', { state: 'a b&c=d#é\r\n' })).toBe(
      'com.example.app:/cb?state=a+b%26c%3Dd%23%C3%A9%0D%0A',
    );
  });

  it.each([
    ['https://app.example:8443/cb?x=1', 'https://app.example:8443'],
    ['http://127.0.0.1:4567/cb', 'http://127.0.0.1:4567'],
    ['com.example.app:/cb', 'com.example.app:'],
  ])('to %s may come after a form, as %s', (uri, target) => {
    expect(formTargetOf(uri)).toBe(target);
  });
});
