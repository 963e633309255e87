import { createSecretKey } from 'node:crypto';

import { StoreError } from '../../lib/kernel/errors.js';
import { algorithmRow, type SigningAlgorithm } from '../../lib/keys/algorithms.js';
import { generateSigningKey, type HeldSigningKey } from '../../lib/keys/key-material.js';
import { createSignature } from '../../lib/keys/signature.js';
import { ReplayStore } from '../../lib/binding/replay-store.js';
import { ADAPTERS, AUDIENCE, ISSUER } from '../support/guarded-app.js';
import { closeConnections } from '../support/http.js';
import {
  ASSERTION_TYPE,
  basic,
  byAssertion,
  type EndpointApp,
  expectRefusal,
  INTROSPECT,
  newSecret,
  REVOKE,
  signAssertion,
  startEndpointApp,
} from './endpoint-app.js';

const ALGORITHMS = ['ES256', 'RS256', 'PS256', 'Ed25519', 'EdDSA', 'ES512'] as const;
const SECRET = newSecret();

let keys: ReadonlyMap<SigningAlgorithm, HeldSigningKey>;
let clients: readonly object[];
let own: HeldSigningKey;
let second: HeldSigningKey;

beforeAll(async () => {
  const generated = await Promise.all(ALGORITHMS.map((name) => generateSigningKey(name)));
  keys = new Map(generated.map((key) => [key.row.name, key]));
  own = keyOf('ES256');
  second = await generateSigningKey('ES256');
  clients = [
    signing('signer', [own]),
    signing('other', [second]),
    signing('several', [...keys.values()]),
    {
      clientId: 'shop',
      authentication: { method: 'client_secret_basic', secrets: [SECRET] },
      may: ['introspect'],
    },
  ];
});

afterAll(closeConnections);

function signing(clientId: string, of: readonly HeldSigningKey[]): object {
  const jwks = { keys: of.map(({ publicJwk }) => publicJwk) };
  return {
    clientId,
    authentication: { method: 'private_key_jwt', jwks },
    may: ['revoke', 'introspect'],
  };
}

function keyOf(algorithm: SigningAlgorithm): HeldSigningKey {
  const key = keys.get(algorithm);
  if (key === undefined) throw new Error(`there is no ${algorithm} key`);
  return key;
}

describe.each(ADAPTERS)('private_key_jwt on %s', (adapter) => {
  const claimed: string[] = [];
  let claim = async (): Promise<boolean> => true;
  let plain: EndpointApp;
  let watched: EndpointApp;
  let app: EndpointApp;

  beforeAll(async () => {
    const replays = (): ReplayStore => new WatchedReplays(claimed, () => claim());
    plain = await startEndpointApp({ adapter, clients });
    watched = await startEndpointApp({ adapter, clients, replays });
  });
  afterAll(() => Promise.all([plain.close(), watched.close()]));
  beforeEach(() => {
    app = plain;
    plain.forget();
    watched.forget();
    claimed.splice(0);
    claim = async () => true;
  });

  const seconds = (): number => Math.floor(app.clock.now() / 1000);
  const present = (assertion: string, extra = {}, path = INTROSPECT) =>
    app.post(path, { token: 'garbage', ...byAssertion(assertion), ...extra });

  const GOOD: readonly (readonly [string, (now: number) => Record<string, unknown>])[] = [
    ['what every client writes', () => ({})],
    ['typ JWT', () => ({ header: { typ: 'JWT' } })],
    ['typ of RFC 7523 bis', () => ({ header: { typ: 'client-authentication+jwt' } })],
    ['no kid, as there is one key', () => ({ header: { kid: undefined } })],
    ['aud as a list of one', () => ({ aud: [ISSUER] })],
    ['no iat', () => ({ iat: undefined })],
    ['nbf', (now) => ({ nbf: now })],
    ['a clock ten seconds ahead', (now) => ({ iat: now + 10, nbf: now + 10, exp: now + 70 })],
    ['a clock nine seconds behind', (now) => ({ exp: now - 9 })],
    ['exp five minutes ahead', (now) => ({ exp: now + 300 })],
    ['more claims', () => ({ scope: 'a', nonce: 'b' })],
  ];
  it.each(GOOD)('takes an assertion with %s', async (_rule, claims) => {
    const assertion = await signAssertion(own, app.clock, claims(seconds()));
    const answer = await present(assertion);
    expect([answer.status, answer.body]).toEqual([200, '{"active":false}']);
    expect(app.events).toEqual([]);
  });

  it('revokes a token of the client', async () => {
    const token = await app.sign({ client_id: 'signer' });
    const assertion = await signAssertion(own, app.clock);
    const answer = await present(assertion, { token, client_id: 'signer' }, REVOKE);
    expect([answer.status, answer.body]).toEqual([200, '']);
    expect(app.revocations.made).toHaveLength(1);
  });

  it.each(ALGORITHMS)('takes %s of a client with several keys, by kid', async (algorithm) => {
    const names = { iss: 'several', sub: 'several' };
    const assertion = await signAssertion(keyOf(algorithm), app.clock, names);
    expect((await present(assertion)).status).toBe(200);
    const nameless = { ...names, header: { kid: undefined } };
    const unsaid = await signAssertion(keyOf(algorithm), app.clock, nameless);
    expectRefusal(await present(unsaid), 401, 'invalid_client');
  });

  const WRONG: readonly (readonly [string, (now: number) => Record<string, unknown>])[] = [
    ['iss of another client', () => ({ iss: 'other' })],
    ['sub of another client', () => ({ sub: 'other' })],
    ['the name of another client', () => ({ iss: 'other', sub: 'other' })],
    ['the name of a client with a secret', () => ({ iss: 'shop', sub: 'shop' })],
    ['the name of nobody', () => ({ iss: 'nobody', sub: 'nobody' })],
    ['the name of a member of every object', () => ({ iss: '__proto__', sub: '__proto__' })],
    ['no iss', () => ({ iss: undefined })],
    ['no sub', () => ({ sub: undefined })],
    ['neither', () => ({ iss: undefined, sub: undefined })],
    ['lists of names', () => ({ iss: ['signer'], sub: ['signer'] })],
    ['no aud', () => ({ aud: undefined })],
    ['aud of another server', () => ({ aud: 'https://evil.example' })],
    ['aud of the API', () => ({ aud: AUDIENCE })],
    ['aud of the endpoint (RFC 7523 bis)', () => ({ aud: `${ISSUER}${INTROSPECT}` })],
    ['aud with a slash behind it', () => ({ aud: `${ISSUER}/` })],
    ['aud in capitals', () => ({ aud: ISSUER.toUpperCase() })],
    ['aud of two servers', () => ({ aud: [ISSUER, 'https://evil.example'] })],
    ['aud of this one twice', () => ({ aud: [ISSUER, ISSUER] })],
    ['aud of nobody', () => ({ aud: [] })],
    ['aud in two lists', () => ({ aud: [[ISSUER]] })],
    ['no exp', () => ({ exp: undefined })],
    ['exp as text', (now) => ({ exp: String(now + 60) })],
    ['exp as null', () => ({ exp: null })],
    ['exp in milliseconds', (now) => ({ exp: (now + 60) * 1000 })],
    ['exp that is over', (now) => ({ exp: now - 10 })],
    ['exp of long ago', () => ({ exp: 1 })],
    ['exp that is negative', () => ({ exp: -1 })],
    ['exp more than five minutes ahead', (now) => ({ exp: now + 311 })],
    ['iat in the future', (now) => ({ iat: now + 11, exp: now + 60 })],
    ['iat as text', (now) => ({ iat: String(now) })],
    ['nbf in the future', (now) => ({ nbf: now + 11, exp: now + 60 })],
    ['nbf as a list', (now) => ({ nbf: [now] })],
    ['no jti', () => ({ jti: undefined })],
    ['an empty jti', () => ({ jti: '' })],
    ['jti as a number', () => ({ jti: 7 })],
    ['jti with a NUL', () => ({ jti: 'a\0b' })],
    ['jti that is too long', () => ({ jti: 'j'.repeat(256) })],
    ['typ of an access token', () => ({ header: { typ: 'at+jwt' } })],
    ['typ of a DPoP proof', () => ({ header: { typ: 'dpop+jwt' } })],
    ['an empty typ', () => ({ header: { typ: '' } })],
    ['a kid nobody knows', () => ({ header: { kid: 'x' } })],
    ['the kid of another client', () => ({ header: { kid: second.kid } })],
    ['another alg', () => ({ header: { alg: 'ES384' } })],
    ['alg none', () => ({ header: { alg: 'none' } })],
    ['no alg', () => ({ header: { alg: undefined } })],
    ['a key in the header', () => ({ header: { jwk: own.publicJwk } })],
    ['a place for keys in the header', () => ({ header: { jku: 'https://evil.example' } })],
    ['crit', () => ({ header: { crit: ['exp'], exp: 1 } })],
    ['b64', () => ({ header: { b64: false } })],
  ];
  it.each(WRONG)('refuses one with %s, and does not use it up', async (_rule, claims) => {
    app = watched;
    const assertion = await signAssertion(own, app.clock, claims(seconds()));
    expectRefusal(await present(assertion), 401, 'invalid_client');
    expect(claimed).toEqual([]);
    expect(app.events).toMatchObject([{ type: 'access.denied', code: 'ERR_ACCESS_DENIED' }]);
  });

  const ODD: readonly (readonly [string, (good: string) => string | Promise<string>])[] = [
    ['without its signature', (good) => good.replace(/[^.]*$/, '')],
    ['with a part too many', (good) => `${good}.x`],
    ['with padding', (good) => `${good}=`],
    ['with a line feed', (good) => `${good}\n`],
    ['that is too long', (good) => good.replace('.', `${'A'.repeat(9_000)}.`)],
    ['that is none', () => 'assertion'],
    ['that is JSON', () => '{}'],
    ['signed by another client in its name', () => signAssertion(second, app.clock)],
    [
      'signed by another client under its kid',
      () => signAssertion(second, app.clock, { header: { kid: own.kid } }),
    ],
    [
      'whose payload was exchanged',
      (good) => {
        const [header, , signature] = good.split('.');
        const claims = { iss: 'signer', sub: 'signer', aud: ISSUER, jti: 'j', exp: seconds() + 60 };
        return `${header}.${Buffer.from(JSON.stringify(claims)).toString('base64url')}.${signature}`;
      },
    ],
    ['authenticated with its public key as a secret', () => confused()],
  ];
  it.each(ODD)('refuses one %s', async (_rule, spoil) => {
    const good = await signAssertion(own, app.clock);
    const answer = await present(await spoil(good));
    expectRefusal(answer, 401, 'invalid_client');
    // What was spoiled did not use up what was good.
    expect((await present(good)).status).toBe(200);
  });

  /** CVE-2015-9235: HMAC under what anybody can read, in the two forms a server may hold it in. */
  async function confused(): Promise<string> {
    const row = algorithmRow('HS256');
    const secret = createSecretKey(Buffer.from(JSON.stringify(own.publicJwk)));
    const forged: HeldSigningKey = {
      ...own,
      row,
      privateKey: secret,
      sign: (input) => createSignature(row, secret, input),
    };
    return signAssertion(forged, app.clock);
  }

  it('refuses an access token of ours in its place', async () => {
    const token = await app.sign({ sub: 'signer', client_id: 'signer' });
    expectRefusal(await present(token), 401, 'invalid_client');
  });

  it.each([
    ['another type', { client_assertion_type: 'urn:ietf:params:oauth:client-assertion-type:saml' }],
    ['the client_id of another client', { client_id: 'other' }],
    ['the client_id of nobody', { client_id: 'nobody' }],
  ])('refuses one beside %s, and does not use it up', async (_rule, extra) => {
    const assertion = await signAssertion(own, app.clock);
    expectRefusal(await present(assertion, extra), 401, 'invalid_client');
    expect((await present(assertion)).status).toBe(200);
  });

  it('refuses half of what belongs together', async () => {
    const assertion = await signAssertion(own, app.clock);
    for (const form of [
      { client_assertion: assertion },
      { client_assertion_type: ASSERTION_TYPE },
    ]) {
      expectRefusal(await app.post(INTROSPECT, { token: 'x', ...form }), 400, 'invalid_request');
    }
  });

  it('refuses a client that signs when it brings a secret, and the other way round', async () => {
    const answer = await app.post(INTROSPECT, { token: 'x' }, basic('signer', SECRET));
    expectRefusal(answer, 401, 'invalid_client');
    const names = { iss: 'shop', sub: 'shop' };
    expectRefusal(await present(await signAssertion(own, app.clock, names)), 401, 'invalid_client');
  });

  it('refuses two ways at once, and uses nothing up', async () => {
    const assertion = await signAssertion(own, app.clock);
    const form = { token: 'x', ...byAssertion(assertion) };
    expectRefusal(await app.post(INTROSPECT, form, basic('shop', SECRET)), 400, 'invalid_request');
    expect((await present(assertion)).status).toBe(200);
  });

  describe('used again', () => {
    it('is refused, at either endpoint, for as long as it is good', async () => {
      const assertion = await signAssertion(own, app.clock);
      expect((await present(assertion)).status).toBe(200);
      for (const path of [INTROSPECT, REVOKE]) {
        expectRefusal(await present(assertion, {}, path), 401, 'invalid_client');
      }
      app.clock.advance(69_000);
      expectRefusal(await present(assertion), 401, 'invalid_client');
      app.clock.advance(2_000);
      expectRefusal(await present(assertion), 401, 'invalid_client');
    });

    it('50 times at once, is good exactly once', async () => {
      const assertion = await signAssertion(own, app.clock);
      const answers = await Promise.all(Array.from({ length: 50 }, () => present(assertion)));
      const statuses = answers.map(({ status }) => status);
      expect(statuses.filter((status) => status === 200)).toHaveLength(1);
      expect(statuses.filter((status) => status === 401)).toHaveLength(49);
    });

    it('with another signature under the same jti, is refused', async () => {
      const claims = { jti: 'same-name' };
      expect((await present(await signAssertion(own, app.clock, claims))).status).toBe(200);
      const again = await signAssertion(own, app.clock, claims);
      expectRefusal(await present(again), 401, 'invalid_client');
    });

    it('under the jti of another client, is good', async () => {
      const claims = { jti: 'same-elsewhere' };
      expect((await present(await signAssertion(own, app.clock, claims))).status).toBe(200);
      const names = { ...claims, iss: 'other', sub: 'other' };
      expect((await present(await signAssertion(second, app.clock, names))).status).toBe(200);
    });
  });

  describe('when the store', () => {
    it.each<readonly [rule: string, outcome: () => Promise<boolean>]>([
      ['fails', () => Promise.reject(new StoreError('ERR_STORE_UNAVAILABLE', 'No answer.'))],
      ['is full', () => Promise.reject(new StoreError('ERR_STORE_FULL', 'It is full.'))],
      ['fails with an error of its own', () => Promise.reject(new Error('redis://u:p@host'))],
    ])('%s, says 503 and does nothing', async (_rule, outcome) => {
      app = watched;
      claim = outcome;
      const token = await app.sign({ client_id: 'signer' });
      const assertion = await signAssertion(own, app.clock);
      const refusal = await present(assertion, { token }, REVOKE);
      expectRefusal(refusal, 503, 'temporarily_unavailable');
      expect(refusal.headers['retry-after']).toBe('5');
      expect(app.revocations.made).toEqual([]);
      expect(app.logs.join('\n')).not.toContain('redis');
    });

    it('answers anything but true, refuses', async () => {
      app = watched;
      claim = async () => JSON.parse('1') as boolean;
      const refusal = await present(await signAssertion(own, app.clock));
      expectRefusal(refusal, 401, 'invalid_client');
    });

    it('is asked, it learns neither client nor jti', async () => {
      app = watched;
      await present(await signAssertion(own, app.clock, { jti: 'recognisable' }));
      expect(claimed).toEqual([expect.stringMatching(/^assertion:[\w-]{43}$/)]);
    });
  });
});

/** A store whose answers a test chooses. */
class WatchedReplays extends ReplayStore {
  constructor(
    private readonly claimed: string[],
    private readonly answer: () => Promise<boolean>,
  ) {
    super();
  }

  claimOnce({ key }: { readonly key: string }): Promise<boolean> {
    this.claimed.push(key);
    return this.answer();
  }
}
