import { importSigningKey, type SigningKey } from '../../lib/keys/key-material.js';
import { ADAPTERS, ISSUER } from '../support/guarded-app.js';
import { type Answer, closeConnections, send } from '../support/http.js';
import { forgeAccess, newPrivateJwk } from '../support/token-mother.js';
import { withFullLog } from './full-log.js';
import { tokenOf } from './log-in.js';
import { type RunningLedger, startLedger } from './running-ledger.js';

afterAll(closeConnections);

/** A token of the same issuer, as another service with the same key signs it. */
function foreignToken(key: SigningKey, claims: Record<string, unknown>): Promise<string> {
  const now = Math.floor(Date.now() / 1000);
  const own = { iss: ISSUER, aud: 'ledger-api', client_id: 'night-run', iat: now, exp: now + 300 };
  return forgeAccess(key, { sub: 'batch-7', ...own, ...claims });
}

describe.each(ADAPTERS)('POST /auth/logout of the sample app on %s', (adapter) => {
  let ledger: RunningLedger;
  let key: SigningKey;
  beforeAll(async () => {
    const jwk = await newPrivateJwk();
    key = await importSigningKey(jwk);
    ledger = await startLedger(adapter, { env: { JWT_SIGNING_JWK: JSON.stringify(jwk) } });
  });
  afterAll(() => ledger.close());

  const logOut = (token: string): Promise<Answer> =>
    send(ledger.url, '/auth/logout', { method: 'POST', token });
  const statusOf = async (token: string): Promise<number> =>
    (await send(ledger.url, '/me', { token })).status;

  it('ends the session: 204, and the token is refused from then on', async () => {
    const token = await tokenOf(ledger.url, 'alice');
    expect(await statusOf(token)).toBe(200);
    expect(await logOut(token)).toMatchObject({ status: 204, body: '' });
    const answer = await send(ledger.url, '/me', { token });
    expect(answer).toMatchObject({ status: 401, body: '{"error":"invalid_token"}' });
    expect(answer.headers['www-authenticate']).toMatch(/^Bearer error="invalid_token", DPoP algs=/);
    // Logging out again is refused like anything else with it, and says no more.
    expect(await logOut(token)).toMatchObject({ status: 401, body: '{"error":"invalid_token"}' });
  });

  it('ends no other session of the user, and none that begins in the same second', async () => {
    const [phone, laptop] = [await tokenOf(ledger.url, 'bob'), await tokenOf(ledger.url, 'bob')];
    expect((await logOut(phone)).status).toBe(204);
    const again = await tokenOf(ledger.url, 'bob');
    expect(await Promise.all([phone, laptop, again].map(statusOf))).toEqual([401, 200, 200]);
  });

  it('ends every token of the session, not only the one presented', async () => {
    const [one, two] = [
      await foreignToken(key, { jti: 'one', sid: 'shared' }),
      await foreignToken(key, { jti: 'two', sid: 'shared' }),
    ];
    expect((await logOut(one)).status).toBe(204);
    expect(await statusOf(two)).toBe(401);
  });

  it('ends a token alone that belongs to no session', async () => {
    const [one, two] = [
      await foreignToken(key, { jti: 'three' }),
      await foreignToken(key, { jti: 'four' }),
    ];
    expect((await logOut(one)).status).toBe(204);
    expect([await statusOf(one), await statusOf(two)]).toEqual([401, 200]);
  });

  it('can be asked for twice at once', async () => {
    const token = await tokenOf(ledger.url, 'alice');
    const answers = await Promise.all([logOut(token), logOut(token), logOut(token)]);
    const statuses = answers.map(({ status }) => status);
    expect(statuses).toContain(204);
    expect(statuses.every((status) => status === 204 || status === 401)).toBe(true);
    expect(await statusOf(token)).toBe(401);
  });

  it('logs the refusal with its code, and no name', async () => {
    const token = await tokenOf(ledger.url, 'carol');
    await logOut(token);
    const { headers } = await send(ledger.url, '/me', { token });
    const id = String(headers['x-request-id']);
    const line = ledger.logs().find((each) => each.includes(`requestId=${id}`));
    expect(line).toMatch(
      /^token\.rejected .*code=ERR_TOKEN_REVOKED detail="it was revoked, by session"/,
    );
    expect(line).not.toContain('carol');
  });

  it('is not answered with success when the store did not take it', async () => {
    const full = await startLedger(adapter, await withFullLog());
    const [first, second] = [await tokenOf(full.url, 'alice'), await tokenOf(full.url, 'bob')];
    const post = { method: 'POST' };
    expect((await send(full.url, '/auth/logout', { ...post, token: first })).status).toBe(204);
    const refused = await send(full.url, '/auth/logout', { ...post, token: second });
    expect(refused).toMatchObject({ status: 503, body: '{"error":"temporarily_unavailable"}' });
    expect(refused.headers['retry-after']).toBe('5');
    // Nothing was promised, and nothing changed.
    expect((await send(full.url, '/me', { token: second })).status).toBe(200);
    await full.close();
  });
});
