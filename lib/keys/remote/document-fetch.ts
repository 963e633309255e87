import { constants } from 'node:crypto';
import { once } from 'node:events';
import type { IncomingMessage } from 'node:http';
import { request } from 'node:https';
import { isIP } from 'node:net';
import * as tls from 'node:tls';

import {
  type CertificateFingerprints,
  type CertificatePins,
  fingerprintsOf,
} from './certificate-pins.js';

/**
 * Fetches one document from one server, which may be slow, broken or somebody else: over TLS validated
 * in full and pinned before a byte of the request is sent, with every amount bounded.
 *
 * The connection is made here and used once. An agent would resume TLS sessions, in which no
 * certificate is shown, and might go through a proxy that an environment variable names.
 */

/** Where a document is and how its server is recognised. */
export interface DocumentSource {
  readonly url: URL;
  readonly pins: CertificatePins | null;
  readonly trust: tls.SecureContext;
  /** Milliseconds for everything together: name, connection, headers and body. */
  readonly timeout: number;
}

/** What is asked for. */
export interface DocumentKind {
  readonly accept: string;
  /** In lower case; an answer of any other type is refused. */
  readonly mediaTypes: ReadonlySet<string>;
  readonly maxBytes: number;
}

/** An answer worth reading. */
export interface FetchedDocument {
  readonly body: Buffer;
  /** Milliseconds it may be kept from the start of the request; `null` if it does not say. */
  readonly maxAge: number | null;
}

/** Why nothing was fetched. Stable: alerts are built on these. */
export type FetchFailure =
  | 'closed'
  | 'timeout'
  | 'connection-failed'
  | 'certificate-refused'
  | 'pin-mismatch'
  | 'bad-status'
  | 'bad-media-type'
  | 'encoded'
  | 'too-large'
  | 'incomplete';

/** Nothing was fetched. Says nothing that the server said, but for the certificate it showed. */
export class FetchError extends Error {
  constructor(
    readonly failure: FetchFailure,
    message: string,
    options: ErrorOptions & { readonly shown?: CertificateFingerprints } = {},
  ) {
    super(message, options);
    this.name = 'FetchError';
    this.shown = options.shown;
  }

  /** The certificate that no pin fits. */
  readonly shown: CertificateFingerprints | undefined;
}

const MAX_HEADER_BYTES = 16 * 1024;

/** Beyond it nothing is gained, and a number read from a header stays one. */
const MAX_SECONDS = 365 * 24 * 3600;

/** What is wrong with a URL as the place of a document; `undefined` if nothing is. */
export function documentUrlFault(url: URL): string | undefined {
  if (url.protocol !== 'https:') return 'it is not https';
  if (url.username !== '' || url.password !== '') return 'it holds a user name or password';
  return url.href.includes('#') ? 'it has a fragment' : undefined;
}

/** @throws FetchError for whatever keeps it from a complete answer of a recognised server */
export async function fetchDocument(
  source: DocumentSource,
  kind: DocumentKind,
  signal: AbortSignal,
): Promise<FetchedDocument> {
  const socket = connect(source);
  // Set by what ends the connection from this side: the error it causes elsewhere tells less.
  let verdict: FetchError | undefined;
  const stop = (reason: FetchError): void => {
    verdict ??= reason;
    socket.destroy(reason);
  };
  const close = (): void => stop(new FetchError('closed', 'The fetch was called off.'));
  const timer = setTimeout(
    () => stop(new FetchError('timeout', 'The answer did not arrive in time.')),
    source.timeout,
  ).unref();
  signal.addEventListener('abort', close, { once: true });
  // An error after the last listener left would end the process.
  socket.on('error', () => {});
  try {
    if (signal.aborted) close();
    await once(socket, 'secureConnect');
    assertRecognised(socket, source.pins);
    const response = await send(socket, source.url, kind.accept);
    assertReadable(response, kind);
    return { body: await readBody(response, kind.maxBytes), maxAge: maxAgeOf(response) };
  } catch (error) {
    throw verdict ?? (error instanceof FetchError ? error : connectionFault(error));
  } finally {
    clearTimeout(timer);
    signal.removeEventListener('abort', close);
    socket.destroy();
  }
}

/**
 * What a server is recognised by, for any number of connections: the anchors of the runtime and
 * those given in PEM. To read them anew each time would stop the process for tens of milliseconds.
 */
export function createTrust(ca: readonly string[]): tls.SecureContext {
  return tls.createSecureContext({
    ...(ca.length === 0 ? {} : { ca: [...runtimeAnchors(), ...ca] }),
    // Said aloud, because --tls-min-v1.0 changes what goes unsaid.
    minVersion: 'TLSv1.2',
    // The certificate is looked at once; in TLS 1.2 another handshake could bring another one.
    secureOptions: constants.SSL_OP_NO_RENEGOTIATION,
  });
}

function connect({ url, trust }: DocumentSource): tls.TLSSocket {
  const host = url.hostname.replace(/^\[(.*)\]$/, '$1');
  return tls.connect({
    host,
    port: url.port === '' ? 443 : Number(url.port),
    // RFC 6066 §3: an address is no server name.
    ...(isIP(host) === 0 ? { servername: host } : {}),
    secureContext: trust,
    // Said aloud too, because of NODE_TLS_REJECT_UNAUTHORIZED.
    rejectUnauthorized: true,
    checkServerIdentity: tls.checkServerIdentity,
    ALPNProtocols: ['http/1.1'],
  });
}

/** `ca` replaces what the runtime trusts instead of adding to it. */
function runtimeAnchors(): readonly string[] {
  // Since Node 22.15; it knows of NODE_EXTRA_CA_CERTS and of the system's anchors too.
  const { getCACertificates } = tls as { readonly getCACertificates?: () => readonly string[] };
  return getCACertificates?.() ?? tls.rootCertificates;
}

function assertRecognised(socket: tls.TLSSocket, pins: CertificatePins | null): void {
  const certificate = socket.getPeerX509Certificate();
  if (!socket.authorized || certificate === undefined) {
    throw new FetchError('certificate-refused', 'The certificate of the server is not valid.');
  }
  if (pins === null) return;
  const shown = fingerprintsOf(certificate);
  if (!pins.match(shown)) {
    throw new FetchError('pin-mismatch', 'The certificate of the server fits no pin.', {
      shown,
    });
  }
}

function send(socket: tls.TLSSocket, url: URL, accept: string): Promise<IncomingMessage> {
  return new Promise((resolve, reject) => {
    const outgoing = request(
      {
        createConnection: () => socket,
        host: url.hostname,
        port: url.port,
        path: `${url.pathname}${url.search}`,
        headers: {
          accept,
          'accept-encoding': 'identity',
          connection: 'close',
          host: url.host,
          'user-agent': 'nest-jwt-hardening',
        },
        insecureHTTPParser: false,
        maxHeaderSize: MAX_HEADER_BYTES,
      },
      (response) => {
        // What becomes of an answer that is not read to its end is no news, and no crash.
        response.on('error', () => {});
        resolve(response);
      },
    );
    outgoing.on('error', reject);
    outgoing.on('upgrade', () => reject(badStatus()));
    outgoing.on('close', () =>
      reject(new FetchError('incomplete', 'The connection ended before an answer.')),
    );
    outgoing.end();
  });
}

function assertReadable(
  { statusCode, headers }: IncomingMessage,
  { mediaTypes, maxBytes }: DocumentKind,
): void {
  // A redirect is an answer like any other: whoever may choose the place chooses what is believed.
  if (statusCode !== 200) throw badStatus();
  const mediaType = (headers['content-type'] ?? '').split(';', 1)[0] ?? '';
  if (!mediaTypes.has(mediaType.trim().toLowerCase())) {
    throw new FetchError('bad-media-type', 'The answer is of another media type.');
  }
  // Never unpacked: a few bytes on the wire could be gigabytes in memory.
  if (!/^(?:identity)?$/i.test(headers['content-encoding'] ?? '')) {
    throw new FetchError('encoded', 'The answer is encoded, which was not asked for.');
  }
  if (Number(headers['content-length'] ?? 0) > maxBytes) throw tooLarge(maxBytes);
}

async function readBody(response: IncomingMessage, maxBytes: number): Promise<Buffer> {
  const chunks: Buffer[] = [];
  let length = 0;
  for await (const chunk of response as AsyncIterable<Buffer>) {
    length += chunk.length;
    if (length > maxBytes) throw tooLarge(maxBytes);
    chunks.push(chunk);
  }
  if (!response.complete) throw new FetchError('incomplete', 'The answer was cut off.');
  return Buffer.concat(chunks, length);
}

/** The freshness lifetime that is left (RFC 9111 §4.2), of `max-age` and `Age` alone. */
function maxAgeOf({ headers }: IncomingMessage): number | null {
  const directives = (headers['cache-control'] ?? '')
    .split(',')
    .map((directive) => directive.trim().toLowerCase());
  if (directives.some((directive) => /^no-(?:store|cache)(?:$|=)/.test(directive))) return 0;
  const ages = directives
    .filter((directive) => directive.startsWith('max-age'))
    .map((directive) => seconds(/^max-age="?(\d+)"?$/.exec(directive)?.[1]));
  if (ages.length === 0) return null;
  return Math.max(0, Math.min(...ages) - seconds(headers.age)) * 1000;
}

/** What is not a number of seconds counts as none (RFC 9111 §4.2.1). */
function seconds(text: string | undefined): number {
  return text !== undefined && /^\d+$/.test(text) ? Math.min(Number(text), MAX_SECONDS) : 0;
}

/** OpenSSL's and Node's names for what is wrong with a certificate, as `error.code`. */
const CERTIFICATE_FAULT =
  /^(?:CERT_|CRL_|ERROR_IN_|UNABLE_TO_|DEPTH_ZERO_|SELF_SIGNED_|ERR_TLS_CERT_|INVALID_CA$|INVALID_PURPOSE$|PATH_LENGTH_|HOSTNAME_MISMATCH$)/;

function connectionFault(cause: unknown): FetchError {
  const code = codeOf(cause);
  const named = code === undefined ? '' : ` (${code})`;
  if (code !== undefined && CERTIFICATE_FAULT.test(code)) {
    const message = `The certificate of the server is not valid${named}.`;
    return new FetchError('certificate-refused', message, { cause });
  }
  return new FetchError('connection-failed', `The connection failed${named}.`, { cause });
}

/** Codes are names from Node and OpenSSL; the messages beside them repeat what the server sent. */
function codeOf(error: unknown): string | undefined {
  if (typeof error !== 'object' || error === null || !('code' in error)) return undefined;
  const { code } = error;
  return typeof code === 'string' && /^[A-Z0-9_]{1,64}$/.test(code) ? code : undefined;
}

function badStatus(): FetchError {
  return new FetchError('bad-status', 'The status of the answer is not 200.');
}

function tooLarge(maxBytes: number): FetchError {
  return new FetchError('too-large', `The answer has more than ${maxBytes} bytes.`);
}
