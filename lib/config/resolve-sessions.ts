import type { SessionsConfig } from '../sessions/session.service.js';
import { NotCarried, type Storage } from '../storage/storage.js';
import type { OptionReader } from './option-reader.js';
import { DAY, MINUTE, SECOND } from './units.js';

/** What `SessionStore` keeps at most, less what clocks may differ by. */
const LONGEST = 395 * DAY;

/** The lengths and hooks of sessions, and whether the storage can carry them. */
export function readSessions(
  reader: OptionReader,
  { name, sessionStore }: Pick<Storage, 'name' | 'sessionStore'>,
): Pick<SessionsConfig, 'idleFor' | 'absoluteFor' | 'reuseGrace' | 'entitlements' | 'onReuse'> {
  reader.expectOnly('sessions', [
    'idleFor',
    'absoluteFor',
    'reuseGrace',
    'entitlements',
    'onReuse',
  ]);
  if (reader.get('sessions') !== undefined && sessionStore instanceof NotCarried) {
    reader.add(
      'sessions',
      `${name} cannot carry sessions: ${sessionStore.reason}`,
      'Write redisStorage(…), or leave sessions out',
    );
  }
  const absoluteFor = reader.duration('sessions.absoluteFor', 90 * DAY, {
    min: MINUTE,
    max: LONGEST,
  });
  const idleFor = reader.duration('sessions.idleFor', Math.min(14 * DAY, absoluteFor), {
    min: MINUTE,
    max: absoluteFor,
  });
  return {
    absoluteFor,
    idleFor,
    reuseGrace: reader.duration('sessions.reuseGrace', 10 * SECOND, { max: MINUTE }),
    entitlements: readHook(reader, 'entitlements'),
    onReuse: readHook(reader, 'onReuse'),
  };
}

function readHook<Name extends 'entitlements' | 'onReuse'>(
  reader: OptionReader,
  name: Name,
): SessionsConfig[Name] {
  const path = `sessions.${name}`;
  const value = reader.get(path);
  if (value === undefined) return null;
  // What it takes and answers is for the compiler to say; what it does answer is doubted when asked.
  if (typeof value === 'function') return value as NonNullable<SessionsConfig[Name]>;
  reader.refuse(path, 'Write a function');
  return null;
}
