import { readFingerprint } from '../../../lib/binding/fingerprint/fingerprint-claim.js';
import { CHROME, openRoom, requestOf } from './sender-mother.js';

const WHOLE = openRoom({ address: {} }).issueTo(CHROME).fingerprint;

describe('the claim', () => {
  it('is read as it was made, and is the very object', () => {
    const parsed: unknown = JSON.parse(JSON.stringify(WHOLE));
    expect(readFingerprint(parsed)).toBe(parsed);
    expect(parsed).toEqual(WHOLE);
  });

  it('has at most 300 characters', () => {
    expect(Object.keys(WHOLE)).toHaveLength(12);
    expect(JSON.stringify(WHOLE).length).toBeLessThanOrEqual(300);
  });

  it('is another one each time, in every digest', () => {
    const { fingerprints } = openRoom({ address: {} });
    const signals = fingerprints.signalsOf(requestOf(CHROME));
    const { k, ...first } = fingerprints.claimOf(signals);
    const { k: same, ...second } = fingerprints.claimOf(signals);
    expect(k).toBe(same);
    const values = [...Object.values(first), ...Object.values(second)];
    expect(new Set(values).size).toBe(values.length);
  });

  it.each<[what: string, value: unknown]>([
    ['null', null],
    ['undefined', undefined],
    ['a text', 'fingerprint'],
    ['a list', [WHOLE]],
    ['nothing', {}],
    ['no digest', { k: WHOLE.k, s: WHOLE.s }],
    ['no key', { ...WHOLE, k: undefined }],
    ['no salt', { ...WHOLE, s: undefined }],
    ['a short key', { ...WHOLE, k: 'abc' }],
    ['a long salt', { ...WHOLE, s: `${WHOLE.s}A` }],
    ['a short digest', { ...WHOLE, b: WHOLE.b?.slice(1) }],
    ['a padded digest', { ...WHOLE, b: `${WHOLE.b?.slice(1)}=` }],
    ['a digest with a line break', { ...WHOLE, b: `${WHOLE.b}\n` }],
    ['a digest of another type', { ...WHOLE, b: 1 }],
    ['a digest that is null', { ...WHOLE, b: null }],
    ['a digest that is a list', { ...WHOLE, b: [WHOLE.b] }],
    ['a trait that nobody knows', { ...WHOLE, x: WHOLE.b }],
    ['the name of what every object has', { ...WHOLE, constructor: WHOLE.b }],
  ])('is refused with %s', (_what, value) => {
    expect(readFingerprint(value)).toBeUndefined();
  });
});
