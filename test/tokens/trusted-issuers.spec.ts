import { generateSigningKey, type HeldSigningKey } from '../../lib/keys/key-material.js';
import { AUDIENCE, ISSUER } from '../support/guarded-app.js';
import { type IssuerServer, sendJson, startIssuerServer } from '../support/issuer-server.js';
import { TestClock } from '../support/test-clock.js';
import { createAuthority } from '../support/tls-authority.js';
import {
  forge,
  forgeAccess,
  type Issuer,
  openIssuer,
  validClaims,
} from '../support/token-mother.js';
import { recordSecret } from '../support/witness.js';

const A = 'https://a.example';
const B = 'https://b.example';
const MINUTE = 60_000;

const authority = createAuthority();
const certificate = authority.issue();

let keyA: HeldSigningKey;
let keyB: HeldSigningKey;
let serverA: IssuerServer;
let serverB: IssuerServer;
let clock: TestClock;
let issuer: Issuer;

beforeAll(async () => {
  [keyA, keyB] = await Promise.all([generateSigningKey('ES256'), generateSigningKey('ES256')]);
  serverA = await startIssuerServer(certificate);
  serverB = await startIssuerServer(certificate);
});

beforeEach(async () => {
  clock = new TestClock();
  for (const [server, { publicJwk }] of [
    [serverA, keyA],
    [serverB, keyB],
  ] as const) {
    server.answer = sendJson({ keys: [publicJwk] });
    await server.close();
    await server.reopen();
  }
  issuer = await openIssuer(
    {
      trust: [
        { issuer: A, jwksUri: serverA.url.href },
        { issuer: B, jwksUri: serverB.url.href, audience: 'b-audience', tokenTypes: ['JWT'] },
      ],
    },
    clock,
    [authority.ca],
  );
});

afterEach(() => issuer.trusted.onModuleDestroy());

const claims = (iss: string, change: object = {}): object => ({
  ...validClaims(clock),
  iss,
  ...(iss === B ? { aud: 'b-audience' } : {}),
  ...change,
});

const verdict = (token: string): Promise<string> =>
  issuer.tokens.verify(token).then(
    ({ claims: { iss } }) => `accepted ${iss}`,
    (error: unknown) => (error as { readonly code: string }).code,
  );

describe('a trusted issuer', () => {
  it('is believed what its own key signed, beside our own tokens', async () => {
    const own = (await issuer.tokens.sign({ sub: 'alice' })).token;
    recordSecret(own);
    expect(await verdict(own)).toBe(`accepted ${ISSUER}`);
    expect(await verdict(await forgeAccess(keyA, claims(A)))).toBe(`accepted ${A}`);
    expect(await verdict(await forgeAccess(keyB, claims(B), { typ: 'JWT' }))).toBe(`accepted ${B}`);
  });

  it.each<[rule: string, make: () => Promise<string>, code: string]>([
    ['A signs for us', () => forgeAccess(keyA, claims(ISSUER)), 'ERR_TOKEN_UNKNOWN_KEY'],
    ['A signs for B', () => forgeAccess(keyA, claims(B), { typ: 'JWT' }), 'ERR_TOKEN_UNKNOWN_KEY'],
    [
      "A signs for B under B's kid",
      () => forgeAccess(keyA, claims(B), { typ: 'JWT', kid: keyB.kid }),
      'ERR_TOKEN_SIGNATURE',
    ],
    [
      'A signs for us under our kid',
      async () =>
        forgeAccess(keyA, claims(ISSUER), { kid: (await issuer.keyRing.signingKey()).kid }),
      'ERR_TOKEN_SIGNATURE',
    ],
    [
      'we sign for A',
      async () => forgeAccess(await issuer.keyRing.signingKey(), claims(A)),
      'ERR_TOKEN_UNKNOWN_KEY',
    ],
    [
      'A for an issuer nobody trusts',
      () => forgeAccess(keyA, claims('https://c.example')),
      'ERR_TOKEN_UNKNOWN_KEY',
    ],
    ['A with a slash more', () => forgeAccess(keyA, claims(`${A}/`)), 'ERR_TOKEN_UNKNOWN_KEY'],
    ['A in capitals', () => forgeAccess(keyA, claims(A.toUpperCase())), 'ERR_TOKEN_UNKNOWN_KEY'],
    ['A in a list', () => forgeAccess(keyA, claims(A, { iss: [A] })), 'ERR_TOKEN_UNKNOWN_KEY'],
    ['no iss', () => forgeAccess(keyA, claims(A, { iss: undefined })), 'ERR_TOKEN_UNKNOWN_KEY'],
    [
      'A for another audience',
      () => forgeAccess(keyA, claims(A, { aud: 'x' })),
      'ERR_TOKEN_AUDIENCE',
    ],
    [
      'B for our audience, which is not the one it was given',
      () => forgeAccess(keyB, claims(B, { aud: AUDIENCE }), { typ: 'JWT' }),
      'ERR_TOKEN_AUDIENCE',
    ],
    ['A as an ID token', () => forgeAccess(keyA, claims(A), { typ: 'JWT' }), 'ERR_TOKEN_TYPE'],
    ['B with our type', () => forgeAccess(keyB, claims(B)), 'ERR_TOKEN_TYPE'],
    [
      'B with its type in small letters',
      () => forgeAccess(keyB, claims(B), { typ: 'jwt' }),
      'ERR_TOKEN_TYPE',
    ],
    [
      'A with another alg',
      () => forgeAccess(keyA, claims(A), { alg: 'ES384' }),
      'ERR_TOKEN_ALGORITHM',
    ],
    ['A as HS256', () => forgeAccess(keyA, claims(A), { alg: 'HS256' }), 'ERR_TOKEN_ALGORITHM'],
    [
      'A expired',
      () => forgeAccess(keyA, claims(A, { iat: 1, nbf: 1, exp: 2 })),
      'ERR_TOKEN_EXPIRED',
    ],
    [
      'A for longer than we allow',
      () => forgeAccess(keyA, claims(A, { exp: clock.seconds() + 86_400 })),
      'ERR_TOKEN_LIFETIME',
    ],
    [
      'A without jti',
      () => forgeAccess(keyA, claims(A, { jti: undefined })),
      'ERR_TOKEN_CLAIM_MISSING',
    ],
  ])('is not believed: %s', async (_rule, make, code) => {
    const token = await make();
    expect(await verdict(token)).toBe(code);
    expect(await verdict(token)).toBe(code);
  });

  it('issues access tokens for us, and no other kind', async () => {
    for (const [kind, typ] of [
      ['step-up', 'step-up+jwt'],
      ['refresh', 'refresh+jwt'],
    ] as const) {
      const token = await forge(keyA, { alg: 'ES256', typ, kid: keyA.kid }, claims(A));
      await expect(issuer.tokens.verify(token, { kind: kind as never })).rejects.toThrow(Error);
      expect(await verdict(token)).toBe('ERR_TOKEN_TYPE');
    }
  });

  it('that withdrew a key is not believed what that key signed, also from the cache', async () => {
    const token = await forgeAccess(keyA, claims(A, { exp: clock.seconds() + 3_000 }));
    expect(await verdict(token)).toBe(`accepted ${A}`);
    expect(await verdict(token)).toBe(`accepted ${A}`);
    const next = await generateSigningKey('ES256');
    serverA.answer = sendJson({ keys: [next.publicJwk] });
    clock.advance(11 * MINUTE);
    await expect(issuer.tokens.verify(await forgeAccess(next, claims(A)))).resolves.toBeDefined();
    expect(await verdict(token)).toBe('ERR_TOKEN_UNKNOWN_KEY');
  });

  it('that keeps its key is asked again in the background, and cached tokens stand', async () => {
    const token = await forgeAccess(keyA, claims(A, { exp: clock.seconds() + 3_000 }));
    expect(await verdict(token)).toBe(`accepted ${A}`);
    clock.advance(11 * MINUTE);
    expect(await verdict(token)).toBe(`accepted ${A}`);
  });

  it('that cannot be reached is no reason to call its tokens wrong, nor to refuse others', async () => {
    await serverA.close();
    const error: unknown = await issuer.tokens
      .verify(await forgeAccess(keyA, claims(A)))
      .catch((cause: unknown) => cause);
    expect(error).toMatchObject({ name: 'KeyError', code: 'ERR_KEY_ISSUER_UNAVAILABLE' });
    expect(await verdict(await forgeAccess(keyB, claims(B), { typ: 'JWT' }))).toBe(`accepted ${B}`);
    const own = (await issuer.tokens.sign({ sub: 'alice' })).token;
    recordSecret(own);
    expect(await verdict(own)).toBe(`accepted ${ISSUER}`);
    expect(issuer.trusted.status().map(({ state }) => state)).toEqual(['unavailable', 'fresh']);
  });

  it('that publishes a secret beside its key is believed no HS256 token, and operators hear of it', async () => {
    const heard: string[] = [];
    issuer.events.onAny(({ type }) => heard.push(type));
    const secret = await generateSigningKey('HS256');
    const k = secret.privateKey.export({ format: 'jwk' }).k ?? '';
    recordSecret(k);
    const jwk = { kty: 'oct', alg: 'HS256', kid: 'leaked', k };
    serverA.answer = sendJson({ keys: [keyA.publicJwk, jwk] });
    const token = await forgeAccess(secret, claims(A), { kid: 'leaked' });
    expect(await verdict(token)).toBe('ERR_TOKEN_UNKNOWN_KEY');
    expect(await verdict(await forgeAccess(keyA, claims(A)))).toBe(`accepted ${A}`);
    expect(heard).toContain('issuer.secretPublished');
  });
});
