import { createHash, randomBytes } from 'node:crypto';

import { ADAPTERS } from '../support/guarded-app.js';
import { closeConnections, send } from '../support/http.js';
import { recordSecret } from '../support/witness.js';
import { type RunningLedger, startLedger } from './running-ledger.js';

afterAll(closeConnections);

const REDIRECT_URI = 'http://127.0.0.1:49152/callback';
const ALICE = { username: 'alice', password: 'alice-demo', consent: 'yes' };

interface Answer {
  readonly status: number;
  readonly body: string;
}

interface Tokens {
  readonly access_token: string;
  readonly refresh_token: string;
  readonly scope: string;
}

describe.each(ADAPTERS)('an app on a device at the sample app on %s', (adapter) => {
  let ledger: RunningLedger;
  beforeAll(async () => {
    // The login page is one of the issuer's own.
    ledger = await startLedger(adapter, { env: { JWT_ISSUER: 'http://localhost:3000' } });
  });
  afterAll(() => ledger.close());

  /** What the app keeps until its code comes back. */
  const beginning = (): { verifier: string; state: string; url: string } => {
    const verifier = randomBytes(32).toString('base64url');
    const state = randomBytes(16).toString('base64url');
    recordSecret(verifier);
    const query = new URLSearchParams({
      response_type: 'code',
      client_id: 'ledger-native',
      redirect_uri: REDIRECT_URI,
      scope: 'accounts:read',
      state,
      code_challenge: createHash('sha256').update(verifier).digest('base64url'),
      code_challenge_method: 'S256',
    });
    return { verifier, state, url: `/oauth/authorize?${query.toString()}` };
  };

  const submit = (url: string, form: Readonly<Record<string, string>>): Promise<Response> =>
    fetch(`${ledger.url}${url}`, {
      method: 'POST',
      headers: { origin: 'http://localhost:3000' },
      body: new URLSearchParams(form),
      redirect: 'manual',
    });

  const codeFor = async (url: string): Promise<URL> => {
    const answer = await submit(url, ALICE);
    expect(answer.status).toBe(303);
    return new URL(answer.headers.get('location') ?? '');
  };

  /** Answers that hand out tokens on purpose are kept from the witness. */
  const ask = async (form: Readonly<Record<string, string>>): Promise<Answer> => {
    const body = new URLSearchParams({ client_id: 'ledger-native', ...form });
    const answer = await fetch(`${ledger.url}/oauth/token`, { method: 'POST', body });
    return { status: answer.status, body: await answer.text() };
  };

  const redeem = (code: string, verifier: string): Promise<Answer> =>
    ask({
      grant_type: 'authorization_code',
      redirect_uri: REDIRECT_URI,
      code,
      code_verifier: verifier,
    });

  it('logs in by the page, and gets tokens of the scope it asked for', async () => {
    const { verifier, state, url } = beginning();
    const page = await send(ledger.url, url);
    expect(page.status).toBe(200);
    expect(page.body).toContain('ledger-native');
    expect(page.headers['x-frame-options']).toBe('DENY');
    const back = await codeFor(url);
    expect(`${back.origin}${back.pathname}`).toBe(REDIRECT_URI);
    expect(back.searchParams.get('state')).toBe(state);
    expect(back.searchParams.get('iss')).toBe('http://localhost:3000');
    const code = back.searchParams.get('code') ?? '';
    recordSecret(code);
    const answer = await redeem(code, verifier);
    expect(answer.status).toBe(200);
    const tokens = JSON.parse(answer.body) as Tokens;
    recordSecret(tokens.access_token);
    recordSecret(tokens.refresh_token);
    expect(tokens.scope).toBe('accounts:read');
    expect((await send(ledger.url, '/accounts', { token: tokens.access_token })).status).toBe(200);
    const sessions = await send(ledger.url, '/auth/sessions', { token: tokens.access_token });
    expect(JSON.parse(sessions.body)).toMatchObject([{ device: 'ledger-native', current: true }]);
    const { refresh_token } = tokens;
    const refreshed = await ask({ grant_type: 'refresh_token', refresh_token });
    expect(refreshed.status).toBe(200);
    recordSecret((JSON.parse(refreshed.body) as Tokens).refresh_token);
    // Its code once more: somebody has a copy, and what it gave is over.
    expect((await redeem(code, verifier)).status).toBe(400);
    expect((await send(ledger.url, '/me', { token: tokens.access_token })).status).toBe(401);
  });

  it('gets no code for a wrong password, a refusal, or the form of another site', async () => {
    const { url } = beginning();
    const wrong = await submit(url, { ...ALICE, password: 'wrong' });
    expect(wrong.status).toBe(401);
    expect(await wrong.text()).not.toContain('alice');
    const denied = await submit(url, { ...ALICE, consent: 'no' });
    expect(denied.headers.get('location')).toContain('error=access_denied');
    const foreign = await fetch(`${ledger.url}${url}`, {
      method: 'POST',
      headers: { origin: 'https://evil.example' },
      body: new URLSearchParams(ALICE),
      redirect: 'manual',
    });
    expect(foreign.status).toBe(403);
  });

  it('is told where everything is', async () => {
    const answer = await send(ledger.url, '/.well-known/oauth-authorization-server');
    expect(JSON.parse(answer.body)).toMatchObject({
      issuer: 'http://localhost:3000',
      authorization_endpoint: 'http://localhost:3000/oauth/authorize',
      token_endpoint: 'http://localhost:3000/oauth/token',
      code_challenge_methods_supported: ['S256'],
    });
  });
});
