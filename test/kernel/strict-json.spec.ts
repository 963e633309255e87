import { isDeepStrictEqual } from 'node:util';

import * as fc from 'fast-check';

import { isJsonObject, type JsonFault, parseStrictJson } from '../../lib/kernel/strict-json.js';

const parse = (text: string): unknown => parseStrictJson(Buffer.from(text));

const NOT_UTF8: JsonFault = 'not UTF-8';
const BOM: JsonFault = 'starts with a byte order mark';
const TOO_DEEP: JsonFault = 'nested too deeply';
const NOT_JSON: JsonFault = 'not JSON';
const NOT_AN_OBJECT: JsonFault = 'not a JSON object';
const DUPLICATE: JsonFault = 'a member name occurs twice';
const RESERVED: JsonFault = 'a member name is reserved by the runtime';
const SURROGATE: JsonFault = 'a string holds a lone surrogate';

describe('parseStrictJson accepts', () => {
  it.each([
    ['an empty object', '{}'],
    ['white space as JSON knows it', ' \t\r\n{ "a" : [ 1 , { } ] } \n'],
    ['every kind of value', '{"a":null,"b":true,"c":-1.5e-3,"d":"x","e":[],"f":{}}'],
    ['colons, quotes and brackets inside strings', String.raw`{"a":":{[\"}]:\\","b:{":"\\\":"}`],
    ['a string that ends in a backslash', String.raw`{"a":"\\","b":"c"}`],
    ['a string of escaped quotes', String.raw`{"a":"\"\"\"","b":"\\\""}`],
    ['one name at two levels', '{"a":{"a":{"a":1}}}'],
    ['one name in two objects of a list', '[{"a":1},{"a":2}]'.replace(/.*/, '{"l":$&}')],
    ['names that differ in case only', '{"exp":1,"Exp":2}'],
    ['names that look alike (no normalisation)', '{"\u00e9":1,"e\u0301":2}'],
    ['the empty name', '{"":1}'],
    ['a surrogate pair written with escapes', String.raw`{"a":"\ud83d\udd11"}`],
    ['an astral character written as such', '{"a":"\u{1f511}"}'],
    ['noncharacters and the replacement character', '{"a":"\ufffe\uffff\ufffd"}'],
    ['an escaped NUL', String.raw`{"a":"\u0000"}`],
    ['a byte order mark inside', '{"a":"\ufeff"}'],
    ['names of Object.prototype', '{"constructor":{"prototype":{}},"toString":1,"valueOf":2}'],
    ['a name that contains __proto__', '{"x__proto__":1,"__proto":2}'],
    ['__proto__ as a value', '{"a":"__proto__"}'],
    ['large and tiny numbers as JSON.parse reads them', '{"a":1e308,"b":5e-324,"c":-0}'],
  ])('%s', (_rule, text) => {
    // Jest's own equality stumbles over an own member called `constructor`.
    expect(isDeepStrictEqual(parse(text), JSON.parse(text))).toBe(true);
  });

  it('leaves an infinite number to the checks of claims, which refuse it (SEMANTICS 1)', () => {
    expect(parse('{"exp":1e400,"nbf":-1e400}')).toEqual({ exp: Infinity, nbf: -Infinity });
  });
});

describe('parseStrictJson refuses a name that occurs twice (RFC 7515 §4, RFC 7519 §4)', () => {
  it.each([
    ['side by side', '{"a":1,"a":2}'],
    ['with equal values', '{"a":1,"a":1}'],
    ['with others between', '{"a":1,"b":2,"c":3,"a":4}'],
    ['three times', '{"a":1,"a":2,"a":3}'],
    ['written with an escape', String.raw`{"alg":"none","\u0061lg":"ES256"}`],
    ['written with an escape in another case', String.raw`{"J":1,"\u004a":2,"k":3}`],
    ['both written with escapes', String.raw`{"\u0061":1,"\u0061":2}`],
    ['with an escaped slash', String.raw`{"a/b":1,"a\/b":2}`],
    ['with an escaped quote', String.raw`{"a\"":1,"a\u0022":2}`],
    ['with an escaped surrogate pair', '{"\u{1f511}":1,"\\ud83d\\udd11":2}'],
    ['of the empty name', '{"":1,"":2}'],
    ['in a nested object', '{"a":{"b":1,"b":2}}'],
    ['in an object of a list', '{"a":[1,{"b":1,"b":2}]}'],
    ['where the last hides an object with members', '{"a":{"b":1,"c":2},"a":1}'],
    ['where the last brings more members than it hides', '{"a":1,"a":{"b":1,"c":2}}'],
    ['where colons in strings could make up the count', '{"a":1,"a":"::::"}'],
    ['where the hidden value holds a colon', '{"a":":","a":1}'],
    ['where the hidden value holds a duplicate too', '{"a":{"b":1,"b":2},"a":1}'],
    ['of a name of Object.prototype', '{"constructor":1,"constructor":2}'],
    ['of an index, which objects sort first', '{"1":1,"0":2,"1":3}'],
  ])('%s', (_rule, text) => {
    expect(parse(text)).toBe(DUPLICATE);
  });
});

describe('parseStrictJson refuses __proto__ as a name', () => {
  it.each([
    ['at the top', '{"__proto__":{"admin":true}}'],
    ['with a value that is no object', '{"__proto__":1}'],
    ['nested', '{"a":{"b":{"__proto__":null}}}'],
    ['in a list', '{"a":[[{"__proto__":[]}]]}'],
    ['written with escapes', String.raw`{"\u005f_proto_\u005f":{}}`],
    ['twice', '{"__proto__":1,"__proto__":2}'],
    ['beside others', '{"sub":"alice","__proto__":{"scope":"admin"},"aud":"x"}'],
  ])('%s', (_rule, text) => {
    expect(parse(text)).toBe(RESERVED);
  });
});

describe('parseStrictJson refuses what another reader could take for something else', () => {
  it.each([
    ['a byte order mark', '\ufeff{}', BOM],
    ['two byte order marks', '\ufeff\ufeff{}', BOM],
    ['a byte order mark after white space', ' \ufeff{}', NOT_JSON],
    ['a byte order mark at the end', '{}\ufeff', NOT_JSON],
    ['a lone high surrogate', String.raw`{"a":"\ud800"}`, SURROGATE],
    ['a lone low surrogate', String.raw`{"a":"\udc00"}`, SURROGATE],
    ['two high surrogates', String.raw`{"a":"\ud83d\ud83d"}`, SURROGATE],
    ['a pair in the wrong order', String.raw`{"a":"\udd11\ud83d"}`, SURROGATE],
    ['a lone surrogate in a name', String.raw`{"\ud800":1}`, SURROGATE],
    ['a lone surrogate deep in lists and objects', String.raw`{"a":[{"b":["\udfff"]}]}`, SURROGATE],
    ['a lone surrogate beside a raw character', '{"a":"\\ud83d\u00e9"}', SURROGATE],
    ['an empty text', '', NOT_JSON],
    ['white space alone', ' \n', NOT_JSON],
    ['text after the object', '{}{}', NOT_JSON],
    ['a comma at the end', '{"a":1,}', NOT_JSON],
    ['a comment', '{"a":1/*:*/}', NOT_JSON],
    ['single quotes', "{'a':1}", NOT_JSON],
    ['a name without quotes', '{a:1}', NOT_JSON],
    ['NaN', '{"a":NaN}', NOT_JSON],
    ['Infinity', '{"a":Infinity}', NOT_JSON],
    ['a leading zero', '{"a":01}', NOT_JSON],
    ['a plus sign', '{"a":+1}', NOT_JSON],
    ['a number without digits after the point', '{"a":1.}', NOT_JSON],
    ['a hexadecimal number', '{"a":0x1}', NOT_JSON],
    ['a control character in a string', '{"a":"\n"}', NOT_JSON],
    ['a NUL after the object', '{}\u0000', NOT_JSON],
    ['white space that JSON does not know', '{\u00a0}', NOT_JSON],
    ['an unknown escape', String.raw`{"a":"\x41"}`, NOT_JSON],
    ['an escape cut short', String.raw`{"a":"\u00"}`, NOT_JSON],
    ['a string without an end', '{"a":"', NOT_JSON],
    ['a string that ends in an escaped quote', String.raw`{"a":"\"}`, NOT_JSON],
    ['a text that ends in a backslash', '{"a":"\\', NOT_JSON],
    ['an object without an end', '{"a":1', NOT_JSON],
    ['closing brackets before opening ones', ']]]]]]]]]]]]]]]]]]]]]]{"a":1}', NOT_JSON],
    ['a list', '[]', NOT_AN_OBJECT],
    ['a list of one object', '[{"a":1}]', NOT_AN_OBJECT],
    ['null', 'null', NOT_AN_OBJECT],
    ['a text', '"{}"', NOT_AN_OBJECT],
    ['a number', '1', NOT_AN_OBJECT],
    ['true', 'true', NOT_AN_OBJECT],
  ])('%s', (_rule, text, fault) => {
    expect(parse(text)).toBe(fault);
  });

  it.each([
    ['an overlong slash', [0xc0, 0xaf]],
    ['an overlong NUL', [0xc0, 0x80]],
    ['an overlong slash of three bytes', [0xe0, 0x80, 0xaf]],
    ['an overlong slash of four bytes', [0xf0, 0x80, 0x80, 0xaf]],
    ['an overlong quote', [0xc0, 0xa2]],
    ['a continuation byte alone', [0x80]],
    ['a sequence cut short', [0xe2, 0x82]],
    ['a surrogate', [0xed, 0xa0, 0x80]],
    ['a surrogate pair (CESU-8)', [0xed, 0xa0, 0xbd, 0xed, 0xb4, 0x91]],
    ['a code point above U+10FFFF', [0xf4, 0x90, 0x80, 0x80]],
    ['a sequence of five bytes', [0xf8, 0x88, 0x80, 0x80, 0x80]],
    ['a byte that never occurs', [0xff]],
    ['Latin-1', [0xe9]],
  ])('%s, which is not UTF-8', (_rule, bytes) => {
    const inString = Buffer.concat([Buffer.from('{"a":"'), Buffer.from(bytes), Buffer.from('"}')]);
    const inName = Buffer.concat([Buffer.from('{"'), Buffer.from(bytes), Buffer.from('":1}')]);
    expect(parseStrictJson(inString)).toBe(NOT_UTF8);
    expect(parseStrictJson(inName)).toBe(NOT_UTF8);
    expect(parseStrictJson(Buffer.from(bytes))).toBe(NOT_UTF8);
  });

  it.each([
    ['UTF-16 with a byte order mark', Buffer.from('\ufeff{"a":1}', 'utf16le'), NOT_UTF8],
    ['UTF-16 without one', Buffer.from('{"a":1}', 'utf16le'), NOT_JSON],
    ['big-endian UTF-16', Buffer.from('{"a":1}', 'utf16le').swap16(), NOT_JSON],
  ])('%s', (_rule, bytes, fault) => {
    expect(parseStrictJson(bytes)).toBe(fault);
  });
});

describe('the depth parseStrictJson reads to', () => {
  const DEEPEST = 16;
  const objects = (depth: number): string =>
    '{"a":'.repeat(depth - 1) + '{}' + '}'.repeat(depth - 1);
  const lists = (depth: number): string => `{"a":${'['.repeat(depth - 1)}${']'.repeat(depth - 1)}}`;

  it.each([
    ['objects', objects],
    ['lists', lists],
  ])(`is ${DEEPEST} levels of %s, and not one more`, (_kind, nested) => {
    expect(parse(nested(DEEPEST))).toEqual(JSON.parse(nested(DEEPEST)));
    expect(parse(nested(DEEPEST + 1))).toBe(TOO_DEEP);
  });

  it('counts levels, not brackets: wide is not deep, and strings do not count', () => {
    const wide = `{"a":[${Array.from({ length: 1_000 }, () => '{}').join(',')}]}`;
    expect(parse(wide)).toEqual(JSON.parse(wide));
    const text = `{"a":"${'{['.repeat(1_000)}"}`;
    expect(parse(text)).toEqual(JSON.parse(text));
  });

  it('is refused without recursion: a million brackets do not overflow the stack', () => {
    expect(parse('['.repeat(1_000_000))).toBe(TOO_DEEP);
    expect(parse('{"a":'.repeat(1_000_000))).toBe(TOO_DEEP);
  });
});

/** JSON as a tree in which a name can occur twice. */
type Tree =
  | { readonly leaf: string | number | boolean | null }
  | { readonly list: readonly Tree[] }
  | { readonly members: readonly (readonly [name: string, value: Tree])[] };

type Members = Extract<Tree, { readonly members: unknown }>;

const isMembers = (tree: Tree): tree is Members => 'members' in tree;

const name = fc
  .oneof(
    fc.constantFrom('a', 'b', 'exp', '', '"', '\\', ':', '{', 'constructor', '0', '\u00e9'),
    fc.string({ unit: 'binary', maxLength: 6 }),
  )
  .filter((text) => text !== '__proto__' && text.isWellFormed());

const leaf = fc
  .oneof(
    fc.constant(null),
    fc.boolean(),
    fc.integer(),
    fc.double({ noNaN: true, noDefaultInfinity: true }),
    name,
  )
  .map((value): Tree => ({ leaf: value }));

const { object: anyObject } = fc.letrec<{ value: Tree; object: Members }>((tie) => ({
  value: fc.oneof(
    { maxDepth: 5, depthSize: 'small' },
    leaf,
    tie('object'),
    fc.array(tie('value'), { maxLength: 4 }).map((list): Tree => ({ list })),
  ),
  object: fc
    .uniqueArray(fc.tuple(name, tie('value')), { selector: ([key]) => key, maxLength: 5 })
    .map((members): Members => ({ members })),
}));

/** Writes a tree with white space and escapes as the dice say. */
function spell(tree: Tree, dice: readonly number[]): string {
  let at = 0;
  const roll = (sides: number): number => (dice[at++ % dice.length] ?? 0) % sides;
  const space = (): string => ['', '', '', ' ', '\n', '\t', '\r\n'][roll(7)] ?? '';
  const escape = (half: string): string => {
    const hex = half.charCodeAt(0).toString(16).padStart(4, '0');
    return `\\u${roll(2) === 0 ? hex : hex.toUpperCase()}`;
  };
  // By code points: half of a surrogate pair is escaped or kept beside its other half, never alone.
  const quote = (text: string): string => {
    const characters = Array.from(text, (character) =>
      character < ' ' || character === '"' || character === '\\' || roll(4) === 0
        ? character.split('').map(escape).join('')
        : character,
    );
    return `"${characters.join('')}"`;
  };
  const write = (node: Tree): string => {
    if ('leaf' in node) {
      return typeof node.leaf === 'string' ? quote(node.leaf) : JSON.stringify(node.leaf);
    }
    const parts = isMembers(node)
      ? node.members.map(([key, value]) => `${quote(key)}${space()}:${space()}${write(value)}`)
      : node.list.map(write);
    const inside = parts.map((part) => space() + part + space()).join(',');
    return isMembers(node) ? `{${inside}}` : `[${inside}]`;
  };
  return space() + write(tree) + space();
}

/** Every object of a tree that has a member to repeat, as the way to put another in its place. */
function places(tree: Tree): readonly (readonly [Members, (instead: Members) => Tree])[] {
  if ('leaf' in tree) return [];
  if ('list' in tree) {
    return tree.list.flatMap((item, index) =>
      places(item).map(
        ([found, put]) =>
          [
            found,
            (instead: Members): Tree => ({ list: tree.list.with(index, put(instead)) }),
          ] as const,
      ),
    );
  }
  const own = tree.members.length > 0 ? [[tree, (instead: Members): Tree => instead] as const] : [];
  const inner = tree.members.flatMap(([key, value], index) =>
    places(value).map(
      ([found, put]) =>
        [
          found,
          (instead: Members): Tree => ({ members: tree.members.with(index, [key, put(instead)]) }),
        ] as const,
    ),
  );
  return [...own, ...inner];
}

describe('parseStrictJson, for any JSON object', () => {
  const dice = fc.array(fc.nat(), { minLength: 1, maxLength: 64 });

  it('without a repeated name reads exactly what JSON.parse reads', () => {
    fc.assert(
      fc.property(anyObject, dice, (tree, rolls) => {
        const text = spell(tree, rolls);
        const expected: unknown = JSON.parse(text);
        expect(isDeepStrictEqual(parse(text), expected)).toBe(true);
      }),
      { numRuns: 3_000 },
    );
  });

  it('with a name repeated anywhere refuses it, in whatever spelling', () => {
    const broken = fc
      .tuple(anyObject, fc.nat(), fc.nat(), fc.nat(), leaf, anyObject)
      .filter(([tree]) => places(tree).length > 0)
      .map(([tree, pick, which, where, plain, nested]) => {
        const found = places(tree);
        const [members, put] = found[pick % found.length] ?? [tree, (): Tree => tree];
        const [repeated] = members.members[which % members.members.length] ?? [''];
        const position = where % (members.members.length + 1);
        const value = which % 3 === 0 ? nested : plain;
        return put({ members: members.members.toSpliced(position, 0, [repeated, value]) });
      });
    fc.assert(
      fc.property(broken, dice, (tree, rolls) => {
        expect(parse(spell(tree, rolls))).toBe(DUPLICATE);
      }),
      { numRuns: 3_000 },
    );
  });

  it('with bytes changed, inserted or cut either refuses it or agrees with JSON.parse', () => {
    const edit = fc.tuple(fc.nat(), fc.nat({ max: 2 }), fc.nat({ max: 255 }));
    fc.assert(
      fc.property(anyObject, dice, fc.array(edit, { minLength: 1, maxLength: 4 }), (...input) => {
        const [tree, rolls, edits] = input;
        const bytes = [...Buffer.from(spell(tree, rolls))];
        for (const [at, kind, byte] of edits) {
          bytes.splice(at % bytes.length || 0, kind === 0 ? 0 : 1, ...(kind === 1 ? [] : [byte]));
        }
        const result = parseStrictJson(Buffer.from(bytes));
        if (typeof result === 'string') return;
        expect(isDeepStrictEqual(result, JSON.parse(Buffer.from(bytes).toString()))).toBe(true);
      }),
      { numRuns: 5_000 },
    );
  });
});

describe('isJsonObject', () => {
  it.each([
    [{}, true],
    [{ a: 1 }, true],
    [[], false],
    [null, false],
    [undefined, false],
    ['{}', false],
    [1, false],
  ])('of %j is %s', (value, expected) => {
    expect(isJsonObject(value)).toBe(expected);
  });
});
