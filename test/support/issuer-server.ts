import { once } from 'node:events';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { createServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import type { Duplex } from 'node:stream';
import type { SecureContextOptions, TLSSocket } from 'node:tls';

import { freePort } from './processes.js';
import { recordOutput } from './witness.js';

/** A JWKS endpoint on a real TLS server that can behave in every wrong way. */
export type Answerer = (request: IncomingMessage, response: ServerResponse) => void;

export interface IssuerServer {
  readonly port: number;
  /** `https://localhost:<port>/jwks` */
  readonly url: URL;
  /** The requests it has seen, by path, in order. */
  readonly paths: readonly string[];
  /** Headers of the latest request. */
  readonly headers: IncomingMessage['headers'];
  /** One entry for each completed handshake: whether it resumed an earlier session. */
  readonly handshakes: readonly ('full' | 'resumed')[];
  /** Connections that are open now. */
  readonly open: number;
  answer: Answerer;
  /** Shows another certificate from the next handshake on. */
  show(context: SecureContextOptions): void;
  /** Stops listening and drops every connection. */
  close(): Promise<void>;
  /** Listens again, on the same port. */
  reopen(): Promise<void>;
}

/** Answers with a JSON document as a good issuer does. */
export function sendJson(document: unknown, headers: Record<string, string> = {}): Answerer {
  return (_request, response) => {
    response.writeHead(200, { 'content-type': 'application/json', ...headers });
    response.end(JSON.stringify(document));
  };
}

const servers = new Set<IssuerServer>();

afterAll(async () => {
  await Promise.all([...servers].map((server) => server.close()));
});

export async function startIssuerServer(
  context: SecureContextOptions,
  answer: Answerer = sendJson({ keys: [] }),
  host = 'localhost',
): Promise<IssuerServer> {
  const paths: string[] = [];
  const handshakes: ('full' | 'resumed')[] = [];
  const sockets = new Set<Duplex>();
  let headers: IncomingMessage['headers'] = {};
  const server = createServer(context, (request, response) => {
    paths.push(request.url ?? '');
    ({ headers } = request);
    recordOutput(`${request.url} ${JSON.stringify(request.headers)}`);
    running.answer(request, response);
  });
  server.on('connection', (socket) => {
    sockets.add(socket);
    socket.on('close', () => sockets.delete(socket));
  });
  server.on('secureConnection', (socket: TLSSocket) => {
    handshakes.push(socket.isSessionReused() ? 'resumed' : 'full');
  });
  // Clients that refuse the certificate are what many tests are about.
  server.on('tlsClientError', () => {});
  const listen = async (port: number): Promise<number> => {
    server.listen(port, host);
    await once(server, 'listening');
    return (server.address() as AddressInfo).port;
  };
  // Nobody else gets it while this one is closed.
  const port = await listen(await freePort());
  const running: IssuerServer = {
    port,
    url: new URL(`https://localhost:${port}/jwks`),
    paths,
    handshakes,
    get headers() {
      return headers;
    },
    get open() {
      return sockets.size;
    },
    answer,
    show: (next) => server.setSecureContext(next),
    close: async () => {
      if (!server.listening) return;
      const closed = once(server, 'close');
      server.close();
      for (const socket of sockets) socket.destroy();
      await closed;
    },
    reopen: async () => {
      await listen(port);
    },
  };
  servers.add(running);
  return running;
}
