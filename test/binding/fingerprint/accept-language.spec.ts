import { readLanguages } from '../../../lib/binding/fingerprint/accept-language.js';

describe('readLanguages', () => {
  it.each([
    ['de', 'de', 'de'],
    ['de-AT', 'de', 'de-at'],
    ['de-AT,de;q=0.9,en;q=0.8', 'de', 'de,de-at,en'],
    ['en;q=0.8, de-AT, de;q=0.9', 'de', 'de,de-at,en'],
    ['EN-us , DE ; q=0.5', 'en', 'de,en-us'],
    ['de;q=0.5,en;q=0.5', 'de', 'de,en'],
    ['de;q=0.1,en;q=0.333', 'en', 'de,en'],
    ['de;q=0,en;q=0.1', 'en', 'en'],
    ['zh-Hant-TW,zh;q=0.9', 'zh', 'zh,zh-hant-tw'],
    ['*', '*', '*'],
    ['de,,en', 'de', 'de,en'],
    ['de,de;q=0.2', 'de', 'de'],
    // What is no language is left out.
    ['<script>,de', 'de', 'de'],
    ['de;q=high,en', 'en', 'en'],
    ['de;level=1,en', 'en', 'en'],
  ])('reads %j as %s of %s', (header, primary, all) => {
    expect(readLanguages(header)).toEqual({ primary, all });
  });

  it.each(['', ' ', ',', ';', 'q=1', 'de;q=0', 'waytoolonglanguage', '1234', 'ü'])(
    'finds nothing in %j',
    (header) => {
      expect(readLanguages(header)).toBeUndefined();
    },
  );

  it('reads no further than browsers write', () => {
    expect(readLanguages(`de,${' '.repeat(600)},en`)?.all).toBe('de');
  });
});
