import { inspect } from 'node:util';

import { SIGNALS } from '../../../lib/binding/fingerprint/fingerprint-config.js';
import { CHROME, FIREFOX, openRoom, PHONE, requestOf, type Sender } from './sender-mother.js';

/** All that a sender shows, in whatever part somebody might print it. */
function valuesOf({ userAgent, language, address, client }: Required<Sender>): readonly string[] {
  return [
    userAgent,
    'Windows NT',
    'Chrome',
    'chrome',
    'windows',
    '141',
    language,
    'de-AT',
    'de-at',
    address,
    '203.0.113',
    client,
  ].filter((value): value is string => value !== undefined);
}

function expectNothingOf(sender: Required<Sender>, text: string): void {
  for (const value of valuesOf(sender)) expect(text).not.toContain(value);
}

const PRINTERS: readonly (readonly [how: string, print: (value: unknown) => string])[] = [
  ['JSON', (value) => JSON.stringify(value)],
  ['inspect', (value) => inspect(value, { depth: Infinity, showHidden: true })],
  ['a clone', (value) => JSON.stringify(structuredClone(value))],
  ['its members', (value) => JSON.stringify(Reflect.ownKeys(value as object).map(String))],
];

describe('what a sender looks like', () => {
  it.each(PRINTERS)('is in nothing that can be printed, by %s', async (_how, print) => {
    const { fingerprints, told, issueTo } = openRoom({ address: { response: 'note' } });
    const token = issueTo(CHROME, 'session-1');
    await fingerprints.check(requestOf(CHROME), token);
    await fingerprints.check(requestOf({ ...CHROME, address: '203.0.114.1' }), token);
    await fingerprints.check(requestOf(CHROME), issueTo(FIREFOX));
    const signals = fingerprints.signalsOf(requestOf(CHROME));
    await fingerprints.compare(signals, issueTo(PHONE).fingerprint, { sessionId: 'session-1' });
    expect(told.length).toBeGreaterThanOrEqual(4);
    for (const value of [token, signals, told]) expectNothingOf(CHROME, print(value));
  });

  it('is not in the object that checks it, with whatever it has seen', async () => {
    const { fingerprints, issueTo } = openRoom();
    const token = issueTo(CHROME, 'session-1');
    await fingerprints.check(requestOf({ ...CHROME, language: 'ja' }), token);
    expectNothingOf(CHROME, JSON.stringify(fingerprints));
    expectNothingOf(CHROME, inspect(fingerprints, { depth: Infinity, showHidden: true }));
  });

  it('reaches the stores as keyed digests alone', async () => {
    const { stores, neighbour } = openRoom();
    const keys: string[] = [];
    const { fingerprints, issueTo } = neighbour({
      replays: {
        claimOnce: (claim) => {
          keys.push(claim.key);
          return stores.replays.claimOnce(claim);
        },
      },
      counter: {
        record: (change) => {
          keys.push(change.key);
          return stores.counter.record(change);
        },
        read: (key) => {
          keys.push(key);
          return stores.counter.read(key);
        },
      },
    });
    await fingerprints.check(
      requestOf({ ...CHROME, language: 'ja' }),
      issueTo(CHROME, 'session-1'),
    );
    expect(keys).toHaveLength(3);
    for (const key of keys) expect(key).toMatch(/^fingerprint:[A-Za-z0-9_-]{43}$/);
  });

  it('cannot be linked from one session to another', () => {
    const room = openRoom({ address: {} });
    const [one, other] = [room.issueTo(CHROME), room.issueTo(CHROME)].map(({ fingerprint }) => {
      const { k: _, ...values } = fingerprint;
      return Object.values(values);
    });
    expect(one).toHaveLength(11);
    expect(one?.filter((value) => other?.includes(value))).toEqual([]);
  });
});

describe('a signal that is left out', () => {
  const LETTERS = {
    userAgent: ['b'],
    userAgentVersion: ['v'],
    platform: ['o', 'p'],
    mobile: ['m'],
    language: ['l', 'a'],
    addressPrefix: ['n'],
    clientSignals: ['c'],
  } as const;

  it.each(SIGNALS)('leaves no trace: %s', (signal) => {
    const whole = Object.keys(openRoom().issueTo(CHROME).fingerprint);
    const room = openRoom({ fingerprint: { signals: { [signal]: null } } });
    const left = Object.keys(room.issueTo(CHROME).fingerprint);
    expect(left).toEqual(
      whole.filter((member) => !LETTERS[signal].some((name) => name === member)),
    );
  });

  it('is not even read', () => {
    const signals = Object.fromEntries(
      SIGNALS.filter((signal) => signal !== 'mobile').map((signal) => [signal, null]),
    );
    const thresholds = { note: 1, stepUp: null, refuse: null };
    const { fingerprints } = openRoom({ fingerprint: { signals, thresholds } });
    const read: string[] = [];
    const headers = new Proxy<Record<string, string>>(
      {},
      {
        get: (_target, name) => {
          read.push(String(name));
          return '?0';
        },
      },
    );
    const socket = {
      get remoteAddress(): string {
        read.push('remoteAddress');
        return '203.0.113.7';
      },
    };
    const request = { headers, socket };
    const fingerprint = fingerprints.claimOf(fingerprints.signalsOf(request));
    const token = { fingerprint, sessionId: undefined, tokenId: 't' };
    for (let time = 0; time < 2; time++) {
      expect(fingerprints.check(request, token)).toBe('pass');
    }
    expect(new Set(read)).toEqual(new Set(['sec-ch-ua-mobile']));
  });
});
