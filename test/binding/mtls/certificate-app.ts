import type { AddressInfo } from 'node:net';

import { Controller, Get, type INestApplication, Req } from '@nestjs/common';
import { FastifyAdapter } from '@nestjs/platform-fastify';
import { Test } from '@nestjs/testing';

import { ClientAddress } from '../../../lib/binding/client-address.js';
import { readIpNetwork, type IpNetwork } from '../../../lib/binding/ip-address.js';
import {
  ClientCertificates,
  type MtlsConfig,
} from '../../../lib/binding/mtls/client-certificates.js';
import type { SenderRequest } from '../../../lib/binding/sender-request.js';
import { ProofError } from '../../../lib/kernel/errors.js';
import { type Certificate, opensslFingerprint } from '../../support/tls-authority.js';
import { witnessLogger } from '../../support/witness-logger.js';

/** A real server that says whose certificate it sees in a request, and from where that came. */

export interface CertificateApp {
  readonly app: INestApplication;
  readonly port: number;
  close(): Promise<void>;
}

export interface SeenSender {
  /** Or the code of the refusal. */
  readonly thumbprint: string | null;
  readonly address: string | null;
}

@Controller()
class SeenSenders {
  constructor(
    private readonly certificates: ClientCertificates,
    private readonly addresses: ClientAddress,
  ) {}

  @Get('seen')
  seen(@Req() request: SenderRequest): SeenSender {
    const address = this.addresses.addressOf(request) ?? null;
    return { thumbprint: this.#thumbprintOf(request), address };
  }

  #thumbprintOf(request: SenderRequest): string | null {
    try {
      return this.certificates.thumbprintOf(request) ?? null;
    } catch (error) {
      if (error instanceof ProofError) return error.code;
      throw error;
    }
  }
}

/** As `tls.createServer` takes them. */
export interface TlsTerms extends Certificate {
  readonly ca: string;
  readonly requestCert: boolean;
  readonly rejectUnauthorized: boolean;
}

export interface CertificateAppOptions {
  readonly adapter: 'express' | 'fastify' | 'fastify with HTTP/2';
  /** Of the TLS server; `null` for plain http. */
  readonly tls: TlsTerms | null;
  readonly config?: Partial<Omit<MtlsConfig, 'trustedProxies'>>;
  readonly trustedProxies?: readonly string[];
  readonly forwardedHeader?: 'X-Forwarded-For' | 'Forwarded';
}

export async function startCertificateApp({
  adapter,
  tls,
  config,
  trustedProxies: texts = [],
  forwardedHeader = 'X-Forwarded-For',
}: CertificateAppOptions): Promise<CertificateApp> {
  const trustedProxies = networks(texts);
  const mtls: MtlsConfig = {
    certificates: 'authorized',
    proxyHeader: null,
    trustedProxies,
    ...config,
  };
  const module = await Test.createTestingModule({
    controllers: [SeenSenders],
    providers: [
      { provide: ClientCertificates, useValue: new ClientCertificates(mtls) },
      { provide: ClientAddress, useValue: new ClientAddress(trustedProxies, forwardedHeader) },
    ],
  })
    .setLogger(witnessLogger)
    .compile();
  const app =
    adapter === 'express'
      ? module.createNestApplication(tls === null ? {} : { httpsOptions: tls })
      : module.createNestApplication(fastify(adapter, tls));
  await app.listen(0, '127.0.0.1');
  const { port } = app.getHttpServer().address() as AddressInfo;
  return { app, port, close: () => app.close() };
}

function fastify(adapter: 'fastify' | 'fastify with HTTP/2', tls: TlsTerms | null) {
  if (tls === null) return new FastifyAdapter();
  return adapter === 'fastify'
    ? new FastifyAdapter({ https: tls })
    : new FastifyAdapter({ http2: true, https: { ...tls, allowHTTP1: true } });
}

export function networks(texts: readonly string[]): readonly IpNetwork[] {
  return texts.map((text) => {
    const network = readIpNetwork(text);
    if (network === undefined) throw new Error(`${text} is no network`);
    return network;
  });
}

/** `x5t#S256` as `openssl` and a change of letters make it. */
export function thumbprintByOpenssl(cert: string): string {
  return Buffer.from(opensslFingerprint(cert).replaceAll(':', ''), 'hex').toString('base64url');
}
