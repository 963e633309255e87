import * as fc from 'fast-check';

import { TokenError } from '../../lib/kernel/errors.js';
import { type Issuer, openIssuer } from '../support/token-mother.js';
import { recordSecret } from '../support/witness.js';
import { mutatedBatch } from './mutations.js';

/**
 * Mutated encrypted tokens: nothing but a valid token, byte for byte, is accepted, and whatever still
 * has five parts is refused with one code and one detail (RFC 7516 §11.5). A failure prints the seed
 * that repeats it.
 */

const BATCH = 250;
const CASES = Number(process.env['MUTATIONS'] ?? 8_000);

async function verdictOf({ tokens }: Issuer, text: string): Promise<string> {
  try {
    await tokens.verify(text);
    return 'accepted';
  } catch (error) {
    if (!(error instanceof TokenError)) return `defect: ${String(error)}`;
    // Without five parts it is another kind of text, and its length is no secret.
    const isPlain = text.split('.').length !== 5 || error.code === 'ERR_TOKEN_TOO_LARGE';
    return isPlain ? 'refused' : `refused: ${error.code}, ${error.detail}`;
  }
}

const ONE_WAY = 'refused: ERR_TOKEN_ENCRYPTION, the token cannot be decrypted';

it.each([
  ['encrypted', { maxEntries: 1000 }],
  ['encrypted', null],
  ['both', { maxEntries: 1000 }],
] as const)('where %s ones are accepted (cache: %j)', async (accept, verifiedCache) => {
  const issuer = await openIssuer({ tokens: { encryption: { accept }, verifiedCache } });
  const valid = await Promise.all(
    [{ sub: 'user-1' }, { sub: 'user-2', scope: 'a b' }, { sub: 'user-3', roles: ['x'] }].map(
      async (claims) => (await issuer.tokens.sign(claims)).token,
    ),
  );
  valid.forEach(recordSecret);
  let cases = 0;
  let accepted = 0;
  await fc.assert(
    fc.asyncProperty(mutatedBatch(valid, BATCH), async (texts) => {
      const verdicts = await Promise.all(texts.map((text) => verdictOf(issuer, text)));
      const wrong = texts.flatMap((text, index) => {
        const allowed = valid.includes(text) ? ['accepted'] : ['refused', ONE_WAY];
        const verdict = verdicts[index] ?? '';
        return allowed.includes(verdict) ? [] : [`${verdict}: ${JSON.stringify(text)}`];
      });
      cases += texts.length;
      accepted += verdicts.filter((verdict) => verdict === 'accepted').length;
      expect(wrong).toEqual([]);
    }),
    { numRuns: Math.ceil(CASES / 3 / BATCH), endOnFailure: true },
  );
  expect(cases).toBeGreaterThanOrEqual(CASES / 3);
  // Some are left untouched, so that a verifier that refuses everything fails here.
  expect(accepted).toBeGreaterThan(cases / 100);
});
