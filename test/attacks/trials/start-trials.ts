import { createPublicKey, generateKeyPairSync } from 'node:crypto';

import { importVerificationKey } from '../../../lib/keys/key-material.js';
import { newPrivateJwk } from '../../support/token-mother.js';
import { readVectors } from '../../vectors/vector-files.js';
import { startupProblems } from '../startup.js';
import type { Lab, Trial } from './lab.js';

/** Mistakes in configuration that must stop the start. */

/** Options that must not start, whatever else is right. */
export function noStart(...mistakes: readonly object[]): Trial {
  return async () => {
    for (const mistake of mistakes) expect(await startupProblems(mistake)).not.toEqual([]);
  };
}

const withKey = (signingKey: unknown): object => ({ keys: { signingKey } });

/** A configured key always has its one algorithm, and fits it. */
export async function keyNeedsItsAlgorithm(lab: Lab): Promise<void> {
  const { alg: _, ...bare } = await newPrivateJwk('ES256');
  const p384 = await newPrivateJwk('ES384');
  const { privateKey } = generateKeyPairSync('rsa', { modulusLength: 2048 });
  await noStart(
    withKey(bare),
    withKey({ ...bare, alg: '' }),
    withKey({ ...bare, alg: 'none' }),
    withKey({ ...bare, alg: 'HS256' }),
    withKey({ ...bare, alg: ['ES256'] }),
    withKey({ ...bare, alg: 'RS256' }),
    withKey({ ...p384, alg: 'ES256' }),
    withKey({ ...privateKey.export({ format: 'jwk' }), alg: 'ES256' }),
    { keys: { algorithm: 'ES384', signingKey: { ...bare, alg: 'ES256' } } },
    { keys: { algorithm: 'none' } },
    { keys: { algorithm: 'HS256' } },
    { keys: { algorithm: ['ES256', 'HS256'] } },
    { keys: { algorithm: '' } },
  )(lab);
}

export async function weakRsaKeys(lab: Lab): Promise<void> {
  const { privateKey } = generateKeyPairSync('rsa', { modulusLength: 1024 });
  const jwk = privateKey.export({ format: 'jwk' });
  await noStart(
    withKey({ ...jwk, alg: 'RS256' }),
    withKey({ ...jwk, alg: 'PS256' }),
    withKey({ pem: privateKey.export({ type: 'pkcs8', format: 'pem' }), algorithm: 'RS256' }),
    withKey(wycheproofKey('jws_rsa_roca_key')),
    withKey(wycheproofKey('exponentOne')),
  )(lab);
}

function wycheproofKey(comment: string): unknown {
  const { testGroups } = readVectors('wycheproof/json_web_key_test.public.json') as {
    readonly testGroups: readonly {
      readonly comment: string;
      readonly private: { readonly keys: readonly unknown[] };
    }[];
  };
  return testGroups.find((group) => group.comment === comment)?.private.keys[0];
}

export const emptyKeys = noStart(
  withKey(''),
  withKey(null),
  withKey({}),
  withKey([]),
  withKey(Buffer.alloc(0)),
  withKey({ pem: '', algorithm: 'ES256' }),
  withKey({ pem: ' ', algorithm: 'ES256' }),
  withKey({ kty: 'oct', k: '', alg: 'HS256' }),
  withKey({ kty: 'EC', crv: 'P-256', x: '', y: '', d: '', alg: 'ES256' }),
);

/** Texts before a PEM that made other detectors see no public key, or another one. */
const PEM_PREFIXES = [
  ['\n', '\r\n', ' ', '\t', '\ufeff', '\u0000', '# comment\n', '# x', 'x', '{"a":1}\n'],
  ['-----BEGIN X-----\n', 'Proc-Type: 4,ENCRYPTED\n', '\u200b'],
].flat();

/** Exactly one PEM block with a private key, or no start. */
export async function disguisedPems(lab: Lab): Promise<void> {
  const { privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  const secret = privateKey.export({ type: 'pkcs8', format: 'pem' }).toString();
  const publicKey = createPublicKey(privateKey);
  const open = publicKey.export({ type: 'spki', format: 'pem' }).toString();
  expect(await startupProblems(withKey({ pem: secret, algorithm: 'ES256' }))).toEqual([]);
  await noStart(
    withKey({ pem: open, algorithm: 'ES256' }),
    withKey({ pem: `${open}${secret}`, algorithm: 'ES256' }),
    withKey({ pem: `${secret}${open}`, algorithm: 'ES256' }),
    withKey({ pem: `${secret}${secret}`, algorithm: 'ES256' }),
    withKey({ ...publicKey.export({ format: 'jwk' }), alg: 'ES256' }),
    ...PEM_PREFIXES.flatMap((prefix) => [
      withKey({ pem: prefix + secret, algorithm: 'ES256' }),
      withKey({ pem: prefix + open, algorithm: 'ES256' }),
      withKey({ pem: prefix + open, algorithm: 'HS256' }),
      withKey(prefix + open),
    ]),
  )(lab);
}

export async function keyWithoutAlgorithm({ key }: Lab): Promise<void> {
  const { alg: _, ...jwk } = key.publicJwk;
  await expect(importVerificationKey(jwk)).rejects.toMatchObject({ code: 'ERR_KEY_INVALID' });
}
