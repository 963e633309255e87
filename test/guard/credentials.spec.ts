import {
  type HttpRequest,
  readAuthorization,
  refuseBesideCookie,
} from '../../lib/guard/credentials.js';
import { AccessError } from '../../lib/kernel/errors.js';

const TOKEN = 'aaa.bbb.ccc';

/** A request as Express has it, or with `raw` as Fastify has it. */
function requestWith(
  authorization: string | undefined,
  { url = '/', rawHeaders }: { readonly url?: string; readonly rawHeaders?: string[] } = {},
): HttpRequest {
  const raw = rawHeaders ?? (authorization === undefined ? [] : ['Authorization', authorization]);
  return { headers: { authorization }, url, rawHeaders: raw };
}

function asFastify(request: HttpRequest): HttpRequest {
  const { headers, url = '', rawHeaders = [] } = request;
  return { headers, url: '/what-fastify-says', raw: { url, rawHeaders } };
}

function refusalOf(request: HttpRequest): string {
  try {
    return `answered ${readAuthorization(request)?.text ?? 'nothing'}`;
  } catch (error) {
    if (error instanceof AccessError) return error.code;
    throw error;
  }
}

describe.each([
  ['Express', (request: HttpRequest) => request],
  ['Fastify', asFastify],
])('readAuthorization on %s (RFC 6750 §2.1, RFC 9449 §7.1)', (_, platform) => {
  const read = (...args: Parameters<typeof requestWith>): string | undefined =>
    readAuthorization(platform(requestWith(...args)))?.text;

  it.each([`Bearer ${TOKEN}`, `bearer ${TOKEN}`, `BEARER ${TOKEN}`, `bEaReR ${TOKEN}`])(
    'takes %j: schemes have no case (RFC 9110 §11.1)',
    (header) => {
      expect(read(header)).toBe(TOKEN);
    },
  );

  it.each([
    ['Bearer', `bearer ${TOKEN}`],
    ['DPoP', `DPoP ${TOKEN}`],
    ['DPoP', `dpop ${TOKEN}`],
  ])('says that it came as %s', (scheme, header) => {
    const carried = readAuthorization(platform(requestWith(header)));
    expect(carried).toEqual({ scheme, text: TOKEN });
  });

  it.each([
    ['no header', undefined],
    ['an empty header', ''],
    ['another scheme', 'Basic dXNlcjpwYXNz'],
    ['Digest', 'Digest username="x"'],
    ['a scheme that begins like ours', `Bearerx ${TOKEN}`],
    ['a scheme that ends like ours', `xBearer ${TOKEN}`],
    ['the token alone', TOKEN],
    ['a tab for the space', `Bearer\t${TOKEN}`],
    ['a colon for the space', `Bearer:${TOKEN}`],
    ['an equals sign for the space', `Bearer=${TOKEN}`],
    ['a no-break space', `Bearer\u00a0${TOKEN}`],
    ['a letter that folds to ASCII', `\u212aBearer ${TOKEN}`],
    ['a space in front', ` Bearer ${TOKEN}`],
    ['quotes', `"Bearer ${TOKEN}"`],
    ['our scheme second', `Basic x, Bearer ${TOKEN}`],
  ])('finds no bearer token in %s', (__, header) => {
    expect(read(header)).toBeUndefined();
  });

  it.each([
    ['nothing behind the scheme', 'Bearer', ''],
    ['spaces behind the scheme', 'Bearer   ', '  '],
    ['a second space before the token', `Bearer  ${TOKEN}`, ` ${TOKEN}`],
    ['a space behind the token', `Bearer ${TOKEN} `, `${TOKEN} `],
    ['two tokens', `Bearer ${TOKEN} ${TOKEN}`, `${TOKEN} ${TOKEN}`],
    ['a list', `Bearer ${TOKEN}, Bearer ${TOKEN}`, `${TOKEN}, Bearer ${TOKEN}`],
    ['parameters', 'Bearer token="x"', 'token="x"'],
    ['a tab in the token', `Bearer ${TOKEN}\tx`, `${TOKEN}\tx`],
  ])('hands %s to the strict reader as it is', (__, header, token) => {
    expect(read(header)).toBe(token);
  });

  it('reads a very long header in no time', () => {
    // Of this process alone: a machine that stalls is not what is tested.
    const before = process.cpuUsage();

    expect(read(`Bearer${' '.repeat(100_000)}x`)).toHaveLength(100_000);
    expect(read('Bearer '.repeat(20_000))).toHaveLength(7 * 19_999);
    expect(process.cpuUsage(before).user).toBeLessThan(2_000_000);
  });

  it.each([
    ['twice the same', ['Authorization', `Bearer ${TOKEN}`, 'Authorization', `Bearer ${TOKEN}`]],
    ['two cases', ['authorization', `Bearer ${TOKEN}`, 'AUTHORIZATION', 'Bearer x']],
    ['one of another scheme', ['Authorization', 'Basic x', 'Authorization', `Bearer ${TOKEN}`]],
    ['one that is empty', ['Authorization', `Bearer ${TOKEN}`, 'Authorization', '']],
    ['three', ['authorization', 'a', 'authorization', 'b', 'authorization', 'c']],
  ])('refuses more than one header: %s', (__, rawHeaders) => {
    const request = platform(requestWith(rawHeaders[1], { rawHeaders }));

    expect(refusalOf(request)).toBe('ERR_ACCESS_AMBIGUOUS_CREDENTIALS');
  });

  it('counts names, not values', () => {
    const rawHeaders = ['X-Note', 'authorization', 'Authorization', `Bearer ${TOKEN}`];

    expect(read(`Bearer ${TOKEN}`, { rawHeaders })).toBe(TOKEN);
  });

  it.each([
    '/?access_token=x',
    '/?access_token=',
    '/?access_token',
    '/?access_token&a=b',
    '/?a=b&access_token=x',
    '/?a=b&access_token',
    '/a/b?c&access_token=x#f',
    '/?access%5Ftoken=x',
    '/?%61ccess_token=x',
    '/?a=b&access_toke%6e=x',
  ])('refuses a token in the header and one in the query, %j (RFC 6750 §2)', (url) => {
    const request = platform(requestWith(`Bearer ${TOKEN}`, { url }));

    expect(refusalOf(request)).toBe('ERR_ACCESS_AMBIGUOUS_CREDENTIALS');
  });

  it.each([
    '/?access_tokens=x',
    '/?my_access_token=x',
    '/?access-token=x',
    '/access_token=x',
    '/?a=access_token',
    '/?a=%26access_token=x',
    '/access_token',
  ])('does not mistake %j for one', (url) => {
    expect(read(`Bearer ${TOKEN}`, { url })).toBe(TOKEN);
  });

  it.each(['/?access_token=x', '/?access_token=x&token_type=Bearer'])(
    'never takes a token from the query, %j (RFC 9700 §4.3.2)',
    (url) => {
      expect(read(undefined, { url })).toBeUndefined();
    },
  );

  it.each([
    ['application/x-www-form-urlencoded', 'ERR_ACCESS_AMBIGUOUS_CREDENTIALS'],
    ['Application/X-WWW-Form-URLEncoded; charset=UTF-8', 'ERR_ACCESS_AMBIGUOUS_CREDENTIALS'],
    ['application/json', `answered ${TOKEN}`],
    ['text/plain; note=application/x-www-form-urlencoded', `answered ${TOKEN}`],
    [undefined, `answered ${TOKEN}`],
  ])('with a token in the header and access_token in a body of %j: %s', (type, outcome) => {
    const { headers, ...rest } = platform(requestWith(`Bearer ${TOKEN}`));
    const request = { ...rest, headers: { ...headers, 'content-type': type }, body };

    expect(refusalOf(request)).toBe(outcome);
  });

  const body = { access_token: 'x' };

  it.each([
    ['nothing', undefined],
    ['null', null],
    ['text', 'access_token=x'],
    ['bytes', Buffer.from('access_token=x')],
    ['another field', { token: 'x' }],
    ['a nested field', { a: { access_token: 'x' } }],
  ])('does not mistake a form of %s for a second token', (__, form) => {
    const { headers, ...rest } = platform(requestWith(`Bearer ${TOKEN}`));
    const type = 'application/x-www-form-urlencoded';

    expect(
      readAuthorization({ ...rest, headers: { ...headers, 'content-type': type }, body: form }),
    ).toEqual({ scheme: 'Bearer', text: TOKEN });
  });

  it('never takes a token from a form (RFC 6750 §2.2)', () => {
    const request = platform(requestWith(undefined));

    expect(readAuthorization({ ...request, body })).toBeUndefined();
  });

  it('never repeats in a refusal what the request said', () => {
    const planted = 'planted-value';
    let refusal: unknown;
    try {
      readAuthorization(
        platform(requestWith(`Bearer ${planted}`, { url: `/?access_token=${planted}` })),
      );
    } catch (error) {
      refusal = error;
    }

    expect(refusal).toBeInstanceOf(AccessError);
    expect(`${String(refusal)} ${JSON.stringify(refusal)}`).not.toContain(planted);
  });
});

describe.each([
  ['Express', (request: HttpRequest) => request],
  ['Fastify', asFastify],
])('refuseBesideCookie on %s', (_, platform) => {
  const refuse = (...args: Parameters<typeof requestWith>): void =>
    refuseBesideCookie(platform(requestWith(...args)));

  it.each([`Bearer ${TOKEN}`, 'bearer', `DPoP ${TOKEN}`, `dpop ${TOKEN}`])(
    'refuses %j, which is a token too',
    (header) => {
      expect(() => refuse(header)).toThrow(AccessError);
    },
  );

  it.each([undefined, '', 'Basic dXNlcjpwYXNz', 'Negotiate x', 'Bearerx y'])(
    'lets %j be, which is none',
    (header) => {
      expect(() => refuse(header)).not.toThrow();
    },
  );

  it('refuses several headers, whatever they are', () => {
    const rawHeaders = ['authorization', 'Basic x', 'Authorization', 'Basic y'];

    expect(() => refuse('Basic x', { rawHeaders })).toThrow(AccessError);
  });

  it.each(['/?access_token=x', '/?access%5Ftoken'])('refuses a token in %j', (url) => {
    expect(() => refuse(undefined, { url })).toThrow(AccessError);
  });

  it('refuses a token in a form', () => {
    const headers = { 'content-type': 'application/x-www-form-urlencoded' };
    const request = { ...platform(requestWith(undefined)), headers, body: { access_token: 'x' } };

    expect(() => refuseBesideCookie(request)).toThrow(AccessError);
  });
});
