import { randomBytes } from 'node:crypto';

import { SIGNALS } from '../../lib/binding/fingerprint/fingerprint-config.js';
import { SenderSecrets } from '../../lib/binding/sender-secrets.js';
import { OptionReader } from '../../lib/config/option-reader.js';
import { readFingerprintBinding } from '../../lib/config/resolve-fingerprint.js';

const secrets = new SenderSecrets([randomBytes(32)]);

function read(binding: unknown) {
  const reader = new OptionReader({ binding });
  const config = readFingerprintBinding(reader, { secrets });
  return { config, problems: reader.problems };
}

const ALL_OUT = Object.fromEntries(SIGNALS.map((signal) => [signal, null]));

describe('binding.fingerprint', () => {
  it.each([undefined, {}, { fingerprint: null }, { fingerprint: null, address: null }])(
    'is off by default (%j)',
    (binding) => {
      expect(read(binding)).toEqual({ config: null, problems: [] });
    },
  );

  it('has these defaults', () => {
    expect(read({ fingerprint: {} })).toEqual({
      problems: [],
      config: {
        weights: {
          userAgent: 50,
          userAgentVersion: 20,
          platform: 25,
          mobile: 10,
          language: 20,
          addressPrefix: 20,
          clientSignals: 30,
        },
        thresholds: { note: 20, stepUp: 40, refuse: 80 },
        rapid: { changes: 6, within: 600_000, response: 'stepUp' },
        address: null,
        secrets,
      },
    });
  });

  it('takes what is written, and null for what is not wanted', () => {
    const fingerprint = {
      signals: { userAgent: 100, language: 1, addressPrefix: null },
      thresholds: { note: null, stepUp: 1, refuse: 186 },
      rapid: { changes: 1, within: '1d', response: 'note' },
    };
    const { config, problems } = read({ fingerprint, address: { response: 'refuse' } });
    expect(problems).toEqual([]);
    expect(config).toMatchObject({
      weights: { userAgent: 100, platform: 25, language: 1, addressPrefix: null },
      thresholds: { note: null, stepUp: 1, refuse: 186 },
      rapid: { changes: 1, within: 86_400_000, response: 'note' },
      address: { response: 'refuse' },
    });
    expect(read({ fingerprint: { rapid: null } }).config?.rapid).toBeNull();
  });

  it('is frozen to its last level', () => {
    const { config } = read({ fingerprint: {}, address: {} });
    const parts = [config, config?.weights, config?.thresholds, config?.rapid, config?.address];
    expect(parts.map((part) => Object.isFrozen(part))).toEqual(Array(5).fill(true));
  });

  it.each<[path: string, fingerprint: unknown]>([
    ['', true],
    ['', []],
    ['', 'strict'],
    ['.signal', { signal: {} }],
    ['.signals', { signals: null }],
    ['.signals', { signals: [] }],
    ['.signals.useragent', { signals: { useragent: 1 } }],
    ['.signals.userAgent', { signals: { userAgent: 0 } }],
    ['.signals.userAgent', { signals: { userAgent: -1 } }],
    ['.signals.userAgent', { signals: { userAgent: 0.5 } }],
    ['.signals.userAgent', { signals: { userAgent: 101 } }],
    ['.signals.userAgent', { signals: { userAgent: Infinity } }],
    ['.signals.userAgent', { signals: { userAgent: NaN } }],
    ['.signals.userAgent', { signals: { userAgent: '50' } }],
    ['.signals.userAgent', { signals: { userAgent: false } }],
    ['.thresholds', { thresholds: 40 }],
    ['.thresholds.pass', { thresholds: { pass: 1 } }],
    ['.thresholds.note', { thresholds: { note: 0 } }],
    ['.thresholds.note', { thresholds: { note: '20' } }],
    ['.thresholds.stepUp', { thresholds: { stepUp: 20 } }],
    ['.thresholds.stepUp', { thresholds: { note: 40 } }],
    ['.thresholds.refuse', { thresholds: { refuse: 40 } }],
    ['.thresholds.refuse', { thresholds: { stepUp: null, refuse: 20 } }],
    ['.thresholds.refuse', { thresholds: { refuse: 176 } }],
    ['.thresholds.refuse', { signals: { ...ALL_OUT, userAgent: 79 } }],
    ['.rapid', { rapid: false }],
    ['.rapid.count', { rapid: { count: 1 } }],
    ['.rapid.changes', { rapid: { changes: 0 } }],
    ['.rapid.changes', { rapid: { changes: 101 } }],
    ['.rapid.within', { rapid: { within: '59s' } }],
    ['.rapid.within', { rapid: { within: '2d' } }],
    ['.rapid.within', { rapid: { within: 600 } }],
    ['.rapid.response', { rapid: { response: 'pass' } }],
  ])('names %s where %j is wrong, with its fix', (path, fingerprint) => {
    const { problems } = read({ fingerprint });
    expect(problems).toMatchObject([{ path: `binding.fingerprint${path}` }]);
    expect(problems[0]?.fix).toMatch(/^(?:Write|Known|Did you mean)/);
  });

  it('needs a signal', () => {
    const paths = read({ fingerprint: { signals: ALL_OUT } }).problems.map(({ path }) => path);
    expect(paths[0]).toBe('binding.fingerprint.signals');
  });

  it('reports all problems at once', () => {
    const fingerprint = {
      signals: { userAgent: 0, mobile: 0 },
      thresholds: { note: 30, stepUp: 30 },
      rapid: { changes: 0 },
    };
    const { problems } = read({ fingerprint, address: { response: 'pass' } });
    expect(problems.map(({ path }) => path)).toEqual([
      'binding.address.response',
      'binding.fingerprint.signals.userAgent',
      'binding.fingerprint.signals.mobile',
      'binding.fingerprint.thresholds.stepUp',
      'binding.fingerprint.rapid.changes',
    ]);
  });
});

describe('binding.address', () => {
  it('alone looks at nothing else', () => {
    const { config, problems } = read({ address: {} });
    expect(problems).toEqual([]);
    expect(config).toMatchObject({
      weights: ALL_OUT,
      rapid: null,
      address: { response: 'stepUp' },
    });
  });

  it.each<[path: string, address: unknown]>([
    ['', 'refuse'],
    ['.response', { response: 'pass' }],
    ['.response', { response: null }],
    ['.reply', { reply: 'note' }],
  ])('names %s where %j is wrong', (path, address) => {
    expect(read({ address }).problems).toMatchObject([{ path: `binding.address${path}` }]);
  });
});
