import { randomBytes } from 'node:crypto';

import { ADAPTERS, ISSUER } from '../support/guarded-app.js';
import { closeConnections, send } from '../support/http.js';
import { recordSecret } from '../support/witness.js';
import { tokenOf } from './log-in.js';
import { type FormAnswer, postForm } from './post-form.js';
import { type RunningLedger, startLedger } from './running-ledger.js';

afterAll(closeConnections);

describe.each(ADAPTERS)('the OAuth endpoints of the sample app on %s', (adapter) => {
  const secret = randomBytes(32).toString('hex');
  let ledger: RunningLedger;
  beforeAll(async () => {
    recordSecret(secret);
    ledger = await startLedger(adapter, { env: { OAUTH_CLIENT_SECRET: secret } });
  });
  afterAll(() => ledger.close());

  const revoke = (token: string): Promise<FormAnswer> =>
    postForm(`${ledger.url}/oauth/revoke`, { token }, { secret });
  const introspect = async (token: string): Promise<unknown> =>
    JSON.parse((await postForm(`${ledger.url}/oauth/introspect`, { token }, { secret })).body);

  it('say of a token how it stands, and no more than a resource server needs (RFC 7662)', async () => {
    const token = await tokenOf(ledger.url, 'alice');
    expect(await introspect(token)).toMatchObject({
      active: true,
      iss: ISSUER,
      aud: 'ledger-api',
      sub: 'alice',
      client_id: 'ledger-web',
      scope: 'accounts:read transfers:write',
    });
    await send(ledger.url, '/auth/logout', { method: 'POST', token });
    expect(await introspect(token)).toEqual({ active: false });
  });

  it('revoke a token, and it alone (RFC 7009)', async () => {
    const [one, two] = [await tokenOf(ledger.url, 'bob'), await tokenOf(ledger.url, 'bob')];
    expect(await revoke(one)).toMatchObject({ status: 200, body: '' });
    const statuses = [one, two].map(
      async (token) => (await send(ledger.url, '/me', { token })).status,
    );
    expect(await Promise.all(statuses)).toEqual([401, 200]);
    // RFC 7009 §2.2: what is no good already is answered alike.
    expect([(await revoke(one)).status, (await revoke('not-a-token')).status]).toEqual([200, 200]);
  });

  it.each(['/oauth/revoke', '/oauth/introspect'])('%s knows its clients', async (path) => {
    const token = await tokenOf(ledger.url, 'carol');
    const attempts = [
      {},
      { secret: randomBytes(32).toString('hex') },
      { secret, clientId: 'somebody-else' },
    ];
    for (const attempt of attempts) {
      const answer = await postForm(`${ledger.url}${path}`, { token }, attempt);
      expect(answer).toMatchObject({ status: 401, body: '{"error":"invalid_client"}' });
      expect(answer.headers.get('www-authenticate')).toMatch(/^Basic /);
    }
    expect((await send(ledger.url, '/me', { token })).status).toBe(200);
  });

  it('see a parameter twice, however many stand between', async () => {
    const token = await tokenOf(ledger.url, 'alice');
    const form = new URLSearchParams({ token });
    for (let index = 0; index < 1000; index += 1) form.append(`x${index}`, '');
    form.append('token', 'another');
    const answer = await postForm(`${ledger.url}/oauth/revoke`, form, { secret });
    // Express does not read so many.
    expect(answer.status).toBe(adapter === 'fastify' ? 400 : 413);
    expect((await send(ledger.url, '/me', { token })).status).toBe(200);
  });

  it('read forms only, and nothing else does', async () => {
    const body = { token: 'x' };
    const json = await send(ledger.url, '/oauth/introspect', { method: 'POST', body });
    expect(json).toMatchObject({ status: 400, body: '{"error":"invalid_request"}' });
    const credentials = { username: 'alice', password: 'alice-demo' };
    const login = await postForm(`${ledger.url}/auth/login`, credentials);
    expect(login).toMatchObject({ status: 400, body: '{"error":"invalid_request"}' });
  });
});

describe('the OAuth endpoints of the sample app without OAUTH_CLIENT_SECRET', () => {
  it('are there for nobody', async () => {
    const ledger = await startLedger('express');
    for (const secret of ['', '0'.repeat(64)]) {
      const answer = await postForm(`${ledger.url}/oauth/revoke`, { token: 'x' }, { secret });
      expect(answer).toMatchObject({ status: 401, body: '{"error":"invalid_client"}' });
    }
    await ledger.close();
  });
});
