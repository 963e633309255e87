import { createHash, createHmac, createPublicKey, createSecretKey, randomBytes } from 'node:crypto';
import { inspect } from 'node:util';

import { deriveSecret } from '../../lib/keys/secrets/derived-secrets.js';
import type { PrivateJwk, SigningKey } from '../../lib/keys/key-material.js';
import { memoryStorage } from '../../lib/storage/memory/memory-storage.js';
import { privateValuesIn } from '../keys/opened-ring.js';
import { DAY } from '../keys/ring-mother.js';
import { TroubledStore } from '../keys/troubled-store.js';
import { ISSUER } from '../support/guarded-app.js';
import { TestClock } from '../support/test-clock.js';
import {
  forge,
  forgeAccess,
  type Issuer,
  newPrivateJwk,
  openIssuer,
  validClaims,
} from '../support/token-mother.js';
import { recordSecret } from '../support/witness.js';

const MONOLITH = { profile: 'monolith' } as const;

let clock: TestClock;

beforeEach(() => {
  clock = new TestClock();
});

async function sign({ tokens }: Issuer, sub = 'alice'): Promise<string> {
  const { token } = await tokens.sign({ sub });
  recordSecret(token);
  return token;
}

const verdict = ({ tokens }: Issuer, token: string): Promise<string> =>
  tokens.verify(token).then(
    () => 'accepted',
    (error: unknown) => (error as { readonly code: string }).code,
  );

const kidOf = (token: string): string =>
  (JSON.parse(Buffer.from(token.split('.')[0] ?? '', 'base64url').toString()) as { kid: string })
    .kid;

/** A compact token with any header and payload, under an HMAC with any bytes. */
function hmacToken(secret: string | Buffer, header: object, payload: object): string {
  const input = [header, payload]
    .map((part) => Buffer.from(JSON.stringify(part)).toString('base64url'))
    .join('.');
  const token = `${input}.${createHmac('sha256', secret).update(input).digest('base64url')}`;
  recordSecret(token);
  return token;
}

describe('a ring of shared secrets', () => {
  it('signs HS256 tokens that only it accepts', async () => {
    const issuer = await openIssuer(MONOLITH, clock);
    const token = await sign(issuer);
    expect(await issuer.tokens.verify(token)).toMatchObject({ algorithm: 'HS256' });
    expect(await verdict(await openIssuer(MONOLITH, clock), token)).toBe('ERR_TOKEN_UNKNOWN_KEY');
    expect(await verdict(await openIssuer({}, clock), token)).toBe('ERR_TOKEN_UNKNOWN_KEY');
  });

  it('publishes nothing, in no phase: the JWKS is empty and nothing shows a secret', async () => {
    const keyStore = new TroubledStore();
    const heard: unknown[] = [];
    const issuer = await openIssuer(
      {
        ...MONOLITH,
        keys: { encryptionKeys: null },
        storage: { ...memoryStorage(), keyStore },
      },
      clock,
    );
    issuer.events.onAny((event) => heard.push(event));
    await issuer.keyRing.rotate();
    clock.advance(DAY);
    await issuer.keyRing.signingKey();
    await issuer.keyRing.rotate();
    await issuer.keyRing.compromise((await issuer.keyRing.signingKey()).kid);
    expect(new Set(issuer.keyRing.keys().map(({ phase }) => phase))).toEqual(
      new Set(['verifying', 'signing', 'compromised']),
    );
    expect(issuer.keyRing.jwks().body).toBe('{"keys":[]}');
    const secrets = new Set(keyStore.rings.flatMap(privateValuesIn));
    expect(secrets.size).toBe(3);
    const { keyRing, tokens } = issuer;
    const shown = inspect([keyRing, tokens, keyRing.keys(), keyRing.jwks(), heard], {
      depth: Infinity,
      showHidden: true,
    });
    const digests = [...secrets].flatMap((secret) => [
      secret,
      createHash('sha256').update(secret).digest('base64url'),
      createHash('sha256').update(Buffer.from(secret, 'base64url')).digest('base64url'),
    ]);
    expect(digests.filter((text) => shown.includes(text))).toEqual([]);
  });

  it('keeps a secret that stopped signing until its last token expired, by default 30 days', async () => {
    const issuer = await openIssuer(MONOLITH, clock);
    const old = (await issuer.keyRing.signingKey()).kid;
    const { signsFrom } = await issuer.keyRing.rotate();
    clock.set(signsFrom.getTime() - 1_000);
    const token = await sign(issuer);
    clock.advance(1_000);
    expect((await issuer.keyRing.signingKey()).kid).not.toBe(old);
    expect(await verdict(issuer, token)).toBe('accepted');
    clock.advance(30 * DAY - 1);
    expect(issuer.keyRing.verificationKey(old)?.kid).toBe(old);
    clock.advance(1);
    expect(issuer.keyRing.verificationKey(old)).toBeUndefined();
  });

  it('refuses what an attacker without the secret can sign', async () => {
    const issuer = await openIssuer(MONOLITH, clock);
    const { kid } = await issuer.keyRing.signingKey();
    const header = { alg: 'HS256', typ: 'at+jwt', kid };
    const guesses = ['', kid, 'secret', ISSUER, Buffer.alloc(32), issuer.keyRing.jwks().body];
    for (const guess of guesses) {
      const token = hmacToken(guess, header, validClaims(clock));
      expect(await verdict(issuer, token)).toBe('ERR_TOKEN_SIGNATURE');
    }
  });
});

describe('one key, one algorithm, also with secrets and key pairs in one ring', () => {
  const algorithm = ['RS256', 'HS256', 'ES256'] as const;
  let issuer: Issuer;
  let rsa: SigningKey;
  let secret: SigningKey;

  beforeAll(async () => {
    issuer = await openIssuer({ ...MONOLITH, keys: { algorithm } }, new TestClock());
    [rsa, secret] = await Promise.all([
      issuer.keyRing.signingKey('RS256'),
      issuer.keyRing.signingKey('HS256'),
    ]);
  });

  it('tokens of each are accepted, and only key pairs are published', async () => {
    for (const name of algorithm) {
      const { token } = await issuer.tokens.sign({ sub: 'alice' }, { algorithm: name });
      recordSecret(token);
      expect((await issuer.tokens.verify(token)).algorithm).toBe(name);
    }
    expect(issuer.keyRing.jwks().keys.map(({ alg }) => alg)).toEqual(['RS256', 'ES256']);
  });

  it('a public key in any text is no HMAC secret (CVE-2015-9235, CVE-2016-5431)', async () => {
    const key = createPublicKey({ key: rsa.publicJwk, format: 'jwk' });
    const pems = (['spki', 'pkcs1'] as const).flatMap((type) => {
      const pem = key.export({ type, format: 'pem' }).toString();
      return [
        pem,
        pem.trimEnd(),
        pem.replaceAll('\n', '\r\n'),
        key.export({ type, format: 'der' }),
      ];
    });
    const jwk = JSON.stringify(rsa.publicJwk);
    const texts = [...pems, jwk, issuer.keyRing.jwks().body, String(rsa.publicJwk.n)];
    for (const text of texts) {
      for (const [kid, code] of [
        [rsa.kid, 'ERR_TOKEN_ALGORITHM'],
        [secret.kid, 'ERR_TOKEN_SIGNATURE'],
      ] as const) {
        const token = hmacToken(
          text,
          { alg: 'HS256', typ: 'at+jwt', kid },
          validClaims(issuer.clock),
        );
        expect(await verdict(issuer, token)).toBe(code);
      }
    }
  });

  it.each([
    ['a key pair under the kid of the secret', () => [rsa, secret.kid, 'RS256'] as const],
    ['the secret under the kid of a key pair', () => [secret, rsa.kid, 'HS256'] as const],
    ['the secret, called RS256', () => [secret, secret.kid, 'RS256'] as const],
    ['a key pair, called HS256', () => [rsa, rsa.kid, 'HS256'] as const],
    ['the secret, called none', () => [secret, secret.kid, 'none'] as const],
  ])('refuses %s', async (_rule, make) => {
    const [key, kid, alg] = make();
    const token = await forge(key, { alg, typ: 'at+jwt', kid }, validClaims(issuer.clock));
    expect(await verdict(issuer, token)).toBe('ERR_TOKEN_ALGORITHM');
  });
});

describe('derived secrets', () => {
  const derivation = { ...MONOLITH, keys: { derivation: { period: '1d' } } } as const;
  const DAY_SECONDS = 86_400;
  const period = (seconds: number): number => Math.floor(seconds / DAY_SECONDS);

  /** What the secret of a subject and a period signs, with any claims. */
  async function signDerived(
    issuer: Issuer,
    owner: { readonly subject: string; readonly period: number },
    claims: object,
    kid?: string,
  ): Promise<string> {
    const master = await issuer.keyRing.signingKey();
    const secret = deriveSecret({ master: master.verifyWith.key, issuer: ISSUER, ...owner });
    const name = kid ?? `${master.kid}.${owner.period}`;
    return hmacToken(secret.export(), { alg: 'HS256', typ: 'at+jwt', kid: name }, claims);
  }

  it('sign for one subject and one period, and say so in the kid', async () => {
    const issuer = await openIssuer(derivation, clock);
    const token = await sign(issuer);
    const { kid } = await issuer.keyRing.signingKey();
    expect(kidOf(token)).toBe(`${kid}.${period(clock.seconds())}`);
    expect(await issuer.tokens.verify(token)).toMatchObject({ subject: 'alice' });
    const owner = { subject: 'alice', period: period(clock.seconds()) };
    expect(
      await verdict(
        issuer,
        await signDerived(issuer, owner, {
          ...validClaims(clock),
          sub: 'alice',
        }),
      ),
    ).toBe('accepted');
  });

  it('of one subject sign nothing for another', async () => {
    const issuer = await openIssuer(derivation, clock);
    const owner = { subject: 'mallory', period: period(clock.seconds()) };
    for (const sub of ['alice', 'mallory ', 'Mallory', 'mallory\u0301']) {
      const token = await signDerived(issuer, owner, { ...validClaims(clock), sub });
      expect(await verdict(issuer, token)).toBe('ERR_TOKEN_SIGNATURE');
    }
    const [header, , signature] = (await sign(issuer, 'mallory')).split('.');
    const [, payload] = (await sign(issuer, 'alice')).split('.');
    expect(await verdict(issuer, `${header}.${payload}.${signature}`)).toBe('ERR_TOKEN_SIGNATURE');
  });

  it.each([
    ['the day before', -1],
    ['the day after', 1],
    ['1970', -period(Date.UTC(2026, 10, 22) / 1_000)],
  ])('of %s sign nothing with an iat of today', async (_rule, days) => {
    const issuer = await openIssuer(derivation, clock);
    const owner = { subject: 'alice', period: period(clock.seconds()) + days };
    const token = await signDerived(issuer, owner, { ...validClaims(clock), sub: 'alice' });
    expect(await verdict(issuer, token)).toBe('ERR_TOKEN_KID');
    // Not even after somebody verified with that secret on the right day.
    expect(await verdict(issuer, token)).toBe('ERR_TOKEN_KID');
  });

  it('verify across midnight: a token of yesterday is good until it expires', async () => {
    const issuer = await openIssuer(derivation, clock);
    clock.set((period(clock.seconds()) + 1) * DAY - 5_000);
    const token = await sign(issuer);
    clock.advance(10_000);
    expect(await verdict(issuer, token)).toBe('accepted');
    expect(kidOf(await sign(issuer))).not.toBe(kidOf(token));
  });

  it('leave no use for the secret of the ring itself', async () => {
    const issuer = await openIssuer(derivation, clock);
    const master = await issuer.keyRing.signingKey();
    const token = await forgeAccess(master, validClaims(clock));
    expect(await verdict(issuer, token)).toBe('ERR_TOKEN_UNKNOWN_KEY');
  });

  it.each([
    ['a leading zero', (kid: string, p: number) => `${kid}.0${p}`],
    ['a sign', (kid: string, p: number) => `${kid}.-${p}`],
    ['an exponent', (kid: string, p: number) => `${kid}.${p}e0`],
    ['no period', (kid: string) => `${kid}.`],
    ['a period too many', (kid: string, p: number) => `${kid}.${p}.${p}`],
    ['a period beyond all', (kid: string) => `${kid}.9999999999999`],
    ['no master', (_kid: string, p: number) => `.${p}`],
    ['another master', (_kid: string, p: number) => `other.${p}`],
  ])('have one spelling of their kid: not %s', async (_rule, spell) => {
    const issuer = await openIssuer(derivation, clock);
    const { kid } = await issuer.keyRing.signingKey();
    const owner = { subject: 'alice', period: period(clock.seconds()) };
    const claims = { ...validClaims(clock), sub: 'alice' };
    const token = await signDerived(issuer, owner, claims, spell(kid, owner.period));
    expect(await verdict(issuer, token)).toMatch(/^ERR_TOKEN_(?:UNKNOWN_KEY|KID)$/);
  });

  it.each([undefined, '', 7, null, ['alice'], { alice: 1 }, 'x'.repeat(256), '\ud800'])(
    'are not looked for when sub is %j',
    async (sub) => {
      const issuer = await openIssuer(derivation, clock);
      const kid = kidOf(await sign(issuer));
      const token = hmacToken(
        'guess',
        { alg: 'HS256', typ: 'at+jwt', kid },
        { ...validClaims(clock), sub },
      );
      expect(await verdict(issuer, token)).toMatch(/^ERR_TOKEN_(?:KID|JSON)$/);
    },
  );

  it('die with their master when that is compromised, also from the cache', async () => {
    const issuer = await openIssuer(derivation, clock);
    const token = await sign(issuer);
    expect(await verdict(issuer, token)).toBe('accepted');
    await issuer.keyRing.compromise((await issuer.keyRing.signingKey()).kid);
    expect(await verdict(issuer, token)).toBe('ERR_TOKEN_UNKNOWN_KEY');
  });

  it('need a master whose kid leaves room for the period', async () => {
    const k = randomBytes(32).toString('base64url');
    const signingKey: PrivateJwk = { kty: 'oct', kid: 'k'.repeat(128), alg: 'HS256', k };
    const keys = { ...derivation.keys, signingKey };
    const options = { ...MONOLITH, keys };
    await expect(openIssuer(options, clock)).rejects.toThrow(/keys\.signingKey\.kid: .*room/);
    const shorter = { ...keys, signingKey: { ...signingKey, kid: 'k'.repeat(115) } };
    const issuer = await openIssuer({ ...MONOLITH, keys: shorter }, clock);
    expect(await verdict(issuer, await sign(issuer))).toBe('accepted');
  });
});

describe('a configured secret', () => {
  it('signs, and one before it still verifies', async () => {
    const jwk = (kid: string): PrivateJwk => ({
      kty: 'oct',
      kid,
      alg: 'HS256',
      k: randomBytes(32).toString('base64url'),
    });
    const [old, next] = [jwk('2025'), jwk('2026')];
    const before = await openIssuer({ ...MONOLITH, keys: { signingKey: old } }, clock);
    const token = await sign(before);
    const keys = { signingKey: next, previousKeys: [old] };
    const after = await openIssuer({ ...MONOLITH, keys }, clock);
    expect(await verdict(after, token)).toBe('accepted');
    expect(kidOf(await sign(after))).toBe('2026');
    expect(await verdict(before, await sign(after))).toBe('ERR_TOKEN_UNKNOWN_KEY');
    expect(after.keyRing.jwks().keys).toEqual([]);
  });

  it('is refused where others verify, and a public key is never taken for one', async () => {
    const secret = createSecretKey(randomBytes(32)).export({ format: 'jwk' });
    const signingKey = { ...secret, kty: 'oct', alg: 'HS256', kid: 'k' };
    await expect(openIssuer({ keys: { signingKey } })).rejects.toThrow(/monolith/);
    const { d: _, ...publicJwk } = await newPrivateJwk();
    const text = Buffer.from(JSON.stringify(publicJwk)).toString('base64url');
    await expect(
      openIssuer({ ...MONOLITH, keys: { signingKey: { ...signingKey, k: text } } }),
    ).rejects.toMatchObject({ code: 'ERR_CONFIG_INVALID' });
  });
});
