import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import {
  createServer,
  type IncomingMessage,
  request as httpRequest,
  type ServerResponse,
} from 'node:http';
import type { AddressInfo } from 'node:net';
import { basename, join } from 'node:path';

/**
 * What the browser talks to: the pages of the tests and the built client under `/client-page/`, all
 * else is passed on to the app behind, byte for byte. It writes down every request to the app from
 * its first to its last byte, can make refreshes wait, busy or lost, and sends who asks elsewhere.
 */

/**
 * What becomes of a refresh: `busy` does not reach the app. Of a `lost` answer nothing arrives. One
 * is `halved`, its cookies taken off, the next is answered. A function is awaited before the answer.
 */
export type Fate = 'answered' | 'busy' | 'lost' | 'halved' | (() => Promise<unknown>);

const BUILT_CLIENT = join(__dirname, '../../dist/client');
const PAGES = join(__dirname, 'fixtures/client');

export interface Passage {
  readonly method: string;
  readonly path: string;
  /** The tab that asked, as its test called it. */
  readonly tab: string;
  readonly headers: IncomingMessage['headers'];
  readonly start: number;
  /** `Infinity` while it goes on. */
  end: number;
  /** 0 while there is no answer. */
  status: number;
  /** A digest of the refresh token that a refresh brought. */
  presented: string;
}

export interface ClientFront {
  /** Such as `http://localhost:41234`: a secure context, in which `__Host-` cookies can be set. */
  readonly url: string;
  readonly passages: readonly Passage[];
  /** What happens to refreshes from now on. */
  refreshes: Fate;
  close(): Promise<void>;
}

export async function startFront(app: string): Promise<ClientFront> {
  const passages: Passage[] = [];
  const server = createServer((request, response) => {
    const { pathname } = new URL(request.url ?? '/', 'http://localhost');
    if (pathname.startsWith('/client-page/')) {
      servePage(pathname, response);
      return;
    }
    const passage: Passage = {
      method: request.method ?? '',
      path: pathname,
      tab: String(request.headers['x-tab']),
      headers: request.headers,
      start: Date.now(),
      end: Infinity,
      status: 0,
      presented: '',
    };
    passages.push(passage);
    if (pathname === '/auth/refresh') void notePresented(passage, request);
    response.on('close', () => {
      passage.end = Date.now();
    });
    if (pathname === '/leave') {
      passage.status = 307;
      const { searchParams } = new URL(request.url ?? '/', 'http://localhost');
      response.writeHead(307, { Location: searchParams.get('to') ?? '/' }).end();
      return;
    }
    const fate = pathname === '/auth/refresh' ? front.refreshes : 'answered';
    if (fate === 'halved') front.refreshes = 'answered';
    if (fate === 'busy') {
      passage.status = 503;
      response.writeHead(503, { 'Retry-After': '1', 'Content-Type': 'application/json' });
      response.end('{"error":"temporarily_unavailable"}');
      return;
    }
    passOn(app, request, response, async (status) => {
      passage.status = status;
      if (fate === 'lost') response.destroy();
      if (fate === 'halved') await halve(response);
      if (typeof fate === 'function') await fate();
    });
  });
  server.keepAliveTimeout = 60_000;
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const front: ClientFront = {
    url: `http://localhost:${(server.address() as AddressInfo).port}`,
    passages,
    refreshes: 'answered',
    close: async () => {
      server.closeAllConnections();
      server.close();
      await once(server, 'close');
    },
  };
  return front;
}

/** Which token it was, not the token: this ends up in what a failed test prints. */
async function notePresented(passage: Passage, request: IncomingMessage): Promise<void> {
  const body: string[] = [];
  request.on('data', (part) => body.push(String(part)));
  await once(request, 'end');
  const cookie = /__Host-refresh_token=([^;]+)/.exec(request.headers.cookie ?? '')?.[1];
  const digest = createHash('sha256').update(cookie ?? body.join(''));
  passage.presented = digest.digest('hex').slice(0, 8);
}

async function halve(response: ServerResponse): Promise<void> {
  response.writeHead(200, { 'Content-Type': 'application/json', 'Content-Length': '500' });
  await new Promise<void>((sent) => response.write('{"token_type":', () => sent()));
  response.destroy();
}

function servePage(pathname: string, response: ServerResponse): void {
  const name = basename(pathname);
  const isPage = name === 'page.html' || name === 'page.js';
  const type = name.endsWith('.html') ? 'text/html' : 'text/javascript';
  try {
    const content = readFileSync(join(isPage ? PAGES : BUILT_CLIENT, name));
    response.writeHead(200, { 'Content-Type': type }).end(content);
  } catch {
    response.writeHead(404).end();
  }
}

function passOn(
  app: string,
  request: IncomingMessage,
  response: ServerResponse,
  beforeAnswer: (status: number) => Promise<void>,
): void {
  const { method, headers, url = '/' } = request;
  // The Host stays as the browser wrote it: the app must take the front's origin for its own.
  const outgoing = httpRequest(app, { method, path: url, headers }, (answer) => {
    const status = answer.statusCode ?? 502;
    const relay = async (): Promise<void> => {
      await beforeAnswer(status);
      if (response.destroyed) answer.resume();
      else answer.pipe(response.writeHead(status, answer.headers));
    };
    void relay();
  });
  outgoing.on('error', () => response.destroy());
  request.pipe(outgoing);
}
