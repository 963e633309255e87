import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import type { OutgoingHttpHeaders } from 'node:http';
import { request } from 'node:https';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { type Authority, type Certificate, createAuthority } from '../support/tls-authority.js';

/** HTTPS on localhost under an authority that this test file and its processes trust, and nobody else. */

export interface HttpsAnswer {
  readonly status: number;
  readonly body: string;
}

export interface HttpsRequest {
  readonly token?: string;
  /** Sent as JSON. */
  readonly json?: object;
  /** Sent as a form. */
  readonly form?: Readonly<Record<string, string>>;
}

export class LocalHttps {
  readonly #authority: Authority = createAuthority();
  readonly #folder = mkdtempSync(join(tmpdir(), 'nest-jwt-hardening-interop-'));
  /** For the servers, all on localhost. */
  readonly certificate: Certificate = this.#authority.issue();
  /** What makes a Node process trust it, beside whom it trusts already. */
  readonly environment: Readonly<Record<string, string>>;

  constructor() {
    const file = join(this.#folder, 'authority.pem');
    writeFileSync(file, this.#authority.ca);
    this.environment = { NODE_EXTRA_CA_CERTS: file, NODE_ENV: 'test' };
  }

  get(url: string, { token }: HttpsRequest = {}): Promise<HttpsAnswer> {
    return this.#send(url, 'GET', token === undefined ? {} : { authorization: `Bearer ${token}` });
  }

  post(url: string, { json, form }: HttpsRequest = {}): Promise<HttpsAnswer> {
    const type = form === undefined ? 'application/json' : 'application/x-www-form-urlencoded';
    const body =
      form === undefined ? JSON.stringify(json ?? {}) : new URLSearchParams(form).toString();
    return this.#send(url, 'POST', { 'content-type': type }, body);
  }

  close(): void {
    rmSync(this.#folder, { recursive: true });
  }

  #send(
    url: string,
    method: string,
    headers: OutgoingHttpHeaders,
    body?: string,
  ): Promise<HttpsAnswer> {
    const { ca } = this.#authority;
    return new Promise((resolve, reject) => {
      const outgoing = request(url, { method, headers, ca, agent: false }, (response) => {
        const chunks: Buffer[] = [];
        response.on('data', (chunk: Buffer) => chunks.push(chunk));
        response.on('error', reject);
        response.on('end', () => {
          const text = Buffer.concat(chunks).toString('utf8');
          resolve({ status: response.statusCode ?? 0, body: text });
        });
      });
      outgoing.on('error', reject);
      outgoing.end(body);
    });
  }
}

/** The document an answer holds, where the answer is the good one. */
export function documentOf({ status, body }: HttpsAnswer): unknown {
  if (status >= 300) throw new Error(`answered with ${status}`);
  return JSON.parse(body);
}
