import { createHash, randomBytes } from 'node:crypto';
import { getHeapSnapshot } from 'node:v8';

import { keyEncryptionKey, KeyProtector } from '../../lib/keys/key-protector.js';
import { TestClock } from '../support/test-clock.js';
import { CONFIG, openRing, privateValuesIn } from './opened-ring.js';
import { TroubledStore } from './troubled-store.js';

const digestOf = (text: string): string => createHash('sha256').update(text).digest('hex');

/**
 * Digests of every text of 43 characters of base64url in the heap of this process, as long as the
 * private part of a P-256 key is, and a key to encrypt with. A text that is kept as a slice of another is found in the whole.
 */
async function textsInHeap(): Promise<ReadonlySet<string>> {
  const found = new Set<string>();
  let rest = '';
  for await (const chunk of getHeapSnapshot()) {
    const text = rest + String(chunk);
    const words = text.match(/[A-Za-z0-9_-]{43,}/g) ?? [];
    for (const word of words) {
      // A word longer than any JWK member is a blob: every window of it would be too many.
      const windows = word.length > 2_000 ? 0 : word.length - 42;
      for (let at = 0; at < windows; at++) found.add(digestOf(word.slice(at, at + 43)));
    }
    rest = text.slice(-2_000);
  }
  return found;
}

it('no heap snapshot shows a private key, though the ring signs, encrypts, rotates and serves its JWKS', async () => {
  const store = new TroubledStore();
  const clock = new TestClock();
  const key = await keyEncryptionKey(randomBytes(32));
  const protector = new KeyProtector([key]);
  const encryption = { staticKeys: [], encryptsAfter: 0 };
  const { service } = await openRing(store, clock, { protector, encryption });
  await service.rotate();
  clock.advance(CONFIG.publishAhead);
  const signer = await service.signingKey();
  await signer.sign(Buffer.from('input'));
  await service.rotate();
  await service.compromise((await service.signingKey()).kid);
  await service.compromise(service.encryptionKey()?.kid ?? '');
  expect(service.jwks().body).toContain('"kty":"EC"');

  // Only digests of what was stored outlive this call, or the test would find its own copies.
  const digests = await (async () => {
    const opened = await Promise.all(store.rings.map((ring) => protector.open(ring)));
    return [...new Set(opened.flatMap(privateValuesIn).map(digestOf))];
  })();
  expect(digests).toHaveLength(6);

  const inHeap = await textsInHeap();
  // What is public lies there, so the search does find what there is to find.
  const published = service.jwks().keys.map(({ x }) => digestOf(String(x)));
  expect(published.filter((digest) => !inHeap.has(digest))).toEqual([]);
  expect(digests.filter((digest) => inHeap.has(digest))).toEqual([]);
});
