import { OptionReader } from '../../lib/config/option-reader.js';
import { resolveConfig } from '../../lib/config/resolve-config.js';
import {
  publishedStatusLists,
  readStatusLists,
  readTrustedStatusLists,
  type StatusListSettings,
} from '../../lib/config/resolve-status-lists.js';
import { CertificatePins } from '../../lib/keys/remote/certificate-pins.js';
import type { StatusListIssuer } from '../../lib/status-list/status-list-reader.js';
import { problemsOf } from './config-problems.js';

const ISSUER = 'https://issuer.example';
const MINUTE = 60_000;

interface Outcome<T> {
  readonly value: T;
  readonly problems: readonly string[];
}

function own(statusLists?: unknown, issuer = ISSUER): Outcome<StatusListSettings> {
  const reader = new OptionReader({ statusLists });
  const value = readStatusLists(reader, { issuer, maxLifetime: 3_600, leeway: 10 });
  return { value, problems: reader.problems.map(({ path, problem }) => `${path}: ${problem}`) };
}

const jwksUri = new URL('https://login.example.com/jwks');
const pins = new CertificatePins({ publicKeys: ['0'.repeat(64)] });

function trusted(statusLists?: unknown): Outcome<StatusListIssuer | undefined> {
  const reader = new OptionReader({ trust: [{ statusLists }] });
  const value = readTrustedStatusLists(reader, 'trust.0', {
    issuer: 'https://login.example.com',
    audiences: ['api'],
    leeway: 10,
    jwksUri,
    pins,
  });
  return { value, problems: reader.problems.map(({ path, problem }) => `${path}: ${problem}`) };
}

describe('the lists of this service', () => {
  it('have these defaults', () => {
    const { value, problems } = own();
    expect(problems).toEqual([]);
    expect(value).toEqual({
      issuer: ISSUER,
      maxLifetime: 3_600,
      leeway: 10,
      baseUrl: ISSUER,
      size: 2 ** 20,
      period: 86_400,
      ttl: 60,
      lifetime: 600,
    });
    expect(Object.isFrozen(value)).toBe(true);
  });

  it.each([
    ['https://auth.example.com', 'https://auth.example.com'],
    ['https://auth.example.com/', 'https://auth.example.com'],
    ['https://auth.example.com/tenant/', 'https://auth.example.com/tenant'],
    ['http://localhost:3000', 'http://localhost:3000'],
    ['http://127.0.0.1:3000/a', 'http://127.0.0.1:3000/a'],
    ['http://[::1]:3000', 'http://[::1]:3000'],
    ['urn:example:issuer', null],
    ['issuer', null],
    ['http://auth.example.com', null],
    ['http://localhost.example.com', null],
    ['http://localhost@example.com', null],
    ['https://user@auth.example.com', null],
    ['https://auth.example.com?tenant=1', null],
    ['https://auth.example.com#1', null],
    ['https://auth.example.com\\a', null],
  ])('are below %s: %s', (url, baseUrl) => {
    expect(own(undefined, url).value.baseUrl).toBe(baseUrl);
    const { value, problems } = own({ baseUrl: url }, 'issuer');
    expect(value.baseUrl).toBe(baseUrl);
    expect(problems.length).toBe(baseUrl === null ? 1 : 0);
  });

  it.each<[path: string, statusLists: unknown]>([
    ['statusLists', []],
    ['statusLists', null],
    ['statusLists', 'yes'],
    ['statusLists.tll', { tll: '1m' }],
    ['statusLists.baseUrl', { baseUrl: '' }],
    ['statusLists.baseUrl', { baseUrl: 1 }],
    ['statusLists.size', { size: 8_184 }],
    ['statusLists.size', { size: 8_193 }],
    ['statusLists.size', { size: 2 ** 22 + 8 }],
    ['statusLists.size', { size: '8192' }],
    ['statusLists.period', { period: '9m' }],
    ['statusLists.period', { period: '8d' }],
    ['statusLists.period', { period: '3600500ms' }],
    ['statusLists.period', { period: 86_400 }],
    ['statusLists.ttl', { ttl: '4s' }],
    ['statusLists.ttl', { ttl: '2h' }],
    ['statusLists.lifetime', { lifetime: '119s' }],
    ['statusLists.lifetime', { ttl: '30m', lifetime: '59m' }],
    ['statusLists.lifetime', { lifetime: '25h' }],
  ])('are refused: %s (%j)', (path, statusLists) => {
    const { problems } = own(statusLists);
    expect(problems).toHaveLength(1);
    expect(problems[0]).toMatch(new RegExp(`^${path}: `));
  });

  it('live twice as long as their ttl at least', () => {
    expect(own({ ttl: '30m' }).value.lifetime).toBe(3_600);
    expect(own({ ttl: '30m', lifetime: '1h' }).problems).toEqual([]);
  });

  it('are published below their path', () => {
    const { value } = own();
    expect(publishedStatusLists(value, '/status-lists', ['ES256']).baseUri).toBe(
      `${ISSUER}/status-lists`,
    );
    expect(publishedStatusLists(value, '/status-lists/', ['ES256']).baseUri).toBe(
      `${ISSUER}/status-lists`,
    );
  });

  it('are not published where nobody could find or verify them, and all is said at once', async () => {
    const { value } = own(undefined, 'issuer');
    const attempt = (async () => publishedStatusLists(value, '/lists', ['ES256', 'HS256']))();
    const problems = await problemsOf(attempt);
    expect(problems.map(({ path }) => path)).toEqual(['statusLists.baseUrl', 'statusListPath']);
  });
});

describe('the lists of another issuer', () => {
  it('have these defaults', () => {
    const { value, problems } = trusted();
    expect(problems).toEqual([]);
    expect(value).toEqual({
      issuer: 'https://login.example.com',
      audiences: ['api'],
      leeway: 10,
      origins: new Map([['https://login.example.com', pins]]),
      maxListBytes: 2 ** 20,
      maxTtl: 5 * MINUTE,
      staleFor: 5 * MINUTE,
      maxAge: 24 * 60 * MINUTE,
      timeout: 5_000,
    });
    expect(Object.isFrozen(value)).toBe(true);
  });

  it('are not read when that is said', () => {
    expect(trusted(null)).toEqual({ value: undefined, problems: [] });
  });

  it('may be at several origins, each with its pins', () => {
    const origins = ['https://login.example.com', 'https://lists.example.com:8443'];
    expect([...(trusted({ origins }).value?.origins ?? [])]).toEqual([
      [origins[0], pins],
      [origins[1], null],
    ]);
    const own = trusted({ origins, pins: { publicKeys: ['1'.repeat(64)] } }).value?.origins;
    const all = [...(own?.values() ?? [])];
    expect(all).toHaveLength(2);
    for (const each of all) {
      expect(each).toBeInstanceOf(CertificatePins);
      expect(each).not.toBe(pins);
    }
  });

  it.each<[path: string, statusLists: unknown]>([
    ['trust.0.statusLists', []],
    ['trust.0.statusLists', true],
    ['trust.0.statusLists.origin', { origin: 'https://a.example' }],
    ['trust.0.statusLists.origins', { origins: 'https://a.example' }],
    ['trust.0.statusLists.origins', { origins: [] }],
    ['trust.0.statusLists.origins', { origins: ['http://a.example'] }],
    ['trust.0.statusLists.origins', { origins: ['https://a.example/'] }],
    ['trust.0.statusLists.origins', { origins: ['https://a.example/lists'] }],
    ['trust.0.statusLists.origins', { origins: ['https://A.example'] }],
    ['trust.0.statusLists.origins', { origins: ['https://a.example:443'] }],
    ['trust.0.statusLists.origins', { origins: ['https://*.example'] }],
    ['trust.0.statusLists.origins', { origins: ['null'] }],
    ['trust.0.statusLists.origins', { origins: [null] }],
    ['trust.0.statusLists.pins', { pins: {} }],
    ['trust.0.statusLists.pins', { pins: { publicKeys: ['x'] } }],
    ['trust.0.statusLists.maxBytes', { maxBytes: 1_023 }],
    ['trust.0.statusLists.maxBytes', { maxBytes: 2 ** 24 + 1 }],
    ['trust.0.statusLists.maxTtl', { maxTtl: '4s' }],
    ['trust.0.statusLists.staleFor', { staleFor: '25h' }],
    ['trust.0.statusLists.maxAge', { maxAge: '59s' }],
    ['trust.0.statusLists.timeout', { timeout: '31s' }],
  ])('are refused: %s (%j)', (path, statusLists) => {
    const { problems } = trusted(statusLists);
    expect(problems).toHaveLength(1);
    expect(problems[0]).toMatch(new RegExp(`^${path.replaceAll('.', '\\.')}: `));
  });
});

describe('requiredClaims of a trusted issuer', () => {
  it.each([
    [undefined, 'pass'],
    [['client_id'], 'pass'],
    [['client_id', 'status'], 'refuse'],
  ])('%j makes a token that names no list %s', async (requiredClaims, unlisted) => {
    const trust = [
      {
        issuer: 'https://login.example.com',
        jwksUri: 'https://login.example.com/jwks',
        ...(requiredClaims && { requiredClaims }),
      },
    ];
    const options = { issuer: ISSUER, audience: 'api', trust };
    const { statusListIssuers } = await resolveConfig(options, 'test');
    expect(statusListIssuers).toMatchObject([{ issuer: 'https://login.example.com', unlisted }]);
  });
});
