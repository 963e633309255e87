import { generateKeyPairSync } from 'node:crypto';

import * as fc from 'fast-check';
import { createLocalJWKSet, type JSONWebKeySet, jwtVerify } from 'jose';

import { TokenError } from '../../lib/kernel/errors.js';
import {
  ASYMMETRIC_ALGORITHMS,
  SIGNING_ALGORITHMS,
  type SigningAlgorithm,
} from '../../lib/keys/algorithms.js';
import { isAvailable, type PrivateJwk, type SigningKey } from '../../lib/keys/key-material.js';
import { AUDIENCE, ISSUER } from '../support/guarded-app.js';
import { TestClock } from '../support/test-clock.js';
import { forge, type Issuer, newPrivateJwk, openIssuer } from '../support/token-mother.js';

/**
 * Against an independent verifier: whatever this package accepts, jose accepts too when given the
 * same constraints. (The reverse does not hold, and is not meant to: see SEMANTICS §1.)
 */

const LEEWAY = 10;
const REQUIRED = ['exp', 'iat', 'iss', 'aud', 'sub', 'jti', 'client_id'];
const CASES = 400;
/** The secret of HS256 is in no JWKS for jose to verify with. */
const ALGORITHMS = ASYMMETRIC_ALGORITHMS.filter(isAvailable);

interface Bench extends Issuer {
  readonly key: SigningKey;
  readonly jwks: ReturnType<typeof createLocalJWKSet>;
}

const benches = new Map<SigningAlgorithm, Bench>();

// One RSA key pair for six algorithms in six issuers: generating them is what would take time.
const rsa = generateKeyPairSync('rsa', { modulusLength: 2048 }).privateKey.export({
  format: 'jwk',
});

async function openBench(algorithm: SigningAlgorithm): Promise<Bench> {
  const signingKey = /^[RP]S/.test(algorithm)
    ? ({ ...rsa, alg: algorithm } as PrivateJwk)
    : await newPrivateJwk(algorithm);
  // A whole second: jose drops the fraction of the present, this package counts it.
  const issuer = await openIssuer(
    { keys: { signingKey }, tokens: { requiredClaims: ['client_id'], leeway: `${LEEWAY}s` } },
    new TestClock(Date.UTC(2026, 10, 22)),
  );
  const { body } = issuer.keyRing.jwks();
  return {
    ...issuer,
    key: await issuer.keyRing.signingKey(),
    jwks: createLocalJWKSet(JSON.parse(body) as JSONWebKeySet),
  };
}

beforeAll(async () => {
  for (const algorithm of ALGORITHMS) benches.set(algorithm, await openBench(algorithm));
});

function benchOf(algorithm: SigningAlgorithm): Bench {
  const bench = benches.get(algorithm);
  if (bench === undefined) throw new TypeError(`no bench for ${algorithm}`);
  return bench;
}

async function weAccept({ tokens }: Bench, token: string): Promise<boolean> {
  try {
    await tokens.verify(token);
    return true;
  } catch (error) {
    if (error instanceof TokenError) return false;
    throw error;
  }
}

/** What jose says, `undefined` for nothing to say against it. */
async function joseObjects(
  { jwks, clock, key }: Bench,
  token: string,
): Promise<string | undefined> {
  try {
    await jwtVerify(token, jwks, {
      algorithms: [key.row.name],
      issuer: ISSUER,
      audience: AUDIENCE,
      typ: 'at+jwt',
      requiredClaims: REQUIRED,
      clockTolerance: LEEWAY,
      currentDate: new Date(clock.now()),
    });
    return undefined;
  } catch (error) {
    return String(error);
  }
}

/** A member that is mostly right, at times near a limit, at times of a wrong kind, at times absent. */
function member(right: fc.Arbitrary<unknown>, near: fc.Arbitrary<unknown>): fc.Arbitrary<unknown> {
  return fc.oneof(
    { weight: 120, arbitrary: right },
    { weight: 7, arbitrary: near },
    { weight: 1, arbitrary: fc.jsonValue({ maxDepth: 1 }) },
    { weight: 1, arbitrary: fc.constant(ABSENT) },
  );
}

const ABSENT = Symbol('absent');

/** Offsets from now, in seconds, around every limit of a time claim. */
const nearTime = fc.oneof(
  fc.constantFrom(-3601, -3600, -11, -10, -9, -1, 0, 1, 9, 10, 11, 299, 300, 301, 3599, 3600, 3601),
  fc.integer({ min: -4000, max: 4000 }),
  fc.double({ min: -12, max: 12, noNaN: true }),
);

function claimsAround(now: number): fc.Arbitrary<Record<string, unknown>> {
  const time = nearTime.map((offset) => now + offset);
  return fc.record({
    iss: member(
      fc.constant(ISSUER),
      fc.constantFrom(`${ISSUER}/`, [ISSUER], '', ISSUER.toUpperCase()),
    ),
    aud: member(
      fc.constantFrom(AUDIENCE, [AUDIENCE], ['x', AUDIENCE]),
      fc.constantFrom([], [''], `${AUDIENCE}/`, [AUDIENCE, 1], [[AUDIENCE]], 'x'),
    ),
    sub: member(
      fc.string({ minLength: 1, maxLength: 20 }),
      fc.constantFrom('', 'x'.repeat(256), 'a\n'),
    ),
    jti: member(fc.uuid(), fc.constantFrom('', 'x'.repeat(255), 0)),
    client_id: member(fc.constantFrom('web', 'https://client.example'), fc.constantFrom('', null)),
    iat: member(fc.constantFrom(now, now - 100, now - 0.5), time),
    nbf: member(fc.constantFrom(now, now - 100, ABSENT), time),
    exp: member(fc.constantFrom(now + 300, now + 600.25), time),
    scope: member(fc.constantFrom('read', 'a b', '', ABSENT), fc.constantFrom(' ', 'a  b', ['a'])),
    extra: member(fc.constantFrom(ABSENT, 1), fc.jsonValue({ maxDepth: 3 })),
  });
}

function headerAround({ key }: Bench): fc.Arbitrary<Record<string, unknown>> {
  const otherAlgorithms = SIGNING_ALGORITHMS.filter((name) => name !== key.row.name);
  return fc.record({
    alg: member(fc.constant(key.row.name), fc.constantFrom(...otherAlgorithms, 'none', 'HS512')),
    typ: member(
      fc.constantFrom('at+jwt', 'AT+JWT', 'application/at+jwt', 'Application/At+Jwt'),
      fc.constantFrom('JWT', 'at+jwt;x', 'application/application/at+jwt', '/at+jwt', 'at+JWT '),
    ),
    kid: member(fc.constant(key.kid), fc.constantFrom('', `${key.kid} `, 'x')),
    cty: member(fc.constant(ABSENT), fc.constantFrom('JWT', 'json')),
    crit: member(fc.constant(ABSENT), fc.constantFrom([], ['b64'], ['exp'])),
    b64: member(fc.constant(ABSENT), fc.constantFrom(true, false)),
  });
}

function withoutAbsent(members: Record<string, unknown>): Record<string, unknown> {
  return Object.fromEntries(Object.entries(members).filter(([, value]) => value !== ABSENT));
}

describe('differential test against jose', () => {
  it.each(ALGORITHMS)('%s: what we accept, jose accepts', async (algorithm) => {
    const bench = benchOf(algorithm);
    let cases = 0;
    let accepted = 0;
    await fc.assert(
      fc.asyncProperty(
        headerAround(bench),
        claimsAround(bench.clock.seconds()),
        async (header, claims) => {
          const token = await forge(bench.key, withoutAbsent(header), withoutAbsent(claims));
          cases++;
          if (!(await weAccept(bench, token))) return;
          accepted++;
          expect(await joseObjects(bench, token)).toBeUndefined();
        },
      ),
      { numRuns: CASES },
    );
    // Otherwise the implication would say little.
    expect(accepted / cases).toBeGreaterThan(0.2);
  });

  it.each(ALGORITHMS)('%s: jose accepts what we issue', async (algorithm) => {
    const bench = benchOf(algorithm);
    const { token } = await bench.tokens.sign({ sub: 'user-1', client_id: 'web', scope: 'a b' });
    expect(await joseObjects(bench, token)).toBeUndefined();
  });

  it('jose verifies with the JWKS of a ring before, during and after a rotation', async () => {
    const issuer = await openIssuer({ tokens: { clientId: 'web' } });
    const before = await issuer.tokens.sign({ sub: 'user-1' });
    const { signsFrom } = await issuer.keyRing.rotate();
    issuer.clock.set(signsFrom.getTime());
    const after = await issuer.tokens.sign({ sub: 'user-1' });
    const { body } = issuer.keyRing.jwks();
    const jwks = createLocalJWKSet(JSON.parse(body) as JSONWebKeySet);
    const { protectedHeader } = await jwtVerify(after.token, jwks, {
      currentDate: new Date(issuer.clock.now()),
    });
    const old = await jwtVerify(before.token, jwks, {
      currentDate: new Date(before.claims.iat * 1000),
    });
    expect(protectedHeader.kid).not.toBe(old.protectedHeader.kid);
  });
});
