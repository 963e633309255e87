import {
  CLAIMS,
  CLAIMS_TEXT,
  type Entry,
  HEADER,
  HEADER_TEXT,
  headerText,
  payloadText,
  refused,
  show,
  template,
} from './recipe.js';

/** Classes about bytes: the signature, one spelling only, the three parts, JSON, encryption. */

const SCALARS = ['0', '1', 'n', 'n-1', 'n+1', 'p', 'max'];

const signature = refused(
  'signature',
  SCALARS.flatMap((r) =>
    SCALARS.map((s): Entry => [`r=${r} s=${s}`, { sign: { by: 'none' }, sig: { op: 'rs', r, s } }]),
  ),
  [0, 1, 31, 32, 33, 63].map((n): Entry => [`first ${n} bytes`, { sig: { op: 'trunc', n } }]),
  [0, 31, 32, 63].map((byte): Entry => [`byte ${byte} flipped`, { sig: { op: 'flip', byte } }]),
  ['00', '0000', 'ff'].map((hex): Entry => [`${hex} appended`, { sig: { op: 'append', hex } }]),
  ['00', '0000', '04'].map((hex): Entry => [`${hex} prepended`, { sig: { op: 'prepend', hex } }]),
  ['dup', 'swap_rs', 'der', 'hex', 'empty'].map((op): Entry => [op, { sig: { op } }]),
  ['MAYCAQACAQA', 'AA', 'A', '_', '-', 'null', 'e30', 'A'.repeat(86), '_'.repeat(86)].map(
    (text): Entry => [`the text ${show(text)}`, { sign: { by: 'none' }, sig: { op: 'raw', text } }],
  ),
  [{}, { sub: 'admin' }, { scope: 'read admin' }].map((more): Entry => [
    `of another token, ${JSON.stringify(more)} changed`,
    { sign: { by: 'copy' }, payload: { ...CLAIMS, ...more } },
  ]),
);

const JUNK = [
  ['=', '==', ' ', '\t', '\n', '\r\n', '\u0000', '+', '/', '%3D', '!', '\u00a0', '\u200b'],
  ['\ufeff', '\\', '"', "'", ',', ';', '~', '*', '@', '\u007f', '\u0085', '\u2028', '\uff0e'],
].flat();

const malleability = refused(
  'malleability',
  JUNK.map((junk): Entry => [`${show(junk)} after the header`, { h_suffix: junk }]),
  JUNK.map((junk): Entry => [`${show(junk)} after the payload`, { p_suffix: junk }]),
  [0, 1, 43, 85].flatMap((at) =>
    JUNK.map((text): Entry => [
      `${show(text)} at ${at} of the signature`,
      { sig: { op: 'insert', at, text } },
    ]),
  ),
  [
    ['padded signature', { sig: { op: 'pad' } }],
    ['stray bits in the last character', { sig: { op: 'noncanonical' } }],
  ],
  // Blanks around a field value are not part of it (RFC 9110 §5.5), so no server can see those.
  JUNK.filter((junk) => junk !== ' ' && junk !== '\t').map((junk): Entry => [
    `${show(junk)} before the token`,
    { template: `${junk}{{VALID}}` },
  ]),
  JUNK.map((junk): Entry => [
    `${show(junk)} around a dot`,
    { template: `{{VH}}${junk}.${junk}{{VP}}.{{VS}}` },
  ]),
);

const structure = refused(
  'structure',
  template(
    ['.', '..', '...', '....', 'a', 'a.b', 'a.b.c', 'null', 'undefined', 'true', '0', '{}', '[]'],
    ['{{VALID}}.', '.{{VALID}}', '{{VH}}.{{VP}}', '{{VH}}.{{VP}}.', '{{VH}}..{{VS}}', '{{VH}}'],
    ['.{{VP}}.{{VS}}', '{{VALID}}.{{VS}}', '{{VALID}}{{VALID}}', '{{VALID}} {{VALID}}'],
    ['{{VALID}},{{VALID}}', '{{VALID}}.{{VALID}}', '"{{VALID}}"', "'{{VALID}}'", '<{{VALID}}>'],
    ['Bearer {{VALID}}', 'JWT {{VALID}}', 'bearer={{VALID}}', 'token="{{VALID}}"', '{{VALID}};'],
    ['{{VALID}}#x', '{{VALID}}?x=1', '{{VALID}}%20', '{{VALID}}%00', '{{VALID}}\\n', '{{VALID}},'],
    ['{{VP}}.{{VH}}.{{VS}}', '{{VS}}.{{VP}}.{{VH}}', '{{VH}}.{{VH}}.{{VS}}', '{{VALID}}, x'],
    ['{{VH}}.{{VP}}.{{VS}}.', '{{VH}}..{{VP}}.{{VS}}', '{{VH}}....{{VS}}', '{{VH}} {{VP}} {{VS}}'],
    ['{{VH}}:{{VP}}:{{VS}}', '{{VH}}.{{VP}}.{{VS}}.{{VH}}.{{VP}}', '{{VH}}-{{VP}}-{{VS}}'],
    ['{"payload":"{{VP}}","protected":"{{VH}}","signature":"{{VS}}"}'],
    ['{"payload":"{{VP}}","signatures":[{"protected":"{{VH}}","signature":"{{VS}}"}]}'],
    ['[{"payload":"{{VP}}","protected":"{{VH}}","signature":"{{VS}}"}]'],
    ['{{VH}}~{{VALID}}~', '{{VALID}}~', '{{VALID}}~eyJhIjoxfQ~'],
    ['{{REPEAT:.:8000}}', '{{REPEAT:A:8193}}', '{{REPEAT:A:2049}}.AAAA.AAAA'],
    [
      'AAAA.{{REPEAT:A:8000}}.AAAA',
      'AAAA.AAAA.{{REPEAT:A:8000}}',
      '{{VH}}.{{VP}}.{{REPEAT:A:7000}}',
    ],
  ),
  [
    ['oversized by a claim', { payload: { ...CLAIMS, x: 'x'.repeat(8000) } }],
    ['header over 2 KiB', { header: { ...HEADER, x: 'x'.repeat(2048) } }],
  ],
);

const CLAIM_NAMES = ['iss', 'aud', 'sub', 'client_id', 'iat', 'exp', 'jti', 'scope'];
const nested = (open: string, close: string, depth: number): string =>
  `${open.repeat(depth)}1${close.repeat(depth)}`;
const withClaim = (text: string): string => `{${CLAIMS_TEXT},${text}}`;
const withParameter = (text: string): string => `{${HEADER_TEXT},${text}}`;

const json = refused(
  'json',
  payloadText(
    CLAIM_NAMES.map((name) => `{"${name}":"x",${CLAIMS_TEXT}}`),
    CLAIM_NAMES.map((name) => withClaim(`"${name}":"x"`)),
    CLAIM_NAMES.map((name) => {
      const escaped = `\\u00${name.charCodeAt(0).toString(16)}${name.slice(1)}`;
      return `{"${escaped}":"x",${CLAIMS_TEXT}}`;
    }),
    [
      '"sub":"{{SUB}}"',
      '"x":{"a":1,"a":1}',
      '"x":[{"a":1,"a":2}]',
      '"":1,"":2',
      '"x":":","x":":"',
      '"__proto__":{"scope":"admin"}',
      '"__proto__":null',
      '"x":[{"__proto__":{}}]',
      '"\\u005f_proto__":{}',
      '"x":"a\nb"',
      '"x":"\\x41"',
      '"x":"\\ud800"',
      '"x":"\\udc00"',
      '"\\ud800":1',
      '"x":"\\udc00\\ud800"',
      'x:1',
      "'x':1",
      '',
    ].map(withClaim),
    ['NaN', 'Infinity', '-Infinity', '0x1', '01', '.5', '1.', '+1', "'x'", 'undefined', 'True'].map(
      (text) => withClaim(`"x":${text}`),
    ),
    [16, 300, 2000].map((depth) => withClaim(`"x":${nested('[', ']', depth)}`)),
    [16, 300].map((depth) => withClaim(`"x":${nested('{"a":', '}', depth)}`)),
    ['[]', 'null', '"x"', '1', 'true', '', ' ', '{', '}', '{}', '[{}]', '{"a":1}{"b":2}'],
    [`{"__proto__":{${CLAIMS_TEXT}}}`, `[{${CLAIMS_TEXT}}]`, `{"x":{${CLAIMS_TEXT}}}`],
    [',', ',}', ' x', '\u0000', '\u000b', '//', '/**/', '\ufeff', '}'].map(
      (text) => `{${CLAIMS_TEXT}}${text}`,
    ),
    ['\ufeff', '\u00a0', '\u000b', '\u0000', '\u2028', ")]}',\n", '//\n'].map(
      (text) => `${text}{${CLAIMS_TEXT}}`,
    ),
  ),
  headerText(
    ['[]', 'null', '"x"', '1', ' ', '{', '{}', '["ES256"]', '{"alg":"ES256"}'],
    ['"alg":"ES256"', '"typ":"JWT"', '"__proto__":{}', '"x":"\\ud800"', ''].map(withParameter),
    ['\ufeff', '\u00a0', '\u0000'].map((text) => `${text}{${HEADER_TEXT}}`),
    [
      withParameter(`"x":${nested('{"a":', '}', 200)}`),
      withParameter(`"x":${nested('[', ']', 500)}`),
    ],
  ),
  ['ff', 'fffe', 'c080', 'eda080', 'f8808080', 'c3'].map((hex): Entry => [
    `the bytes ${hex} in a string`,
    { payload_raw: `{${CLAIMS_TEXT},"x":"`, payload_suffix_hex: `${hex}227d` },
  ]),
  ['fffe7b007d00', '7b22616c67223a22455332353622', 'ff', '7bff7d', 'efbbbf7b7d'].map(
    (hex): Entry => [`a header of the bytes ${hex}`, { header_hex: hex }],
  ),
);

const ENCRYPTION_HEADERS = [
  { alg: 'PBES2-HS256+A128KW', enc: 'A128GCM', p2s: 'AAAAAAAAAAAAAAAA', p2c: 2147483647 },
  { alg: 'A256KW', enc: 'A256GCM' },
  { alg: 'RSA1_5', enc: 'A128CBC-HS256' },
  { alg: 'dir', enc: 'A256GCM', zip: 'DEF' },
].map((parameters) => Buffer.from(JSON.stringify(parameters)).toString('base64url'));

const jwe = refused(
  'jwe',
  [
    ['a right token inside', { jwe: { wrap: 'token', header: { cty: 'JWT' } } }],
    ['a right token inside, typ at+jwt', { jwe: { wrap: 'token', header: { typ: 'at+jwt' } } }],
    ['a right token twice inside', { jwe: { wrap: 'twice' } }],
    ['bare claims inside', { jwe: { wrap: 'payload' } }],
    ['a short tag', { jwe: { wrap: 'token', tag: 4 } }],
    ['a bomb', { jwe: { wrap: 'deflate_zeros', size: 1_000_000 } }],
    [
      'an unsigned token inside',
      {
        header: { ...HEADER, alg: 'none' },
        sign: { by: 'none' },
        sig: { op: 'empty' },
        jwe: { wrap: 'token' },
      },
    ],
  ],
  template(
    ['e30....', '{{VH}}.{{VP}}.{{VS}}.AAAA.AAAA', 'AAAA.AAAA.AAAA.AAAA.AAAA', '{{VH}}...{{VS}}.'],
    ENCRYPTION_HEADERS.map((part) => `${part}..AAAA.AAAA.AAAA`),
    ENCRYPTION_HEADERS.map((part) => `${part}.{{VP}}.{{VS}}`),
  ),
);

export const TEXT_ROWS = [signature, malleability, structure, json, jwe].flat();
