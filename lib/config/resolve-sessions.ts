import { createHmac } from 'node:crypto';

import { SessionSeals } from '../sessions/session-seals.js';
import type { SessionsConfig } from '../sessions/sessions-config.js';
import { NotCarried, type Storage } from '../storage/storage.js';
import { readEncryptionKeys } from './encryption-keys.js';
import type { OptionReader } from './option-reader.js';
import { DAY, MINUTE, SECOND } from './units.js';

/** What `SessionStore` keeps at most, less what clocks may differ by. */
const LONGEST = 395 * DAY;

/** The lengths and hooks of sessions, and whether the storage can carry them. */
export async function readSessions(
  reader: OptionReader,
  { name, sessionStore }: Pick<Storage, 'name' | 'sessionStore'>,
): Promise<Omit<SessionsConfig, 'issuer' | 'clientId' | 'accessTtl'>> {
  reader.expectOnly('sessions', [
    'idleFor',
    'absoluteFor',
    'reuseGrace',
    'perSubject',
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
    seals: await readSeals(reader),
    reuseGrace: reader.duration('sessions.reuseGrace', 10 * SECOND, { max: MINUTE }),
    perSubject: reader.wholeNumber('sessions.perSubject', 100, { min: 1, max: 1_000 }),
    entitlements: readHook(reader, 'entitlements'),
    onReuse: readHook(reader, 'onReuse'),
  };
}

/** What seals the key ring seals sessions too, by a secret of their own. */
async function readSeals(reader: OptionReader): Promise<SessionSeals> {
  const path = 'keys.encryptionKeys';
  const keys = reader.get(path) === undefined ? [null] : await readEncryptionKeys(reader, path);
  return new SessionSeals(keys.map((key) => (key === null ? null : saltFrom(key))));
}

function saltFrom(key: Buffer): Buffer {
  return createHmac('sha256', key).update('session seal').digest();
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
