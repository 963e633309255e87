import {
  accepted,
  also,
  BY_ATTACKER,
  claim,
  CLAIMS,
  CLAIMS_TEXT,
  denied,
  header,
  literal,
  payloadText,
  refused,
  values,
} from './recipe.js';

/** Classes about claims: time, identity, binding, rights; and the controls that must pass. */

const NOT_NUMBERS = values(
  [null, true, false, '', '4102444800', ' ', 'never', { $gt: 0 }, {}, [], ['#NOW#']],
  [literal('1e400'), literal('-1e400'), literal('"1795305600"')],
);

const claimsTime = refused(
  'claims-time',
  claim(
    'exp',
    NOT_NUMBERS,
    [undefined, 0, -1, '#NOW-300#', '#NOW-11#', '#NOW-10#', '#NOW#', '#NOW-1#', '#NOW+3601#'],
    ['#NOW+86400#', '#NOW+300*1000#', 4102444800, 9007199254740992, '#NOW+3600.5#'],
    [literal('1e308'), literal('1e20'), literal('-0')],
  ),
  claim('nbf', NOT_NUMBERS, ['#NOW+11#', '#NOW+10.5#', '#NOW+299#', '#NOW+300#', '#NOW*1000#']),
  claim(
    'iat',
    NOT_NUMBERS,
    [undefined, '#NOW+11#', '#NOW+10.5#', '#NOW+300#', '#NOW+301#', '#NOW*1000#', '#NOW-3301#'],
    [0, -1, literal('1e-400'), literal('-1e20')],
  ),
  claim('auth_time', NOT_NUMBERS, ['#NOW+11#', '#NOW+86400#', -1, literal('-1e20')]),
  [
    [
      'exp before iat, within the leeway',
      { payload: { ...CLAIMS, iat: '#NOW+5#', exp: '#NOW+4#' } },
    ],
    ['exp equal to iat', { payload: { ...CLAIMS, iat: '#NOW+5#', exp: '#NOW+5#' } }],
    ['exp equal to nbf', { payload: { ...CLAIMS, nbf: '#NOW+5#', exp: '#NOW+5#' } }],
    [
      'all times in milliseconds',
      { payload: { ...CLAIMS, iat: '#NOW*1000#', nbf: '#NOW*1000#', exp: '#NOW+300*1000#' } },
    ],
    ['expired and badly signed', { ...BY_ATTACKER, payload: { ...CLAIMS, exp: '#NOW-300#' } }],
  ],
);

const NOT_IDENTIFIERS = values(
  [null, '', 0, 1, true, false, {}, { toString: 'x' }, 'x'.repeat(256), [], ['x'], undefined],
  ['\u202euser', 'us\u2066er', '\u2028', 'user\u200f'],
  ['a\u0000', 'a\n', '\u0007', 'a\u007f', 'a\u0085', '\u0000', '\ud800', 'a\udc00', ' ', '  '],
);

const claimsIdentity = refused(
  'claims-identity',
  claim(
    'iss',
    [
      undefined,
      null,
      '',
      ' ',
      '{{ISS}}/',
      '{{ISS}} ',
      ' {{ISS}}',
      'https://',
      'https',
      {},
      0,
      true,
    ],
    [
      'https://evil.example',
      ['{{ISS}}'],
      ['https://evil.example', '{{ISS}}'],
      '{{AUD}}',
      '{{ISS}}#',
    ],
    [
      'HTTPS://ISSUER.EXAMPLE',
      'http://issuer.example',
      '{{ISS}}.evil.example',
      '{{ISS}}?',
      '.*',
      '*',
    ],
    ['{{ISS}}:443', '{{ISS}}\u0000', '{{ISS}}\n', '{{ISS}},x', 'https://i\u0455suer.example'],
    ['https://issuer.example%00', 'issuer.example', 'https://issuer.example.', '{{ISS}}\u200b'],
  ),
  claim(
    'aud',
    [
      undefined,
      null,
      '',
      ' ',
      '{{AUD}}/',
      '{{AUD}} ',
      'https://',
      '*',
      '.*',
      0,
      true,
      {},
      [],
      [''],
    ],
    [['x'], [null], ['{{AUD}}', null], ['{{AUD}}', 0], [['{{AUD}}']], [{}], ['{{AUD}}', ['x']]],
    ['{{ISS}}', '{{CLIENT}}', '{{AUD}},x', 'x {{AUD}}', '{{AUD}}\u0000', 'HTTPS://API.EXAMPLE'],
    [{ '0': '{{AUD}}' }, { includes: '{{AUD}}' }, '{{AUD}}.evil.example', ['{{AUD}}/', '{{AUD}} ']],
  ),
  claim('sub', NOT_IDENTIFIERS),
  claim('jti', NOT_IDENTIFIERS),
  claim('client_id', NOT_IDENTIFIERS),
  claim(
    'sid',
    NOT_IDENTIFIERS.filter((value) => value !== undefined),
  ),
  claim(
    'acr',
    NOT_IDENTIFIERS.filter((value) => value !== undefined),
  ),
  claim('amr', [null, '', 'pwd', 0, true, {}, [null], [0], [''], [['pwd']]]),
);

const binding = refused(
  'binding',
  claim(
    'cnf',
    [null, '', 'x', 0, true, false, [], {}, { jkt: '' }, { jkt: '{{JKT}}' }, { jkt: null }],
    [
      { 'x5t#S256': 'x' },
      { jwk: {} },
      { jku: '{{CANARY_URL}}' },
      { kid: '{{KID}}' },
      [{ jkt: 'x' }],
    ],
    [{ fph: 'x' }, { unknown: true }, { jkt: '{{JKT}}', 'x5t#S256': 'x' }],
  ),
);

const ELSEWHERE = ['scp', 'scopes', 'Scope', 'groups', 'role', 'Roles', 'authorities', 'is_admin'];

const rights = denied(
  'authz-claims',
  also('for the scope', { route: 'admin' }, [
    ...claim(
      'scope',
      [
        undefined,
        '',
        'read',
        'Admin',
        'ADMIN',
        'admins',
        'adminx',
        'xadmin',
        'admin:read',
        'admin/',
      ],
      ['*', 'read,admin', 'read;admin', 'read\tadmin', 'read\nadmin', 'read\u00a0admin', ' admin'],
      [
        'admin ',
        ' ',
        'read  admin',
        'admin\u0000',
        '"admin"',
        'admin\u200b',
        '\u0430dmin',
        'admin\\',
      ],
      ['.*', 'read+admin', null, 0, true, [], {}, ['admin'], ['read', 'admin'], { admin: true }],
      [{ includes: 'admin' }, [['admin']]],
    ),
    ...[...ELSEWHERE, 'roles', 'permissions'].flatMap((name) => claim(name, [['admin']])),
  ]),
  also('for the role', { route: 'backoffice' }, [
    ...claim(
      'roles',
      [
        undefined,
        [],
        ['user'],
        ['Admin'],
        ['ADMIN'],
        ['admin '],
        [' admin'],
        ['admin,user'],
        ['*'],
      ],
      [
        ['admin\u0000'],
        null,
        0,
        true,
        '',
        'admin',
        {},
        { admin: true },
        { '0': 'admin', length: 1 },
      ],
      [[null], [['admin']], [{}], ['admin', 0], ['admin', null], ['admin', ['x']], ['admin', '']],
      [['\u0430dmin'], ['admin\u200b']],
    ),
    ...[...ELSEWHERE, 'permissions', 'realm_access'].flatMap((name) => claim(name, [['admin']])),
    ...claim('scope', ['admin']),
  ]),
);

const rightsOfWrongType = refused(
  'authz-claims-type',
  claim('permissions', [null, 0, true, '', 'x', {}, [null], [0], [''], ['a\n']]),
  claim('roles', [null, 0, true, '', 'x', {}, [null], [0], [''], ['a\n']]),
  claim('scope', [
    null,
    0,
    true,
    [],
    ['read'],
    {},
    ' read',
    'read ',
    'a  b',
    'a\tb',
    'a"b',
    '\u00e9',
  ]),
);

/** Without these, a verifier that refuses everything would pass. */
const controls = accepted(
  'control',
  [['as it is', {}]],
  header('typ', ['at+JWT', 'AT+jwt', 'application/AT+JWT', 'APPLICATION/at+jwt']),
  header('x_unknown', [{ a: [1, null, 'x'] }, null, '']),
  header('iss', ['{{ISS}}']),
  header('cty', ['json']),
  claim('aud', [['{{AUD}}'], ['{{AUD}}', '{{AUD}}'], ['x', 'y', '{{AUD}}'], ['', '{{AUD}}']]),
  claim('exp', ['#NOW+3600#', '#NOW+300.75#', '#NOW+1#']),
  [['exp within the leeway', { payload: { ...CLAIMS, iat: '#NOW-300#', exp: '#NOW-9#' } }]],
  claim('nbf', ['#NOW#', '#NOW+10#', '#NOW-300#', 0, '#NOW-1.5#']),
  claim('iat', ['#NOW+10#', '#NOW-3300#', '#NOW-1.5#']),
  claim('sub', [
    'x',
    'x'.repeat(255),
    'Zo\u00eb \u6e2c\u8a66',
    '248289761001',
    'auth0|5f7c',
    'a b',
  ]),
  claim('sub', ['\ud83d\ude00', 'https://user.example/', 'a@b']),
  claim('jti', ['1', 'x'.repeat(255)]),
  claim('client_id', ['https://client.example/', 'a b']),
  claim('scope', [undefined, '', 'a', 'read write', 'https://x.example/read', 'a:b.c-d_e!']),
  claim('roles', [[], ['user'], ['user', 'auditor']]),
  claim('permissions', [[], ['x:y']]),
  claim('sid', ['s-1']),
  claim('auth_time', ['#NOW-60#', '#NOW-60.5#', '#NOW+10#', 0]),
  claim('acr', ['urn:x:mfa']),
  claim('amr', [['pwd', 'otp']]),
  claim('nested', [
    { a: { b: { c: [1, 2, { d: null }] } } },
    [],
    {},
    '',
    0,
    null,
    true,
    ':{}[]"\\',
  ]),
  claim('email', ['x@y.example']),
  claim('', ['an empty name']),
  payloadText([
    ` \t\r\n{ ${CLAIMS_TEXT}\n} `,
    `{${CLAIMS_TEXT},"\\u0078":"\\u00e9\\n\\ud83d\\ude00"}`,
    `{${CLAIMS_TEXT},"x":${'['.repeat(14)}${']'.repeat(14)}}`,
    `{"\\u0069ss":"{{ISS}}",${CLAIMS_TEXT.slice(CLAIMS_TEXT.indexOf(',') + 1)}}`,
  ]),
  [
    ['4 KB of claims', { payload: { ...CLAIMS, x: 'x'.repeat(4096) } }],
    ['admin by scope', { route: 'admin', payload: { ...CLAIMS, scope: 'read admin' } }],
    ['admin by role', { route: 'backoffice', payload: { ...CLAIMS, roles: ['user', 'admin'] } }],
    // The other signature of the same bytes: RFC 7518 asks for no low s, and half of what signers
    // make has a high one. It names the same jti, so nothing that remembers tokens is fooled.
    ['s mirrored (n - s)', { sig: { op: 'neg_s' } }],
  ],
);

export const CLAIM_ROWS = [
  controls,
  claimsTime,
  claimsIdentity,
  binding,
  rights,
  rightsOfWrongType,
].flat();
