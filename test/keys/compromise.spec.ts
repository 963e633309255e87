import { TestClock } from '../support/test-clock.js';
import { type Issuer, newPrivateJwk, openIssuer } from '../support/token-mother.js';
import { recordSecret } from '../support/witness.js';
import { CONFIG, type OpenedRing, openRing } from './opened-ring.js';
import { DAY } from './ring-mother.js';
import { TroubledStore } from './troubled-store.js';

let clock: TestClock;
let store: TroubledStore;

beforeEach(() => {
  clock = new TestClock();
  store = new TroubledStore();
});

type Phase = 'verifying' | 'signing' | 'published';

/** A ring with a key in every phase, and their kids. */
async function openInAllPhases(): Promise<OpenedRing & { readonly kids: Record<Phase, string> }> {
  const ring = await openRing(store, clock);
  await ring.service.rotate();
  clock.advance(CONFIG.publishAhead);
  await ring.service.signingKey();
  await ring.service.rotate();
  const [verifying = '', signing = '', published = ''] = ring.service.keys().map(({ kid }) => kid);
  return { ...ring, kids: { verifying, signing, published } };
}

const PHASES = ['verifying', 'signing', 'published'] as const;

const phaseOf = ({ service }: OpenedRing, kid: string): string | undefined =>
  service.keys().find((key) => key.kid === kid)?.phase;
const jwksKids = ({ service }: OpenedRing): readonly string[] =>
  service.jwks().keys.map(({ kid }) => kid);

describe.each(PHASES)('a key that is %s and compromised', (phase) => {
  it('leaves the JWKS and verifies nothing, at once, here and in the store', async () => {
    const ring = await openInAllPhases();
    const kid = ring.kids[phase];
    const { etag } = ring.service.jwks();
    const answer = await ring.service.compromise(kid);
    expect(answer).toMatchObject({ kid, phase, sessions: null });
    expect(ring.service.verificationKey(kid)).toBeUndefined();
    expect(jwksKids(ring)).not.toContain(kid);
    expect(ring.service.jwks().etag).not.toBe(etag);
    expect(phaseOf(ring, kid)).toBe('compromised');
    const fresh = await openRing(store, clock);
    expect(fresh.service.verificationKey(kid)).toBeUndefined();
    expect(ring.heard).toContainEqual({
      type: 'key.compromised',
      at: new Date(clock.now()),
      kid,
      algorithm: 'ES256',
    });
  });

  it('leaves every other key as it was, but for its successor', async () => {
    const ring = await openInAllPhases();
    await ring.service.compromise(ring.kids[phase]);
    const others = PHASES.filter((other) => other !== phase);
    const expected = others.map((other) =>
      phase === 'signing' && other === 'published' ? 'signing' : other,
    );
    expect(others.map((other) => phaseOf(ring, ring.kids[other]))).toEqual(expected);
    expect(await ring.service.signingKey()).toMatchObject({
      kid: phase === 'signing' ? ring.kids.published : ring.kids.signing,
    });
  });

  it('in a dry run changes nothing, and is told what would happen', async () => {
    const ring = await openInAllPhases();
    const [keys, rings, heard] = [ring.service.keys(), store.rings.length, ring.heard.length];
    const kid = ring.kids[phase];
    expect(await ring.service.compromise(kid, { dryRun: true })).toEqual({
      kid,
      phase,
      successor: phase === 'signing' ? ring.kids.published : null,
      sessions: null,
    });
    expect(ring.service.keys()).toEqual(keys);
    expect([store.rings.length, ring.heard.length]).toEqual([rings, heard]);
    expect(ring.service.verificationKey(kid)?.kid).toBe(kid);
  });

  it('twice, or 20 times at once, is so once', async () => {
    const ring = await openInAllPhases();
    const kid = ring.kids[phase];
    await Promise.all(Array.from({ length: 20 }, () => ring.service.compromise(kid)));
    const keys = ring.service.keys();
    expect(await ring.service.compromise(kid)).toMatchObject({ phase: 'compromised' });
    expect(ring.service.keys()).toEqual(keys);
    expect(ring.heard.filter(({ type }) => type === 'key.compromised')).toHaveLength(1);
    expect(ring.service.keys().filter((key) => key.phase === 'signing')).toHaveLength(1);
  });

  it('is named for 400 days, so that no old state of the store brings it back', async () => {
    const ring = await openInAllPhases();
    const kid = ring.kids[phase];
    await ring.service.compromise(kid);
    for (let days = 0; days < 400; days += 40) {
      expect(phaseOf(ring, kid)).toBe('compromised');
      clock.advance(40 * DAY);
      await ring.service.refresh();
    }
    expect(phaseOf(ring, kid)).toBeUndefined();
    expect(store.stored?.ring).not.toContain(kid);
  });

  it('on 4 instances at once is so everywhere, with one successor', async () => {
    const first = await openInAllPhases();
    const rings: OpenedRing[] = [first];
    for (let more = 0; more < 3; more++) rings.push(await openRing(store, clock));
    const kid = first.kids[phase];
    await Promise.all(rings.map(({ service }) => service.compromise(kid)));
    await Promise.all(rings.map(({ service }) => service.refresh()));
    const signers = await Promise.all(rings.map(({ service }) => service.signingKey()));
    expect(new Set(signers.map((signer) => signer.kid)).size).toBe(1);
    for (const { service } of rings) expect(service.verificationKey(kid)).toBeUndefined();
    const said = rings
      .flatMap(({ heard }) => heard)
      .filter(({ type }) => type === 'key.compromised');
    expect(said).toHaveLength(1);
  });
});

describe('compromise', () => {
  it('of a lone signing key makes a successor that signs at once', async () => {
    const ring = await openRing(store, clock);
    const { kid } = await ring.service.signingKey();
    expect(await ring.service.compromise(kid, { dryRun: true })).toMatchObject({ successor: null });
    const { successor } = await ring.service.compromise(kid);
    expect(successor).not.toBeNull();
    expect((await ring.service.signingKey()).kid).toBe(successor);
    expect(jwksKids(ring)).toEqual([successor]);
  });

  it('of every key there is, one after the other, leaves one that signs', async () => {
    const ring = await openInAllPhases();
    for (let round = 0; round < 5; round++) {
      const { kid } = await ring.service.signingKey();
      await ring.service.compromise(kid);
      expect((await ring.service.signingKey()).kid).not.toBe(kid);
    }
    const compromised = ring.service.keys().filter(({ phase }) => phase === 'compromised');
    expect(compromised).toHaveLength(5);
  });

  it.each(['unknown', '', '__proto__', 'constructor', 'a b', 'x'.repeat(100_000)])(
    'of %.20j, which is no key, changes nothing',
    async (kid) => {
      const ring = await openRing(store, clock);
      const keys = ring.service.keys();
      for (const options of [{}, { dryRun: true }]) {
        const error: unknown = await ring.service.compromise(kid, options).catch((e: unknown) => e);
        expect(error).toMatchObject({ name: 'KeyError', code: 'ERR_KEY_UNKNOWN' });
        expect(String(error).length).toBeLessThan(200);
      }
      expect(ring.service.keys()).toEqual(keys);
      expect(store.rings).toHaveLength(1);
    },
  );

  it('of a configured key is for its operator', async () => {
    const { keyRing } = await openIssuer({ keys: { signingKey: await newPrivateJwk() } });
    const { kid } = await keyRing.signingKey();
    for (const options of [{}, { dryRun: true }]) {
      await expect(keyRing.compromise(kid, options)).rejects.toMatchObject({
        code: 'ERR_KEY_STATIC',
      });
    }
    expect(keyRing.verificationKey(kid)?.kid).toBe(kid);
  });

  it.each(['load fails', 'replace fails', 'always loses'] as const)(
    'that the store did not take (%s) rejects, and nothing has changed',
    async (trouble) => {
      const ring = await openRing(store, clock);
      const { kid } = await ring.service.signingKey();
      store.trouble = trouble;
      await expect(ring.service.compromise(kid)).rejects.toMatchObject({ name: 'KeyError' });
      store.trouble = 'none';
      expect((await ring.service.signingKey()).kid).toBe(kid);
      expect(await ring.service.compromise(kid)).toMatchObject({ phase: 'signing' });
    },
  );

  it('of one algorithm leaves the others as they were', async () => {
    const ring = await openRing(store, clock, { algorithms: ['ES256', 'Ed25519'] });
    const [es256, ed25519] = await Promise.all([
      ring.service.signingKey('ES256'),
      ring.service.signingKey('Ed25519'),
    ]);
    const { successor } = await ring.service.compromise(ed25519.kid);
    expect((await ring.service.signingKey('ES256')).kid).toBe(es256.kid);
    const next = await ring.service.signingKey('Ed25519');
    expect([next.kid, next.row.name]).toEqual([successor, 'Ed25519']);
  });
});

describe('tokens of a compromised key', () => {
  const verdict = (issuer: Issuer, token: string): Promise<string> =>
    issuer.tokens.verify(token).then(
      () => 'accepted',
      (error: unknown) => (error as { readonly code: string }).code,
    );

  it.each([
    ['the verified cache', {}],
    ['no cache', { tokens: { verifiedCache: null } }],
  ])('are refused from the next check on, with %s', async (_rule, options) => {
    const issuer = await openIssuer(options, clock);
    const { token } = await issuer.tokens.sign({ sub: 'alice' });
    recordSecret(token);
    expect(await verdict(issuer, token)).toBe('accepted');
    expect(await verdict(issuer, token)).toBe('accepted');
    await issuer.keyRing.compromise((await issuer.keyRing.signingKey()).kid);
    expect(await verdict(issuer, token)).toBe('ERR_TOKEN_UNKNOWN_KEY');
    expect(await verdict(issuer, token)).toBe('ERR_TOKEN_UNKNOWN_KEY');
    const next = await issuer.tokens.sign({ sub: 'alice' });
    recordSecret(next.token);
    expect(await verdict(issuer, next.token)).toBe('accepted');
  });
});
