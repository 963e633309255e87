import { X509Certificate } from 'node:crypto';

import { SystemClock } from '../../../lib/kernel/clock.js';
import { KeyError } from '../../../lib/kernel/errors.js';
import { CertificatePins, fingerprintsOf } from '../../../lib/keys/remote/certificate-pins.js';
import {
  exportPrivateJwk,
  generateSigningKey,
  type HeldSigningKey,
  type VerificationKey,
} from '../../../lib/keys/key-material.js';
import type { RemoteJwksIncident } from '../../../lib/keys/remote/remote-incident.js';
import { RemoteJwks, type RemoteJwksConfig } from '../../../lib/keys/remote/remote-jwks.js';
import { createSignature, SignatureVerifier } from '../../../lib/keys/signature.js';
import {
  type Answerer,
  type IssuerServer,
  sendJson,
  startIssuerServer,
} from '../../support/issuer-server.js';
import { TestClock } from '../../support/test-clock.js';
import { createAuthority } from '../../support/tls-authority.js';

const SECOND = 1_000;
const MINUTE = 60 * SECOND;
const HOUR = 60 * MINUTE;
const ISSUER = 'https://other.example';

const authority = createAuthority();
const certificate = authority.issue();

let keys: readonly HeldSigningKey[];
let server: IssuerServer;
let clock: TestClock;
let incidents: RemoteJwksIncident[];
const opened: RemoteJwks[] = [];

beforeAll(async () => {
  keys = await Promise.all([1, 2, 3].map(() => generateSigningKey('ES256')));
  server = await startIssuerServer(certificate);
});

let requestsBefore = 0;
const fetches = (): number => server.paths.length - requestsBefore;

beforeEach(async () => {
  clock = new TestClock();
  incidents = [];
  server.show(certificate);
  publish(key(0));
  await server.close();
  await server.reopen();
  requestsBefore = server.paths.length;
});

afterEach(() => {
  for (const jwks of opened.splice(0)) jwks.close();
});

function key(index: number): HeldSigningKey {
  const found = keys[index];
  if (found === undefined) throw new RangeError(`there is no key ${index}`);
  return found;
}

function publish(...published: readonly HeldSigningKey[]): void {
  server.answer = sendJson({ keys: published.map(({ publicJwk }) => publicJwk) });
}

/** Answers only when it is told to, as the answerer in its place would. */
function hold(): { readonly release: () => void } {
  const { answer } = server;
  const waiting: (() => void)[] = [];
  server.answer = (request, response) => waiting.push(() => answer(request, response));
  return {
    release: () => {
      server.answer = answer;
      for (const proceed of waiting) proceed();
    },
  };
}

const config = (overrides: Partial<RemoteJwksConfig> = {}): RemoteJwksConfig => ({
  issuer: ISSUER,
  jwksUri: server.url,
  algorithms: ['ES256'],
  pins: null,
  timeout: 5 * SECOND,
  cacheFor: 10 * MINUTE,
  staleFor: HOUR,
  cooldown: 30 * SECOND,
  ca: [authority.ca],
  ...overrides,
});

function open(overrides?: Partial<RemoteJwksConfig>): RemoteJwks {
  const jwks = new RemoteJwks(config(overrides), clock, (incident) => incidents.push(incident));
  opened.push(jwks);
  return jwks;
}

async function openFetched(overrides?: Partial<RemoteJwksConfig>): Promise<RemoteJwks> {
  const jwks = open(overrides);
  await jwks.prefetch();
  return jwks;
}

/** What `find` knows without waiting. */
function findNow(jwks: RemoteJwks, kid: string): VerificationKey | undefined {
  const found = jwks.find(kid);
  if (found instanceof Promise) throw new Error('it has to wait');
  return found;
}

async function until(condition: () => boolean): Promise<void> {
  const deadline = Date.now() + 60_000;
  while (!condition()) {
    if (Date.now() > deadline) throw new Error('the condition never held');
    await new Promise((resolve) => setImmediate(resolve));
  }
}

async function outcome(attempt: () => unknown): Promise<unknown> {
  try {
    return await attempt();
  } catch (error) {
    if (error instanceof KeyError) return error.code;
    throw error;
  }
}

const typesOf = (): readonly string[] => incidents.map(({ type }) => type);
const failuresOf = (jwks: RemoteJwks): number => jwks.status().failures;

/** Lets one refresh fail that is due now. */
async function failOnce(jwks: RemoteJwks, kid: string): Promise<void> {
  const before = failuresOf(jwks);
  await outcome(() => jwks.find(kid));
  await until(() => failuresOf(jwks) === before + 1);
}

const UNAVAILABLE = 'ERR_KEY_ISSUER_UNAVAILABLE';

describe('a key', () => {
  it('is fetched once, however many ask for it, and then known at once', async () => {
    const jwks = open();
    const found = await Promise.all(Array.from({ length: 50 }, async () => jwks.find(key(0).kid)));
    expect(new Set(found).size).toBe(1);
    expect(found[0]?.publicJwk).toEqual(key(0).publicJwk);
    expect(findNow(jwks, key(0).kid)).toBe(found[0]);
    expect(fetches()).toBe(1);
  });

  it('verifies what its issuer signed', async () => {
    const jwks = await openFetched();
    const found = findNow(jwks, key(0).kid);
    const input = Buffer.from('a.b');
    const signature = await createSignature(key(0).row, key(0).privateKey, input);
    if (found === undefined) throw new Error('the key is not known');
    const verify = (text: Buffer): boolean | Promise<boolean> =>
      new SignatureVerifier().verify({ key: found, input: text, signature });
    expect(await verify(input)).toBe(true);
    expect(await verify(Buffer.from('a.c'))).toBe(false);
  });

  it('stands as the very same through refreshes that do not change it', async () => {
    const jwks = await openFetched();
    const found = findNow(jwks, key(0).kid);
    publish(key(0), key(1));
    expect((await jwks.find(key(1).kid))?.kid).toBe(key(1).kid);
    expect(findNow(jwks, key(0).kid)).toBe(found);
    expect(found !== undefined && jwks.stands(found)).toBe(true);
  });

  it('stops at once when it leaves the document', async () => {
    const jwks = await openFetched();
    const found = findNow(jwks, key(0).kid);
    publish(key(1));
    await jwks.find(key(1).kid);
    expect(findNow(jwks, key(0).kid)).toBeUndefined();
    expect(found !== undefined && jwks.stands(found)).toBe(false);
    expect(incidents.at(-1)).toEqual({
      type: 'keys-changed',
      issuer: ISSUER,
      severity: 'info',
      added: [key(1).kid],
      removed: [key(0).kid],
      replaced: [],
    });
  });

  it('stops at once when another takes its kid', async () => {
    const jwks = await openFetched();
    const found = findNow(jwks, key(0).kid);
    server.answer = sendJson({ keys: [{ ...key(1).publicJwk, kid: key(0).kid }] });
    await jwks.find('unknown');
    const { x, y } = findNow(jwks, key(0).kid)?.publicJwk ?? {};
    expect({ x, y }).toEqual({ x: key(1).publicJwk.x, y: key(1).publicJwk.y });
    expect(found !== undefined && jwks.stands(found)).toBe(false);
    expect(incidents.at(-1)).toMatchObject({ added: [], removed: [], replaced: [key(0).kid] });
  });
});

describe('an unknown kid', () => {
  it('is looked for at the issuer, once per cooldown', async () => {
    const jwks = await openFetched();
    await expect(jwks.find('unknown')).resolves.toBeUndefined();
    expect(fetches()).toBe(2);
    clock.advance(30 * SECOND - 1);
    expect(findNow(jwks, 'unknown')).toBeUndefined();
    expect(findNow(jwks, 'another')).toBeUndefined();
    expect(fetches()).toBe(2);
    clock.advance(1);
    await expect(jwks.find('another')).resolves.toBeUndefined();
    expect(fetches()).toBe(3);
  });

  it('is found when it came with a rotation', async () => {
    const jwks = await openFetched();
    publish(key(0), key(1));
    expect((await jwks.find(key(1).kid))?.publicJwk).toEqual(key(1).publicJwk);
    expect(fetches()).toBe(2);
  });

  it('is found within one cooldown in the middle of a flood', async () => {
    const jwks = await openFetched();
    await jwks.find('bad');
    publish(key(0), key(1));
    // The look of this cooldown is spent.
    expect(findNow(jwks, key(1).kid)).toBeUndefined();
    for (let index = 0; index < 300; index++) {
      clock.advance(100);
      await jwks.find(`bad-${index}`);
    }
    expect(findNow(jwks, key(1).kid)?.kid).toBe(key(1).kid);
    expect(fetches()).toBe(3);
  });

  it('that keeps coming does not keep a new one from being found', async () => {
    const jwks = await openFetched();
    await jwks.find('abandoned');
    clock.advance(30 * SECOND);
    await jwks.find('abandoned');
    clock.advance(30 * SECOND);
    publish(key(1));
    expect(findNow(jwks, 'abandoned')).toBeUndefined();
    expect((await jwks.find(key(1).kid))?.kid).toBe(key(1).kid);
  });

  it('waits for a fetch under way instead of causing another', async () => {
    const jwks = open();
    const { release } = hold();
    const prefetching = jwks.prefetch();
    const found = [jwks.find(key(0).kid), jwks.find('unknown')];
    await until(() => fetches() === 1);
    release();
    await prefetching;
    expect((await found[0])?.kid).toBe(key(0).kid);
    expect(await found[1]).toBeUndefined();
    expect(fetches()).toBe(1);
  });
});

describe('500 unknown kids in a second', () => {
  it('cause one fetch and delay no good token', async () => {
    const jwks = await openFetched();
    const known = findNow(jwks, key(0).kid);
    const { release } = hold();
    const flood = Array.from({ length: 500 }, (_, index) => {
      clock.advance(index % 2 === 0 ? 2 : 1);
      const found = Promise.resolve(jwks.find(`bad-${index}`));
      // Between any two of them, and while the issuer does not answer.
      expect(findNow(jwks, key(0).kid)).toBe(known);
      expect(known !== undefined && jwks.stands(known)).toBe(true);
      return found;
    });
    await until(() => fetches() === 2);
    expect(findNow(jwks, key(0).kid)).toBe(known);
    release();
    expect(new Set(await Promise.all(flood))).toEqual(new Set([undefined]));
    expect(fetches()).toBe(2);
    // And the same ones again.
    for (let index = 0; index < 500; index++) {
      expect(findNow(jwks, `bad-${index}`)).toBeUndefined();
    }
    expect(fetches()).toBe(2);
  });

  it('cause the one fetch that is needed anyway, when nothing is known yet', async () => {
    const jwks = open();
    const flood = Array.from({ length: 500 }, async (_, index) => jwks.find(`bad-${index}`));
    const good = jwks.find(key(0).kid);
    await Promise.all(flood);
    expect((await good)?.kid).toBe(key(0).kid);
    expect(findNow(jwks, 'bad-500')).toBeUndefined();
    expect(fetches()).toBe(1);
  });

  it('cause one attempt while the issuer is down, and are not called invalid', async () => {
    const jwks = await openFetched();
    const known = findNow(jwks, key(0).kid);
    server.answer = (_request, response) => void response.writeHead(503).end();
    const flood = await Promise.all(
      Array.from({ length: 500 }, (_, index) => outcome(() => jwks.find(`bad-${index}`))),
    );
    expect(new Set(flood)).toEqual(new Set([UNAVAILABLE]));
    expect(await outcome(() => jwks.find('one more'))).toBe(UNAVAILABLE);
    expect(fetches()).toBe(2);
    expect(findNow(jwks, key(0).kid)).toBe(known);
  });
});

describe('a refresh', () => {
  it('runs beside the requests before the keys expire', async () => {
    const jwks = await openFetched();
    const known = findNow(jwks, key(0).kid);
    clock.advance(7 * MINUTE - 1);
    expect(findNow(jwks, key(0).kid)).toBe(known);
    expect(fetches()).toBe(1);
    publish(key(0), key(1));
    const { release } = hold();
    clock.advance(MINUTE + 1);
    expect(findNow(jwks, key(0).kid)).toBe(known);
    await until(() => fetches() === 2);
    expect(findNow(jwks, key(0).kid)).toBe(known);
    release();
    await until(() => jwks.status().kids.length === 2);
    expect(fetches()).toBe(2);
  });

  it('is begun by tokens that were verified before as well', async () => {
    const jwks = await openFetched();
    const known = findNow(jwks, key(0).kid);
    publish(key(1));
    clock.advance(8 * MINUTE);
    expect(known !== undefined && jwks.stands(known)).toBe(true);
    await until(() => jwks.status().kids.includes(key(1).kid));
    expect(known !== undefined && jwks.stands(known)).toBe(false);
  });

  it('is waited for by what comes after the keys expired', async () => {
    const jwks = await openFetched();
    const known = findNow(jwks, key(0).kid);
    publish(key(1));
    clock.advance(10 * MINUTE);
    // Whether it still stands only the issuer can say, and it was not asked yet.
    expect(known !== undefined && jwks.stands(known)).toBe(false);
    await expect(jwks.find(key(0).kid)).resolves.toBeUndefined();
    expect((await jwks.find(key(1).kid))?.kid).toBe(key(1).kid);
    expect(fetches()).toBe(2);
  });

  it.each([
    ['as long as the answer says', 'max-age=1200', 20 * MINUTE],
    ['a minute at least', 'no-store', MINUTE],
    ['an hour at most', 'max-age=31536000', HOUR],
  ])('is due after %s', async (_what, cacheControl, keep) => {
    server.answer = sendJson({ keys: [key(0).publicJwk] }, { 'cache-control': cacheControl });
    const jwks = await openFetched();
    clock.advance(0.69 * keep);
    findNow(jwks, key(0).kid);
    expect(fetches()).toBe(1);
    clock.advance(0.12 * keep);
    findNow(jwks, key(0).kid);
    await until(() => fetches() === 2);
  });

  it('needs no request at all', async () => {
    const jwks = new RemoteJwks(config({ cacheFor: SECOND }), new SystemClock(), () => {});
    opened.push(jwks);
    await jwks.prefetch();
    await until(() => fetches() >= 3);
    expect(jwks.status().state).not.toBe('unavailable');
  });

  it('is not put off by a clock that is set back', async () => {
    const jwks = await openFetched();
    clock.advance(5 * MINUTE);
    findNow(jwks, key(0).kid);
    clock.advance(-24 * HOUR);
    findNow(jwks, key(0).kid);
    clock.advance(5 * MINUTE);
    const found = jwks.find(key(0).kid);
    expect(found).toBeInstanceOf(Promise);
    await found;
    expect(fetches()).toBe(2);
  });
});

describe('while the issuer is down, RemoteJwks', () => {
  it('goes on with known keys for as long as configured, refuses then, and recovers', async () => {
    const jwks = await openFetched();
    const known = findNow(jwks, key(0).kid);
    if (known === undefined) throw new Error('the key is not known');
    await server.close();

    clock.advance(9 * MINUTE);
    await failOnce(jwks, key(0).kid);
    expect(jwks.status()).toMatchObject({ state: 'fresh', lastFailure: 'connection-failed' });
    clock.advance(MINUTE);
    expect(findNow(jwks, key(0).kid)).toBe(known);
    await until(() => failuresOf(jwks) === 2);
    expect(jwks.status().state).toBe('stale');

    clock.advance(HOUR - 1);
    expect(findNow(jwks, key(0).kid)).toBe(known);
    expect(jwks.stands(known)).toBe(true);
    expect(await outcome(() => jwks.find('unknown'))).toBe(UNAVAILABLE);
    clock.advance(1);
    expect(jwks.stands(known)).toBe(false);
    expect(await outcome(() => jwks.find(key(0).kid))).toBe(UNAVAILABLE);
    expect(jwks.status().state).toBe('unavailable');

    await server.reopen();
    clock.advance(30 * SECOND);
    // The key is the same and stands again.
    await expect(jwks.find(key(0).kid)).resolves.toBe(known);
    expect(jwks.stands(known)).toBe(true);
    expect(jwks.status()).toMatchObject({ state: 'fresh', failures: 0, lastFailure: null });
    expect(incidents.at(-1)).toMatchObject({ type: 'recovered', severity: 'info' });
  });

  it('asks it less and less, and known keys wait for none of it', async () => {
    const jwks = await openFetched();
    server.answer = (_request, response) => void response.writeHead(500).end();
    clock.advance(8 * MINUTE);
    const attempts: number[] = [];
    for (let second = 0; second < 120; second++) {
      const failures = failuresOf(jwks);
      expect(findNow(jwks, key(0).kid)?.kid).toBe(key(0).kid);
      // Waits for an attempt under way, if there is one.
      expect(await outcome(() => jwks.find('unknown'))).toBe(UNAVAILABLE);
      if (failuresOf(jwks) > failures) attempts.push(second);
      clock.advance(SECOND);
    }
    expect(fetches()).toBe(1 + attempts.length);
    const pauses = attempts.slice(1).map((second, index) => second - (attempts[index] ?? 0));
    pauses.forEach((pause, index) => {
      const longest = Math.min(2 ** index, 30);
      expect(pause).toBeGreaterThanOrEqual(longest / 2);
      expect(pause).toBeLessThanOrEqual(longest + 1);
    });
    expect(pauses.length).toBeGreaterThanOrEqual(5);
  });

  it('answers keys beyond their time at once, even where it hangs instead', async () => {
    const jwks = await openFetched({ timeout: 200 });
    server.answer = () => {};
    clock.advance(8 * MINUTE);
    await failOnce(jwks, key(0).kid);
    expect(jwks.status().lastFailure).toBe('timeout');
    clock.advance(5 * MINUTE);
    expect(findNow(jwks, key(0).kid)?.kid).toBe(key(0).kid);
  });

  it('refuses at once where nothing is known, but for one attempt', async () => {
    await server.close();
    const jwks = open();
    expect(jwks.status()).toMatchObject({ state: 'idle', kids: [], fetchedAt: null });
    expect(await outcome(() => jwks.prefetch())).toBe(UNAVAILABLE);
    expect(() => jwks.find(key(0).kid)).toThrow(KeyError);
    expect(failuresOf(jwks)).toBe(1);
    await server.reopen();
    clock.advance(SECOND);
    await expect(jwks.find(key(0).kid)).resolves.toMatchObject({ kid: key(0).kid });
  });
});

describe('a document that cannot be used', () => {
  const documents: readonly (readonly [string, string, () => Answerer])[] = [
    ['has no usable key', 'no-usable-key', () => sendJson({ keys: [{ kty: 'EC', kid: 'a' }] })],
    [
      'has one kid twice',
      'duplicate-kid',
      () => sendJson({ keys: [key(1).publicJwk, key(1).publicJwk] }),
    ],
    [
      'has a member twice',
      'not-strict-json',
      () => (_request, response) => {
        response.writeHead(200, { 'content-type': 'application/json' });
        response.end('{"keys":[],"keys":[]}');
      },
    ],
    [
      'redirects',
      'bad-status',
      () => (_request, response) => void response.writeHead(302, { location: '/other' }).end(),
    ],
  ];

  it.each(documents)('because it %s, replaces nothing', async (_what, failure, answerer) => {
    const jwks = await openFetched();
    const known = findNow(jwks, key(0).kid);
    server.answer = answerer();
    expect(await outcome(() => jwks.find(key(1).kid))).toBe(UNAVAILABLE);
    expect(findNow(jwks, key(0).kid)).toBe(known);
    expect(incidents.at(-1)).toEqual({
      type: 'refresh-failed',
      issuer: ISSUER,
      severity: 'warning',
      failure,
      detail: expect.any(String),
      failures: 1,
      usableUntil: new Date(clock.now() + 10 * MINUTE + HOUR),
    });
  });
});

describe('an issuer that publishes what it signs with', () => {
  it('is reported once as critical, and that key stops verifying', async () => {
    const jwks = await openFetched();
    const known = findNow(jwks, key(0).kid);
    server.answer = sendJson({
      keys: [exportPrivateJwk(key(0)), key(1).publicJwk, { kty: 'oct', kid: 'shared', k: 'AAAA' }],
    });
    await jwks.find(key(1).kid);
    expect(known !== undefined && jwks.stands(known)).toBe(false);
    const critical = (): readonly RemoteJwksIncident[] =>
      incidents.filter(({ severity }) => severity === 'critical');
    const report = { type: 'secret-published', issuer: ISSUER, severity: 'critical' };
    expect(critical()).toEqual([
      { ...report, kid: key(0).kid, fault: 'private' },
      { ...report, kid: 'shared', fault: 'symmetric' },
    ]);
    clock.advance(30 * SECOND);
    await jwks.find('unknown');
    expect(fetches()).toBe(3);
    expect(critical()).toHaveLength(2);
    expect(JSON.stringify(incidents)).not.toContain(String(exportPrivateJwk(key(0)).d));
  });

  it('is told of keys that are left out, until they go, and again when they return', async () => {
    const left = sendJson({ keys: [key(0).publicJwk, { ...key(1).publicJwk, use: 'enc' }] });
    server.answer = left;
    const jwks = await openFetched();
    const skips = (): number => typesOf().filter((type) => type === 'key-skipped').length;
    expect(incidents).toContainEqual({
      type: 'key-skipped',
      issuer: ISSUER,
      severity: 'warning',
      kid: key(1).kid,
      fault: 'other-purpose',
    });
    const counts: number[] = [];
    for (const answer of [left, sendJson({ keys: [key(0).publicJwk] }), left]) {
      server.answer = answer;
      clock.advance(HOUR);
      await jwks.find(key(0).kid);
      counts.push(skips());
    }
    expect(counts).toEqual([1, 1, 2]);
  });
});

describe('pins', () => {
  const shown = fingerprintsOf(new X509Certificate(certificate.cert));
  const other = authority.issue();
  const pins = new CertificatePins({ publicKeys: [shown.publicKey] });

  it('keep a valid certificate of somebody else from bringing keys, and raise the alarm', async () => {
    const jwks = await openFetched({ pins });
    const known = findNow(jwks, key(0).kid);
    server.show(other);
    publish(key(1));
    expect(await outcome(() => jwks.find(key(1).kid))).toBe(UNAVAILABLE);
    expect(incidents.at(-1)).toEqual({
      type: 'pin-mismatch',
      issuer: ISSUER,
      severity: 'critical',
      shown: fingerprintsOf(new X509Certificate(other.cert)),
      failures: 1,
      usableUntil: new Date(clock.now() + 10 * MINUTE + HOUR),
    });
    expect(findNow(jwks, key(0).kid)).toBe(known);
    expect(fetches()).toBe(1);
    expect(jwks.status().lastFailure).toBe('pin-mismatch');
  });

  it('keep it from being the first as well', async () => {
    server.show(other);
    const jwks = open({ pins });
    expect(await outcome(() => jwks.prefetch())).toBe(UNAVAILABLE);
    expect(typesOf()).toEqual(['pin-mismatch']);
    expect(fetches()).toBe(0);
  });
});

describe('RemoteJwks', () => {
  it.each([
    ['not https', { jwksUri: new URL('http://issuer.example/jwks') }],
    ['with a password', { jwksUri: new URL('https://a:b@issuer.example/jwks') }],
    ['with a fragment', { jwksUri: new URL('https://issuer.example/jwks#a') }],
    ['an anchor that is no certificate', { ca: ['certificate'] }],
    ['a key as an anchor', { ca: [certificate.key] }],
  ])('cannot be built with what is wrong: %s', (_what, overrides) => {
    expect(() => open(overrides)).toThrow(TypeError);
  });

  it('keeps to the URL it was built with', async () => {
    const jwksUri = new URL(server.url);
    const jwks = open({ jwksUri });
    jwksUri.hostname = 'attacker.example';
    jwksUri.pathname = '/elsewhere';
    await jwks.prefetch();
    expect(server.paths.at(-1)).toBe('/jwks');
  });

  it('tells operators how it stands', async () => {
    const startedAt = new Date(clock.now());
    const jwks = await openFetched();
    expect(jwks.status()).toEqual({
      issuer: ISSUER,
      state: 'fresh',
      kids: [key(0).kid],
      fetchedAt: startedAt,
      usableUntil: new Date(startedAt.getTime() + 10 * MINUTE + HOUR),
      failures: 0,
      lastFailure: null,
    });
  });

  it('keeps no process alive between fetches', async () => {
    const timers = (): number =>
      process.getActiveResourcesInfo().filter((resource) => resource === 'Timeout').length;
    const before = timers();
    await openFetched();
    await until(() => server.open === 0);
    expect(timers()).toBeLessThanOrEqual(before);
  });

  it('does not depend on who listens', async () => {
    const jwks = new RemoteJwks(config(), clock, () => {
      throw new Error('the sink is broken');
    });
    opened.push(jwks);
    await jwks.prefetch();
    expect(findNow(jwks, key(0).kid)?.kid).toBe(key(0).kid);
    server.answer = (_request, response) => void response.writeHead(500).end();
    expect(await outcome(() => jwks.find('unknown'))).toBe(UNAVAILABLE);
  });

  it('answers nothing once it is closed, and calls off what is under way', async () => {
    const jwks = await openFetched();
    const known = findNow(jwks, key(0).kid);
    const { release } = hold();
    const waiting = outcome(() => jwks.find('unknown'));
    await until(() => fetches() === 2);
    const before = incidents.length;
    jwks.close();
    expect(await waiting).toBe(UNAVAILABLE);
    await until(() => server.open === 0);
    release();
    expect(await outcome(() => jwks.find(key(0).kid))).toBe(UNAVAILABLE);
    expect(known !== undefined && jwks.stands(known)).toBe(false);
    expect(jwks.status().state).toBe('closed');
    clock.advance(HOUR);
    expect(await outcome(() => jwks.prefetch())).toBe(UNAVAILABLE);
    expect(fetches()).toBe(2);
    expect(incidents).toHaveLength(before);
  });
});
