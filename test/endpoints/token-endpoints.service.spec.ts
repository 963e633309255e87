import type { RegisteredClient } from '../../lib/endpoints/registered-client.js';
import {
  TokenEndpoints,
  type TokenEndpointsSurroundings,
} from '../../lib/endpoints/token-endpoints.service.js';
import type { HttpRequest } from '../../lib/guard/credentials.js';
import { KeyError } from '../../lib/kernel/errors.js';
import { generateSigningKey } from '../../lib/keys/key-material.js';
import { ISSUER } from '../support/guarded-app.js';
import { TestClock } from '../support/test-clock.js';
import {
  basic,
  byAssertion,
  newSecret,
  register,
  signAssertion,
  TestRevocations,
  verifierThatThrows,
} from './endpoint-app.js';

const SECRET = newSecret();
const GATEWAY = {
  clientId: 'gateway',
  authentication: { method: 'client_secret_basic', secrets: [SECRET] },
  may: ['introspect'],
};

const clock = new TestClock();

function endpointsFor(
  clients: readonly RegisteredClient[],
  surroundings: Partial<TokenEndpointsSurroundings> = {},
): TokenEndpoints {
  const tokens = verifierThatThrows(new Error('not asked'));
  const revocations = new TestRevocations();
  const needed = { tokens, revocations, replays: null, clock };
  return new TokenEndpoints(
    { issuer: ISSUER, leeway: 10, clients },
    { ...needed, ...surroundings },
  );
}

function request(body: object, headers: object = {}): HttpRequest {
  return { headers: { 'content-type': 'application/x-www-form-urlencoded', ...headers }, body };
}

describe('TokenEndpoints', () => {
  it('stop the start where an endpoint is there for nobody', async () => {
    const endpoints = endpointsFor(await register([GATEWAY]));
    endpoints.expectClients('introspect', 'introspectionPath');
    expect(() => endpoints.expectClients('revoke', 'revocationPath')).toThrow(
      expect.objectContaining({
        code: 'ERR_CONFIG_INVALID',
        problems: [
          {
            path: 'revocationPath',
            problem: 'it is set, and no client may revoke',
            fix: expect.stringContaining("may: ['revoke']"),
          },
        ],
      }),
    );
  });

  it('go by nothing stale when they say how a token stands, whatever was configured', async () => {
    const tokens = {
      ...verifierThatThrows(new Error('not asked')),
      check: (_token: string, _kind: string, onStale?: string) => {
        if (onStale === 'reject') throw new KeyError('ERR_KEY_RING_STALE', 'Stale.');
        throw new Error('it would have been accepted');
      },
    };
    const endpoints = endpointsFor(await register([GATEWAY]), { tokens });
    const asked = request({ token: 'a.b.c' }, basic('gateway', SECRET));
    await expect(endpoints.introspect(asked)).rejects.toMatchObject({ code: 'ERR_KEY_RING_STALE' });
  });

  it('take no assertion where nothing remembers it', async () => {
    const key = await generateSigningKey('ES256');
    const jwks = { keys: [key.publicJwk] };
    const authentication = { method: 'private_key_jwt', jwks };
    const clients = await register([{ ...GATEWAY, clientId: 'signer', authentication }]);
    const assertion = await signAssertion(key, clock);
    const asked = request({ token: 'a.b.c', ...byAssertion(assertion) });
    await expect(endpointsFor(clients).introspect(asked)).rejects.toMatchObject({
      code: 'ERR_STORE_UNAVAILABLE',
    });
  });
});
