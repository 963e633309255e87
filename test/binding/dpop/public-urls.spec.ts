import * as fc from 'fast-check';

import { PublicUrls } from '../../../lib/binding/dpop/public-urls.js';

const urls = new PublicUrls([
  new URL('https://api.example'),
  new URL('http://localhost:3000'),
  new URL('https://www.example/api/'),
  new URL('https://[2001:db8::1]:8443'),
]);

describe('htu names the resource', () => {
  it.each([
    ['as it stands', 'https://api.example/me', '/me'],
    ['whatever the query of the request', 'https://api.example/me', '/me?a=https://evil.example/x'],
    ['with a query of its own (check 9)', 'https://api.example/me?page=2', '/me?page=3'],
    ['with a fragment of its own', 'https://api.example/me#top', '/me'],
    ['with an empty query', 'https://api.example/me?', '/me'],
    ['with its scheme in capitals', 'HTTPS://api.example/me', '/me'],
    ['with its host in capitals', 'https://API.Example/me', '/me'],
    ['with the port of the scheme', 'https://api.example:443/me', '/me'],
    ['with no port after a colon', 'https://api.example:/me', '/me'],
    ['with zeros before the port', 'https://api.example:0443/me', '/me'],
    ['at another port', 'http://localhost:3000/me', '/me'],
    ['without a path', 'https://api.example', '/'],
    ['without a path but with a query', 'https://api.example?a=b', '/?a=b'],
    ['with letters escaped', 'https://api.example/%6d%65', '/me'],
    ['where the request has letters escaped', 'https://api.example/me', '/%6De'],
    ['with escapes in the other case', 'https://api.example/a%2fb%c3%a9', '/a%2Fb%C3%A9'],
    ['with dots, as clients resolve them', 'https://api.example/x/./../me', '/me'],
    ['with escaped dots', 'https://api.example/x/%2e%2E/me', '/me'],
    ['with more dots than segments', 'https://api.example/../../me', '/me'],
    ['with dots at the end', 'https://api.example/me/x/..', '/me/'],
    ['with one dot at the end', 'https://api.example/me/.', '/me/'],
    [
      'with dots that are part of a name',
      'https://api.example/.well-known/..x',
      '/.well-known/..x',
    ],
    ['with two slashes', 'https://api.example//me', '//me'],
    ['that looks like a host', 'https://api.example//evil.example/me', '//evil.example/me'],
    ['with what browsers leave as it is', 'https://api.example/a[1]|"@:;=,', '/a[1]|"@:;=,'],
    ['behind the path that a proxy takes off', 'https://www.example/api/me', '/me'],
    ['at the top of that path', 'https://www.example/api/', '/'],
    ['of IPv6', 'https://[2001:DB8:0:0::1]:8443/me', '/me'],
  ])('%s: %s, %s', (_rule, htu, target) => {
    expect(urls.name(htu, target)).toBe(true);
  });
});

describe('htu names something else', () => {
  it.each([
    ['another host', 'https://evil.example/me', '/me'],
    ['a host below', 'https://x.api.example/me', '/me'],
    ['a host that begins the same', 'https://api.example.evil.example/me', '/me'],
    ['a host with a dot at the end', 'https://api.example./me', '/me'],
    ['another scheme', 'http://api.example/me', '/me'],
    ['a scheme of another kind', 'wss://api.example/me', '/me'],
    ['another port', 'https://api.example:8443/me', '/me'],
    ['the port of the other scheme', 'https://api.example:80/me', '/me'],
    ['a port there is none of', 'https://api.example:65979/me', '/me'],
    ['a user', 'https://api.example@evil.example/me', '/me'],
    ['a user of ours', 'https://user@api.example/me', '/me'],
    ['a user and a password', 'https://api.example:443@evil.example/me', '/me'],
    ['another path', 'https://api.example/you', '/me'],
    ['a path in capitals', 'https://api.example/ME', '/me'],
    ['a slash more', 'https://api.example/me/', '/me'],
    ['a slash less', 'https://api.example/me', '/me/'],
    ['two slashes', 'https://api.example//me', '/me'],
    ['an escaped slash', 'https://api.example/a%2Fb', '/a/b'],
    ['an escaped escape', 'https://api.example/%2561', '/a'],
    ['an escaped question mark', 'https://api.example/me%3Fx', '/me?x'],
    ['an escaped sub-delimiter', 'https://api.example/%21', '/!'],
    ['a path below', 'https://api.example/me/x', '/me'],
    ['a path that the proxy does not take off', 'https://www.example/me', '/me'],
    ['a path of another base', 'https://api.example/api/me', '/me'],
    ['a path without its base', 'https://www.example/apime', '/me'],
    ['IPv6 at another port', 'https://[2001:db8::1]/me', '/me'],
    ['IPv6 of another address', 'https://[2001:db8::2]:8443/me', '/me'],
    ['IPv6 that is none', 'https://[2001:db8::1::]:8443/me', '/me'],
    ['this machine in a spelling of its own', 'http://LOCALHOST.:3000/me', '/me'],
    ['what a router made of the query', 'https://api.example/me', '/me;x=1'],
  ])('%s: %s, %s', (_rule, htu, target) => {
    expect(urls.name(htu, target)).toBe(false);
  });

  it.each([
    '',
    '/me',
    '//api.example/me',
    'api.example/me',
    'https:/api.example/me',
    'https:///me',
    'https:api.example/me',
    'https:\\\\api.example\\me',
    'https://api.example\\me',
    'https://api.example/\\me',
    'https://api.example/m\te',
    'https://api.example/me\n',
    '\nhttps://api.example/me',
    ' https://api.example/me',
    'https://api.example/me ',
    'https://api.example/m e',
    'https://api.example/me%',
    'https://api.example/m%6',
    'https://api.example/m%zz',
    'https://api.example/mé',
    'https://api.ex\u00adample/me',
    'https://ａpi.example/me',
    'https://api%2eexample/me',
    'https://api.example%00.evil.example/me',
    'https://api.example:443a/me',
    'https://api.example:-1/me',
    'https://api.example:4 43/me',
    'https://api.example:99999999999999999999/me',
    'https://api.example, https://api.example/me',
    'javascript:https://api.example/me',
    `https://api.example/${'a'.repeat(8_000)}`,
  ])('or is no http URL: %j', (htu) => {
    expect(urls.name(htu, '/me')).toBe(false);
  });

  it.each([
    undefined,
    '',
    '*',
    'me',
    'https://api.example/me',
    'http://api.example/me',
    '//evil.example\\me',
    '/x/../me',
    '/./me',
    '/x/%2e%2e/me',
    '/x/%2E./me',
    '/me/.',
    '/me/..',
    '/me#x',
    '/me\u0000',
    '/m e',
    '/mé',
    '/me%',
    '/%e',
  ])('or the request has the target %j', (target) => {
    expect(urls.name('https://api.example/me', target)).toBe(false);
    expect(urls.name(`https://api.example${target ?? ''}`, target)).toBe(false);
  });
});

describe('normalisation', () => {
  /** Single characters, escapes and separators, so that what is nearly equal comes up often. */
  const PIECES =
    'a A . .. / / // %2F %2f %61 %41 %2e %2E %25 % %3F ! %21 ~ %7e %7E ; : @ \\ + %20 é %C3%A9';
  const piece = fc.constantFrom(' ', ...PIECES.split(' '));
  const path = fc.array(piece, { maxLength: 8 }).map((pieces) => `/${pieces.join('')}`);

  /**
   * What a path means, by another way: its segments as lists of what each character stands for. An
   * escape of anything but letters, digits and `-._~` stands for itself (RFC 3986 §2.2).
   */
  function meaningOf(text: string): readonly string[] | undefined {
    if (/[^!-~]|\\|%(?![0-9A-Fa-f]{2})/.test(text)) return undefined;
    const segments = text
      .slice(1)
      .split('/')
      .map((segment) =>
        (segment.match(/%..|[^%]/g) ?? [])
          .map((token) => {
            const decoded = token.startsWith('%')
              ? String.fromCharCode(Number.parseInt(token.slice(1), 16))
              : token;
            return /[\w.~-]/.test(decoded) ? decoded : `<${token.toLowerCase()}>`;
          })
          .join(''),
      );
    const stack: string[] = [];
    for (const segment of segments) {
      if (segment === '..') stack.pop();
      else if (segment !== '.') stack.push(segment);
    }
    return ['.', '..'].includes(segments.at(-1) ?? '') ? [...stack, ''] : stack;
  }

  it('takes two paths for one exactly where they name one resource', () => {
    fc.assert(
      fc.property(path, path, (named, asked) => {
        const meaning = meaningOf(asked);
        const isPlain = meaning !== undefined && !/(?:^|\/)(?:\.|%2e){1,2}(?:\/|$)/i.test(asked);
        const isSame = JSON.stringify(meaningOf(named)) === JSON.stringify(meaning);
        expect(urls.name(`https://api.example${named}`, asked)).toBe(isPlain && isSame);
      }),
      { numRuns: 5_000 },
    );
  });

  it('takes every path for itself, and a browser for the same', () => {
    const names = fc.stringMatching(/^[!-~]{0,30}$/);
    fc.assert(
      fc.property(names, (name) => {
        const url = new URL('https://api.example/');
        url.pathname = name;
        const isText = !/%(?![0-9A-Fa-f]{2})/.test(url.pathname);
        expect(urls.name(url.href, url.pathname)).toBe(isText);
      }),
      { numRuns: 2_000 },
    );
  });

  it('never takes a host for ours that a browser would not', () => {
    const host = fc
      .array(
        fc.constantFrom(
          'api',
          'API',
          '.',
          'example',
          'evil',
          ':',
          '443',
          '@',
          '[',
          ']',
          '%2e',
          '\\',
          '/',
          '?',
          '#',
        ),
        { maxLength: 7 },
      )
      .map((pieces) => pieces.join(''));
    fc.assert(
      fc.property(host, (text) => {
        const htu = `https://${text}/me`;
        if (!urls.name(htu, '/me')) return;
        expect(new URL(htu).origin).toBe('https://api.example');
        expect(new URL(htu).username).toBe('');
      }),
      { numRuns: 5_000 },
    );
  });

  it('does not take a base for what is no http URL', () => {
    expect(() => new PublicUrls([new URL('ftp://api.example')])).toThrow(TypeError);
  });
});
