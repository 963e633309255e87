import { OptionReader } from '../../lib/config/option-reader.js';
import { readTransport } from '../../lib/config/resolve-transport.js';
import { isWithin, readIpAddress } from '../../lib/binding/ip-address.js';
import type { ConfigProblem } from '../../lib/kernel/errors.js';
import type { TransportConfig } from '../../lib/transport/transport-config.js';
import { recordOutput } from '../support/witness.js';

const ISSUER = 'https://issuer.example';

interface Outcome {
  readonly config: TransportConfig;
  readonly problems: readonly ConfigProblem[];
}

function read(transport: unknown, nodeEnv?: string): Outcome {
  const reader = new OptionReader({ transport });
  const config = readTransport(reader, { issuer: ISSUER, nodeEnv });
  recordOutput(JSON.stringify(reader.problems));
  return { config, problems: reader.problems };
}

const pathsOf = (transport: unknown): readonly string[] =>
  read(transport).problems.map(({ path }) => path);

describe('the transport', () => {
  it.each([undefined, {}, { cookies: undefined, https: undefined, origins: undefined }])(
    'is headers alone by default, with nobody in front (%j)',
    (transport) => {
      expect(read(transport)).toEqual({
        config: {
          issuer: ISSUER,
          cookies: null,
          origins: null,
          https: null,
          trustedProxies: [],
          forwardedHeader: 'X-Forwarded-For',
        },
        problems: [],
      });
    },
  );

  it.each([
    ['production', undefined, 'required'],
    ['production', 'required', 'required'],
    ['production', null, null],
    ['test', undefined, null],
    ['development', undefined, null],
    ['Production', undefined, null],
    [undefined, undefined, null],
    [undefined, 'required', 'required'],
  ])('with NODE_ENV %j and https %j demands %j', (nodeEnv, https, demanded) => {
    const transport = https === undefined ? {} : { https };
    expect(read(transport, nodeEnv)).toMatchObject({ config: { https: demanded }, problems: [] });
  });

  it.each([true, false, 'off', 'Required', '', 0, {}, ['required']])(
    'refuses https: %j, and demands it meanwhile',
    (https) => {
      const { config, problems } = read({ https });
      expect(problems).toMatchObject([{ path: 'transport.https' }]);
      expect(config.https).toBe('required');
    },
  );

  it.each([
    [null, null],
    [{}, { sameSite: 'strict' }],
    [{ sameSite: undefined }, { sameSite: 'strict' }],
    [{ sameSite: 'Strict' }, { sameSite: 'strict' }],
    [{ sameSite: 'Lax' }, { sameSite: 'lax' }],
  ])('reads cookies: %j', (cookies, expected) => {
    expect(read({ cookies })).toMatchObject({ config: { cookies: expected }, problems: [] });
  });

  it.each([
    [true, 'transport.cookies'],
    [[], 'transport.cookies'],
    ['on', 'transport.cookies'],
    [{ sameSite: 'None' }, 'transport.cookies.sameSite'],
    [{ sameSite: 'strict' }, 'transport.cookies.sameSite'],
    [{ sameSite: null }, 'transport.cookies.sameSite'],
    [{ secure: false }, 'transport.cookies.secure'],
    [{ domain: 'example.com' }, 'transport.cookies.domain'],
    [{ name: 'token' }, 'transport.cookies.name'],
  ])('refuses cookies: %j', (cookies, path) => {
    expect(pathsOf({ cookies })).toEqual([path]);
  });

  it.each([
    'https://app.example',
    'https://app.example:8443',
    'https://192.0.2.1',
    'https://[2001:db8::1]',
    'https://xn--exmple-cua.example',
    'http://localhost',
    'http://localhost:5173',
    'http://127.0.0.1:3000',
    'http://[::1]:3000',
  ])('lets %s in', (origin) => {
    expect(read({ origins: [origin, origin] })).toMatchObject({
      config: { origins: [origin] },
      problems: [],
    });
  });

  it.each([
    'null',
    '*',
    '',
    'app.example',
    'https://',
    'https://*.example',
    'https://app.example/',
    'https://app.example/path',
    'https://app.example?',
    'https://app.example#',
    'https://app.example.',
    'https://app.example:443',
    'https://App.example',
    'HTTPS://app.example',
    'https://user@app.example',
    'https://app.example https://b.example',
    ' https://app.example',
    'https://ex\u00e4mple.example',
    'http://app.example',
    'http://localhost.example',
    'http://127.0.0.2',
    'ws://localhost',
    'file://',
    'data:text/plain,x',
    'chrome-extension://abc',
    17,
    null,
    undefined,
    ['https://app.example'],
  ])('refuses the origin %j', (origin) => {
    expect(pathsOf({ origins: ['https://good.example', origin] })).toEqual(['transport.origins.1']);
  });

  it.each([[[]], [null], ['https://app.example'], [{ 0: 'https://app.example' }]])(
    'refuses origins: %j',
    (origins) => {
      expect(pathsOf({ origins })).toEqual(['transport.origins']);
    },
  );

  it('refuses a list with a hole in it', () => {
    const origins = ['https://app.example'];
    origins[2] = 'https://b.example';
    expect(pathsOf({ origins })).toEqual(['transport.origins.1']);
  });

  it.each([
    [['loopback'], '127.9.9.9', '128.0.0.1'],
    [['loopback'], '::1', '::2'],
    [['10.0.0.0/8', '192.0.2.1'], '192.0.2.1', '192.0.2.2'],
    [['2001:db8::/32'], '2001:db8::1', '127.0.0.1'],
  ])('trusts %j: so %s and not %s', (trustedProxies, ours, theirs) => {
    const { config, problems } = read({ trustedProxies });
    const trusts = (text: string): boolean => {
      const address = readIpAddress(text);
      if (address === undefined) throw new Error('it is no address');
      return config.trustedProxies.some((network) => isWithin(address, network));
    };
    expect(problems).toEqual([]);
    expect(trusts(theirs)).toBe(false);
    expect(trusts(ours)).toBe(true);
  });

  it.each([
    '0.0.0.0/0',
    '::/0',
    'Loopback',
    'localhost',
    'proxy.example',
    '*',
    '',
    '10.0.0.1/8',
    '10.0.0.0/8 ',
    '10.0.0.0/33',
    '::ffff:10.0.0.0/104',
    true,
    1,
    null,
    undefined,
  ])('trusts not %j', (entry) => {
    const { config, problems } = read({ trustedProxies: [entry] });
    expect(problems).toMatchObject([{ path: 'transport.trustedProxies.0' }]);
    expect(config.trustedProxies).toEqual([]);
  });

  it('may be in front of nobody', () => {
    expect(read({ trustedProxies: [] })).toMatchObject({
      config: { trustedProxies: [] },
      problems: [],
    });
  });

  it.each([true, 1, 'loopback', null, {}])('refuses trustedProxies: %j', (trustedProxies) => {
    expect(pathsOf({ trustedProxies })).toEqual(['transport.trustedProxies']);
  });

  it.each(['X-Forwarded-For', 'Forwarded'])('listens to %s', (forwardedHeader) => {
    expect(read({ forwardedHeader })).toMatchObject({ config: { forwardedHeader }, problems: [] });
  });

  it.each(['forwarded', 'X-Real-IP', 'both', '', null, true, ['Forwarded'], {}])(
    'refuses forwardedHeader: %j',
    (forwardedHeader) => {
      expect(pathsOf({ forwardedHeader })).toEqual(['transport.forwardedHeader']);
    },
  );

  it.each([null, true, 'cookies', []])('refuses transport: %j', (transport) => {
    expect(pathsOf(transport)).toEqual(['transport']);
  });

  it('suggests the name that was meant', () => {
    const { problems } = read({ trustProxies: ['loopback'], origin: [] });
    expect(problems.map(({ fix }) => fix)).toEqual([
      expect.stringContaining('Did you mean trustedProxies?'),
      expect.stringContaining('Did you mean origins?'),
    ]);
  });

  it('repeats no value in a problem', () => {
    const { problems } = read({
      forwardedHeader: 'planted',
      origins: ['planted.example'],
      trustedProxies: ['planted.example'],
      https: 'planted',
      cookies: { sameSite: 'planted' },
    });
    expect(problems).toHaveLength(5);
    expect(JSON.stringify(problems)).not.toContain('planted');
  });

  it('cannot be changed afterwards', () => {
    const { config } = read({ cookies: {}, origins: [ISSUER], trustedProxies: ['loopback'] });
    for (const part of [config, config.cookies, config.origins, config.trustedProxies]) {
      expect(Object.isFrozen(part)).toBe(true);
    }
  });
});
