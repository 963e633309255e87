import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { createServer, type Server } from 'node:http';
import { type AddressInfo, connect } from 'node:net';

import { readIpNetwork } from '../../../lib/binding/ip-address.js';
import { SenderSecrets } from '../../../lib/binding/sender-secrets.js';
import { StoreError } from '../../../lib/kernel/errors.js';
import { MemoryReplayStore } from '../../../lib/storage/memory/memory-replay-store.js';
import { TestClock } from '../../support/test-clock.js';
import {
  CHROME,
  chromeOf,
  FIREFOX,
  openRoom,
  PHONE,
  requestOf,
  type Room,
  type Sender,
  type Stores,
} from './sender-mother.js';

const MINUTE = 60_000;

/** Owners who look a little otherwise, each in another way. */
function disguise(number: number): Sender {
  return { ...CHROME, address: `198.51.${number}.1` };
}

/** Counts what is asked of the stores. */
function counted(stores: Stores): { readonly stores: Stores; readonly calls: string[] } {
  const calls: string[] = [];
  return {
    calls,
    stores: {
      replays: {
        claimOnce: (claim) => {
          calls.push('claimOnce');
          return stores.replays.claimOnce(claim);
        },
      },
      counter: {
        record: (change) => {
          calls.push('record');
          return stores.counter.record(change);
        },
        read: (key) => {
          calls.push('read');
          return stores.counter.read(key);
        },
      },
    },
  };
}

async function failing(): Promise<never> {
  throw new StoreError('ERR_STORE_UNAVAILABLE', 'the store cannot be asked');
}

describe('a sender that was seen', () => {
  it('is judged at once, without a store and without another word', async () => {
    const room = openRoom();
    const { stores, calls } = counted(room.stores);
    const instance = room.neighbour(stores);
    const token = instance.issueTo(CHROME, 'session-1');
    const changed = requestOf({ ...CHROME, language: 'fr' });
    expect(instance.fingerprints.check(requestOf(CHROME), token)).toBe('pass');
    expect(calls).toEqual([]);
    expect(await instance.fingerprints.check(changed, token)).toBe('pass');
    expect(calls).toEqual(['read', 'claimOnce', 'record']);
    for (let time = 0; time < 3; time++) {
      expect(instance.fingerprints.check(changed, token)).toBe('pass');
      expect(instance.fingerprints.check(requestOf(CHROME), token)).toBe('pass');
    }
    expect(calls).toHaveLength(3);
    expect(instance.told).toEqual([
      {
        type: 'binding.drifted',
        sessionId: 'session-1',
        jti: token.tokenId,
        signals: ['language'],
        score: 20,
        response: 'note',
      },
    ]);
  });

  it.each<[what: string, sender: Sender, verdict: string]>([
    ['a refusal', FIREFOX, 'refuse'],
    ['a step-up', { ...CHROME, userAgent: `${CHROME.userAgent} Edg/141.0` }, 'stepUp'],
  ])('is judged by the same verdict each time: %s', async (_what, sender, verdict) => {
    const room = openRoom();
    const token = room.issueTo(CHROME);
    for (let time = 0; time < 3; time++) {
      expect(await room.fingerprints.check(requestOf(sender), token)).toBe(verdict);
    }
    expect(room.told).toEqual([
      {
        type: 'binding.mismatched',
        jti: token.tokenId,
        kind: 'fingerprint',
        response: verdict,
      },
    ]);
  });

  it('is the same in another spelling', async () => {
    const room = openRoom();
    const token = room.issueTo(CHROME);
    await room.fingerprints.check(requestOf({ ...CHROME, language: 'fr' }), token);
    for (const language of ['FR', 'fr;q=0.3', ' fr ']) {
      expect(room.fingerprints.check(requestOf({ ...CHROME, language }), token)).toBe('pass');
    }
    expect(room.told).toHaveLength(1);
  });

  it('is another with another token', () => {
    const room = openRoom();
    const [chrome, firefox] = [room.issueTo(CHROME), room.issueTo(FIREFOX)];
    expect(room.fingerprints.check(requestOf(CHROME), chrome)).toBe('pass');
    expect(room.fingerprints.check(requestOf(CHROME), firefox)).toBe('refuse');
    expect(room.fingerprints.check(requestOf(FIREFOX), firefox)).toBe('pass');
    expect(room.fingerprints.check(requestOf(FIREFOX), chrome)).toBe('refuse');
  });

  it('is never taken for one who shows something else, however many there were', async () => {
    const room = openRoom({ fingerprint: { rapid: null } });
    const token = room.issueTo(CHROME);
    for (let round = 0; round < 2; round++) {
      for (let number = 0; number < 20; number++) {
        expect(room.fingerprints.check(requestOf(disguise(number)), token)).toBe('pass');
      }
      expect(room.fingerprints.check(requestOf(FIREFOX), token)).toBe('refuse');
      expect(room.fingerprints.check(requestOf({}), token)).toBe('refuse');
      expect(room.fingerprints.check(requestOf(CHROME), token)).toBe('pass');
    }
  });

  it('is known by headers of any length', () => {
    const room = openRoom();
    const sender = { ...CHROME, userAgent: `${CHROME.userAgent}${' '.repeat(10_000)}` };
    const token = room.issueTo(sender);
    for (let time = 0; time < 2; time++) {
      expect(room.fingerprints.check(requestOf(sender), token)).toBe('pass');
      expect(room.fingerprints.check(requestOf(FIREFOX), token)).toBe('refuse');
    }
  });

  it('asks the stores once for requests that come together', async () => {
    const room = openRoom();
    const { stores, calls } = counted(room.stores);
    const { fingerprints, told, issueTo } = room.neighbour(stores);
    const token = issueTo(CHROME);
    const verdicts = Array.from({ length: 20 }, async () =>
      fingerprints.check(requestOf(disguise(1)), token),
    );
    expect(new Set(await Promise.all(verdicts))).toEqual(new Set(['pass']));
    expect(calls).toEqual(['read', 'claimOnce', 'record']);
    expect(told).toHaveLength(1);
  });
});

describe('many senders in a short time', () => {
  async function show(room: Room, number: number, sessionId = 'session-1'): Promise<string> {
    return room.fingerprints.check(requestOf(disguise(number)), room.issueTo(CHROME, sessionId));
  }

  it('are too many on whatever instance, and then all of them are until the time is over', async () => {
    const one = openRoom({
      fingerprint: { rapid: { changes: 2, within: '1m', response: 'refuse' } },
    });
    const other = one.neighbour();
    expect(await show(one, 1)).toBe('pass');
    expect(await show(other, 2)).toBe('pass');
    expect(await show(one, 2)).toBe('pass');
    expect(await show(one, 3)).toBe('refuse');
    expect(one.told.at(-1)).toMatchObject({ type: 'binding.mismatched', response: 'refuse' });
    for (const number of [1, 2, 3, 4]) expect(await show(other, number)).toBe('refuse');
    one.clock.advance(MINUTE + 1);
    expect(await show(other, 5)).toBe('pass');
  });

  it('count for each session by itself, and for a token without one', async () => {
    const room = openRoom({ fingerprint: { rapid: { changes: 1 } } });
    expect(await show(room, 1, 'session-1')).toBe('pass');
    expect(await show(room, 2, 'session-2')).toBe('pass');
    const token = room.issueTo(CHROME);
    expect(await room.fingerprints.check(requestOf(disguise(3)), token)).toBe('pass');
    expect(await room.fingerprints.check(requestOf(disguise(4)), token)).toBe('stepUp');
  });

  it('count in refreshes too, which each begin anew', async () => {
    const { fingerprints, issueTo } = openRoom({ fingerprint: { rapid: { changes: 2 } } });
    let baseline = issueTo(CHROME, 'session-1').fingerprint;
    const verdicts: string[] = [];
    for (const number of [1, 2, 3, 4]) {
      const signals = fingerprints.signalsOf(requestOf(disguise(number)));
      verdicts.push(await fingerprints.compare(signals, baseline, { sessionId: 'session-1' }));
      baseline = fingerprints.claimOf(signals);
    }
    expect(verdicts).toEqual(['pass', 'pass', 'stepUp', 'stepUp']);
  });

  it('do not count the owner, an address within its prefix, or who is refused anyway', async () => {
    const room = openRoom({
      fingerprint: { rapid: { changes: 1 } },
      address: { response: 'note' },
    });
    for (let number = 1; number <= 9; number++) {
      const neighbour = requestOf({ ...CHROME, address: `203.0.113.${number}` });
      const stranger = requestOf({ ...FIREFOX, address: `192.0.${number}.1` });
      const token = room.issueTo(CHROME, 'session-1');
      expect(await room.fingerprints.check(neighbour, token)).toBe('pass');
      expect(await room.fingerprints.check(stranger, token)).toBe('refuse');
    }
    expect(await show(room, 1)).toBe('pass');
  });

  it('are one sender at every address of one prefix', async () => {
    const room = openRoom({
      fingerprint: { rapid: { changes: 1 } },
      address: { response: 'note' },
    });
    for (let number = 1; number <= 9; number++) {
      const moved = requestOf({ ...CHROME, language: 'fr', address: `203.0.113.${number}` });
      const token = room.issueTo(CHROME, 'session-1');
      expect(await room.fingerprints.check(moved, token)).toBe('pass');
    }
  });

  it('write nothing more once they are too many', async () => {
    const clock = new TestClock();
    const replays = new MemoryReplayStore(1_000, clock);
    const room = openRoom().neighbour({ replays });
    for (let number = 0; number < 100; number++) await show(room, number);
    expect(replays.size).toBe(7);
  });

  it('are as many as they like where nobody minds', async () => {
    const room = openRoom({ fingerprint: { rapid: null } });
    for (let number = 0; number < 50; number++) expect(await show(room, number)).toBe('pass');
  });
});

describe('a store that fails', () => {
  const FAILURES: readonly (readonly [what: string, stores: (s: Stores) => Partial<Stores>])[] = [
    ['read', ({ counter }) => ({ counter: { record: (c) => counter.record(c), read: failing } })],
    ['claim', () => ({ replays: { claimOnce: failing } })],
    [
      'count',
      ({ counter }) => ({ counter: { record: failing, read: (key) => counter.read(key) } }),
    ],
  ];

  it.each(FAILURES)(
    'to %s lets no new sender through, known ones as before, and all once it works again',
    async (_what, stores) => {
      const room = openRoom();
      let current = stores(room.stores);
      const instance = room.neighbour({
        replays: {
          claimOnce: (claim) => (current.replays ?? room.stores.replays).claimOnce(claim),
        },
        counter: {
          record: (change) => (current.counter ?? room.stores.counter).record(change),
          read: (key) => (current.counter ?? room.stores.counter).read(key),
        },
      });
      const token = instance.issueTo(CHROME, 'session-1');
      const check = async (sender: Sender): Promise<string> =>
        instance.fingerprints.check(requestOf(sender), token);
      for (const number of [1, 2]) {
        await expect(check(disguise(number))).rejects.toThrow(StoreError);
        expect(await check(CHROME)).toBe('pass');
        expect(await check(FIREFOX)).toBe('refuse');
      }
      current = {};
      expect(await check(disguise(1))).toBe('pass');
    },
  );

  it('fails a refresh of a sender that differs, and of no other', async () => {
    const { neighbour } = openRoom();
    const { fingerprints, issueTo } = neighbour({ replays: { claimOnce: failing } });
    const { fingerprint } = issueTo(CHROME);
    const compare = async (sender: Sender): Promise<string> =>
      fingerprints.compare(fingerprints.signalsOf(requestOf(sender)), fingerprint, {
        sessionId: 'session-1',
      });
    await expect(compare(disguise(1))).rejects.toThrow(StoreError);
    expect(await compare(CHROME)).toBe('pass');
  });
});

describe('the address', () => {
  it.each([
    ['note', 'pass'],
    ['stepUp', 'stepUp'],
    ['refuse', 'refuse'],
  ] as const)('that is another is answered by %s', async (response, verdict) => {
    for (const fingerprint of [null, {}]) {
      const room = openRoom({ fingerprint, address: { response } });
      const token = room.issueTo(PHONE, 'session-1');
      const { fingerprints } = room;
      const at = (address: string | undefined) =>
        fingerprints.check(requestOf({ ...PHONE, address }), token);
      expect(at('2001:DB8:0001:2::99')).toBe('pass');
      expect(room.told).toEqual([]);
      expect(await at('2001:db8:1:3::99')).toBe(verdict);
      expect(room.told).toEqual([
        {
          type: 'binding.mismatched',
          sessionId: 'session-1',
          jti: token.tokenId,
          kind: 'address',
          response,
        },
      ]);
      // A socket without one is another address, too.
      expect(await at(undefined)).toBe(verdict);
    }
  });

  it('of IPv4 is the whole of it', () => {
    const room = openRoom({ fingerprint: null, address: { response: 'refuse' } });
    const token = room.issueTo(CHROME);
    expect(room.fingerprints.check(requestOf(CHROME), token)).toBe('pass');
    const neighbour = requestOf({ ...CHROME, address: '203.0.113.8' });
    expect(room.fingerprints.check(neighbour, token)).toBe('refuse');
  });

  it('is that behind the proxy, on one connection after the other', async () => {
    const network = readIpNetwork('10.0.0.0/8');
    if (network === undefined) throw new Error('no network');
    const room = openRoom({ address: { response: 'refuse' }, proxies: [network] });
    const socket = { remoteAddress: '10.0.0.1' };
    const behind = (address: string) => ({
      ...requestOf(CHROME, { 'x-forwarded-for': address }),
      socket,
    });
    const signals = room.fingerprints.signalsOf(behind('203.0.113.7'));
    const token = {
      fingerprint: room.fingerprints.claimOf(signals),
      sessionId: undefined,
      tokenId: 't',
    };
    for (let time = 0; time < 2; time++) {
      expect(room.fingerprints.check(behind('203.0.113.7'), token)).toBe('pass');
      expect(room.fingerprints.check(behind('203.0.113.8'), token)).toBe('refuse');
      expect(room.fingerprints.check(behind('6.6.6.6, 203.0.113.7'), token)).toBe('pass');
    }
  });
});

describe('a claim', () => {
  const [old, young] = [randomBytes(32), randomBytes(32)];

  it('is checked by whichever of the secrets made it', () => {
    const before = openRoom({ secrets: new SenderSecrets([old]) });
    const after = openRoom({ secrets: new SenderSecrets([young, old]) });
    const token = before.issueTo(CHROME);
    expect(after.fingerprints.check(requestOf(CHROME), token)).toBe('pass');
    expect(after.fingerprints.check(requestOf(FIREFOX), token)).toBe('refuse');
    expect(after.issueTo(CHROME).fingerprint.k).not.toBe(token.fingerprint.k);
  });

  it('that none of them made is refused, and so is a refresh by it', async () => {
    const before = openRoom({ secrets: new SenderSecrets([old]) });
    const after = openRoom({ secrets: new SenderSecrets([young]) });
    const token = before.issueTo(CHROME);
    expect(after.fingerprints.check(requestOf(CHROME), token)).toBe('refuse');
    const signals = after.fingerprints.signalsOf(requestOf(CHROME));
    const session = { sessionId: 'session-1' };
    expect(await after.fingerprints.compare(signals, token.fingerprint, session)).toBe('refuse');
    const mismatch = { type: 'binding.mismatched', kind: 'fingerprint', response: 'refuse' };
    expect(after.told).toMatchObject([mismatch, mismatch]);
  });

  it('of nothing that is looked at here is refused', () => {
    const secrets = new SenderSecrets([old]);
    const before = openRoom({ secrets, fingerprint: null, address: {} });
    const after = openRoom({ secrets });
    const token = before.issueTo(CHROME);
    expect(after.fingerprints.check(requestOf(CHROME), token)).toBe('refuse');
  });

  it('of more or less than is looked at here is judged by what both have', async () => {
    const secrets = new SenderSecrets([old]);
    const less = openRoom({ secrets, fingerprint: { signals: { language: null } } });
    const more = openRoom({ secrets, address: {} });
    const stranger = requestOf({ ...FIREFOX, address: CHROME.address });
    for (const [from, to] of [
      [less, more],
      [more, less],
    ] as const) {
      const token = from.issueTo(CHROME);
      expect(await to.fingerprints.check(requestOf(CHROME), token)).toBe('pass');
      expect(await to.fingerprints.check(stranger, token)).toBe('refuse');
    }
  });
});

describe('signals', () => {
  it('are taken from a room of this make alone', () => {
    const { fingerprints } = openRoom();
    expect(() => fingerprints.claimOf({} as never)).toThrow(TypeError);
  });

  it.each(['userAgent', 'language', 'addressPrefix', 'clientSignals'] as const)(
    'that are left out make no difference: %s',
    async (signal) => {
      const room = openRoom({ fingerprint: { signals: { [signal]: null } } });
      const changes = {
        userAgent: { userAgent: `${CHROME.userAgent} Edg/141.0` },
        language: { language: 'ja' },
        addressPrefix: { address: '192.0.2.4' },
        clientSignals: { client: undefined },
      };
      const changed = requestOf({ ...CHROME, ...changes[signal] });
      expect(room.fingerprints.check(changed, room.issueTo(CHROME))).toBe('pass');
      expect(room.told).toEqual([]);
    },
  );
});

describe('over a real server', () => {
  let server: Server;
  let verdicts: unknown[];
  let told: readonly object[];
  beforeEach(async () => {
    const room = openRoom();
    const token = room.issueTo({ ...CHROME, address: '127.0.0.1' });
    verdicts = [];
    told = room.told;
    server = createServer((request, response) => {
      // As Express hands it over, and as Fastify does.
      const { headers, socket, rawHeaders } = request;
      for (const handed of [
        { headers, socket },
        { headers, raw: { socket, rawHeaders } },
      ]) {
        verdicts.push(room.fingerprints.check(handed, token));
      }
      response.end();
    }).listen(0, '127.0.0.1');
    await once(server, 'listening');
  });
  afterEach(() => server.close());

  async function send(lines: readonly string[]): Promise<void> {
    const { port } = server.address() as AddressInfo;
    const socket = connect(port, '127.0.0.1');
    socket.write(['GET / HTTP/1.1', 'host: a', 'connection: close', ...lines, '', ''].join('\r\n'));
    socket.resume();
    await once(socket, 'close');
  }

  const linesOf = (agent: string): readonly string[] => [
    `user-agent: ${agent}`,
    `accept-language: ${CHROME.language}`,
    `sec-ch-ua-platform: ${CHROME.platform}`,
    `sec-ch-ua-mobile: ${CHROME.mobile}`,
    `x-client-signals: ${CHROME.client}`,
  ];

  it('the case of header names makes no difference', async () => {
    await send(
      linesOf(CHROME.userAgent).map((line) => line.replace(/^[^:]+/, (n) => n.toUpperCase())),
    );
    await send(linesOf(CHROME.userAgent));
    expect(verdicts).toEqual(Array(4).fill('pass'));
    expect(told).toEqual([]);
  });

  it('a header that came twice is judged as it is read', async () => {
    await send([...linesOf(CHROME.userAgent), `x-client-signals: ${CHROME.client}`]);
    expect(await Promise.all(verdicts)).toEqual(['pass', 'pass']);
    expect(told).toMatchObject([{ signals: ['clientSignals'], response: 'note' }]);
  });

  it('another browser is another', async () => {
    await send(linesOf(FIREFOX.userAgent));
    await send(linesOf(chromeOf('142.0.0.0')));
    expect(await Promise.all(verdicts)).toEqual(['refuse', 'refuse', 'pass', 'pass']);
  });
});
