import { resolveOptions } from '../../lib/client/options.js';

const PAGE = 'https://bank.example';

describe('the options of the browser client', () => {
  it.each([
    ['no transport', {}, /transport must be 'cookie' or 'body'/],
    ['another transport', { transport: 'header' }, /transport must be/],
    ['an option that is not there', { transport: 'body', refreshahead: 5 }, /no refreshahead/],
    ['a path that is not there', { transport: 'body', paths: { signin: '/' } }, /no signin/],
    ['no URL', { transport: 'body', baseUrl: 'api.example' }, /baseUrl must be a URL/],
    ['plain http', { transport: 'body', baseUrl: 'http://api.example' }, /must be an https URL/],
    [
      'a name like localhost',
      { transport: 'body', baseUrl: 'http://localhost.evil.example' },
      /https/,
    ],
    ['a file', { transport: 'body', baseUrl: 'file:///tmp' }, /must be an https URL/],
    [
      'cookies of another origin',
      { transport: 'cookie', baseUrl: 'https://api.example' },
      /own origin/,
    ],
    [
      'a path elsewhere',
      { transport: 'body', paths: { login: 'https://a.example/' } },
      /paths.login/,
    ],
    ['a path beside', { transport: 'body', paths: { refresh: '//a.example/' } }, /paths.refresh/],
    ['no time ahead', { transport: 'body', refreshAhead: 0 }, /refreshAhead must be/],
    ['a time before', { transport: 'body', refreshAhead: -1 }, /refreshAhead must be/],
    ['no number', { transport: 'body', refreshAhead: NaN }, /refreshAhead must be/],
    ['a day ahead', { transport: 'body', refreshAhead: 86_400 }, /refreshAhead must be/],
    [
      'a promise of signals',
      { transport: 'body', signals: Promise.resolve('x') },
      /signals must be/,
    ],
    ['no listener', { transport: 'body', onSessionEnd: 'reload' }, /must be functions/],
  ])('are refused with %s', (_what, options, message) => {
    const resolve = (): unknown => resolveOptions(options as never, PAGE);
    expect(resolve).toThrow(TypeError);
    expect(resolve).toThrow(message);
  });

  it.each([
    'http://localhost:3000',
    'http://app.localhost',
    'http://127.0.0.1:3000',
    'http://[::1]:3000',
    'https://api.example/v1/',
  ])('allow the baseUrl %s', (baseUrl) => {
    expect(resolveOptions({ transport: 'body', baseUrl }, PAGE).base.href).toContain(baseUrl);
  });

  it('have defaults', () => {
    const { login, refresh, logout, refreshAhead } = resolveOptions({ transport: 'cookie' }, PAGE);
    expect([login, refresh, logout].map(({ href }) => href)).toEqual([
      `${PAGE}/auth/login`,
      `${PAGE}/auth/refresh`,
      `${PAGE}/auth/logout`,
    ]);
    expect(refreshAhead).toBeUndefined();
  });
});
