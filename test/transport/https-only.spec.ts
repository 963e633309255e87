import { request as httpsRequest } from 'node:https';
import type { AddressInfo } from 'node:net';

import { InsecureRequest } from '../../lib/guard/request-transport.js';
import type { HttpRequest } from '../../lib/guard/credentials.js';
import { HttpsOnly } from '../../lib/transport/https-only.js';
import { ADAPTERS } from '../support/guarded-app.js';
import { closeConnections } from '../support/http.js';
import { createAuthority } from '../support/tls-authority.js';
import {
  configOf,
  forgetReached,
  reached,
  startTransportApp,
  type TransportApp,
} from './transport-app.js';

afterAll(closeConnections);

describe.each(ADAPTERS)('where https is required, on %s', (adapter) => {
  let app: TransportApp;

  beforeAll(async () => {
    app = await startTransportApp({ adapter, transport: { https: 'required' } });
  });
  afterAll(() => app.close());
  beforeEach(() => {
    forgetReached();
    app.forgetEvents();
  });

  it.each(['GET', 'HEAD'])('%s is shown the way', async (method) => {
    const token = await app.sign();
    app.forgetEvents();
    const answer = await app.send('/things?a=b%20c', { method, token });
    expect(answer.status).toBe(308);
    expect(answer.headers.location).toBe('https://127.0.0.1/things?a=b%20c');
    expect(answer.headers['cache-control']).toBe('no-store');
    expect(reached).toEqual([]);
    expect(app.events).toEqual([
      expect.objectContaining({ type: 'access.denied', code: 'ERR_ACCESS_INSECURE' }),
    ]);
  });

  it.each(['POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS', 'PROPFIND'])(
    '%s is refused',
    async (method) => {
      const answer = await app.send('/things', { method, token: await app.sign() });
      expect([answer.status, JSON.parse(answer.body)]).toEqual([
        403,
        { error: 'insecure_transport' },
      ]);
      expect(answer.headers.location).toBeUndefined();
      expect(answer.headers['www-authenticate']).toBe('Bearer');
      expect(reached).toEqual([]);
    },
  );

  it.each(['/open', '/.well-known/jwks.json', '/session/address'])(
    'so it is at %s, which is public',
    async (path) => {
      const answer = await app.send(path);
      expect([answer.status, answer.headers.location]).toEqual([308, `https://127.0.0.1${path}`]);
      expect(reached).toEqual([]);
    },
  );

  it('a login is refused', async () => {
    const answer = await app.send('/session/login', { method: 'POST' });
    expect(answer.status).toBe(403);
    expect(reached).toEqual([]);
  });

  it.each([
    ['X-Forwarded-Proto', 'https'],
    ['Forwarded', 'proto=https'],
    ['X-Forwarded-Ssl', 'on'],
    ['X-Forwarded-Scheme', 'https'],
    ['X-Url-Scheme', 'https'],
    ['Front-End-Https', 'on'],
  ])('nobody can say in %s that it was https', async (name, value) => {
    const token = await app.sign();
    const answer = await app.send('/things', { token, method: 'POST', headers: { [name]: value } });
    expect(answer.status).toBe(403);
  });

  it.each([
    ['//evil.example/x', 'https://127.0.0.1//evil.example/x'],
    ['/\\evil.example', 'https://127.0.0.1//evil.example'],
    ['/%0d%0aX:y', 'https://127.0.0.1/%0d%0aX:y'],
    ['/@evil.example', 'https://127.0.0.1/@evil.example'],
  ])('the path %j leads nowhere else', async (path, location) => {
    const answer = await app.send(path);
    // Where no route fits there is no guard, and nothing to guard.
    expect([
      [404, undefined],
      [308, location],
    ]).toContainEqual([answer.status, answer.headers.location]);
  });

  it.each([
    'GET http://evil.example/things HTTP/1.1\r\nHost: a.example',
    'GET https://evil.example/things HTTP/1.1\r\nHost: a.example',
    'GET /things HTTP/1.1\r\nHost: evil.example@a.example',
    'GET /things HTTP/1.1\r\nHost: a.example/evil.example',
    'GET /things HTTP/1.1\r\nHost: a.example, evil.example',
    'GET /things HTTP/1.1\r\nHost: ',
    'GET /things HTTP/1.0\r\nAccept: */*',
  ])('nothing is said of where to: %j', async (head) => {
    const answer = await app.sendRaw(`${head}\r\nConnection: close\r\n\r\n`);
    expect(answer).not.toMatch(/^location:/im);
    expect(answer).toMatch(/^HTTP\/1\.1 4/);
    expect(reached).toEqual([]);
  });
});

describe.each(ADAPTERS)('where https is required behind a proxy, on %s', (adapter) => {
  let app: TransportApp;

  beforeAll(async () => {
    app = await startTransportApp({
      adapter,
      transport: { https: 'required', trustedProxies: ['loopback'] },
    });
  });
  afterAll(() => app.close());

  async function statusOf(proto: string): Promise<number> {
    const headers = { 'x-forwarded-proto': proto };
    return (await app.send('/things', { token: await app.sign(), method: 'POST', headers })).status;
  }

  it.each(['https', 'HTTPS', 'Https', 'http, https', 'http,https', 'junk, https', ' https '])(
    '%j came over https',
    async (proto) => {
      expect(await statusOf(proto)).toBe(200);
    },
  );

  it.each([
    'http',
    'https, http',
    'https,',
    ',',
    'https; http',
    'https https',
    'httpsx',
    'xhttps',
    'https:',
    'https://',
    '"https"',
    'on',
    'wss',
    'https\u00a0',
    '',
  ])('%j did not', async (proto) => {
    expect(await statusOf(proto)).toBe(403);
  });

  it('what the proxy says nothing of did not', async () => {
    const answer = await app.send('/things', { token: await app.sign(), method: 'POST' });
    expect(answer.status).toBe(403);
  });

  it('the address is that of the client, and only its proxy is asked for it', async () => {
    const address = async (headers: Record<string, string>): Promise<unknown> => {
      const proxied = { 'x-forwarded-proto': 'https', ...headers };
      const { body } = await app.send('/session/address', { headers: proxied });
      return (JSON.parse(body) as { readonly address: unknown }).address;
    };
    expect(await address({ 'x-forwarded-for': '1.1.1.1, ::FFFF:198.51.100.1' })).toBe(
      '198.51.100.1',
    );
    expect(await address({ forwarded: 'for=198.51.100.1' })).toBe('127.0.0.1');
  });
});

describe.each(ADAPTERS)('over TLS, on %s', (adapter) => {
  it('nothing is in the way, whatever the client says of itself', async () => {
    const { cert, key } = createAuthority().issue();
    const app = await startTransportApp({
      adapter,
      transport: { https: 'required' },
      nest: { httpsOptions: { cert, key } },
      fastify: { https: { cert, key } } as never,
    });
    const { port } = app.app.getHttpServer().address() as AddressInfo;
    const token = await app.sign();
    const statusOf = (headers: Record<string, string>): Promise<number | undefined> =>
      new Promise((resolve, reject) => {
        const options = {
          port,
          path: '/things',
          method: 'POST',
          headers: { authorization: `Bearer ${token}`, ...headers },
          // Whose certificate it is, is not what is tested.
          rejectUnauthorized: false,
        };
        const outgoing = httpsRequest(options, (answer) => {
          answer.resume();
          resolve(answer.statusCode);
        });
        outgoing.on('error', reject);
        outgoing.end();
      });
    expect(await statusOf({})).toBe(200);
    expect(await statusOf({ 'x-forwarded-proto': 'http' })).toBe(200);
    await app.close();
  });
});

describe('HttpsOnly', () => {
  function locationOf(
    request: HttpRequest,
    origins: readonly [string, ...string[]] = ['https://app.example:8443'],
  ): string | undefined {
    const https = new HttpsOnly({ ...configOf({ origins }), issuer: 'https://login.example:444' });
    try {
      https.assertSecure({ method: 'GET', url: '/x', socket: {}, ...request });
    } catch (error) {
      if (error instanceof InsecureRequest) return error.location;
      throw error;
    }
    throw new Error('it passed');
  }

  it.each([
    ['a.example', 'https://a.example/x'],
    ['A.Example', 'https://a.example/x'],
    ['a.example:8080', 'https://a.example/x'],
    ['192.0.2.1:3000', 'https://192.0.2.1/x'],
    ['[2001:db8::1]:3000', 'https://[2001:db8::1]/x'],
    ['login.example', 'https://login.example:444/x'],
    ['login.example:80', 'https://login.example:444/x'],
    ['app.example', 'https://app.example:8443/x'],
    ['a.example:99999', undefined],
    ['a.example:', undefined],
    ['a.example.', undefined],
    ['.a.example', undefined],
    ['a.example:80:80', undefined],
    ['user@a.example', undefined],
    ['a.example\r\nX: y', undefined],
    ['a.example\\evil.example', undefined],
    ['a.example#', undefined],
    ['a.example?', undefined],
    ['a.example%2eevil', undefined],
    ['a example', undefined],
    ['[::1', undefined],
    ['[fe80::1%25eth0]', undefined],
    ['[:::::]', undefined],
    ['ex\u00e4mple', undefined],
    ['a'.repeat(300), undefined],
    ['', undefined],
    [undefined, undefined],
    [['a.example'], undefined],
  ])('of host %j the way is %j', (host, location) => {
    expect(locationOf({ headers: { host } })).toBe(location);
  });

  it.each([
    ['/', 'https://a.example/'],
    ['/a?b=c&d', 'https://a.example/a?b=c&d'],
    ['//evil.example', 'https://a.example//evil.example'],
    ['/\\evil.example', 'https://a.example//evil.example'],
    ['/\\/evil.example', 'https://a.example///evil.example'],
    ['/..//evil.example', 'https://a.example//evil.example'],
    ['/a\r\nX: y', 'https://a.example/aX:%20y'],
    ['/\u00e4', 'https://a.example/%C3%A4'],
    ['', undefined],
    ['*', undefined],
    ['x', undefined],
    ['@evil.example', undefined],
    ['.evil.example', undefined],
    [':444/', undefined],
    ['\\\\evil.example', undefined],
    ['http://evil.example/', undefined],
    ['evil.example:443', undefined],
  ])('of target %j the way is %j', (url, location) => {
    expect(locationOf({ headers: { host: 'a.example' }, url })).toBe(location);
  });

  it('is for what was asked, whatever it was rewritten to', () => {
    const request = { headers: { host: 'a.example' }, url: '/rewritten', originalUrl: '/asked' };
    expect(locationOf(request)).toBe('https://a.example/asked');
  });

  it('reads the host of HTTP/2', () => {
    expect(locationOf({ headers: { ':authority': 'a.example' } })).toBe('https://a.example/x');
  });

  it.each(['get', 'head', 'POST', 'OPTIONS', '', 'GET '])('is not shown to %j', (method) => {
    expect(locationOf({ headers: { host: 'a.example' }, method })).toBeUndefined();
  });

  it('passes nothing without a socket', () => {
    expect(locationOf({ headers: { host: 'a.example', 'x-forwarded-proto': 'https' } })).toBe(
      'https://a.example/x',
    );
  });

  it.each([
    ['https', true],
    ['http', false],
    [undefined, true],
    [['https'], false],
    ['', false],
  ])('believes a proxy that came over TLS when it says %j: %s', (proto, passes) => {
    const https = new HttpsOnly(configOf({ trustedProxies: ['10.0.0.1'] }));
    const socket = { remoteAddress: '10.0.0.1', encrypted: true };
    const headers = { 'x-forwarded-proto': proto };
    let passed = true;
    try {
      https.assertSecure({ method: 'POST', headers, socket });
    } catch (error) {
      passed = !(error instanceof InsecureRequest);
    }
    expect(passed).toBe(passes);
  });
});
