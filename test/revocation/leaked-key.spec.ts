import { randomBytes } from 'node:crypto';

import { TOKEN_TYPES, type TokenKind } from '../../lib/tokens/claims.js';
import type { Issuer } from '../support/token-mother.js';
import { newPrivateJwk, openIssuer } from '../support/token-mother.js';
import { recordSecret } from '../support/witness.js';

/** What revoking a configured key ends: everything that was signed with it. */
let issuer: Issuer;

afterEach(() => issuer.revocations.onModuleDestroy());

function verdict(token: string, kind: TokenKind): Promise<string> {
  return issuer.tokens.verify(token, { kind }).then(
    () => 'accepted',
    (error: { readonly code: string }) => error.code,
  );
}

it.each(Object.keys(TOKEN_TYPES) as TokenKind[])('a token of kind %s', async (kind) => {
  issuer = await openIssuer({ keys: { signingKey: await newPrivateJwk() } });
  const { token } = await issuer.tokens.sign({ sub: 'alice' }, { kind });
  expect(await verdict(token, kind)).toBe('accepted');
  const { kid } = await issuer.tokens.verify(token, { kind });
  await issuer.revocations.revokeKey(kid);
  expect(await verdict(token, kind)).toBe('ERR_TOKEN_REVOKED');
  // Whoever has the key goes on signing.
  const { token: later } = await issuer.tokens.sign({ sub: 'alice' }, { kind });
  expect(await verdict(later, kind)).toBe('ERR_TOKEN_REVOKED');
});

it('a token signed with a secret that was derived from it', async () => {
  const k = randomBytes(32).toString('base64url');
  recordSecret(k);
  issuer = await openIssuer({
    profile: 'monolith',
    keys: { signingKey: { kid: 'm1', alg: 'HS256', kty: 'oct', k }, derivation: { period: '1d' } },
  });
  const { token } = await issuer.tokens.sign({ sub: 'alice' });
  const verified = await issuer.tokens.verify(token);
  expect(verified.kid).toBe('m1');
  await issuer.revocations.revokeKey('m1');
  expect(await verdict(token, 'access')).toBe('ERR_TOKEN_REVOKED');
  expect(issuer.revocations.status(verified)).toMatchObject({ revoked: true, kind: 'key' });
});
