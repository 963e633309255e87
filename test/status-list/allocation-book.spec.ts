import { exemptionOf, judge } from '../../lib/revocation/revocable-token.js';
import {
  digestOf,
  type Revocation,
  type RevocationKind,
} from '../../lib/revocation/revocation-entry.js';
import { RevocationIndex } from '../../lib/revocation/revocation-index.js';
import type { AllocatedList, RevocationTest } from '../../lib/status-list/allocated-list.js';
import { AllocationBook } from '../../lib/status-list/allocation-book.js';
import { writeAllocation } from '../../lib/status-list/allocation-entry.js';
import { formatListName } from '../../lib/status-list/list-name.js';
import { statusAt } from '../../lib/status-list/status-bits.js';
import {
  allocationOf,
  ISSUER,
  LIST,
  NOW,
  PERIOD,
  tokenOf,
  type TokenNames,
} from './allocation-mother.js';

const SIZE = 8_192;
const LEEWAY = 10;
const DAY = 86_400_000;

/** A book and an index fed by one log, as the feed feeds them. */
class Instance {
  readonly book = new AllocationBook(SIZE);
  readonly index = new RevocationIndex();
  now = NOW;
  judged = 0;

  readonly isRevoked: RevocationTest = (token) => {
    this.judged++;
    return judge(this.index, token, { now: this.now, leeway: LEEWAY }) !== undefined;
  };

  allocate(index: number, names: Partial<TokenNames> = {}, list = LIST): void {
    const answer = this.book.add(allocationOf(index, names, list), this.now);
    if (answer !== 'taken') throw new Error(answer);
  }

  revoke(revocation: Partial<Revocation> & { readonly kind: RevocationKind }): void {
    const whole = { digest: '', since: this.now, until: this.now + DAY, ...revocation };
    this.index.add(whole, this.now);
    this.book.onRevocation(whole);
  }

  list(name = formatListName(LIST)): AllocatedList {
    const list = this.book.find(name, this.now);
    if (list === undefined) throw new Error('there is no such list');
    return list;
  }

  /** The indices that are revoked after one look. */
  async look(): Promise<readonly number[]> {
    const list = this.list();
    await list.judge(this.isRevoked);
    return revokedOf(list);
  }
}

function revokedOf({ statuses }: AllocatedList): readonly number[] {
  const all = Array.from({ length: statuses.length * 8 }, (_, index) => index);
  return all.filter((index) => statusAt(statuses, 1, index) === 1);
}

const ofToken = (jti: string): string => digestOf('token', ISSUER, jti);
const ofSession = (sid: string): string => digestOf('session', ISSUER, sid);
const ofSubject = (sub: string): string => digestOf('subject', ISSUER, sub);

let instance: Instance;

beforeEach(() => {
  instance = new Instance();
});

describe('a list', () => {
  beforeEach(() => {
    instance.allocate(3, { sub: 'alice', sid: 'a-1' });
    instance.allocate(500, { sub: 'alice', sid: 'a-2', kid: 'key-2' });
    instance.allocate(77, { sub: 'bob', sid: 'b-1', iat: NOW / 1000 - 60 });
    instance.allocate(8_191, { sub: 'bob' });
  });

  it('has room for all its indices, and nothing revoked at first', async () => {
    expect(await instance.look()).toEqual([]);
    expect(instance.list().statuses).toHaveLength(SIZE / 8);
    expect(instance.list().revision).toBe(0);
  });

  it.each<[what: string, revocation: Parameters<Instance['revoke']>[0], revoked: number[]]>([
    ['a token', { kind: 'token', digest: ofToken('token-77') }, [77]],
    ['a token of another list', { kind: 'token', digest: ofToken('token-78') }, []],
    ['a session', { kind: 'session', digest: ofSession('a-2') }, [500]],
    ['a subject', { kind: 'subject', digest: ofSubject('bob') }, [77, 8_191]],
    ['a token version', { kind: 'version', digest: ofSubject('alice') }, [3, 500]],
    ['all others of a subject', { kind: 'others', digest: ofSubject('alice') }, [3, 500]],
    ['a key', { kind: 'key', digest: digestOf('key', ISSUER, 'key-2') }, [500]],
    ['everything', { kind: 'everything' }, [3, 77, 500, 8_191]],
    ['what is older', { kind: 'before', since: NOW - 30_000 }, [77]],
  ])('shows the revocation of %s', async (_what, revocation, revoked) => {
    // Once before, so that the tokens are not judged because they are new.
    await instance.look();
    instance.revoke(revocation);
    expect(await instance.look()).toEqual(revoked);
    expect(instance.list().revision).toBe(revoked.length);
    expect(await instance.look()).toEqual(revoked);
    expect(instance.list().revision).toBe(revoked.length);
  });

  it('shows a token that was revoked before the list was heard of', async () => {
    const late = new Instance();
    late.revoke({ kind: 'token', digest: ofToken('token-9') });
    late.allocate(9);
    late.allocate(10);
    expect(await late.look()).toEqual([9]);
  });

  it('leaves out tokens of a later era', async () => {
    instance.revoke({ kind: 'subject', digest: ofSubject('bob'), since: NOW });
    instance.allocate(1, { sub: 'bob', era: NOW - 1 });
    instance.allocate(2, { sub: 'bob', era: NOW });
    expect(await instance.look()).toEqual([1, 77, 8_191]);
  });

  it.each(['before', 'after', 'long after'])(
    'leaves out the session that is spared, heard of %s the revocation',
    async (order) => {
      const spare = (): void =>
        instance.revoke({
          kind: 'exemption',
          digest: exemptionOf('exemptSession', ofSubject('alice'), ofSession('a-1')),
          since: NOW,
        });
      await instance.look();
      if (order === 'before') spare();
      instance.revoke({ kind: 'others', digest: ofSubject('alice'), since: NOW });
      const between = order === 'long after' ? await instance.look() : [3, 500];
      expect(between).toEqual([3, 500]);
      if (order !== 'before') spare();
      expect(await instance.look()).toEqual([500]);
    },
  );

  it('judges again only those that a revocation can concern', async () => {
    for (let index = 1_000; index < 3_000; index++) {
      instance.allocate(index, { sub: `user-${index}`, sid: `session-${index}` });
    }
    await instance.look();
    expect(instance.judged).toBe(2_004);
    instance.judged = 0;
    instance.revoke({ kind: 'session', digest: ofSession('session-1500') });
    instance.revoke({ kind: 'token', digest: ofToken('token-1600') });
    expect(await instance.look()).toEqual([1_500, 1_600]);
    expect(instance.judged).toBe(2);
  });

  it('judges all when so many were revoked that they are not told apart', async () => {
    await instance.look();
    for (let each = 0; each < 10_001; each++) {
      instance.revoke({ kind: 'token', digest: ofToken(`other-${each}`) });
    }
    instance.revoke({ kind: 'token', digest: ofToken('token-77') });
    expect(await instance.look()).toEqual([77]);
  });

  it('judges again what could not be judged', async () => {
    await instance.look();
    instance.revoke({ kind: 'token', digest: ofToken('token-77') });
    const broken = (): never => {
      throw new Error('not now');
    };
    await expect(instance.list().judge(broken)).rejects.toThrow('not now');
    expect(await instance.look()).toEqual([77]);
  });

  it('shows what is revoked while it is looked at, at the next look at the latest', async () => {
    for (let index = 1_000; index < 4_000; index++) instance.allocate(index);
    const looking = instance.list().judge((token) => {
      if (token.token === ofToken('token-2500')) {
        instance.revoke({ kind: 'token', digest: ofToken('token-1001') });
      }
      return instance.isRevoked(token);
    });
    await looking;
    expect(await instance.look()).toEqual([1_001]);
  });

  it('lets others have their turn', async () => {
    for (let index = 1_000; index < 4_000; index++) instance.allocate(index);
    let turn = 0;
    const perTurn = new Map<number, number>();
    const next = (): void => {
      turn++;
      if (turn < 100) setImmediate(next);
    };
    setImmediate(next);
    await instance.list().judge((token) => {
      perTurn.set(turn, (perTurn.get(turn) ?? 0) + 1);
      return instance.isRevoked(token);
    });
    expect(instance.judged).toBe(3_004);
    expect(Math.max(...perTurn.values())).toBeLessThanOrEqual(1_024);
  });
});

describe('the book', () => {
  it('takes an entry of the log once, however often it is read', async () => {
    const entry = writeAllocation(allocationOf(5));
    expect(instance.book.onOther(entry, NOW)).toBe('taken');
    expect(instance.book.onOther(entry, NOW)).toBe('taken');
    expect(instance.book.size).toBe(1);
    expect(instance.list().isTaken(5)).toBe(true);
    expect(instance.list().isTaken(6)).toBe(false);
  });

  it.each(['x', 'l', 't0123456789abc', 'l1-1-1 0 0 0 0'])('cannot read %s', (data) => {
    expect(instance.book.onOther({ data, expiresAt: NOW + 1_000 }, NOW)).toBe('unreadable');
    expect(instance.book.size).toBe(0);
  });

  it('does not read what no token of this service can be', () => {
    const centuries = { ...allocationOf(5), until: NOW + 40 * 3_600_000 };
    expect(instance.book.onOther(writeAllocation(centuries), NOW)).toBe('unreadable');
    expect(instance.book.find(formatListName(LIST), NOW)).toBeUndefined();
  });

  it('keeps lists apart', async () => {
    const other = { ...LIST, number: 1 };
    instance.allocate(5, { jti: 'one' });
    instance.allocate(5, { jti: 'two' }, other);
    instance.revoke({ kind: 'token', digest: ofToken('two') });
    expect(await instance.look()).toEqual([]);
    const list = instance.list(formatListName(other));
    await list.judge(instance.isRevoked);
    expect(revokedOf(list)).toEqual([5]);
  });

  it('makes room for the longer lists of another instance', async () => {
    instance.allocate(5);
    instance.allocate(100_000);
    instance.revoke({ kind: 'token', digest: ofToken('token-100000') });
    expect(await instance.look()).toEqual([100_000]);
    expect(instance.list().isTaken(5)).toBe(true);
  });

  it('knows a list until its last token has expired', () => {
    const name = formatListName(LIST);
    const { until } = allocationOf(0);
    instance.allocate(1);
    instance.allocate(2, { iat: NOW / 1000 + 60 });
    expect(instance.book.find(name, until + 59_999)).toBeDefined();
    expect(instance.book.find(name, until + 60_000)).toBeUndefined();
  });

  it('gives room back for tokens that have expired', () => {
    // 960 of 8192 tokens are alive at a time.
    for (let minute = 0; minute < 128; minute++) {
      instance.now = NOW + minute * 60_000;
      for (let each = 0; each < 64; each++) {
        instance.allocate(minute * 64 + each, { iat: instance.now / 1000 });
      }
    }
    expect(instance.book.size).toBeLessThan(2 * 960);
    instance.now += DAY;
    instance.allocate(0, { iat: instance.now / 1000 }, { ...LIST, start: LIST.start + PERIOD });
    expect(instance.book.size).toBe(1);
  });

  it('takes no notice of what has expired', () => {
    const { until } = allocationOf(1);
    expect(instance.book.onOther(writeAllocation(allocationOf(1)), until)).toBe('taken');
    expect(instance.book.size).toBe(0);
  });
});

describe('a log that has lost entries', () => {
  it('gets back what it lacks and nothing else', () => {
    instance.allocate(1, { sid: 'a-1', era: NOW - 5 });
    instance.allocate(2);
    instance.allocate(3, { jti: 'three' }, { ...LIST, number: 1 });
    instance.book.beginRefill();
    instance.book.onOther(writeAllocation(allocationOf(2)), NOW);
    // New since the log was lost.
    instance.book.onOther(writeAllocation(allocationOf(4)), NOW);
    const missing = [...instance.book.missing(NOW)];
    expect(missing.map(({ data }) => data)).toEqual([
      writeAllocation(allocationOf(1, { sid: 'a-1', era: NOW - 5 })).data,
      writeAllocation(allocationOf(3, { jti: 'three' }, { ...LIST, number: 1 })).data,
    ]);
    for (const { expiresAt } of missing) {
      expect(expiresAt).toBeGreaterThanOrEqual(allocationOf(1).until);
      expect(expiresAt).toBeLessThan(allocationOf(1).until + 8_000);
    }
  });

  it('gets all back from an instance that starts from another one’s entries', async () => {
    for (let index = 0; index < 200; index++) {
      instance.allocate(index, {
        sid: index % 2 === 0 ? `s-${index}` : undefined,
        era: NOW + index,
      });
    }
    instance.book.beginRefill();
    const other = new Instance();
    for (const entry of instance.book.missing(NOW)) {
      expect(other.book.onOther(entry, NOW)).toBe('taken');
    }
    expect(other.book.size).toBe(200);
    other.revoke({ kind: 'session', digest: ofSession('s-100') });
    other.revoke({ kind: 'subject', digest: ofSubject('alice'), since: NOW + 50 });
    expect(await other.look()).toEqual([...Array(50).keys(), 100]);
  });

  it('gets nothing back that has expired', () => {
    instance.allocate(1);
    instance.book.beginRefill();
    expect([...instance.book.missing(allocationOf(1).until + 8_000)]).toEqual([]);
  });
});

describe('whatever happens in whatever order', () => {
  it('a list says what the index says', async () => {
    let seed = 20_261_122;
    const random = (below: number): number => {
      seed = (Math.imul(seed, 1_664_525) + 1_013_904_223) >>> 0;
      return Math.floor((seed / 2 ** 32) * below);
    };
    const tokens = new Map<number, TokenNames>();
    for (let round = 0; round < 40; round++) {
      for (let each = 0; each < 60; each++) {
        const index = random(SIZE);
        if (tokens.has(index)) continue;
        const names: TokenNames = {
          jti: `jti-${index}`,
          sub: `sub-${random(40)}`,
          sid: random(3) === 0 ? undefined : `sid-${random(200)}`,
          kid: `kid-${random(3)}`,
          era: NOW + random(50),
        };
        tokens.set(index, names);
        instance.allocate(index, names);
      }
      for (let each = random(4); each > 0; each--) {
        const since = NOW + random(50);
        const subject = ofSubject(`sub-${random(40)}`);
        const revocations: Parameters<Instance['revoke']>[0][] = [
          { kind: 'token', digest: ofToken(`jti-${random(SIZE)}`) },
          { kind: 'session', digest: ofSession(`sid-${random(200)}`) },
          { kind: 'subject', digest: subject, since },
          { kind: 'version', digest: subject, since },
          { kind: 'others', digest: subject, since },
          {
            kind: 'exemption',
            digest: exemptionOf('exemptSession', subject, ofSession(`sid-${random(200)}`)),
            since,
          },
          ...(round === 30
            ? [{ kind: 'key', digest: digestOf('key', ISSUER, 'kid-1') } as const]
            : []),
        ];
        const revocation = revocations[random(revocations.length)];
        if (revocation !== undefined) instance.revoke(revocation);
      }
      const dead = [...tokens].filter(([, names]) => instance.isRevoked(tokenOf(names)));
      expect(await instance.look()).toEqual(dead.map(([index]) => index).toSorted((a, b) => a - b));
    }
    expect(instance.list().size).toBe(tokens.size);
  });
});
