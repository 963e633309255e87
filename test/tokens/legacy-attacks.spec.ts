import { createPublicKey, randomBytes } from 'node:crypto';

import { INVENTED_ROWS } from '../attacks/invented-rows.js';
import { AUDIENCE, ISSUER } from '../support/guarded-app.js';
import type { TestClock } from '../support/test-clock.js';
import { forge, type Issuer, validClaims } from '../support/token-mother.js';
import { type Arena, openArena } from '../vectors/arena.js';
import { HEADER, oldClaims, oldToken, openLegacy, SECRET, verdict } from './legacy-mother.js';

/** What changes for an attacker where HS256 is checked at all: nothing. */

let arena: Arena;
let issuer: Issuer;
let clock: TestClock;

beforeAll(async () => {
  arena = await openArena();
  ({ clock } = arena);
  // By the host's clock, as far ahead as it may be.
  const until = new Date(Date.now() + 399 * 86_400_000).toISOString();
  const keys = { signingKey: arena.privateJwk };
  const tokens = { requiredClaims: ['client_id'] };
  issuer = await openLegacy(clock, { until }, { keys, tokens });
});

afterAll(() => arena.close());

describe('a service that takes legacy tokens', () => {
  it('is open for both: its own, and those of before', async () => {
    expect(await verdict(issuer, arena.valid)).toBe('accepted');
    expect(await verdict(issuer, oldToken(oldClaims(clock)))).toBe('accepted');
  });

  const CLASSES = [...new Set(INVENTED_ROWS.map((row) => row.class))];

  it.each(CLASSES)('judges invented rows as any other does: %s', async (name) => {
    const rows = INVENTED_ROWS.filter((row) => row.class === name);
    const made = arena.materialize(rows);
    const wrong: string[] = [];
    for (const row of rows) {
      const here = await verdict(issuer, made.get(row.id) ?? '');
      const code = await arena
        .side('express')
        .tokens.verify(made.get(row.id) ?? '')
        .then(
          () => 'accepted',
          (error: unknown) => (error as { readonly code: string }).code,
        );
      if ((here === 'accepted') !== (code === 'accepted')) wrong.push(`${row.id} (${row.name})`);
    }
    expect(wrong).toEqual([]);
  });
});

describe('public keys as secrets', () => {
  /** Every text in which a verifier might hold its own public key. */
  function spellings(): readonly (string | Buffer)[] {
    const { publicJwk } = arena.key;
    const key = createPublicKey({ key: publicJwk, format: 'jwk' });
    const pem = key.export({ type: 'spki', format: 'pem' }).toString();
    const der = key.export({ type: 'spki', format: 'der' });
    const { x = '', y = '' } = publicJwk;
    const point = Buffer.concat([
      Buffer.of(4),
      ...[x, y].map((text) => Buffer.from(text, 'base64url')),
    ]);
    const jwk = JSON.stringify(publicJwk);
    const texts = [
      pem,
      pem.trimEnd(),
      `${pem}\n`,
      pem.replaceAll('\n', '\r\n'),
      pem.replaceAll('\n', '\\n'),
      pem.replaceAll('\n', ''),
      pem.split('\n').slice(1, -2).join(''),
      jwk,
      JSON.stringify({ keys: [publicJwk] }),
      issuer.keyRing.jwks().body,
      x,
      y,
      arena.key.kid,
    ];
    const bytes = [der, point, ...[x, y].map((text) => Buffer.from(text, 'base64url'))];
    return [
      ...texts,
      ...texts.map((text) => Buffer.from(text).toString('base64')),
      ...bytes,
      ...bytes.flatMap((raw) =>
        ['hex', 'base64', 'base64url'].map((as) => raw.toString(as as 'hex')),
      ),
    ];
  }

  it.each([
    ['as jsonwebtoken writes', HEADER],
    ['without typ', { alg: 'HS256' }],
    ['with the kid of the key', { ...HEADER, kid: '{kid}' }],
    ['with the typ of new tokens', { ...HEADER, typ: 'at+jwt' }],
    ['with both', { ...HEADER, typ: 'at+jwt', kid: '{kid}' }],
  ])('forge nothing, headers %s', async (_rule, header) => {
    const text = JSON.stringify(header).replace('{kid}', arena.key.kid);
    const both = [oldClaims(clock), { ...validClaims(clock), client_id: 'client-1' }];
    for (const secret of spellings()) {
      for (const claims of both) {
        const token = oldToken(claims, text, { secret });
        expect(await verdict(issuer, token)).toMatch(
          /^ERR_TOKEN_(?:SIGNATURE|TYPE|KID|ALGORITHM)$/,
        );
      }
    }
  });
});

describe('the header of a legacy token', () => {
  it.each([
    ['alg none, unsigned', { alg: 'none', typ: 'JWT' }],
    ['alg none without typ', { alg: 'none' }],
    ['alg None', { alg: 'None', typ: 'JWT' }],
    ['an empty alg', { alg: '', typ: 'JWT' }],
    ['no alg', { typ: 'JWT' }],
    ['alg in a list', { alg: ['HS256'], typ: 'JWT' }],
  ])('%s', async (_rule, header) => {
    const signed = oldToken(oldClaims(clock), header);
    const unsigned = `${signed.split('.').slice(0, 2).join('.')}.`;
    for (const token of [signed, unsigned, `${unsigned}AA`]) {
      expect(await verdict(issuer, token)).toMatch(/^ERR_TOKEN_(?:ALGORITHM|HEADER|FORMAT)$/);
    }
  });

  it.each([
    '',
    '0',
    'legacy',
    'LEGACY',
    '../../../../dev/null',
    '/dev/null',
    "x' UNION SELECT 'secret' -- ",
    'a'.repeat(200),
    '\u0000',
    null,
    7,
    ['legacy'],
    {},
  ])('kid %j leads nowhere, with the right secret and with an empty one', async (kid) => {
    for (const secret of [SECRET, '', '\0', 'secret']) {
      const token = oldToken(oldClaims(clock), { ...HEADER, kid }, { secret });
      expect(await verdict(issuer, token)).toMatch(/^ERR_TOKEN_(?:KID|HEADER)$/);
    }
  });

  it.each([
    ['jwk', { kty: 'oct', k: 'AA' }],
    ['jku', 'https://evil.example/jwks'],
    ['x5u', 'https://evil.example/x'],
    ['x5c', ['AA']],
    ['x5t', 'AA'],
    ['crit', ['exp']],
    ['b64', false],
    ['zip', 'DEF'],
    ['enc', 'A256GCM'],
    ['cty', 'JWT'],
    ['cty', 'text/plain'],
    ['foo', 'bar'],
    ['ALG', 'none'],
    ['constructor', {}],
  ])('member %s is refused although the secret is right', async (name, value) => {
    const token = oldToken(oldClaims(clock), { ...HEADER, [name]: value });
    expect(await verdict(issuer, token)).toBe('ERR_TOKEN_HEADER');
  });

  it.each(['jwt', 'Jwt', 'application/jwt', 'JOSE', '', 'at+jwt', 'confirmation+jwt', 'dpop+jwt'])(
    'typ %j is refused although the secret is right',
    async (typ) => {
      const token = oldToken(oldClaims(clock), { ...HEADER, typ });
      expect(await verdict(issuer, token)).toBe('ERR_TOKEN_TYPE');
    },
  );

  it.each([
    ['a member twice', '{"alg":"HS256","typ":"JWT","typ":"JWT"}'],
    ['alg twice', '{"alg":"ES256","alg":"HS256","typ":"JWT"}'],
    ['an escaped name twice', '{"alg":"HS256","\\u0061lg":"none"}'],
    ['a byte order mark', '\ufeff{"alg":"HS256","typ":"JWT"}'],
    ['a list', '["HS256"]'],
    ['__proto__', '{"alg":"HS256","__proto__":{"typ":"JWT"}}'],
  ])('%s is refused although the secret is right', async (_rule, text) => {
    expect(await verdict(issuer, oldToken(oldClaims(clock), text))).toMatch(
      /^ERR_TOKEN_(?:JSON|HEADER)$/,
    );
  });
});

describe('one key, one use', () => {
  it('the old secret forges no token of the new kind', async () => {
    const claims = { ...validClaims(clock), client_id: 'client-1' };
    const { kid } = arena.key;
    for (const header of [
      { alg: 'ES256', typ: 'at+jwt', kid },
      { alg: 'HS256', typ: 'at+jwt', kid },
      { alg: 'HS256', typ: 'at+jwt' },
    ]) {
      expect(await verdict(issuer, oldToken(claims, header))).toMatch(/^ERR_TOKEN_/);
    }
    // As a legacy token, what only new ones say is in its way.
    expect(await verdict(issuer, oldToken(claims))).toBe('ERR_TOKEN_ISSUER');
  });

  it('the new key forges no token of the old kind', async () => {
    for (const header of [HEADER, { alg: 'ES256', typ: 'JWT' }, { alg: 'ES256' }]) {
      const token = await forge(arena.key, header, oldClaims(clock));
      expect(await verdict(issuer, token)).toMatch(/^ERR_TOKEN_(?:SIGNATURE|TYPE)$/);
    }
  });

  it('weak and related secrets are other secrets', async () => {
    const guesses = [
      '',
      ' ',
      'secret',
      'your-256-bit-secret',
      SECRET.trimEnd().slice(0, -1),
      `${SECRET}\n`,
      `${SECRET}\0`,
      SECRET.toLowerCase(),
      Buffer.from(SECRET, 'base64'),
      Buffer.from(SECRET).toString('base64'),
      Buffer.from(SECRET).toString('hex'),
      ISSUER,
      AUDIENCE,
      'legacy',
      randomBytes(32),
    ];
    for (const secret of guesses) {
      const token = oldToken(oldClaims(clock), HEADER, { secret });
      expect(await verdict(issuer, token)).toBe('ERR_TOKEN_SIGNATURE');
    }
  });

  it('a token taken apart and put together otherwise is refused', async () => {
    const [alice, bob] = ['alice', 'bob'].map((sub) =>
      oldToken({ ...oldClaims(clock), sub }).split('.'),
    ) as [string[], string[]];
    const [header, payload = '', signature] = alice;
    for (const text of [
      `${header}.${bob[1]}.${signature}`,
      `${header}.${payload}.${bob[2]}`,
      `${header}.${payload}`,
      `${header}.${payload}.${signature}.`,
      `${header}.${payload}.${signature}=`,
      `${header}.${payload}.${signature} `,
      `${header}..${signature}`,
      `.${payload}.${signature}`,
      `${header}.${payload}.${signature}.${signature}.${signature}`,
    ]) {
      expect(await verdict(issuer, text)).toMatch(/^ERR_TOKEN_(?:SIGNATURE|FORMAT|JSON|HEADER)$/);
    }
  });
});
