import { randomBytes } from 'node:crypto';
import { type IncomingHttpHeaders, request as httpRequest } from 'node:http';

import { Controller, Get, type INestApplication } from '@nestjs/common';

import type { JwtHardeningExtras, JwtHardeningOptions } from '../../lib/config/options.js';
import type {
  AuthorizationAsk,
  AuthorizationDecision,
} from '../../lib/endpoints/authorization-login.js';
import { type SecurityEvent, SecurityEvents } from '../../lib/events/security-events.js';
import { CurrentToken } from '../../lib/guard/decorators.js';
import { challengeOf } from '../../lib/sessions/authorization-code.js';
import { memoryStorage } from '../../lib/storage/memory/memory-storage.js';
import type { VerifiedToken } from '../../lib/tokens/verified-token.js';
import { type AdapterName, ISSUER, startGuardedApp } from '../support/guarded-app.js';
import { TestClock } from '../support/test-clock.js';
import { recordOutput, recordSecret } from '../support/witness.js';
import { basic, newSecret } from './endpoint-app.js';

export const AUTHORIZE = '/oauth/authorize';
export const TOKEN = '/oauth/token';
export const REVOKE = '/oauth/revoke';
export const METADATA = '/.well-known/oauth-authorization-server';

export const CALLBACK = 'com.example.app:/callback';
export const SHOP_CALLBACK = 'https://shop.example/callback?from=login';

const SHOP_SECRET = newSecret();
export const SHOP = basic('shop', SHOP_SECRET);

export const NATIVE_CLIENT = {
  clientId: 'native',
  authentication: { method: 'none' },
  may: ['authorize', 'revoke'],
  redirectUris: [CALLBACK, 'http://127.0.0.1/callback', 'http://[::1]:8080/callback'],
} as const;

export const CLIENTS = [
  NATIVE_CLIENT,
  { ...NATIVE_CLIENT, clientId: 'rival' },
  {
    clientId: 'shop',
    authentication: { method: 'client_secret_basic', secrets: [SHOP_SECRET] },
    may: ['authorize', 'revoke', 'introspect'],
    redirectUris: [SHOP_CALLBACK, 'http://localhost:3000/callback'],
    scopes: ['accounts:read'],
  },
  {
    clientId: 'gateway',
    authentication: { method: 'client_secret_basic', secrets: [newSecret()] },
    may: ['introspect'],
  },
] as const;

export type Params = Readonly<Record<string, string | readonly string[] | undefined>>;

export interface FlowAnswer {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  readonly body: string;
}

/** What a client keeps while its user logs in. */
export const VERIFIER = randomBytes(32).toString('base64url');
recordSecret(VERIFIER);

/** An authorization request that has nothing wrong with it. */
export const REQUEST: Params = {
  response_type: 'code',
  client_id: 'native',
  redirect_uri: CALLBACK,
  scope: 'accounts:read transfers:write',
  state: 'state 1 & more',
  code_challenge: challengeOf(VERIFIER),
  code_challenge_method: 'S256',
};

export type Login = (
  ask: AuthorizationAsk,
) => AuthorizationDecision | Promise<AuthorizationDecision>;

export interface FlowApp {
  readonly app: INestApplication;
  readonly url: string;
  readonly clock: TestClock;
  readonly events: SecurityEvent[];
  /** What the login answers; may be told something else. */
  login: Login;
  /** What the login was asked. */
  readonly asked: AuthorizationAsk[];
  /** `null`: without the parameter. */
  authorize(params?: Params, options?: FlowRequest): Promise<FlowAnswer>;
  /** A code as a client gets it. */
  code(params?: Params): Promise<string>;
  token(form: Params | string, headers?: Record<string, string>): Promise<FlowAnswer>;
  redeem(code: string, form?: Params, headers?: Record<string, string>): Promise<FlowAnswer>;
  /** The tokens of a login from its beginning. */
  tokens(params?: Params): Promise<Tokens>;
  refresh(refreshToken: string, form?: Params): Promise<FlowAnswer>;
  me(accessToken: string): Promise<number>;
  send(path: string, options?: FlowRequest): Promise<FlowAnswer>;
  close(): Promise<void>;
}

export interface Tokens {
  readonly access_token: string;
  readonly refresh_token: string;
  readonly expires_in: number;
  readonly scope: string;
  readonly token_type: string;
}

export interface FlowRequest {
  readonly method?: string;
  readonly headers?: Record<string, string>;
  readonly body?: string;
}

@Controller()
class Me {
  @Get('me')
  me(@CurrentToken() { subject }: VerifiedToken): object {
    return { subject };
  }
}

/** Starts a real HTTP server with all endpoints of the code flow, on a free port. */
export async function startCodeFlow(
  adapter: AdapterName,
  options: Partial<JwtHardeningOptions> & JwtHardeningExtras = {},
  time: 'standing' | 'real' = 'standing',
): Promise<FlowApp> {
  const clock = new TestClock();
  const asked: AuthorizationAsk[] = [];
  const flow: { login: Login } = { login: () => granted(clock) };
  const running = await startGuardedApp([Me], {
    adapter,
    ...(time === 'real' ? {} : { clock }),
    options: {
      storage: memoryStorage({ clock }),
      clients: CLIENTS,
      authorizationPath: AUTHORIZE,
      tokenPath: TOKEN,
      revocationPath: REVOKE,
      metadataPath: METADATA,
      ...options,
      authorization: {
        scopes: ['accounts:read', 'transfers:write'],
        login: (ask) => {
          asked.push(ask);
          return flow.login(ask);
        },
        ...options.authorization,
      },
    },
  });
  const { app, url } = running;
  const events: SecurityEvent[] = [];
  app
    .get(SecurityEvents)
    .asObservable()
    .subscribe((event) => {
      events.push(event);
      recordOutput(JSON.stringify(event));
    });
  const post = (path: string, form: Params | string, headers: Record<string, string> = {}) =>
    send(url, path, {
      method: 'POST',
      headers: { 'content-type': 'application/x-www-form-urlencoded', ...headers },
      body: typeof form === 'string' ? form : queryOf(form),
    });
  const self: Omit<FlowApp, 'login'> = {
    app,
    url,
    clock,
    events,
    asked,
    authorize: (params = {}, request = {}) =>
      send(url, `${AUTHORIZE}?${queryOf({ ...REQUEST, ...params })}`, request),
    code: async (params) => {
      const answer = await self.authorize(params);
      const code = locationOf(answer).searchParams.get('code') ?? '';
      if (code === '') throw new Error(`no code: ${answer.status} ${answer.headers.location}`);
      return code;
    },
    token: (form, headers) => post(TOKEN, form, headers),
    redeem: (code, form = {}, headers) =>
      self.token(
        {
          grant_type: 'authorization_code',
          client_id: 'native',
          redirect_uri: CALLBACK,
          code_verifier: VERIFIER,
          code,
          ...form,
        },
        headers,
      ),
    tokens: async (params) => tokensOf(await self.redeem(await self.code(params))),
    refresh: (refreshToken, form = {}) =>
      self.token({
        grant_type: 'refresh_token',
        client_id: 'native',
        refresh_token: refreshToken,
        ...form,
      }),
    me: async (accessToken) => {
      const headers = { authorization: `Bearer ${accessToken}` };
      return (await send(url, '/me', { headers })).status;
    },
    send: (path, request) => send(url, path, request),
    close: () => running.close(),
  };
  return Object.assign(flow, self);
}

/** A user who logged in a moment ago. */
export function granted(clock: TestClock): AuthorizationDecision {
  return { outcome: 'granted', subject: 'alice', authTime: new Date(clock.now()) };
}

export function tokensOf({ status, body }: FlowAnswer): Tokens {
  if (status !== 200) throw new Error(`answered with ${status} ${body}`);
  return JSON.parse(body) as Tokens;
}

export function locationOf({ headers }: FlowAnswer): URL {
  return new URL(headers.location ?? 'none:');
}

export function queryOf(params: Params): string {
  const query = new URLSearchParams();
  for (const [name, values] of Object.entries(params)) {
    for (const value of values === undefined ? [] : [values].flat()) query.append(name, value);
  }
  return query.toString();
}

/** Sends one request, and keeps what it was handed out from the outputs that are searched. */
function send(base: string, path: string, options: FlowRequest = {}): Promise<FlowAnswer> {
  const { method = 'GET', headers = {}, body } = options;
  const { hostname, port } = new URL(base);
  return new Promise((resolve, reject) => {
    const outgoing = httpRequest(
      { agent: false, hostname, port, path, method, headers },
      (response) => {
        const chunks: Buffer[] = [];
        response.on('data', (chunk: Buffer) => chunks.push(chunk));
        response.on('error', reject);
        response.on('end', () => {
          const text = Buffer.concat(chunks).toString('utf8');
          const secrets = `${response.headers.location ?? ''} ${text}`.match(SECRETS) ?? [];
          for (const secret of secrets) recordSecret(secret);
          if (secrets.length === 0) recordOutput(`${JSON.stringify(response.headers)} ${text}`);
          resolve({ status: response.statusCode ?? 0, headers: response.headers, body: text });
        });
      },
    );
    outgoing.on('error', reject);
    outgoing.end(body);
  });
}

/** Codes, refresh tokens, access tokens. */
const SECRETS = /(?:ac1_|rt1_)[\w-]{128}|eyJ[\w-]+\.[\w-]+\.[\w-]+/g;

/** The client is told, by way of the browser. */
export function expectRedirected(
  answer: FlowAnswer,
  error: string,
  state: unknown = REQUEST['state'],
): void {
  expect([answer.status, answer.headers.location?.split('?')[0]]).toEqual([303, CALLBACK]);
  expect(Object.fromEntries(locationOf(answer).searchParams)).toEqual({
    error,
    iss: ISSUER,
    ...(state === null ? {} : { state }),
  });
  expectPrivate(answer);
}

/** Whoever sits there is told, and nobody else. */
export function expectShown(answer: FlowAnswer, status = 400, error = 'invalid_request'): void {
  expect([answer.status, answer.body]).toEqual([status, JSON.stringify({ error })]);
  expect(answer.headers.location).toBeUndefined();
  expectPrivate(answer);
}

/** No cache keeps it, nobody frames it, and its address is not passed on. */
export function expectPrivate({ headers }: FlowAnswer): void {
  expect(headers).toMatchObject({
    'cache-control': 'no-store',
    pragma: 'no-cache',
    'x-frame-options': 'DENY',
    'referrer-policy': 'no-referrer',
    'content-security-policy': "default-src 'none'; frame-ancestors 'none'",
  });
}
