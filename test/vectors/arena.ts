import { execFileSync } from 'node:child_process';
import { generateKeyPairSync, type JsonWebKey } from 'node:crypto';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { Controller, Get, Header, HttpCode, Param, Post } from '@nestjs/common';

import { CurrentToken, Public, Roles, Scopes } from '../../lib/guard/decorators.js';
import {
  exportPrivateJwk,
  generateSigningKey,
  type PrivateJwk,
  type SigningKey,
} from '../../lib/keys/key-material.js';
import type { TokenPair } from '../../lib/sessions/session.js';
import { SessionService } from '../../lib/sessions/session.service.js';
import { TokenService } from '../../lib/tokens/token.service.js';
import type { VerifiedToken } from '../../lib/tokens/verified-token.js';
import {
  ADAPTERS,
  type AdapterName,
  AUDIENCE,
  type GuardedApp,
  ISSUER,
  startGuardedApp,
} from '../support/guarded-app.js';
import { type Answer, closeConnections, send, sendRaw } from '../support/http.js';
import { TestClock } from '../support/test-clock.js';
import { forgeAccess, validClaims } from '../support/token-mother.js';
import { recordSecret } from '../support/witness.js';
import { DATA } from './vector-files.js';

/**
 * Where hostile tokens meet the product: the same API on both adapters with one configured key, an
 * attacker with keys of every kind, and a canary that must never be called.
 */

@Controller()
class ArenaController {
  @Get('me')
  me(@CurrentToken() token: VerifiedToken): object {
    return { sub: token.subject };
  }

  @Post('things')
  @HttpCode(201)
  create(): object {
    return { created: 'thing' };
  }

  @Get('admin')
  @Scopes('admin')
  admin(): object {
    return { admin: 'area' };
  }

  @Get('admin/:id')
  @Scopes('admin')
  adminRecord(@Param('id') id: string): object {
    return { admin: id };
  }

  @Get('backoffice')
  @Roles('admin')
  backoffice(): object {
    return { backoffice: 'area' };
  }

  @Get('open')
  @Public()
  @Header('X-Open', 'yes')
  open(@CurrentToken() token: VerifiedToken | undefined): object {
    return { sub: token?.subject ?? null };
  }
}

export const ROUTES = {
  protected: '/me',
  admin: '/admin',
  backoffice: '/backoffice',
  open: '/open',
} as const;

export type RouteName = keyof typeof ROUTES;

/** A recipe of a token, and what becomes of it. */
export interface TokenRow {
  readonly id: string;
  readonly name: string;
  readonly class: string;
  readonly slot: 'bearer' | 'dpop' | 'jwe';
  readonly expected: 'accept' | 'reject';
  readonly status: readonly number[];
  readonly route: RouteName;
}

export interface Side {
  readonly adapter: AdapterName;
  readonly url: string;
  readonly tokens: TokenService;
}

export interface Arena {
  readonly sides: readonly Side[];
  readonly clock: TestClock;
  readonly key: SigningKey;
  readonly privateJwk: PrivateJwk;
  /** A right token with scope `read`. */
  readonly valid: string;
  /** What a page holds whose session travels in cookies. */
  readonly carried: { readonly accessToken: string; readonly csrfToken: string };
  /** A right token but for a `cnf` that asks for a proof. */
  readonly bound: string;
  side(adapter: AdapterName): Side;
  /** Compact tokens by row id. */
  materialize(rows: readonly TokenRow[]): ReadonlyMap<string, string>;
  /** Where headers and claims point an attacker's key set to. */
  readonly canaryUrl: string;
  canaryCalls(): number;
  close(): Promise<void>;
}

/** The origin of the application's own pages. */
export const PAGE = 'https://app.example';

export async function openArena(): Promise<Arena> {
  const clock = new TestClock();
  const key = await generateSigningKey('ES256');
  const privateJwk = exportPrivateJwk(key);
  recordSecret(privateJwk.d ?? '');
  const apps = new Map<AdapterName, GuardedApp>();
  for (const adapter of ADAPTERS) {
    const options = {
      keys: { signingKey: privateJwk },
      tokens: { requiredClaims: ['client_id'] },
      transport: { cookies: {}, origins: [PAGE] },
    } as const;
    apps.set(adapter, await startGuardedApp([ArenaController], { adapter, clock, options }));
  }
  const sides = [...apps].map(([adapter, { app, url }]) => ({
    adapter,
    url,
    tokens: app.get(TokenService),
  }));
  const canary = await openCanary();
  const claims = { ...validClaims(clock), client_id: 'client-1', scope: 'read' };
  const valid = await forgeAccess(key, { ...claims, jti: 'arena-valid' });
  const otherValid = await forgeAccess(key, { ...claims, jti: 'arena-other', sub: 'user-2' });
  const bound = await forgeAccess(key, {
    ...claims,
    jti: 'arena-bound',
    cnf: { jkt: 'x'.repeat(43) },
  });
  // One key on both sides, so that a session of one is good on the other.
  const { accessToken, csrfToken = '' } = await sessionOf(apps.get('express'));
  const retired = await generateSigningKey('ES256');
  const config = {
    iss: ISSUER,
    aud: AUDIENCE,
    sub: 'user-1',
    clientId: 'client-1',
    typ: 'at+jwt',
    kid: key.kid,
    now: clock.seconds(),
    livePrivateJwk: privateJwk,
    livePublicJwk: key.publicJwk,
    retiredKid: retired.kid,
    retiredPrivateJwk: exportPrivateJwk(retired),
    holderPrivateJwk: jwkOf('P-256'),
    attacker: {
      es256: jwkOf('P-256'),
      p384: jwkOf('P-384'),
      p521: jwkOf('P-521'),
      k256: jwkOf('secp256k1'),
      ed25519: generateKeyPairSync('ed25519').privateKey.export({ format: 'jwk' }),
      rsa: generateKeyPairSync('rsa', { modulusLength: 2048 }).privateKey.export({ format: 'jwk' }),
      x5c: Buffer.alloc(96, 0x30).toString('base64'),
    },
    encPublicJwk: publicHalf(jwkOf('P-256')),
    encKid: 'enc-1',
    jwksUrl: `${ISSUER}/.well-known/jwks.json`,
    canaryUrl: canary.url,
    validToken: valid,
    otherValidToken: otherValid,
    accessTokenForDpop: bound,
    nonce: 'arena',
  };
  return {
    sides,
    clock,
    key,
    privateJwk,
    valid,
    carried: { accessToken, csrfToken },
    bound,
    side(adapter) {
      const side = sides.find((candidate) => candidate.adapter === adapter);
      if (side === undefined) throw new TypeError(`no side on ${adapter}`);
      return side;
    },
    materialize: (rows) => materialize(rows, config),
    canaryUrl: canary.url,
    canaryCalls: () => canary.calls(),
    async close() {
      closeConnections();
      for (const app of apps.values()) await app.close();
      await canary.close();
    },
  };
}

function jwkOf(namedCurve: string): JsonWebKey {
  return generateKeyPairSync('ec', { namedCurve }).privateKey.export({ format: 'jwk' });
}

function publicHalf({ kty, crv, x, y }: JsonWebKey): object {
  return { kty, crv, x, y };
}

/** Runs the given tool in a process of its own: it is no part of the program under test. */
function materialize(rows: readonly TokenRow[], config: object): ReadonlyMap<string, string> {
  const directory = mkdtempSync(join(tmpdir(), 'nest-jwt-hardening-rows-'));
  try {
    const rowsFile = join(directory, 'rows.jsonl');
    const configFile = join(directory, 'config.json');
    writeFileSync(rowsFile, rows.map((row) => JSON.stringify(row)).join('\n'));
    writeFileSync(configFile, JSON.stringify(config));
    const tool = join(DATA, 'malicious/materialize.mjs');
    const output = execFileSync(process.execPath, [tool, rowsFile, configFile], {
      encoding: 'utf8',
      maxBuffer: 256 * 1024 * 1024,
    });
    const tokens = new Map<string, string>();
    for (const line of output.split('\n').filter((text) => text !== '')) {
      const made = JSON.parse(line) as { id: string; token?: string; skipped?: string };
      if (made.token === undefined) throw new Error(`row ${made.id} was not made: ${made.skipped}`);
      tokens.set(made.id, made.token);
    }
    return tokens;
  } finally {
    rmSync(directory, { recursive: true });
  }
}

interface Canary {
  readonly url: string;
  calls(): number;
  close(): Promise<void>;
}

/** Listens where hostile headers point to; a call means that a header was followed (SSRF). */
async function sessionOf(app: GuardedApp | undefined): Promise<TokenPair> {
  if (app === undefined) throw new TypeError('nothing started');
  const sessions = app.app.get(SessionService);
  const pair = await sessions.start('user-1', { clientId: 'client-1', carrier: 'cookie' });
  recordSecret(pair.accessToken);
  recordSecret(pair.refreshToken);
  return pair;
}

async function openCanary(): Promise<Canary> {
  let calls = 0;
  const server = createServer((_request, response) => {
    calls++;
    response.end('{"keys":[]}');
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  return {
    url: `http://127.0.0.1:${port}/hit`,
    calls: () => calls,
    close: () => new Promise((resolve) => server.close(() => resolve())),
  };
}

// What Node's client agrees to send in a header value.
const HEADER_VALUE = /^[\t\x20-\x7e\x80-\xff]*$/;
/** Node's default `--max-http-header-size`, less the other headers. */
const MAX_HEADER = 15 * 1024;

/** Sends a token as bearer, on the wire byte for byte even where no HTTP client would. */
export function sendToken({ url }: Side, path: string, token: string): Promise<Answer> {
  return HEADER_VALUE.test(token) && token.length <= MAX_HEADER
    ? send(url, path, { token })
    : sendRawToken(url, path, token);
}

async function sendRawToken(url: string, path: string, token: string): Promise<Answer> {
  const lines = [`GET ${path} HTTP/1.1`, 'Host: arena', `Authorization: Bearer ${token}`];
  try {
    return parseAnswer(await sendRaw(url, `${lines.join('\r\n')}\r\nConnection: close\r\n\r\n`));
  } catch (error) {
    // The server hangs up on an oversized header, sometimes before its 431 can be read.
    const { code } = error as NodeJS.ErrnoException;
    if (token.length <= MAX_HEADER || (code !== 'ECONNRESET' && code !== 'EPIPE')) throw error;
    return { status: 431, headers: {}, body: '' };
  }
}

/** Whether the HTTP parser takes the token for a header value at all; else it answers 400 itself. */
export function isHeaderValue(token: string): boolean {
  return HEADER_VALUE.test(token);
}

/** The first answer in what a raw connection gave back. */
export function parseAnswer(text: string): Answer {
  const [head = '', ...rest] = text.split('\r\n\r\n');
  const [statusLine = '', ...lines] = head.split('\r\n');
  const headers = Object.fromEntries(
    lines.map((line) => {
      const colon = line.indexOf(':');
      return [line.slice(0, colon).toLowerCase(), line.slice(colon + 1).trim()] as const;
    }),
  );
  const status = Number(/^HTTP\/1\.1 (\d{3})/.exec(statusLine)?.[1] ?? 0);
  return { status, headers, body: rest.join('\r\n\r\n') };
}

/** What a client can tell answers apart by: all but the date and the request's own id. */
export function faceOf({ status, headers, body }: Answer): string {
  const { date: _date, 'x-request-id': _id, ...others } = headers;
  return JSON.stringify({ status, headers: others, body });
}
