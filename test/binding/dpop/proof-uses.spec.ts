import type { Service, ServiceOptions } from './proof-mother.js';
import type { ProofCounter } from '../../../lib/binding/dpop/proof-quota.js';
import { ReplayStore } from '../../../lib/binding/replay-store.js';
import { StoreError } from '../../../lib/kernel/errors.js';
import { MemoryReplayStore } from '../../../lib/storage/memory/memory-replay-store.js';
import { MemoryAttemptStore } from '../../../lib/storage/memory/memory-attempt-store.js';
import { TestClock } from '../../support/test-clock.js';
import {
  type Holder,
  newHolder,
  openService,
  proofOf,
  requestWith,
  TOKEN,
  verdictOf,
} from './proof-mother.js';

let holder: Holder;
let other: Holder;

beforeAll(async () => {
  holder = await newHolder();
  other = await newHolder();
});

async function show({ proofs }: Service, proof: string, { jkt } = holder): Promise<string> {
  return verdictOf(proofs.check(requestWith(proof), { token: TOKEN, jkt }));
}

const typesOf = ({ told }: Service): readonly string[] => told.map(({ type }) => type);

/** Two instances on the same stores. */
function openPair(options: ServiceOptions = {}): readonly [Service, Service] {
  const one = openService(options);
  const { clock, replays, counter } = one;
  return [one, openService({ ...options, clock, replays, counter })];
}

describe('a proof is good once', () => {
  it('on one instance, and says so', async () => {
    const service = openService();
    const proof = await proofOf(holder, service.clock);
    expect(await show(service, proof)).toBe('accepted');
    expect(await show(service, proof)).toBe('ERR_PROOF_REPLAYED');
    expect(service.told).toEqual([
      { type: 'proof.replayed', at: new Date(service.clock.now()), thumbprint: holder.jkt },
    ]);
  });

  it('on two that share a store', async () => {
    const [one, two] = openPair();
    const proof = await proofOf(holder, one.clock);
    expect(await show(one, proof)).toBe('accepted');
    expect(await show(two, proof)).toBe('ERR_PROOF_REPLAYED');
  });

  it('when it comes many times at once, to both', async () => {
    const pair = openPair();
    for (let round = 0; round < 20; round++) {
      const proof = await proofOf(holder, pair[0].clock);
      const all = Array.from({ length: 10 }, (_, index) =>
        show(index % 2 ? pair[0] : pair[1], proof),
      );
      const verdicts = await Promise.all(all);
      expect(verdicts.filter((verdict) => verdict === 'accepted')).toHaveLength(1);
    }
  });

  it('whatever else it says: key and jti are what counts', async () => {
    const service = openService();
    const claims = { jti: 'one' };
    expect(await show(service, await proofOf(holder, service.clock, { claims }))).toBe('accepted');
    const again = await proofOf(holder, service.clock, { claims: { ...claims, note: 1 } });
    expect(await show(service, again)).toBe('ERR_PROOF_REPLAYED');
    const others = await proofOf(other, service.clock, { claims });
    expect(await show(service, others, other)).toBe('accepted');
  });

  it('also with its other signature: (r, n - s) is right for the same bytes', async () => {
    const service = openService();
    const proof = await proofOf(holder, service.clock);
    const [header, payload, signature = ''] = proof.split('.');
    const order = 0xffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551n;
    const bytes = Buffer.from(signature, 'base64url');
    const s = BigInt(`0x${bytes.subarray(32).toString('hex')}`);
    bytes.write((order - s).toString(16).padStart(64, '0'), 32, 'hex');
    const twin = `${header}.${payload}.${bytes.toString('base64url')}`;
    expect(await show(service, twin)).toBe('accepted');
    expect(await show(service, proof)).toBe('ERR_PROOF_REPLAYED');
  });

  it('is not used up by what another check refuses', async () => {
    const service = openService();
    const { proofs, clock } = service;
    const proof = await proofOf(holder, clock);
    const bound = { token: TOKEN, jkt: holder.jkt };
    for (const attempt of [
      proofs.check(requestWith(proof, { method: 'POST' }), bound),
      proofs.check(requestWith(proof, { target: '/you' }), bound),
      proofs.check(requestWith(proof), { ...bound, token: 'another' }),
      proofs.check(requestWith(proof), { ...bound, jkt: other.jkt }),
      proofs.check(requestWith(`${proof.slice(0, -4)}AAAA`), bound),
      proofs.check(requestWith([proof, proof]), bound),
    ]) {
      expect(await verdictOf(attempt)).toMatch(/^ERR_/);
    }
    expect(await show(service, proof)).toBe('accepted');
  });

  it('is not used up by being inspected, and once by who goes on from there', async () => {
    const [one, two] = openPair();
    const request = requestWith(await proofOf(holder, one.clock));
    const bound = { token: TOKEN, jkt: holder.jkt };
    const inspected = [
      await one.proofs.inspect(request, bound),
      await one.proofs.inspect(request, bound),
      await two.proofs.inspect(request, bound),
    ];
    expect(inspected.map(({ jkt }) => jkt)).toEqual(inspected.map(() => holder.jkt));
    const verdicts = await Promise.all(inspected.map(({ use }) => verdictOf(use())));
    expect(verdicts.toSorted()).toEqual(['ERR_PROOF_REPLAYED', 'ERR_PROOF_REPLAYED', 'accepted']);
    expect(await verdictOf(one.proofs.inspect(request, { ...bound, jkt: other.jkt }))).toBe(
      'ERR_TOKEN_BINDING',
    );
  });

  it('is forgotten when no instance would take it any more, and not before', async () => {
    const clock = new TestClock();
    const replays = new MemoryReplayStore(10, clock);
    const service = openService({ clock, replays });
    const proof = await proofOf(holder, clock);
    expect(await show(service, proof)).toBe('accepted');
    clock.advance(69_999);
    expect(await show(openService({ clock, replays }), proof)).toBe('ERR_PROOF_REPLAYED');
    clock.advance(1);
    expect(await show(openService({ clock, replays }), proof)).toBe('ERR_PROOF_TIME');
    // The room is free for the next.
    expect(await show(service, await proofOf(holder, clock))).toBe('accepted');
    expect(replays.size).toBe(1);
  });

  it.each([10_000, -10_000, 3_600_000, -3_600_000])(
    'also where the clock of the store is %d ms off',
    async (skew) => {
      const clock = new TestClock();
      const stores = new TestClock(clock.now() + skew);
      const replays = new MemoryReplayStore(10, stores);
      let accepted = 0;
      const proof = await proofOf(holder, clock);
      for (let second = 0; second < 100; second++) {
        // Each time an instance that remembers nothing itself.
        const verdict = await show(openService({ clock, replays }), proof);
        accepted += verdict === 'accepted' ? 1 : 0;
        clock.advance(1_000);
        stores.advance(1_000);
      }
      expect(accepted).toBeLessThanOrEqual(1);
      // An hour ahead the store refuses what it could not remember: closed, not open.
      expect(accepted).toBe(skew === 3_600_000 ? 0 : 1);
    },
  );

  it.each([10_000, -10_000])('also on an instance whose clock is %d ms off', async (skew) => {
    const clock = new TestClock();
    const replays = new MemoryReplayStore(10, clock);
    const theirs = new TestClock(clock.now() + skew);
    const proof = await proofOf(holder, clock);
    expect(await show(openService({ clock, replays }), proof)).toBe('accepted');
    for (let second = 0; second < 100; second++) {
      const verdict = await show(openService({ clock: theirs, replays }), proof);
      expect(['ERR_PROOF_REPLAYED', 'ERR_PROOF_TIME']).toContain(verdict);
      clock.advance(1_000);
      theirs.advance(1_000);
    }
  });

  it('asks the store no more about what it knows to be used', async () => {
    const clock = new TestClock();
    const replays = new Recorded(clock);
    const counter = new MemoryAttemptStore(10, clock);
    const service = openService({ clock, replays, counter, perMinute: 20 });
    const proof = await proofOf(holder, clock);
    // At once, and one after another.
    await Promise.all(Array.from({ length: 3 }, () => show(service, proof)));
    for (let time = 0; time < 2; time++) await show(service, proof);
    expect(replays.asked).toHaveLength(1);
    // Nor does the owner of the key pay for who repeats their proofs.
    expect((await counter.read(`dpop:${holder.jkt}`)).count).toBe(1);
    expect(typesOf(service)).toEqual(Array.from({ length: 4 }, () => 'proof.replayed'));
  });

  it('is claimed by its key and its jti, until no one takes it', async () => {
    const clock = new TestClock();
    const replays = new Recorded(clock);
    const service = openService({ clock, replays });
    const claims = { jti: 'x'.repeat(256), iat: clock.seconds() - 0.1234 };
    expect(await show(service, await proofOf(holder, clock, { claims }))).toBe('accepted');
    const [claim] = replays.asked;
    expect(claim?.key).toBe(`dpop:${holder.jkt}:${claims.jti}`);
    expect(claim?.key.length).toBeLessThanOrEqual(512);
    expect(claim?.expiresAt).toBe(clock.now() - 123 + 70_000);
  });
});

/** Keeps what it was asked. */
class Recorded extends MemoryReplayStore {
  readonly asked: { readonly key: string; readonly expiresAt: number }[] = [];

  constructor(clock: TestClock) {
    super(100, clock);
  }

  override async claimOnce(claim: {
    readonly key: string;
    readonly expiresAt: number;
  }): Promise<boolean> {
    this.asked.push(claim);
    return super.claimOnce(claim);
  }
}

describe('a key makes so many proofs a minute', () => {
  async function flood(service: Service, times: number, by = holder): Promise<readonly string[]> {
    const verdicts: string[] = [];
    for (let time = 0; time < times; time++) {
      verdicts.push(await show(service, await proofOf(by, service.clock), by));
    }
    return verdicts;
  }

  it('and no more, also by way of several instances, until the minute is over', async () => {
    const [one, two] = openPair({ perMinute: 4 });
    expect(await flood(one, 3)).toEqual(['accepted', 'accepted', 'accepted']);
    expect(await flood(two, 3)).toEqual(['accepted', 'ERR_PROOF_LIMITED', 'ERR_PROOF_LIMITED']);
    expect(await flood(one, 2)).toEqual(['ERR_PROOF_LIMITED', 'ERR_PROOF_LIMITED']);
    expect([typesOf(one), typesOf(two)]).toEqual([['proof.limited'], ['proof.limited']]);
    expect(one.told[0]).toMatchObject({ thumbprint: holder.jkt });
    one.clock.advance(59_999);
    expect(await flood(one, 1)).toEqual(['ERR_PROOF_LIMITED']);
    one.clock.advance(1);
    expect(await flood(one, 4)).toEqual(Array.from({ length: 4 }, () => 'accepted'));
    expect(await flood(two, 1)).toEqual(['ERR_PROOF_LIMITED']);
  });

  it('while others go on', async () => {
    const service = openService({ perMinute: 1 });
    expect(await flood(service, 2)).toEqual(['accepted', 'ERR_PROOF_LIMITED']);
    expect(await flood(service, 1, other)).toEqual(['accepted']);
  });

  it('counts no proof that was refused before, so that nobody uses up what is another’s', async () => {
    const service = openService({ perMinute: 2 });
    const { proofs, clock } = service;
    const proof = await proofOf(holder, clock);
    for (let time = 0; time < 10; time++) {
      // Whoever saw a proof knows the public key, and can write it into headers of their own.
      const forged = `${proof.slice(0, proof.lastIndexOf('.'))}.${'A'.repeat(86)}`;
      expect(await show(service, forged)).toBe('ERR_PROOF_SIGNATURE');
      const late = await proofOf(holder, clock, { claims: { iat: 0 } });
      expect(await verdictOf(proofs.check(requestWith(late)))).toBe('ERR_PROOF_TIME');
    }
    expect(await flood(service, 3)).toEqual(['accepted', 'accepted', 'ERR_PROOF_LIMITED']);
  });

  it('asks neither store nor signature about a key that is over', async () => {
    const clock = new TestClock();
    const replays = new Recorded(clock);
    const service = openService({ clock, replays, perMinute: 1 });
    await flood(service, 10);
    expect(replays.asked).toHaveLength(2);
    const proof = await proofOf(holder, clock);
    expect(await show(service, `${proof.slice(0, -4)}AAAA`)).toBe('ERR_PROOF_LIMITED');
  });

  it('lets 200 requests of 50 keys at once all through, each with its own key (S068)', async () => {
    const service = openService({ perMinute: 4 });
    const holders = await Promise.all(Array.from({ length: 50 }, () => newHolder()));
    const requests = await Promise.all(
      Array.from({ length: 200 }, async (_, index) => {
        const by = holders[index % 50] ?? holder;
        return { by, proof: await proofOf(by, service.clock) };
      }),
    );
    const proven = await Promise.all(
      requests.map(({ by, proof }) =>
        service.proofs.check(requestWith(proof), { token: TOKEN, jkt: by.jkt }),
      ),
    );
    expect(proven.map(({ jkt }) => jkt)).toEqual(requests.map(({ by }) => by.jkt));
  });
});

describe('a store that does not remember', () => {
  class Troubled extends ReplayStore {
    constructor(private readonly answer: () => unknown) {
      super();
    }

    override claimOnce(): Promise<boolean> {
      return this.answer() as Promise<boolean>;
    }
  }

  const counterThat = (answer: () => unknown): ProofCounter => ({
    record: () => answer() as ReturnType<ProofCounter['record']>,
  });

  const fail = (error: unknown) => async (): Promise<never> => {
    // oxlint-disable-next-line typescript/only-throw-error -- what others throw may be anything
    throw error;
  };
  const full = new StoreError('ERR_STORE_FULL', 'There is no room.');

  it.each<[string, () => unknown, string]>([
    ['is full', fail(full), 'ERR_STORE_FULL'],
    ['is away', fail(new Error('ECONNREFUSED')), 'ERR_STORE_UNAVAILABLE'],
    ['fails with no error', fail(undefined), 'ERR_STORE_UNAVAILABLE'],
    [
      'throws at once',
      () => {
        throw new Error('no');
      },
      'ERR_STORE_UNAVAILABLE',
    ],
    ['says undefined', async () => undefined, 'ERR_PROOF_REPLAYED'],
    ['says 1', async () => 1, 'ERR_PROOF_REPLAYED'],
    ['says "true"', async () => 'true', 'ERR_PROOF_REPLAYED'],
  ])('because it %s, has the proof refused', async (_rule, answer, code) => {
    const service = openService({ replays: new Troubled(answer) });
    expect(await show(service, await proofOf(holder, service.clock))).toBe(code);
  });

  it.each<[string, () => unknown, string]>([
    ['is full', fail(full), 'ERR_STORE_FULL'],
    ['is away', fail(new Error('ECONNREFUSED')), 'ERR_STORE_UNAVAILABLE'],
    [
      'throws at once',
      () => {
        throw new Error('no');
      },
      'ERR_STORE_UNAVAILABLE',
    ],
    ['says nothing', async () => undefined, 'ERR_STORE_UNAVAILABLE'],
    ['counts in words', async () => ({ count: 'one', expiresIn: 1 }), 'ERR_STORE_UNAVAILABLE'],
    ['counts to no number', async () => ({ count: NaN, expiresIn: 1 }), 'ERR_STORE_UNAVAILABLE'],
  ])('how many there were because it %s, has the proof refused', async (_rule, answer, code) => {
    const service = openService({ counter: counterThat(answer), perMinute: 20 });
    expect(await show(service, await proofOf(holder, service.clock))).toBe(code);
  });

  it('does not make a proof used that could not be claimed', async () => {
    const clock = new TestClock();
    const replays = new MemoryReplayStore(10, clock);
    let isUp = false;
    const flaky = new (class extends ReplayStore {
      override async claimOnce(claim: Parameters<ReplayStore['claimOnce']>[0]): Promise<boolean> {
        if (!isUp) throw full;
        return replays.claimOnce(claim);
      }
    })();
    const service = openService({ clock, replays: flaky });
    const proof = await proofOf(holder, clock);
    expect(await show(service, proof)).toBe('ERR_STORE_FULL');
    isUp = true;
    expect(await show(service, proof)).toBe('accepted');
    expect(service.told).toEqual([]);
  });

  it('that is really full refuses new proofs, and still knows the old', async () => {
    const clock = new TestClock();
    const replays = new MemoryReplayStore(2, clock);
    const service = openService({ clock, replays });
    const [first, second, third] = [
      await proofOf(holder, clock),
      await proofOf(holder, clock),
      await proofOf(holder, clock),
    ];
    expect([await show(service, first), await show(service, second)]).toEqual([
      'accepted',
      'accepted',
    ]);
    expect(await show(service, third)).toBe('ERR_STORE_FULL');
    const later = openService({ clock, replays });
    expect(await show(later, first)).toBe('ERR_PROOF_REPLAYED');
  });
});
