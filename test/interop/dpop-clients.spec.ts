import { randomBytes } from 'node:crypto';
import { join } from 'node:path';

import { freePort, runProcess, startProcess } from '../support/processes.js';
import { recordSecret } from '../support/witness.js';
import { nativeClient, PASSWORD } from './authorization-server.js';
import { LocalHttps } from './local-https.js';
import { AUDIENCE } from './service.js';

/**
 * Other people's DPoP clients, in processes of their own, log in at the built package and use what they
 * get: with the nonces they are told, at the token endpoint and at a guarded route.
 */

const REDIRECT_URI = 'com.example.app:/callback';

const https = new LocalHttps();

afterAll(() => https.close());

/** Answers its issuer. */
async function startServer(adapter: 'express' | 'fastify'): Promise<string> {
  const port = await freePort();
  const issuer = `https://localhost:${port}`;
  const encryptionKey = randomBytes(32).toString('base64url');
  recordSecret(encryptionKey);
  const options = {
    issuer,
    audience: AUDIENCE,
    clients: [nativeClient([REDIRECT_URI])],
    binding: { dpop: {} },
  };
  const tls = https.certificate;
  const settings = { port, tls, adapter, password: PASSWORD, encryptionKey, options };
  await startProcess({
    args: [join(__dirname, 'fixtures', 'authorization-server.mjs')],
    env: { ...https.environment, SERVICE: JSON.stringify(settings) },
    readyWhen: /"type":"ready"/,
  });
  return issuer;
}

async function run(program: string, client: object): Promise<unknown> {
  const common = { password: PASSWORD, scope: 'read write', clientId: 'native' };
  const { exitCode, stdout, stderr } = await runProcess({
    args: [join(__dirname, 'fixtures', program)],
    env: {
      ...https.environment,
      CLIENT: JSON.stringify({ ...common, redirectUri: REDIRECT_URI, ...client }),
    },
  });
  if (exitCode !== 0) throw new Error(`${program} ended with ${exitCode}\n${stderr}`);
  return JSON.parse(stdout) as unknown;
}

describe.each(['express', 'fastify'] as const)('at %s', (adapter) => {
  let issuer: string;

  beforeAll(async () => {
    issuer = await startServer(adapter);
  });

  it.each(['ES256', 'Ed25519', 'PS256', 'RS256'])(
    'oauth4webapi with %s: code, resource, refresh, each bound to its key',
    async (alg) => {
      expect(await run('dpop-oauth4webapi.mjs', { issuer, alg })).toEqual({
        offered: true,
        types: ['dpop', 'dpop'],
        // Once per place that had told it none.
        nonces: [1, 1],
        statuses: [200, 200, 200],
        isBound: true,
        subject: 'alice',
        downgraded: [401, 401],
        otherKeyAtResource: 'OAUTH_WWW_AUTHENTICATE_CHALLENGE',
        otherKeyAtRefresh: 'invalid_grant',
        noKeyAtRefresh: 'invalid_grant',
        otherKeyForCode: 'invalid_grant',
        noKeyForCode: 'invalid_grant',
      });
    },
  );

  it.each(['ES256', 'Ed25519', 'PS256'])('jose with %s: proofs made by hand', async (alg) => {
    const refused = [401, 'invalid_dpop_proof'];
    expect(await run('dpop-jose.mjs', { issuer, alg })).toEqual({
      types: ['DPoP', 'DPoP'],
      attempts: [2, 1, 1],
      statuses: [200, 200, 200],
      isBound: true,
      twice: [200, 401],
      challenge: expect.stringMatching(/^DPoP error="invalid_dpop_proof", algs="ES256 /),
      wrong: { htm: refused, htu: refused, host: refused, ath: refused, exp: refused },
      spelled: 200,
    });
  });
});
