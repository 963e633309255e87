import { Body, Controller, Get, HttpCode, Post, Req, Res, UseInterceptors } from '@nestjs/common';

import { SenderProofs } from '../../lib/binding/sender-proofs.service.js';
import type { BindingOptions } from '../../lib/config/binding-options.js';
import { type SecurityEvent, SecurityEvents } from '../../lib/events/security-events.js';
import type { HttpRequest } from '../../lib/guard/credentials.js';
import {
  Bound,
  CurrentToken,
  DuringStepUp,
  Public,
  RequireStepUp,
} from '../../lib/guard/decorators.js';
import { RevocationService } from '../../lib/revocation/revocation.service.js';
import type { SessionStart, TokenPair } from '../../lib/sessions/session.js';
import { SessionService } from '../../lib/sessions/session.service.js';
import { memoryStorage } from '../../lib/storage/memory/memory-storage.js';
import { TokenService } from '../../lib/tokens/token.service.js';
import type { VerifiedToken } from '../../lib/tokens/verified-token.js';
import { SessionAnswers } from '../../lib/transport/session-answers.service.js';
import { SessionCookies } from '../../lib/transport/session-cookies.service.js';
import { digestOf, type Holder, newHolder, proofOf } from '../binding/dpop/proof-mother.js';
import { ADAPTERS, AUDIENCE, type GuardedApp, startGuardedApp } from '../support/guarded-app.js';
import { type Answer, send } from '../support/http.js';
import { TestClock } from '../support/test-clock.js';
import { forgeAccess, newPrivateJwk, validClaims } from '../support/token-mother.js';
import { importSigningKey } from '../../lib/keys/key-material.js';
import { recordSecret } from '../support/witness.js';

/** Who sends a token, asked by the guard and by the routes that give tokens out. */

@Controller()
class Things {
  @Get('me')
  me(@CurrentToken('subject') subject: string): object {
    return { subject };
  }

  @Get('open')
  @Public()
  open(@CurrentToken() token: VerifiedToken | undefined): object {
    return { subject: token?.subject ?? null };
  }

  @Get('bound')
  @Bound('dpop', 'cookie')
  bound(): object {
    return {};
  }

  @Get('fresh')
  @RequireStepUp({ maxAge: '5m' })
  fresh(): object {
    return {};
  }

  @Get('step-up')
  @DuringStepUp()
  stepUp(): object {
    return {};
  }
}

@UseInterceptors(SessionAnswers)
@Controller('session')
class Logins {
  constructor(
    private readonly sessions: SessionService,
    private readonly senders: SenderProofs,
    private readonly cookies: SessionCookies,
  ) {}

  @Public()
  @Post('login')
  @HttpCode(200)
  async logIn(
    @Req() request: HttpRequest,
    @Res({ passthrough: true }) response: object,
    @Body() start: SessionStart,
  ): Promise<TokenPair> {
    const sender = await this.senders.prove(request);
    return this.#answer(response, await this.sessions.start('alice', { ...sender, ...start }));
  }

  @Public()
  @Post('refresh')
  @HttpCode(200)
  async refresh(
    @Req() request: HttpRequest,
    @Res({ passthrough: true }) response: object,
    @Body() { refreshToken }: TokenPair,
  ): Promise<TokenPair> {
    const sender = await this.senders.prove(request);
    return this.#answer(response, await this.sessions.refresh(refreshToken, sender));
  }

  #answer(response: object, pair: TokenPair): TokenPair {
    if (pair.senderCookie !== undefined) this.cookies.writeSenderCookie(response, pair);
    return pair;
  }
}

interface Visit {
  readonly method?: 'GET' | 'POST';
  readonly scheme?: string;
  readonly token?: string;
  readonly proof?: string;
  readonly cookie?: string;
  readonly userAgent?: string;
  readonly language?: string;
  readonly body?: object;
}

describe.each(ADAPTERS)('a token that is bound to its sender, on %s', (adapter) => {
  let clock: TestClock;
  let running: GuardedApp;
  let heard: SecurityEvent[];

  async function start(binding: BindingOptions): Promise<void> {
    clock = new TestClock();
    const options = { binding, storage: memoryStorage({ clock }) };
    running = await startGuardedApp([Things, Logins], { adapter, clock, options });
    heard = [];
    running.app.get(SecurityEvents).onAny((event) => heard.push(event));
  }
  afterEach(() => running.close());

  function visit(path: string, how: Visit = {}): Promise<Answer> {
    const { method = 'GET', scheme = 'Bearer', token, proof, cookie, userAgent, language } = how;
    return send(running.url, path, {
      method,
      headers: {
        'User-Agent': userAgent ?? FIREFOX,
        'Accept-Language': language ?? 'en',
        ...(token === undefined ? {} : { Authorization: `${scheme} ${token}` }),
        ...(proof === undefined ? {} : { DPoP: proof }),
        ...(cookie === undefined ? {} : { Cookie: cookie }),
      },
      ...(how.body === undefined ? {} : { body: how.body }),
      handsOutTokens: 'yes',
    });
  }

  async function pairOf(answer: Answer): Promise<TokenPair> {
    expect(answer.status).toBe(200);
    const pair = JSON.parse(answer.body) as TokenPair;
    recordSecret(pair.accessToken);
    recordSecret(pair.refreshToken);
    return pair;
  }

  const said = (type: SecurityEvent['type']): readonly SecurityEvent[] =>
    heard.filter((event) => event.type === type);

  const FIREFOX = 'Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0';

  describe('to a key (RFC 9449)', () => {
    let holder: Holder;
    beforeEach(async () => {
      await start({ dpop: { publicUrls: [AUDIENCE], nonce: null } });
      holder = await newHolder();
    });

    const proofFor = (path: string, method: string, token?: string, by = holder): Promise<string> =>
      proofOf(by, clock, {
        claims: {
          htm: method,
          htu: `${AUDIENCE}${path}`,
          ath: token === undefined ? undefined : digestOf(token),
        },
      });

    async function logIn(): Promise<TokenPair> {
      const proof = await proofFor('/session/login', 'POST');
      return pairOf(await visit('/session/login', { method: 'POST', proof, body: {} }));
    }

    async function use(pair: TokenPair, path: string, how: Visit = {}): Promise<Answer> {
      const { accessToken: token } = pair;
      const proof = await proofFor(path, 'GET', token);
      return visit(path, { scheme: 'DPoP', token, proof, ...how });
    }

    it('is of type DPoP, and good with a proof for this request', async () => {
      const pair = await logIn();
      expect(pair.tokenType).toBe('DPoP');
      for (const path of ['/me', '/bound', '/fresh'])
        expect((await use(pair, path)).status).toBe(200);
      const { app } = running;
      const verified = await app.get(TokenService).verify(pair.accessToken, {
        sender: 'checkedByCaller',
      });
      expect(verified.confirmation).toEqual({ jkt: holder.jkt });
    });

    it('is refused by who would not check its sender', async () => {
      const { accessToken } = await logIn();
      await expect(running.app.get(TokenService).verify(accessToken)).rejects.toMatchObject({
        code: 'ERR_TOKEN_BINDING',
      });
    });

    it.each<[what: string, how: Visit | ((proof: string) => Visit), challenge: string]>([
      ['as a bearer token', { scheme: 'Bearer' }, 'Bearer error="invalid_token", DPoP algs='],
      ['as a bearer token without a proof', () => ({ scheme: 'Bearer' }), 'Bearer error="invalid_'],
      ['without a proof', { proof: '' }, 'DPoP error="invalid_dpop_proof", algs='],
      [
        'in lower case of the scheme, with junk',
        { scheme: 'dpop', proof: 'x' },
        'DPoP error="inva',
      ],
    ])('is refused %s', async (_what, how, challenge) => {
      const pair = await logIn();
      const { accessToken: token } = pair;
      const proof = await proofFor('/me', 'GET', token);
      const given = typeof how === 'function' ? how(proof) : { proof, ...how };
      const answer = await visit('/me', { scheme: 'DPoP', token, ...given });
      expect(answer.status).toBe(401);
      expect(answer.headers['www-authenticate']).toContain(challenge);
    });

    it('is refused with the proof of another key, and that is told', async () => {
      const pair = await logIn();
      const { accessToken: token } = pair;
      const proof = await proofFor('/me', 'GET', token, await newHolder());
      expect((await visit('/me', { scheme: 'DPoP', token, proof })).status).toBe(401);
      expect(said('binding.mismatched')).toMatchObject([{ kind: 'dpop', response: 'refuse' }]);
    });

    it('is refused with a proof that was used', async () => {
      const pair = await logIn();
      const { accessToken: token } = pair;
      const proof = await proofFor('/me', 'GET', token);
      const answers = await Promise.all(
        Array.from({ length: 20 }, () => visit('/me', { scheme: 'DPoP', token, proof })),
      );
      expect(answers.filter(({ status }) => status === 200)).toHaveLength(1);
      expect(said('proof.replayed')).toHaveLength(19);
    });

    it('is refused when it was revoked while the proof was looked at', async () => {
      const pair = await logIn();
      const seen = use(pair, '/me');
      await running.app.get(RevocationService).revokeSession(pair.sessionId);
      await seen;
      expect((await use(pair, '/me')).status).toBe(401);
    });

    it('is nobody on a public route without its proof', async () => {
      const pair = await logIn();
      expect((await use(pair, '/open')).body).toBe('{"subject":"alice"}');
      const { accessToken: token } = pair;
      expect((await visit('/open', { token })).body).toBe('{"subject":null}');
    });

    it('does not make a bearer token one that is bound', async () => {
      const pair = await pairOf(await visit('/session/login', { method: 'POST', body: {} }));
      expect(pair.tokenType).toBe('Bearer');
      const { accessToken: token } = pair;
      expect((await visit('/me', { token })).status).toBe(200);
      expect((await visit('/bound', { token })).status).toBe(401);
      expect((await use(pair, '/me')).status).toBe(401);
    });

    it('has its refresh token bound as well', async () => {
      const pair = await logIn();
      const refresh = async (by: Holder | undefined, { refreshToken }: TokenPair) =>
        visit('/session/refresh', {
          method: 'POST',
          body: { refreshToken },
          ...(by === undefined
            ? {}
            : { proof: await proofFor('/session/refresh', 'POST', undefined, by) }),
        });
      const next = await pairOf(await refresh(holder, pair));
      expect(next.tokenType).toBe('DPoP');
      expect((await use(next, '/me')).status).toBe(200);
      expect((await refresh(await newHolder(), next)).status).toBe(401);
      // The right token from another sender: it is in other hands.
      expect((await refresh(holder, next)).status).toBe(401);
      expect((await use(next, '/me')).status).toBe(401);
    });

    it('answers a wrong proof for tokens as RFC 9449 §5 says', async () => {
      const proof = await proofFor('/session/elsewhere', 'POST');
      const answer = await visit('/session/login', { method: 'POST', proof, body: {} });
      expect([answer.status, answer.body]).toEqual([400, '{"error":"invalid_dpop_proof"}']);
      expect(said('proof.rejected')).toMatchObject([{ code: 'ERR_PROOF_URL' }]);
    });

    it('names both schemes to who brings nothing', async () => {
      const { status, headers } = await visit('/me');
      expect([status, headers['www-authenticate']]).toEqual([
        401,
        'Bearer, DPoP algs="ES256 Ed25519 EdDSA PS256 RS256"',
      ]);
    });
  });

  describe('to a key, with nonces', () => {
    it('is told the nonce, where tokens are given out and where they are used', async () => {
      await start({ dpop: { publicUrls: [AUDIENCE] } });
      const holder = await newHolder();
      const claims = { htm: 'POST', htu: `${AUDIENCE}/session/login`, ath: undefined };
      const first = await proofOf(holder, clock, { claims });
      const asked = await visit('/session/login', { method: 'POST', proof: first, body: {} });
      expect([asked.status, asked.body]).toEqual([400, '{"error":"use_dpop_nonce"}']);
      const nonce = String(asked.headers['dpop-nonce']);
      const second = await proofOf(holder, clock, { claims: { ...claims, nonce } });
      const pair = await pairOf(
        await visit('/session/login', { method: 'POST', proof: second, body: {} }),
      );
      const { accessToken: token } = pair;
      const ath = digestOf(token);
      const bare = await proofOf(holder, clock, { claims: { htu: `${AUDIENCE}/me`, ath } });
      const refused = await visit('/me', { scheme: 'DPoP', token, proof: bare });
      expect(refused.status).toBe(401);
      expect(refused.headers['www-authenticate']).toContain('DPoP error="use_dpop_nonce"');
      expect(refused.headers['dpop-nonce']).toMatch(/^[A-Za-z0-9_-]+$/);
      const whole = await proofOf(holder, clock, { claims: { htu: `${AUDIENCE}/me`, ath, nonce } });
      expect((await visit('/me', { scheme: 'DPoP', token, proof: whole })).status).toBe(200);
    });
  });

  describe('by a cookie that no script reads', () => {
    const cookieOf = ({ headers }: Answer): string =>
      /__Host-sender=[^;]+/.exec(String(headers['set-cookie']))?.[0] ?? '';

    beforeEach(() => start({}));

    async function logIn(): Promise<{ readonly pair: TokenPair; readonly cookie: string }> {
      const body = { binding: { kind: 'cookie' } };
      const answer = await visit('/session/login', { method: 'POST', body });
      expect(String(answer.headers['set-cookie'])).toMatch(
        /^__Host-sender=[\w-]{43}; Max-Age=\d+; Path=\/; HttpOnly; Secure; SameSite=Strict$/,
      );
      const cookie = cookieOf(answer);
      recordSecret(cookie.slice('__Host-sender='.length));
      return { pair: await pairOf(answer), cookie };
    }

    it('is good together with it alone', async () => {
      const { pair, cookie } = await logIn();
      const { accessToken: token } = pair;
      const other = await logIn();
      expect((await visit('/me', { token, cookie })).status).toBe(200);
      expect((await visit('/bound', { token, cookie })).status).toBe(200);
      for (const wrong of [undefined, other.cookie, '__Host-sender=', `${cookie}x`]) {
        const bad = wrong === undefined ? {} : { cookie: wrong };
        expect((await visit('/me', { token, ...bad })).status).toBe(401);
      }
      expect((await visit('/me', { token, cookie: `${cookie}; ${other.cookie}` })).status).toBe(
        400,
      );
      expect(said('binding.mismatched').map((event) => event)).toHaveLength(4);
    });

    it('changes it with each refresh, and repeats it in the grace window', async () => {
      const { pair, cookie } = await logIn();
      const { refreshToken } = pair;
      const refresh = (sent?: string): Promise<Answer> =>
        visit('/session/refresh', {
          method: 'POST',
          body: { refreshToken },
          ...(sent === undefined ? {} : { cookie: sent }),
        });
      // Who has the refresh token alone gets nothing, and ends nothing.
      expect((await refresh()).status).toBe(401);
      expect((await refresh(`${cookie}x`)).status).toBe(401);
      const [first, again] = [await refresh(cookie), await refresh(cookie)];
      const renewed = cookieOf(first);
      expect(renewed).not.toBe(cookie);
      expect(cookieOf(again)).toBe(renewed);
      for (const answer of [first, again]) {
        const { accessToken: token } = await pairOf(answer);
        expect((await visit('/me', { token, cookie: renewed })).status).toBe(200);
        expect((await visit('/me', { token, cookie })).status).toBe(401);
      }
    });
  });

  describe('by what its sender looks like', () => {
    beforeEach(() => start({ fingerprint: {} }));
    const CURL = { userAgent: 'curl/8.5.0', language: 'fr' };

    async function logIn(): Promise<TokenPair> {
      return pairOf(await visit('/session/login', { method: 'POST', body: {} }));
    }

    it('passes for the same, asks for a step-up from another, and lets that be done', async () => {
      const { accessToken: token } = await logIn();
      expect((await visit('/me', { token })).status).toBe(200);
      const answer = await visit('/me', { token, ...CURL });
      expect(answer.status).toBe(401);
      expect(answer.headers['www-authenticate']).toMatch(
        /error="(?:invalid_token|insufficient_user_authentication", max_age="0)"/,
      );
      expect(said('binding.mismatched')).not.toEqual([]);
      // Another language alone is noted.
      expect((await visit('/me', { token, language: 'fr' })).status).toBe(200);
      const other = FIREFOX.replace('Firefox/', 'Chrome/');
      expect((await visit('/me', { token, userAgent: other })).status).toBe(401);
      expect((await visit('/step-up', { token, userAgent: other })).status).toBe(200);
      expect((await visit('/open', { token, userAgent: other })).body).toBe('{"subject":null}');
    });

    it('goes with the session: a refresh from elsewhere gets nothing, and ends nothing', async () => {
      const pair = await logIn();
      const { refreshToken } = pair;
      const body = { refreshToken };
      const stolen = await visit('/session/refresh', { method: 'POST', body, ...CURL });
      expect(stolen.status).toBe(401);
      expect(said('refresh.rejected')).toMatchObject([{ code: 'ERR_SESSION_SENDER' }]);
      const drifted = { method: 'POST', body, language: 'fr' } as const;
      const next = await pairOf(await visit('/session/refresh', drifted));
      // That is what it looks like from now on.
      heard.length = 0;
      const { accessToken: token } = next;
      expect((await visit('/me', { token, language: 'fr' })).status).toBe(200);
      expect(said('binding.drifted')).toEqual([]);
    });
  });

  describe('where every token has to be', () => {
    it('is demanded of logins and of tokens', async () => {
      await start({ dpop: { publicUrls: [AUDIENCE], nonce: null }, required: ['dpop'] });
      const answer = await visit('/session/login', { method: 'POST', body: {} });
      expect([answer.status, answer.body]).toEqual([400, '{"error":"invalid_dpop_proof"}']);
      const sessions = running.app.get(SessionService);
      await expect(sessions.start('alice')).rejects.toMatchObject({ code: 'ERR_PROOF_MISSING' });
      const { token } = await running.app.get(TokenService).sign({ sub: 'alice' });
      expect((await visit('/me', { token })).status).toBe(401);
    });
  });

  it.each<[what: string, cnf: unknown]>([
    ['a key, which is not offered', { jkt: 'A'.repeat(43) }],
    ['a certificate, which nobody looks at', { 'x5t#S256': 'A'.repeat(43) }],
    ['a fingerprint of a key that nobody has', undefined],
  ])('that is %s, is refused', async (_what, cnf) => {
    const jwk = await newPrivateJwk();
    clock = new TestClock();
    const options = { keys: { signingKey: jwk } };
    running = await startGuardedApp([Things], { adapter, clock, options });
    heard = [];
    const key = await importSigningKey(jwk);
    const odd = cnf === undefined ? { fingerprint: { k: 'abcdefgh', s: 'A'.repeat(16) } } : { cnf };
    const token = await forgeAccess(key, { ...validClaims(clock), ...odd });
    for (const scheme of ['Bearer', 'DPoP']) {
      expect((await visit('/me', { token, scheme, proof: 'a.b.c' })).status).toBe(401);
    }
  });
});
