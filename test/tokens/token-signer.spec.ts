import { csrfDigest } from '../../lib/binding/csrf-digest.js';
import type { SecurityEvent } from '../../lib/events/security-events.js';
import type { JsonObject } from '../../lib/kernel/strict-json.js';
import { RESERVED_CLAIMS, type TokenClaims } from '../../lib/tokens/claims.js';
import { MAX_TOKEN_LENGTH } from '../../lib/tokens/compact.js';
import {
  type OwnClaims,
  type PreparedToken,
  type PrepareOptions,
  type SigningRules,
  TokenSigner,
} from '../../lib/tokens/token-signer.js';
import { TokenStanding } from '../../lib/tokens/token-standing.js';
import { verdictOf } from '../revocation/instances.js';
import { AUDIENCE, ISSUER } from '../support/guarded-app.js';
import { type Issuer, openIssuer } from '../support/token-mother.js';
import { recordOutput, recordSecret } from '../support/witness.js';

const RULES: SigningRules = {
  issuer: ISSUER,
  audiences: [AUDIENCE],
  clientId: null,
  accessTtl: 900,
  maxLifetime: 3_600,
  lifetimeJitter: 0,
  requiredClaims: [],
  allowClaims: new Set(),
};

/** As a session prepares its first token, and each one after that. */
const MODES = ['caller', 'grant'] as const satisfies readonly PrepareOptions['claimsFrom'][];

let issuer: Issuer;
let said: SecurityEvent[];

beforeEach(async () => {
  issuer = await openIssuer();
  said = [];
  issuer.events.onAny((event) => said.push(event));
});

afterEach(() => {
  issuer.revocations.onModuleDestroy();
  recordOutput(JSON.stringify(said));
});

function signer(rules: Partial<SigningRules> = {}): TokenSigner {
  const { keyRing, revocations, clock, events } = issuer;
  const parts = { subjects: null, allocator: null, statusLists: null };
  const standing = new TokenStanding({ revocations, ...parts });
  return new TokenSigner(
    { ...RULES, ...rules },
    { keyRing, standing, derived: undefined, nested: undefined, clock, events },
  );
}

async function prepare(
  claims: object = {},
  options: PrepareOptions = {},
  rules: Partial<SigningRules> = {},
  own: OwnClaims = { era: 0 },
): Promise<PreparedToken> {
  const said = { sub: 'user-1', ...claims } as TokenClaims;
  const prepared = await signer(rules).prepare(said, own, options);
  recordSecret(prepared.signed.token);
  return prepared;
}

/** A part of a token: 0 for its header, 1 for what it says. */
function partOf({ signed: { token } }: PreparedToken, part: 0 | 1): unknown {
  return JSON.parse(Buffer.from(token.split('.')[part] ?? '', 'base64url').toString()) as unknown;
}

describe.each(MODES)('a prepared token, of claims of the %s', (claimsFrom) => {
  it('is one that this service accepts, and says what was asked for', async () => {
    const prepared = await prepare({ scope: ['a', 'b'], sid: 's-1', tenant: 't' }, { claimsFrom });
    const { token, claims, expiresIn } = prepared.signed;
    const now = issuer.clock.seconds();
    const jti = expect.stringMatching(/^[\w-]{32}$/) as string;
    const times = { iat: now, nbf: now, exp: now + 900 };
    const own = { iss: ISSUER, aud: AUDIENCE, ...times, jti, era: 0 };
    expect(claims).toEqual({ sub: 'user-1', scope: 'a b', sid: 's-1', tenant: 't', ...own });
    expect(partOf(prepared, 1)).toEqual(claims);
    const { kid } = await issuer.keyRing.signingKey();
    expect(partOf(prepared, 0)).toEqual({ alg: 'ES256', typ: 'at+jwt', kid });
    expect(expiresIn).toBe(900);
    expect((await issuer.tokens.verify(token)).claims).toEqual(claims);
  });

  it('is not issued until it is announced, which says no more than its ids', async () => {
    const prepared = await prepare({ sub: 'planted', tenant: 'planted' }, { claimsFrom });
    expect(said).toEqual([]);
    issuer.clock.advance(1_000);
    prepared.announce();
    const { jti, exp } = prepared.signed.claims;
    const { kid } = await issuer.keyRing.signingKey();
    const expiresAt = new Date(exp * 1_000);
    const at = new Date(issuer.clock.now());
    expect(said).toEqual([{ type: 'token.issued', at, kind: 'access', kid, jti, expiresAt }]);
    expect(JSON.stringify(said)).not.toContain('planted');
  });

  it('is another one each time', async () => {
    const [one, two] = [await prepare({}, { claimsFrom }), await prepare({}, { claimsFrom })];
    expect(one.signed.claims.jti).not.toBe(two.signed.claims.jti);
  });

  it('is frozen to the last level, and what it was made of is left alone', async () => {
    const scope = ['a'];
    const { claims } = (await prepare({ scope, tenant: { groups: [{}] } }, { claimsFrom })).signed;
    const tenant = claims['tenant'] as JsonObject;
    const groups = tenant['groups'] as readonly JsonObject[];
    for (const part of [claims, tenant, groups, groups[0]]) {
      expect(Object.isFrozen(part)).toBe(true);
    }
    expect(scope).toEqual(['a']);
  });

  it('lives for the ttl that is asked for, and for no longer than is allowed', async () => {
    const { signed } = await prepare({}, { claimsFrom, ttl: '90s' });
    expect([signed.expiresIn, signed.claims.exp - signed.claims.iat]).toEqual([90, 90]);
    for (const ttl of ['3601s', '999ms', '0s'] as const) {
      expect(await verdictOf(prepare({}, { claimsFrom, ttl }))).toBe('ERR_CLAIM_LIFETIME');
    }
  });

  it('is none without a claim that is required by now, and the refusal names it', async () => {
    const rules = { requiredClaims: ['sid', 'tenant'] };
    for (const lacking of [{ sid: 's-1' }, { tenant: 't' }, {}]) {
      const refused = prepare(lacking, { claimsFrom }, rules);
      const name = 'sid' in lacking ? 'tenant' : 'sid';
      await expect(refused).rejects.toMatchObject({ code: 'ERR_CLAIM_INVALID' });
      await expect(refused).rejects.toThrow(`${name} is required by tokens.requiredClaims`);
    }
    expect(said).toEqual([]);
    const { signed } = await prepare({ sid: 's-1', tenant: 't' }, { claimsFrom }, rules);
    expect(await verdictOf(issuer.tokens.verify(signed.token))).toBe('accepted');
  });

  it('may be required to say what the service itself says, but no name that all objects have', async () => {
    const required = { requiredClaims: ['jti', 'era'] };
    expect(await verdictOf(prepare({}, { claimsFrom }, required))).toBe('accepted');
    const inherited = { requiredClaims: ['toString'] };
    expect(await verdictOf(prepare({}, { claimsFrom }, inherited))).toBe('ERR_CLAIM_INVALID');
  });

  it('that would be too long to be accepted is not made', async () => {
    const large = { tenant: 'x'.repeat(MAX_TOKEN_LENGTH - 1_000) };
    expect(await verdictOf(prepare(large, { claimsFrom }))).toBe('ERR_CLAIM_TOO_LARGE');
    expect(said).toEqual([]);
  });

  it('says of its session what the session says, in the words of the service', async () => {
    const csrf = csrfDigest('a CSRF token');
    const own = { era: 7, token_version: 3, csrf };
    const { signed } = await prepare({ sid: 's-1', auth_time: 5 }, { claimsFrom }, {}, own);
    expect(signed.claims).toMatchObject({ sid: 's-1', auth_time: 5, ...own });
  });
});

describe('claims that only the service sets', () => {
  it.each([...RESERVED_CLAIMS])('%s is none of a caller, whatever else is said', async (name) => {
    const own = { era: 0, csrf: csrfDigest('a CSRF token') };
    for (const value of ['planted', null, 9e15]) {
      const refused = prepare({ [name]: value }, {}, { allowClaims: new Set([name]) }, own);
      await expect(refused).rejects.toMatchObject({ code: 'ERR_CLAIM_RESERVED' });
      const error: unknown = await refused.catch((reason: unknown) => reason);
      expect(String(error)).not.toContain('planted');
    }
    expect(said).toEqual([]);
  });

  it.each(['iss', 'aud', 'exp', 'nbf', 'iat', 'jti', 'era', 'token_version', 'csrf'])(
    '%s of what was granted before gives way to that of now',
    async (name) => {
      const own = { era: 7, token_version: 3, csrf: csrfDigest('a CSRF token') };
      const right = (await prepare({}, {}, {}, own)).signed.claims;
      const { signed } = await prepare({ [name]: 'planted' }, { claimsFrom: 'grant' }, {}, own);
      const jti = expect.stringMatching(/^[\w-]{32}$/) as string;
      expect(signed.claims).toEqual({ ...right, jti });
    },
  );
});

describe('claims that were granted before', () => {
  it('are as good as they were then, though a caller could not pass them now', async () => {
    const granted = { contact: 'someone@mail.example', auth_time: issuer.clock.seconds() + 60 };
    const { signed } = await prepare(granted, { claimsFrom: 'grant' });
    expect(signed.claims).toMatchObject(granted);
    expect(await verdictOf(prepare(granted))).toMatch(/^ERR_CLAIM_(?:SENSITIVE|INVALID)$/);
    const { contact } = granted;
    expect(await verdictOf(prepare({ contact }))).toBe('ERR_CLAIM_SENSITIVE');
  });

  it('get no client that they did not name', async () => {
    const rules = { clientId: 'web' };
    const { signed } = await prepare({}, { claimsFrom: 'grant' }, rules);
    expect('client_id' in signed.claims).toBe(false);
    expect((await prepare({}, {}, rules)).signed.claims.client_id).toBe('web');
  });

  it('are those of a caller unless it is said that they are not', async () => {
    expect(await verdictOf(prepare({ csrf: 'planted' }))).toBe('ERR_CLAIM_RESERVED');
  });
});

describe('a token of another kind, for somebody else', () => {
  it('says so in its header, in its audience and in what is announced', async () => {
    const prepared = await prepare({}, { kind: 'confirmation', audience: ['a', 'b'] });
    expect(partOf(prepared, 0)).toMatchObject({ typ: 'confirmation+jwt' });
    expect(prepared.signed.claims.aud).toEqual(['a', 'b']);
    prepared.announce();
    expect(said).toMatchObject([{ type: 'token.issued', kind: 'confirmation' }]);
  });
});

it('nothing is prepared, and nothing is said, when no key signs', async () => {
  const failure = new Error('no key');
  jest.spyOn(issuer.keyRing, 'signingKey').mockRejectedValue(failure);
  await expect(prepare()).rejects.toBe(failure);
  expect(said).toEqual([]);
});
