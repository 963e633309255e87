/**
 * The load generator, a process of its own: keep-alive sockets that each send one prebuilt request,
 * wait for the whole answer and send the next. An answer that is not 200 or not as long as the first
 * ends the run: a refusal is always faster than the work.
 */
import { connect } from 'node:net';

import { readMachine, readProcess } from './processor-time.mjs';

const CONNECTIONS = 50;
const ANSWER_WITHIN_MS = 10_000;
const STATUS_AT = 'HTTP/1.1 '.length;
const OK = Buffer.from('200');
const END_OF_HEAD = Buffer.from('\r\n\r\n');

let requests = [];
/** Where each server stands in the cycle of tokens, so that its cache sees one long cycle. */
const cursors = new Map();

process.on('message', (message) => {
  if ('tokens' in message) {
    requests = message.tokens.map(requestWith);
    cursors.clear();
    process.send({ ready: true });
    return;
  }
  run(message).then(
    (result) => process.send({ result }),
    (error) => process.send({ failure: error.message }),
  );
});

/** `null` for a request without a token. */
function requestWith(token) {
  const authorization = token === null ? '' : `Authorization: Bearer ${token}\r\n`;
  return Buffer.from(
    `GET /bench HTTP/1.1\r\nHost: 127.0.0.1\r\nAccept: */*\r\n${authorization}\r\n`,
  );
}

/** Ends after the time or the number of requests, whichever comes first. */
async function run({ port, pid, milliseconds, requestsAtMost = Infinity, distinctTokens }) {
  const cycle = requests.slice(0, distinctTokens);
  let cursor = cursors.get(port) ?? 0;
  let sent = 0;
  const next = () => {
    sent++;
    if (cursor >= cycle.length) cursor = 0;
    return cycle[cursor++];
  };

  const lines = await Promise.all(
    Array.from({ length: CONNECTIONS }, () => new Line(port).connected()),
  );
  // One answer on every connection before the clock starts: connecting is not what is measured.
  await Promise.all(lines.map((line) => line.exchange(next, () => true)));

  const before = { server: readProcess(pid), self: readProcess(process.pid), all: readMachine() };
  const startedAt = process.hrtime.bigint();
  const deadline = startedAt + BigInt(milliseconds) * 1_000_000n;
  const isOver = () => sent >= requestsAtMost || process.hrtime.bigint() >= deadline;
  const counts = await Promise.all(lines.map((line) => line.exchange(next, isOver)));
  const wall = Number(process.hrtime.bigint() - startedAt);
  const after = { server: readProcess(pid), self: readProcess(process.pid), all: readMachine() };

  cursors.set(port, cursor);
  for (const line of lines) line.close();
  const spent = (of, field) => after[of][field] - before[of][field];
  return {
    requests: counts.reduce((sum, count) => sum + count, 0),
    wall,
    main: spent('server', 'main'),
    mainWaited: spent('server', 'mainWaited'),
    serverAll: spent('server', 'all'),
    generator: spent('self', 'main'),
    /** Processors that others took meanwhile. */
    others: Math.max(
      0,
      (after.all - before.all - spent('server', 'all') - spent('self', 'all')) / wall,
    ),
  };
}

/** One connection. */
class Line {
  #socket;
  #connected;
  #expected = 0;
  #pending = Buffer.alloc(0);
  #exchange;
  #answers = 0;

  constructor(port) {
    this.#socket = connect({
      port,
      host: '127.0.0.1',
      noDelay: true,
      // One buffer for all answers: the generator shares two cores with what it measures.
      onread: {
        buffer: Buffer.alloc(16 * 1024),
        callback: (length, buffer) => {
          this.#receive(buffer.subarray(0, length));
          return true;
        },
      },
    });
    this.#connected = new Promise((resolve, reject) => {
      this.#socket.once('connect', resolve).once('error', reject);
    });
    this.#socket.on('error', (error) => this.#exchange?.reject(error));
    this.#socket.on('close', () => this.#exchange?.reject(new Error('the server hung up')));
  }

  async connected() {
    await this.#connected;
    return this;
  }

  /** Request after request until it is over, at least one; answers how many. */
  async exchange(next, isOver) {
    let watchdog;
    try {
      return await new Promise((resolve, reject) => {
        this.#exchange = { next, isOver, resolve, reject, count: 0 };
        watchdog = setInterval(() => {
          if (this.#answers === 0) reject(new Error('the server stopped answering'));
          this.#answers = 0;
        }, ANSWER_WITHIN_MS);
        this.#socket.write(next());
      });
    } finally {
      clearInterval(watchdog);
    }
  }

  close() {
    this.#exchange = undefined;
    this.#socket.destroy();
  }

  #receive(chunk) {
    const answer =
      this.#pending.length === 0 ? chunk : Buffer.concat([this.#pending, Buffer.from(chunk)]);
    if (answer.length !== this.#expected && !this.#isComplete(answer)) {
      this.#pending = Buffer.from(answer);
      return;
    }
    this.#pending = Buffer.alloc(0);
    const exchange = this.#exchange;
    if (exchange === undefined) return;
    if (OK.compare(answer, STATUS_AT, STATUS_AT + 3) !== 0) {
      const status = answer.toString('latin1', 0, STATUS_AT + 3);
      exchange.reject(new Error(`the server answered ${status}`));
      return;
    }
    exchange.count++;
    this.#answers++;
    if (exchange.isOver()) exchange.resolve(exchange.count);
    else this.#socket.write(exchange.next());
  }

  /** Learns the length of the known answer from its head. */
  #isComplete(answer) {
    const head = answer.indexOf(END_OF_HEAD);
    if (head < 0) return false;
    const length = /\r\ncontent-length: (\d+)/i.exec(answer.toString('latin1', 0, head));
    if (length === null) {
      this.#exchange?.reject(new Error('the answer does not say its length'));
      return false;
    }
    const complete = head + END_OF_HEAD.length + Number(length[1]);
    if (answer.length < complete) return false;
    if (answer.length > complete) {
      this.#exchange?.reject(new Error('the server sent more than the answer'));
    } else if (this.#expected !== 0) {
      this.#exchange?.reject(new Error('the server changed its answer'));
    }
    this.#expected = complete;
    return true;
  }
}
