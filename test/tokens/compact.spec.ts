import { TokenError } from '../../lib/kernel/errors.js';
import {
  MAX_TOKEN_LENGTH,
  readCompact,
  readHeader,
  readPayload,
} from '../../lib/tokens/compact.js';

const SIGNATURE = 'c2lnbmF0dXJl';

function encode(part: unknown): string {
  const bytes = Buffer.isBuffer(part)
    ? part
    : Buffer.from(typeof part === 'string' ? part : JSON.stringify(part));
  return bytes.toString('base64url');
}

function compactOf(header: unknown, payload: unknown = {}): string {
  return `${encode(header)}.${encode(payload)}.${SIGNATURE}`;
}

function refusalOf(read: () => unknown): TokenError {
  try {
    read();
  } catch (error) {
    if (error instanceof TokenError) return error;
    throw error;
  }
  throw new Error('it was not refused');
}

describe('readCompact (RFC 7515 §3.1, §5.2; SEMANTICS 1: text)', () => {
  it('splits a token without decoding it', () => {
    expect(readCompact('aGVhZA.Ym9keQ.c2ln')).toEqual({
      header: 'aGVhZA',
      payload: 'Ym9keQ',
      signature: 'c2ln',
      signingInput: 'aGVhZA.Ym9keQ',
    });
  });

  it('takes an empty payload, which RFC 7515 allows, and leaves the refusal to the JSON reader', () => {
    const compact = readCompact('aGVhZA..c2ln');

    expect(compact.payload).toBe('');
    expect(refusalOf(() => readPayload(compact)).code).toBe('ERR_TOKEN_JSON');
  });

  it.each([
    ['nothing', ''],
    ['a dot', '.'],
    ['two dots', '..'],
    ['one part', 'aGVhZA'],
    ['two parts', 'aGVhZA.Ym9keQ'],
    ['four parts', 'aGVhZA.Ym9keQ.c2ln.c2ln'],
    ['five parts, as a JWE has', 'aGVhZA.a2V5.aXY.Y3Q.dGFn'],
    ['no header', '.Ym9keQ.c2ln'],
    ['no signature, as alg none has', 'aGVhZA.Ym9keQ.'],
    ['a space in front', ' aGVhZA.Ym9keQ.c2ln'],
    ['a space behind', 'aGVhZA.Ym9keQ.c2ln '],
    ['a newline behind, where $ would match', 'aGVhZA.Ym9keQ.c2ln\n'],
    ['a newline inside', 'aGVh\nZA.Ym9keQ.c2ln'],
    ['a tab inside', 'aGVhZA.Ym9\tkeQ.c2ln'],
    ['padding', 'aGVhZA==.Ym9keQ==.c2ln'],
    ['the other alphabet: +', 'aGV+.Ym9keQ.c2ln'],
    ['the other alphabet: /', 'aGV/.Ym9keQ.c2ln'],
    ['a percent escape', 'aGVhZA%3D.Ym9keQ.c2ln'],
    ['a stray bit in the header', 'aGVhZB.Ym9keQ.c2ln'],
    ['a stray bit in the payload', 'aGVhZA.Ym9keR.c2ln'],
    ['a stray bit in the signature', 'aGVhZA.Ym9keQ.c2lnQR'],
    ['a length no bytes have', 'aGVhZ.Ym9keQ.c2ln'],
    ['a NUL', 'aGVhZA.Ym9keQ.c2ln\u0000'],
    ['a letter that folds to ASCII', 'aGVhZA.Ym9keQ.c2ln\u212a'],
    ['a full-width dot', 'aGVhZA\uff0eYm9keQ\uff0ec2ln'],
    ['the JSON serialisation', '{"payload":"e30","signatures":[]}'],
    ['a second scheme', 'Bearer aGVhZA.Ym9keQ.c2ln'],
    ['a list of tokens', 'aGVhZA.Ym9keQ.c2ln,aGVhZA.Ym9keQ.c2ln'],
  ])('refuses %s', (_, text) => {
    expect(refusalOf(() => readCompact(text)).code).toBe('ERR_TOKEN_FORMAT');
  });

  it('counts characters before it looks at any', () => {
    const atLimit = `e30.${'A'.repeat(MAX_TOKEN_LENGTH - 8)}.e30`;

    expect(atLimit).toHaveLength(MAX_TOKEN_LENGTH);
    expect(readCompact(atLimit).payload).toHaveLength(MAX_TOKEN_LENGTH - 8);
    expect(refusalOf(() => readCompact(`${atLimit} `)).code).toBe('ERR_TOKEN_TOO_LARGE');
    expect(refusalOf(() => readCompact('.'.repeat(5_000_000))).code).toBe('ERR_TOKEN_TOO_LARGE');
  });

  it('holds the header part to 2048 characters', () => {
    const header = (length: number): string => `${'A'.repeat(length)}.e30.e30`;

    expect(readCompact(header(2048)).header).toHaveLength(2048);
    expect(refusalOf(() => readCompact(header(2052))).code).toBe('ERR_TOKEN_TOO_LARGE');
  });
});

describe('readHeader (RFC 7515 §4; SEMANTICS 1: header)', () => {
  const header = { alg: 'ES256', typ: 'at+jwt', kid: 'k1' };

  it('answers the three members it honours', () => {
    expect(readHeader(readCompact(compactOf(header)))).toEqual(header);
  });

  it('ignores members that promise nothing it must honour (RFC 7515 §4: others are ignored)', () => {
    const more = { ...header, cty: 'text', 'https://example.org/note': { any: ['thing'] } };

    expect(readHeader(readCompact(compactOf(more)))).toEqual(header);
  });

  it.each(['jku', 'jwk', 'x5u', 'x5c', 'x5t', 'x5t#S256', 'crit', 'zip', 'enc', 'b64'])(
    'refuses %s, whatever its value (RFC 8725 §3.10)',
    (member) => {
      for (const value of [null, '', 'x', [], ['x'], {}, true, false, 0]) {
        const token = compactOf({ ...header, [member]: value });
        expect(refusalOf(() => readHeader(readCompact(token))).code).toBe('ERR_TOKEN_HEADER');
      }
    },
  );

  it('refuses an escaped spelling of a forbidden member', () => {
    const token = compactOf(String.raw`{"alg":"ES256","kid":"k1","jw\u006b":{}}`);

    expect(refusalOf(() => readHeader(readCompact(token))).code).toBe('ERR_TOKEN_HEADER');
  });

  it.each([
    ['alg', undefined],
    ['alg', null],
    ['alg', ['ES256']],
    ['alg', 256],
    ['alg', { toString: 'ES256' }],
    ['kid', null],
    ['kid', 1],
    ['kid', ['k1']],
    ['typ', null],
    ['typ', ['at+jwt']],
    ['typ', 0],
  ])('refuses %s: %j', (member, value) => {
    const token = compactOf({ ...header, [member]: value });

    expect(refusalOf(() => readHeader(readCompact(token))).code).toBe('ERR_TOKEN_HEADER');
  });

  it('reads a header without typ and kid and leaves both to the verifier', () => {
    expect(readHeader(readCompact(compactOf({ alg: 'ES256' })))).toEqual({
      alg: 'ES256',
      kid: undefined,
      typ: undefined,
    });
  });
});

describe('strict JSON of both parts (RFC 7515 §4, RFC 7519 §4, RFC 8725 §2.4)', () => {
  const hostile: ReadonlyArray<readonly [string, unknown]> = [
    ['a name that occurs twice', '{"alg":"ES256","alg":"none"}'],
    ['a name that occurs twice, once escaped', String.raw`{"alg":"ES256","\u0061lg":"none"}`],
    ['a byte order mark', Buffer.from('\ufeff{"alg":"ES256"}')],
    ['__proto__', '{"alg":"ES256","__proto__":{"admin":true}}'],
    ['an escaped __proto__', String.raw`{"alg":"ES256","\u005f_proto__":{}}`],
    ['a lone surrogate', String.raw`{"alg":"ES256","a":"\ud800"}`],
    ['a lone surrogate in a name', String.raw`{"alg":"ES256","\udc00":1}`],
    ['bytes that are not UTF-8', Buffer.from([0x7b, 0x22, 0xff, 0x22, 0x3a, 0x31, 0x7d])],
    ['17 levels', `{"a":${'['.repeat(16)}1${']'.repeat(16)}}`],
    ['1000 levels', `${'{"a":'.repeat(900)}1${'}'.repeat(900)}`.slice(0, 1500)],
    ['a list', '[]'],
    ['a string', '"alg"'],
    ['a number', '1'],
    ['null', 'null'],
    ['nothing', ' '],
    ['two objects', '{}{}'],
    ['a trailing comma', '{"alg":"ES256",}'],
    ['a comment', '{"alg":"ES256"/**/}'],
    ['single quotes', "{'alg':'ES256'}"],
    ['a NUL behind', '{"alg":"ES256"}\u0000'],
    ['NaN', '{"alg":"ES256","a":NaN}'],
  ];

  it.each(hostile)('refuses %s in the header', (_, text) => {
    expect(refusalOf(() => readHeader(readCompact(compactOf(text)))).code).toBe('ERR_TOKEN_JSON');
  });

  it.each(hostile)('refuses %s in the payload', (_, text) => {
    const compact = readCompact(compactOf({ alg: 'ES256' }, text));

    expect(refusalOf(() => readPayload(compact)).code).toBe('ERR_TOKEN_JSON');
  });

  it('never says in the error what the token said', () => {
    const planted = 'planted-value';
    const refusals = [
      refusalOf(() => readCompact(`${planted} `)),
      refusalOf(() => readHeader(readCompact(compactOf({ alg: planted, jku: planted })))),
      refusalOf(() => readHeader(readCompact(compactOf(`{"${planted}":1,"${planted}":2}`)))),
    ];

    for (const { message, detail } of refusals) {
      expect(message).toBe('The token was refused.');
      expect(detail).not.toContain(planted);
    }
  });
});
