import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';

import type { Browser, Page } from 'playwright-core';

import { challengeOf } from '../../lib/sessions/authorization-code.js';
import { describeWithChromium, startChromium } from '../support/chromium.js';
import { nativeClient, PASSWORD, startAuthorizationServer } from './authorization-server.js';
import { LocalHttps } from './local-https.js';

const https = new LocalHttps();

/** An app on the user's device, which waits at a port of its own; and a site that is up to no good. */
let app: Server;
let browser: Browser;
let page: Page;
let redirectUri: string;
let authorizationUrl: URL;

describeWithChromium('the login page in a browser', () => {
  beforeAll(async () => {
    app = createServer((request, response) => {
      const framed = new URL(request.url ?? '/', 'http://127.0.0.1').searchParams.get('frame');
      response.setHeader('content-type', 'text/html');
      if (framed !== null)
        response.end(`<iframe src="${framed.replaceAll('&', '&amp;')}"></iframe>`);
      else if (request.url?.startsWith('/evil') === true) response.end(FORGED);
      else response.end('<title>Back in the app</title>');
    });
    await new Promise<void>((listening) => app.listen(0, '127.0.0.1', listening));
    redirectUri = `http://127.0.0.1:${(app.address() as AddressInfo).port}/callback`;
    const issuer = await startAuthorizationServer(https, {
      clients: [nativeClient(['http://127.0.0.1/callback'])],
    });
    authorizationUrl = new URL('/oauth/authorize', issuer);
    authorizationUrl.search = new URLSearchParams({
      response_type: 'code',
      client_id: 'native',
      redirect_uri: redirectUri,
      scope: 'read',
      state: 'state & "more"',
      code_challenge: challengeOf('a'.repeat(43)),
      code_challenge_method: 'S256',
    }).toString();
    browser = await startChromium();
  });
  beforeEach(async () => {
    const context = await browser.newContext({ ignoreHTTPSErrors: true });
    page = await context.newPage();
  });
  afterEach(() => page.context().close());
  afterAll(async () => {
    await browser.close();
    app.closeAllConnections();
    app.close();
    https.close();
  });

  const FORGED = '<form method="post" id="form"><input name="password"><button>Go</button></form>';

  it('logs its user in, and leads back to the app with what it sent', async () => {
    await page.goto(authorizationUrl.href);
    await page.fill('[name=password]', PASSWORD);
    await page.click('button');
    await page.waitForURL(`${redirectUri}?**`);
    const { searchParams } = new URL(page.url());
    expect(await page.title()).toBe('Back in the app');
    expect(searchParams.get('code')).toMatch(/^ac1_/);
    expect(searchParams.get('state')).toBe('state & "more"');
    expect(searchParams.get('iss')).toBe(authorizationUrl.origin);
  });

  it('says so when the password is wrong, and lets its user try again', async () => {
    await page.goto(authorizationUrl.href);
    for (const [password, status] of [
      ['wrong', 401],
      [PASSWORD, 303],
    ] as const) {
      await page.fill('[name=password]', password);
      await Promise.all([
        page.waitForResponse((response) => response.status() === status),
        page.click('button'),
      ]);
    }
    await page.waitForURL(`${redirectUri}?**`);
    expect(new URL(page.url()).searchParams.has('code')).toBe(true);
  });

  it('is not reached by a form of another site', async () => {
    await page.goto(new URL('/evil', redirectUri).href);
    await page.evaluate(`document.forms[0].action = ${JSON.stringify(authorizationUrl.href)}`);
    await page.fill('[name=password]', PASSWORD);
    const [answer] = await Promise.all([
      page.waitForResponse((response) => response.request().method() === 'POST'),
      page.click('button'),
    ]);
    expect(answer.status()).toBe(403);
    expect(page.url().startsWith(redirectUri)).toBe(false);
  });

  it('is framed by nobody', async () => {
    const around = new URL(`/?frame=${encodeURIComponent(authorizationUrl.href)}`, redirectUri);
    await page.goto(around.href);
    const [, frame] = page.frames();
    await frame?.waitForLoadState();
    expect(await frame?.locator('input').count()).toBe(0);
  });

  it('sends its form nowhere else, even if somebody gets markup into it', async () => {
    await page.goto(authorizationUrl.href);
    const refused = page.waitForEvent('console', (message) => /form-action/.test(message.text()));
    await page.evaluate(`document.forms[0].action = 'https://evil.example/'`);
    await page.evaluate('document.forms[0].requestSubmit()');
    expect((await refused).type()).toBe('error');
    expect(page.url()).toBe(authorizationUrl.href);
  });
});
