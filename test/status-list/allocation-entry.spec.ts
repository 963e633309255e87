import { readRevocation } from '../../lib/revocation/revocation-entry.js';
import {
  MAX_LIST_SIZE,
  readAllocation,
  writeAllocation,
} from '../../lib/status-list/allocation-entry.js';
import { LIST } from './allocation-mother.js';
import { allocationOf, NOW } from './allocation-mother.js';

describe('an allocation in the log', () => {
  it.each([
    ['without a session', allocationOf(0)],
    ['with a session', allocationOf(77, { sid: 'session-1' })],
    ['at the last index', allocationOf(MAX_LIST_SIZE - 1)],
    ['with an era', allocationOf(5, { era: NOW + 12_345 })],
    ['in a later list', allocationOf(5, {}, { ...LIST, number: 9_999 })],
  ])('%s is read as it was written', (_what, allocation) => {
    const entry = writeAllocation(allocation);
    expect(readAllocation(entry)).toEqual(allocation);
    expect(entry.expiresAt).toBe(allocation.until);
    expect(entry.data.length).toBeLessThan(120);
  });

  it('names nobody', () => {
    const { data } = writeAllocation(allocationOf(1, { sub: 'alice', sid: 'session-1' }));
    expect(data).not.toMatch(/alice|session-1|token-1|key-1|issuer/);
  });

  it('is no revocation', () => {
    expect(readRevocation(writeAllocation(allocationOf(1)))).toBeUndefined();
  });

  const { data: good } = writeAllocation(allocationOf(7, { sid: 's', era: NOW }));
  const [name = '', index = '', issuedAt = '', era = '', digests = ''] = good.split(' ');
  const entry = (...parts: readonly string[]): string => parts.join(' ');

  it('is made of these parts', () => {
    expect(entry(name, index, issuedAt, era, digests)).toBe(good);
    expect(digests).toHaveLength(4 * 13);
  });

  it.each([
    ['nothing', ''],
    ['its letter', 'l'],
    ['another letter', `t${good.slice(1)}`],
    ['a part less', entry(name, index, issuedAt, era)],
    ['a part more', `${good} 0`],
    ['a list that is none', entry('l0-0-0', index, issuedAt, era, digests)],
    ['an index beyond every list', entry(name, MAX_LIST_SIZE.toString(36), issuedAt, era, digests)],
    ['a negative index', entry(name, '-1', issuedAt, era, digests)],
    ['an index with a point', entry(name, '1.5', issuedAt, era, digests)],
    ['an iat beyond 32 bits', entry(name, index, (2 ** 32).toString(36), era, digests)],
    ['an era beyond 46 bits', entry(name, index, issuedAt, (2 ** 46).toString(36), digests)],
    ['a digest too few', entry(name, index, issuedAt, era, digests.slice(26))],
    ['a digest too many', entry(name, index, issuedAt, era, `${digests}${digests.slice(13)}`)],
    ['a digest cut short', entry(name, index, issuedAt, era, digests.slice(1))],
    ['other characters', entry(name, index, issuedAt, era, `+${digests.slice(1)}`)],
    ['a line break', `${good}\n`],
    ['two spaces', good.replace(' ', '  ')],
    ['much', `l${'z'.repeat(1_000)}`],
  ])('is not read from %s', (_what, data) => {
    expect(readAllocation({ data, expiresAt: NOW })).toBeUndefined();
  });
});
