import { eventually } from '../support/redis-server.js';
import { LocalHttps } from './local-https.js';
import { ecKey, Provider, type Resource, rsaKey } from './provider.js';
import { AUDIENCE, Service } from './service.js';

const https = new LocalHttps();
const FIRST_KEYS = [ecKey('ec-1'), rsaKey('rsa-1')] as const;

/** A server under an authority that the service does not know. */
const unknownHttps = new LocalHttps();

let provider: Provider;
let plain: Provider;
let changing: Provider;
let unrecognised: Provider;
let service: Service;

beforeAll(async () => {
  const named = { ...rsaKey('rsa-2'), alg: 'PS256' };
  [provider, plain, changing, unrecognised] = await Promise.all([
    Provider.start(https, FIRST_KEYS),
    Provider.start(https, [named, ...FIRST_KEYS]),
    Provider.start(https, [FIRST_KEYS[0]]),
    Provider.start(unknownHttps, FIRST_KEYS),
  ]);
  const trusted = ({ issuer, jwksUri }: Provider) => ({ issuer, jwksUri, cooldown: '1s' }) as const;
  service = await Service.start(https, {
    tokens: { leeway: '0s' },
    trust: [
      // Its RSA key names no algorithm: with one on the list there is no choice.
      { ...trusted(provider), algorithms: ['ES256', 'RS256'] },
      trusted(plain),
      trusted(changing),
      trusted(unrecognised),
    ],
  });
});

afterAll(() => {
  https.close();
  unknownHttps.close();
});

function headerOf(token: string): unknown {
  return JSON.parse(Buffer.from(token.split('.')[0] ?? '', 'base64url').toString());
}

function eventsOf({ issuer }: Provider, type: string) {
  return service.events().filter((event) => event.type === type && event.issuer === issuer);
}

describe('access tokens of a real oidc-provider', () => {
  it.each([
    ['es256', { alg: 'ES256', typ: 'at+jwt', kid: 'ec-1' }],
    ['rs256', { alg: 'RS256', typ: 'at+jwt', kid: 'rsa-1' }],
  ] as const)('signed with %s open a guarded route', async (resource, header) => {
    const token = await provider.accessToken(resource);
    expect(headerOf(token)).toEqual(header);
    expect(await service.check(token)).toBe(200);
  });

  it.each([
    ['write', 200],
    ['read write', 200],
    ['read', 403],
    [undefined, 403],
  ])('of the scope %s are answered with %d where write is demanded', async (scope, status) => {
    expect(await service.check(await provider.accessToken('es256', scope), '/write')).toBe(status);
  });

  it.each<readonly [Resource, code: string]>([
    ['elsewhere', 'ERR_TOKEN_AUDIENCE'],
    ['too-long', 'ERR_TOKEN_LIFETIME'],
    ['opaque', 'ERR_TOKEN_FORMAT'],
  ])('made as %s are refused with %s', async (resource, code) => {
    expect(await service.refusal(await provider.accessToken(resource))).toEqual([401, code]);
  });

  it('are good for as long as they say, and refused from then on', async () => {
    let token = '';
    // It lives for three seconds, which a machine that stalls can take to show it.
    await eventually('it is shown in time', async () => {
      token = await provider.accessToken('brief');
      return (await service.check(token)) === 200;
    });
    await eventually('it expires', async () => (await service.check(token)) === 401);
    expect(await service.refusal(token)).toEqual([401, 'ERR_TOKEN_EXPIRED']);
  });

  it('are not what its ID tokens are, although those name the same audience', async () => {
    const token = await provider.idToken();
    const [, payload = ''] = token.split('.');
    expect(JSON.parse(Buffer.from(payload, 'base64url').toString())).toMatchObject({
      iss: provider.issuer,
      aud: AUDIENCE,
    });
    expect(await service.refusal(token)).toEqual([401, 'ERR_TOKEN_TYPE']);
  });

  it('are refused when tampered with', async () => {
    const [header, payload, signature = ''] = (await provider.accessToken('es256')).split('.');
    const first = signature.startsWith('A') ? 'B' : 'A';
    const token = `${header}.${payload}.${first}${signature.slice(1)}`;
    expect(await service.refusal(token)).toEqual([401, 'ERR_TOKEN_SIGNATURE']);
  });

  it('of another one are refused, with the same kid, and with the same name too', async () => {
    const { issuer } = provider;
    const [stranger, impostor] = await Promise.all([
      Provider.start(https, [ecKey('ec-1')]),
      Provider.start(https, [ecKey('ec-1')], { issuer }),
    ]);
    const theirs = await stranger.accessToken('es256');
    const forged = await impostor.accessToken('es256');
    expect(headerOf(theirs)).toEqual({ alg: 'ES256', typ: 'at+jwt', kid: 'ec-1' });
    expect(headerOf(forged)).toEqual({ alg: 'ES256', typ: 'at+jwt', kid: 'ec-1' });
    expect(await service.refusal(theirs)).toEqual([401, 'ERR_TOKEN_UNKNOWN_KEY']);
    expect(await service.refusal(forged)).toEqual([401, 'ERR_TOKEN_SIGNATURE']);
    await Promise.all([stranger.process.stop(), impostor.process.stop()]);
  });
});

describe('the keys of a real oidc-provider', () => {
  it('are followed when one is added and when all are replaced', async () => {
    const [ec1] = FIRST_KEYS;
    const old = await changing.accessToken('es256');
    expect(await service.check(old)).toBe(200);

    await changing.process.stop();
    // Nobody to be asked, and nothing that has to be.
    expect(await service.check(old)).toBe(200);

    const accepted = (token: string) => async (): Promise<boolean> =>
      (await service.check(token)) === 200;
    changing = await changing.restart([ecKey('ec-2'), ec1]);
    const second = await changing.accessToken('es256');
    expect(headerOf(second)).toMatchObject({ kid: 'ec-2' });
    await eventually('the added key verifies', accepted(second));
    expect(await service.check(old)).toBe(200);

    changing = await changing.restart([ecKey('ec-3')]);
    const third = await changing.accessToken('es256');
    expect(headerOf(third)).toMatchObject({ kid: 'ec-3' });
    await eventually('the replacing key verifies', accepted(third));
    expect(await service.refusal(old)).toEqual([401, 'ERR_TOKEN_UNKNOWN_KEY']);
    expect(await service.refusal(second)).toEqual([401, 'ERR_TOKEN_UNKNOWN_KEY']);
    expect(eventsOf(changing, 'issuer.rotated')).toMatchObject([
      { added: ['ec-1'], removed: [] },
      { added: ['ec-2'], removed: [] },
      { added: ['ec-3'], removed: ['ec-2', 'ec-1'] },
    ]);
  });

  it('verify where they name their algorithm or can have only one, and are left out else', async () => {
    for (const [resource, kid] of [
      ['es256', 'ec-1'],
      ['ps256', 'rsa-2'],
    ] as const) {
      const good = await plain.accessToken(resource);
      expect(headerOf(good)).toMatchObject({ kid });
      expect(await service.check(good)).toBe(200);
    }
    const token = await plain.accessToken('rs256');
    expect(headerOf(token)).toMatchObject({ kid: 'rsa-1' });
    expect(await service.refusal(token)).toEqual([401, 'ERR_TOKEN_UNKNOWN_KEY']);
    expect(eventsOf(plain, 'issuer.keySkipped')).toMatchObject([
      { kid: 'rsa-1', fault: 'ambiguous-algorithm' },
    ]);
  });

  it('are not fetched from a server whose certificate nobody vouches for', async () => {
    expect(await service.check(await unrecognised.accessToken('es256'))).toBe(503);
    const said = () => eventsOf(unrecognised, 'issuer.unavailable');
    await eventually('it is said', () => said().length > 0);
    expect(said()[0]).toMatchObject({ failure: 'certificate-refused' });
  });
});
