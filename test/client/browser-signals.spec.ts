import { webcrypto } from 'node:crypto';

import { isThumbprint } from '../../lib/binding/confirmation.js';
import { browserSignals, type Device, signalsOf } from '../../lib/client/browser-signals.js';
import { Bank } from './bank.js';
import { World } from './browser-world.js';
import { AFTER_EXPIRY, CREDENTIALS, TRANSPORTS } from './signed-in.js';

const crypto = webcrypto as Required<Device>['crypto'];
const LAPTOP = { platform: 'MacIntel', hardwareConcurrency: 8, deviceMemory: 16 };

describe('the digest of a device', () => {
  it('is one that the server reads, and the same each time', async () => {
    const digest = await signalsOf({ navigator: LAPTOP, crypto });
    expect(isThumbprint(digest)).toBe(true);
    expect(await signalsOf({ navigator: { ...LAPTOP }, crypto })).toBe(digest);
  });

  it.each<[what: string, navigator: Device['navigator']]>([
    ['another platform', { ...LAPTOP, platform: 'Win32' }],
    ['more processors', { ...LAPTOP, hardwareConcurrency: 16 }],
    ['less memory', { ...LAPTOP, deviceMemory: 4 }],
    ['memory that is not told', { platform: 'MacIntel', hardwareConcurrency: 8 }],
    ['nothing that is told', {}],
  ])('is another with %s', async (_what, navigator = {}) => {
    const digest = await signalsOf({ navigator, crypto });
    expect(isThumbprint(digest)).toBe(true);
    expect(digest).not.toBe(await signalsOf({ navigator: LAPTOP, crypto }));
  });

  it.each<[what: string, device: Device]>([
    ['not secure', { navigator: LAPTOP, crypto: {} }],
    ['very old', {}],
  ])('is empty on a page that is %s', async (_what, device) => {
    expect(await signalsOf(device)).toBe('');
  });

  it('needs nothing but the globals of where it runs', async () => {
    expect(await browserSignals()).toBe(await browserSignals());
  });
});

describe.each(TRANSPORTS)('a client with the transport %s', (transport) => {
  async function sentWith(signals: { readonly signals?: string }): Promise<readonly string[]> {
    const bank = new Bank(transport);
    const world = new World(bank.answer);
    const { client } = world.open({ transport, ...signals });
    await world.outcome(client.login(CREDENTIALS));
    await world.advance(AFTER_EXPIRY);
    await world.outcome(client.fetch('/me', { headers: { 'X-Client-Signals': 'of the page' } }));
    await world.outcome(client.logout());
    const paths = world.sent.map(({ url }) => new URL(url).pathname);
    expect(paths).toEqual(
      expect.arrayContaining(['/auth/login', '/auth/refresh', '/me', '/auth/logout']),
    );
    return world.sent.map(({ headers }) => headers.get('X-Client-Signals') ?? 'none');
  }

  it('sends the digest with every request', async () => {
    const digest = await signalsOf({ navigator: LAPTOP, crypto });
    expect(new Set(await sentWith({ signals: digest }))).toEqual(new Set([digest]));
  });

  it.each([{}, { signals: '' }])('sends none if there is none: %j', async (signals) => {
    expect(new Set(await sentWith(signals))).toEqual(new Set(['none', 'of the page']));
  });
});
