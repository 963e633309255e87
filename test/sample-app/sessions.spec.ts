import { ADAPTERS } from '../support/guarded-app.js';
import { type Answer, closeConnections, send } from '../support/http.js';
import { type Login, logIn } from './log-in.js';
import { type RunningLedger, startLedger } from './running-ledger.js';

afterAll(closeConnections);

interface Device {
  readonly sid: string;
  readonly device: string;
  readonly current: boolean;
}

describe.each(ADAPTERS)('/auth/sessions of the sample app on %s', (adapter) => {
  let ledger: RunningLedger;
  beforeEach(async () => {
    ledger = await startLedger(adapter);
  });
  afterEach(() => ledger.close());

  const ask = (method: string, path: string, { access_token: token }: Login): Promise<Answer> =>
    send(ledger.url, path, { method, token });
  const devicesOf = async (login: Login): Promise<readonly Device[]> =>
    JSON.parse((await ask('GET', '/auth/sessions', login)).body) as Device[];
  const statusOf = async (login: Login): Promise<number> => (await ask('GET', '/me', login)).status;
  const refreshes = async ({ refresh_token }: Login): Promise<number> => {
    const options = { method: 'POST', body: { refresh_token }, handsOutTokens: 'yes' } as const;
    return (await send(ledger.url, '/auth/refresh', options)).status;
  };

  it('lists the devices of the user, the own one marked, and no token', async () => {
    const [phone, laptop] = [await logIn(ledger.url, 'alice'), await logIn(ledger.url, 'alice')];
    await logIn(ledger.url, 'bob');
    const answer = await ask('GET', '/auth/sessions', phone);
    expect(answer.status).toBe(200);
    const devices = JSON.parse(answer.body) as Device[];
    expect(devices).toHaveLength(2);
    expect(devices.filter(({ current }) => current)).toHaveLength(1);
    expect(Object.keys(devices[0] ?? {}).toSorted()).toEqual([
      'address_prefix',
      'binding',
      'created_at',
      'current',
      'device',
      'expires_at',
      'last_used_at',
      'sid',
    ]);
    for (const { access_token, refresh_token } of [phone, laptop]) {
      expect(answer.body).not.toContain(refresh_token.slice(4, 40));
      expect(answer.body).not.toContain(access_token.slice(-40));
    }
    expect(answer.body).not.toContain('alice');
  });

  it('logs one device out, by its owner alone', async () => {
    const [phone, laptop] = [await logIn(ledger.url, 'alice'), await logIn(ledger.url, 'alice')];
    const sid = (await devicesOf(phone)).find(({ current }) => !current)?.sid ?? '';
    const bob = await logIn(ledger.url, 'bob');
    for (const [login, name] of [
      [bob, sid],
      [phone, 'nobody-has-this'],
      [phone, `${sid}%00`],
    ] as const) {
      const answer = await ask('DELETE', `/auth/sessions/${name}`, login);
      expect([400, 404]).toContain(answer.status);
    }
    expect(await statusOf(laptop)).toBe(200);
    expect((await ask('DELETE', `/auth/sessions/${sid}`, phone)).status).toBe(204);
    expect(await Promise.all([phone, laptop, bob].map(statusOf))).toEqual([200, 401, 200]);
    expect(await refreshes(laptop)).toBe(401);
    expect((await ask('DELETE', `/auth/sessions/${sid}`, phone)).status).toBe(404);
  });

  it('logs out all devices but the one that asks', async () => {
    const logins = [
      await logIn(ledger.url, 'alice'),
      await logIn(ledger.url, 'alice'),
      await logIn(ledger.url, 'alice'),
    ];
    const [own, ...others] = logins as [Login, ...Login[]];
    const bob = await logIn(ledger.url, 'bob');
    expect((await ask('DELETE', '/auth/sessions', own)).status).toBe(204);
    expect(await Promise.all(others.map(statusOf))).toEqual([401, 401]);
    expect(await Promise.all(others.map(refreshes))).toEqual([401, 401]);
    expect(await devicesOf(own)).toMatchObject([{ current: true }]);
    expect(await Promise.all([own, bob].map(refreshes))).toEqual([200, 200]);
  });

  it('demands a token', async () => {
    for (const [method, path] of [
      ['GET', '/auth/sessions'],
      ['DELETE', '/auth/sessions'],
      ['DELETE', '/auth/sessions/a'],
    ] as const) {
      expect((await send(ledger.url, path, { method })).status).toBe(401);
    }
  });

  it('are ended by a new password, but for the one that changed it', async () => {
    const [own, other] = [await logIn(ledger.url, 'carol'), await logIn(ledger.url, 'carol')];
    const body = { password: 'carol-demo', new_password: 'a longer one' };
    const options = { method: 'POST', token: own.access_token, body };
    expect((await send(ledger.url, '/auth/password', options)).status).toBe(204);
    expect(await Promise.all([own, other].map(refreshes))).toEqual([200, 401]);
  });
});
