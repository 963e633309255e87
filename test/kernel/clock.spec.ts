import { Clock, SystemClock } from '../../lib/kernel/clock.js';
import { TestClock } from '../support/test-clock.js';

describe('SystemClock', () => {
  it('tells the wall clock in milliseconds, not in seconds', () => {
    const before = Date.now();
    const now = new SystemClock().now();
    expect(now).toBeGreaterThanOrEqual(before);
    expect(now).toBeLessThanOrEqual(Date.now());
  });

  it.each([
    ['SystemClock', SystemClock],
    ['a clock of the application', TestClock],
  ])('%s can stand in wherever a Clock is injected', (_name, Type) => {
    expect(new Type()).toBeInstanceOf(Clock);
  });
});
