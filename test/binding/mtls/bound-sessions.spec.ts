import { decodeJwt } from 'jose';

import { createAuthority } from '../../support/tls-authority.js';
import { newPrivateJwk } from '../../support/token-mother.js';
import { type BoundApp, type BoundAppOptions, BoundClient, startBoundApp } from './bound-app.js';
import { thumbprintByOpenssl } from './certificate-app.js';

/** Tokens that are bound to a TLS certificate, from the login to the end of the session (RFC 8705). */

const authority = createAuthority();
const server = authority.issue();
const owners = authority.issue();
const CERTIFICATES = {
  'the right one': owners,
  none: undefined,
  'another one of the same authority': authority.issue(),
  'a new one of the same key': authority.issue({ key: owners.key }),
  'a self-signed one of the same name': authority.selfSigned(),
  'one of another authority': createAuthority().issue(),
};
const WRONG = Object.entries(CERTIFICATES).filter(([name]) => name !== 'the right one');

const running = new Set<BoundApp>();

afterEach(async () => {
  await Promise.all([...running].map((app) => app.close()));
  running.clear();
});

async function start(options: Partial<BoundAppOptions> = {}): Promise<BoundApp> {
  const tls = { ...server, ca: authority.ca, requestCert: true, rejectUnauthorized: false };
  const app = await startBoundApp({ adapter: 'express', tls, binding: { mtls: {} }, ...options });
  running.add(app);
  return app;
}

function client(app: BoundApp, certificate: (typeof CERTIFICATES)['none' | 'the right one']) {
  return new BoundClient(`https://localhost:${app.port}`, { ca: authority.ca, certificate });
}

const wrongClients = (app: BoundApp) =>
  WRONG.map(([name, certificate]) => [name, client(app, certificate)] as const);

describe.each(['express', 'fastify'] as const)('a session of %s', (adapter) => {
  it('says whose certificate its tokens are bound to, and lets no other use them', async () => {
    const app = await start({ adapter });
    const owner = client(app, owners);
    const tokens = await owner.logIn();
    expect(tokens.token_type).toBe('Bearer');
    const { cnf } = decodeJwt(tokens.access_token);
    expect(cnf).toEqual({ 'x5t#S256': thumbprintByOpenssl(owners.cert) });
    for (const path of ['/things', '/bound', '/things']) {
      expect((await owner.get(path, tokens.access_token)).status).toBe(200);
      for (const [name, thief] of wrongClients(app)) {
        const { status, headers, body } = await thief.get(path, tokens.access_token);
        expect([name, status, headers['www-authenticate']]).toEqual([
          name,
          401,
          'Bearer error="invalid_token"',
        ]);
        expect(JSON.parse(body)).toEqual({ error: 'invalid_token' });
      }
    }
    const told = app.events.filter(({ type }) => type === 'binding.mismatched');
    expect(told).toHaveLength(3 * WRONG.length);
    expect(told).toEqual(
      told.map(() => expect.objectContaining({ kind: 'mtls', response: 'refuse' })),
    );
  });

  it('goes on with its certificate alone', async () => {
    const app = await start({ adapter });
    const owner = client(app, owners);
    const first = await owner.logIn();
    const second = await owner.refresh(first.refresh_token);
    if (typeof second === 'number') throw new Error(`answered with ${second}`);
    expect(decodeJwt(second.access_token)['cnf']).toEqual(decodeJwt(first.access_token)['cnf']);
    expect((await owner.get('/bound', second.access_token)).status).toBe(200);
  });

  it.each(WRONG)('ends if it is refreshed with %s', async (_, certificate) => {
    const app = await start({ adapter });
    const owner = client(app, owners);
    const tokens = await owner.logIn();
    expect(await client(app, certificate).refresh(tokens.refresh_token)).toBe(401);
    // Whoever has the refresh token and not the certificate has stolen it.
    expect(await owner.refresh(tokens.refresh_token)).toBe(401);
    expect((await owner.get('/things', tokens.access_token)).status).toBe(401);
  });

  it('is not bound if it began without a certificate, and then is not for bound routes', async () => {
    const app = await start({ adapter });
    const nobody = client(app, undefined);
    const tokens = await nobody.logIn();
    expect(decodeJwt(tokens.access_token)['cnf']).toBeUndefined();
    expect((await nobody.get('/things', tokens.access_token)).status).toBe(200);
    for (const certificate of [undefined, owners]) {
      const { status } = await client(app, certificate).get('/bound', tokens.access_token);
      expect(status).toBe(401);
    }
  });
});

describe('a service that asks every session for a certificate', () => {
  const binding = { mtls: {}, required: ['mtls'] } as const;

  it('starts none without it', async () => {
    const app = await start({ binding });
    await expect(client(app, undefined).logIn()).rejects.toThrow('answered with 4');
    const tokens = await client(app, owners).logIn();
    expect((await client(app, owners).get('/things', tokens.access_token)).status).toBe(200);
  });
});

describe('a service that takes any certificate', () => {
  it('binds sessions to self-signed ones as well', async () => {
    const app = await start({ binding: { mtls: { certificates: 'any' } } });
    const own = authority.selfSigned();
    const tokens = await client(app, own).logIn();
    expect((await client(app, own).get('/bound', tokens.access_token)).status).toBe(200);
    for (const thief of [undefined, owners, authority.selfSigned()]) {
      expect((await client(app, thief).get('/bound', tokens.access_token)).status).toBe(401);
    }
  });
});

describe('a token that is bound to a certificate', () => {
  it('is refused by a service of the same keys that does not look at certificates', async () => {
    const signingKey = await newPrivateJwk();
    const owner = client(await start({ signingKey }), owners);
    const { access_token: token } = await owner.logIn();
    const statuses = await Promise.all(
      [{ mtls: {} }, {}, { mtls: null }, { dpop: {} }].map(async (binding) => {
        const app = await start({ signingKey, binding });
        return (await client(app, owners).get('/things', token)).status;
      }),
    );
    expect(statuses).toEqual([200, 401, 401, 401]);
  });

  it('is no better for a header that only proxies may write', async () => {
    const app = await start();
    const { access_token: token } = await client(app, owners).logIn();
    const header = { 'client-cert': `:${Buffer.from('x').toString('base64')}:` };
    expect((await client(app, undefined).get('/things', token, header)).status).toBe(401);
    expect((await client(app, owners).get('/things', token, header)).status).toBe(200);
  });
});
