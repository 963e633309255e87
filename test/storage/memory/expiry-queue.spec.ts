import * as fc from 'fast-check';

import { Expiring, ExpiryQueue } from '../../../lib/storage/memory/expiry-queue.js';

class Item extends Expiring {}

type Action =
  | { readonly do: 'add'; readonly expiresAt: number }
  | { readonly do: 'remove' | 'take first'; readonly which: number }
  | { readonly do: 'reschedule'; readonly which: number; readonly expiresAt: number };

const expiresAt = fc.integer({ min: 0, max: 20 });
const which = fc.nat();
const actions: fc.Arbitrary<readonly Action[]> = fc.array(
  fc.oneof(
    { weight: 3, arbitrary: fc.record({ do: fc.constant('add' as const), expiresAt }) },
    fc.record({ do: fc.constantFrom('remove' as const, 'take first' as const), which }),
    fc.record({ do: fc.constant('reschedule' as const), which, expiresAt }),
  ),
  { maxLength: 200, size: 'max' },
);

describe('ExpiryQueue', () => {
  it('holds what was added and not removed, the earliest first, whatever happens', () => {
    fc.assert(
      fc.property(actions, (life) => {
        const queue = new ExpiryQueue<Item>();
        const model: Item[] = [];
        for (const action of life) {
          const item = 'which' in action ? model[action.which % model.length] : undefined;
          if (action.do === 'add') {
            const added = new Item(action.expiresAt);
            queue.add(added);
            model.push(added);
          } else if (action.do === 'reschedule') {
            if (item !== undefined) queue.reschedule(item, action.expiresAt);
          } else {
            const removed = action.do === 'remove' ? item : queue.first;
            if (removed === undefined) continue;
            queue.remove(removed);
            model.splice(model.indexOf(removed), 1);
          }
          expect(queue.size).toBe(model.length);
          const earliest = Math.min(...model.map((each) => each.expiresAt));
          expect(queue.first?.expiresAt ?? Infinity).toBe(earliest);
        }
        const drained: number[] = [];
        for (let { first } = queue; first !== undefined; { first } = queue) {
          drained.push(first.expiresAt);
          queue.remove(first);
        }
        expect(drained).toEqual(model.map((each) => each.expiresAt).toSorted((a, b) => a - b));
      }),
    );
  });
});
