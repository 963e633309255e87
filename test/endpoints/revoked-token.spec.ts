import { ADAPTERS } from '../support/guarded-app.js';
import { type Answer, closeConnections, send } from '../support/http.js';
import {
  basic,
  type EndpointApp,
  INTROSPECT,
  newSecret,
  OF_SHOP,
  REVOKE,
  startEndpointApp,
} from './endpoint-app.js';

const SECRET = newSecret();
const CLIENTS = [
  {
    clientId: 'shop',
    authentication: { method: 'client_secret_basic', secrets: [SECRET] },
    may: ['revoke', 'introspect'],
  },
];
const SHOP = basic('shop', SECRET);

afterAll(closeConnections);

describe.each(ADAPTERS)('a token that its client revoked, on %s', (adapter) => {
  let app: EndpointApp;

  beforeEach(async () => {
    app = await startEndpointApp({
      adapter,
      clients: CLIENTS,
      revocations: 'of the application',
    });
  });
  afterEach(() => app.close());

  const revoke = (token: string): Promise<Answer> => app.post(REVOKE, { token }, SHOP);
  const activeOf = async (token: string): Promise<unknown> => {
    const { body } = await app.post(INTROSPECT, { token }, SHOP);
    return (JSON.parse(body) as { readonly active: unknown }).active;
  };
  const statusOf = async (token: string): Promise<number> =>
    (await send(app.url, '/notes', { token })).status;

  it('is refused by the guard and not active from the answer on, and its neighbour lives', async () => {
    const [token, neighbour] = [await app.sign(), await app.sign()];
    expect([await statusOf(token), await activeOf(token)]).toEqual([200, true]);
    expect((await revoke(token)).status).toBe(200);
    expect([await statusOf(token), await activeOf(token)]).toEqual([401, false]);
    expect([await statusOf(neighbour), await activeOf(neighbour)]).toEqual([200, true]);
  });

  it('can be revoked again, which does nothing and says 200', async () => {
    const token = await app.sign();
    expect((await revoke(token)).status).toBe(200);
    expect((await revoke(token)).status).toBe(200);
    const made = app.events.filter(({ type }) => type === 'revocation.made');
    expect(made).toHaveLength(1);
  });

  it('leaves the other tokens of its session alive', async () => {
    const claims = { ...OF_SHOP, sid: 'session-1' };
    const [token, neighbour] = [await app.sign(claims), await app.sign(claims)];
    expect((await revoke(token)).status).toBe(200);
    expect([await statusOf(token), await statusOf(neighbour)]).toEqual([401, 200]);
  });

  it('is dead for every one of 50 who present it at once with its revocation answered', async () => {
    const tokens = await Promise.all(Array.from({ length: 50 }, () => app.sign()));
    const statuses = await Promise.all(
      tokens.map(async (token) => {
        const { status } = await revoke(token);
        return [status, await statusOf(token)];
      }),
    );
    expect(statuses).toEqual(tokens.map(() => [200, 401]));
  });

  it('names nothing of it in events', async () => {
    const token = await app.sign({ ...OF_SHOP, sub: 'somebody-in-particular' });
    await revoke(token);
    await activeOf(token);
    expect(app.events).toMatchObject([{ type: 'revocation.made', kind: 'token' }]);
    expect(JSON.stringify(app.events)).not.toContain('somebody');
  });
});
