import { randomFillSync } from 'node:crypto';

import { judge } from '../../lib/revocation/revocable-token.js';
import { digestOf, type Revocation } from '../../lib/revocation/revocation-entry.js';
import { RevocationIndex } from '../../lib/revocation/revocation-index.js';
import { RevocationError } from '../../lib/kernel/errors.js';
import { AllocationBook } from '../../lib/status-list/allocation-book.js';
import { formatListName, listNameAt } from '../../lib/status-list/list-name.js';
import { decodeStatuses, statusAt } from '../../lib/status-list/status-bits.js';
import {
  type PublishedStatusList,
  StatusListPublisher,
} from '../../lib/status-list/status-list-publisher.js';
import { TestClock } from '../support/test-clock.js';
import { type Issuer, openIssuer } from '../support/token-mother.js';
import { allocationOf, ISSUER, LIST, NOW, PERIOD } from './allocation-mother.js';

const BASE = `${ISSUER}/status-lists`;
const NAME = formatListName(LIST);

const POLICY = {
  issuer: ISSUER,
  baseUri: BASE,
  ttl: 60,
  lifetime: 600,
  maxLifetime: 3_600,
  leeway: 10,
};

let clock: TestClock;
let issuer: Issuer;
let book: AllocationBook;
let index: RevocationIndex;
let publisher: StatusListPublisher;
/** What becomes of questions about the log. */
let log: { isCurrent: boolean; catchUps: number; onCatchUp: () => void };

beforeEach(async () => {
  clock = new TestClock(NOW);
  issuer = await openIssuer({}, clock);
  book = new AllocationBook(8_192);
  index = new RevocationIndex();
  log = { isCurrent: true, catchUps: 0, onCatchUp: () => {} };
  publisher = new StatusListPublisher(POLICY, {
    book,
    clock,
    keyRing: issuer.keyRing,
    revocations: {
      isRevoked: (token) => judge(index, token, { now: clock.now(), leeway: 10 }) !== undefined,
      assertCurrent: () => {
        if (!log.isCurrent) throw new RevocationError('ERR_REVOCATION_STALE', 'stale');
      },
      catchUp: async () => {
        log.catchUps++;
        log.onCatchUp();
      },
    },
  });
});

function revoke(revocation: Pick<Revocation, 'kind' | 'digest'>): void {
  const whole = { ...revocation, since: clock.now(), until: clock.now() + 3_600_000 };
  index.add(whole, clock.now());
  book.onRevocation(whole);
}

const revokeToken = (jti: string): void =>
  revoke({ kind: 'token', digest: digestOf('token', ISSUER, jti) });

async function read(name = NAME): Promise<PublishedStatusList> {
  const list = await publisher.read(name);
  if (list === undefined) throw new Error('there is no such list');
  return list;
}

interface Payload {
  readonly iat: number;
  readonly exp: number;
  readonly status_list: { readonly bits: 1; readonly lst: string };
}

interface Header {
  readonly kid: string;
}

const decode = (token: string, place: number): unknown =>
  JSON.parse(Buffer.from(token.split('.')[place] ?? '', 'base64url').toString());
const headerOf = ({ body }: PublishedStatusList): Header => decode(body, 0) as Header;
const payloadOf = ({ body }: PublishedStatusList): Payload => decode(body, 1) as Payload;

async function statusOf(list: PublishedStatusList, place: number): Promise<number | undefined> {
  const { lst } = payloadOf(list).status_list;
  const bytes = await decodeStatuses(lst, 2 ** 20);
  if (typeof bytes === 'string') throw new Error(bytes);
  return statusAt(bytes, 1, place);
}

describe('a published list', () => {
  beforeEach(() => {
    book.add(allocationOf(5), NOW);
    book.add(allocationOf(6, { sid: 'session-6' }), NOW);
  });

  it('is a Status List Token of this issuer, for nobody in particular', async () => {
    const list = await read();
    const { kid } = await issuer.keyRing.signingKey();
    expect(headerOf(list)).toEqual({ alg: 'ES256', typ: 'statuslist+jwt', kid });
    expect(payloadOf(list)).toEqual({
      iss: ISSUER,
      sub: `${BASE}/${NAME}`,
      iat: NOW / 1000,
      exp: NOW / 1000 + 600,
      ttl: 60,
      status_list: { bits: 1, lst: expect.stringMatching(/^[\w-]+$/) },
    });
  });

  it('is no access token', async () => {
    const { body } = await read();
    await expect(issuer.tokens.verify(body)).rejects.toMatchObject({ code: 'ERR_TOKEN_TYPE' });
  });

  it('says which tokens are revoked, a second after at the latest', async () => {
    const before = await read();
    expect(await statusOf(before, 5)).toBe(0);
    revokeToken('token-5');
    clock.advance(1_000);
    const after = await read();
    expect(await statusOf(after, 5)).toBe(1);
    expect(await statusOf(after, 6)).toBe(0);
    expect(after.etag).not.toBe(before.etag);
  });

  it('looks at nothing for a second, and signs nothing while nothing changed', async () => {
    const first = await read();
    revokeToken('token-5');
    clock.advance(999);
    expect(await read()).toEqual(first);
    clock.advance(1);
    const second = await read();
    clock.advance(200_000);
    const third = await read();
    expect(third).toEqual(second);
    // Another token of the list is no change of it.
    book.add(allocationOf(7), clock.now());
    clock.advance(1_000);
    expect(await read()).toEqual(second);
  });

  it('looks at once when the clock was set back', async () => {
    await read();
    revokeToken('token-5');
    clock.advance(-60_000);
    const list = await read();
    expect(await statusOf(list, 5)).toBe(1);
    expect(payloadOf(list).iat).toBe(NOW / 1000 - 60);
  });

  it('is signed anew when half of its time is over', async () => {
    const { body } = await read();
    clock.advance(299_999);
    expect((await read()).body).toBe(body);
    clock.advance(1);
    const { iat, exp } = payloadOf(await read());
    expect([iat, exp]).toEqual([NOW / 1000 + 300, NOW / 1000 + 900]);
  });

  it('may be kept for its ttl', async () => {
    expect((await read()).maxAge).toBe(60);
  });

  it('is signed anew when the key that signed it is gone', async () => {
    const { kid } = headerOf(await read());
    await issuer.keyRing.compromise(kid);
    const { kid: next } = headerOf(await read());
    expect(next).not.toBe(kid);
    expect(next).toBe((await issuer.keyRing.signingKey()).kid);
  });

  it('is made once, however many ask', async () => {
    const lists = await Promise.all(Array.from({ length: 50 }, () => read()));
    expect(new Set(lists.map(({ body }) => body)).size).toBe(1);
  });

  it('of a million tokens fits into what verifiers read', async () => {
    const large = new AllocationBook(2 ** 20);
    large.add(allocationOf(1), NOW);
    const list = large.find(NAME, NOW);
    // What compresses to nothing, as half of the bits at random do.
    randomFillSync(list?.statuses ?? new Uint8Array());
    const other = new StatusListPublisher(POLICY, {
      book: large,
      clock,
      keyRing: issuer.keyRing,
      revocations: { isRevoked: () => true, assertCurrent: () => {}, catchUp: async () => {} },
    });
    const { body = '' } = (await other.read(NAME)) ?? {};
    expect(body.length).toBeGreaterThan(200_000);
    expect(body.length).toBeLessThan(1.8 * 2 ** 20);
  });
});

describe('there is no list', () => {
  it('of which the log says nothing, once all of it was read', async () => {
    expect(await publisher.read(NAME)).toBeUndefined();
    expect(log.catchUps).toBe(1);
  });

  it('unless its first token was signed a moment ago by another instance', async () => {
    log.onCatchUp = () => book.add(allocationOf(5), NOW);
    revokeToken('token-5');
    expect(await statusOf(await read(), 5)).toBe(1);
  });

  it('when its last token has expired', async () => {
    book.add(allocationOf(5), NOW);
    await read();
    clock.set(allocationOf(5).until - 1);
    await read();
    clock.advance(1);
    expect(await publisher.read(NAME)).toBeUndefined();
  });

  it.each([
    ['other text', 'favicon.ico'],
    ['a period long over', formatListName(listNameAt(NOW / 1000 - 3 * PERIOD, PERIOD, 0))],
    ['a period to come', formatListName(listNameAt(NOW / 1000 + 3 * PERIOD, PERIOD, 0))],
    ['nothing', ''],
    ['a prototype', '__proto__'],
  ])('of the name of %s, and the log is not asked', async (_what, name) => {
    expect(await publisher.read(name)).toBeUndefined();
    expect(log.catchUps).toBe(0);
  });
});

describe('rather than an old list there is none', () => {
  beforeEach(async () => {
    book.add(allocationOf(5), NOW);
    await read();
  });

  it('while revocations may be missing', async () => {
    log.isCurrent = false;
    await expect(publisher.read(NAME)).rejects.toMatchObject({ code: 'ERR_REVOCATION_STALE' });
    log.isCurrent = true;
    await expect(publisher.read(NAME)).resolves.toBeDefined();
  });

  it('while a list cannot be looked up', async () => {
    log.onCatchUp = () => {
      throw new RevocationError('ERR_REVOCATION_STALE', 'away');
    };
    const other = formatListName({ ...LIST, number: 1 });
    await expect(publisher.read(other)).rejects.toMatchObject({ code: 'ERR_REVOCATION_STALE' });
  });

  it('while its tokens cannot be judged, and as soon as they can there is one', async () => {
    revokeToken('token-5');
    clock.advance(1_000);
    const find = jest.spyOn(index, 'find').mockImplementation(() => {
      throw new Error('not now');
    });
    await expect(publisher.read(NAME)).rejects.toThrow('not now');
    find.mockRestore();
    expect(await statusOf(await read(), 5)).toBe(1);
  });
});
