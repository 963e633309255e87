import { randomBytes } from 'node:crypto';

import { seal, type Sealing, unseal } from '../../lib/sessions/sealed-text.js';

const sealing: Sealing = { secret: randomBytes(32), purpose: 'grant', context: 'session-1' };
const plain = Buffer.from('{"roles":["admin"]}');

describe('a sealed text', () => {
  it('opens as it was, and is another each time', () => {
    const texts = [seal(plain, sealing), seal(plain, sealing)];
    for (const text of texts) expect(unseal(text, sealing)).toEqual(plain);
    expect(texts[0]).not.toBe(texts[1]);
    expect(texts.join()).not.toContain(plain.toString('base64url').slice(0, 12));
    expect(unseal(seal(Buffer.alloc(0), sealing), sealing)).toEqual(Buffer.alloc(0));
  });

  it.each<[what: string, other: Partial<Sealing>]>([
    ['secret', { secret: randomBytes(32) }],
    ['purpose', { purpose: 'successor' }],
    ['context', { context: 'session-2' }],
  ])('opens with no other %s', (_what, other) => {
    expect(unseal(seal(plain, sealing), { ...sealing, ...other })).toBeUndefined();
  });

  it('opens with no bit of it changed, and no byte of it gone', () => {
    const sealed = Buffer.from(seal(plain, sealing), 'base64url');
    for (let at = 0; at < sealed.length; at++) {
      const changed = Buffer.from(sealed);
      changed.writeUInt8(changed.readUInt8(at) ^ 1, at);
      expect(unseal(changed.toString('base64url'), sealing)).toBeUndefined();
      expect(unseal(sealed.subarray(0, at).toString('base64url'), sealing)).toBeUndefined();
    }
  });
});
