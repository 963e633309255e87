import { TokenError } from '../../lib/kernel/errors.js';
import { ADAPTERS } from '../support/guarded-app.js';
import { type Answer, send, sendRaw } from '../support/http.js';
import {
  type Arena,
  faceOf,
  isHeaderValue,
  openArena,
  PAGE,
  parseAnswer,
  ROUTES,
  sendToken,
  type TokenRow,
} from './arena.js';
import { readRows } from './vector-files.js';

/** Every row of the malicious sample against a real HTTP application, on both adapters. */

interface RequestRow {
  readonly id: string;
  readonly name: string;
  readonly class: string;
  readonly method: string;
  readonly path: string;
  readonly headers: readonly (readonly [string, string])[];
  readonly body: string | null;
  readonly raw_socket: boolean;
  readonly expected: 'accept' | 'reject';
  readonly status: readonly number[];
}

const tokenRows = readRows('malicious/malicious_tokens.sample.jsonl') as readonly TokenRow[];
const requestRows = readRows('malicious/malicious_requests.sample.jsonl') as readonly RequestRow[];

/** Rows for a service that takes DPoP proofs: judged in dpop-requests.spec.ts, and refused by any other. */
const OF_DPOP: ReadonlyMap<string, string> = new Map([
  ['T293', 'a right DPoP proof'],
  ['T294', 'a right DPoP proof with another spelling of htu'],
  ['H048', 'two DPoP proofs'],
]);

const judgedTokens = tokenRows.filter(({ id }) => !OF_DPOP.has(id));
const judgedRequests = requestRows.filter(({ id }) => !OF_DPOP.has(id));

let arena: Arena;
let tokens: ReadonlyMap<string, string>;

beforeAll(async () => {
  arena = await openArena();
  tokens = arena.materialize(tokenRows);
});

afterAll(() => arena.close());

function tokenOf(row: TokenRow): string {
  const token = tokens.get(row.id);
  if (token === undefined) throw new TypeError(`no token for ${row.id}`);
  return token;
}

/** What a row of requests names, as this application has it; in cookies, a session's own tokens. */
function fill(text: string): string {
  const inCookie = text.includes('{{ACCESS_COOKIE}}');
  const names: Readonly<Record<string, string>> = {
    PROTECTED: ROUTES.protected,
    PROTECTED_POST: '/things',
    ADMIN: ROUTES.admin,
    JWKS: '/.well-known/jwks.json',
    VALID: inCookie ? arena.carried.accessToken : arena.valid,
    VALID_JKT_BOUND: arena.bound,
    PROOF: tokens.get('T293') ?? '',
    PROOF2: tokens.get('T294') ?? '',
    ACCESS_COOKIE: '__Host-access_token',
    CSRF_COOKIE: '__Host-csrf_token',
    CSRF_HEADER: 'X-CSRF-Token',
    CSRF: arena.carried.csrfToken,
    ORIGIN: PAGE,
  };
  return text.replaceAll(/\{\{([A-Z_0-9]+)\}\}/g, (_, name: string) => {
    const value = names[name];
    if (value === undefined) throw new TypeError(`no value for ${name}`);
    return value;
  });
}

async function sendRow(row: RequestRow, url: string): Promise<Answer> {
  const headers = row.headers.map(([name, value]) => [fill(name), fill(value)] as const);
  if (!row.raw_socket) {
    return send(url, fill(row.path), {
      method: row.method,
      headers: Object.fromEntries(headers),
      ...(row.body === null ? {} : { body: JSON.parse(row.body) as unknown }),
    });
  }
  const lines = [
    `${row.method} ${fill(row.path)} HTTP/1.1`,
    'Host: arena',
    ...headers.map(([name, value]) => `${name}: ${value}`),
    'Connection: close',
  ];
  return parseAnswer(await sendRaw(url, `${lines.join('\r\n')}\r\n\r\n${row.body ?? ''}`));
}

describe.each(ADAPTERS)('malicious sample on %s', (adapter) => {
  it.each(judgedTokens)('$id $class: $name is $expected', async (row) => {
    const answer = await sendToken(arena.side(adapter), ROUTES[row.route], tokenOf(row));
    // A line break cannot stand in a header: there the HTTP parser refuses, before the application.
    const parserRefuses = isHeaderValue(tokenOf(row)) ? [] : [400];
    expect([...row.status, ...parserRefuses]).toContain(answer.status);
  });

  it.each(judgedRequests)('$id $class: $name is $expected', async (row) => {
    const answer = await sendRow(row, arena.side(adapter).url);
    expect(row.status).toContain(answer.status);
  });

  it.each(tokenRows.filter(({ id }) => OF_DPOP.has(id)))(
    '$id $class: $name, for others, is refused as bearer token',
    async (row) => {
      const answer = await sendToken(arena.side(adapter), ROUTES[row.route], tokenOf(row));
      expect(answer.status).toBe(401);
    },
  );

  it.each(requestRows.filter(({ id }) => OF_DPOP.has(id)))(
    '$id $class: $name, for others, is refused',
    async (row) => {
      expect(await sendRow(row, arena.side(adapter).url)).toMatchObject({ status: 401 });
    },
  );

  it('answers all refused tokens of one status with the same bytes (RFC 6750 §3.1)', async () => {
    const faces = new Map<number, Set<string>>();
    for (const row of tokenRows) {
      const answer = await sendToken(arena.side(adapter), ROUTES[row.route], tokenOf(row));
      // What the HTTP parser refuses never reaches the application.
      if (![401, 403].includes(answer.status)) continue;
      faces.set(answer.status, (faces.get(answer.status) ?? new Set()).add(faceOf(answer)));
    }
    expect([...faces].map(([status, set]) => [status, set.size])).toEqual([[401, 1]]);
    expect([...(faces.get(401) ?? [])][0]).toContain('{\\"error\\":\\"invalid_token\\"}');
  });

  it('H003: without credentials the challenge names no error (RFC 6750 §3)', async () => {
    const answer = await send(arena.side(adapter).url, ROUTES.protected);
    expect(answer.headers['www-authenticate']).toBe('Bearer');
    expect(answer.body).toBe('{"error":"unauthorized"}');
  });

  it('H036: HEAD is refused without a body', async () => {
    const answer = await send(arena.side(adapter).url, ROUTES.protected, { method: 'HEAD' });
    expect([answer.status, answer.body]).toEqual([401, '']);
  });

  it('H080: the JWKS holds public members only, each key with kid, alg and use', async () => {
    const answer = await send(arena.side(adapter).url, '/.well-known/jwks.json');
    const { keys } = JSON.parse(answer.body) as { readonly keys: readonly object[] };
    expect(keys.map((key) => Object.keys(key).toSorted())).toEqual([
      ['alg', 'crv', 'kid', 'kty', 'use', 'x', 'y'],
    ]);
    expect(answer.headers['cache-control']).toBe('public, max-age=300');
  });
});

describe('malicious sample', () => {
  it.each(tokenRows.filter(({ expected, slot }) => expected === 'reject' || slot === 'dpop'))(
    '$id $class: the verifier itself refuses $name with a TokenError',
    async (row) => {
      await expect(arena.side('express').tokens.verify(tokenOf(row))).rejects.toThrow(TokenError);
    },
  );

  it('no header is ever followed: the canary was not called', () => {
    expect(arena.canaryCalls()).toBe(0);
  });
});
