import { stat } from 'node:fs/promises';

import type { KeysConfig } from '../../lib/keys/key-ring.service.js';
import { SignatureVerifier } from '../../lib/keys/signature.js';
import { memoryStorage } from '../../lib/storage/memory/memory-storage.js';
import { TestClock } from '../support/test-clock.js';
import { openIssuer } from '../support/token-mother.js';
import { recordSecret } from '../support/witness.js';
import { CONFIG, type OpenedRing, openRing, privateValuesIn } from './opened-ring.js';
import { TestVault, VAULT_ERROR } from './test-vault.js';
import { TroubledStore } from './troubled-store.js';

const SECOND = 1_000;

let clock: TestClock;
let store: TroubledStore;
let vault: TestVault;

beforeEach(() => {
  clock = new TestClock();
  store = new TroubledStore();
  vault = new TestVault();
});

const open = (config: Partial<KeysConfig> = {}): Promise<OpenedRing> =>
  openRing(store, clock, { vault, ...config });

async function settle(): Promise<void> {
  for (let turn = 0; turn < 40; turn++) await stat(__filename);
}

const signingKid = async ({ service }: OpenedRing): Promise<string> =>
  (await service.signingKey()).kid;

/** What is in the vault besides the keys that sign or are to succeed. */
function strays({ service }: OpenedRing): readonly string[] {
  const signs = service.keys().filter(({ phase }) => phase === 'signing' || phase === 'published');
  return vault.kids.filter((kid) => !signs.some((key) => key.kid === kid));
}

describe('a ring whose keys lie in a vault', () => {
  it('stores public halves alone, and signs what it publishes', async () => {
    const ring = await open();
    await ring.service.rotate();
    expect(store.rings.flatMap(privateValuesIn)).toEqual([]);
    expect(store.stored?.ring).toContain('"privateJwk":null');
    const key = await ring.service.signingKey();
    expect(key.privateKey).toBeNull();
    const input = Buffer.from('input');
    const signature = Buffer.from(await key.sign(input));
    expect(new SignatureVerifier().verify({ key, input, signature })).toBe(true);
  });

  it('issues tokens that it accepts, through a rotation', async () => {
    const issuer = await openIssuer({ keys: { vault } }, clock);
    const before = (await issuer.tokens.sign({ sub: 'alice' })).token;
    recordSecret(before);
    const { kid, signsFrom } = await issuer.keyRing.rotate();
    clock.set(signsFrom.getTime());
    const after = (await issuer.tokens.sign({ sub: 'alice' })).token;
    recordSecret(after);
    expect((await issuer.tokens.verify(after)).kid).toBe(kid);
    expect(vault.kids).toEqual([kid]);
  });

  it('destroys a key in the vault when it ends signing, and verifies on', async () => {
    const ring = await open();
    const old = await signingKid(ring);
    await ring.service.rotate();
    clock.advance(CONFIG.publishAhead);
    const kid = await signingKid(ring);
    await settle();
    expect(vault.destroyed).toEqual([old]);
    expect(vault.kids).toEqual([kid]);
    expect(ring.service.verificationKey(old)?.kid).toBe(old);
  });

  it.each(['signing', 'published'] as const)(
    'destroys a compromised key at once that was %s',
    async (phase) => {
      const ring = await open();
      await ring.service.rotate();
      const gone = ring.service.keys().find((key) => key.phase === phase)?.kid ?? '';
      await ring.service.compromise(gone);
      expect(vault.kids).not.toContain(gone);
      expect(vault.destroyed).toEqual([gone]);
      expect(strays(ring)).toEqual([]);
    },
  );

  it('says so when the vault does not destroy, and rotates all the same', async () => {
    const ring = await open();
    const old = await signingKid(ring);
    vault.trouble = 'destroy fails';
    const { successor } = await ring.service.compromise(old);
    expect(await signingKid(ring)).toBe(successor);
    const said = ring.heard.filter(({ type }) => type === 'key.undestroyed');
    expect(said).toMatchObject([{ kid: old, detail: 'the key vault failed' }]);
    expect(JSON.stringify(ring.heard)).not.toContain('s3cr3t');
  });

  it('finds its keys again after a restart, on the same store and vault', async () => {
    const before = await open();
    await before.service.rotate();
    const keys = before.service.keys();
    await before.service.onModuleDestroy();
    expect(vault.closings).toBe(1);
    const after = await open();
    expect(after.service.keys()).toEqual(keys);
    expect((await after.service.signingKey()).privateKey).toBeNull();
    expect(vault.made).toHaveLength(2);
  });

  it('is refused by an instance without the vault, which makes no key of its own', async () => {
    await open();
    const stored = store.stored;
    await expect(open({ vault: null })).rejects.toMatchObject({ code: 'ERR_KEY_RING_CORRUPT' });
    expect(store.stored).toBe(stored);
  });

  it('is refused by an instance with another vault, which makes no key of its own', async () => {
    await open();
    const stored = store.stored;
    const other = new TestVault();
    await expect(open({ vault: other })).rejects.toMatchObject({ code: 'ERR_KEY_SIGNER_FAILED' });
    expect(store.stored).toBe(stored);
    expect(other.made).toEqual([]);
  });
});

describe('keys that were made for nothing', () => {
  it('are destroyed by the 7 of 8 instances that lost the race for the first', async () => {
    const rings = await Promise.all(Array.from({ length: 8 }, () => open()));
    const kids = await Promise.all(rings.map(signingKid));
    expect(new Set(kids).size).toBe(1);
    expect(vault.made.length).toBeGreaterThan(1);
    expect(vault.kids).toEqual([kids[0]]);
  });

  it('are destroyed by those that lost the race for a successor', async () => {
    const rings = await Promise.all(Array.from({ length: 5 }, () => open()));
    const answers = await Promise.all(rings.map(({ service }) => service.rotate()));
    expect(new Set(answers.map(({ kid }) => kid)).size).toBe(1);
    await settle();
    const [ring] = rings;
    expect(ring === undefined ? ['no ring'] : strays(ring)).toEqual([]);
  });

  it.each(['replace fails', 'always loses'] as const)(
    'do not fill the vault while %s, and one of them is used in the end',
    async (trouble) => {
      const ring = await open();
      clock.advance(CONFIG.rotateEvery - CONFIG.publishAhead);
      store.trouble = trouble;
      for (let round = 0; round < 20; round++) {
        await ring.service.refresh();
        clock.advance(SECOND);
      }
      expect(vault.made).toHaveLength(2);
      store.trouble = 'none';
      await ring.service.refresh();
      expect(vault.made).toHaveLength(2);
      expect(ring.service.keys().map(({ phase }) => phase)).toEqual(['signing', 'published']);
      expect(strays(ring)).toEqual([]);
    },
  );

  it('are destroyed when another instance made the change meanwhile', async () => {
    const [ring, other] = [await open(), await open()];
    store.announcements = 'lost';
    store.trouble = 'replace fails';
    await expect(ring.service.rotate()).rejects.toMatchObject({ name: 'KeyError' });
    expect(strays(ring)).toHaveLength(1);
    store.trouble = 'none';
    await other.service.rotate();
    await ring.service.refresh();
    expect(strays(ring)).toEqual([]);
  });

  it('that were stored after all, although the answer was lost, are kept', async () => {
    const ring = await open();
    store.trouble = 'answer is lost';
    await expect(ring.service.rotate()).rejects.toMatchObject({ name: 'KeyError' });
    store.trouble = 'none';
    const { kid } = await ring.service.rotate();
    expect(vault.kids).toContain(kid);
    expect(strays(ring)).toEqual([]);
    expect(vault.destroyed).toEqual([]);
    // The next change makes a key of its own.
    await ring.service.compromise(kid);
    await ring.service.rotate();
    expect(vault.made).toHaveLength(3);
    expect(strays(ring)).toEqual([]);
  });

  it('that were stored, lost and compromised by another instance meanwhile are not used again', async () => {
    const [ring, other] = [await open(), await open()];
    store.announcements = 'lost';
    store.trouble = 'answer is lost';
    await expect(ring.service.rotate()).rejects.toMatchObject({ name: 'KeyError' });
    store.trouble = 'none';
    await other.service.refresh();
    const stored = other.service.keys().find(({ phase }) => phase === 'published')?.kid ?? '';
    await other.service.compromise(stored);
    const { kid } = await ring.service.rotate();
    expect(kid).not.toBe(stored);
    expect(vault.kids).toContain(kid);
    expect(strays(ring)).toEqual([]);
  });
});

describe('a vault that is down', () => {
  it('when a successor is due: the keys there are sign and verify on, for as long as it takes', async () => {
    const ring = await open({ maxLag: 5 * SECOND });
    const kid = await signingKid(ring);
    clock.advance(CONFIG.rotateEvery - CONFIG.publishAhead);
    vault.trouble = 'generate fails';
    for (let round = 0; round < 30; round++) {
      await ring.service.refresh();
      expect(ring.service.verificationKey(kid)?.kid).toBe(kid);
      expect(await signingKid(ring)).toBe(kid);
      clock.advance(SECOND);
    }
    const said = ring.heard.filter(({ type }) => type === 'key.unavailable');
    expect(said).toHaveLength(1);
    expect(JSON.stringify(ring.heard)).not.toContain('s3cr3t');
    vault.trouble = 'none';
    await ring.service.refresh();
    expect(ring.service.keys().map(({ phase }) => phase)).toEqual(['signing', 'published']);
  });

  it('when a token is signed: nothing is issued, and the cause stays inside', async () => {
    const issuer = await openIssuer({ keys: { vault }, storage: memoryStorage() }, clock);
    vault.trouble = 'sign fails';
    const error: unknown = await issuer.tokens
      .sign({ sub: 'alice' })
      .catch((cause: unknown) => cause);
    expect(error).toMatchObject({ name: 'KeyError', code: 'ERR_KEY_SIGNER_FAILED' });
    expect(error).toMatchObject({ cause: VAULT_ERROR });
    expect(String(error)).not.toContain('s3cr3t');
    vault.trouble = 'none';
    await expect(issuer.tokens.sign({ sub: 'alice' })).resolves.toHaveProperty('token');
  });

  it('when an instance starts: it does not start with keys it cannot sign with', async () => {
    await open();
    const stored = store.stored;
    vault.trouble = 'sign fails';
    await expect(open()).rejects.toMatchObject({ code: 'ERR_KEY_SIGNER_FAILED' });
    expect(store.stored).toBe(stored);
    expect(vault.made).toHaveLength(1);
  });
});
