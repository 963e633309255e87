import { Redis } from 'ioredis';

import type { JwtHardeningOptions } from '../../lib/config/options.js';
import type { RedisServer } from '../support/redis-server.js';
import { Instance, type InstanceOptions, type SaidEvent } from './instances.js';
import { newEncryptionKey } from './revocation-figures.js';

/** What all proofs of sessions begin with: a setting, and a look at what instances said and stored. */

export const PREFIX = 'sessions:';

/** Of which there are too many. */
const SILENT = [
  'access.denied',
  'refresh.rejected',
  'revocation.made',
  'session.ended',
  'session.refreshed',
  'session.started',
  'token.rejected',
] as const;

/** How an instance waits for a machine that is busy otherwise is not what is tested. */
export function sessionSetting(
  redis: Pick<RedisServer, 'url'>,
  options: Partial<Pick<JwtHardeningOptions, 'outage' | 'sessions' | 'transport'>>,
): InstanceOptions {
  return {
    redisUrl: redis.url,
    keyPrefix: PREFIX,
    redis: { deadline: '10s' },
    silent: SILENT,
    options: {
      // So that sessions can be bound.
      binding: { dpop: { nonce: null } },
      keys: { encryptionKeys: newEncryptionKey() },
      outage: { maxLag: '1m' },
      ...options,
    },
  };
}

export interface SaidOfSession extends SaidEvent {
  readonly sessionId: string;
  readonly misuse: string;
}

/** What was said of thefts: `refresh.reused` in the log, `notified` by the hook. */
export function saidOfThefts(
  instances: readonly Pick<Instance, 'events'>[],
  type: 'refresh.reused' | 'notified',
): readonly SaidOfSession[] {
  const said = instances.flatMap((instance) => instance.events());
  return said.filter((event): event is SaidOfSession => event.type === type);
}

/** How often its token was rotated, of each session that lives, by its id. */
export async function storedGenerations({
  url,
}: Pick<RedisServer, 'url'>): Promise<ReadonlyMap<string, number>> {
  const redis = new Redis(url);
  try {
    const names = await redis.keys(`${PREFIX}session:*`);
    const generations = await Promise.all(names.map((name) => redis.hget(name, 'generation')));
    return new Map(
      names.map((name, place) => [name.slice(name.indexOf('}:') + 2), Number(generations[place])]),
    );
  } finally {
    redis.disconnect();
  }
}
