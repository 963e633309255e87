import { randomBytes } from 'node:crypto';
import { join } from 'node:path';

import { freePort, startProcess } from '../support/processes.js';
import { recordSecret } from '../support/witness.js';
import type { LocalHttps } from './local-https.js';
import { AUDIENCE } from './service.js';

/** The built package as an authorization server, in a process of its own behind TLS. */

/** Of the one user it knows. */
export const PASSWORD = randomBytes(16).toString('hex');
const ENCRYPTION_KEY = randomBytes(32).toString('base64url');
for (const secret of [PASSWORD, ENCRYPTION_KEY]) recordSecret(secret);

const PROGRAM = join(__dirname, 'fixtures', 'authorization-server.mjs');

interface ServerOptions {
  /** @defaultValue Express */
  readonly adapter?: 'express' | 'fastify';
  /** @defaultValue none */
  readonly issuerPath?: string;
  readonly clients: readonly object[];
  /** @defaultValue memory */
  readonly redisUrl?: string;
}

/** Answers its issuer. */
export async function startAuthorizationServer(
  https: LocalHttps,
  { clients, issuerPath = '', ...rest }: ServerOptions,
): Promise<string> {
  const port = await freePort();
  const issuer = `https://localhost:${port}${issuerPath}`;
  const settings = {
    port,
    tls: https.certificate,
    password: PASSWORD,
    encryptionKey: ENCRYPTION_KEY,
    ...rest,
    options: { issuer, audience: AUDIENCE, clients },
  };
  await startProcess({
    args: [PROGRAM],
    env: { ...https.environment, SERVICE: JSON.stringify(settings) },
    readyWhen: /"type":"ready"/,
  });
  return issuer;
}

/** A client without a secret. */
export function nativeClient(redirectUris: readonly string[]): object {
  return {
    clientId: 'native',
    authentication: { method: 'none' },
    may: ['authorize', 'revoke'],
    redirectUris,
  };
}
