import { generateKeyPairSync, hash, type KeyObject, randomUUID, sign } from 'node:crypto';

import { recordSecret } from '../support/witness.js';
import { HttpLine, type LineAnswer } from './http-line.js';
import type { Instance } from './instances.js';

/** A client with a key of its own, whose access token is bound to it. */
export class DpopClient {
  readonly #lines = new Map<Instance, HttpLine>();
  #nonce: string | undefined;

  private constructor(
    readonly accessToken: string,
    /** The thumbprint of its key. */
    readonly jkt: string,
    private readonly origin: string,
    private readonly key: { readonly privateKey: KeyObject; readonly header: string },
  ) {}

  /** @param origin where it believes the instances to be */
  static async logIn({ url }: Instance, origin: string): Promise<DpopClient> {
    const { privateKey, publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
    const { kty, crv, x, y } = publicKey.export({ format: 'jwk' });
    const jkt = hash('sha256', JSON.stringify({ crv, kty, x, y }), 'base64url');
    const answer = await fetch(`${url}/sessions/start`, {
      method: 'POST',
      headers: { 'Content-Type': 'application/json' },
      body: JSON.stringify({
        subject: `user-${jkt}`,
        start: { binding: { kind: 'dpop', value: jkt } },
      }),
    });
    if (answer.status !== 201) throw new Error(`a login was answered with ${answer.status}`);
    const pair = (await answer.json()) as Record<'accessToken' | 'refreshToken', string>;
    recordSecret(pair.accessToken);
    recordSecret(pair.refreshToken);
    const header = encode({ typ: 'dpop+jwt', alg: 'ES256', jwk: { kty, crv, x, y } });
    return new DpopClient(pair.accessToken, jkt, origin, { privateKey, header });
  }

  /** A proof nobody has seen, for its own token unless told otherwise. */
  prove(method: string, path: string, token = this.accessToken): string {
    const payload = encode({
      jti: randomUUID(),
      htm: method,
      htu: this.origin + path,
      iat: Math.floor(Date.now() / 1000),
      ath: hash('sha256', token, 'base64url'),
      nonce: this.#nonce,
    });
    const input = `${this.key.header}.${payload}`;
    const key = { key: this.key.privateKey, dsaEncoding: 'ieee-p1363' } as const;
    return `${input}.${sign('sha256', Buffer.from(input), key).toString('base64url')}`;
  }

  /** Asks for `/check` with this proof. What an answer says of the next nonce is heeded. */
  async show(instance: Instance, proof: string): Promise<LineAnswer> {
    const head = [`Authorization: DPoP ${this.accessToken}`, `DPoP: ${proof}`];
    const answer = await this.#lineTo(instance).ask('GET /check', head);
    this.#nonce = answer.headers('dpop-nonce') ?? this.#nonce;
    return answer;
  }

  /** @throws unless it is told one */
  async learnNonce(instance: Instance): Promise<void> {
    const { status, headers } = await this.show(instance, this.prove('GET', '/check'));
    const challenge = headers('www-authenticate') ?? '';
    if (status === 401 && challenge.includes('use_dpop_nonce') && this.#nonce !== undefined) return;
    throw new Error(`a proof without a nonce was answered with ${status} ${challenge}`);
  }

  close(): void {
    for (const line of this.#lines.values()) line.close();
  }

  #lineTo(instance: Instance): HttpLine {
    const known = this.#lines.get(instance);
    if (known !== undefined) return known;
    const line = new HttpLine(Number(new URL(instance.url).port));
    this.#lines.set(instance, line);
    return line;
  }
}

function encode(value: object): string {
  return Buffer.from(JSON.stringify(value)).toString('base64url');
}
