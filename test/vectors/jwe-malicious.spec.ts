import { randomBytes } from 'node:crypto';

import { TokenError } from '../../lib/kernel/errors.js';
import { NestedTokens } from '../../lib/tokens/nested-token.js';
import { type Issuer, openIssuer } from '../support/token-mother.js';
import { recordSecret } from '../support/witness.js';
import { type Arena, openArena, type TokenRow } from './arena.js';
import { readRows } from './vector-files.js';

/**
 * Every row of the malicious sample where tokens are encrypted: as it is, it is refused; encrypted by
 * the service itself, it comes out as it would without, so that an envelope makes nothing better.
 */

const rows = (readRows('malicious/malicious_tokens.sample.jsonl') as readonly TokenRow[]).filter(
  ({ slot }) => slot !== 'dpop',
);

let arena: Arena;
let texts: ReadonlyMap<string, string>;
let issuer: Issuer;

beforeAll(async () => {
  arena = await openArena();
  texts = arena.materialize(rows);
  const keys = randomBytes(32).toString('base64url');
  recordSecret(keys);
  const tokens = { encryption: { keys }, requiredClaims: ['client_id'] } as const;
  issuer = await openIssuer({ keys: { signingKey: arena.privateJwk }, tokens }, arena.clock);
});

afterAll(() => arena.close());

async function verdictOf(text: string): Promise<string> {
  const outcome: unknown = await issuer.tokens.verify(text).then(
    () => 'accept',
    (error: unknown) => error,
  );
  if (outcome instanceof TokenError) return 'reject';
  return typeof outcome === 'string' ? outcome : `defect: ${String(outcome)}`;
}

describe('the malicious sample where tokens are encrypted', () => {
  it.each(rows)('$id $class: $name is refused as it is', async ({ id }) => {
    expect(await verdictOf(texts.get(id) ?? '')).toBe('reject');
  });

  it.each(rows)('$id $class: $name in an envelope of ours is what it is without', async (row) => {
    const text = texts.get(row.id) ?? '';
    const nested = new NestedTokens('encrypted', issuer.keyRing);
    const plain = await arena
      .side('express')
      .tokens.verify(text)
      .then(
        () => 'accept',
        () => 'reject',
      );
    expect(await verdictOf(nested.seal(text))).toBe(plain);
  });

  it('accepts the right ones in their envelope', async () => {
    const nested = new NestedTokens('encrypted', issuer.keyRing);
    expect(await verdictOf(nested.seal(arena.valid))).toBe('accept');
    expect(await verdictOf(arena.valid)).toBe('reject');
  });
});
