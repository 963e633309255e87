import { Controller, Get, Post, Res } from '@nestjs/common';
import type { INestApplication } from '@nestjs/common';
import type { ServerResponse } from 'node:http';

import { Public } from '../../lib/guard/decorators.js';
import { csrfTokenOf, readRefreshToken } from '../../lib/sessions/refresh-token.js';
import { SessionService } from '../../lib/sessions/session.service.js';
import type { TokenPair } from '../../lib/sessions/session.js';
import { SessionCookies } from '../../lib/transport/session-cookies.service.js';
import { ADAPTERS } from '../support/guarded-app.js';
import { type Answer, closeConnections, type RequestOptions } from '../support/http.js';
import { recordSecret } from '../support/witness.js';
import { forgetReached, reached, startTransportApp, type TransportApp } from './transport-app.js';

afterAll(closeConnections);

const ACCESS = '__Host-access_token';
const REFRESH = '__Host-refresh_token';
const CSRF = '__Host-csrf_token';

/** Sets a cookie of its own before and after those of the session. */
@Controller('own')
class OwnCookies {
  constructor(
    private readonly sessions: SessionService,
    private readonly cookies: SessionCookies,
  ) {}

  @Public()
  @Post()
  async write(@Res({ passthrough: true }) response: Answering): Promise<unknown> {
    append(response, 'before=1; Path=/');
    const pair = await this.sessions.start('user-1', { carrier: 'cookie' });
    recordSecret(pair.accessToken);
    recordSecret(pair.refreshToken);
    const answer = this.cookies.write(response, pair);
    append(response, 'after=1; Path=/');
    return answer;
  }

  @Public()
  @Get('large')
  large(@Res({ passthrough: true }) response: object): unknown {
    return this.cookies.write(response, { ...PAIR, accessToken: 'a'.repeat(4096) });
  }
}

interface Answering {
  header(name: string, value: string): unknown;
  append?(name: string, value: string): unknown;
}

function append(response: Answering, cookie: string): void {
  if (response.append === undefined) response.header('Set-Cookie', cookie);
  else response.append('Set-Cookie', cookie);
}

const PAIR: TokenPair = {
  accessToken: 'a.b.c',
  tokenType: 'Bearer',
  expiresIn: 900,
  refreshToken: `rt1_${'A'.repeat(128)}`,
  refreshExpiresIn: 86_400,
  scope: 'a b',
  sessionId: 'A'.repeat(43),
  subject: 'user-1',
  carrier: 'cookie',
  csrfToken: 'B'.repeat(43),
  senderCookie: undefined,
};

/** An answer of Express, as far as its adapter uses it. */
class RecordedAnswer {
  readonly lines: string[] = [];

  set(): this {
    return this;
  }

  append(_: string, value: string): this {
    this.lines.push(value);
    return this;
  }
}

interface SetCookie {
  readonly value: string;
  readonly attributes: readonly string[];
}

function setCookies({ headers }: Answer): ReadonlyMap<string, SetCookie> {
  const cookies = (headers['set-cookie'] ?? []).map((text) => {
    const [pair = '', ...attributes] = text.split('; ');
    const [name = '', value = ''] = pair.split('=');
    return [name, { value, attributes: attributes.toSorted() }] as const;
  });
  expect(new Set(cookies.map(([name]) => name)).size).toBe(cookies.length);
  return new Map(cookies);
}

/** What a browser keeps of an answer, and what its page knows. */
class Browser {
  readonly jar = new Map<string, string>();

  constructor(private readonly app: TransportApp) {}

  get csrf(): string {
    return this.jar.get(CSRF) ?? '';
  }

  get cookie(): string {
    return [...this.jar].map(([name, value]) => `${name}=${value}`).join('; ');
  }

  async post(path: string, options: RequestOptions = {}): Promise<Answer> {
    const headers = {
      ...(this.jar.size === 0 ? {} : { cookie: this.cookie, 'x-csrf-token': this.csrf }),
      origin: this.app.url,
      ...options.headers,
    };
    const answer = await this.app.send(path, {
      method: 'POST',
      handsOutTokens: 'yes',
      ...options,
      headers,
    });
    for (const [name, { value }] of setCookies(answer)) {
      if (value === '') this.jar.delete(name);
      else this.jar.set(name, value);
    }
    return answer;
  }
}

describe.each(ADAPTERS)('the cookies of a session on %s', (adapter) => {
  let app: TransportApp;
  let browser: Browser;

  beforeAll(async () => {
    app = await startTransportApp({
      adapter,
      transport: { cookies: {} },
      controllers: [OwnCookies],
      configure: (nest: INestApplication) =>
        nest.use((_: unknown, response: ServerResponse, next: () => void) => {
          response.setHeader('Set-Cookie', 'middleware=1; Path=/');
          next();
        }),
    });
  });
  afterAll(() => app.close());
  beforeEach(() => {
    browser = new Browser(app);
    forgetReached();
    app.forgetEvents();
  });

  const codes = (): readonly unknown[] =>
    app.events.flatMap((event) => ('code' in event ? [event.code] : []));

  const others = (answer: Answer): ReadonlyMap<string, SetCookie> =>
    new Map([...setCookies(answer)].filter(([name]) => name.startsWith('__Host-')));

  describe('at a login', () => {
    it('are three, for this host alone, and only the CSRF token is for scripts', async () => {
      const answer = await browser.post('/session/login');
      const common = ['Path=/', 'SameSite=Strict', 'Secure'];
      const attributes = (maxAge: number, ...more: string[]): readonly string[] =>
        [...common, `Max-Age=${maxAge}`, ...more].toSorted();
      const any = expect.stringMatching(/^[\w.-]{40,}$/) as string;
      expect(others(answer)).toEqual(
        new Map([
          [ACCESS, { value: any, attributes: attributes(900, 'HttpOnly') }],
          [REFRESH, { value: any, attributes: attributes(14 * 86_400, 'HttpOnly') }],
          [CSRF, { value: any, attributes: attributes(14 * 86_400) }],
        ]),
      );
    });

    it('leave the CSRF token and no other in the body, which nobody stores', async () => {
      const answer = await browser.post('/session/login');
      expect(answer.status).toBe(200);
      expect(JSON.parse(answer.body)).toEqual({
        token_type: 'Bearer',
        expires_in: 900,
        scope: 'a b',
        csrf_token: browser.csrf,
      });
      expect(answer.headers['cache-control']).toBe('no-store');
    });

    it('work at once', async () => {
      await browser.post('/session/login');
      const headers = { cookie: browser.cookie };
      const answer = await app.send('/things', { headers });
      expect(JSON.parse(answer.body)).toEqual({ subject: 'user-1' });
      expect((await browser.post('/things')).status).toBe(200);
    });

    it('stand beside what middleware and handlers set', async () => {
      const cookies = setCookies(await browser.post('/own'));
      expect(new Set(cookies.keys())).toEqual(
        new Set([ACCESS, REFRESH, CSRF, 'middleware', 'before', 'after']),
      );
      expect(setCookies(await browser.post('/session/login')).has('middleware')).toBe(true);
    });

    it.each([
      ['another site', { origin: 'https://evil.example' }],
      ['a sandbox', { origin: 'null' }],
      [
        'our own, says Origin, and another, says Sec-Fetch-Site',
        { 'sec-fetch-site': 'cross-site' },
      ],
    ])('are not set for %s', async (_, headers) => {
      const answer = await browser.post('/session/login', { headers });
      expect([answer.status, JSON.parse(answer.body)]).toEqual([403, { error: 'access_denied' }]);
      expect(answer.headers['www-authenticate']).toBe('Bearer');
      expect(others(answer).size).toBe(0);
      expect(reached).toEqual([]);
      expect(codes()).toEqual(['ERR_ACCESS_CSRF']);
    });

    it('are not set for who says nothing of where it is', async () => {
      const answer = await app.send('/session/login', { method: 'POST' });
      expect(answer.status).toBe(403);
    });

    it('replace those of another session, which need not be good', async () => {
      await browser.post('/session/login');
      const before = new Map(browser.jar);
      const headers = { 'x-csrf-token': 'old' };
      expect((await browser.post('/session/login', { headers })).status).toBe(200);
      for (const name of [ACCESS, REFRESH, CSRF]) {
        expect(browser.jar.get(name)).not.toBe(before.get(name));
      }
    });

    it('are all refused when one is too large for a browser', async () => {
      const answer = await app.send('/own/large');
      expect(answer.status).toBe(500);
      expect(others(answer).size).toBe(0);
    });
  });

  describe('at a refresh', () => {
    beforeEach(async () => {
      await browser.post('/session/login');
      forgetReached();
      app.forgetEvents();
    });

    async function expectRefused(answer: Promise<Answer>, status: number): Promise<void> {
      const before = new Map(browser.jar);
      const { status: found } = await answer;
      expect(found).toBe(status);
      expect(others(await answer).size).toBe(0);
      expect(browser.jar).toEqual(before);
    }

    it('are replaced, but for the CSRF token', async () => {
      const before = new Map(browser.jar);
      const answer = await browser.post('/session/refresh');
      expect([...others(answer).keys()]).toEqual([ACCESS, REFRESH, CSRF]);
      expect(browser.jar.get(ACCESS)).not.toBe(before.get(ACCESS));
      expect(browser.jar.get(REFRESH)).not.toBe(before.get(REFRESH));
      expect(browser.csrf).toBe(before.get(CSRF));
      expect((await browser.post('/things')).status).toBe(200);
    });

    it('are enough when the access token is gone', async () => {
      browser.jar.delete(ACCESS);
      expect((await browser.post('/session/refresh')).status).toBe(200);
    });

    it.each([
      ['no CSRF token', { 'x-csrf-token': '' }],
      ['another CSRF token', { 'x-csrf-token': 'A'.repeat(43) }],
      ['another origin', { origin: 'https://evil.example' }],
      ['an origin that is nobody', { origin: 'null' }],
      ['a contradiction', { 'sec-fetch-site': 'same-site' }],
    ])('are left alone with %s, and still good', async (_, headers) => {
      await expectRefused(browser.post('/session/refresh', { headers }), 403);
      expect(reached).toEqual([]);
      expect(codes()).toContain('ERR_ACCESS_CSRF');
      expect((await browser.post('/session/refresh')).status).toBe(200);
    });

    it('need the CSRF token of their own session', async () => {
      const other = new Browser(app);
      await other.post('/session/login');
      const headers = { 'x-csrf-token': other.csrf };
      await expectRefused(browser.post('/session/refresh', { headers }), 403);
    });

    it('are left alone by the refusal of an old one', async () => {
      const old = browser.cookie;
      await browser.post('/session/refresh');
      await browser.post('/session/refresh');
      forgetReached();
      await expectRefused(browser.post('/session/refresh', { headers: { cookie: old } }), 401);
      expect(reached).toEqual(['refresh']);
    });

    it.each([
      ['junk', 'junk'],
      ['empty', ''],
      ['another version', `rt2_${'A'.repeat(128)}`],
      ['not canonical', `rt1_${'A'.repeat(106)}B`],
    ])('are refused when the refresh token is %s', async (_, value) => {
      const headers = { cookie: `${REFRESH}=${value}` };
      await expectRefused(browser.post('/session/refresh', { headers }), 401);
    });

    it('are refused when there are two refresh tokens, anywhere', async () => {
      const twice = { cookie: `${browser.cookie}; ${REFRESH}=x` };
      await expectRefused(browser.post('/session/refresh', { headers: twice }), 400);
      const body = { refresh_token: 'x' };
      await expectRefused(browser.post('/session/refresh', { body }), 400);
      expect(reached).toEqual([]);
    });

    it('are not asked for where there is none', async () => {
      const { refreshToken } = await app.app.get(SessionService).start('user-1');
      recordSecret(refreshToken);
      const answer = await app.send('/session/refresh', {
        method: 'POST',
        body: { refresh_token: refreshToken },
        handsOutTokens: 'yes',
      });
      expect(answer.status).toBe(200);
      expect(others(answer).size).toBe(0);
      expect(reached).toEqual(['refresh without a cookie']);
    });
  });

  it('are forgotten by a logout with the same attributes', async () => {
    await browser.post('/session/login');
    const answer = await browser.post('/session/logout');
    expect(answer.status).toBe(204);
    const common = ['Expires=Thu, 01 Jan 1970 00:00:00 GMT', 'Max-Age=0', 'Path=/'];
    const gone = (...more: string[]): SetCookie => ({
      value: '',
      attributes: [...common, 'SameSite=Strict', 'Secure', ...more].toSorted(),
    });
    expect(others(answer)).toEqual(
      new Map([
        [ACCESS, gone('HttpOnly')],
        [REFRESH, gone('HttpOnly')],
        [CSRF, gone()],
      ]),
    );
    expect([...browser.jar.keys()].filter((name) => name.startsWith('__Host-'))).toEqual([]);
  });

  it('are not forgotten because another site says so', async () => {
    await browser.post('/session/login');
    const headers = { origin: 'https://evil.example' };
    const answer = await browser.post('/session/logout', { headers });
    expect(answer.status).toBe(403);
    expect(others(answer).size).toBe(0);
  });

  it("leave errors of the application's own as they are", async () => {
    const answer = await browser.post('/session/failing');
    expect(answer.status).toBe(500);
    expect(answer.body).not.toContain('planted');
    expect(codes()).toEqual([]);
  });
});

describe.each(ADAPTERS)('with other settings, on %s', (adapter) => {
  it('cookies may be sent along on links from other sites', async () => {
    const app = await startTransportApp({ adapter, transport: { cookies: { sameSite: 'Lax' } } });
    const answer = await new Browser(app).post('/session/login');
    for (const { attributes } of setCookies(answer).values()) {
      expect(attributes).toContain('SameSite=Lax');
      expect(attributes).toContain('Secure');
    }
    expect(setCookies(answer).size).toBe(3);
    await app.close();
  });

  it('there are none by default', async () => {
    const app = await startTransportApp({ adapter });
    const cookies = app.app.get(SessionCookies);
    const request = { headers: { cookie: `${REFRESH}=${PAIR.refreshToken}` }, method: 'POST' };
    expect(cookies.readRefreshToken(request)).toBeUndefined();
    expect(() => cookies.write({}, PAIR)).toThrow(TypeError);
    expect(() => cookies.clear({})).not.toThrow();
    // The login it is asked for would go on with a pair that no cookie is there for.
    const own = { origin: 'http://a.example', host: 'a.example', 'sec-fetch-site': 'same-origin' };
    for (const headers of [own, { ...own, origin: 'https://evil.example' }, {}]) {
      const check = (): void => cookies.assertSameOrigin({ headers, method: 'POST' });
      expect(check).toThrow(new TypeError('transport.cookies is not set'));
      expect(check).toThrow(TypeError);
    }
    await app.close();
  });
});

describe('SessionCookies', () => {
  let app: TransportApp;
  let cookies: SessionCookies;

  beforeAll(async () => {
    app = await startTransportApp({ transport: { cookies: {} } });
    cookies = app.app.get(SessionCookies);
  });
  afterAll(() => app.close());

  /** The cookies that a pair is written as, and what was wrong with it. */
  function write(pair: TokenPair): { readonly lines: readonly string[]; readonly error: unknown } {
    const response = new RecordedAnswer();
    try {
      cookies.write(response, pair);
      return { lines: response.lines, error: undefined };
    } catch (error) {
      return { lines: response.lines, error };
    }
  }

  it('writes up to the last byte a browser keeps, and not one more', () => {
    const room = 4096 - ACCESS.length;
    expect(write({ ...PAIR, accessToken: 'a'.repeat(room) }).lines).toHaveLength(3);
    const tooLarge = write({ ...PAIR, accessToken: 'a'.repeat(room + 1) });
    expect(tooLarge.error).toMatchObject({ code: 'ERR_CLAIM_TOO_LARGE' });
    expect(tooLarge.lines).toEqual([]);
  });

  it.each([
    ['a session of bodies', { carrier: 'body' as const }],
    ['a session without a CSRF token', { csrfToken: undefined }],
    ['a value that would end the cookie', { accessToken: 'planted; Domain=evil.example' }],
    ['a value that would end the header', { refreshToken: 'planted\r\nX: y' }],
    ['an empty value', { accessToken: '' }],
  ])('refuses %s, and repeats nothing of it', (_, changed) => {
    const { lines, error } = write({ ...PAIR, ...changed });
    expect(lines).toEqual([]);
    expect(error).toBeInstanceOf(TypeError);
    expect(String(error)).not.toContain('planted');
  });

  it('compares with the CSRF token that the refresh token itself yields', () => {
    const token = readRefreshToken(PAIR.refreshToken);
    if (token === undefined) throw new Error('it is no refresh token');
    const request = (csrf: unknown): object => ({
      headers: {
        cookie: `${REFRESH}=${PAIR.refreshToken}`,
        origin: 'http://a.example',
        host: 'a.example',
        'x-csrf-token': csrf,
      },
      method: 'POST',
    });
    const read = (csrf: unknown): string | undefined =>
      cookies.readRefreshToken(request(csrf) as never);
    expect(read(csrfTokenOf(token))).toBe(PAIR.refreshToken);
    for (const wrong of [undefined, [csrfTokenOf(token)], `${csrfTokenOf(token)} `, null, 1]) {
      expect(() => read(wrong)).toThrow(expect.objectContaining({ code: 'ERR_ACCESS_CSRF' }));
    }
  });
});
