import * as fc from 'fast-check';

import { randomId, randomUpTo } from '../../lib/kernel/ids.js';

describe('randomId', () => {
  it('is canonical base64url of at least 128 random bits (RFC 8725 §3.5, SEMANTICS 1)', () => {
    const bytes = Buffer.from(randomId(), 'base64url');
    expect(randomId()).toMatch(/^[A-Za-z0-9_-]+$/);
    expect(bytes.length * 8).toBeGreaterThanOrEqual(128);
  });

  it('spends its bits: every one of them is sometimes 0 and sometimes 1', () => {
    const ids = Array.from({ length: 400 }, () => Buffer.from(randomId(), 'base64url'));
    const length = ids[0]?.length ?? 0;
    const ones = Buffer.alloc(length);
    const zeros = Buffer.alloc(length);
    for (const id of ids) {
      for (let at = 0; at < length; at++) {
        ones[at] = ones.readUInt8(at) | id.readUInt8(at);
        zeros[at] = zeros.readUInt8(at) | (~id.readUInt8(at) & 0xff);
      }
    }
    expect(ones).toEqual(Buffer.alloc(length, 0xff));
    expect(zeros).toEqual(Buffer.alloc(length, 0xff));
  });

  it('does not repeat', () => {
    expect(new Set(Array.from({ length: 20_000 }, randomId)).size).toBe(20_000);
  });
});

describe('randomUpTo', () => {
  it.each([0, -1, -1e9])('is 0 for %d', (max) => {
    expect(randomUpTo(max)).toBe(0);
  });

  it('is a whole number from 0 up to and including its bound', () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 2 ** 40 }), (max) => {
        const drawn = randomUpTo(max);
        expect(Number.isInteger(drawn) && drawn >= 0 && drawn <= max).toBe(true);
      }),
    );
  });

  it('reaches both ends, and no number much more often than another', () => {
    const counts = [0, 0, 0, 0];
    for (let draw = 0; draw < 8_000; draw++) {
      const drawn = randomUpTo(3);
      counts[drawn] = (counts[drawn] ?? 0) + 1;
    }
    // 2000 expected, standard deviation 39: ten of them are not a coincidence.
    for (const count of counts) expect(Math.abs(count - 2_000)).toBeLessThan(400);
  });
});
