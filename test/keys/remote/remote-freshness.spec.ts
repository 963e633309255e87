import {
  ElapsedTime,
  FIRST_RETRY,
  freshnessOf,
  MAX_KEEP,
  MIN_KEEP,
  retryDelay,
} from '../../../lib/keys/remote/remote-freshness.js';
import { TestClock } from '../../support/test-clock.js';

const MINUTE = 60_000;
const HOUR = 60 * MINUTE;

describe('ElapsedTime', () => {
  it('counts what passes and never what is taken back', () => {
    const clock = new TestClock();
    const time = new ElapsedTime(clock);
    const readings = [0, 5_000, -HOUR, 0, 1_000, -1, 1, HOUR].map((step) => {
      clock.advance(step);
      return time.now();
    });
    expect(readings).toEqual([0, 5_000, 5_000, 5_000, 6_000, 6_000, 6_001, 6_001 + HOUR]);
  });

  it('says what the host shows at its instants', () => {
    const clock = new TestClock();
    const time = new ElapsedTime(clock);
    clock.advance(MINUTE);
    expect(time.wallTime(time.now() + MINUTE)).toEqual(new Date(clock.now() + MINUTE));
    clock.advance(-HOUR);
    expect(time.wallTime(time.now())).toEqual(new Date(clock.now()));
  });
});

describe('freshness', () => {
  const policy = { cacheFor: 10 * MINUTE, staleFor: HOUR, cooldown: 30_000 };

  it.each([
    ['as configured where the answer says nothing', null, 10 * MINUTE],
    ['as the answer says', 20 * MINUTE, 20 * MINUTE],
    ['at least a minute', 0, MIN_KEEP],
    ['at least a minute, which is not much more than nothing', 1_000, MIN_KEEP],
    ['at most an hour', 365 * 24 * HOUR, MAX_KEEP],
  ])('lasts %s', (_what, maxAge, keep) => {
    expect(freshnessOf(1_000, maxAge, policy, 0)).toEqual({
      refreshAt: 1_000 + 0.8 * keep,
      expiresAt: 1_000 + keep,
      usableUntil: 1_000 + keep + HOUR,
    });
  });

  it('is renewed well before its end, by some earlier than by others', () => {
    const { refreshAt, expiresAt } = freshnessOf(0, null, policy, 1);
    expect(refreshAt / expiresAt).toBeCloseTo(0.7);
    expect(freshnessOf(0, null, policy, 0.5).refreshAt / expiresAt).toBeCloseTo(0.75);
  });
});

describe('the pause after a failure', () => {
  it('doubles up to the cooldown', () => {
    const pauses = [1, 2, 3, 4, 5, 6, 7, 5_000].map((failures) => retryDelay(failures, 30_000, 0));
    expect(pauses).toEqual([FIRST_RETRY, 2_000, 4_000, 8_000, 16_000, 30_000, 30_000, 30_000]);
  });

  it('is up to half as long, so that instances do not come together', () => {
    expect(retryDelay(3, 30_000, 1)).toBe(2_000);
    expect(retryDelay(3, 30_000, 0.5)).toBe(3_000);
  });
});
