import assert from 'node:assert/strict';

import { NotCarried, type Storage } from '../storage/storage.js';
import type { PortName } from './trial.js';

/** What holds of a storage as a whole, whichever ports it carries. */
export async function proveStatus(storage: Storage): Promise<void> {
  assert.match(storage.name, /\S/, 'the storage has no name');
  assert.ok(['process', 'shared'].includes(storage.reach), 'reach is "process" or "shared"');
  const { state, since, detail } = storage.status();
  assert.equal(state, 'up', 'a storage that has just connected is up');
  assert.ok(since instanceof Date && !Number.isNaN(since.getTime()), 'since is no instant');
  assert.equal(typeof detail, 'string');
  const unsubscribe = storage.onStatus(() => {});
  unsubscribe();
  unsubscribe();
  await storage.close();
  await storage.close();
}

/** Every verb of a port that answers, called once; none must be answered after `close`. */
export function callsAfterClose(
  storage: Storage,
  port: PortName,
): readonly (readonly [call: string, answer: () => Promise<unknown>])[] {
  const { keyStore, revocationLog, sessionStore, replayStore, attemptStore } = storage;
  const key = { owner: 'owner', id: 'id' };
  const later = 8.64e15 / 4;
  if (port === 'keyStore' && !(keyStore instanceof NotCarried)) {
    return [
      ['load', () => keyStore.load()],
      ['replace', () => keyStore.replace({ expectedVersion: null, ring: '{}' })],
    ];
  }
  if (port === 'revocationLog' && !(revocationLog instanceof NotCarried)) {
    return [
      ['append', () => revocationLog.append({ data: 'x', expiresAt: later })],
      ['read', () => revocationLog.read({ after: null, limit: 1 })],
    ];
  }
  if (port === 'sessionStore' && !(sessionStore instanceof NotCarried)) {
    const token = { key, lineage: 'lineage', secret: 'secret', binding: null };
    const next = { secret: 'next', sealed: 'sealed', data: null };
    return [
      [
        'create',
        () =>
          sessionStore.create({
            ...token,
            data: '',
            idleFor: 60_000,
            absoluteFor: 60_000,
            atMost: 1,
          }),
      ],
      ['rotate', () => sessionStore.rotate({ presented: token, next, graceFor: 0, askedAt: null })],
      ['find', () => sessionStore.find(token)],
      ['end', () => sessionStore.end(key)],
      ['endAll', () => sessionStore.endAll({ owner: key.owner, except: null })],
      ['list', () => sessionStore.list(key.owner)],
      ['count', () => sessionStore.count()],
    ];
  }
  if (port === 'replayStore' && !(replayStore instanceof NotCarried)) {
    return [['claimOnce', () => replayStore.claimOnce({ key: 'key', expiresAt: later })]];
  }
  if (port === 'attemptStore' && !(attemptStore instanceof NotCarried)) {
    return [
      ['record', () => attemptStore.record({ key: 'key', window: 60_000, runsFrom: 'first' })],
      ['read', () => attemptStore.read('key')],
      ['clear', () => attemptStore.clear('key')],
    ];
  }
  return [];
}
