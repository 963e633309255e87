import { hashTagOf, slotOf } from '../../../lib/storage/redis/cluster-slot.js';
import { RedisKeys } from '../../../lib/storage/redis/redis-keys.js';

describe('slotOf', () => {
  // Of the Redis Cluster specification, and of CLUSTER KEYSLOT.
  it.each([
    ['123456789', 12_739],
    ['foo', 12_182],
    ['{foo}.bar', 12_182],
    ['bar', 5_061],
    ['', 0],
  ])('of %p is %d', (key, slot) => {
    expect(slotOf(key)).toBe(slot);
  });

  it.each([
    ['{user}.a', 'user'],
    ['a{}b', 'a{}b'],
    ['a{{b}}c', '{b'],
    ['a{b}{c}', 'b'],
    ['a}b{c', 'a}b{c'],
    ['a{b', 'a{b'],
  ])('of %p goes by %p', (key, tag) => {
    expect(hashTagOf(key)).toBe(tag);
  });
});

describe('the keys of one atomic step lie in one slot', () => {
  const keys = new RedisKeys('app:');

  it.each([
    ['the ring', [keys.keyRing(), keys.keyRingChanges()]],
    ['the log', [keys.log(), keys.logState()]],
    [
      'the sessions of an owner',
      [
        keys.session('owner', 'a'),
        keys.session('owner', 'b'),
        keys.sessionIndex('owner'),
        keys.endedSession('owner', 'a'),
      ],
    ],
  ])('%s', (_name, names) => {
    expect(new Set(names.map(slotOf)).size).toBe(1);
  });

  it('and a probe lies where the failed call went', () => {
    expect(slotOf(keys.probe(hashTagOf(keys.log())))).toBe(slotOf(keys.log()));
    const claim = keys.claim('k');
    expect(slotOf(keys.probe(hashTagOf(claim)))).toBe(slotOf(claim));
  });

  it('keys of callers differ wherever their texts do', () => {
    const texts = ['a', 'A', 'a ', 'é', 'e\u0301', '\ud800', '\ud801', '\ufffd', '{a}', 'a\0'];
    expect(new Set(texts.map(keys.claim)).size).toBe(texts.length);
    expect(keys.claim('a')).not.toBe(keys.attempts('a'));
  });
});
