import type { SigningAlgorithm } from '../../lib/keys/algorithms.js';
import { memoryStorage } from '../../lib/storage/memory/memory-storage.js';
import { TestClock } from '../support/test-clock.js';
import { type Issuer, openIssuer } from '../support/token-mother.js';
import { recordSecret } from '../support/witness.js';
import { DAY } from './ring-mother.js';
import { TroubledStore } from './troubled-store.js';

let clock: TestClock;

beforeEach(() => {
  clock = new TestClock();
});

async function sign(issuer: Issuer, algorithm?: SigningAlgorithm): Promise<string> {
  const options = algorithm === undefined ? {} : { algorithm };
  const { token } = await issuer.tokens.sign({ sub: 'alice' }, options);
  recordSecret(token);
  return token;
}

const algorithmOf = (token: string): unknown =>
  (JSON.parse(Buffer.from(token.split('.')[0] ?? '', 'base64url').toString()) as { alg: unknown })
    .alg;

describe('several algorithms side by side', () => {
  it('each have their key, all are in the JWKS, and tokens of all are accepted', async () => {
    const algorithm = ['ES256', 'Ed25519', 'ES384', 'PS256'] as const;
    const issuer = await openIssuer({ keys: { algorithm } }, clock);
    expect(algorithmOf(await sign(issuer))).toBe('ES256');
    for (const name of algorithm) {
      const token = await sign(issuer, name);
      expect(algorithmOf(token)).toBe(name);
      expect((await issuer.tokens.verify(token)).algorithm).toBe(name);
    }
    expect(issuer.keyRing.jwks().keys.map(({ alg }) => alg)).toEqual([...algorithm]);
  });

  it('that are not configured sign nothing', async () => {
    const issuer = await openIssuer({ keys: { algorithm: ['ES256', 'Ed25519'] } }, clock);
    for (const name of ['ES512', 'HS256', 'none', '__proto__'] as SigningAlgorithm[]) {
      await expect(issuer.tokens.sign({ sub: 'alice' }, { algorithm: name })).rejects.toMatchObject(
        {
          code: 'ERR_KEY_RING_UNAVAILABLE',
        },
      );
    }
  });

  it('rotate each, with one key of each signing at any time', async () => {
    const algorithm = ['ES256', 'Ed25519'] as const;
    const issuer = await openIssuer({ keys: { algorithm } }, clock);
    for (let day = 0; day < 70; day++, clock.advance(DAY)) {
      const signers = await Promise.all(algorithm.map((name) => issuer.keyRing.signingKey(name)));
      expect(signers.map(({ row }) => row.name)).toEqual([...algorithm]);
      const signing = issuer.keyRing.keys().filter(({ phase }) => phase === 'signing');
      expect(signing).toHaveLength(2);
    }
    expect(issuer.keyRing.keys()[0]?.publishedAt.getTime()).toBeGreaterThan(clock.now() - 41 * DAY);
  });
});

describe('moving tokens from ES256 to Ed25519 (the comment of keys.algorithm)', () => {
  it('adds, puts first and drops, and at no step refuses a token or signs with an unmet key', async () => {
    const keyStore = new TroubledStore();
    const storage = { ...memoryStorage(), keyStore };
    const deploy = (...algorithm: [SigningAlgorithm, ...SigningAlgorithm[]]): Promise<Issuer> =>
      openIssuer({ keys: { algorithm, encryptionKeys: null }, storage }, clock);
    const old = await deploy('ES256');
    const first = await sign(old);
    await old.keyRing.onModuleDestroy();

    const adding = await deploy('ES256', 'Ed25519');
    expect(algorithmOf(await sign(adding))).toBe('ES256');
    await expect(sign(adding, 'Ed25519')).rejects.toMatchObject({
      code: 'ERR_KEY_RING_UNAVAILABLE',
    });
    // Verifiers meet the key a day before it signs.
    expect(adding.keyRing.jwks().keys.map(({ alg }) => alg)).toEqual(['ES256', 'Ed25519']);
    expect((await adding.tokens.verify(first)).subject).toBe('alice');

    // Too early: the new one is asked for by default, and the old one signs in its stead.
    const early = await deploy('Ed25519', 'ES256');
    expect(algorithmOf(await sign(early))).toBe('ES256');
    await early.keyRing.onModuleDestroy();

    clock.advance(DAY);
    expect(algorithmOf(await sign(adding, 'Ed25519'))).toBe('Ed25519');
    expect(algorithmOf(await sign(adding))).toBe('ES256');

    const turned = await deploy('Ed25519', 'ES256');
    const [byDefault, byName] = [await sign(turned), await sign(turned, 'ES256')];
    expect([byDefault, byName].map(algorithmOf)).toEqual(['Ed25519', 'ES256']);

    await Promise.all([adding, turned].map(({ keyRing }) => keyRing.onModuleDestroy()));
    const dropped = await deploy('Ed25519');
    await expect(sign(dropped, 'ES256')).rejects.toMatchObject({ name: 'KeyError' });
    for (const token of [byDefault, byName]) {
      expect((await dropped.tokens.verify(token)).subject).toBe('alice');
    }
    clock.advance(DAY);
    await dropped.keyRing.refresh();
    expect(dropped.keyRing.jwks().keys.map(({ alg }) => alg)).toEqual(['Ed25519']);
    expect(keyStore.stored?.ring).not.toContain('ES256');
  });
});
