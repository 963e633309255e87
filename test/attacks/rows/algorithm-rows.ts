import {
  also,
  BY_ATTACKER,
  type Entry,
  HEADER,
  header,
  HEADER_TEXT,
  headerText,
  refused,
  show,
  UNSIGNED,
  type Value,
  values,
} from './recipe.js';

/** Classes about `alg`: none, confusion with HMAC, weak secrets, substitution. */

const NONE_SPELLINGS = [
  ['none', 'None', 'NONE', 'nOnE', 'NoNe', 'nonE', 'none ', ' none', 'none\u0000', 'n\u043ene'],
  ['\uff4eone', '', ' ', 'null', 'undefined', 'plain', 'unsecured', 'NULL', 'no', 'nil', 'false'],
].flat();
const NOT_ALGORITHMS = values(
  [null, false, 0, undefined, { '0': 'ES256' }],
  [[], ['none'], ['ES256']],
);

const algNone = refused(
  'alg-none',
  also('unsigned', UNSIGNED, header('alg', NONE_SPELLINGS, NOT_ALGORITHMS)),
  header('alg', NONE_SPELLINGS, NOT_ALGORITHMS),
  also('signature of another token', { sign: { by: 'copy' } }, header('alg', ['none'])),
  also(
    'signature "AA"',
    { sign: { by: 'none' }, sig: { op: 'raw', text: 'AA' } },
    header('alg', ['none']),
  ),
  also('unsigned', UNSIGNED, [
    ['right header', {}],
    ['no kid', { header: { alg: 'none', typ: '{{TYP}}' } }],
    ['alg none alone', { header: { alg: 'none' } }],
    ['typ JWT', { header: { alg: 'none', typ: 'JWT' } }],
    ['Alg none beside alg', { header: { ...HEADER, Alg: 'none' } }],
    ...headerText([`{"alg":"none",${HEADER_TEXT}}`, `{${HEADER_TEXT},"alg":"none"}`]),
  ]),
);

const PUBLIC_KEY_TEXTS = [
  ['pem', 'pem_trim', 'pem_crlf', 'pem_indent', 'der', 'point', 'x', 'x_text'],
  ['jwk_json', 'jwks_json', 'pem_body', 'empty'],
].flat();

function hmac(alg: string, kind: string, hash = 'sha256'): Entry {
  return [
    `${alg} keyed with ${kind}`,
    { header: { ...HEADER, alg }, sign: { by: 'hmac', hash, key: { kind } } },
  ];
}

const NOT_QUITE_HMAC = ['hs256', 'HS256 ', 'Hs256', 'HS1', 'HMAC', 'HS256/64', 'BLAKE2B', 'ES256'];

const algConfusion = refused(
  'alg-confusion-hmac',
  PUBLIC_KEY_TEXTS.map((kind) => hmac('HS256', kind)),
  PUBLIC_KEY_TEXTS.map((kind) => hmac('HS384', kind, 'sha384')),
  PUBLIC_KEY_TEXTS.map((kind) => hmac('HS512', kind, 'sha512')),
  PUBLIC_KEY_TEXTS.flatMap((kind) => NOT_QUITE_HMAC.map((alg) => hmac(alg, kind))),
  also(
    'no kid',
    { header: { alg: 'HS256', typ: '{{TYP}}' } },
    PUBLIC_KEY_TEXTS.map((kind) => hmac('HS256', kind)),
  ),
);

const SECRETS = [
  ['secret', 'password', 'changeme', 'your-256-bit-secret', 'jwt', 'key', '123456', 'test'],
  ['your_jwt_secret', 'supersecret', 'null', 'undefined', '{{ISS}}', '{{AUD}}', '{{SUB}}'],
  ['AllYourBase', 'GQDstcKsx0NHjPOuXOYg5MbeJ1XT0uFiwDVvVBrk', 'hard!to-guess_secret', '\u0000'],
].flat();

function weakly(value: string, base: Readonly<Record<string, Value>>): Entry {
  return [
    `HS256 with ${show(value)}, ${Object.keys(base).join(' ')}`,
    { header: { ...base, alg: 'HS256' }, sign: { by: 'hmac', key: { kind: 'text', value } } },
  ];
}

const weakSecret = refused(
  'weak-secret',
  SECRETS.map((value) => weakly(value, HEADER)),
  SECRETS.map((value) => weakly(value, { alg: 'HS256', typ: '{{TYP}}' })),
  SECRETS.map((value) => weakly(value, { alg: 'HS256', typ: 'JWT', kid: '{{KID}}' })),
);

const OTHER_KEYS = [
  ['ES256', 'attacker_es256'],
  ['ES384', 'attacker_p384'],
  ['ES512', 'attacker_p521'],
  ['ES256K', 'attacker_k256'],
  ['EdDSA', 'attacker_ed25519'],
  ['Ed25519', 'attacker_ed25519'],
  ['RS256', 'attacker_rsa'],
  ['ES256', 'attacker_p384'],
  ['ES256', 'attacker_k256'],
  ['ES256', 'attacker_rsa'],
  ['ES256', 'attacker_ed25519'],
] as const;

const algSubstitution = refused(
  'alg-substitution',
  header(
    'alg',
    ['ES384', 'ES512', 'ES521', 'ES256K', 'RS256', 'RS384', 'RS512', 'PS256', 'PS384', 'PS512'],
    ['EdDSA', 'Ed25519', 'Ed448', 'ML-DSA-44', 'RS1', 'dir', 'A256KW', 'ECDH-ES', 'RSA1_5'],
    ['es256', 'Es256', 'ES256 ', ' ES256', 'ES-256', 'ES256\u0000', 'SHA256withECDSA', 'ECDSA'],
    ['constructor', '__proto__', 'toString', 'hasOwnProperty'],
  ),
  OTHER_KEYS.map(([alg, by]): Entry => [
    `${alg} by ${by}`,
    { header: { ...HEADER, alg }, sign: { by } },
  ]),
  ['sha1', 'sha384', 'sha512'].map((hash): Entry => [
    `live key over ${hash}`,
    { sign: { by: 'live', hash } },
  ]),
  also('by the attacker', BY_ATTACKER, header('alg', ['ES384', 'es256', 'EdDSA'])),
);

export const ALGORITHM_ROWS = [algNone, algConfusion, weakSecret, algSubstitution].flat();
