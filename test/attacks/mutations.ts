import * as fc from 'fast-check';

/** Ways to spoil a token, as fast-check arbitraries: text in, another text (mostly) out. */

type Step = (token: string) => string;

const BASE64URL = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_';

const JUNK = [
  ['.', '=', '==', '+', '/', ' ', '\t', '\n', '\r\n', '\u0000', '%', '"', "'", ',', ';', '~', '\\'],
  ['\u00e9', '\u200b', '\ufeff', '\uff0e', '\ud83d\ude00', '\u202e', '%2e', '{}', 'Bearer '],
].flat();

const alphabetChar = fc.constantFrom(...BASE64URL.split(''));
const junk = fc.constantFrom(...JUNK);
const snippet = fc.oneof(alphabetChar, junk, fc.string({ maxLength: 8, unit: 'binary' }));

/** A place in the token, as a share of its length, so that it shrinks and fits every token. */
const place = fc.double({ min: 0, max: 1, noNaN: true });

function at(token: string, share: number): number {
  return Math.floor(share * token.length);
}

/** A value that a member of header or claims is replaced by. */
const memberValue = fc.oneof(
  fc.jsonValue({ maxDepth: 2 }),
  fc.constantFrom(
    'none',
    'HS256',
    'ES384',
    'JWT',
    'admin',
    'https://evil.example',
    0,
    -1,
    null,
    [],
    {},
  ),
);
const headerName = fc.constantFrom(
  'alg',
  'typ',
  'kid',
  'jku',
  'jwk',
  'x5u',
  'x5c',
  'crit',
  'b64',
  'zip',
  'x',
);
const claimName = fc.constantFrom(
  'iss',
  'aud',
  'sub',
  'exp',
  'nbf',
  'iat',
  'jti',
  'scope',
  'roles',
  'cnf',
  'x',
);

type Members = Record<string, unknown>;

/** Edits a part as JSON and keeps the others; a part that is no JSON any more stays as it is. */
function editJson(token: string, index: 0 | 1, edit: (members: Members) => string): string {
  const parts = token.split('.');
  try {
    const text = Buffer.from(parts[index] ?? '', 'base64url').toString();
    parts[index] = Buffer.from(edit(JSON.parse(text) as Members)).toString('base64url');
    return parts.join('.');
  } catch {
    return `${token}.`;
  }
}

function setMember(index: 0 | 1, names: fc.Arbitrary<string>): fc.Arbitrary<Step> {
  return fc.tuple(names, memberValue).map(
    ([name, value]) =>
      (token: string) =>
        editJson(token, index, (members) => JSON.stringify({ ...members, [name]: value })),
  );
}

function dropMember(index: 0 | 1, names: fc.Arbitrary<string>): fc.Arbitrary<Step> {
  return names.map(
    (name) => (token: string) =>
      editJson(token, index, ({ [name]: _, ...members }) => JSON.stringify(members)),
  );
}

/** The same JSON in other bytes, or with a member said twice. */
const rewrite = fc
  .tuple(fc.constantFrom(0 as const, 1 as const), fc.nat({ max: 4 }), headerName)
  .map(
    ([index, form, name]) =>
      (token: string) =>
        editJson(token, index, (members) => {
          const text = JSON.stringify(members);
          switch (form) {
            case 0:
              return JSON.stringify(members, null, 1);
            case 1:
              return ` ${text}`;
            case 2:
              return `${text.slice(0, -1)},"${name}":1,"${name}":1}`;
            case 3:
              return `\ufeff${text}`;
            default:
              return text.replace('"', '"\\u0061');
          }
        }),
  );

const replaceChar = fc.tuple(place, snippet).map(([share, text]) => (token: string) => {
  const index = at(token, share);
  return token.slice(0, index) + text + token.slice(index + 1);
});

const insert = fc.tuple(place, snippet).map(([share, text]) => (token: string) => {
  const index = at(token, share);
  return token.slice(0, index) + text + token.slice(index);
});

const removeRange = fc
  .tuple(place, fc.integer({ min: 1, max: 40 }))
  .map(([share, length]) => (token: string) => {
    const index = at(token, share);
    return token.slice(0, index) + token.slice(index + length);
  });

const repeatRange = fc
  .tuple(place, fc.integer({ min: 1, max: 40 }))
  .map(([share, length]) => (token: string) => {
    const index = at(token, share);
    return token.slice(0, index + length) + token.slice(index);
  });

const truncate = fc.tuple(place, fc.constantFrom('head', 'tail')).map(
  ([share, side]) =>
    (token: string) =>
      side === 'head' ? token.slice(0, at(token, share)) : token.slice(at(token, share)),
);

const changeCase = fc.tuple(place, fc.nat({ max: 2 })).map(([share, form]) => (token: string) => {
  if (form === 0) return token.toUpperCase();
  if (form === 1) return token.toLowerCase();
  const index = at(token, share);
  const char = token.charAt(index);
  const swapped = char === char.toUpperCase() ? char.toLowerCase() : char.toUpperCase();
  return token.slice(0, index) + swapped + token.slice(index + 1);
});

/** One bit of the bytes behind a part, in their one right spelling. */
const flipBit = fc
  .tuple(fc.nat({ max: 2 }), place, fc.nat({ max: 7 }))
  .map(([part, share, bit]) => (token: string) => {
    const parts = token.split('.');
    const bytes = Buffer.from(parts[part] ?? '', 'base64url');
    const index = Math.min(bytes.length - 1, Math.floor(share * bytes.length));
    if (index < 0) return `${token}A`;
    bytes[index] = (bytes[index] ?? 0) ^ (1 << bit);
    parts[part] = bytes.toString('base64url');
    return parts.join('.');
  });

/** Other base64 spellings of the same bytes. */
const respell = fc
  .tuple(fc.nat({ max: 2 }), fc.nat({ max: 4 }))
  .map(([part, form]) => (token: string) => {
    const parts = token.split('.');
    const text = parts[part] ?? '';
    const last = BASE64URL.indexOf(text.slice(-1));
    const forms = [
      `${text}=`,
      `${text}==`,
      text.replaceAll('-', '+').replaceAll('_', '/'),
      `${text.slice(0, -1)}${BASE64URL.charAt(last ^ 1)}`,
      text.replaceAll(/.{20}/g, '$&\n'),
    ];
    parts[part] = forms[form] ?? text;
    return parts.join('.');
  });

function spoilersWith(others: readonly string[]): fc.Arbitrary<Step> {
  const foreign = others.flatMap((token) => token.split('.'));
  const shuffle = fc
    .array(fc.oneof(fc.nat({ max: 2 }), fc.constantFrom(...foreign, '', 'e30', 'AA')), {
      maxLength: 6,
    })
    .map((picks) => (token: string) => {
      const parts = token.split('.');
      return picks.map((pick) => (typeof pick === 'number' ? (parts[pick] ?? '') : pick)).join('.');
    });
  return fc.oneof(
    { weight: 3, arbitrary: replaceChar },
    { weight: 3, arbitrary: insert },
    { weight: 2, arbitrary: removeRange },
    { weight: 1, arbitrary: repeatRange },
    { weight: 2, arbitrary: truncate },
    { weight: 1, arbitrary: changeCase },
    { weight: 2, arbitrary: flipBit },
    { weight: 2, arbitrary: respell },
    { weight: 3, arbitrary: shuffle },
    { weight: 2, arbitrary: setMember(0, headerName) },
    { weight: 2, arbitrary: setMember(1, claimName) },
    { weight: 1, arbitrary: dropMember(0, headerName) },
    { weight: 1, arbitrary: dropMember(1, claimName) },
    { weight: 1, arbitrary: rewrite },
    {
      weight: 1,
      arbitrary: fc.string({ unit: 'binary', maxLength: 200 }).map((text) => () => text),
    },
  );
}

/** These tokens with up to three things done to them; sometimes nothing, so that they stay valid. */
function mutated(tokens: readonly string[]): fc.Arbitrary<string> {
  return fc
    .tuple(fc.constantFrom(...tokens), fc.array(spoilersWith(tokens), { maxLength: 3 }))
    .map(([token, steps]) => steps.reduce((text, step) => step(text), token));
}

/** So many mutated tokens at a time; a failed property names the seed and not all of them. */
export function mutatedBatch(
  tokens: readonly string[],
  size: number,
): fc.Arbitrary<readonly string[]> {
  return fc
    .array(mutated(tokens), { minLength: size, maxLength: size })
    .map((texts) => Object.assign(texts, { [fc.toStringMethod]: () => `${size} tokens` }));
}
