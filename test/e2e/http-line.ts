import { connect, type Socket } from 'node:net';

/**
 * One connection to one server, for clients that ask a hundred thousand times: what a full client
 * does around each request would take more of the processors than the servers that are watched.
 */

export interface LineAnswer {
  readonly status: number;
  /** By its name in lower case. */
  readonly headers: (name: string) => string | undefined;
  readonly text: string;
}

interface Exchange {
  readonly resolve: (answer: LineAnswer) => void;
  readonly reject: (error: Error) => void;
}

const END_OF_HEAD = '\r\n\r\n';
const PATIENCE = 60_000;

export class HttpLine {
  readonly #port: number;
  #socket: Socket | undefined;
  #received = Buffer.alloc(0);
  #exchange: Exchange | undefined;
  /** Requests go out one after the other. */
  #turn: Promise<unknown> = Promise.resolve();

  constructor(port: number) {
    this.#port = port;
  }

  /** Rejects when the connection fails; the next request makes another one. */
  ask(line: string, head: readonly string[], body = ''): Promise<LineAnswer> {
    const answer = this.#turn.then(() => this.#ask(line, head, body));
    this.#turn = answer.catch(() => {});
    return answer;
  }

  close(): void {
    this.#socket?.destroy(new Error('the client hung up'));
  }

  #ask(line: string, head: readonly string[], body: string): Promise<LineAnswer> {
    const lines = [
      `${line} HTTP/1.1`,
      'Host: 127.0.0.1',
      `Content-Length: ${Buffer.byteLength(body)}`,
      ...head,
    ];
    return new Promise((resolve, reject) => {
      this.#exchange = { resolve, reject };
      this.#socket ??= this.#connect();
      this.#socket.write(lines.join('\r\n') + END_OF_HEAD + body);
    });
  }

  #connect(): Socket {
    const socket = connect({ port: this.#port, host: '127.0.0.1', noDelay: true });
    this.#received = Buffer.alloc(0);
    const fail = (error: Error): void => {
      // What a connection that was given up has to say is no news of the next one.
      if (this.#socket !== socket) return;
      this.#socket = undefined;
      socket.destroy();
      this.#exchange?.reject(error);
      this.#exchange = undefined;
    };
    socket.setTimeout(PATIENCE, () => {
      if (this.#exchange !== undefined) fail(new Error('the server does not answer'));
    });
    socket.on('error', fail);
    socket.on('close', () => fail(new Error('the server hung up')));
    socket.on('data', (chunk) => this.#receive(chunk));
    return socket;
  }

  #receive(chunk: Buffer): void {
    this.#received = Buffer.concat([this.#received, chunk]);
    const end = this.#received.indexOf(END_OF_HEAD);
    if (end < 0) return;
    const head = this.#received.toString('latin1', 0, end);
    const headers = (name: string): string | undefined =>
      new RegExp(`\r\n${name}: ([^\r]*)`, 'i').exec(head)?.[1];
    const start = end + END_OF_HEAD.length;
    const complete = start + Number(headers('content-length'));
    if (!(this.#received.length >= complete)) return;
    const text = this.#received.toString('utf8', start, complete);
    this.#received = this.#received.subarray(complete);
    const exchange = this.#exchange;
    this.#exchange = undefined;
    exchange?.resolve({ status: Number(head.slice(9, 12)), headers, text });
  }
}
