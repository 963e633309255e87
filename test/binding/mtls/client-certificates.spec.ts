import { connect as connectHttp2, constants } from 'node:http2';
import { Agent } from 'node:https';
import { connect } from 'node:tls';

import { send, closeConnections } from '../../support/http.js';
import { type Certificate, createAuthority } from '../../support/tls-authority.js';
import {
  type CertificateApp,
  type CertificateAppOptions,
  type SeenSender,
  startCertificateApp,
  thumbprintByOpenssl,
} from './certificate-app.js';
import { type TlsVisit, type TlsWish, visit } from './tls-client.js';

/** Which certificate counts at a real TLS server: RFC 8705, over handshakes of every kind. */

const VERSIONS = ['TLSv1.2', 'TLSv1.3'] as const;

const authority = createAuthority();
const server = authority.issue();
/** They call themselves the same, and their certificates differ in nothing but who signed them. */
const right = authority.issue();
const clients = {
  right,
  renewed: authority.issue({ key: right.key }),
  none: undefined,
  'self-signed': authority.selfSigned(),
  'of another authority': createAuthority().issue(),
  expired: authority.issue({ days: -1 }),
} satisfies Record<string, Certificate | undefined>;

type ClientName = keyof typeof clients;

const running = new Set<CertificateApp>();

afterEach(async () => {
  await Promise.all([...running].map((app) => app.close()));
  running.clear();
});
afterAll(closeConnections);

async function start(options: Partial<CertificateAppOptions> = {}): Promise<CertificateApp> {
  const tls = { ...server, ca: authority.ca, requestCert: true, rejectUnauthorized: false };
  const app = await startCertificateApp({ adapter: 'express', tls, ...options });
  running.add(app);
  return app;
}

function come(app: CertificateApp, wish: Partial<TlsWish> = {}): Promise<TlsVisit> {
  return visit(`https://localhost:${app.port}/seen`, { ca: authority.ca, ...wish });
}

function seenIn({ body }: { readonly body: string }): SeenSender['thumbprint'] {
  return (JSON.parse(body) as SeenSender).thumbprint;
}

function thumbprintOf(client: ClientName): string | null {
  const certificate: Certificate | undefined = clients[client];
  return certificate === undefined ? null : thumbprintByOpenssl(certificate.cert);
}

describe.each(['express', 'fastify'] as const)('a TLS client of %s', (adapter) => {
  const rows: readonly (readonly [ClientName, 'authorized' | 'any', ClientName])[] = [
    ['right', 'authorized', 'right'],
    ['renewed', 'authorized', 'renewed'],
    ['none', 'authorized', 'none'],
    // CVE-2023-2422: nobody looked who signed it.
    ['self-signed', 'authorized', 'none'],
    ['of another authority', 'authorized', 'none'],
    ['expired', 'authorized', 'none'],
    ['right', 'any', 'right'],
    ['none', 'any', 'none'],
    ['self-signed', 'any', 'self-signed'],
    ['of another authority', 'any', 'of another authority'],
    ['expired', 'any', 'expired'],
  ];

  it.each(rows)(
    'whose certificate is %s, where %s ones count, is seen as %s',
    async (client, certificates, seen) => {
      const app = await start({ adapter, config: { certificates } });
      for (const version of VERSIONS) {
        const answer = await come(app, { certificate: clients[client], version });
        expect([version, seenIn(answer)]).toEqual([version, thumbprintOf(seen)]);
      }
    },
  );

  it('keeps its certificate over all requests of its connection, and shares it with nobody', async () => {
    const app = await start({ adapter });
    const agents = { right: new Agent({ keepAlive: true }), none: new Agent({ keepAlive: true }) };
    const seen: unknown[] = [];
    try {
      for (let time = 0; time < 3; time++) {
        for (const client of ['right', 'none'] as const) {
          const wish = { certificate: clients[client], agent: agents[client] };
          const answer = await come(app, wish);
          seen.push([client, seenIn(answer), answer.isReused]);
        }
      }
    } finally {
      for (const agent of Object.values(agents)) agent.destroy();
    }
    const print = thumbprintOf('right');
    expect(seen).toEqual([
      ['right', print, false],
      ['none', null, false],
      ['right', print, true],
      ['none', null, true],
      ['right', print, true],
      ['none', null, true],
    ]);
  });

  it('that writes certificates into headers shows none', async () => {
    const app = await start({ adapter });
    const headers = { 'client-cert': ':AA==:', 'x-forwarded-client-cert': 'x', 'x-ssl-cert': 'x' };
    expect(seenIn(await come(app, { headers }))).toBeNull();
  });

  it('has no certificate over http', async () => {
    const app = await start({ adapter, tls: null, config: { certificates: 'any' } });
    expect(seenIn(await send(`http://127.0.0.1:${app.port}`, '/seen'))).toBeNull();
  });
});

describe('a TLS session that is resumed', () => {
  it.each(VERSIONS)('keeps the certificate it began with, in %s', async (version) => {
    const app = await start();
    const first = await come(app, { certificate: clients.right, version });
    const second = await come(app, {
      certificate: clients.right,
      version,
      session: first.session,
    });
    expect(second.isResumed).toBe(true);
    expect([seenIn(first), seenIn(second)]).toEqual([thumbprintOf('right'), thumbprintOf('right')]);
  });

  it.each(VERSIONS)('cannot be given another certificate, in %s', async (version) => {
    const app = await start();
    const first = await come(app, { certificate: clients.right, version });
    const { session } = first;
    const second = await come(app, { certificate: clients.renewed, version, session });
    expect([second.isResumed, seenIn(second)]).toEqual([true, thumbprintOf('right')]);
  });

  // Node says "authorized" of the one without a certificate in TLS 1.3 (nodejs/node#35317).
  it.each(
    VERSIONS.flatMap((version) =>
      (['none', 'self-signed', 'of another authority', 'expired'] as const).map(
        (client) => [version, client] as const,
      ),
    ),
  )('does not turn into one with a certificate, in %s: %s', async (version, client) => {
    const app = await start();
    const certificate: Certificate | undefined = clients[client];
    const first = await come(app, { certificate, version });
    const { session } = first;
    const resumed = [
      await come(app, { certificate, version, session }),
      await come(app, { certificate: clients.right, version, session }),
    ];
    expect(resumed.map(({ isResumed }) => isResumed)).toEqual([true, true]);
    expect([first, ...resumed].map(seenIn)).toEqual([null, null, null]);
  });

  it('shows none where any counts and there was none', async () => {
    const app = await start({ config: { certificates: 'any' } });
    for (const version of VERSIONS) {
      const { session } = await come(app, { version });
      const second = await come(app, { version, session });
      expect([second.isResumed, seenIn(second)]).toEqual([true, null]);
    }
  });
});

describe('a connection whose certificate was read', () => {
  /** Whether the server goes along with a new handshake after it answered a request. */
  function renegotiate(app: CertificateApp, path: string): Promise<'went along' | 'refused'> {
    return new Promise((resolve) => {
      const socket = connect({
        host: 'localhost',
        port: app.port,
        ca: authority.ca,
        ...clients.right,
        maxVersion: 'TLSv1.2',
      });
      const end = (outcome: 'went along' | 'refused'): void => {
        socket.destroy();
        resolve(outcome);
      };
      socket.on('error', () => end('refused'));
      socket.on('close', () => end('refused'));
      socket.once('secureConnect', () => {
        socket.write(`GET ${path} HTTP/1.1\r\nHost: localhost\r\n\r\n`);
      });
      socket.once('data', () => {
        socket.renegotiate({}, (error) => end(error === null ? 'went along' : 'refused'));
      });
    });
  }

  it('cannot change it by a new handshake', async () => {
    const app = await start();
    expect(await renegotiate(app, '/seen')).toBe('refused');
    // Another route reads no certificate: that it goes along there shows what was refused above.
    expect(await renegotiate(app, '/nothing')).toBe('went along');
  });
});

describe('a request over HTTP/2', () => {
  it.each(['right', 'none', 'self-signed'] as const)(
    'shows the certificate: %s',
    async (client) => {
      const app = await start({ adapter: 'fastify with HTTP/2' });
      const connection = connectHttp2(`https://localhost:${app.port}`, {
        ca: authority.ca,
        ...clients[client],
      });
      try {
        const ask = async (): Promise<string | null> => {
          const stream = connection.request({ [constants.HTTP2_HEADER_PATH]: '/seen' });
          return seenIn({ body: (await stream.toArray()).join('') });
        };
        const expected = client === 'right' ? thumbprintOf('right') : null;
        expect([await ask(), await ask()]).toEqual([expected, expected]);
      } finally {
        connection.destroy();
      }
    },
  );
});

describe('a connection that comes from a proxy of ours over TLS', () => {
  it.each(['authorized', 'any'] as const)(
    'shows the certificate of the proxy, which is nobody, where %s ones count',
    async (certificates) => {
      const app = await start({ config: { certificates }, trustedProxies: ['127.0.0.1'] });
      expect(seenIn(await come(app, { certificate: clients.right }))).toBeNull();
    },
  );
});
