import { isLocal } from '../../sample-app/health/loopback.guard.js';
import { ADAPTERS } from '../support/guarded-app.js';
import { closeConnections, send } from '../support/http.js';
import { tokenOf } from './log-in.js';
import { type RunningLedger, startLedger } from './running-ledger.js';

afterAll(closeConnections);

describe.each(ADAPTERS)('GET /metrics of the sample app on %s', (adapter) => {
  let ledger: RunningLedger;
  beforeAll(async () => {
    ledger = await startLedger(adapter);
  });
  afterAll(() => ledger.close());

  const readGauges = async (): Promise<Record<string, number>> => {
    const { body } = await send(ledger.url, '/metrics');
    const lines = body.split('\n').filter((line) => line !== '' && !line.startsWith('#'));
    return Object.fromEntries(
      lines.map((line) => line.split(' ')).map(([name = '', value]) => [name, Number(value)]),
    );
  };

  it('is Prometheus text, each gauge with its meaning and type', async () => {
    const { status, headers, body } = await send(ledger.url, '/metrics');
    expect(status).toBe(200);
    expect(headers['content-type']).toBe('text/plain; version=0.0.4; charset=utf-8');
    expect(body).toMatch(/^(?:# HELP (\w+) .+\n# TYPE \1 gauge\n\1 \d+(?:\.\d+)?(?:e-\d+)?\n)+$/);
  });

  it('shows how far behind this instance is, and that the storage is up', async () => {
    expect(await readGauges()).toEqual({
      jwt_revocation_lag_seconds: expect.any(Number),
      jwt_revocation_entries: 0,
      jwt_revocation_stale: 0,
      jwt_key_ring_lag_seconds: expect.any(Number),
      jwt_key_ring_stale: 0,
      jwt_storage_up: 1,
    });
  });

  it('counts revocations', async () => {
    const token = await tokenOf(ledger.url, 'alice');
    await send(ledger.url, '/auth/logout', { method: 'POST', token });
    expect(await readGauges()).toMatchObject({ jwt_revocation_entries: 1 });
  });

  it.each([
    ['x-forwarded-for', '127.0.0.1'],
    ['forwarded', 'for=127.0.0.1'],
    ['x-real-ip', '::1'],
    ['via', '1.1 proxy'],
    ['x-forwarded-host', 'ledger.example'],
    ['x-forwarded-proto', 'https'],
    ['cf-connecting-ip', '127.0.0.1'],
    ['cf-ray', '230b030023ae2822-SJC'],
  ])('does not exist for what a proxy passes on (%s)', async (name, value) => {
    const answer = await send(ledger.url, '/metrics', { headers: { [name]: value } });
    expect(answer).toMatchObject({ status: 404, body: '{"error":"not_found"}' });
  });
});

describe('what counts as this machine', () => {
  it.each(['127.0.0.1', '127.8.9.10', '::ffff:127.0.0.1', '::1'])('%s does', (remoteAddress) => {
    expect(isLocal({ socket: { remoteAddress }, headers: {} })).toBe(true);
  });

  it.each([
    '10.0.0.1',
    '128.0.0.1',
    '1.127.0.0.1',
    '127.0.0.1.example',
    '::ffff:10.0.0.1',
    '::2',
    '::',
    '',
    'localhost',
    undefined,
  ])('%s does not', (remoteAddress) => {
    expect(isLocal({ socket: { remoteAddress }, headers: {} })).toBe(false);
  });
});
