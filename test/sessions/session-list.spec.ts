import { memoryStorage } from '../../lib/storage/memory/memory-storage.js';
import type { SessionStore } from '../../lib/sessions/session-store.js';
import { codeOf } from '../revocation/instances.js';
import { closeRooms, DAY, openRoom, ownerOf, SECOND, type SessionRoom } from './session-room.js';

let room: SessionRoom;

beforeEach(async () => {
  room = await openRoom();
});

afterEach(closeRooms);

describe('the list of sessions', () => {
  it('says what the owner may know of each, and is right after rotations', async () => {
    const began = room.clock.now();
    const pair = await room.start({
      device: 'Firefox on Linux',
      address: '2001:db8:1:2:3::4',
      binding: { kind: 'mtls', value: `${'O'.repeat(42)}A` },
      carrier: 'cookie',
      idleFor: '1d',
      scope: 'a b',
    });
    room.clock.advance(60 * SECOND);
    await room.refresh(pair, {
      binding: { kind: 'mtls', value: `${'O'.repeat(42)}A` },
      address: '192.0.2.130',
    });
    const used = room.clock.now();
    expect(await room.sessions.list('alice')).toEqual([
      {
        sessionId: pair.sessionId,
        device: 'Firefox on Linux',
        createdAt: new Date(began),
        lastUsedAt: new Date(used),
        expiresAt: new Date(used + DAY),
        addressPrefix: '192.0.2.0/24',
        binding: 'mtls',
        carrier: 'cookie',
      },
    ]);
  });

  it('is sorted by last use, and is only of one subject', async () => {
    const pairs = [];
    for (const device of ['a', 'b', 'c']) {
      room.clock.advance(SECOND);
      pairs.push(await room.start({ device }));
    }
    await room.start({ device: 'of bob' }, 'bob');
    room.clock.advance(SECOND);
    const [first] = pairs;
    if (first !== undefined) await room.refresh(first);
    const devices = (await room.sessions.list('alice')).map(({ device }) => device);
    expect(devices).toEqual(['a', 'c', 'b']);
    for (const nobody of ['Alice', 'alic', '', '__proto__']) {
      expect(await room.sessions.list(nobody)).toEqual([]);
    }
  });

  it('says that a session ends at its absolute end, where that is sooner', async () => {
    const pair = await room.start({ idleFor: '1d', absoluteFor: '1d' });
    room.clock.advance(DAY / 2);
    await room.refresh(pair);
    const [session] = await room.sessions.list('alice');
    expect(session?.expiresAt).toEqual(new Date(room.clock.now() + DAY / 2));
  });

  it('holds nothing of a token, nor does what is at rest', async () => {
    const r1 = await room.start({
      carrier: 'cookie',
      binding: { kind: 'mtls', value: `${'O'.repeat(42)}A` },
      roles: ['director'],
    });
    const binding = { kind: 'mtls', value: `${'O'.repeat(42)}A` } as const;
    const r2 = await room.refresh(r1, { binding });
    const listed = JSON.stringify(await room.sessions.list('alice'));
    const stored = JSON.stringify(await room.store.list(ownerOf('alice')));
    for (const text of [listed, stored]) {
      for (const pair of [r1, r2]) {
        const secrets = [pair.refreshToken.slice(4), pair.accessToken, pair.csrfToken ?? ''];
        for (const secret of secrets) expect(text).not.toContain(secret);
      }
      for (const word of ['director', `${'O'.repeat(42)}A`, 'alice'])
        expect(text).not.toContain(word);
    }
  });
});

describe('the label of a device', () => {
  it.each<[what: string, device: string, label: string | undefined]>([
    ['as it is', 'Firefox on Linux', 'Firefox on Linux'],
    ['of any script', 'Zoës 手机 📱', 'Zoës 手机 📱'],
    ['without control characters', 'a\u0000b\u001b[31mc\r\nd', 'a b [31mc d'],
    ['without what reorders text', 'a\u202egnp.exe\u2066b\u200f', 'a gnp.exe b'],
    ['without line separators', 'a\u2028\u2029b', 'a b'],
    ['without halves of characters', 'a\ud83db', 'a\ufffdb'],
    ['without what surrounds it', '  a  ', 'a'],
    ['of nothing', '', undefined],
    ['of nothing that is seen', '\u0000\u200b\ufeff \u202e', undefined],
    ['cut to 200 characters', '📱'.repeat(201), '📱'.repeat(200)],
    ['cut when huge', 'x'.repeat(5_000_000), 'x'.repeat(200)],
    ['of markup, which is text', '<img src=x onerror=alert(1)>', '<img src=x onerror=alert(1)>'],
  ])('is kept %s', async (_what, device, label) => {
    const pair = await room.start({ device });
    expect((await room.sessions.list('alice'))[0]?.device).toBe(label);
    await room.refresh(pair, { device: 'other' });
    expect((await room.sessions.list('alice'))[0]?.device).toBe('other');
  });

  it.each([[7], [null], [['x']], [{ toString: () => 'x' }]])(
    'is a text, not %j',
    async (device) => {
      await expect(room.start({ device: device as string })).rejects.toThrow(TypeError);
      const pair = await room.start({ device: 'kept' });
      await expect(room.refresh(pair, { device: device as string })).rejects.toThrow(TypeError);
      expect(await room.refreshed(pair)).toBe('accepted');
    },
  );

  it('stays what it was where there is no room for another, and the refresh is done', async () => {
    let size = 2_000;
    const begin = () => room.start({ device: 'x', claims: { x: 'x'.repeat(size) } });
    while ((await begin().then(String, codeOf)) !== 'ERR_CLAIM_TOO_LARGE') size += 50;
    size -= 50;
    await room.sessions.endAll('alice');
    const pair = await begin();
    expect(await room.refreshed(pair, { device: '📱'.repeat(200) })).toBe('accepted');
    expect((await room.sessions.list('alice'))[0]?.device).toBe('x');
  });
});

describe('an address', () => {
  it.each<[address: string, prefix: string | undefined]>([
    ['192.0.2.77', '192.0.2.0/24'],
    ['::ffff:192.0.2.77', '192.0.2.0/24'],
    ['2001:db8:1:2:3:4:5:6', '2001:db8:1::/48'],
    ['not an address', undefined],
    ['', undefined],
    ['192.0.2.77, 10.0.0.1', undefined],
    ['9'.repeat(100_000), undefined],
  ])('%.40s is kept as its prefix', async (address, prefix) => {
    await room.start({ address });
    expect((await room.sessions.list('alice'))[0]?.addressPrefix).toBe(prefix);
  });

  it('that is none leaves the one before', async () => {
    const pair = await room.start({ address: '192.0.2.77' });
    await room.refresh(pair, { address: 'unknown' });
    expect((await room.sessions.list('alice'))[0]?.addressPrefix).toBe('192.0.2.0/24');
  });
});

describe('what somebody else wrote into the store', () => {
  /** A room whose store gives back other data than it got. */
  async function tampered(change: (data: string) => string): Promise<SessionRoom> {
    const storage = memoryStorage({ clock: room.clock });
    const real = storage.sessionStore;
    const altered: Pick<SessionStore, 'find' | 'list'> = {
      find: async (request) => {
        const found = await real.find(request);
        if (found === null) return null;
        const { session } = found;
        return { ...found, session: { ...session, data: change(session.data) } };
      },
      list: async (owner) =>
        (await real.list(owner)).map((record) => ({ ...record, data: change(record.data) })),
    };
    const sessionStore: SessionStore = {
      create: (request) => real.create(request),
      rotate: (request) => real.rotate(request),
      end: (key) => real.end(key),
      endAll: (request) => real.endAll(request),
      count: () => real.count(),
      ...altered,
    };
    return openRoom({ storage: { ...storage, sessionStore } }, room.clock);
  }

  const edited = (change: (data: Record<string, unknown>) => object) => (data: string) =>
    JSON.stringify(change(JSON.parse(data) as Record<string, unknown>));

  it.each<[what: string, change: (data: string) => string]>([
    ['no JSON', () => '{'],
    ['nothing', () => ''],
    ['null', () => 'null'],
    ['a list', () => '[]'],
    ['no grant', edited(({ grant: _, ...rest }) => rest)],
    ['a grant that is no text', edited((data) => ({ ...data, grant: 7 }))],
    ['an empty grant', edited((data) => ({ ...data, grant: '' }))],
    ['a grant in clear', edited((data) => ({ ...data, grant: '{"claims":{"sub":"alice"}}' }))],
    [
      'a grant with one bit changed',
      edited((data) => {
        const [name = '', sealed = ''] = String(data['grant']).split('.');
        const bytes = Buffer.from(sealed, 'base64url');
        bytes.writeUInt8(bytes.readUInt8(20) ^ 1, 20);
        return { ...data, grant: `${name}.${bytes.toString('base64url')}` };
      }),
    ],
    ['a carrier that there is not', edited((data) => ({ ...data, carrier: 'none' }))],
    ['a device that is no text', edited((data) => ({ ...data, device: {} }))],
  ])('refuses %s, and grants nothing by it', async (_what, change) => {
    let isTampered = false;
    const spoiled = await tampered((data) => (isTampered ? change(data) : data));
    const pair = await spoiled.start();
    isTampered = true;
    expect(await spoiled.refreshed(pair)).toMatch(/^ERR_(?:STORE_CORRUPT|SESSION_UNKNOWN)$/);
    isTampered = false;
    expect(await spoiled.refreshed(pair)).toBe('accepted');
  });

  it.each<[what: string, change: (data: string) => string]>([
    ['no JSON', () => '{'],
    ['null', () => 'null'],
    ['a carrier that there is not', edited((data) => ({ ...data, carrier: 'none' }))],
    ['a device that is no text', edited((data) => ({ ...data, device: {} }))],
  ])('hides no session from a list, its own included: %s', async (_what, change) => {
    let isTampered = false;
    const isFirst = (data: string): boolean => data.includes('of the first');
    const spoiled = await tampered((data) => (isTampered && isFirst(data) ? change(data) : data));
    const first = await spoiled.start({ device: 'of the first' });
    spoiled.clock.advance(SECOND);
    const second = await spoiled.start({ device: 'of the second' });
    isTampered = true;
    const listed = await spoiled.sessions.list('alice');
    expect(listed).toMatchObject([
      { sessionId: second.sessionId, device: 'of the second', carrier: 'body', binding: 'none' },
      { sessionId: first.sessionId, device: undefined, carrier: undefined, binding: undefined },
    ]);
    expect(listed[1]?.createdAt).toEqual(new Date(spoiled.clock.now() - SECOND));
    const { sessionId } = first;
    expect(spoiled.said('session.unreadable')).toMatchObject([{ sessionId }]);
    await spoiled.sessions.end(sessionId);
    expect(await spoiled.verdict(first)).toBe('ERR_TOKEN_REVOKED');
    expect(await spoiled.sessions.list('alice')).toHaveLength(1);
  });

  it('does not make one session have the rights of another', async () => {
    let grant: unknown;
    const spoiled = await tampered(
      edited((data) => ({ ...data, ...(grant === undefined ? {} : { grant }) })),
    );
    await spoiled.start({ roles: ['admin'] }, 'admin');
    const [theirs] = await spoiled.store.list(ownerOf('admin'));
    const pair = await spoiled.start({}, 'mallory');
    grant = (JSON.parse(theirs?.data ?? '{}') as Record<string, unknown>)['grant'];
    expect(await spoiled.refreshed(pair)).toMatch(/^ERR_(?:STORE_CORRUPT|SESSION_UNKNOWN)$/);
  });

  it('does not free a session of its CSRF token: the carrier in clear is a label', async () => {
    let carrier: string | undefined;
    const spoiled = await tampered(edited((data) => ({ ...data, ...(carrier && { carrier }) })));
    const pair = await spoiled.start({ carrier: 'cookie' });
    carrier = 'body';
    const next = await spoiled.refresh(pair);
    expect(next).toMatchObject({ carrier: 'cookie', csrfToken: pair.csrfToken });
  });

  it('is no successor of a token', async () => {
    const r1 = await room.start();
    const rotate = room.store.rotate.bind(room.store);
    await room.refresh(r1);
    const spoiled = jest.spyOn(room.store, 'rotate').mockImplementation(async (request) => {
      const verdict = await rotate(request);
      return verdict.verdict === 'repeated' ? { ...verdict, sealed: 'x'.repeat(80) } : verdict;
    });
    expect(await room.refreshed(r1)).toBe('ERR_STORE_CORRUPT');
    spoiled.mockRestore();
  });
});
