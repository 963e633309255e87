import { OptionReader } from '../../lib/config/option-reader.js';

describe('OptionReader', () => {
  it('reads by dotted path, own members only', () => {
    const reader = new OptionReader({ a: { b: { c: 1 } }, n: null, t: 'text' });
    expect(reader.get('')).toEqual({ a: { b: { c: 1 } }, n: null, t: 'text' });
    expect(reader.get('a.b.c')).toBe(1);
    for (const path of [
      'x',
      'a.x',
      'a.b.c.d',
      'n.x',
      't.length',
      'toString',
      '__proto__',
      'a.constructor',
    ]) {
      expect(reader.get(path)).toBeUndefined();
    }
    expect(reader.problems).toEqual([]);
  });

  it('keeps the first problem of a path: what follows from it is no news', () => {
    const reader = new OptionReader({});
    reader.add('a', 'first', 'Fix');
    reader.add('a', 'second', 'Fix');
    reader.add('b', 'third', 'Fix');
    expect(reader.problems.map(({ problem }) => problem)).toEqual(['first', 'third']);
  });

  it.each([
    [undefined, 'it is missing'],
    [null, 'it is null'],
    ['', 'it is an empty text'],
    ['s3cret', 'it is a text of another form'],
    [[], 'it is an empty list'],
    [['s3cret'], 'it is a list'],
    [{ s3cret: 's3cret' }, 'it is an object'],
    [new Date(0), 'it is an object'],
    [42, 'it is a number'],
    [Number.NaN, 'it is a number'],
    [42n, 'it is a bigint'],
    [true, 'it is a boolean'],
    [() => 's3cret', 'it is a function'],
    [Symbol('s3cret'), 'it is a symbol'],
  ])('names the kind of a wrong value, never the value: %p %s', (value, problem) => {
    const reader = new OptionReader({ a: value });
    reader.refuse('a', 'Fix it');
    expect(reader.problems).toEqual([{ path: 'a', problem, fix: 'Fix it' }]);
  });

  it('turns a getter that throws into a problem', () => {
    const options = {
      get a(): string {
        throw new Error('s3cret');
      },
    };
    const reader = new OptionReader(options);
    expect(reader.get('a')).toBeUndefined();
    expect(JSON.stringify(reader.problems)).toMatch(/"path":"a"/);
    expect(JSON.stringify(reader.problems)).not.toContain('s3cret');
  });

  describe('expectOnly', () => {
    const suggestions = (name: string, known: readonly string[]): string => {
      const reader = new OptionReader({ [name]: 1 });
      reader.expectOnly('', known);
      return reader.problems.map(({ fix }) => fix).join();
    };

    it('suggests the nearest name, and always lists the known ones', () => {
      const known = ['leeway', 'lifetimeJitter', 'accessTtl'];
      expect(suggestions('leway', known)).toBe(
        'Did you mean leeway? Known are leeway, lifetimeJitter, accessTtl',
      );
      expect(suggestions('secret', known)).toBe('Known are leeway, lifetimeJitter, accessTtl');
    });

    it('has nothing against a section that is left out', () => {
      const reader = new OptionReader({});
      reader.expectOnly('tokens', ['a']);
      expect(reader.problems).toEqual([]);
    });

    it('names every unknown member', () => {
      const reader = new OptionReader({ a: { x: 1, y: 2, known: 3 } });
      reader.expectOnly('a', ['known']);
      expect(reader.problems.map(({ path }) => path)).toEqual(['a.x', 'a.y']);
    });
  });

  describe('what is wrong reads as its default', () => {
    const reader = new OptionReader({ text: 1, one: 'x', length: 5, count: 'x', names: 'x' });

    it.each([
      ['text', reader.text('text', 'fallback', 'Fix', () => true), ''],
      ['oneOf', reader.oneOf('one', ['a', 'b'], 'b'), 'b'],
      ['duration', reader.duration('length', 7_000, {}), 7_000],
      ['wholeNumber', reader.wholeNumber('count', 7, { min: 1, max: 9 }), 7],
      ['names', reader.names('names'), []],
    ])('%s', (_kind, value, expected) => {
      expect(value).toEqual(expected);
      expect(reader.problems).toHaveLength(5);
    });
  });

  it('reads lists of names as frozen copies', () => {
    const names = ['sid'];
    const read = new OptionReader({ names }).names('names');
    names.push('other');
    expect(read).toEqual(['sid']);
    expect(Object.isFrozen(read)).toBe(true);
  });
});
