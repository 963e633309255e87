import { randomBytes } from 'node:crypto';

import { ConfigError, TokenError, type TokenErrorCode } from '../../lib/kernel/errors.js';
import {
  ASYMMETRIC_ALGORITHMS,
  findAlgorithm,
  SIGNING_ALGORITHMS,
} from '../../lib/keys/algorithms.js';
import { isAvailable, type SigningKey } from '../../lib/keys/key-material.js';
import type { ClaimInput } from '../../lib/tokens/claims.js';
import { AUDIENCE, ISSUER } from '../support/guarded-app.js';
import {
  forge,
  forgeAccess,
  type Issuer,
  newPrivateJwk,
  openIssuer,
  validClaims,
} from '../support/token-mother.js';

/** SEMANTICS §1, line by line: what a token may not be, and what an issued one always is. */

let issuer: Issuer;
let key: SigningKey;
let valid: string;

beforeAll(async () => {
  issuer = await openIssuer();
  key = await issuer.keyRing.signingKey();
  valid = await forgeAccess(key, claims());
});

function claims(more: Readonly<Record<string, unknown>> = {}): Record<string, unknown> {
  return { ...validClaims(issuer.clock), ...more };
}

function header(more: Readonly<Record<string, unknown>> = {}): Record<string, unknown> {
  return { alg: 'ES256', typ: 'at+jwt', kid: key.kid, ...more };
}

/** Seconds since the epoch, so far from now. */
function now(offset: number): number {
  return issuer.clock.seconds() + offset;
}

async function codeOf(token: string): Promise<TokenErrorCode | 'accepted'> {
  try {
    await issuer.tokens.verify(token);
    return 'accepted';
  } catch (error) {
    if (error instanceof TokenError) return error.code;
    throw error;
  }
}

const without = (name: string, members: Record<string, unknown>): Record<string, unknown> => {
  const { [name]: _, ...others } = members;
  return others;
};

it('a token that is right in every respect is accepted, so that the refusals below mean something', async () => {
  expect(await codeOf(valid)).toBe('accepted');
});

describe('text', () => {
  const parts = (): readonly string[] => valid.split('.');
  const everywhere = (junk: string): readonly string[] => {
    const [head = '', payload = '', signature = ''] = parts();
    return [
      `${junk}${valid}`,
      `${head}${junk}.${payload}.${signature}`,
      `${head}.${junk}${payload}.${signature}`,
      `${head}.${payload}${junk}.${signature}`,
      `${head}.${payload}.${junk}${signature}`,
      `${valid}${junk}`,
      ...parts().map((part) => valid.replace(part, `${part.slice(0, 5)}${junk}${part.slice(5)}`)),
    ];
  };

  it.each([
    ['a space', ' '],
    ['a tab', '\t'],
    ['a line feed', '\n'],
    ['a carriage return', '\r\n'],
    ['a vertical tab', '\u000b'],
    ['a no-break space', '\u00a0'],
    ['a line separator', '\u2028'],
    ['a zero-width space', '\u200b'],
    ['a byte order mark', '\ufeff'],
    ['NUL', '\u0000'],
    ['padding', '='],
    ['double padding', '=='],
    ['+ of base64', '+'],
    ['/ of base64', '/'],
    ['a percent sign', '%'],
    ['a quote', '"'],
    ['an exclamation mark', '!'],
    ['a letter with an accent', 'é'],
    ['a full-width letter', 'Ａ'],
    ['an emoji', '😀'],
  ])('%s anywhere', async (_, junk) => {
    const codes = await Promise.all(everywhere(junk).map(codeOf));
    expect(new Set(codes)).toEqual(new Set(['ERR_TOKEN_FORMAT']));
  });

  it('a non-canonical last character of any part (RFC 4648 §3.5)', async () => {
    const alphabet = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_';
    // Parts whose length leaves unused bits in the last character.
    const token = await forgeAccess(key, claims({ x: 'aa' }), { x: 'a' });
    const lax = token.split('.').flatMap((part, index, all) => {
      const last = alphabet.indexOf(part.slice(-1));
      const unused = [0, undefined, 4, 2][part.length % 4];
      if (unused === undefined || unused === 0) return [];
      const other = `${part.slice(0, -1)}${alphabet.charAt(last + 1)}`;
      expect(Buffer.from(other, 'base64url').equals(Buffer.from(part, 'base64url'))).toBe(true);
      return [all.with(index, other).join('.')];
    });
    expect(lax.length).toBeGreaterThan(1);
    expect(await Promise.all(lax.map(codeOf))).toEqual(lax.map(() => 'ERR_TOKEN_FORMAT'));
  });

  it.each([
    ['no dot', 'AAAA'],
    ['one dot', 'AAAA.AAAA'],
    ['three dots', 'AAAA.AAAA.AAAA.AAAA'],
    ['four dots', 'AAAA.AAAA.AAAA.AAAA.AAAA'],
    ['no header', '.AAAA.AAAA'],
    ['no signature', 'AAAA.AAAA.'],
    ['nothing', ''],
    ['a length no bytes have', 'AAAAA.AAAA.AAAA'],
  ])('%s', async (_, text) => {
    expect(await codeOf(text)).toBe('ERR_TOKEN_FORMAT');
  });

  it.each<{ readonly value: unknown }>([
    { value: undefined },
    { value: null },
    { value: 0 },
    { value: true },
    { value: {} },
    { value: [] },
    { value: Buffer.from('x') },
    { value: ['a.b.c'] },
  ])('no text at all: $value', async ({ value }) => {
    expect(await codeOf(value as string)).toBe('ERR_TOKEN_FORMAT');
  });

  it.each([
    ['8193 characters', 'A'.repeat(8193)],
    ['8193 dots', '.'.repeat(8193)],
    ['8193 characters that are no base64url', '\u0000'.repeat(8193)],
    ['a megabyte', `AAAA.${'A'.repeat(1_048_576)}.AAAA`],
    ['a header part of 2049', `${'A'.repeat(2049)}.AAAA.AAAA`],
    ['a header part of 2049 that is no JSON', `${'_'.repeat(2049)}.AAAA.AAAA`],
  ])('too long, said before anything is decoded: %s', async (_, text) => {
    expect(await codeOf(text)).toBe('ERR_TOKEN_TOO_LARGE');
  });

  it('8 KiB exactly, with a header of 2 KiB, is not too long', async () => {
    const pad = async (inHeader: number, inClaims: number): Promise<string> =>
      forgeAccess(key, claims({ x: 'x'.repeat(inClaims) }), { x: 'x'.repeat(inHeader) });
    const empty = await pad(0, 0);
    const headerRoom = Math.floor(((2048 - (empty.split('.')[0]?.length ?? 0)) * 3) / 4);
    const long = await pad(headerRoom - 2, 0);
    const token = await pad(headerRoom - 2, Math.floor(((8192 - long.length) * 3) / 4) - 2);
    expect(token.length).toBeGreaterThan(8185);
    expect(await codeOf(token)).toBe('accepted');
  });
});

describe('header', () => {
  it.each([
    ...['jku', 'jwk', 'x5u', 'x5c', 'x5t', 'x5t#S256', 'zip', 'enc', 'b64', 'crit'].flatMap(
      (name) => [null, '', 'x', {}, [], true, false, 0].map((value) => [name, value] as const),
    ),
    ['jku', 'https://issuer.example/.well-known/jwks.json'],
    ['b64', true],
    ['zip', 'DEF'],
    ['enc', 'A256GCM'],
    ['crit', ['exp']],
    ['crit', ['b64']],
    ['crit', ['alg']],
  ] as const)('%s present, whatever it says: %j', async (name, value) => {
    const token = await forge(key, header({ [name]: value }), claims());
    expect(await codeOf(token)).toBe('ERR_TOKEN_HEADER');
  });

  it.each(['alg', 'typ', 'kid', 'x'])('%s twice', async (name) => {
    const text = JSON.stringify(header({ x: 1 }));
    const token = await forge(key, `{"${name}":"ES256",${text.slice(1)}`, claims());
    expect(await codeOf(token)).toBe('ERR_TOKEN_JSON');
  });

  it('a name twice, once with an escape', async () => {
    const text = JSON.stringify(header());
    const token = await forge(key, `{"\\u0061lg":"none",${text.slice(1)}`, claims());
    expect(await codeOf(token)).toBe('ERR_TOKEN_JSON');
  });

  it('a byte order mark', async () => {
    const token = await forge(key, `\ufeff${JSON.stringify(header())}`, claims());
    expect(await codeOf(token)).toBe('ERR_TOKEN_JSON');
  });

  it('no kid', async () => {
    expect(await codeOf(await forge(key, without('kid', header()), claims()))).toBe(
      'ERR_TOKEN_KID',
    );
  });

  it.each([
    ['', 'ERR_TOKEN_KID'],
    ['k'.repeat(129), 'ERR_TOKEN_KID'],
    ...' /\\%?#&=+*@!$\'"(),;<>[]{}|^`~\n\u0000'
      .split('')
      .map((char) => [`k${char}`, 'ERR_TOKEN_KID'] as const),
    ['../../dev/null', 'ERR_TOKEN_KID'],
    ['é', 'ERR_TOKEN_KID'],
    ['k'.repeat(128), 'ERR_TOKEN_UNKNOWN_KEY'],
    ['AZaz09._:-', 'ERR_TOKEN_UNKNOWN_KEY'],
    ['__proto__', 'ERR_TOKEN_UNKNOWN_KEY'],
    ['constructor', 'ERR_TOKEN_UNKNOWN_KEY'],
    [null, 'ERR_TOKEN_HEADER'],
    [0, 'ERR_TOKEN_HEADER'],
    [['x'], 'ERR_TOKEN_HEADER'],
    [{}, 'ERR_TOKEN_HEADER'],
  ] as const)('kid %j: %s', async (kid, code) => {
    expect(await codeOf(await forge(key, header({ kid }), claims()))).toBe(code);
  });
});

describe('JSON', () => {
  const text = (): string => JSON.stringify(claims({ scope: 'read' }));
  const withMember = (member: string): string => `${text().slice(0, -1)},${member}}`;

  it.each(['iss', 'aud', 'sub', 'exp', 'iat', 'nbf', 'jti', 'scope'])('%s twice', async (name) => {
    const first = `{"${name}":"x",${text().slice(1)}`;
    const last = withMember(`"${name}":"x","${name}":"y"`);
    const escaped = withMember(
      `"\\u00${name.charCodeAt(0).toString(16)}${name.slice(1)}":1,"${name}":1`,
    );
    for (const payload of [first, last, escaped]) {
      expect(await codeOf(await forgeAccess(key, payload))).toBe('ERR_TOKEN_JSON');
    }
  });

  it.each([
    ['a name twice in a claim', '"x":{"a":1,"a":1}'],
    ['a name twice in a list', '"x":[{"a":1,"\\u0061":1}]'],
    ['__proto__', '"__proto__":{"scope":"admin"}'],
    ['__proto__ inside', '"x":{"y":[{"__proto__":1}]}'],
    ['__proto__ with an escape', '"__pr\\u006fto__":1'],
    ['a lone high surrogate', '"x":"\\ud800"'],
    ['a lone low surrogate', '"x":["\\udfff"]'],
    ['a lone surrogate in a name', '"\\ud83d":1'],
    ['17 lists deep', `"x":${'['.repeat(16)}${']'.repeat(16)}`],
    ['2000 objects deep', `"x":${'{"a":'.repeat(500)}1${'}'.repeat(500)}`],
    ['a comment', '"x":1/**/'],
    ['a trailing comma', '"x":1,'],
    ['a raw control character', '"x":"\u0001"'],
  ])('%s', async (_, member) => {
    expect(await codeOf(await forgeAccess(key, withMember(member)))).toBe('ERR_TOKEN_JSON');
  });

  it.each([
    ['a byte order mark', () => `\ufeff${text()}`],
    ['a list', () => `[${text()}]`],
    ['null', () => 'null'],
    ['a text', () => '"x"'],
    ['nothing', () => ''],
    ['two objects', () => `${text()}${text()}`],
    ['bytes that are not UTF-8', () => Buffer.concat([Buffer.from(text()), Buffer.of(0xff)])],
    [
      'overlong UTF-8',
      () => Buffer.concat([Buffer.from('{"x":"'), Buffer.of(0xc0, 0x80), Buffer.from('"}')]),
    ],
    ['UTF-16', () => Buffer.from(text(), 'utf16le')],
  ])('%s instead of the object', async (_, payload) => {
    expect(await codeOf(await forgeAccess(key, payload()))).toBe('ERR_TOKEN_JSON');
  });

  it.each([
    ['white space around and between', () => ` \n${JSON.stringify(claims(), null, '\t')}\r\n`],
    ['escapes', () => withMember('"\\u0078":"\\u00e9\\ud83d\\ude00\\n"')],
    ['colons and braces in texts', () => withMember('"x":":{}[],\\"","y":"\\\\"')],
    ['15 lists deep', () => withMember(`"x":${'['.repeat(15)}${']'.repeat(15)}`)],
  ])('accepts %s', async (_, payload) => {
    expect(await codeOf(await forgeAccess(key, payload()))).toBe('accepted');
  });
});

describe('time', () => {
  const payload = (member: string): string =>
    JSON.stringify(without(member.split('"')[1] ?? '', claims())).replace(/\}$/, `,${member}}`);

  it.each(
    ['exp', 'nbf', 'iat'].flatMap((name) =>
      ['1e400', '-1e400', '"1795305600"', 'null', 'true', '[]', '{}', '""'].map(
        (value) => `"${name}":${value}`,
      ),
    ),
  )('%s: not a finite number (RFC 7519 §2)', async (member) => {
    expect(await codeOf(await forgeAccess(key, payload(member)))).toBe('ERR_TOKEN_CLAIM_INVALID');
  });

  it.each([
    [
      'exp 10 s ago',
      () => ({ iat: now(-300), nbf: now(-300), exp: now(-10) }),
      'ERR_TOKEN_EXPIRED',
    ],
    ['exp 9 s ago', () => ({ iat: now(-300), nbf: now(-300), exp: now(-9) }), 'accepted'],
    ['exp 9.9 s ago', () => ({ iat: now(-300), nbf: now(-300), exp: now(-9.9) }), 'accepted'],
    ['iat 11 s ahead', () => ({ iat: now(11), nbf: now(0) }), 'ERR_TOKEN_NOT_YET_VALID'],
    ['iat 10 s ahead', () => ({ iat: now(10), nbf: now(0) }), 'accepted'],
    ['nbf 11 s ahead', () => ({ nbf: now(11) }), 'ERR_TOKEN_NOT_YET_VALID'],
    ['nbf 10 s ahead', () => ({ nbf: now(10) }), 'accepted'],
    ['no nbf', () => ({ nbf: undefined }), 'accepted'],
    ['exp before iat', () => ({ iat: now(6), exp: now(5) }), 'ERR_TOKEN_LIFETIME'],
    ['exp equal to iat', () => ({ iat: now(5), exp: now(5) }), 'ERR_TOKEN_LIFETIME'],
    ['exp before nbf', () => ({ nbf: now(6), exp: now(5) }), 'ERR_TOKEN_LIFETIME'],
    ['a lifetime of 3601 s', () => ({ exp: now(3601) }), 'ERR_TOKEN_LIFETIME'],
    ['a lifetime of 3600 s', () => ({ exp: now(3600) }), 'accepted'],
    ['exp in milliseconds', () => ({ exp: now(300) * 1000 }), 'ERR_TOKEN_LIFETIME'],
    ['iat in milliseconds', () => ({ iat: now(0) * 1000 }), 'ERR_TOKEN_NOT_YET_VALID'],
    ['nbf in milliseconds', () => ({ nbf: now(0) * 1000 }), 'ERR_TOKEN_NOT_YET_VALID'],
    ['iat 0', () => ({ iat: 0 }), 'ERR_TOKEN_LIFETIME'],
    ['exp 0', () => ({ exp: 0 }), 'ERR_TOKEN_EXPIRED'],
    ['fractions (RFC 7519 §2)', () => ({ iat: now(-1.5), exp: now(299.25) }), 'accepted'],
  ])('%s', async (_, more, code) => {
    expect(await codeOf(await forgeAccess(key, claims(more())))).toBe(code);
  });
});

describe('identity', () => {
  const notIdentifiers = [
    ['', 'x'.repeat(256), 'a\u0000', '\u0000', 'a\n', 'a\t', 'a\u001f', 'a\u007f', 'a\u0085'],
    [0, 1, true, false, null, {}, ['x']],
  ].flat();

  it.each(
    ['sub', 'jti', 'sid', 'client_id'].flatMap((name) =>
      notIdentifiers.map((value) => [name, value] as const),
    ),
  )('%s %j', async (name, value) => {
    const token = await forgeAccess(key, claims({ [name]: value }));
    expect(await codeOf(token)).toBe('ERR_TOKEN_CLAIM_INVALID');
  });

  it.each(['sub', 'jti'])('%s of 255 characters is accepted', async (name) => {
    const token = await forgeAccess(key, claims({ [name]: 'é'.repeat(255) }));
    expect(await codeOf(token)).toBe('accepted');
  });

  it.each([0, true, null, {}, [0], [null], [AUDIENCE, 1], [[AUDIENCE]], { 0: AUDIENCE }])(
    'aud neither a text nor a list of texts: %j',
    async (aud) => {
      expect(await codeOf(await forgeAccess(key, claims({ aud })))).toBe('ERR_TOKEN_CLAIM_INVALID');
    },
  );
});

describe('rights and binding', () => {
  it.each([
    null,
    '',
    'x',
    0,
    true,
    [],
    {},
    { jkt: '' },
    { jkt: 'x'.repeat(43) },
    { 'x5t#S256': 'x' },
    { kid: 'x' },
    { unknown: 1 },
  ])('cnf %j: a binding that cannot be checked is a refusal', async (cnf) => {
    expect(await codeOf(await forgeAccess(key, claims({ cnf })))).toBe('ERR_TOKEN_BINDING');
  });

  const notScopes = [
    [0, true, null, {}, [], ['read'], ' ', ' a', 'a ', 'a  b', 'a\tb', 'a"b', 'a\\b', 'é'],
  ].flat();
  const notNameLists = [
    [0, true, null, '', 'admin', {}, { admin: true }],
    [[0], [null], [''], [['admin']], ['a\n'], ['a', 1]],
  ].flat();

  it.each([
    ...notScopes.map((value) => ['scope', value] as const),
    ...notNameLists.flatMap((value) => [
      ['roles', value] as const,
      ['permissions', value] as const,
    ]),
  ])('%s of a wrong type: %j', async (name, value) => {
    const token = await forgeAccess(key, claims({ [name]: value }));
    expect(await codeOf(token)).toBe('ERR_TOKEN_CLAIM_INVALID');
  });
});

describe('encryption', () => {
  const protectedHeader = (members: object): string =>
    Buffer.from(JSON.stringify(members)).toString('base64url');

  it.each([
    ['ECDH-ES', { alg: 'ECDH-ES', enc: 'A256GCM' }],
    ['zip', { alg: 'dir', enc: 'A256GCM', zip: 'DEF' }],
    ['PBES2', { alg: 'PBES2-HS256+A128KW', enc: 'A128GCM', p2c: 2_147_483_647, p2s: 'AAAA' }],
    ['RSA1_5', { alg: 'RSA1_5', enc: 'A128CBC-HS256' }],
  ])('a JWE (%s) is no token, in five parts or in three', async (_, members) => {
    const part = protectedHeader(members);
    const [, payload, signature] = valid.split('.');
    expect(await codeOf(`${part}.AAAA.AAAA.AAAA.AAAA`)).toBe('ERR_TOKEN_FORMAT');
    expect(await codeOf(`${part}.${payload}.${signature}`)).toBe('ERR_TOKEN_HEADER');
  });
});

describe('always', () => {
  it('only asymmetric algorithms are on offer, unless a shared-secret profile was chosen', async () => {
    const others = SIGNING_ALGORITHMS.filter((name) => !/^(?:ES|RS|PS)\d{3}$|^Ed|^ML-/.test(name));
    expect(others).toEqual(['HS256']);
    for (const keys of [
      { algorithm: 'HS256' },
      { algorithm: ['ES256', 'HS256'] },
      {
        signingKey: {
          kty: 'oct',
          kid: 'k',
          alg: 'HS256',
          k: randomBytes(32).toString('base64url'),
        },
      },
    ] as const) {
      await expect(openIssuer({ keys })).rejects.toMatchObject({ code: 'ERR_CONFIG_INVALID' });
    }
  });

  it.each([
    'none',
    'hs256',
    'HS384',
    'HS512',
    'es256',
    'Es256',
    'ES256 ',
    'ES256K',
    'RS1',
    'constructor',
    '',
  ])('alg %j is not on the list, which is case-sensitive', async (alg) => {
    expect(findAlgorithm(alg)).toBeUndefined();
    expect(await codeOf(await forge(key, header({ alg }), claims()))).toBe('ERR_TOKEN_ALGORITHM');
  });

  it.each(SIGNING_ALGORITHMS.filter((name) => name !== 'ES256'))(
    'one key, one algorithm: %s for a key of ES256',
    async (alg) => {
      expect(await codeOf(await forge(key, header({ alg }), claims()))).toBe('ERR_TOKEN_ALGORITHM');
    },
  );

  it.each([null, 0, true, [], ['ES256'], {}, undefined])('alg %j is no algorithm', async (alg) => {
    expect(await codeOf(await forge(key, header({ alg }), claims()))).toBe('ERR_TOKEN_HEADER');
  });

  it.each(['JWT', '', 'at+jwt ', 'logout+jwt', 'application/jwt', undefined])(
    'typ %j',
    async (typ) => {
      expect(await codeOf(await forge(key, header({ typ }), claims()))).toBe('ERR_TOKEN_TYPE');
    },
  );

  it.each(['at+jwt', 'AT+JWT', 'application/at+jwt', 'APPLICATION/AT+jwt'])(
    'typ %j is ours',
    async (typ) => {
      expect(await codeOf(await forge(key, header({ typ }), claims()))).toBe('accepted');
    },
  );

  it.each([
    `${ISSUER}/`,
    ` ${ISSUER}`,
    ISSUER.toUpperCase(),
    ISSUER.slice(0, -1),
    '',
    [ISSUER],
    ['https://evil.example', ISSUER],
    null,
    {},
  ])('iss %j is not equal byte for byte', async (iss) => {
    expect(await codeOf(await forgeAccess(key, claims({ iss })))).toBe('ERR_TOKEN_ISSUER');
  });

  it('iss in another Unicode normal form is another issuer', async () => {
    const unicode = await openIssuer({ issuer: 'https://auth.example/caf%C3%A9' });
    const own = await unicode.keyRing.signingKey();
    const other = { ...validClaims(unicode.clock), iss: 'https://auth.example/caf%c3%a9' };
    await expect(unicode.tokens.verify(await forgeAccess(own, other))).rejects.toMatchObject({
      code: 'ERR_TOKEN_ISSUER',
    });
  });

  it('the key belongs to the issuer: that of another one is unknown, whatever iss says', async () => {
    const other = await openIssuer();
    const foreign = await other.keyRing.signingKey();
    expect(await codeOf(await forgeAccess(foreign, claims()))).toBe('ERR_TOKEN_UNKNOWN_KEY');
    const renamed = await forgeAccess(foreign, claims(), { kid: key.kid });
    expect(await codeOf(renamed)).toBe('ERR_TOKEN_SIGNATURE');
  });

  it.each([
    '',
    'x',
    `${AUDIENCE}/`,
    AUDIENCE.toUpperCase(),
    [],
    [''],
    ['x', 'y'],
    [`${AUDIENCE} `],
  ])('aud %j does not contain ours', async (aud) => {
    expect(await codeOf(await forgeAccess(key, claims({ aud })))).toBe('ERR_TOKEN_AUDIENCE');
  });

  it.each([[[AUDIENCE]], [['x', AUDIENCE]]])('aud %j contains ours', async (aud) => {
    expect(await codeOf(await forgeAccess(key, claims({ aud })))).toBe('accepted');
  });

  it.each(['exp', 'iat', 'iss', 'aud', 'sub', 'jti'])('%s is required', async (name) => {
    const token = await forgeAccess(key, without(name, claims()));
    expect(await codeOf(token)).toBe('ERR_TOKEN_CLAIM_MISSING');
  });

  it('what tokens.requiredClaims names is required too, also of what is issued', async () => {
    const strict = await openIssuer({ tokens: { requiredClaims: ['client_id', 'tenant'] } });
    const own = await strict.keyRing.signingKey();
    const token = await forgeAccess(own, { ...validClaims(strict.clock), client_id: 'web' });
    await expect(strict.tokens.verify(token)).rejects.toMatchObject({
      code: 'ERR_TOKEN_CLAIM_MISSING',
    });
    await expect(strict.tokens.sign({ sub: 'user-1', client_id: 'web' })).rejects.toMatchObject({
      code: 'ERR_CLAIM_INVALID',
    });
  });

  it.each([
    ['0s', 0],
    ['1s', 1],
    ['60s', 60],
  ] as const)('a leeway of %s is %d seconds, no more', async (leeway, seconds) => {
    const { tokens, keyRing, clock } = await openIssuer({ tokens: { leeway } });
    const own = await keyRing.signingKey();
    const at = (offset: number): Promise<string> =>
      forgeAccess(own, {
        ...validClaims(clock),
        iat: clock.seconds() - 300,
        nbf: clock.seconds() - 300,
        exp: clock.seconds() + offset,
      });
    await expect(tokens.verify(await at(-seconds))).rejects.toMatchObject({
      code: 'ERR_TOKEN_EXPIRED',
    });
    expect((await tokens.verify(await at(-seconds + 0.5))).subject).toBe('user-1');
  });

  it.each(['61s', '2m', '1d', '10', '-1s', '', 10, null])(
    'a leeway of %j does not start',
    async (leeway) => {
      const tokens = { leeway } as { readonly leeway: '61s' };
      await expect(openIssuer({ tokens })).rejects.toThrow(ConfigError);
    },
  );
});

describe('issued tokens', () => {
  it('always carry iss, aud, sub, iat, nbf, exp and jti', async () => {
    const { token, claims: issued, expiresIn } = await issuer.tokens.sign({ sub: 'user-1' });
    expect(issued).toEqual({
      iss: ISSUER,
      aud: AUDIENCE,
      sub: 'user-1',
      era: 0,
      iat: now(0),
      nbf: now(0),
      exp: now(900),
      jti: expect.any(String),
    });
    expect(expiresIn).toBe(900);
    expect(await codeOf(token)).toBe('accepted');
  });

  const reserved = 'iss aud exp nbf iat jti cnf era token_version status'.split(' ');
  it.each(reserved)('custom claims never override %s', async (name) => {
    const input = { sub: 'user-1', [name]: 'x' } as { readonly sub: string };
    await expect(issuer.tokens.sign(input)).rejects.toMatchObject({ code: 'ERR_CLAIM_RESERVED' });
  });

  it.each<readonly [string, ClaimInput]>([
    ['password', 'x'],
    ['user_password', 'x'],
    ['cardNumber', 'x'],
    ['x', '4111 1111 1111 1111'],
    ['x', 4_111_111_111_111_111],
    ['email', 'x'],
    ['x', 'someone@example.org'],
    ['profile', { email: 'x' }],
    ['list', [{ phone_number: 'x' }]],
    ['ssn', '078-05-1120'],
    ['birthdate', '2000-01-01'],
    ['api_key', 'x'],
    ['secret', 'x'],
    ['x', '-----BEGIN PRIVATE KEY-----'],
  ])('the claim %s: %j looks secret or personal', async (name, value) => {
    await expect(issuer.tokens.sign({ sub: 'user-1', [name]: value })).rejects.toMatchObject({
      code: 'ERR_CLAIM_SENSITIVE',
    });
  });

  it('what tokens.allowClaims names is let through', async () => {
    const open = await openIssuer({ tokens: { allowClaims: ['email', 'profile.phone'] } });
    const input = { sub: 'user-1', email: 'a@example.org', profile: { phone: '1' } };
    expect((await open.tokens.sign(input)).claims).toMatchObject(input);
  });

  it('jti has 192 random bits and never comes twice', async () => {
    const ids = new Set<string>();
    for (let count = 0; count < 500; count++) {
      const { claims: issued } = await issuer.tokens.sign({ sub: 'user-1' });
      expect(Buffer.from(issued.jti, 'base64url')).toHaveLength(24);
      ids.add(issued.jti);
    }
    expect(ids.size).toBe(500);
  });

  it('a jitter shortens lifetimes, each by its own part, and never lengthens one', async () => {
    const jittery = await openIssuer({ tokens: { accessTtl: '10m', lifetimeJitter: '2m' } });
    const lifetimes = await Promise.all(
      Array.from({ length: 100 }, async () => (await jittery.tokens.sign({ sub: 'u' })).expiresIn),
    );
    expect(Math.max(...lifetimes)).toBeLessThanOrEqual(600);
    expect(Math.min(...lifetimes)).toBeGreaterThanOrEqual(480);
    expect(new Set(lifetimes).size).toBeGreaterThan(10);
  });

  it.each(ASYMMETRIC_ALGORITHMS.filter((name) => !/^[RP]S/.test(name) && isAvailable(name)))(
    'signed with %s, are accepted by who issued them',
    async (algorithm) => {
      const { tokens } = await openIssuer({ keys: { signingKey: await newPrivateJwk(algorithm) } });
      const { token } = await tokens.sign({ sub: 'user-1', scope: ['a'], roles: ['r'] });
      expect(await tokens.verify(token)).toMatchObject({ algorithm, scopes: ['a'], roles: ['r'] });
    },
  );
});

describe('errors', () => {
  const refusals = async (): Promise<readonly TokenError[]> => {
    const tokens = [
      'x',
      'A'.repeat(9000),
      await forgeAccess(key, '[]'),
      await forgeAccess(key, claims(), { crit: ['marked-value'] }),
      await forge(key, header({ alg: 'marked-value' }), claims()),
      await forgeAccess(key, claims(), { typ: 'marked-value' }),
      await forgeAccess(key, claims(), { kid: 'marked value' }),
      await forgeAccess(key, claims(), { kid: 'marked-value' }),
      `${valid.slice(0, -4)}AAAA`,
      await forgeAccess(key, without('jti', claims())),
      await forgeAccess(key, claims({ sub: ['marked-value'] })),
      await forgeAccess(key, claims({ iss: 'marked-value' })),
      await forgeAccess(key, claims({ aud: 'marked-value' })),
      await forgeAccess(key, claims({ iat: 1, nbf: 1, exp: 2 })),
      await forgeAccess(key, claims({ nbf: now(100) })),
      await forgeAccess(key, claims({ exp: now(100_000) })),
      await forgeAccess(key, claims({ cnf: { jkt: 'marked-value' } })),
    ];
    return Promise.all(
      tokens.map(async (token) => {
        const error: unknown = await issuer.tokens
          .verify(token)
          .catch((refusal: unknown) => refusal);
        if (!(error instanceof TokenError)) throw new Error('not refused');
        return error;
      }),
    );
  };

  it('every refusal has a code of its own kind, and all codes occur', async () => {
    const codes = (await refusals()).map(({ code }) => code);
    expect(codes).toEqual([
      'ERR_TOKEN_FORMAT',
      'ERR_TOKEN_TOO_LARGE',
      'ERR_TOKEN_JSON',
      'ERR_TOKEN_HEADER',
      'ERR_TOKEN_ALGORITHM',
      'ERR_TOKEN_TYPE',
      'ERR_TOKEN_KID',
      'ERR_TOKEN_UNKNOWN_KEY',
      'ERR_TOKEN_SIGNATURE',
      'ERR_TOKEN_CLAIM_MISSING',
      'ERR_TOKEN_CLAIM_INVALID',
      'ERR_TOKEN_ISSUER',
      'ERR_TOKEN_AUDIENCE',
      'ERR_TOKEN_EXPIRED',
      'ERR_TOKEN_NOT_YET_VALID',
      'ERR_TOKEN_LIFETIME',
      'ERR_TOKEN_BINDING',
    ]);
  });

  it('the text for clients is the same for all, and nothing repeats a value of the token', async () => {
    const errors = await refusals();
    expect(new Set(errors.map(({ message, name }) => `${name}: ${message}`)).size).toBe(1);
    const told = errors.map(({ message, detail, stack }) => `${message} ${detail} ${stack}`).join();
    expect(told).not.toMatch(/marked|issuer\.example|user-1|eyJ/);
  });
});
