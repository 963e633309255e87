import { deflateSync } from 'node:zlib';

import { KeyError } from '../../lib/kernel/errors.js';
import {
  generateSigningKey,
  publicHalf,
  type SigningKey,
  type VerificationKey,
} from '../../lib/keys/key-material.js';
import { CertificatePins } from '../../lib/keys/remote/certificate-pins.js';
import {
  type StatusListIncident,
  type StatusListIssuer,
  StatusListReader,
  type TokenStatus,
} from '../../lib/status-list/status-list-reader.js';
import type { JsonObject } from '../../lib/kernel/strict-json.js';
import { VerifiedToken } from '../../lib/tokens/verified-token.js';
import { readVectors } from '../vectors/vector-files.js';
import { type Answerer, type IssuerServer, startIssuerServer } from '../support/issuer-server.js';
import { TestClock } from '../support/test-clock.js';
import { createAuthority, opensslPublicKeyPin } from '../support/tls-authority.js';
import { forge } from '../support/token-mother.js';

const ISSUER = 'https://other.example';
const AUDIENCE = 'https://api.example';
const LIST_TYPE = { 'content-type': 'application/statuslist+jwt' };
const MINUTE = 60_000;

const authority = createAuthority();
const certificate = authority.issue();

let server: IssuerServer;
let key: SigningKey;
let otherKey: SigningKey;

beforeAll(async () => {
  server = await startIssuerServer(certificate);
  [key, otherKey] = await Promise.all([generateSigningKey('ES256'), generateSigningKey('ES256')]);
});

let clock: TestClock;
/** The keys of the issuer; `null` while they cannot be had. */
let keys: Map<string, VerificationKey> | null;
let incidents: StatusListIncident[];
const readers: StatusListReader[] = [];

beforeEach(async () => {
  clock = new TestClock();
  keys = new Map([[key.kid, publicHalf(key)]]);
  incidents = [];
  server.answer = serve(await listToken());
  server.show(certificate);
});

afterEach(() => {
  for (const reader of readers.splice(0)) reader.close();
});

function openReader(changes: Partial<StatusListIssuer> = {}): StatusListReader {
  const config: StatusListIssuer = {
    issuer: ISSUER,
    audiences: [AUDIENCE],
    leeway: 10,
    origins: new Map([[server.url.origin, null]]),
    maxListBytes: 2 ** 20,
    maxTtl: 5 * MINUTE,
    staleFor: 5 * MINUTE,
    maxAge: 24 * 60 * MINUTE,
    timeout: 5_000,
    ca: [authority.ca],
    ...changes,
  };
  const known = (): Map<string, VerificationKey> => {
    if (keys === null) throw new KeyError('ERR_KEY_ISSUER_UNAVAILABLE', 'away');
    return keys;
  };
  const reader = new StatusListReader([config], {
    clock,
    keysOf: () => ({
      find: (kid) => known().get(kid),
      stands: (held) => keys?.get(held.kid) === held,
    }),
    report: (incident) => incidents.push(incident),
  });
  readers.push(reader);
  return reader;
}

const uriOf = (path = '/lists/1'): string => new URL(path, server.url).href;

/** The statuses 0, 1, 2, 3 at the indices 0, 1, 2, 3. */
const FOUR = deflateSync(Buffer.from([0b11_10_01_00])).toString('base64url');

interface ListChanges {
  readonly header?: object;
  readonly claims?: object;
  readonly by?: SigningKey;
  readonly lst?: string;
}

function listToken({ header, claims, by = key, lst = FOUR }: ListChanges = {}): Promise<string> {
  const now = Math.floor(clock.seconds());
  return forge(
    by,
    { alg: 'ES256', typ: 'statuslist+jwt', kid: by.kid, ...header },
    {
      iss: ISSUER,
      sub: uriOf(),
      iat: now,
      exp: now + 600,
      ttl: 60,
      status_list: { bits: 2, lst },
      ...claims,
    },
  );
}

function serve(body: string, headers: Record<string, string> = LIST_TYPE): Answerer {
  return (_request, response) => {
    response.writeHead(200, headers);
    response.end(body);
  };
}

const away: Answerer = (_request, response) => {
  response.writeHead(503);
  response.end();
};

function tokenAt(idx: number, uri = uriOf(), iss = ISSUER): VerifiedToken {
  const now = Math.floor(clock.seconds());
  const claims = { iss, sub: 'a', aud: AUDIENCE, exp: now + 300, iat: now, jti: 'b' };
  const status = { status_list: { idx, uri } };
  return VerifiedToken.seal(
    'access',
    { kid: key.kid, algorithm: 'ES256', era: undefined },
    { ...claims, status },
  );
}

const ask = async (reader: StatusListReader, token = tokenAt(0)): Promise<TokenStatus> =>
  reader.status(token);

const codeOf = (attempt: Promise<unknown>): Promise<unknown> =>
  attempt.then(
    () => 'answered',
    (error: unknown) => (error as { readonly code?: unknown }).code ?? error,
  );

const UNAVAILABLE = 'ERR_STATUS_LIST_UNAVAILABLE';
const VALID: TokenStatus = { status: 'valid' };

async function until(condition: () => boolean): Promise<void> {
  for (const deadline = Date.now() + 60_000; !condition();) {
    if (Date.now() > deadline) throw new Error('the condition never held');
    await new Promise((resolve) => setImmediate(resolve));
  }
}

/** Requests since `from`, once nothing is under way. */
async function quiet(from: number): Promise<number> {
  await until(() => server.open === 0);
  return server.paths.length - from;
}

describe('a token', () => {
  it.each<[index: number, status: TokenStatus, code: string]>([
    [0, VALID, 'answered'],
    [1, { status: 'invalid' }, 'ERR_TOKEN_REVOKED'],
    [2, { status: 'suspended' }, 'ERR_TOKEN_REVOKED'],
    [3, { status: 'other', value: 3 }, 'ERR_TOKEN_REVOKED'],
  ])('with the status %s is %j', async (index, status, code) => {
    const reader = openReader();
    expect(await ask(reader, tokenAt(index))).toEqual(status);
    const passing = (async () => reader.assertValid(tokenAt(index)))();
    expect(await codeOf(passing)).toBe(code);
    // And at once, now that the list is known.
    expect(reader.status(tokenAt(index))).toEqual(status);
  });

  it('without the claim, or of an issuer whose lists are not read, is none of ours', () => {
    const reader = openReader();
    const { status: _status, ...claims } = tokenAt(1).claims;
    const bare = VerifiedToken.seal(
      'access',
      { kid: key.kid, algorithm: 'ES256', era: undefined },
      claims,
    );
    expect(reader.status(bare)).toEqual({ status: 'unlisted' });
    expect(reader.assertValid(bare)).toBeUndefined();
    const foreign = tokenAt(1, uriOf(), 'https://third.example');
    expect(reader.status(foreign)).toEqual({ status: 'unlisted' });
  });

  it('with a status of another meaning passes, unless a place on a list is demanded', async () => {
    const claims = { ...tokenAt(1).claims, status: 'active' };
    const facts = { kid: key.kid, algorithm: 'ES256', era: undefined } as const;
    const token = VerifiedToken.seal('access', facts, claims);
    expect(openReader().status(token)).toEqual({ status: 'unlisted' });
    const strict = openReader({ unlisted: 'refuse' });
    const passing = (async () => strict.assertValid(token))();
    expect(await codeOf(passing)).toBe('ERR_TOKEN_CLAIM_INVALID');
    expect(await ask(strict, tokenAt(0))).toEqual(VALID);
  });

  it.each([4, 2 ** 31, Number.MAX_SAFE_INTEGER])('beyond the list (%s) is refused', async (idx) => {
    expect(await codeOf(ask(openReader(), tokenAt(idx)))).toBe('ERR_TOKEN_CLAIM_INVALID');
  });

  it('cannot have us ask anybody else', async () => {
    const elsewhere = await startIssuerServer(certificate, serve(await listToken()));
    const before = server.paths.length;
    const reader = openReader();
    for (const uri of [elsewhere.url.href, 'http://127.0.0.1/', `${uriOf()}#x`]) {
      expect(await codeOf(ask(reader, tokenAt(0, uri)))).toBe('ERR_TOKEN_CLAIM_INVALID');
    }
    expect([elsewhere.paths.length, await quiet(before)]).toEqual([0, 0]);
  });

  it('reads the lists of the specification', async () => {
    const { vectors } = readVectors('status-list/status_list_vectors.json') as {
      readonly vectors: readonly {
        readonly bits: number;
        readonly lst: string;
        readonly expected: Readonly<Record<string, number>>;
      }[];
    };
    for (const { bits, lst, expected } of vectors) {
      server.answer = serve(await listToken({ claims: { status_list: { bits, lst } } }));
      const reader = openReader();
      await ask(reader);
      const found = Object.keys(expected).map((index) => reader.status(tokenAt(Number(index))));
      const names = ['valid', 'invalid', 'suspended'];
      expect(found).toEqual(
        Object.values(expected).map((value) =>
          value < 3 ? { status: names[value] } : { status: 'other', value },
        ),
      );
    }
  });
});

describe('a list', () => {
  it('is asked for as the specification says', async () => {
    await ask(openReader());
    expect(server.paths.at(-1)).toBe('/lists/1');
    expect(server.headers).toMatchObject({
      accept: 'application/statuslist+jwt',
      'accept-encoding': 'identity',
    });
    expect(server.headers).not.toHaveProperty('authorization');
  });

  it.each<[what: string, changes: ListChanges]>([
    ['without iss', { claims: { iss: undefined } }],
    ['without exp', { claims: { exp: undefined } }],
    ['without ttl', { claims: { ttl: undefined } }],
    ['with the media type for a type', { header: { typ: 'application/statuslist+jwt' } }],
    ['for us', { claims: { aud: AUDIENCE } }],
    ['for us and others', { claims: { aud: ['x', AUDIENCE] } }],
    ['with other claims', { claims: { nbf: 1, other: {} } }],
    ['by a clock that is a little ahead', { claims: { iat: 1_795_305_605 } }],
  ])('may be %s', async (_what, changes) => {
    server.answer = serve(await listToken(changes));
    expect(await ask(openReader())).toEqual(VALID);
  });

  const NOW = new TestClock().seconds();

  it.each<[what: string, failure: string, body: () => Promise<string>]>([
    ['of another type', 'wrong-type', () => listToken({ header: { typ: 'JWT' } })],
    ['that is an access token', 'wrong-type', () => listToken({ header: { typ: 'at+jwt' } })],
    ['without a type', 'wrong-type', () => listToken({ header: { typ: undefined } })],
    ['not signed', 'wrong-algorithm', () => listToken({ header: { alg: 'none' } })],
    ['with a MAC', 'wrong-algorithm', () => listToken({ header: { alg: 'HS256' } })],
    ['with another algorithm', 'wrong-algorithm', () => listToken({ header: { alg: 'ES384' } })],
    ['of an unknown key', 'unknown-key', () => listToken({ by: otherKey })],
    ['without a kid', 'unknown-key', () => listToken({ header: { kid: undefined } })],
    [
      'of another key under our kid',
      'bad-signature',
      () => listToken({ by: otherKey, header: { kid: key.kid } }),
    ],
    ['with a crit', 'not-a-token', () => listToken({ header: { crit: ['x'] } })],
    ['with its own key', 'not-a-token', () => listToken({ header: { jwk: {} } })],
    ['compressed as a token', 'not-a-token', () => listToken({ header: { zip: 'DEF' } })],
    ['changed', 'bad-signature', async () => (await listToken()).replace(/.{8}$/, 'AAAAAAAA')],
    ['cut off', 'not-a-token', async () => (await listToken()).split('.').slice(0, 2).join('.')],
    ['followed by a line break', 'not-a-token', async () => `${await listToken()}\n`],
    ['in JSON', 'not-a-token', async () => JSON.stringify({ payload: await listToken() })],
    ['empty', 'not-a-token', async () => ''],
    ['with claims twice', 'not-a-token', () => forgeRaw('{"sub":"a","sub":"b"}')],
    [
      'of another issuer',
      'wrong-issuer',
      () => listToken({ claims: { iss: 'https://x.example' } }),
    ],
    ['of another place', 'wrong-subject', () => listToken({ claims: { sub: uriOf('/lists/2') } })],
    [
      'of its place in other letters',
      'wrong-subject',
      () => listToken({ claims: { sub: `${uriOf()}/` } }),
    ],
    ['of no place', 'wrong-subject', () => listToken({ claims: { sub: undefined } })],
    ['for others', 'wrong-audience', () => listToken({ claims: { aud: ['x'] } })],
    ['for nobody', 'wrong-audience', () => listToken({ claims: { aud: [] } })],
    ['without iat', 'malformed-claims', () => listToken({ claims: { iat: undefined } })],
    ['with a text for iat', 'malformed-claims', () => listToken({ claims: { iat: '1' } })],
    ['with a text for exp', 'malformed-claims', () => listToken({ claims: { exp: '9999999999' } })],
    [
      'with an endless exp',
      'malformed-claims',
      () => forgeRaw(`{"sub":"${uriOf()}","iat":1,"exp":1e400}`),
    ],
    ['with no ttl to speak of', 'malformed-claims', () => listToken({ claims: { ttl: 0 } })],
    ['with a negative ttl', 'malformed-claims', () => listToken({ claims: { ttl: -60 } })],
    ['with a text for ttl', 'malformed-claims', () => listToken({ claims: { ttl: '60' } })],
    ['with null for ttl', 'malformed-claims', () => listToken({ claims: { ttl: null } })],
    ['that has expired', 'expired', () => listToken({ claims: { iat: NOW - 900, exp: NOW - 10 } })],
    [
      'that is too old',
      'expired',
      () => listToken({ claims: { iat: NOW - 86_400, exp: undefined } }),
    ],
    ['from the future', 'not-yet-valid', () => listToken({ claims: { iat: NOW + 11 } })],
    ['for the future', 'not-yet-valid', () => listToken({ claims: { nbf: NOW + 11 } })],
    ['without a list', 'malformed-claims', () => listToken({ claims: { status_list: undefined } })],
    [
      'with a list for a list',
      'malformed-claims',
      () => listToken({ claims: { status_list: [1] } }),
    ],
    [
      'without bits',
      'malformed-claims',
      () => listToken({ claims: { status_list: { lst: FOUR } } }),
    ],
    [
      'with 3 bits',
      'malformed-claims',
      () => listToken({ claims: { status_list: { bits: 3, lst: FOUR } } }),
    ],
    [
      'with a text for bits',
      'malformed-claims',
      () => listToken({ claims: { status_list: { bits: '1', lst: FOUR } } }),
    ],
    ['without lst', 'malformed-claims', () => listToken({ claims: { status_list: { bits: 1 } } })],
    ['with an lst that is none', 'not-base64url', () => listToken({ lst: '=' })],
    [
      'with an lst that is cut off',
      'not-one-zlib-stream',
      () => listToken({ lst: FOUR.slice(0, -4) }),
    ],
    [
      'that unpacks to too much',
      'list-too-large',
      () => listToken({ lst: deflateSync(Buffer.alloc(2 ** 20 + 1)).toString('base64url') }),
    ],
  ])('is not used: %s', async (_what, failure, body) => {
    server.answer = serve(await body());
    const reader = openReader();
    const before = server.paths.length;
    expect(await codeOf(ask(reader))).toBe(UNAVAILABLE);
    expect(incidents).toEqual([{ issuer: ISSUER, origin: server.url.origin, failure }]);
    // Nor is it asked for again at once.
    expect(await codeOf(ask(reader))).toBe(UNAVAILABLE);
    expect(await quiet(before)).toBe(1);
  });

  const forgeRaw = (payload: string): Promise<string> =>
    forge(key, { alg: 'ES256', typ: 'statuslist+jwt', kid: key.kid }, payload);

  it.each<[what: string, failure: string, answer: Answerer]>([
    ['a redirect', 'bad-status', redirect],
    ['an error', 'bad-status', away],
    ['another media type', 'bad-media-type', serve('x', { 'content-type': 'application/jwt' })],
    ['a page', 'bad-media-type', serve('x', { 'content-type': 'text/html' })],
    ['gzip', 'encoded', serve('x', { ...LIST_TYPE, 'content-encoding': 'gzip' })],
    ['more than a list can have', 'too-large', serve('x'.repeat(1_904_000))],
    ['nothing', 'connection-failed', (request) => void request.socket.destroy()],
  ])('is not had from %s', async (_what, failure, answer) => {
    server.answer = answer;
    const before = server.paths.length;
    expect(await codeOf(ask(openReader()))).toBe(UNAVAILABLE);
    expect(incidents).toMatchObject([{ failure }]);
    expect(await quiet(before)).toBe(1);
  });

  function redirect(
    _request: Parameters<Answerer>[0],
    response: Parameters<Answerer>[1],
  ): ReturnType<Answerer> {
    response.writeHead(302, { ...LIST_TYPE, location: uriOf('/lists/2') });
    response.end();
  }

  it('is not waited for longer than configured', async () => {
    server.answer = () => {};
    expect(await codeOf(ask(openReader({ timeout: 200 })))).toBe(UNAVAILABLE);
    expect(incidents).toMatchObject([{ failure: 'timeout' }]);
  });

  it('is only had from a server that is recognised', async () => {
    const pinned = (pin: string): Partial<StatusListIssuer> => ({
      origins: new Map([[server.url.origin, new CertificatePins({ publicKeys: [pin] })]]),
    });
    const other = opensslPublicKeyPin(authority.issue().cert);
    expect(await codeOf(ask(openReader(pinned(other))))).toBe(UNAVAILABLE);
    expect(await codeOf(ask(openReader({ ca: [] })))).toBe(UNAVAILABLE);
    expect(incidents).toMatchObject([
      { failure: 'pin-mismatch' },
      { failure: 'certificate-refused' },
    ]);
    const own = opensslPublicKeyPin(certificate.cert);
    expect(await ask(openReader(pinned(own)))).toEqual(VALID);
  });

  it('is not verified without the keys of its issuer', async () => {
    keys = null;
    const reader = openReader();
    expect(await codeOf(ask(reader))).toBe(UNAVAILABLE);
    expect(incidents).toMatchObject([{ failure: 'keys-unavailable' }]);
  });
});

describe('a list that is known', () => {
  const revoked = deflateSync(Buffer.from([0b01_01_01_01])).toString('base64url');

  it('is fetched once, however many ask', async () => {
    const reader = openReader();
    const before = server.paths.length;
    await Promise.all(Array.from({ length: 50 }, (_, each) => ask(reader, tokenAt(each % 4))));
    expect(await quiet(before)).toBe(1);
  });

  it('is gone by for its ttl, renewed ahead, and waited for afterwards', async () => {
    const reader = openReader();
    const before = server.paths.length;
    await ask(reader);
    server.answer = serve(await listToken({ lst: revoked }));
    clock.advance(47_999);
    expect(reader.status(tokenAt(0))).toEqual(VALID);
    expect(await quiet(before)).toBe(1);
    clock.advance(12_001);
    // Its time is over: nobody goes by it any more.
    expect(await ask(reader)).toEqual({ status: 'invalid' });
    expect(await quiet(before)).toBe(2);
    clock.advance(48_000);
    expect(reader.status(tokenAt(0))).toEqual({ status: 'invalid' });
    await until(() => server.paths.length === before + 3);
  });

  it.each([
    ['a day', { ttl: 86_400, exp: 1e10 }, 5 * MINUTE],
    ['nothing', { ttl: undefined, exp: undefined }, 5 * MINUTE],
    ['a moment', { ttl: 0.001 }, 5_000],
    ['more than until its exp', { ttl: 60, exp: new TestClock().seconds() + 20 }, 30_000],
  ])(
    'is gone by for no longer than we allow when its ttl says %s',
    async (_what, claims, length) => {
      server.answer = serve(await listToken({ claims }));
      const reader = openReader({ staleFor: 0 });
      await ask(reader);
      server.answer = away;
      clock.advance(length - 1);
      expect(reader.status(tokenAt(0))).toEqual(VALID);
      clock.advance(1);
      expect(await codeOf(ask(reader))).toBe(UNAVAILABLE);
    },
  );

  it('is used for a while when the next cannot be had, and then no more', async () => {
    const reader = openReader();
    await ask(reader);
    server.answer = away;
    for (let waited = 60_000; waited < 360_000; waited += 30_000) {
      clock.advance(waited === 60_000 ? 60_000 : 30_000);
      expect(await ask(reader)).toEqual(VALID);
    }
    expect(incidents).toHaveLength(1);
    clock.advance(29_999);
    expect(await ask(reader)).toEqual(VALID);
    clock.advance(1);
    expect(await codeOf(ask(reader))).toBe(UNAVAILABLE);
    // And again as soon as it can be had.
    server.answer = serve(await listToken());
    clock.advance(30_000);
    expect(await ask(reader)).toEqual(VALID);
    expect(incidents.map(({ failure }) => failure)).toEqual(['bad-status', null]);
  });

  it('is not used beyond its exp, however long lists may be', async () => {
    const reader = openReader({ staleFor: 24 * 60 * MINUTE });
    await ask(reader);
    server.answer = away;
    clock.advance(610_000 - 1);
    expect(await ask(reader)).toEqual(VALID);
    clock.advance(1);
    expect(await codeOf(ask(reader))).toBe(UNAVAILABLE);
  });

  it('lives no longer when the clock is set back', async () => {
    const reader = openReader({ staleFor: 0 });
    await ask(reader);
    server.answer = away;
    clock.advance(30_000);
    expect(reader.status(tokenAt(0))).toEqual(VALID);
    clock.advance(-3_600_000);
    expect(reader.status(tokenAt(0))).toEqual(VALID);
    clock.advance(30_000);
    expect(await codeOf(ask(reader))).toBe(UNAVAILABLE);
  });

  it('does not hammer a server that is down', async () => {
    const reader = openReader();
    await ask(reader);
    server.answer = away;
    const before = server.paths.length;
    clock.advance(60_000);
    for (let each = 0; each < 20; each++) await ask(reader);
    expect(await quiet(before)).toBe(1);
    for (let each = 0; each < 60; each++) {
      clock.advance(1_000);
      await ask(reader);
    }
    // 1 s, 2 s, 4 s, 8 s, 16 s, 30 s, each shortened by up to half.
    expect(await quiet(before)).toBeLessThanOrEqual(9);
  });

  it('is not given up for an older one', async () => {
    const older = await listToken();
    clock.advance(5_000);
    server.answer = serve(await listToken({ lst: revoked }));
    const reader = openReader();
    expect(await ask(reader)).toEqual({ status: 'invalid' });
    server.answer = serve(older);
    clock.advance(60_000);
    expect(await ask(reader)).toEqual({ status: 'invalid' });
    expect(incidents).toMatchObject([{ failure: 'older-than-before' }]);
  });

  it('is not followed by an older one, also when its own time is over', async () => {
    const older = await listToken({ claims: { exp: undefined } });
    clock.advance(5_000);
    server.answer = serve(await listToken({ lst: revoked }));
    const reader = openReader();
    expect(await ask(reader)).toEqual({ status: 'invalid' });
    clock.advance(24 * 60 * MINUTE - 10_000);
    server.answer = serve(older);
    expect(await codeOf(ask(reader))).toBe(UNAVAILABLE);
    expect(incidents).toMatchObject([{ failure: 'older-than-before' }]);
    // A newer one is as good as ever.
    clock.advance(30_000);
    server.answer = serve(await listToken({ lst: revoked }));
    expect(await ask(reader)).toEqual({ status: 'invalid' });
  });

  it('is not followed by an older one when its key was withdrawn', async () => {
    keys?.set(otherKey.kid, publicHalf(otherKey));
    const older = await listToken({ by: otherKey });
    clock.advance(5_000);
    server.answer = serve(await listToken({ lst: revoked }));
    const reader = openReader();
    expect(await ask(reader)).toEqual({ status: 'invalid' });
    keys = new Map([...(keys ?? [])].filter(([kid]) => kid === otherKey.kid));
    server.answer = serve(older);
    expect(await codeOf(ask(reader))).toBe(UNAVAILABLE);
  });

  it('ends with the key that signed it', async () => {
    const reader = openReader();
    await ask(reader);
    keys = new Map([[otherKey.kid, publicHalf(otherKey)]]);
    expect(await codeOf(ask(reader))).toBe(UNAVAILABLE);
    expect(incidents).toMatchObject([{ failure: 'unknown-key' }]);
    clock.advance(30_000);
    server.answer = serve(await listToken({ by: otherKey }));
    expect(await ask(reader)).toEqual(VALID);
  });

  it('is looked at again for a token it has no room for, after a while', async () => {
    const reader = openReader();
    await ask(reader);
    const longer = deflateSync(Buffer.from([0, 0b01])).toString('base64url');
    server.answer = serve(await listToken({ lst: longer }));
    const before = server.paths.length;
    expect(await codeOf(ask(reader, tokenAt(4)))).toBe('ERR_TOKEN_CLAIM_INVALID');
    expect(await quiet(before)).toBe(0);
    clock.advance(30_000);
    expect(await ask(reader, tokenAt(4))).toEqual({ status: 'invalid' });
    expect(await codeOf(ask(reader, tokenAt(8)))).toBe('ERR_TOKEN_CLAIM_INVALID');
    expect(await quiet(before)).toBe(1);
  });

  it('leaves open what is beyond its end while a longer one cannot be had, and asks no more often', async () => {
    const reader = openReader();
    await ask(reader);
    server.answer = away;
    const before = server.paths.length;
    clock.advance(30_000);
    for (let each = 0; each < 40; each++) {
      expect(await codeOf(ask(reader, tokenAt(4)))).toBe(UNAVAILABLE);
    }
    expect(await quiet(before)).toBe(1);
    // What is on the list is known all the same.
    expect(reader.status(tokenAt(1))).toEqual({ status: 'invalid' });
    // Also when it is only used for want of a newer one.
    clock.advance(60_000);
    expect(await codeOf(ask(reader, tokenAt(4)))).toBe(UNAVAILABLE);
    expect(await ask(reader, tokenAt(1))).toEqual({ status: 'invalid' });
    server.answer = serve(await listToken());
    clock.advance(30_000);
    expect(await codeOf(ask(reader, tokenAt(4)))).toBe('ERR_TOKEN_CLAIM_INVALID');
  });

  it('is one of many, and those that were used last are kept', async () => {
    server.answer = (request, response) => {
      const path = request.url ?? '';
      void listToken({ claims: { sub: uriOf(path) } }).then((body) =>
        serve(body)(request, response),
      );
    };
    const reader = openReader({ maxListBytes: 1_024 });
    await Promise.all([1, 2, 3].map((each) => ask(reader, tokenAt(0, uriOf(`/lists/${each}`)))));
    const before = server.paths.length;
    for (const each of [1, 2, 3]) {
      expect(reader.status(tokenAt(1, uriOf(`/lists/${each}`)))).toEqual({ status: 'invalid' });
    }
    expect(await quiet(before)).toBe(0);
  });

  it('cannot be had any more once the reader is closed', async () => {
    const reader = openReader();
    server.answer = () => {};
    const asked = codeOf(ask(reader));
    reader.close();
    expect(await asked).toBe(UNAVAILABLE);
    expect(incidents).toEqual([]);
  });

  it('does not suffer from who hears of it', async () => {
    server.answer = away;
    const reader = openReader();
    incidents.push = () => {
      throw new Error('no room');
    };
    expect(await codeOf(ask(reader))).toBe(UNAVAILABLE);
  });
});

describe('what a token says', () => {
  it('is not repeated in what is reported', async () => {
    server.answer = away;
    const uri = uriOf('/lists/very-private');
    await codeOf(ask(openReader(), tokenAt(0, uri)));
    const said: readonly JsonObject[] = incidents.map((incident) => ({ ...incident }));
    expect(JSON.stringify(said)).not.toContain('very-private');
  });
});
