import { StoreError } from '../kernel/errors.js';
import type { Trial } from './trial.js';

/** Far more keys than a cache that forgets the oldest would hold by default. */
const FLOOD = 5_000;
const AT_ONCE = 250;

/** What an attacker does to make a store forget: thousands of other keys. */
export async function flood<Port>(
  trial: Trial<Port>,
  call: (port: Port, index: number) => Promise<unknown>,
): Promise<void> {
  for (let from = 0; from < FLOOD; from += AT_ONCE) {
    await trial.parallel(AT_ONCE, (port, index) => unlessFull(() => call(port, from + index)));
  }
}

/** `undefined` where the store said that it is full: to deny is allowed, to forget is not. */
export async function unlessFull<Answer>(call: () => Promise<Answer>): Promise<Answer | undefined> {
  try {
    return await call();
  } catch (error) {
    if (error instanceof StoreError && error.code === 'ERR_STORE_FULL') return undefined;
    throw error;
  }
}
