import { weaknessOf } from '../../sample-app/users/password-rules.js';

describe('the rules for new passwords of the sample app', () => {
  it.each([
    'a-better-one',
    'eight888',
    'alice-demo-2',
    'ALICE and more',
    'correct horse',
    '12345678',
  ])('take %j', (next) => {
    expect(weaknessOf({ name: 'alice', current: 'alice-demo', next })).toBeUndefined();
  });

  it.each([
    ['a short one', 'seven77', /at least 8/],
    ['the old one', 'alice-demo', /the old one/],
    ['the name twice', 'alicealice', /name/],
    ['the name in capitals and a little more', 'ALICE-alice-1', /name/],
  ])('refuse %s, and say why without repeating it', (_case, next, why) => {
    const weakness = weaknessOf({ name: 'alice', current: 'alice-demo', next });
    expect(weakness).toMatch(why);
    expect(weakness).not.toContain(next);
  });
});
