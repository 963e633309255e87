import type { KeyRingService } from '../keys/key-ring.service.js';
import { TOKEN_TYPES } from '../tokens/claims.js';

/** What a Status List Token says (Token Status List §5.1). Times in seconds. */
export interface StatusListClaims {
  readonly iss: string;
  /** Where the list is served. */
  readonly sub: string;
  readonly iat: number;
  readonly exp: number;
  readonly ttl: number;
  readonly status_list: { readonly bits: 1; readonly lst: string };
}

export interface SignedStatusList {
  readonly token: string;
  readonly kid: string;
}

/**
 * Signs a Status List Token. Not by `TokenService`, whose tokens are for somebody: this one is for
 * everybody, and a verifier must refuse an `aud` that does not name it (RFC 7519 §4.1.3).
 * @throws KeyError while no key can sign
 */
export async function signStatusList(
  keyRing: KeyRingService,
  claims: StatusListClaims,
): Promise<SignedStatusList> {
  const key = await keyRing.signingKey();
  const header = { alg: key.row.name, typ: TOKEN_TYPES.statusList, kid: key.kid };
  const input = `${encode(header)}.${encode(claims)}`;
  const signature = await key.sign(Buffer.from(input));
  return { token: `${input}.${Buffer.from(signature).toString('base64url')}`, kid: key.kid };
}

function encode(value: object): string {
  return Buffer.from(JSON.stringify(value)).toString('base64url');
}
