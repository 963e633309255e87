import { createHash } from 'node:crypto';

import { Jwks } from '../../lib/keys/jwks.js';
import type { PublicJwk } from '../../lib/keys/key-material.js';
import { TestClock } from '../support/test-clock.js';

const MINUTE = 60_000;
const key = (kid: string): PublicJwk => ({
  kty: 'EC',
  kid,
  alg: 'ES256',
  use: 'sig',
  crv: 'P-256',
});

let clock: TestClock;

beforeEach(() => {
  clock = new TestClock();
});

const jwks = (keys: readonly PublicJwk[], maxAge = 5 * MINUTE, untilChange = Infinity): Jwks =>
  new Jwks(keys, maxAge, clock.now() + untilChange, clock);

describe('Jwks', () => {
  it('is a JWK Set and nothing else (RFC 7517 §5)', () => {
    const keys = [key('a'), key('b')];
    expect(JSON.parse(jwks(keys).body)).toEqual({ keys });
    expect(jwks(keys).keys).toEqual(keys);
  });

  it('has a strong entity tag that is a function of its bytes (RFC 9110 §8.8.3)', () => {
    const { body, etag } = jwks([key('a')]);
    expect(etag).toMatch(/^"[\x21\x23-\x7e]{16,}"$/);
    expect(jwks([key('a')], MINUTE, MINUTE).etag).toBe(etag);
    expect(etag).toContain(createHash('sha256').update(body).digest('base64url'));
    expect(jwks([key('a'), key('b')]).etag).not.toBe(etag);
    expect(jwks([key('A')]).etag).not.toBe(etag);
    expect(jwks([key('a'), key('b')]).etag).not.toBe(jwks([key('b'), key('a')]).etag);
  });

  it.each([
    ['as configured while nothing changes', 5 * MINUTE, Infinity, 300],
    ['as configured while a change is further away', 5 * MINUTE, 5 * MINUTE + 1, 300],
    ['up to the change and not beyond', 5 * MINUTE, 60_000, 60],
    ['whole seconds, rounded down', 5 * MINUTE, 59_999, 59],
    ['not at all within the last second', 5 * MINUTE, 999, 0],
    ['not at all once the change is due', 5 * MINUTE, 0, 0],
    ['not at all once the change is overdue', 5 * MINUTE, -MINUTE, 0],
    ['not at all when there is no signing key yet', 5 * MINUTE, -Infinity, 0],
    ['not at all when configured so', 0, Infinity, 0],
    ['whole seconds as configured, rounded down', 1_999, Infinity, 1],
  ])('may be kept %s', (_rule, maxAge, untilChange, seconds) => {
    expect(jwks([key('a')], maxAge, untilChange).maxAgeSeconds()).toBe(seconds);
  });

  it('may be kept for less and less while its change comes nearer', () => {
    const set = jwks([key('a')], 5 * MINUTE, 7 * MINUTE);
    const ages = [0, 2, 1, 2, 1, 1, 60].map((minutes) => {
      clock.advance(minutes * MINUTE);
      return set.maxAgeSeconds();
    });
    expect(ages).toEqual([300, 300, 240, 120, 60, 0, 0]);
  });
});
