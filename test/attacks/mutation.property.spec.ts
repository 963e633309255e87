import * as fc from 'fast-check';

import { TokenError } from '../../lib/kernel/errors.js';
import { ADAPTERS } from '../support/guarded-app.js';
import { forgeAccess, type Issuer, openIssuer } from '../support/token-mother.js';
import { type Arena, openArena, ROUTES, sendToken } from '../vectors/arena.js';
import { mutatedBatch } from './mutations.js';

/**
 * Mutated tokens (CVE-2019-17195 and kin): nothing but a valid token, byte for byte, is accepted,
 * and nothing but a TokenError is thrown. A failure prints the seed that repeats it.
 */

const BATCH = 250;
/** The brief's hundred thousand take half a minute of a processor: `MUTATIONS=100000`. */
const CASES_AT_THE_VERIFIER = Number(process.env['MUTATIONS'] ?? 8_000);
const HTTP_BATCH = 40;
const CASES_OVER_HTTP = 4_000;

/** What verifying answered: a defect is any error that is not a refusal. */
async function verdictOf({ tokens }: Pick<Issuer, 'tokens'>, text: string): Promise<string> {
  try {
    await tokens.verify(text);
    return 'accepted';
  } catch (error) {
    return error instanceof TokenError ? 'refused' : `defect: ${String(error)}`;
  }
}

describe('mutated tokens at the verifier', () => {
  it.each([
    ['with the verified-token cache', { maxEntries: 1000 }],
    ['without a cache', null],
  ])('%s: only the valid ones, byte for byte, are accepted', async (_, verifiedCache) => {
    const issuer = await openIssuer({ tokens: { verifiedCache } });
    const key = await issuer.keyRing.signingKey();
    const valid = await Promise.all(
      [{ sub: 'user-1' }, { sub: 'user-2', scope: 'a b' }, { sub: 'user-3', roles: ['x'] }].map(
        async (claims) => (await issuer.tokens.sign(claims)).token,
      ),
    );
    const foreign = await forgeAccess(key, { sub: 'user-1' });
    let cases = 0;
    let accepted = 0;
    await fc.assert(
      fc.asyncProperty(mutatedBatch([...valid, foreign], BATCH), async (texts) => {
        const verdicts = await Promise.all(texts.map((text) => verdictOf(issuer, text)));
        const wrong = texts.flatMap((text, index) => {
          const expected = valid.includes(text) ? 'accepted' : 'refused';
          const verdict = verdicts[index] ?? '';
          return verdict === expected ? [] : [`${verdict}: ${JSON.stringify(text)}`];
        });
        cases += texts.length;
        accepted += verdicts.filter((verdict) => verdict === 'accepted').length;
        expect(wrong).toEqual([]);
      }),
      { numRuns: CASES_AT_THE_VERIFIER / 2 / BATCH, endOnFailure: true },
    );
    expect(cases).toBeGreaterThanOrEqual(CASES_AT_THE_VERIFIER / 2);
    // Some are left untouched, so that a verifier that refuses everything fails here.
    expect(accepted).toBeGreaterThan(cases / 100);
  });
});

/** 200 for the valid token alone; 400 and 431 are the HTTP parser's own. */
function allowedStatuses(text: string, valid: string): readonly number[] {
  if (text === valid) return [200];
  // Blanks around a header's value are no part of it (RFC 9110 §5.5).
  return text.trim() === valid ? [200, 400, 401] : [400, 401, 431];
}

describe('mutated tokens over HTTP', () => {
  let arena: Arena;

  beforeAll(async () => {
    arena = await openArena();
  });

  afterAll(() => arena.close());

  it.each(ADAPTERS)(
    'on %s: valid ones pass, the others are refused, and nothing breaks',
    async (adapter) => {
      const side = arena.side(adapter);
      let cases = 0;
      await fc.assert(
        fc.asyncProperty(mutatedBatch([arena.valid, arena.bound], HTTP_BATCH), async (texts) => {
          const answers = await Promise.all(
            texts.map((text) => sendToken(side, ROUTES.protected, text)),
          );
          const wrong = texts.flatMap((text, index) => {
            const status = answers[index]?.status ?? 0;
            return allowedStatuses(text, arena.valid).includes(status)
              ? []
              : [`${status}: ${JSON.stringify(text)}`];
          });
          cases += texts.length;
          expect(wrong).toEqual([]);
        }),
        { numRuns: CASES_OVER_HTTP / HTTP_BATCH, endOnFailure: true },
      );
      expect(cases).toBeGreaterThanOrEqual(CASES_OVER_HTTP);
      const { status } = await sendToken(side, ROUTES.protected, arena.valid);
      expect(status).toBe(200);
    },
  );
});
