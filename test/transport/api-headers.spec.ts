import type { IncomingHttpHeaders } from 'node:http';

import type { INestApplication } from '@nestjs/common';
import type { HelmetOptions } from 'helmet';

import { apiHeaders } from '../../lib/transport/api-headers.js';
import { type AdapterName, ADAPTERS } from '../support/guarded-app.js';
import { closeConnections } from '../support/http.js';
import { startTransportApp, type TransportApp } from './transport-app.js';

afterAll(closeConnections);

const STRICT = {
  'content-security-policy':
    "default-src 'none';base-uri 'none';form-action 'none';frame-ancestors 'none'",
  'cross-origin-opener-policy': 'same-origin',
  'cross-origin-resource-policy': 'same-origin',
  'origin-agent-cluster': '?1',
  'referrer-policy': 'no-referrer',
  'strict-transport-security': 'max-age=63072000; includeSubDomains',
  'x-content-type-options': 'nosniff',
  'x-dns-prefetch-control': 'off',
  'x-frame-options': 'DENY',
  'x-permitted-cross-domain-policies': 'none',
  'x-xss-protection': '0',
};

function start(adapter: AdapterName, options?: HelmetOptions): Promise<TransportApp> {
  return startTransportApp({
    adapter,
    transport: { cookies: {} },
    configure: (app: INestApplication) => app.use(apiHeaders(options)),
  });
}

describe.each(ADAPTERS)('apiHeaders on %s', (adapter) => {
  describe('by default', () => {
    let app: TransportApp;
    beforeAll(async () => {
      app = await start(adapter);
    });
    afterAll(() => app.close());

    it.each([
      ['an answer', 'GET', '/open', 200],
      ['a refusal', 'GET', '/things', 401],
      ['what is not there', 'GET', '/nowhere', 404],
      ['the JWKS', 'GET', '/.well-known/jwks.json', 200],
      ['a failure', 'POST', '/session/failing', 500],
      ['a login from another site', 'POST', '/session/login', 403],
    ])('are strict with %s', async (_, method, path, status) => {
      const answer = await app.send(path, { method });
      expect(answer.status).toBe(status);
      expect(answer.headers).toMatchObject(STRICT);
      expect(answer.headers['x-powered-by']).toBeUndefined();
    });

    it('leave the headers of others as they are', async () => {
      const jwks = await app.send('/.well-known/jwks.json');
      expect(jwks.headers['cache-control']).toMatch(/^public, max-age=\d+$/);
      expect(jwks.headers['content-type']).toContain('application/jwk-set+json');
      const login = await app.send('/session/login', {
        method: 'POST',
        headers: { origin: app.url },
        handsOutTokens: 'yes',
      });
      expect(login.headers).toMatchObject(STRICT);
      expect(login.headers['set-cookie']).toHaveLength(3);
    });
  });

  async function headersWith(options: HelmetOptions): Promise<IncomingHttpHeaders> {
    const app = await start(adapter, options);
    const { headers } = await app.send('/open');
    await app.close();
    return headers;
  }

  it('give way to what the application chose, header by header', async () => {
    const headers = await headersWith({
      crossOriginResourcePolicy: { policy: 'cross-origin' },
      hsts: { maxAge: 60, includeSubDomains: false },
      frameguard: { action: 'sameorigin' },
      referrerPolicy: false,
    });
    expect(headers).toMatchObject({
      'content-security-policy': STRICT['content-security-policy'],
      'cross-origin-resource-policy': 'cross-origin',
      'strict-transport-security': 'max-age=60',
      'x-frame-options': 'SAMEORIGIN',
      'x-content-type-options': 'nosniff',
    });
    expect(headers['referrer-policy']).toBeUndefined();
  });

  it.each<readonly [string, HelmetOptions, string | undefined]>([
    [
      'adds directives to ours, and replaces those it names, in either spelling',
      {
        contentSecurityPolicy: {
          directives: { 'script-src': ["'self'"], 'form-action': ["'self'"], baseUri: ["'self'"] },
        },
      },
      "default-src 'none';base-uri 'self';form-action 'self';frame-ancestors 'none';script-src 'self'",
    ],
    ['is ours when it is true', { contentSecurityPolicy: true }, STRICT['content-security-policy']],
    ['is none when it is false', { contentSecurityPolicy: false }, undefined],
    [
      'drops a directive that is null',
      { contentSecurityPolicy: { directives: { formAction: null } } },
      "default-src 'none';base-uri 'none';frame-ancestors 'none'",
    ],
  ])('a policy of the application %s', async (_, options, policy) => {
    expect((await headersWith(options))['content-security-policy']).toBe(policy);
  });

  it("is helmet's own, for pages, where that is asked for", async () => {
    const headers = await headersWith({ contentSecurityPolicy: { useDefaults: true } });
    expect(headers['content-security-policy']).toContain("default-src 'self'");
  });
});
