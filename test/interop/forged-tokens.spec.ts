import { createHmac, generateKeyPairSync, type KeyObject } from 'node:crypto';

import { type JWTHeaderParameters, type JWTPayload, SignJWT } from 'jose';

import { recordSecret } from '../support/witness.js';
import { LocalHttps } from './local-https.js';
import { type IssuedToken, Service } from './service.js';
import { LIBRARIES, startVerifiers, type Verifiers } from './verifiers.js';

const KID = 'fixed-1';
const KEYS = generateKeyPairSync('ec', { namedCurve: 'P-256' });
const STRANGER = generateKeyPairSync('ec', { namedCurve: 'P-256' });
const STRANGERS_JWK = STRANGER.publicKey.export({ format: 'jwk' });

const https = new LocalHttps();
let issuer: Service;
let verifiers: Verifiers;
let genuine: IssuedToken;

beforeAll(async () => {
  const privateJwk = KEYS.privateKey.export({ format: 'jwk' });
  recordSecret(privateJwk.d ?? '');
  const signingKey = { ...privateJwk, kty: 'EC', kid: KID, alg: 'ES256' };
  [issuer, verifiers] = await Promise.all([
    Service.start(https, { keys: { signingKey } }),
    startVerifiers(https),
  ]);
  genuine = await issuer.issue();
  // What each does first decides what it knows of the keys later.
  for (const library of LIBRARIES) await verifiers[library].judge(genuine.token, issuer);
});

afterAll(() => https.close());

interface Forgery {
  readonly claims?: JWTPayload;
  readonly header?: Partial<JWTHeaderParameters>;
  readonly key?: KeyObject;
}

/** The token the issuer made, but for what is named; with the issuer's own key if with no other. */
async function forge({ claims, header, key = KEYS.privateKey }: Forgery): Promise<string> {
  const [, payload = ''] = genuine.token.split('.');
  const original = JSON.parse(Buffer.from(payload, 'base64url').toString()) as JWTPayload;
  const token = await new SignJWT({ ...original, ...claims })
    .setProtectedHeader({ alg: 'ES256', typ: 'at+jwt', kid: KID, ...header })
    .sign(key);
  recordSecret(token);
  return token;
}

function withHeader(header: object, sign: (input: string) => string): string {
  const [, payload] = genuine.token.split('.');
  const input = `${Buffer.from(JSON.stringify(header)).toString('base64url')}.${payload}`;
  return `${input}.${sign(input)}`;
}

/** The public key taken for a shared secret, in the shapes in which a verifier may hold it. */
function confuse(secret: string): string {
  return withHeader({ alg: 'HS256', typ: 'at+jwt', kid: KID }, (input) =>
    createHmac('sha256', secret).update(input).digest('base64url'),
  );
}

const now = (): number => Math.floor(Date.now() / 1000);

const FORGERIES: readonly (readonly [what: string, make: () => Promise<string> | string])[] = [
  ['of another issuer', () => forge({ claims: { iss: 'https://elsewhere.example' } })],
  ['of an issuer spelled otherwise', () => forge({ claims: { iss: `${issuer.issuer}/` } })],
  ['for another audience', () => forge({ claims: { aud: 'https://elsewhere.example' } })],
  ['for no audience', () => forge({ claims: { aud: [] } })],
  [
    'that has expired',
    () => forge({ claims: { iat: now() - 90, nbf: now() - 90, exp: now() - 60 } }),
  ],
  ['that is for later', () => forge({ claims: { nbf: now() + 60 } })],
  ['of another kind', () => forge({ header: { typ: 'refresh+jwt' } })],
  ["signed by a stranger under the issuer's kid", () => forge({ key: STRANGER.privateKey })],
  [
    'that brings its own key',
    () => forge({ key: STRANGER.privateKey, header: { jwk: STRANGERS_JWK } }),
  ],
  ['of a kid that nobody published', () => forge({ header: { kid: 'fixed-2' } })],
  [
    'with other claims under the same signature',
    () => {
      const [header, , signature] = genuine.token.split('.');
      const claims = Buffer.from(JSON.stringify({ sub: 'root' })).toString('base64url');
      return `${header}.${claims}.${signature}`;
    },
  ],
  [
    'with another signature',
    () => {
      const [header, payload, signature = ''] = genuine.token.split('.');
      const first = signature.startsWith('A') ? 'B' : 'A';
      return `${header}.${payload}.${first}${signature.slice(1)}`;
    },
  ],
  ['without a signature', () => withHeader({ alg: 'none', typ: 'at+jwt', kid: KID }, () => '')],
  [
    'signed with the public key as a secret, in PEM',
    () => confuse(KEYS.publicKey.export({ type: 'spki', format: 'pem' }) as string),
  ],
  [
    'signed with the public key as a secret, in JSON',
    () => confuse(JSON.stringify(KEYS.publicKey.export({ format: 'jwk' }))),
  ],
];

describe.each(LIBRARIES)('%s, with the key of an issuer that uses one', (library) => {
  it('accepts the token it issued, and one made alike', async () => {
    const alike = await forge({});
    expect(await verifiers[library].judge(genuine.token, issuer)).toEqual({ status: 200 });
    expect(await verifiers[library].judge(alike, issuer)).toEqual({ status: 200 });
  });

  it.each(FORGERIES)('refuses a token %s', async (_, make) => {
    expect((await verifiers[library].judge(await make(), issuer)).status).toBe(401);
  });

  it('accepts the token it issued still', async () => {
    expect(await verifiers[library].judge(genuine.token, issuer)).toEqual({ status: 200 });
  });
});

describe('the issuer itself', () => {
  it('accepts the token it issued, and one made alike', async () => {
    expect(await issuer.check(genuine.token)).toBe(200);
    expect(await issuer.check(await forge({}))).toBe(200);
  });

  it.each(FORGERIES)('refuses a token %s', async (_, make) => {
    expect(await issuer.check(await make())).toBe(401);
  });
});
