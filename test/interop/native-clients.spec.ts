import { randomBytes } from 'node:crypto';
import { join } from 'node:path';

import { runProcess } from '../support/processes.js';
import { describeWithRedis, startRedis } from '../support/redis-server.js';
import { newPrivateJwk } from '../support/token-mother.js';
import { recordSecret } from '../support/witness.js';
import { nativeClient, PASSWORD, startAuthorizationServer } from './authorization-server.js';
import { LocalHttps } from './local-https.js';

/** Real client libraries, in processes of their own, log in at the built package. */

const https = new LocalHttps();

const SECRET = randomBytes(32).toString('hex');
recordSecret(SECRET);

async function run(program: string, client: object): Promise<Record<string, unknown>> {
  const { exitCode, stdout, stderr } = await runProcess({
    args: [join(__dirname, 'fixtures', program)],
    env: {
      ...https.environment,
      CLIENT: JSON.stringify({ password: PASSWORD, scope: 'read write', ...client }),
    },
  });
  if (exitCode !== 0) throw new Error(`${program} ended with ${exitCode}\n${stderr}`);
  return JSON.parse(stdout) as Record<string, unknown>;
}

/** What openid-client reports where everything is as it should be. */
const AS_IT_SHOULD_BE = {
  pkce: true,
  iss: true,
  scope: 'read write',
  tokenType: 'bearer',
  narrowed: 'read',
  statuses: [200, 200, 401],
  afterRevocation: 'invalid_grant',
  mixedUp: 'OAUTH_INVALID_RESPONSE',
  anonymous: 'OAUTH_INVALID_RESPONSE',
  otherState: 'OAUTH_INVALID_RESPONSE',
  injected: 'invalid_grant',
  honest: 'accepted',
  again: 'invalid_grant',
  plain: 'invalid_request',
  silent: 'login_required',
  greedy: 'invalid_scope',
};

afterAll(() => https.close());

describe.each(['express', 'fastify'] as const)('openid-client at %s', (adapter) => {
  it.each([
    ['a scheme of its own', 'com.example.app:/callback', 'com.example.app:/callback'],
    ['a loopback address', 'http://127.0.0.1/callback', 'http://127.0.0.1:52345/callback'],
    ['https', 'https://app.example/callback', 'https://app.example/callback'],
  ])('logs in a native app at %s', async (_rule, registered, redirectUri) => {
    const issuer = await startAuthorizationServer(https, {
      adapter,
      clients: [nativeClient([registered])],
    });
    const report = await run('openid-client.mjs', { issuer, clientId: 'native', redirectUri });
    expect(report).toEqual(AS_IT_SHOULD_BE);
  });

  it('logs in clients that prove who they are, by a secret or a key', async () => {
    const redirectUri = 'https://app.example/callback';
    const privateJwk = await newPrivateJwk();
    const { d: _private, ...publicJwk } = privateJwk;
    const shared = { may: ['authorize', 'revoke'], redirectUris: [redirectUri] };
    const issuer = await startAuthorizationServer(https, {
      adapter,
      issuerPath: '/tenant-a',
      clients: [
        {
          clientId: 'web-app',
          authentication: { method: 'client_secret_basic', secrets: [SECRET] },
          ...shared,
        },
        {
          clientId: 'signer',
          authentication: { method: 'private_key_jwt', jwks: { keys: [publicJwk] } },
          ...shared,
        },
      ],
    });
    const clients = [
      { clientId: 'web-app', secret: SECRET },
      { clientId: 'signer', privateJwk },
    ];
    for (const client of clients) {
      const report = await run('openid-client.mjs', { issuer, redirectUri, ...client });
      expect(report).toEqual(AS_IT_SHOULD_BE);
    }
  });
});

describe('oauth4webapi', () => {
  it('logs in a native app, and believes the tokens it gets', async () => {
    const redirectUri = 'com.example.app:/callback';
    const issuer = await startAuthorizationServer(https, {
      clients: [nativeClient([redirectUri])],
    });
    expect(await run('oauth4webapi.mjs', { issuer, clientId: 'native', redirectUri })).toEqual({
      subject: 'alice',
      client: 'native',
      scope: 'read write',
      statuses: [200, 401],
      afterRevocation: 'invalid_grant',
      mixedUp: 'OAUTH_INVALID_RESPONSE',
      anonymous: 'OAUTH_INVALID_RESPONSE',
    });
  });
});

describeWithRedis('openid-client with Redis behind the service', () => {
  it('logs in a native app', async () => {
    const redirectUri = 'com.example.app:/callback';
    const redis = await startRedis();
    const issuer = await startAuthorizationServer(https, {
      clients: [nativeClient([redirectUri])],
      redisUrl: redis.url,
    });
    const report = await run('openid-client.mjs', { issuer, clientId: 'native', redirectUri });
    expect(report).toEqual(AS_IT_SHOULD_BE);
  });
});
