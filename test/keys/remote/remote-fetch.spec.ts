import { once } from 'node:events';
import { createServer, type Server, type Socket } from 'node:net';
import tls from 'node:tls';
import { gzipSync } from 'node:zlib';

import { CertificatePins, normalizePin } from '../../../lib/keys/remote/certificate-pins.js';
import {
  createTrust,
  type DocumentSource,
  documentUrlFault,
  FetchError,
  type FetchedDocument,
} from '../../../lib/keys/remote/document-fetch.js';
import { fetchJwks, MAX_JWKS_BYTES } from '../../../lib/keys/remote/jwks-fetch.js';
import {
  type Answerer,
  type IssuerServer,
  sendJson,
  startIssuerServer,
} from '../../support/issuer-server.js';
import {
  createAuthority,
  opensslFingerprint,
  opensslPublicKeyPin,
} from '../../support/tls-authority.js';

const authority = createAuthority();
const certificate = authority.issue();
const trust = createTrust([authority.ca]);
const DOCUMENT = { keys: [{ kty: 'EC' }] };
const ANSWER = 'HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n{}';
const JSON_TYPE = { 'content-type': 'application/json' };

let server: IssuerServer;

beforeAll(async () => {
  server = await startIssuerServer(certificate);
});

beforeEach(() => {
  server.answer = sendJson(DOCUMENT);
  server.show(certificate);
});

const source = (overrides: Partial<DocumentSource> = {}): DocumentSource => ({
  url: server.url,
  pins: null,
  trust,
  timeout: 5_000,
  ...overrides,
});

const get = (overrides?: Partial<DocumentSource>): Promise<FetchedDocument> =>
  fetchJwks(source(overrides), new AbortController().signal);

async function refusal(attempt: Promise<unknown>): Promise<FetchError> {
  const outcome: unknown = await attempt.catch((error: unknown) => error);
  if (outcome instanceof FetchError) return outcome;
  throw outcome instanceof Error ? outcome : new Error('the answer was accepted');
}

/** Every connection is given back, whatever became of the fetch. */
afterEach(async () => {
  await until(() => server.open === 0);
});

async function until(condition: () => boolean): Promise<void> {
  const deadline = Date.now() + 60_000;
  while (!condition()) {
    if (Date.now() > deadline) throw new Error('the condition never held');
    await new Promise((resolve) => setImmediate(resolve));
  }
}

describe('a JWKS URL', () => {
  it.each([
    ['https://issuer.example/jwks', undefined],
    ['https://issuer.example:8443/a/b?p=c', undefined],
    ['https://[::1]/jwks', undefined],
    ['http://issuer.example/jwks', 'it is not https'],
    ['file:///etc/passwd', 'it is not https'],
    ['https://user@issuer.example/jwks', 'it holds a user name or password'],
    ['https://:secret@issuer.example/jwks', 'it holds a user name or password'],
    ['https://issuer.example/jwks#keys', 'it has a fragment'],
    ['https://issuer.example/jwks#', 'it has a fragment'],
  ])('%s: %s', (url, fault) => {
    expect(documentUrlFault(new URL(url))).toBe(fault);
  });
});

describe('a good answer', () => {
  it('is read whole', async () => {
    const { body, maxAge } = await get();
    expect(JSON.parse(body.toString())).toEqual(DOCUMENT);
    expect(maxAge).toBeNull();
  });

  it.each(['application/jwk-set+json', 'Application/JSON; charset=utf-8', 'application/json;'])(
    'may be of type %s',
    async (type) => {
      server.answer = sendJson(DOCUMENT, { 'content-type': type });
      await expect(get()).resolves.toBeDefined();
    },
  );

  it('was asked for without encodings, on a connection of its own, path and query as configured', async () => {
    await get({ url: new URL('/a%2Fb/../c?p=x%20y', server.url) });
    expect(server.paths.at(-1)).toBe('/c?p=x%20y');
    expect(server.headers).toMatchObject({
      host: `localhost:${server.port}`,
      accept: 'application/jwk-set+json, application/json;q=0.9',
      'accept-encoding': 'identity',
      connection: 'close',
    });
    expect(server.headers).not.toHaveProperty('authorization');
  });

  it('may fill the limit to the byte', async () => {
    server.answer = (_request, response) => {
      response.writeHead(200, JSON_TYPE);
      response.end(Buffer.alloc(MAX_JWKS_BYTES, 0x20));
    };
    expect((await get()).body).toHaveLength(MAX_JWKS_BYTES);
  });

  it.each([
    ['nothing', {}, null],
    ['max-age=300', {}, 300_000],
    ['public, MAX-AGE=300, must-revalidate', {}, 300_000],
    ['max-age="300"', {}, 300_000],
    ['max-age=300', { age: '100' }, 200_000],
    ['max-age=300', { age: '400' }, 0],
    ['max-age=300', { age: 'old' }, 300_000],
    ['max-age=300, max-age=60', {}, 60_000],
    ['max-age=300, no-store', {}, 0],
    ['no-cache', {}, 0],
    ['no-cache="x"', {}, 0],
    ['max-age=-5', {}, 0],
    ['max-age=ten', {}, 0],
    ['max-age', {}, 0],
    ['s-maxage=300', {}, null],
    ['public', {}, null],
    [`max-age=${'9'.repeat(400)}`, {}, 31_536_000_000],
  ])('that says %s %j may be kept %s ms', async (cacheControl, headers, maxAge) => {
    server.answer = sendJson(DOCUMENT, {
      ...headers,
      ...(cacheControl === 'nothing' ? {} : { 'cache-control': cacheControl }),
    });
    expect((await get()).maxAge).toBe(maxAge);
  });
});

const answers: readonly (readonly [string, string, Answerer])[] = [
  ...[301, 302, 303, 307, 308].map(
    (status) =>
      [
        `a redirect with ${status}`,
        'bad-status',
        (request, response) => {
          const location = request.url === '/jwks' ? '/elsewhere' : '/jwks';
          response.writeHead(status, { ...JSON_TYPE, location });
          response.end(JSON.stringify(DOCUMENT));
        },
      ] satisfies readonly [string, string, Answerer],
  ),
  ...[201, 203, 204, 206, 304, 401, 404, 500, 503].map(
    (status) =>
      [
        `the status ${status}`,
        'bad-status',
        (_request, response) => {
          response.writeHead(status, JSON_TYPE);
          response.end(status === 204 || status === 304 ? undefined : JSON.stringify(DOCUMENT));
        },
      ] satisfies readonly [string, string, Answerer],
  ),
  ...[
    'text/html',
    'text/plain',
    'application/json5',
    'application/jsonp',
    'xapplication/json',
    '',
  ].map(
    (type) =>
      [
        `the type "${type}"`,
        'bad-media-type',
        sendJson(DOCUMENT, { 'content-type': type }),
      ] satisfies readonly [string, string, Answerer],
  ),
  [
    'no type',
    'bad-media-type',
    (_request, response) => void response.end(JSON.stringify(DOCUMENT)),
  ],
  [
    'a body that unpacks to 1 GiB',
    'encoded',
    (_request, response) => {
      response.writeHead(200, { ...JSON_TYPE, 'content-encoding': 'gzip' });
      response.end(gzipSync(Buffer.alloc(1 << 24)));
    },
  ],
  ['a small body in brotli', 'encoded', sendJson(DOCUMENT, { 'content-encoding': 'br' })],
  [
    'encodings upon encodings',
    'encoded',
    sendJson(DOCUMENT, { 'content-encoding': 'gzip, identity' }),
  ],
  [
    'a length over the limit',
    'too-large',
    (_request, response) => {
      response.writeHead(200, { ...JSON_TYPE, 'content-length': String(MAX_JWKS_BYTES + 1) });
      response.flushHeaders();
    },
  ],
  [
    'a body that never ends',
    'too-large',
    (_request, response) => {
      response.writeHead(200, JSON_TYPE);
      const chunk = Buffer.alloc(65_536, 0x20);
      const more = (): void => {
        while (!response.destroyed && response.write(chunk));
      };
      response.on('drain', more);
      more();
    },
  ],
  [
    'one byte too many',
    'too-large',
    (_request, response) => {
      response.writeHead(200, JSON_TYPE);
      response.write(Buffer.alloc(MAX_JWKS_BYTES, 0x20));
      response.end(' ');
    },
  ],
  [
    'a body that is cut off',
    'connection-failed',
    (request, response) => {
      response.writeHead(200, { ...JSON_TYPE, 'content-length': '100' });
      response.write('{"keys":[]}');
      response.on('finish', () => {});
      setImmediate(() => request.socket.end());
    },
  ],
  ['no answer at all', 'connection-failed', (request) => void request.socket.destroy()],
  [
    'a change of protocol',
    'bad-status',
    (request) => {
      request.socket.write(
        'HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: x\r\n\r\n',
      );
    },
  ],
  [
    'something that is not HTTP',
    'connection-failed',
    (request) => void request.socket.end('SSH-2.0-server\r\n\r\n'),
  ],
  [
    'headers over the limit',
    'connection-failed',
    (request) => {
      request.socket.write(`HTTP/1.1 200 OK\r\nX: ${'x'.repeat(20_000)}\r\n\r\n`);
    },
  ],
  [
    'two lengths',
    'connection-failed',
    (request) => {
      request.socket.write(
        'HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\n{}',
      );
    },
  ],
];

describe('refused is', () => {
  it.each(answers)('%s: %s', async (_what, failure, answer) => {
    const before = server.paths.length;
    server.answer = answer;
    expect((await refusal(get())).failure).toBe(failure);
    // Asked once, and nothing else in its place.
    expect(server.paths.slice(before)).toEqual(['/jwks']);
  });
});

describe('the time for one fetch', () => {
  const timeout = 300;

  const drip =
    (head: string): Answerer =>
    (request) => {
      const { socket } = request;
      socket.write(head);
      const interval = setInterval(() => socket.write(' '), 20);
      socket.on('close', () => clearInterval(interval));
    };

  it.each([
    ['headers that do not come', () => {}],
    ['headers that drip', drip('HTTP/1.1 200 OK\r\nX-Padding: ')],
    [
      'a body that drips',
      drip('HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 4000\r\n\r\n'),
    ],
    [
      'interim answers without end',
      (request) => {
        const { socket } = request;
        const interval = setInterval(() => socket.write('HTTP/1.1 103 Early Hints\r\n\r\n'), 20);
        socket.on('close', () => clearInterval(interval));
      },
    ],
  ] satisfies readonly (readonly [string, Answerer])[])('cuts off %s', async (_what, answer) => {
    server.answer = answer;
    expect((await refusal(get({ timeout }))).failure).toBe('timeout');
  });

  it('counts the handshake', async () => {
    const silent = createServer();
    const port = await listen(silent);
    const { failure } = await refusal(get({ timeout, url: new URL(`https://localhost:${port}/`) }));
    expect(failure).toBe('timeout');
  });

  it('ends when it is called off', async () => {
    server.answer = () => {};
    const controller = new AbortController();
    const before = server.paths.length;
    const fetching = refusal(fetchJwks(source(), controller.signal));
    await until(() => server.paths.length > before);
    controller.abort();
    expect((await fetching).failure).toBe('closed');
    expect((await refusal(fetchJwks(source(), controller.signal))).failure).toBe('closed');
  });
});

const listening = new Map<Server, Set<Socket>>();

// A client or server that keeps its side open would keep the runner waiting.
afterEach(() => {
  for (const [plain, sockets] of listening) {
    plain.close();
    sockets.forEach((socket) => socket.destroy());
  }
  listening.clear();
});

async function listen(plain: Server): Promise<number> {
  const sockets = new Set<Socket>();
  listening.set(plain, sockets);
  plain.on('connection', (socket) => {
    sockets.add(socket);
    socket.on('error', () => {});
  });
  plain.listen(0, 'localhost');
  await once(plain, 'listening');
  const address = plain.address();
  if (address === null || typeof address === 'string') throw new Error('not listening');
  return address.port;
}

describe('a server is not recognised', () => {
  const cases: readonly (readonly [string, () => Partial<DocumentSource>])[] = [
    ['with an unknown authority', () => ({ trust: createTrust([]) })],
    [
      'with another authority of the same name',
      () => ({ trust: createTrust([createAuthority().ca]) }),
    ],
    [
      'with a certificate it signed itself',
      () => {
        server.show(authority.selfSigned());
        return {};
      },
    ],
    [
      'with the certificate of another host',
      () => {
        server.show(authority.issue({ subjectAltName: 'DNS:other.example' }));
        return {};
      },
    ],
    [
      'with a name in a place where an address was asked for',
      () => ({ url: new URL(`https://127.0.0.1:${server.port}/jwks`) }),
    ],
    [
      'with a certificate that has expired',
      () => {
        server.show(authority.issue({ days: -1 }));
        return {};
      },
    ],
  ];

  it.each(cases)('%s', async (_what, prepare) => {
    const overrides = prepare();
    const before = server.paths.length;
    const error = await refusal(get(overrides));
    expect(error.failure).toBe('certificate-refused');
    expect(error.message).toMatch(/^The certificate of the server is not valid \([A-Z_]+\)\.$/);
    expect(server.paths).toHaveLength(before);
  });

  it.each(cases)('%s, although the environment says not to check', async (_what, prepare) => {
    const overrides = prepare();
    const { env } = realProcess();
    const before = env['NODE_TLS_REJECT_UNAUTHORIZED'];
    env['NODE_TLS_REJECT_UNAUTHORIZED'] = '0';
    try {
      // Anybody else gets through.
      const other = tls.connect({ host: 'localhost', port: server.port });
      await once(other, 'secureConnect');
      other.destroy();
      const error = await refusal(get(overrides));
      expect(error.failure).toBe('certificate-refused');
      // By the handshake itself, which names the fault, and not only by our look at it afterwards.
      expect(error.message).toMatch(/\([A-Z_]+\)\.$/);
    } finally {
      if (before === undefined) delete env['NODE_TLS_REJECT_UNAUTHORIZED'];
      else env['NODE_TLS_REJECT_UNAUTHORIZED'] = before;
    }
  });

  /** Jest gives tests a copy of the environment; what Node's own code sees is this one. */
  function realProcess(): NodeJS.Process {
    const OuterFunction = tls.connect.constructor as FunctionConstructor;
    return OuterFunction('return process')() as NodeJS.Process;
  }

  it('with TLS 1.1, although the process allows it', async () => {
    const old = await startIssuerServer({
      ...certificate,
      minVersion: 'TLSv1.1',
      maxVersion: 'TLSv1.1',
      ciphers: 'DEFAULT@SECLEVEL=0',
    });
    const { DEFAULT_MIN_VERSION, DEFAULT_CIPHERS } = tls;
    const defaults: { DEFAULT_MIN_VERSION: string; DEFAULT_CIPHERS: string } = tls;
    defaults.DEFAULT_MIN_VERSION = 'TLSv1';
    defaults.DEFAULT_CIPHERS = 'DEFAULT@SECLEVEL=0';
    try {
      // Anybody else gets through.
      const other = tls.connect({ host: 'localhost', port: old.port, ca: authority.ca });
      await once(other, 'secureConnect');
      expect(other.getProtocol()).toBe('TLSv1.1');
      other.destroy();
      const loose = { url: old.url, trust: createTrust([authority.ca]) };
      expect((await refusal(get(loose))).failure).toBe('connection-failed');
      expect(old.paths).toEqual([]);
    } finally {
      Object.assign(defaults, { DEFAULT_MIN_VERSION, DEFAULT_CIPHERS });
    }
  });

  it('by a second handshake that nobody looks at', async () => {
    const outcomes: string[] = [];
    const turning = tls.createServer({ ...certificate, maxVersion: 'TLSv1.2' }, (socket) => {
      socket.on('error', () => {});
      socket.once('data', () => {
        socket.renegotiate({}, (error) => {
          outcomes.push(error === null ? 'renegotiated' : 'refused');
          socket.end(ANSWER);
        });
      });
      socket.on('close', () => outcomes.push('closed'));
    });
    const url = new URL(`https://localhost:${await listen(turning)}/`);
    // Another client plays along.
    const other = tls.connect({ host: 'localhost', port: Number(url.port), ca: authority.ca });
    other.on('error', () => {});
    other.write('GET / HTTP/1.1\r\n\r\n');
    other.resume();
    await until(() => outcomes.length > 0);
    expect(outcomes[0]).toBe('renegotiated');
    other.destroy();
    outcomes.length = 0;
    await refusal(get({ url, timeout: 1_000 }));
    expect(outcomes).not.toContain('renegotiated');
  });

  it('without TLS', async () => {
    const plain = createServer((socket) => socket.end('HTTP/1.1 200 OK\r\n\r\n{}'));
    const port = await listen(plain);
    const { failure } = await refusal(get({ url: new URL(`https://localhost:${port}/`) }));
    expect(failure).toBe('connection-failed');
  });

  it('when nobody listens', async () => {
    const gone = await startIssuerServer(certificate);
    await gone.close();
    const error = await refusal(get({ url: gone.url }));
    expect(error.failure).toBe('connection-failed');
    expect(error.message).toBe('The connection failed (ECONNREFUSED).');
  });
});

describe('an address', () => {
  it('is a host like any other', async () => {
    const local = await startIssuerServer(
      authority.issue({ subjectAltName: 'IP:127.0.0.1' }),
      sendJson(DOCUMENT),
      '127.0.0.1',
    );
    await expect(get({ url: new URL(`https://127.0.0.1:${local.port}/`) })).resolves.toBeDefined();
  });
});

describe('pins', () => {
  const fingerprint = opensslFingerprint(certificate.cert);
  const publicKey = opensslPublicKeyPin(certificate.cert);
  const other = authority.issue();
  const backup = opensslPublicKeyPin(other.cert);
  const pins = (
    options: ConstructorParameters<typeof CertificatePins>[0],
  ): Partial<DocumentSource> => ({
    pins: new CertificatePins(options),
  });

  it.each([
    ['of the certificate', { certificates: [fingerprint] }],
    ['of its key', { publicKeys: [publicKey] }],
    ['of it among others', { publicKeys: [backup, publicKey] }],
  ])('let a server pass: %s', async (_what, options) => {
    await expect(get(pins(options))).resolves.toBeDefined();
  });

  it('let the backup take over', async () => {
    server.show(other);
    await expect(get(pins({ publicKeys: [publicKey, backup] }))).resolves.toBeDefined();
  });

  it('let a renewed certificate with the same key pass, if they are of the key', async () => {
    server.show(authority.issue({ key: certificate.key }));
    await expect(get(pins({ publicKeys: [publicKey] }))).resolves.toBeDefined();
    expect((await refusal(get(pins({ certificates: [fingerprint] })))).failure).toBe(
      'pin-mismatch',
    );
  });

  it('refuse a valid certificate that is not theirs, and say which it was', async () => {
    const before = server.paths.length;
    const error = await refusal(get(pins({ publicKeys: [backup] })));
    expect(error.failure).toBe('pin-mismatch');
    expect(error.shown).toEqual({
      certificate: normalizePin(fingerprint),
      publicKey: normalizePin(publicKey),
    });
    expect(server.paths).toHaveLength(before);
  });

  it.each(['TLSv1.2', 'TLSv1.3'] as const)(
    'are checked before a byte of the request is sent (%s)',
    async (version) => {
      const received: number[] = [];
      const ended: unknown[] = [];
      const raw = tls.createServer(
        { ...certificate, minVersion: version, maxVersion: version },
        (socket) => {
          let bytes = 0;
          socket.on('data', (chunk) => {
            bytes += chunk.length;
            socket.end('HTTP/1.1 204 No Content\r\n\r\n');
          });
          socket.on('error', () => {});
          socket.on('close', () => received.push(bytes));
        },
      );
      raw.on('connection', (socket) => socket.on('close', () => ended.push(socket)));
      const port = await listen(raw);
      const url = new URL(`https://localhost:${port}/`);
      expect((await refusal(get({ url, ...pins({ publicKeys: [backup] }) }))).failure).toBe(
        'pin-mismatch',
      );
      await until(() => ended.length === 1);
      expect(received.filter((bytes) => bytes > 0)).toEqual([]);
      // Without the pin, the same server hears of us.
      expect((await refusal(get({ url }))).failure).toBe('bad-status');
      await until(() => received.some((bytes) => bytes > 0));
    },
  );

  it.each([
    ['that has expired', () => authority.issue({ key: certificate.key, days: -1 })],
    ['of another host', () => authority.issue({ key: certificate.key, subjectAltName: 'DNS:a' })],
    ['of an unknown authority', () => createAuthority().issue({ key: certificate.key })],
  ])('do not stand in for the ordinary validation of a certificate %s', async (_what, issue) => {
    server.show(issue());
    expect((await refusal(get(pins({ publicKeys: [publicKey] })))).failure).toBe(
      'certificate-refused',
    );
  });

  it('are checked each time: no session is ever resumed', async () => {
    const before = server.handshakes.length;
    await get(pins({ publicKeys: [publicKey] }));
    await get(pins({ publicKeys: [publicKey] }));
    // A session could be resumed here: the server offers tickets, and others do.
    await expectResumption();
    expect(server.handshakes.slice(before)).toEqual(['full', 'full', 'full', 'resumed']);
    // The same server, which would accept its own tickets, with another certificate.
    server.show(other);
    expect((await refusal(get(pins({ publicKeys: [publicKey] })))).failure).toBe('pin-mismatch');
  });

  async function expectResumption(): Promise<void> {
    const options = { host: 'localhost', port: server.port, ca: authority.ca };
    const first = tls.connect(options);
    first.resume();
    const [session] = (await once(first, 'session')) as [Buffer];
    first.destroy();
    const second = tls.connect({ ...options, session });
    await once(second, 'secureConnect');
    expect(second.isSessionReused()).toBe(true);
    await until(() => server.handshakes.at(-1) === 'resumed');
    second.destroy();
  }
});
