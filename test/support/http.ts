import { type IncomingHttpHeaders, request as httpRequest, Agent } from 'node:http';
import { connect } from 'node:net';

import { recordOutput } from './witness.js';

/** One answer, read to its end. */
export interface Answer {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  readonly body: string;
}

export interface RequestOptions {
  readonly method?: string;
  readonly token?: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: unknown;
  /** Answers that hand out tokens on purpose are kept from the witness. */
  readonly handsOutTokens?: 'yes';
}

const agent = new Agent({ keepAlive: true, maxSockets: 50, timeout: 4_000 });

/** Sends one request. The path goes out byte for byte as given. */
export async function send(
  base: string,
  path: string,
  options: RequestOptions = {},
): Promise<Answer> {
  try {
    return await sendOnce(base, path, options);
  } catch (error) {
    // The server ended a connection for being idle while this process was held up.
    if (!(error instanceof StaleConnection)) throw error;
    return send(base, path, options);
  }
}

/** A kept connection turned out to be gone when it was used again: nobody saw the request. */
class StaleConnection extends Error {}

function sendOnce(base: string, path: string, options: RequestOptions): Promise<Answer> {
  const { method = 'GET', token, body } = options;
  const { hostname, port } = new URL(base);
  const payload = body === undefined ? undefined : JSON.stringify(body);
  const headers = {
    ...(payload === undefined ? {} : { 'content-type': 'application/json' }),
    ...(token === undefined ? {} : { authorization: `Bearer ${token}` }),
    ...options.headers,
  };
  return new Promise((resolve, reject) => {
    const outgoing = httpRequest({ agent, hostname, port, path, method, headers }, (response) => {
      const chunks: Buffer[] = [];
      response.on('data', (chunk: Buffer) => chunks.push(chunk));
      response.on('error', reject);
      response.on('end', () => {
        const answer = {
          status: response.statusCode ?? 0,
          headers: response.headers,
          body: Buffer.concat(chunks).toString('utf8'),
        };
        if (options.handsOutTokens === undefined) {
          recordOutput(`${JSON.stringify(answer.headers)} ${answer.body}`);
        }
        resolve(answer);
      });
    });
    outgoing.on('error', (error: NodeJS.ErrnoException) => {
      const isStale = outgoing.reusedSocket && ['ECONNRESET', 'EPIPE'].includes(error.code ?? '');
      reject(isStale ? new StaleConnection('gone', { cause: error }) : error);
    });
    outgoing.end(payload);
  });
}

/** Sends bytes no HTTP client would, and answers everything that comes back before the close. */
export function sendRaw(base: string, text: string): Promise<string> {
  const { hostname, port } = new URL(base);
  return new Promise((resolve, reject) => {
    const chunks: Buffer[] = [];
    const socket = connect(Number(port), hostname, () => socket.end(text));
    socket.on('data', (chunk: Buffer) => chunks.push(chunk));
    socket.on('error', reject);
    socket.on('close', () => {
      const answer = Buffer.concat(chunks).toString('latin1');
      recordOutput(answer);
      resolve(answer);
    });
  });
}

/** Lets the process end; call after the last request of a suite. */
export function closeConnections(): void {
  agent.destroy();
}
