import type { TestingModuleBuilder } from '@nestjs/testing';

import { Clock } from '../../lib/kernel/clock.js';
import { ADAPTERS } from '../support/guarded-app.js';
import { type Answer, closeConnections, send } from '../support/http.js';
import { TestClock } from '../support/test-clock.js';
import { withFullLog } from './full-log.js';
import { tokenOf } from './log-in.js';
import { type RunningLedger, startLedger } from './running-ledger.js';

afterAll(closeConnections);

function claimsOf(token: string): Record<string, unknown> {
  const [, payload = ''] = token.split('.');
  return JSON.parse(Buffer.from(payload, 'base64url').toString('utf8')) as Record<string, unknown>;
}

/** Some claims of a token, as the body of an order. */
function pick(token: string, ...names: readonly string[]): Record<string, unknown> {
  const claims = claimsOf(token);
  return Object.fromEntries(names.map((name) => [name, claims[name]]));
}

/** How many revocations the instance holds. */
async function entriesOf(url: string): Promise<number> {
  const { body } = await send(url, '/health');
  const { revocation } = JSON.parse(body) as { readonly revocation: { entries: number } };
  return revocation.entries;
}

describe.each(ADAPTERS)('POST /admin/revocations of the sample app on %s', (adapter) => {
  let ledger: RunningLedger;
  let admin: string;
  beforeAll(async () => {
    ledger = await startLedger(adapter);
    admin = await tokenOf(ledger.url, 'admin');
  });
  afterAll(() => ledger.close());

  const order = (body: unknown, url = ledger.url, token = admin): Promise<Answer> =>
    send(url, '/admin/revocations', { method: 'POST', token, body });
  const statusesOf = (...tokens: readonly string[]): Promise<readonly number[]> =>
    Promise.all(tokens.map(async (token) => (await send(ledger.url, '/me', { token })).status));
  const logInTwice = async (user: string): Promise<[string, string]> => [
    await tokenOf(ledger.url, user),
    await tokenOf(ledger.url, user),
  ];

  it.each([
    ['token', ['jti', 'exp']],
    ['session', ['sid']],
  ])('ends a %s, and nothing else of the user', async (kind, names) => {
    const [one, two] = await logInTwice('alice');
    const answer = await order(pick(one, ...names));
    expect(answer.status).toBe(202);
    expect(JSON.parse(answer.body)).toEqual({
      kind,
      since: expect.stringMatching(/^\d{4}-\d\d-\d\dT[\d:.]+Z$/),
      until: expect.stringMatching(/^\d{4}-\d\d-\d\dT[\d:.]+Z$/),
    });
    expect(await statusesOf(one, two)).toEqual([401, 200]);
  });

  it('ends all of a subject that was issued before, to the token', async () => {
    const [[one, two], bob] = [await logInTwice('alice'), await tokenOf(ledger.url, 'bob')];
    expect((await order({ sub: 'alice' })).status).toBe(202);
    const after = await tokenOf(ledger.url, 'alice');
    expect(await statusesOf(one, two, after, bob)).toEqual([401, 401, 200, 200]);
  });

  it('may be asked again', async () => {
    const [token] = await logInTwice('carol');
    const body = pick(token, 'sid');
    expect([(await order(body)).status, (await order(body)).status]).toEqual([202, 202]);
    expect(await statusesOf(token)).toEqual([401]);
  });

  it('leaves a trace under the id of the answer, without a name', async () => {
    const token = await tokenOf(ledger.url, 'bob');
    const { headers, body } = await order(pick(token, 'sid'));
    const { since } = JSON.parse(body) as { readonly since: string };
    const trace = `revocation.ordered requestId=${String(headers['x-request-id'])} kind=session since=${since}`;
    expect(ledger.logs()).toContainEqual(expect.stringContaining(trace));
    expect(ledger.logs().join('\n')).not.toContain('bob');
    expect(ledger.logs()).toContainEqual(
      expect.stringMatching(/^revocation\.made kind=session digest=[\w-]{13} until=/),
    );
  });

  it('is counted in the health', async () => {
    expect(await entriesOf(ledger.url)).toBeGreaterThan(0);
  });

  it.each([
    ['nothing', undefined],
    ['null', null],
    ['a text', 'all'],
    ['a list', [{ sid: 'a' }]],
    ['no member', {}],
    ['an unknown member', { user: 'alice' }],
    ['two forms', { sid: 'a', sub: 'alice' }],
    ['a form and more', { all: true, confirm: true }],
    ['jti alone', { jti: 'a' }],
    ['exp alone', { exp: 1 }],
    ['jti, exp and sid', { jti: 'a', exp: 2_000_000_000, sid: 'a' }],
    ['an empty jti', { jti: '', exp: 2_000_000_000 }],
    ['an exp that is text', { jti: 'a', exp: '2000000000' }],
    ['an exp in milliseconds', { jti: 'a', exp: 2_000_000_000_000 }],
    ['a negative exp', { jti: 'a', exp: -1 }],
    ['an exp that is null', { jti: 'a', exp: null }],
    ['an empty sid', { sid: '' }],
    ['a sid that is a number', { sid: 1 }],
    ['a sid that is a list', { sid: ['a'] }],
    ['a sid that is too long', { sid: 'a'.repeat(256) }],
    ['a sub with a NUL', { sub: 'alice\0' }],
    ['a blank sid', { sid: '  ' }],
    ['a jti with a line break', { jti: 'a\nb', exp: 4_000_000_000 }],
    ['a sid with a DEL', { sid: 'a\x7f' }],
    ['a sub with half a surrogate pair', { sub: 'alice\ud800' }],
    ['a sub that turns its text around', { sub: 'alice\u202e' }],
    ['all: false', { all: false }],
    ['all: "true"', { all: 'true' }],
    ['all: 1', { all: 1 }],
    ['two names in one', { 'exp,jti': 1 }],
  ])('refuses %s and ends nothing', async (_case, body) => {
    const answer = await order(body);
    expect(answer).toMatchObject({ status: 400, body: '{"error":"invalid_request"}' });
    expect(await statusesOf(admin)).toEqual([200]);
  });

  it('is not answered with success for a token that is over, of which nothing is kept', async () => {
    const clock = new TestClock();
    const override = (builder: TestingModuleBuilder): unknown =>
      builder.overrideProvider(Clock).useValue(clock);
    const still = await startLedger(adapter, { override });
    try {
      const own = await tokenOf(still.url, 'admin');
      const endOf = async (exp: number): Promise<number> =>
        (await order({ jti: 'any', exp }, still.url, own)).status;
      const now = clock.seconds();
      // A token lives until `exp` and ten seconds of leeway.
      expect([await endOf(1), await endOf(1e9), await endOf(now - 10)]).toEqual([400, 400, 400]);
      expect(await entriesOf(still.url)).toBe(0);
      expect([await endOf(now - 9), await endOf(now + 1)]).toEqual([202, 202]);
      expect(await entriesOf(still.url)).toBe(1);
    } finally {
      await still.close();
    }
  });

  it('is not answered with success when the store did not take it', async () => {
    const full = await startLedger(adapter, await withFullLog());
    const [token, own] = [await tokenOf(full.url, 'alice'), await tokenOf(full.url, 'admin')];
    expect((await order({ sid: 'fills-the-store' }, full.url, own)).status).toBe(202);
    for (const body of [pick(token, 'jti', 'exp'), pick(token, 'sid'), { sub: 'alice' }]) {
      const answer = await order(body, full.url, own);
      expect(answer).toMatchObject({ status: 503, body: '{"error":"temporarily_unavailable"}' });
      expect(answer.headers['retry-after']).toBe('5');
    }
    expect(full.logs()).toContainEqual(
      expect.stringMatching(/^revocation\.unacknowledged kind=token code=ERR_STORE_FULL/),
    );
    expect((await send(full.url, '/me', { token })).status).toBe(200);
    await full.close();
  });

  it('ends everything, the token it was ordered with included, and logging in goes on', async () => {
    const tokens = [admin, ...(await logInTwice('bob'))];
    expect((await order({ all: true })).status).toBe(202);
    expect(await statusesOf(...tokens)).toEqual([401, 401, 401]);
    expect((await order({ all: true })).status).toBe(401);
    expect(await statusesOf(await tokenOf(ledger.url, 'bob'))).toEqual([200]);
  });
});
