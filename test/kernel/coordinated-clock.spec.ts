import { CoordinatedClock } from '../../lib/kernel/coordinated-clock.js';
import { type OpenedRing, openRing } from '../keys/opened-ring.js';
import { TroubledStore } from '../keys/troubled-store.js';
import { TestClock } from '../support/test-clock.js';

const SECOND = 1_000;

let host: TestClock;
let clock: CoordinatedClock;

beforeEach(() => {
  host = new TestClock();
  clock = new CoordinatedClock(host);
});

/** One question to the other clock, which is `skew` ahead; the answer took `trip`. */
function ask(skew: number, trip = 0): number | undefined {
  const sentAt = host.now();
  const remote = sentAt + trip / 2 + skew;
  host.advance(trip);
  return clock.align({ remote, sentAt, receivedAt: host.now() });
}

describe('a coordinated clock', () => {
  it.each([90 * SECOND, -90 * SECOND, 299 * SECOND, -300 * SECOND, 251])(
    'follows a clock that is %d ms ahead, and says so once',
    (skew) => {
      expect(ask(skew)).toBe(skew);
      expect(clock.now() - host.now()).toBe(skew);
      expect(ask(skew)).toBeUndefined();
      host.advance(3_600 * SECOND);
      expect(clock.now() - host.now()).toBe(skew);
    },
  );

  it.each([0, 1, -250, 250])('does not move for %d ms', (skew) => {
    expect(ask(skew)).toBeUndefined();
    expect(clock.now()).toBe(host.now());
  });

  it.each([300_001, -300_001, 86_400_000, -1e12])(
    'does not follow one that is %d ms away: one of the two is wrong',
    (skew) => {
      expect(ask(skew)).toBe(skew);
      expect(clock.now()).toBe(host.now());
    },
  );

  it('keeps what it followed while the other clock says nonsense', () => {
    ask(90 * SECOND);
    ask(1e9);
    expect(clock.now() - host.now()).toBe(90 * SECOND);
  });

  it('splits the time of a slow answer, and moves for no less than that time', () => {
    expect(ask(900, 1_000)).toBeUndefined();
    expect(ask(1_001, 1_000)).toBe(1_001);
    expect(clock.now() - host.now()).toBe(1_001);
  });

  it.each([1_001, 5_000, 60_000])('learns nothing of an answer that took %d ms', (trip) => {
    expect(ask(90 * SECOND, trip)).toBeUndefined();
    expect(clock.now()).toBe(host.now());
  });

  it.each([Number.NaN, Infinity, -Infinity])('learns nothing of %d', (remote) => {
    const now = host.now();
    expect(clock.align({ remote, sentAt: now, receivedAt: now })).toBeUndefined();
    expect(clock.now()).toBe(now);
  });

  it('learns nothing of a reading during which the host was set back', () => {
    const now = host.now();
    const reading = { remote: now + 60_000, sentAt: now, receivedAt: now - 1 };
    expect(clock.align(reading)).toBeUndefined();
    expect(clock.now()).toBe(now);
  });

  it('stays where it was when the host jumps and the other clock does not', () => {
    ask(0);
    const before = clock.now();
    host.advance(-120 * SECOND);
    expect(clock.now()).toBe(before - 120 * SECOND);
    // The other clock goes on as ever, so it is 120 seconds ahead of this host now.
    expect(ask(120 * SECOND)).toBe(120 * SECOND);
    expect(clock.now()).toBe(before);
  });
});

describe('instances whose hosts disagree, on a store with a clock', () => {
  async function openAt(
    store: TroubledStore,
    skew: number,
  ): Promise<OpenedRing & { readonly clock: CoordinatedClock }> {
    const own = new CoordinatedClock(new TestClock(host.now() + skew));
    return { ...(await openRing(store, own)), clock: own };
  }

  it('by 90 seconds either way agree on the time and on the ring', async () => {
    const store = new TroubledStore();
    store.time = () => host.now();
    const rings = [await openAt(store, 90 * SECOND), await openAt(store, -90 * SECOND)];
    for (const ring of rings) {
      expect(ring.clock.now()).toBe(host.now());
      expect(ring.heard).toContainEqual(
        expect.objectContaining({ type: 'clock.skewed', verdict: 'followed' }),
      );
    }
    expect(new Set(rings.map(({ service }) => service.jwks().etag)).size).toBe(1);
  });

  it('by more than 5 minutes are told, and keep their own time', async () => {
    const store = new TroubledStore();
    store.time = () => host.now();
    const ring = await openAt(store, 600 * SECOND);
    expect(ring.clock.now()).toBe(host.now() + 600 * SECOND);
    expect(ring.heard).toContainEqual(
      expect.objectContaining({ type: 'clock.skewed', skew: -600 * SECOND, verdict: 'ignored' }),
    );
  });
});
