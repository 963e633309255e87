import { importSigningKey, type SigningKey } from '../../lib/keys/key-material.js';
import { VerifiedToken } from '../../lib/tokens/verified-token.js';
import { PasswordController } from '../../sample-app/auth/password.controller.js';
import { readSettings } from '../../sample-app/settings.js';
import { UserDirectory } from '../../sample-app/users/user-directory.js';
import { ADAPTERS, ISSUER } from '../support/guarded-app.js';
import { type Answer, closeConnections, send } from '../support/http.js';
import { forgeAccess, newPrivateJwk, openIssuer } from '../support/token-mother.js';
import { recordSecret } from '../support/witness.js';
import { withFullLog } from './full-log.js';
import { tokenOf } from './log-in.js';
import { CHEAP, type RunningLedger, startLedger } from './running-ledger.js';

afterAll(closeConnections);

const NEW_PASSWORD = 'tr0mbone-and-4-pears';

describe.each(ADAPTERS)('POST /auth/password of the sample app on %s', (adapter) => {
  let ledger: RunningLedger;
  let key: SigningKey;
  let admin: string;
  // Each test that changes a password has a user of its own.
  beforeAll(async () => {
    recordSecret(NEW_PASSWORD);
    const jwk = await newPrivateJwk();
    key = await importSigningKey(jwk);
    ledger = await startLedger(adapter, { env: { JWT_SIGNING_JWK: JSON.stringify(jwk) } });
    admin = await tokenOf(ledger.url, 'admin');
  });
  afterAll(() => ledger.close());

  const change = (token: string, body: unknown, url = ledger.url): Promise<Answer> =>
    send(url, '/auth/password', { method: 'POST', token, body });
  const statusOf = async (token: string): Promise<number> =>
    (await send(ledger.url, '/me', { token })).status;
  const logInWith = async (username: string, password: string): Promise<number> => {
    const body = { username, password };
    const options = { method: 'POST', body, handsOutTokens: 'yes' } as const;
    return (await send(ledger.url, '/auth/login', options)).status;
  };

  it('changes it, and ends every token of the user but those of this session', async () => {
    const [own, other, bob] = [
      await tokenOf(ledger.url, 'alice'),
      await tokenOf(ledger.url, 'alice'),
      await tokenOf(ledger.url, 'bob'),
    ];
    const body = { password: 'alice-demo', new_password: NEW_PASSWORD };
    expect(await change(own, body)).toMatchObject({ status: 204, body: '' });
    expect(await Promise.all([own, other, bob].map(statusOf))).toEqual([200, 401, 200]);
    expect([
      await logInWith('alice', 'alice-demo'),
      await logInWith('alice', NEW_PASSWORD),
    ]).toEqual([401, 200]);
  });

  it('lets tokens live that are issued after it, in the same second', async () => {
    const own = await tokenOf(ledger.url, 'bob');
    await change(own, { password: 'bob-demo', new_password: NEW_PASSWORD });
    const options = { method: 'POST', handsOutTokens: 'yes' } as const;
    const { body } = await send(ledger.url, '/auth/login', {
      ...options,
      body: { username: 'bob', password: NEW_PASSWORD },
    });
    const { access_token } = JSON.parse(body) as { readonly access_token: string };
    recordSecret(access_token);
    expect([await statusOf(own), await statusOf(access_token)]).toEqual([200, 200]);
  });

  it('spares a token without a session alone, as far as others of its subject go', async () => {
    const now = Math.floor(Date.now() / 1000);
    const claims = { iss: ISSUER, aud: 'ledger-api', sub: 'carol', client_id: 'night-run' };
    const token = (jti: string): Promise<string> =>
      forgeAccess(key, { ...claims, iat: now, exp: now + 300, jti });
    const [own, other] = [await token('one'), await token('two')];
    const body = { password: 'carol-demo', new_password: NEW_PASSWORD };
    expect((await change(own, body)).status).toBe(204);
    expect([await statusOf(own), await statusOf(other)]).toEqual([200, 401]);
  });

  it('answers a wrong password with 403, logs nobody out and no password', async () => {
    const [own, other] = [await tokenOf(ledger.url, 'admin'), await tokenOf(ledger.url, 'admin')];
    const wrong = 'nobody-has-this-password-4711';
    recordSecret(wrong);
    const answer = await change(own, { password: wrong, new_password: NEW_PASSWORD });
    expect(answer).toMatchObject({ status: 403, body: '{"error":"invalid_grant"}' });
    expect(answer.headers['www-authenticate']).toBeUndefined();
    expect([await statusOf(own), await statusOf(other)]).toEqual([200, 200]);
    expect([
      await logInWith('admin', 'admin-demo'),
      await logInWith('admin', NEW_PASSWORD),
    ]).toEqual([200, 401]);
    const id = String(answer.headers['x-request-id']);
    expect(ledger.logs()).toContainEqual(`password.refused requestId=${id} Auth`);
    expect(ledger.logs().join('\n')).not.toMatch(new RegExp(`${wrong}|${NEW_PASSWORD}`));
  });

  it.each([
    ['short', 'seven77'],
    ['the old one', 'admin-demo'],
    ['the user’s name', 'adminADMIN'],
  ])('refuses a new one that is %s, and changes nothing', async (_case, new_password) => {
    const answer = await change(admin, { password: 'admin-demo', new_password });
    expect(answer.status).toBe(400);
    expect(JSON.parse(answer.body)).toEqual({
      error: 'weak_password',
      error_description: expect.any(String),
    });
    expect(answer.body).not.toContain(new_password);
  });

  const ok = { password: 'admin-demo', new_password: NEW_PASSWORD };
  it.each([
    ['nothing', undefined],
    ['null', null],
    ['a list', [ok]],
    ['a text', 'admin-demo'],
    ['no new password', { password: 'admin-demo' }],
    ['no password', { new_password: NEW_PASSWORD }],
    ['an empty password', { ...ok, password: '' }],
    ['a new one that is a number', { ...ok, new_password: 12_345_678 }],
    ['a new one that is an object', { ...ok, new_password: { length: 12 } }],
    ['a new one that is too long', { ...ok, new_password: 'a'.repeat(257) }],
    ['another user', { ...ok, username: 'bob' }],
  ])('refuses %s', async (_case, body) => {
    const answer = await change(admin, body);
    expect(answer).toMatchObject({ status: 400, body: '{"error":"invalid_request"}' });
  });

  it('leaves the password as it was after all of that', async () => {
    expect(await logInWith('admin', 'admin-demo')).toBe(200);
    expect(await statusOf(admin)).toBe(200);
  });

  it('lets one of two at a time win: the other session is out, and its password does not count', async () => {
    const sessions = [await tokenOf(ledger.url, 'admin'), await tokenOf(ledger.url, 'admin')];
    const passwords = ['the-first-of-the-two', 'the-second-of-the-two'];
    const answers = await Promise.all(
      sessions.map((token, index) =>
        change(token, { password: 'admin-demo', new_password: passwords[index] }),
      ),
    );
    const won = answers.findIndex(({ status }) => status === 204);
    // 401 if its session had ended by the time it came.
    expect([401, 403]).toContain(answers[1 - won]?.status);
    expect(await statusOf(sessions[won] ?? '')).toBe(200);
    expect(await statusOf(sessions[1 - won] ?? '')).toBe(401);
    expect(await logInWith('admin', passwords[won] ?? '')).toBe(200);
    expect(await logInWith('admin', passwords[1 - won] ?? '')).toBe(401);
  });

  it('changes nothing, and says 503, when the tokens cannot be ended', async () => {
    const full = await startLedger(adapter, await withFullLog());
    const own = await tokenOf(full.url, 'admin');
    const answer = await change(own, ok, full.url);
    expect(answer).toMatchObject({ status: 503, body: '{"error":"temporarily_unavailable"}' });
    expect(answer.headers['retry-after']).toBe('5');
    await expect(tokenOf(full.url, 'admin')).resolves.toEqual(expect.any(String));
    expect((await send(full.url, '/me', { token: own })).status).toBe(200);
    await full.close();
  });
});

describe('a password of the sample app', () => {
  it('logs nobody in that was changed while the token was signed', async () => {
    const alice = { name: 'alice', roles: ['user'], scopes: [] };
    const authenticate = (): unknown => Promise.resolve({ user: alice, stillHolds: () => false });
    const ledger = await startLedger('express', {
      override: (builder) => builder.overrideProvider(UserDirectory).useValue({ authenticate }),
    });
    const body = { username: 'alice', password: 'alice-demo' };
    const answer = await send(ledger.url, '/auth/login', { method: 'POST', body });
    expect(answer).toMatchObject({ status: 401, body: '{"error":"invalid_grant"}' });
    await ledger.close();
  });

  it('is not changed by the token of another issuer, whose alice is somebody else', async () => {
    const users = await UserDirectory.open(CHEAP);
    const { revocations } = await openIssuer();
    const settings = await readSettings({ JWT_ISSUER: ISSUER });
    const controller = new PasswordController(users, revocations, settings);
    const claims = { aud: 'ledger-api', sub: 'alice', jti: 'one', iat: 1, exp: 2 };
    const tokenOf = (iss: string): VerifiedToken =>
      VerifiedToken.seal('access', { kid: 'k', algorithm: 'ES256', era: 0 }, { iss, ...claims });
    const body = { password: 'alice-demo', new_password: NEW_PASSWORD };

    const refused = controller.change(tokenOf('https://another.example'), body, 'id-1');
    await expect(refused).rejects.toMatchObject({ status: 403 });
    expect(revocations.health().entries).toBe(0);
    await expect(users.authenticate('alice', 'alice-demo')).resolves.toBeDefined();
    await controller.change(tokenOf(ISSUER), body, 'id-2');
    expect(revocations.health().entries).toBeGreaterThan(0);
    revocations.onModuleDestroy();
  });
});
