import { ADAPTERS } from '../support/guarded-app.js';
import { closeConnections } from '../support/http.js';
import {
  basic,
  type EndpointApp,
  expectNotStored,
  expectRefusal,
  INTROSPECT,
  newSecret,
  REVOKE,
  startEndpointApp,
} from './endpoint-app.js';

const SECRET = newSecret();
const CLIENTS = [
  {
    clientId: 'shop',
    authentication: { method: 'client_secret_basic', secrets: [SECRET] },
    may: ['revoke', 'introspect'],
  },
];
const SHOP = basic('shop', SECRET);
const FORM_TYPE = 'application/x-www-form-urlencoded';

afterAll(closeConnections);

describe.each(ADAPTERS)('a form on %s', (adapter) => {
  let app: EndpointApp;

  beforeAll(async () => {
    app = await startEndpointApp({ adapter, clients: CLIENTS });
  });
  afterAll(() => app.close());
  beforeEach(() => app.events.splice(0));

  it.each([
    ['with a charset', `${FORM_TYPE}; charset=utf-8`],
    ['with a charset in capitals', `${FORM_TYPE};charset=UTF-8`],
    ['with a charset in quotes', `${FORM_TYPE}; charset="utf-8"`],
    ['in capitals', 'Application/X-WWW-Form-URLEncoded'],
  ])('is taken %s', async (_rule, type) => {
    const answer = await app.post(INTROSPECT, 'token=garbage', { ...SHOP, 'content-type': type });
    expect([answer.status, answer.body]).toEqual([200, '{"active":false}']);
  });

  it.each<readonly [rule: string, body: string]>([
    ['without a token', 'token_type_hint=access_token'],
    ['with an empty token (RFC 6749 §3.2)', 'token='],
    ['with a token without a value', 'token'],
    ['that is empty', ''],
    ['with another parameter in capitals', 'Token=garbage'],
    ['with the token twice', 'token=garbage&token=garbage'],
    ['with the token twice, once empty', 'token=garbage&token='],
    ['with the token in brackets', 'token[]=garbage'],
    ['with the token under an index', 'token[0]=garbage'],
    ['with the token under a name', 'token[value]=garbage'],
    ['with the token in escaped brackets', 'token%5B%5D=garbage'],
    ['with the token twice under one escaped name', 'token=garbage&tok%65n=other'],
    ['with 200 tokens', Array.from({ length: 200 }, (_, n) => `token=${n}`).join('&')],
    ['with the hint twice', 'token=garbage&token_type_hint=a&token_type_hint=b'],
    ['with the client_id twice', 'token=garbage&client_id=shop&client_id=shop'],
    ['with two more ways to authenticate', 'token=garbage&client_secret=x'],
    ['with an assertion beside the header', 'token=garbage&client_assertion=x'],
    ['with the type of one beside the header', 'token=garbage&client_assertion_type=x'],
    ['with the secret twice', 'token=garbage&client_secret=x&client_secret=y'],
    ['with an access token beside the header', 'token=garbage&access_token=x'],
  ])('is refused %s', async (_rule, body) => {
    for (const path of [REVOKE, INTROSPECT]) {
      expectRefusal(await app.post(path, body, SHOP), 400, 'invalid_request');
    }
  });

  it.each<readonly [rule: string, type: string, body: string]>([
    ['JSON', 'application/json', '{"token":"garbage"}'],
    ['JSON that says it is a form as well', `application/json, ${FORM_TYPE}`, '{"token":"x"}'],
    ['plain text', 'text/plain', 'token=garbage'],
    ['another charset', `${FORM_TYPE}; charset=iso-8859-1`, 'token=garbage'],
    ['a type that only begins the same', `${FORM_TYPE}+x`, 'token=garbage'],
    ['a parameter nobody knows', `${FORM_TYPE}; boundary=x`, 'token=garbage'],
    ['a form in parts', 'multipart/form-data; boundary=x', '--x\r\n\r\ntoken=garbage\r\n--x--'],
    ['nothing', '', 'token=garbage'],
  ])('is not taken for one as %s', async (_rule, type, body) => {
    const answer = await app.post(REVOKE, body, { ...SHOP, 'content-type': type });
    // Fastify itself refuses a body it has no reader for.
    const refusals = adapter === 'fastify' ? [400, 415] : [400];
    expect(refusals).toContain(answer.status);
    if (answer.status === 400) expectNotStored(answer);
  });

  it.each([
    ['the token', 'token=garbage'],
    ['a secret', 'client_id=shop&client_secret=x'],
    ['an escaped name', 'tok%65n=garbage'],
    ['a semicolon before it', 'a=b;token=garbage'],
    ['an empty one', 'token'],
  ])('is refused with %s in the query string', async (_rule, query) => {
    const answer = await app.post(`${INTROSPECT}?${query}`, { token: 'garbage' }, SHOP);
    expectRefusal(answer, 400, 'invalid_request');
  });

  it('may have a query string of its own', async () => {
    const answer = await app.post(`${INTROSPECT}?tenant=a`, { token: 'garbage' }, SHOP);
    expect(answer.status).toBe(200);
  });

  it('reads no member that nobody sent', async () => {
    const body = 'constructor=a&__proto__=b&toString=c&hasOwnProperty=d';
    const answer = await app.post(INTROSPECT, body, SHOP);
    expect(answer.status).toBe(400);
  });

  it('that is enormous is refused before it is read', async () => {
    const body = `token=${'a'.repeat(2_000_000)}`;
    expect((await app.post(INTROSPECT, body, SHOP)).status).toBe(413);
  });

  it('tells the client who it is not before it tells what is wrong with the token', async () => {
    const stranger = basic('shop', newSecret());
    expectRefusal(await app.post(REVOKE, '', stranger), 401, 'invalid_client');
  });
});
