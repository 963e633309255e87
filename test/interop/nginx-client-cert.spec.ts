import { X509Certificate } from 'node:crypto';

import {
  type CertificateApp,
  type CertificateAppOptions,
  type SeenSender,
  startCertificateApp,
  thumbprintByOpenssl,
} from '../binding/mtls/certificate-app.js';
import {
  type BoundApp,
  type BoundAppOptions,
  BoundClient,
  startBoundApp,
} from '../binding/mtls/bound-app.js';
import { type TlsWish, visit } from '../binding/mtls/tls-client.js';
import { closeConnections, send } from '../support/http.js';
import { describeWithNginx, type Nginx, type NginxWish, startNginx } from '../support/nginx.js';
import { createAuthority } from '../support/tls-authority.js';

/** What nginx hands on of its TLS clients: their certificate as RFC 9440 has it, and their address. */

/** From here nginx comes; everybody else on this machine from other addresses. */
const PROXY = '127.0.0.2';
const CLIENT = '127.0.0.7';

const authority = createAuthority();
const stranger = createAuthority();
const server = authority.issue();
const client = authority.issue();
const other = authority.issue();

/** The certificate of somebody else, as clients write it into headers: it is no secret. */
const STOLEN = `:${new X509Certificate(other.cert).raw.toString('base64')}:`;

const running: { stop(): Promise<void> }[] = [];

afterEach(async () => {
  for (const each of running.splice(0).toReversed()) await each.stop();
});
afterAll(closeConnections);

async function start(
  verifyClient: NginxWish['verifyClient'],
  options: Partial<CertificateAppOptions> = {},
): Promise<{ readonly app: CertificateApp; readonly nginx: Nginx }> {
  const app = await startCertificateApp({
    adapter: 'express',
    tls: null,
    config: { proxyHeader: 'Client-Cert' },
    trustedProxies: [PROXY],
    ...options,
  });
  running.push({ stop: () => app.close() });
  const nginx = await startNginx({
    upstream: app.port,
    comesFrom: PROXY,
    certificate: server,
    clientCa: authority.ca,
    verifyClient,
  });
  running.push(nginx);
  return { app, nginx };
}

async function startBound(
  options: Partial<Pick<BoundAppOptions, 'adapter' | 'transport'>> = {},
): Promise<{ readonly app: BoundApp; readonly nginx: Nginx }> {
  const { adapter = 'express', transport = {} } = options;
  const app = await startBoundApp({
    adapter,
    tls: null,
    binding: { mtls: { proxyHeader: 'Client-Cert' } },
    transport: { trustedProxies: [PROXY], ...transport },
  });
  running.push({ stop: () => app.close() });
  const nginx = await startNginx({
    upstream: app.port,
    comesFrom: PROXY,
    certificate: server,
    clientCa: authority.ca,
    verifyClient: 'optional',
  });
  running.push(nginx);
  return { app, nginx };
}

function clientOf(nginx: Nginx, certificate: typeof client | undefined): BoundClient {
  return new BoundClient(`https://localhost:${nginx.port}`, { ca: authority.ca, certificate });
}

async function seenThrough(nginx: Nginx, wish: Partial<TlsWish> = {}): Promise<SeenSender> {
  const { body } = await visit(`https://localhost:${nginx.port}/seen`, {
    ca: authority.ca,
    localAddress: CLIENT,
    ...wish,
  });
  return JSON.parse(body) as SeenSender;
}

describeWithNginx('a client behind nginx', () => {
  it.each(['express', 'fastify'] as const)('shows its certificate to %s', async (adapter) => {
    const { nginx } = await start('on', { adapter });
    for (const certificate of [client, other, client]) {
      expect(await seenThrough(nginx, { certificate })).toEqual({
        thumbprint: thumbprintByOpenssl(certificate.cert),
        address: CLIENT,
      });
    }
  });

  it.each([
    ['none', undefined],
    ['one of another authority', stranger.issue()],
    ['a self-signed one', authority.selfSigned()],
    ['an expired one', authority.issue({ days: -1 })],
  ])('does not get past it with %s', async (_, certificate) => {
    const { nginx } = await start('on');
    const answer = await visit(`https://localhost:${nginx.port}/seen`, {
      ca: authority.ca,
      certificate,
      headers: { 'Client-Cert': STOLEN },
    });
    expect(answer.status).toBe(400);
    expect(answer.body).toContain('nginx');
  });

  it('shows none where nginx does not insist on one', async () => {
    const { nginx } = await start('optional');
    expect(await seenThrough(nginx)).toEqual({ thumbprint: null, address: CLIENT });
  });

  it('cannot write the field itself', async () => {
    const { nginx } = await start('optional');
    const own = thumbprintByOpenssl(client.cert);
    for (const name of ['Client-Cert', 'client-cert', 'CLIENT-CERT']) {
      for (const value of [STOLEN, [STOLEN, STOLEN], '', 'junk']) {
        const headers = { [name]: value };
        expect(await seenThrough(nginx, { headers })).toMatchObject({ thumbprint: null });
        const shown = await seenThrough(nginx, { headers, certificate: client });
        expect(shown).toMatchObject({ thumbprint: own });
      }
    }
  });

  it('cannot do so under the names that others use', async () => {
    const { nginx } = await start('optional');
    const names = [
      'X-Client-Cert',
      'X-SSL-Client-Cert',
      'X-Forwarded-Client-Cert',
      'Client_Cert',
      'Client-Cert-Chain',
    ];
    const headers = Object.fromEntries(names.map((name) => [name, STOLEN]));
    expect(await seenThrough(nginx, { headers })).toMatchObject({ thumbprint: null });
  });

  it('cannot have the field removed and then written by itself', async () => {
    const { nginx } = await start('optional');
    const headers = { Connection: 'Client-Cert', 'Client-Cert': STOLEN };
    expect(await seenThrough(nginx, { headers })).toMatchObject({ thumbprint: null });
  });

  it('cannot go around nginx', async () => {
    const { app } = await start('on');
    const headers = { 'Client-Cert': STOLEN, 'X-Forwarded-For': PROXY, Forwarded: `for=${PROXY}` };
    const { body } = await send(`http://127.0.0.1:${app.port}`, '/seen', { headers });
    expect(JSON.parse(body)).toEqual({ thumbprint: null, address: '127.0.0.1' });
  });
});

describeWithNginx('the address of a client behind nginx', () => {
  it.each([
    ['X-Forwarded-For', {}],
    ['X-Forwarded-For', { 'X-Forwarded-For': '6.6.6.6' }],
    ['X-Forwarded-For', { 'X-Forwarded-For': `6.6.6.6, ${PROXY}` }],
    ['X-Forwarded-For', { 'X-Forwarded-For': 'junk' }],
    ['X-Forwarded-For', { Forwarded: 'for=6.6.6.6' }],
    ['X-Forwarded-For', { 'X-Real-IP': '6.6.6.6' }],
    ['Forwarded', {}],
    ['Forwarded', { Forwarded: 'for=6.6.6.6' }],
    ['Forwarded', { Forwarded: `for=6.6.6.6, for=${PROXY}` }],
    ['Forwarded', { Forwarded: 'for="6.6.6.6' }],
    ['Forwarded', { Forwarded: 'for=6.6.6.6;by="' }],
    ['Forwarded', { Forwarded: 'for="\\' }],
    ['Forwarded', { Forwarded: ['for=6.6.6.6', 'for=7.7.7.7;x="'] }],
    ['Forwarded', { 'X-Forwarded-For': '6.6.6.6' }],
  ] as const)(
    'is what nginx wrote into %s, whatever the client says: %j',
    async (name, headers) => {
      const { nginx } = await start('optional', { forwardedHeader: name });
      expect(await seenThrough(nginx, { headers })).toMatchObject({ address: CLIENT });
    },
  );
});

describeWithNginx('a session behind nginx', () => {
  const written = { 'Client-Cert': `:${new X509Certificate(client.cert).raw.toString('base64')}:` };

  it.each(['express', 'fastify'] as const)(
    'is bound to the certificate, at %s',
    async (adapter) => {
      const { nginx } = await startBound({ adapter });
      const owner = clientOf(nginx, client);
      const { access_token: token, refresh_token: refreshToken } = await owner.logIn();
      expect((await owner.get('/bound', token)).status).toBe(200);
      for (const thief of [clientOf(nginx, undefined), clientOf(nginx, other)]) {
        expect((await thief.get('/things', token)).status).toBe(401);
        expect((await thief.get('/things', token, written)).status).toBe(401);
      }
      const next = await owner.refresh(refreshToken);
      if (typeof next === 'number') throw new Error(`answered with ${next}`);
      expect((await owner.get('/bound', next.access_token)).status).toBe(200);
      expect(await clientOf(nginx, other).refresh(next.refresh_token)).toBe(401);
      expect((await owner.get('/things', next.access_token)).status).toBe(401);
    },
  );

  it('is closed to a request that goes around nginx', async () => {
    const { app, nginx } = await startBound();
    const { access_token: token } = await clientOf(nginx, client).logIn();
    const headers = { ...written, 'X-Forwarded-For': PROXY };
    expect((await app.send('/things', { token, headers })).status).toBe(401);
    expect((await clientOf(nginx, client).get('/things', token)).status).toBe(200);
  });

  it.each(['X-Forwarded-For', 'Forwarded'] as const)(
    'comes over https if nginx says so in %s, and nobody else',
    async (forwardedHeader) => {
      const { app, nginx } = await startBound({
        transport: { https: 'required', forwardedHeader },
      });
      const { access_token: token } = await clientOf(nginx, client).logIn();
      expect((await clientOf(nginx, client).get('/things', token)).status).toBe(200);
      const headers = {
        ...written,
        'X-Forwarded-Proto': 'https',
        Forwarded: `for=${PROXY};proto=https`,
      };
      expect((await app.send('/things', { token, headers })).status).toBe(308);
    },
  );
});
