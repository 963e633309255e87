import { readdirSync } from 'node:fs';
import { join } from 'node:path';

import { calculateJwkThumbprint } from 'jose';

import type { SigningAlgorithm } from '../../lib/keys/algorithms.js';
import { TokenError } from '../../lib/kernel/errors.js';
import {
  importSigningKey,
  importVerificationKey,
  type PrivateJwk,
} from '../../lib/keys/key-material.js';
import { createSignature } from '../../lib/keys/signature.js';
import { AUDIENCE, ISSUER } from '../support/guarded-app.js';
import { TestClock } from '../support/test-clock.js';
import { forgeAccess, newPrivateJwk, openIssuer } from '../support/token-mother.js';
import { judgeJws, judgeText, type VectorJwk } from './jws-judge.js';
import { DATA, readVectors } from './vector-files.js';

/** The examples of the RFCs themselves and of the IETF JOSE cookbook (RFC 7520). */

interface CookbookExample {
  readonly title: string;
  readonly input: {
    readonly key: VectorJwk & { readonly d?: string };
    readonly alg: SigningAlgorithm;
  };
  readonly signing: { readonly 'sig-input': string; readonly sig: string };
  readonly output: {
    readonly compact?: string;
    readonly json?: object;
    readonly json_flat?: object;
  };
}

interface RfcVector {
  readonly id: string;
  readonly what: string;
  readonly key?: VectorJwk;
  readonly jwk?: VectorJwk;
  readonly jwks?: { readonly keys: readonly VectorJwk[] };
  readonly compact?: string;
  readonly json?: object;
  readonly thumbprint_s256?: string;
}

const rfc = new Map(
  (readVectors('rfc/rfc_vectors.json') as readonly RfcVector[]).map((vector) => [
    vector.id,
    vector,
  ]),
);

function rfcVector(id: string): RfcVector {
  const vector = rfc.get(id);
  if (vector === undefined) throw new TypeError(`no vector ${id}`);
  return vector;
}

function cookbook(file: string): CookbookExample {
  return readVectors(`cookbook/${file}`) as CookbookExample;
}

/** The key as the example gives it, with the algorithm the example names beside it. */
function exampleKey({ key, alg }: CookbookExample['input']): VectorJwk {
  return { ...key, alg };
}

/** `kid` outside our characters is for the vectors alone. */
function withoutKid({ kid: _, ...jwk }: VectorJwk): PrivateJwk {
  return jwk as PrivateJwk;
}

const SIGNED = [
  'jws/4_1.rsa_v15_signature.json',
  'jws/4_2.rsa-pss_signature.json',
  'jws/4_3.ecdsa_signature.json',
  'curve25519/jws.json',
];

describe('RFC 7520 §4 and RFC 8037: signatures of the algorithms on offer', () => {
  it.each(SIGNED)('%s verifies', async (file) => {
    const { input, output } = cookbook(file);
    expect(await judgeJws(output.compact, exampleKey(input))).toBe('valid');
  });

  it.each(SIGNED)('%s verifies with no other byte in its signature', async (file) => {
    const { input, output } = cookbook(file);
    const [header, payload, signature = ''] = (output.compact ?? '').split('.');
    const bytes = Buffer.from(signature, 'base64url');
    bytes[0] = (bytes[0] ?? 0) ^ 1;
    const tampered = `${header}.${payload}.${bytes.toString('base64url')}`;
    expect(await judgeJws(tampered, exampleKey(input))).toBe('invalid');
  });

  // PSS and ECDSA signatures hold randomness; the others are the same bytes every time.
  it.each(['jws/4_1.rsa_v15_signature.json', 'curve25519/jws.json'])(
    '%s is reproduced byte for byte',
    async (file) => {
      const { input, signing } = cookbook(file);
      const key = await importSigningKey(withoutKid(exampleKey(input)));
      const bytes = Buffer.from(signing['sig-input']);
      const signature = await createSignature(key.row, key.privateKey, bytes);
      expect(signature.toString('base64url')).toBe(signing.sig);
    },
  );

  it.each([
    ['rfc7515-A.2', 'RS256'],
    ['rfc7515-A.3', 'ES256'],
    ['rfc7515-A.4', 'ES512'],
    ['rfc8037-A.1..A.5', 'EdDSA'],
  ])('%s (%s) verifies', async (id, alg) => {
    const { key, compact } = rfcVector(id);
    expect(await judgeJws(compact, { ...key, alg })).toBe('valid');
  });

  it('RFC 9864: a key named Ed25519 is the same curve under a name that EdDSA does not pass for', async () => {
    const { key, compact } = rfcVector('rfc8037-A.1..A.5');
    expect(await judgeJws(compact, { ...key, alg: 'Ed25519' })).toBe('invalid');
  });
});

describe('what the examples show and this package refuses', () => {
  const serialisations = readdirSync(join(DATA, 'cookbook/jws')).flatMap((name) => {
    const { output } = cookbook(`jws/${name}`);
    return (['json', 'json_flat'] as const).flatMap((form) =>
      output[form] === undefined ? [] : [[name, form, JSON.stringify(output[form])] as const],
    );
  });

  it.each(serialisations)(
    'RFC 7515 §7.2: the JSON serialisation of %s (%s) is not a token',
    (_name, _form, text) => {
      expect(judgeText(text)).toBe('invalid');
      expect(judgeText(Buffer.from(text).toString('base64url'))).toBe('invalid');
    },
  );

  it('RFC 7515 appendix A.6: one right signature of two does not make a token', () => {
    expect(judgeText(JSON.stringify(rfcVector('rfc7515-A.6').json))).toBe('invalid');
  });

  it('RFC 7515 appendix F: detached content is refused', async () => {
    const { input, output } = cookbook('jws/4_5.signature_with_detached_content.json');
    expect(await judgeJws(output.compact, exampleKey(input))).toBe('invalid');
    const signed = cookbook('jws/4_3.ecdsa_signature.json');
    const [header, , signature] = (signed.output.compact ?? '').split('.');
    expect(await judgeJws(`${header}..${signature}`, exampleKey(signed.input))).toBe('invalid');
  });

  it.each(readdirSync(join(DATA, 'cookbook/rfc7797')))(
    'RFC 7797: the unencoded payload of %s is refused in every serialisation',
    (name) => {
      const { output } = cookbook(`rfc7797/${name}`);
      const texts = [output.compact ?? [], JSON.stringify(output)].flat();
      expect(texts.map(judgeText)).toEqual(texts.map(() => 'invalid'));
    },
  );

  it('RFC 7515 appendix A.5: an unsecured JWS is refused', () => {
    expect(judgeText(rfcVector('rfc7515-A.5').compact ?? '')).toBe('invalid');
  });

  it.each(['rfc7515-A.1'])('%s: shared secrets are not on offer', async (id) => {
    const { key, compact } = rfcVector(id);
    expect(await judgeJws(compact, { ...key, alg: 'HS256' })).toBe('invalid');
  });

  it.each(['rfc7516-A.1', 'rfc7516-A.2', 'rfc7516-A.3', 'rfc7519-A1_token', 'rfc7519-A2_token'])(
    '%s: a JWE is no signed token',
    (id) => {
      expect(judgeText(rfcVector(id).compact ?? '')).toBe('invalid');
    },
  );
});

describe('RFC 7638 §3: thumbprints name keys', () => {
  it('gives the example of §3.1 when a key names no kid', async () => {
    const { jwk, thumbprint_s256 } = rfcVector('rfc7638-3.1');
    const key = await importVerificationKey({ ...withoutKid(jwk ?? {}), alg: 'RS256' });
    expect(key.kid).toBe(thumbprint_s256);
  });

  it('gives that of RFC 8037 appendix A.3 for the private and the public half', async () => {
    const { key, thumbprint_s256 } = rfcVector('rfc8037-A.1..A.5');
    const jwk = { ...withoutKid(key ?? {}), alg: 'Ed25519' };
    expect((await importSigningKey(jwk)).kid).toBe(thumbprint_s256);
    expect((await importVerificationKey(jwk)).kid).toBe(thumbprint_s256);
  });

  it.each(['ES256', 'ES384', 'ES512', 'Ed25519'] as const)(
    'agrees with jose for a generated %s key',
    async (algorithm) => {
      const { kid, ...jwk } = await newPrivateJwk(algorithm);
      expect(kid).toBe(await calculateJwkThumbprint(jwk as { kty: string }));
    },
  );
});

describe('RFC 7517 appendix A.2: a private JWK set', () => {
  const keys = rfcVector('rfc7517-A.2').jwks?.keys ?? [];

  it('has the two keys of the example', () => {
    expect(keys.map(({ kty }) => kty)).toEqual(['EC', 'RSA']);
  });

  it('its encryption key signs nothing (use "enc")', async () => {
    const jwk = { ...keys[0], alg: 'ES256' } as PrivateJwk;
    await expect(importSigningKey(jwk)).rejects.toMatchObject({ code: 'ERR_KEY_INVALID' });
  });

  it('only the public members of a key leave it', async () => {
    const { publicJwk } = await importSigningKey(keys[1] as PrivateJwk);
    expect(Object.keys(publicJwk).toSorted()).toEqual(['alg', 'e', 'kid', 'kty', 'n', 'use']);
  });
});

describe('RFC 9068: the example access token', () => {
  interface Example {
    readonly header: { readonly typ: string; readonly alg: string; readonly kid: string };
    readonly claims: Readonly<Record<string, unknown>> & {
      readonly iss: string;
      readonly aud: string;
      readonly iat: number;
      readonly exp: number;
    };
  }
  const { header, claims } = readVectors('rfc/rfc9068_example.json') as Example;

  /** The example lives for 245 days; the lifetime is cut to what any server here would allow. */
  async function openExample() {
    const jwk = { ...rfcVector('rfc7515-A.2').key, alg: header.alg, kid: header.kid } as PrivateJwk;
    const issuer = await openIssuer(
      {
        issuer: claims.iss,
        audience: claims.aud,
        keys: { signingKey: jwk },
        tokens: { requiredClaims: ['client_id'] },
      },
      new TestClock(claims.iat * 1000),
    );
    return { ...issuer, key: await importSigningKey(jwk) };
  }

  it('is accepted with its own header (typ at+JWT) and claims, given a lifetime we allow', async () => {
    const { tokens, key } = await openExample();
    const token = await forgeAccess(key, { ...claims, exp: claims.iat + 900 }, header);
    expect(await tokens.verify(token)).toMatchObject({
      subject: '5ba552d67',
      clientId: 's6BhdRkqt3',
      scopes: ['openid', 'profile', 'reademail'],
    });
  });

  it('is refused as printed: it lives for eight months', async () => {
    const { tokens, key } = await openExample();
    const token = await forgeAccess(key, claims, header);
    await expect(tokens.verify(token)).rejects.toMatchObject({ code: 'ERR_TOKEN_LIFETIME' });
  });

  it.each(['iss', 'exp', 'aud', 'sub', 'client_id', 'iat', 'jti'])(
    'RFC 9068 §2.2: is refused without %s',
    async (name) => {
      const { tokens, key } = await openExample();
      const whole: Record<string, unknown> = { ...claims, exp: claims.iat + 900 };
      delete whole[name];
      const token = await forgeAccess(key, whole, header);
      await expect(tokens.verify(token)).rejects.toMatchObject({ code: 'ERR_TOKEN_CLAIM_MISSING' });
    },
  );

  it('RFC 9068 §4: an ID token (typ JWT) is refused', async () => {
    const { tokens, key } = await openExample();
    const token = await forgeAccess(key, { ...claims, exp: claims.iat + 900 }, { typ: 'JWT' });
    await expect(tokens.verify(token)).rejects.toThrow(TokenError);
  });

  it('an issued token has the shape of RFC 9068 §2', async () => {
    const { tokens } = await openIssuer({ tokens: { clientId: 'web' } });
    const { token, claims: issued } = await tokens.sign({
      sub: 'user-1',
      scope: ['read', 'write'],
    });
    const issuedHeader: unknown = JSON.parse(
      Buffer.from(token.split('.')[0] ?? '', 'base64url').toString(),
    );
    expect(issuedHeader).toEqual({ alg: 'ES256', typ: 'at+jwt', kid: expect.any(String) });
    expect(issued).toMatchObject({
      iss: ISSUER,
      aud: AUDIENCE,
      sub: 'user-1',
      client_id: 'web',
      scope: 'read write',
    });
  });
});
