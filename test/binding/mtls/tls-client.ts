import type { IncomingHttpHeaders } from 'node:http';
import { Agent, request } from 'node:https';
import type { SecureVersion, TLSSocket } from 'node:tls';

import type { Certificate } from '../../support/tls-authority.js';
import { recordOutput } from '../../support/witness.js';

/** A client of a local TLS server that shows a certificate, or none, and resumes sessions on demand. */

export interface TlsVisit {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  readonly body: string;
  /** To be resumed by another visit. */
  readonly session: Buffer | undefined;
  readonly isResumed: boolean;
  /** Whether the connection had carried a request before. */
  readonly isReused: boolean;
  readonly socket: TLSSocket;
}

export interface TlsWish {
  /** Whom to trust. */
  readonly ca: string;
  readonly certificate?: Certificate | undefined;
  readonly version?: SecureVersion;
  readonly session?: Buffer | undefined;
  readonly headers?: Readonly<Record<string, string | readonly string[]>>;
  readonly method?: string;
  /** Sent as JSON. */
  readonly json?: object;
  /** What it hands out is kept from the witness. */
  readonly handsOutTokens?: 'yes';
  /** From which address of this machine. */
  readonly localAddress?: string;
  /** Keeps its connection for the next visit. @defaultValue none: a connection for this visit alone */
  readonly agent?: Agent;
}

export async function visit(url: string, wish: TlsWish): Promise<TlsVisit> {
  const { certificate: { cert, key } = {}, version, json, agent, headers = {}, ...rest } = wish;
  const { handsOutTokens } = wish;
  const own = agent ?? new Agent({ maxCachedSessions: 0 });
  const body = json === undefined ? undefined : JSON.stringify(json);
  let session: Buffer | undefined;
  try {
    return await new Promise<TlsVisit>((resolve, reject) => {
      const outgoing = request(
        url,
        {
          agent: own,
          ...rest,
          headers: {
            ...headers,
            ...(body === undefined ? {} : { 'content-type': 'application/json' }),
          },
          ...(cert === undefined ? {} : { cert, key }),
          ...(version === undefined ? {} : { minVersion: version, maxVersion: version }),
        },
        (response) => {
          const chunks: Buffer[] = [];
          const socket = response.socket as TLSSocket;
          const isResumed = socket.isSessionReused();
          response.on('data', (chunk: Buffer) => chunks.push(chunk));
          response.on('error', reject);
          response.on('end', () => {
            const text = Buffer.concat(chunks).toString('utf8');
            if (handsOutTokens === undefined) recordOutput(text);
            const { statusCode: status = 0, headers: answered } = response;
            const { reusedSocket: isReused } = outgoing;
            const answer = { status, headers: answered, body: text };
            resolve({ ...answer, session, isResumed, isReused, socket });
          });
        },
      );
      outgoing.on('socket', (socket: TLSSocket) => {
        // In TLS 1.3 there are several, and later ones are as good.
        socket.on('session', (ticket: Buffer) => (session = ticket));
      });
      outgoing.on('error', reject);
      outgoing.end(body);
    });
  } finally {
    if (agent === undefined) own.destroy();
  }
}
