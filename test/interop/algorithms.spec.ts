import { LocalHttps } from './local-https.js';
import { Service } from './service.js';
import { LIBRARIES, type Library, startVerifiers, type Verifiers } from './verifiers.js';

const ALGORITHMS = ['ES256', 'RS256', 'PS256', 'EdDSA', 'Ed25519'] as const;
type Algorithm = (typeof ALGORITHMS)[number];

/** What a library says where it does not know an algorithm. The day it does, its row fails. */
const UNSUPPORTED: Readonly<Record<Library, Partial<Record<Algorithm, RegExp>>>> = {
  'aws-jwt-verify': {
    PS256: /signature algorithm not allowed: PS256/,
    Ed25519: /signature algorithm not allowed: Ed25519/,
  },
  'express-oauth2-jwt-bearer': { Ed25519: /You must supply one of [^]* for 'tokenSigningAlg'/ },
  'fast-jwt': { Ed25519: /Invalid public key provided for algorithms Ed25519/ },
  jsonwebtoken: { EdDSA: /Unknown key type "ed25519"/, Ed25519: /Unknown key type "ed25519"/ },
};

const https = new LocalHttps();
let issuer: Service;
let verifiers: Verifiers;

beforeAll(async () => {
  [issuer, verifiers] = await Promise.all([
    Service.start(https, { keys: { algorithm: ALGORITHMS } }),
    startVerifiers(https),
  ]);
});

afterAll(() => https.close());

const PAIRS = LIBRARIES.flatMap((library) =>
  ALGORITHMS.map((algorithm) => ({ library, algorithm, says: UNSUPPORTED[library][algorithm] })),
);

describe('one JWKS with five algorithms', () => {
  it.each(PAIRS.filter(({ says }) => says === undefined))(
    '$library verifies $algorithm from it, and what was tampered with is refused',
    async ({ library, algorithm }) => {
      const trust = { issuer: issuer.issuer, algorithm };
      const { token, alg } = await issuer.issue({ algorithm });
      expect(alg).toBe(algorithm);
      expect(await verifiers[library].judge(token, trust)).toEqual({ status: 200 });
      const [header, payload, signature = ''] = token.split('.');
      const flipped = (signature.startsWith('A') ? 'B' : 'A') + signature.slice(1);
      const tampered = `${header}.${payload}.${flipped}`;
      expect(await verifiers[library].judge(tampered, trust)).toEqual({
        status: 401,
        error: expect.stringMatching(/signature/i),
      });
      const { token: foreign } = await issuer.issue({
        algorithm,
        audience: 'https://elsewhere.example',
      });
      expect(await verifiers[library].judge(foreign, trust)).toEqual({
        status: 401,
        error: expect.stringMatching(/aud/i),
      });
    },
  );

  it.each(PAIRS.filter(({ says }) => says !== undefined))(
    '$library does not know $algorithm, and says so',
    async ({ library, algorithm, says }) => {
      const { token } = await issuer.issue({ algorithm });
      const verdict = await verifiers[library].judge(token, { issuer: issuer.issuer, algorithm });
      expect(verdict.status).not.toBe(200);
      expect(verdict.error).toMatch(says ?? /^$/);
    },
  );
});
