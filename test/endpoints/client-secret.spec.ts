import { ADAPTERS } from '../support/guarded-app.js';
import { closeConnections, sendRaw } from '../support/http.js';
import {
  basic,
  basicOf,
  type EndpointApp,
  expectRefusal,
  INTROSPECT,
  newSecret,
  REVOKE,
  startEndpointApp,
} from './endpoint-app.js';

const [SECRET, NEXT_SECRET, ODD_SECRET] = [newSecret(), newSecret(), `:%+&=~*! ${newSecret()}`];
const ODD = ODD_SECRET.replaceAll(' ', '_');
const CLIENTS = [
  {
    clientId: 'shop',
    authentication: { method: 'client_secret_basic', secrets: [SECRET, NEXT_SECRET] },
    may: ['revoke', 'introspect'],
  },
  {
    clientId: 'https://odd.example/?a=1&b=%20:+',
    authentication: { method: 'client_secret_basic', secrets: [ODD] },
    may: ['introspect'],
  },
];
const ODD_ID = 'https://odd.example/?a=1&b=%20:+';
const FORM = { token: 'garbage' };

afterAll(closeConnections);

describe.each(ADAPTERS)('client_secret_basic on %s', (adapter) => {
  let app: EndpointApp;

  beforeAll(async () => {
    app = await startEndpointApp({ adapter, clients: CLIENTS });
  });
  afterAll(() => app.close());
  beforeEach(() => app.events.splice(0));

  const encoded = (text: string): string =>
    [...Buffer.from(text)].map((byte) => `%${byte.toString(16).padStart(2, '0')}`).join('');

  it.each([
    ['the current secret', basic('shop', SECRET)],
    ['the next secret', basic('shop', NEXT_SECRET)],
    ['every character percent-encoded', basicOf(`${encoded('shop')}:${encoded(SECRET)}`)],
    ['in capitals', basicOf(`${encoded('shop').toUpperCase()}:${encoded(SECRET)}`)],
    ['base64 that ends in padding', basicOf(`%73hop:${SECRET}`)],
    ['base64 with what base64url writes otherwise', { authorization: inBothAlphabets() }],
    ['the scheme in capitals', { authorization: basicHeader('shop', SECRET, 'BASIC') }],
    ['the scheme in small letters', { authorization: basicHeader('shop', SECRET, 'basic') }],
    ['reserved characters in both, encoded (RFC 6749 §2.3.1)', basic(ODD_ID, ODD)],
    [
      'a colon in the secret, left as it is (RFC 7617 §2)',
      basicOf(`${encoded(ODD_ID)}:${ODD.replace('%', '%25').replace('+', '%2b')}`),
    ],
  ])('takes %s', async (_rule, header) => {
    const answer = await app.post(INTROSPECT, FORM, header);
    expect([answer.status, answer.body]).toEqual([200, '{"active":false}']);
    expect(app.events).toEqual([]);
  });

  // The first letter escaped, so that the length calls for padding.
  const PADDED = basicOf(`%73hop:${SECRET}`).authorization;
  const RAW_PLUS = encodeURIComponent(ODD).replace('%2B', '+');
  const URL_ALPHABET = inBothAlphabets().replaceAll('+', '-').replaceAll('/', '_');
  const base64 = (text: string): string => Buffer.from(text).toString('base64');
  it.each<readonly [rule: string, authorization: string]>([
    ['a wrong secret', basic('shop', newSecret()).authorization],
    ['a secret cut off', basic('shop', SECRET.slice(0, -1)).authorization],
    ['a secret with more behind it', basic('shop', `${SECRET}0`).authorization],
    ['a secret in capitals', basic('shop', SECRET.toUpperCase()).authorization],
    ['the secret of another client', basic('shop', ODD).authorization],
    ['an unknown client', basic('nobody', SECRET).authorization],
    ['a client in other letters', basic('SHOP', SECRET).authorization],
    ['a client called like a member of every object', basic('__proto__', SECRET).authorization],
    ['no client', basicOf(`:${SECRET}`).authorization],
    ['no secret', basicOf('shop:').authorization],
    ['no colon', basicOf(`shop${SECRET}`).authorization],
    ['nothing but a colon', basicOf(':').authorization],
    ['nothing', basicOf('').authorization],
    ['an encoded colon', basicOf(`shop%3A${SECRET}`).authorization],
    ['a NUL behind the secret', basicOf(`shop:${SECRET}\0`).authorization],
    ['an encoded NUL behind the secret', basicOf(`shop:${SECRET}%00`).authorization],
    ['an encoded NUL behind the id', basicOf(`shop%00:${SECRET}`).authorization],
    ['a line feed behind the secret', basicOf(`shop:${SECRET}\n`).authorization],
    ['a space behind the secret', basicOf(`shop:${SECRET}+`).authorization],
    ['a plus sign as it is', basicOf(`${encodeURIComponent(ODD_ID)}:${RAW_PLUS}`).authorization],
    ['an escape of no character', basicOf(`shop:${SECRET}%7f`).authorization],
    ['half an escape', basicOf(`shop:${SECRET}%4`).authorization],
    ['an escape that is none', basicOf(`shop:${SECRET}%zz`).authorization],
    ['an overlong escape', basicOf(`shop:${SECRET}%c0%80`).authorization],
    ['an escape encoded twice', basicOf(`shop:%25${SECRET.slice(1)}`).authorization],
    ['letters beyond ASCII', basicOf(`shop:${SECRET}é`).authorization],
    ['bytes that are no text', basicOf(Buffer.from([0xff, 0x3a, 0xfe])).authorization],
    ['reserved characters as they are', basicOf(`${ODD_ID}:${ODD}`).authorization],
    ['base64url', URL_ALPHABET],
    ['base64 without its padding', PADDED.replace('=', '')],
    ['base64 with too much padding', `${PADDED}=`],
    ['base64 with stray bits', PADDED.replace(/.=$/, strayBits)],
    ['base64 with a space in it', basicHeader('shop', SECRET).replace(/.{9}$/, ' $&')],
    ['two spaces', basicHeader('shop', SECRET).replace(' ', '  ')],
    ['the scheme alone', 'Basic'],
    ['text as it is', `Basic shop:${SECRET}`],
    ['another scheme', `Digest ${base64(`shop:${SECRET}`)}`],
    ['a bearer token', `Bearer ${base64(`shop:${SECRET}`)}`],
    ['no scheme', base64(`shop:${SECRET}`)],
  ])('refuses %s, always in the same way', async (_rule, authorization) => {
    for (const path of [REVOKE, INTROSPECT]) {
      expectRefusal(await app.post(path, FORM, { authorization }), 401, 'invalid_client');
    }
    const denied = app.events.filter(({ type }) => type === 'access.denied');
    expect(denied).toHaveLength(2);
    expect(JSON.stringify(app.events)).not.toContain('shop');
  });

  it('refuses a client that does not say who it is', async () => {
    expectRefusal(await app.post(REVOKE, FORM), 401, 'invalid_client');
    expectRefusal(await app.post(REVOKE, { ...FORM, client_id: 'shop' }), 401, 'invalid_client');
    expect(app.events).toMatchObject([
      { code: 'ERR_ACCESS_NO_CREDENTIALS' },
      { code: 'ERR_ACCESS_NO_CREDENTIALS' },
    ]);
  });

  it('refuses a secret in the body', async () => {
    const form = { ...FORM, client_id: 'shop', client_secret: SECRET };
    expectRefusal(await app.post(REVOKE, form), 401, 'invalid_client');
  });

  it('refuses a client_id that is another client’s', async () => {
    const form = { ...FORM, client_id: ODD_ID };
    expectRefusal(await app.post(REVOKE, form, basic('shop', SECRET)), 401, 'invalid_client');
  });

  it('has an id of the request in answer and event', async () => {
    const answer = await app.post(REVOKE, FORM, basic('shop', newSecret()));
    const [event] = app.events;
    expect(answer.headers['x-request-id']).toEqual(expect.any(String));
    expect(event).toHaveProperty('requestId', answer.headers['x-request-id']);
  });

  it.each([
    ['the same one', SECRET, SECRET],
    ['a wrong one first', newSecret(), SECRET],
    ['a wrong one last', SECRET, newSecret()],
  ])('refuses two Authorization headers: %s', async (_rule, first, second) => {
    const answer = await sendRaw(
      app.url,
      [
        `POST ${INTROSPECT} HTTP/1.1`,
        'Host: localhost',
        'Connection: close',
        'Content-Type: application/x-www-form-urlencoded',
        'Content-Length: 13',
        `Authorization: ${basicHeader('shop', first)}`,
        `Authorization: ${basicHeader('shop', second)}`,
        '',
        'token=garbage',
      ].join('\r\n'),
    );
    expect(answer).toMatch(/^HTTP\/1\.1 400 /);
    expect(answer).toContain('{"error":"invalid_request"}');
  });
});

/** Right credentials whose base64 has a plus sign: an escape more shifts where the tilde stands. */
function inBothAlphabets(): string {
  const secret = ODD.replace('%', '%25').replace('+', '%2B');
  const spellings = [
    secret,
    secret.replace(':', '%3A'),
    secret.replace(/[:&]/g, encodeURIComponent),
  ];
  const found = spellings
    .map((spelling) => basicOf(`${encodeURIComponent(ODD_ID)}:${spelling}`).authorization)
    .find((header) => header.includes('+'));
  if (found === undefined) throw new Error('no spelling has a plus sign');
  return found;
}

/** The same bytes, with bits behind the last of them. */
function strayBits(end: string): string {
  return `${String.fromCharCode(end.charCodeAt(0) + 1)}=`;
}

function basicHeader(clientId: string, secret: string, scheme = 'Basic'): string {
  return basic(clientId, secret).authorization.replace(/^Basic/, scheme);
}
