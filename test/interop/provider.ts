import { generateKeyPairSync, type JsonWebKey } from 'node:crypto';
import { join } from 'node:path';

import { freePort, type RunningProcess, startProcess } from '../support/processes.js';
import { recordSecret } from '../support/witness.js';
import { documentOf, type LocalHttps } from './local-https.js';
import { AUDIENCE } from './service.js';

/** A real oidc-provider in a process of its own, with one client that asks for access tokens. */

const PROGRAM = join(__dirname, 'fixtures', 'provider.mjs');
const CLIENT_SECRET = 'the-secret-of-the-only-client-of-this-provider';

/** The shapes of token that the provider makes, by the resource they are asked for. */
export type Resource = 'es256' | 'rs256' | 'ps256' | 'elsewhere' | 'brief' | 'too-long' | 'opaque';

type SigningJwk = ReturnType<typeof ecKey>;

export function ecKey(kid: string) {
  const { privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  return signingJwk(privateKey.export({ format: 'jwk' }), kid);
}

export function rsaKey(kid: string) {
  const { privateKey } = generateKeyPairSync('rsa', { modulusLength: 2048 });
  return signingJwk(privateKey.export({ format: 'jwk' }), kid);
}

function signingJwk(jwk: JsonWebKey, kid: string) {
  recordSecret(jwk.d ?? '');
  return { ...jwk, kid, use: 'sig' };
}

export class Provider {
  private constructor(
    readonly process: RunningProcess,
    readonly issuer: string,
    private readonly url: string,
    private readonly https: LocalHttps,
  ) {}

  /** `issuer` is whom its tokens name; its own address unless told otherwise. */
  static async start(
    https: LocalHttps,
    keys: readonly SigningJwk[],
    { port, issuer }: { readonly port?: number; readonly issuer?: string } = {},
  ): Promise<Provider> {
    recordSecret(CLIENT_SECRET);
    const chosen = port ?? (await freePort());
    const url = `https://localhost:${chosen}`;
    const settings = {
      port: chosen,
      issuer: issuer ?? url,
      tls: https.certificate,
      keys,
      audience: AUDIENCE,
      clientSecret: CLIENT_SECRET,
    };
    const process = await startProcess({
      args: [PROGRAM],
      env: { ...https.environment, PROVIDER: JSON.stringify(settings) },
      readyWhen: /provider is ready/,
    });
    return new Provider(process, settings.issuer, url, https);
  }

  get jwksUri(): string {
    return `${this.url}/jwks`;
  }

  /** Ends it and starts another one in its place, with other keys. */
  async restart(keys: readonly SigningJwk[]): Promise<Provider> {
    await this.process.stop();
    return Provider.start(this.https, keys, { port: Number(new URL(this.url).port) });
  }

  /** An access token by client credentials (RFC 6749 §4.4, RFC 8707). */
  async accessToken(resource: Resource, scope?: string): Promise<string> {
    const form = {
      grant_type: 'client_credentials',
      client_id: AUDIENCE,
      client_secret: CLIENT_SECRET,
      resource: `https://resources.example/${resource}`,
      ...(scope === undefined ? {} : { scope }),
    };
    const answer = await this.https.post(`${this.url}/token`, { form });
    const { access_token: token } = documentOf(answer) as { readonly access_token: string };
    recordSecret(token);
    return token;
  }

  async idToken(): Promise<string> {
    const answer = await this.https.get(`${this.url}/id-token`);
    const { id_token: token } = documentOf(answer) as { readonly id_token: string };
    recordSecret(token);
    return token;
  }
}
