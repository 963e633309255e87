import { randomBytes } from 'node:crypto';

import type { Sealing } from '../../lib/sessions/sealed-text.js';
import { SessionSeals } from '../../lib/sessions/session-seals.js';

const [older, newer] = [randomBytes(32), randomBytes(32)];
/** Everything that who writes the store can choose. */
const sealing: Sealing = { secret: randomBytes(32), purpose: 'grant', context: 'session-1' };
const plain = Buffer.from('{"sub":"admin"}');

describe('the seals of sessions', () => {
  it('open what they sealed', () => {
    for (const salts of [[null], [older], [older, null]]) {
      const seals = new SessionSeals(salts);
      const text = seals.seal(plain, sealing);
      expect(seals.unseal(text, sealing)).toEqual(plain);
      expect(seals.isNewest(text)).toBe(true);
    }
  });

  it('follow one another: the first seals, all open, one that is gone opens no more', () => {
    const before = new SessionSeals([older]);
    const during = new SessionSeals([newer, older]);
    const text = before.seal(plain, sealing);
    expect(during.unseal(text, sealing)).toEqual(plain);
    expect(during.isNewest(text)).toBe(false);
    expect(during.isNewest(during.seal(plain, sealing))).toBe(true);
    expect(new SessionSeals([newer]).unseal(text, sealing)).toBeUndefined();
  });

  it('open nothing that was made without the secret of the service', () => {
    const seals = new SessionSeals([older]);
    const foreign = new SessionSeals([newer]).seal(plain, sealing);
    const plainly = new SessionSeals([null]).seal(plain, sealing);
    const [name] = seals.seal(plain, sealing).split('.');
    const bodies = [foreign, plainly].map((text) => text.slice(text.indexOf('.') + 1));
    const forged = bodies.flatMap((body) => [body, `.${body}`, `0.${body}`, `${name}.${body}`]);
    for (const text of [foreign, plainly, ...forged, '', '.', '0.', `${name}.`]) {
      expect(seals.unseal(text, sealing)).toBeUndefined();
    }
  });

  it('take what was sealed with none for as long as that is allowed', () => {
    const text = new SessionSeals([null]).seal(plain, sealing);
    expect(new SessionSeals([older, null]).unseal(text, sealing)).toEqual(plain);
  });
});
