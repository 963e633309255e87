import { TokenError } from '../../lib/kernel/errors.js';
import { TOKEN_TYPES, type TokenKind } from '../../lib/tokens/claims.js';
import { forgeAccess, openIssuer, validClaims } from '../support/token-mother.js';

/** RFC 8725 §3.11 and §3.12: each kind of token has its own `typ`, so none passes for another. */

const KINDS = Object.keys(TOKEN_TYPES) as TokenKind[];
const MATRIX = KINDS.flatMap((kind) => KINDS.map((slot) => ({ kind, slot })));

describe('6 kinds of token in 6 slots', () => {
  it('there are six, and no two share a typ', () => {
    expect(KINDS).toHaveLength(6);
    expect(new Set(Object.values(TOKEN_TYPES)).size).toBe(6);
  });

  it.each(MATRIX.filter(({ kind, slot }) => kind === slot))(
    'a token of kind $kind is accepted as $slot',
    async ({ kind, slot }) => {
      const { tokens } = await openIssuer();
      const { token } = await tokens.sign({ sub: 'user-1' }, { kind });
      expect((await tokens.verify(token, { kind: slot })).kind).toBe(kind);
    },
  );

  it.each(MATRIX.filter(({ kind, slot }) => kind !== slot))(
    'a token of kind $kind is refused as $slot',
    async ({ kind, slot }) => {
      const { tokens } = await openIssuer();
      const { token } = await tokens.sign({ sub: 'user-1' }, { kind });
      await expect(tokens.verify(token, { kind: slot })).rejects.toMatchObject({
        code: 'ERR_TOKEN_TYPE',
      });
    },
  );

  it.each(MATRIX.filter(({ kind, slot }) => kind !== slot))(
    'a token of kind $kind is refused as $slot also once its own kind is cached',
    async ({ kind, slot }) => {
      const { tokens } = await openIssuer();
      const { token } = await tokens.sign({ sub: 'user-1' }, { kind });
      await tokens.verify(token, { kind });
      await expect(tokens.verify(token, { kind: slot })).rejects.toThrow(TokenError);
      expect((await tokens.verify(token, { kind })).kind).toBe(kind);
    },
  );

  it.each(KINDS)('%s: verify without a kind takes access tokens only', async (kind) => {
    const { tokens } = await openIssuer();
    const { token } = await tokens.sign({ sub: 'user-1' }, { kind });
    const verdict = tokens.verify(token).then(
      () => 'accepted',
      (error: unknown) => (error as TokenError).code,
    );
    expect(await verdict).toBe(kind === 'access' ? 'accepted' : 'ERR_TOKEN_TYPE');
  });

  it.each(KINDS)('%s: sign writes the typ of the kind', async (kind) => {
    const { tokens } = await openIssuer();
    const { token } = await tokens.sign({ sub: 'user-1' }, { kind });
    const header: unknown = JSON.parse(
      Buffer.from(token.split('.')[0] ?? '', 'base64url').toString(),
    );
    expect(header).toMatchObject({ typ: TOKEN_TYPES[kind] });
  });

  it.each(KINDS)('%s: typ is compared as a media type (RFC 7515 §4.1.9)', async (kind) => {
    const { tokens, keyRing, clock } = await openIssuer();
    const key = await keyRing.signingKey();
    const typ = TOKEN_TYPES[kind];
    for (const spelling of [typ.toUpperCase(), `application/${typ}`, `APPLICATION/${typ}`]) {
      const token = await forgeAccess(key, validClaims(clock), { typ: spelling });
      expect((await tokens.verify(token, { kind })).kind).toBe(kind);
    }
    // "+" is no operator, and "ſ" is no "s" (it is, to a case-insensitive Unicode comparison).
    const strangers = [typ.replace('+', ''), typ.replace('+', 'tt'), typ.replace('s', 'ſ')];
    for (const stranger of strangers.filter((spelling) => spelling !== typ)) {
      const token = await forgeAccess(key, validClaims(clock), { typ: stranger });
      await expect(tokens.verify(token, { kind })).rejects.toMatchObject({
        code: 'ERR_TOKEN_TYPE',
      });
    }
  });
});
