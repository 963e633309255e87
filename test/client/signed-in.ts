import { Bank } from './bank.js';
import { type Lack, type TestTab, World } from './browser-world.js';

/** Tabs of one browser that share a session, as the tests of the client begin. */

export const CREDENTIALS = { username: 'alice', password: 'alice-demo' };
export const TRANSPORTS = ['cookie', 'body'] as const;
export type Transport = (typeof TRANSPORTS)[number];

export interface Setting {
  readonly world: World;
  readonly bank: Bank;
  readonly tabs: readonly [TestTab, ...TestTab[]];
}

export async function signedIn(
  transport: Transport,
  tabs = 1,
  lacks: readonly Lack[] = [],
): Promise<Setting> {
  const bank = new Bank(transport);
  const world = new World(bank.answer, lacks);
  const first = world.open({ transport });
  const others = Array.from({ length: tabs - 1 }, () => world.open({ transport }));
  await world.advance(1_000);
  await world.outcome(first.client.login(CREDENTIALS));
  await world.advance(1_000);
  world.sent.length = 0;
  for (const { told } of [first, ...others]) expect(told.splice(0)).toContain('signed-in');
  return { world, bank, tabs: [first, ...others] };
}

/** Milliseconds after which the access token of that session is over. */
export const AFTER_EXPIRY = 601_000;
