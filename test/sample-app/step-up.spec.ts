import { randomUUID } from 'node:crypto';

import { Clock } from '../../lib/kernel/clock.js';
import { importSigningKey } from '../../lib/keys/key-material.js';
import { UserDirectory } from '../../sample-app/users/user-directory.js';
import { digestOf, encode, type Holder, newHolder } from '../binding/dpop/proof-mother.js';
import { ADAPTERS, ISSUER } from '../support/guarded-app.js';
import { type Answer, closeConnections, send } from '../support/http.js';
import { forgeAccess, newPrivateJwk } from '../support/token-mother.js';
import { recordSecret } from '../support/witness.js';
import { AheadClock } from './ahead-clock.js';
import { BrowserPage } from './browser-page.js';
import { type Login, logIn, tokenOf } from './log-in.js';
import { type RunningLedger, startLedger } from './running-ledger.js';

afterAll(closeConnections);

const MINUTE = 60_000;
const HEADER = 'X-Confirmation-Token';

function claimsOf(token: string): Readonly<Record<string, unknown>> {
  const [, payload = ''] = token.split('.');
  return JSON.parse(Buffer.from(payload, 'base64url').toString('utf8')) as Record<string, unknown>;
}

describe.each(ADAPTERS)('stepping up at the sample app on %s', (adapter) => {
  let ledger: RunningLedger;
  let clock: AheadClock;
  beforeEach(async () => {
    clock = new AheadClock();
    ledger = await startLedger(adapter, {
      override: (builder) => builder.overrideProvider(Clock).useValue(clock),
    });
  });
  afterEach(() => ledger.close());

  const stepUp = (token: string, body: unknown): Promise<Answer> =>
    send(ledger.url, '/auth/step-up', { method: 'POST', token, body, handsOutTokens: 'yes' });
  const renewed = async (token: string, password: string): Promise<Login> => {
    const answer = await stepUp(token, { password });
    expect(answer.status).toBe(200);
    const login = JSON.parse(answer.body) as Login;
    recordSecret(login.access_token);
    recordSecret(login.refresh_token);
    return login;
  };
  const confirmed = async (token: string, name: string, action: string): Promise<string> => {
    const answer = await stepUp(token, { password: `${name}-demo`, action });
    const { confirmation_token } = JSON.parse(answer.body) as { confirmation_token: string };
    recordSecret(confirmation_token);
    return confirmation_token;
  };
  const transfer = (token: string): Promise<Answer> =>
    send(ledger.url, '/transfers', { method: 'POST', token, body: { to: 'bob', amount: '1.00' } });
  const remove = (token: string, confirmation?: string): Promise<Answer> =>
    send(ledger.url, '/me', {
      method: 'DELETE',
      token,
      ...(confirmation === undefined ? {} : { headers: { [HEADER]: confirmation } }),
    });
  const statusOf = async (token: string): Promise<number> =>
    (await send(ledger.url, '/me', { token })).status;

  it('is what a transfer asks for five minutes after the login', async () => {
    const login = await logIn(ledger.url, 'alice');
    const first = await transfer(login.access_token);
    expect(first.status).toBe(201);
    expect(JSON.parse(first.body)).toEqual({ id: expect.any(String), status: 'accepted' });

    clock.ahead = 6 * MINUTE;
    const challenge = await transfer(login.access_token);
    expect(challenge).toMatchObject({
      status: 401,
      body: '{"error":"insufficient_user_authentication"}',
    });
    expect(challenge.headers['www-authenticate']).toMatch(
      /^Bearer error="insufficient_user_authentication", max_age="300"/,
    );
    expect(await statusOf(login.access_token)).toBe(200);

    const fresh = await renewed(login.access_token, 'alice-demo');
    expect((await transfer(fresh.access_token)).status).toBe(201);
    expect(claimsOf(fresh.access_token)).toMatchObject({
      sub: 'alice',
      scope: 'accounts:read transfers:write',
      acr: 'urn:ledger:acr:pwd',
      amr: ['pwd'],
    });
  });

  it('ends the session it takes the place of, and answers as a login does', async () => {
    const login = await logIn(ledger.url, 'alice');
    const fresh = await renewed(login.access_token, 'alice-demo');
    expect(Object.keys(fresh).toSorted()).toEqual(Object.keys(login).toSorted());
    expect(await statusOf(fresh.access_token)).toBe(200);
    expect(await statusOf(login.access_token)).toBe(401);
    const refreshed = await send(ledger.url, '/auth/refresh', {
      method: 'POST',
      body: { refresh_token: login.refresh_token },
    });
    expect(refreshed.status).toBe(401);
    const { body } = await send(ledger.url, '/auth/sessions', { token: fresh.access_token });
    expect(JSON.parse(body)).toHaveLength(1);
  });

  it('is not what a refresh is: that keeps when the user authenticated', async () => {
    const login = await logIn(ledger.url, 'alice');
    clock.ahead = 6 * MINUTE;
    const refreshed = await send(ledger.url, '/auth/refresh', {
      method: 'POST',
      body: { refresh_token: login.refresh_token },
      handsOutTokens: 'yes',
    });
    const { access_token } = JSON.parse(refreshed.body) as Login;
    recordSecret(access_token);
    expect(claimsOf(access_token)['auth_time']).toBe(claimsOf(login.access_token)['auth_time']);
    expect((await transfer(access_token)).status).toBe(401);
  });

  it('leaves denied what is denied: who may not move money is not asked to step up', async () => {
    const token = await tokenOf(ledger.url, 'carol');
    expect(await transfer(token)).toMatchObject({
      status: 403,
      body: '{"error":"insufficient_scope"}',
    });
  });

  it('answers a wrong password with 403, logs nobody out and no password', async () => {
    const token = await tokenOf(ledger.url, 'alice');
    const wrong = 'nobody-has-this-password-4712';
    recordSecret(wrong);
    const answer = await stepUp(token, { password: wrong });
    expect(answer).toMatchObject({ status: 403, body: '{"error":"invalid_grant"}' });
    expect(await stepUp(token, { password: 'bob-demo' })).toMatchObject({ status: 403 });
    expect(await stepUp(token, { password: wrong, action: 'delete_account' })).toMatchObject({
      status: 403,
    });
    expect(await statusOf(token)).toBe(200);
    const id = String(answer.headers['x-request-id']);
    expect(ledger.logs()).toContainEqual(`step-up.refused requestId=${id} Auth`);
  });

  it('demands a token', async () => {
    for (const path of ['/auth/step-up', '/auth/totp', '/transfers']) {
      const body = { password: 'alice-demo' };
      expect((await send(ledger.url, path, { method: 'POST', body })).status).toBe(401);
    }
    expect((await send(ledger.url, '/me', { method: 'DELETE' })).status).toBe(401);
  });

  const ok = { password: 'alice-demo' };
  it.each<readonly [string, unknown]>([
    ['nothing', undefined],
    ['null', null],
    ['a list', [ok]],
    ['no password', {}],
    ['an empty password', { password: '' }],
    ['a password that is a number', { password: 1 }],
    ['another user', { ...ok, username: 'bob' }],
    ['an action that there is not', { ...ok, action: 'rob_bank' }],
    ['an empty action', { ...ok, action: '' }],
    ['an action that is a list', { ...ok, action: ['delete_account'] }],
    ['an action of the prototype', { ...ok, action: 'constructor' }],
    ['an action of nothing', { ...ok, action: null }],
    ['a code that is a number', { ...ok, code: 123_456 }],
    ['an empty code', { ...ok, code: '' }],
  ])('refuses %s', async (_, body) => {
    const token = await tokenOf(ledger.url, 'alice');
    expect(await stepUp(token, body)).toMatchObject({
      status: 400,
      body: '{"error":"invalid_request"}',
    });
    expect(await statusOf(token)).toBe(200);
  });

  it('in cookies answers with new ones, and asks for the CSRF token', async () => {
    const page = new BrowserPage(ledger.url);
    expect((await page.logIn('alice')).status).toBe(200);
    const asleep = page.copy();
    const forged = { headers: { 'x-csrf-token': 'forged' }, body: ok };
    expect((await page.send('POST', '/auth/step-up', forged)).status).toBe(403);
    const answer = await page.send('POST', '/auth/step-up', { body: ok });
    expect(answer.status).toBe(200);
    expect(Object.keys(JSON.parse(answer.body) as object).toSorted()).toEqual([
      'csrf_token',
      'expires_in',
      'scope',
      'token_type',
    ]);
    expect(page.csrfToken).not.toBe(asleep.csrfToken);
    expect((await page.send('POST', '/transfers')).status).toBe(201);
    expect((await asleep.send('POST', '/transfers')).status).toBe(401);
  });

  describe('DELETE /me', () => {
    it('takes a confirmation of just that, once', async () => {
      const token = await tokenOf(ledger.url, 'alice');
      const asked = { status: 401, body: '{"error":"insufficient_user_authentication"}' };
      const challenge = await remove(token);
      expect(challenge).toMatchObject(asked);
      expect(challenge.headers['www-authenticate']).toContain('action="delete_account"');
      expect(await remove(token, await confirmed(token, 'alice', 'enroll_totp'))).toMatchObject(
        asked,
      );
      const bob = await tokenOf(ledger.url, 'bob');
      expect(await remove(token, await confirmed(bob, 'bob', 'delete_account'))).toMatchObject(
        asked,
      );
      expect(await remove(token, token)).toMatchObject(asked);
      const confirmation = await confirmed(token, 'alice', 'delete_account');
      expect(await remove(token, confirmation)).toMatchObject({ status: 204, body: '' });
      expect((await remove(token, confirmation)).status).toBe(401);
      expect([await statusOf(token), await statusOf(bob)]).toEqual([401, 200]);
    });

    it('also takes it in its body', async () => {
      const token = await tokenOf(ledger.url, 'bob');
      const body = { confirmation_token: await confirmed(token, 'bob', 'delete_account') };
      const headers = { 'content-length': `${JSON.stringify(body).length}` };
      const answer = await send(ledger.url, '/me', { method: 'DELETE', token, headers, body });
      expect(answer.status).toBe(204);
    });

    it('ends every login of the user, and no confirmation outlives them', async () => {
      const [one, two] = [await tokenOf(ledger.url, 'alice'), await tokenOf(ledger.url, 'alice')];
      const other = await confirmed(two, 'alice', 'delete_account');
      expect((await remove(one, await confirmed(one, 'alice', 'delete_account'))).status).toBe(204);
      expect(await statusOf(two)).toBe(401);
      const three = await tokenOf(ledger.url, 'alice');
      expect((await remove(three, other)).status).toBe(401);
      expect(await statusOf(three)).toBe(200);
    });

    it('lets the user of the demo grow back as it was', async () => {
      const token = await tokenOf(ledger.url, 'carol');
      const body = { password: 'carol-demo', new_password: 'another-one-for-carol' };
      recordSecret(body.new_password);
      await send(ledger.url, '/auth/password', { method: 'POST', token, body });
      const answer = await stepUp(token, { password: body.new_password, action: 'delete_account' });
      const { confirmation_token } = JSON.parse(answer.body) as { confirmation_token: string };
      recordSecret(confirmation_token);
      expect((await remove(token, confirmation_token)).status).toBe(204);
      await expect(tokenOf(ledger.url, 'carol')).resolves.toEqual(expect.any(String));
    });

    it('gets through once of 50 at a time', async () => {
      const token = await tokenOf(ledger.url, 'alice');
      const confirmation = await confirmed(token, 'alice', 'delete_account');
      const answers = await Promise.all(
        Array.from({ length: 50 }, () => remove(token, confirmation)),
      );
      expect(answers.filter(({ status }) => status === 204)).toHaveLength(1);
      expect(answers.filter(({ status }) => status === 401)).toHaveLength(49);
    });

    it('is over with the session that confirmed it', async () => {
      const [one, two] = [await tokenOf(ledger.url, 'alice'), await tokenOf(ledger.url, 'alice')];
      const confirmation = await confirmed(one, 'alice', 'delete_account');
      await renewed(one, 'alice-demo');
      expect((await remove(two, confirmation)).status).toBe(401);
      expect(await statusOf(two)).toBe(200);
    });
  });
});

describe('a step-up of the sample app', () => {
  const ORIGIN = 'http://localhost:3000';

  async function proof(holder: Holder, method: string, path: string, token?: string) {
    const header = { typ: 'dpop+jwt', alg: holder.alg, jwk: holder.jwk };
    const claims = {
      jti: randomUUID(),
      htm: method,
      htu: `${ORIGIN}${path}`,
      iat: Math.floor(Date.now() / 1000),
      ...(token === undefined ? {} : { ath: digestOf(token) }),
    };
    const input = `${encode(header)}.${encode(claims)}`;
    const signature = await holder.key.sign(Buffer.from(input));
    return `${input}.${Buffer.from(signature).toString('base64url')}`;
  }

  it('keeps the key that the session is bound to', async () => {
    const ledger = await startLedger('express', { env: { JWT_ISSUER: ORIGIN } });
    const holder = await newHolder();
    const ask = async (path: string, body: object, token?: string): Promise<Login> => {
      const dpop = await proof(holder, 'POST', path, token);
      const authorization = token === undefined ? {} : { authorization: `DPoP ${token}` };
      const headers = { dpop, ...authorization };
      const options = { method: 'POST', headers, body, handsOutTokens: 'yes' } as const;
      const answer = await send(ledger.url, path, options);
      expect(answer.status).toBe(200);
      const login = JSON.parse(answer.body) as Login;
      recordSecret(login.access_token);
      recordSecret(login.refresh_token);
      return login;
    };
    const login = await ask('/auth/login', { username: 'alice', password: 'alice-demo' });
    const fresh = await ask('/auth/step-up', { password: 'alice-demo' }, login.access_token);
    expect(fresh.token_type).toBe('DPoP');
    expect(claimsOf(fresh.access_token)['cnf']).toEqual({ jkt: holder.jkt });
    // And is of no use without it.
    expect((await send(ledger.url, '/me', { token: fresh.access_token })).status).toBe(401);
    await ledger.close();
  });

  it('lets nobody in whose password was changed while the session began', async () => {
    const alice = { name: 'alice', roles: ['user'], scopes: [] };
    let held = 0;
    const holds = [true, true, false];
    const authenticate = (): unknown =>
      Promise.resolve({ user: alice, stillHolds: () => holds[held++] ?? false });
    const find = (): unknown => alice;
    const ledger = await startLedger('express', {
      override: (builder) =>
        builder.overrideProvider(UserDirectory).useValue({ authenticate, find }),
    });
    const { access_token: token } = await logIn(ledger.url, 'alice');
    const body = { password: 'alice-demo' };
    const answer = await send(ledger.url, '/auth/step-up', { method: 'POST', token, body });
    expect(answer).toMatchObject({ status: 403, body: '{"error":"invalid_grant"}' });
    expect(held).toBe(3);
    await ledger.close();
  });

  it('knows no users of others: neither another issuer’s alice, nor who is none of ours', async () => {
    const jwk = await newPrivateJwk();
    const env = { JWT_SIGNING_JWK: JSON.stringify(jwk) };
    const ledger = await startLedger('express', { env });
    const key = await importSigningKey(jwk);
    const now = Math.floor(Date.now() / 1000);
    const claims = {
      iss: ISSUER,
      aud: 'ledger-api',
      client_id: 'night-run',
      iat: now,
      exp: now + 300,
    };
    const token = await forgeAccess(key, { ...claims, sub: 'nobody', jti: 'one' });
    const body = { password: 'alice-demo' };
    const answer = await send(ledger.url, '/auth/step-up', { method: 'POST', token, body });
    expect(answer).toMatchObject({ status: 403, body: '{"error":"invalid_grant"}' });

    // Of alice, but of no session: it steps up into one, and ends.
    const bare = await forgeAccess(key, { ...claims, sub: 'alice', jti: 'two' });
    const options = { method: 'POST', token: bare, body, handsOutTokens: 'yes' } as const;
    const stepped = await send(ledger.url, '/auth/step-up', options);
    expect(stepped.status).toBe(200);
    recordSecret((JSON.parse(stepped.body) as Login).access_token);
    recordSecret((JSON.parse(stepped.body) as Login).refresh_token);
    expect((await send(ledger.url, '/me', { token: bare })).status).toBe(401);
    await ledger.close();
  });
});
