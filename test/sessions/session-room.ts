import type { JwtHardeningOptions } from '../../lib/config/options.js';
import type { SecurityEvent, SecurityEventType } from '../../lib/events/security-events.js';
import { StoreError } from '../../lib/kernel/errors.js';
import { sessionOwner } from '../../lib/sessions/session-owner.js';
import type { SessionRefresh, SessionStart, TokenPair } from '../../lib/sessions/session.js';
import { memoryStorage } from '../../lib/storage/memory/memory-storage.js';
import { NotCarried, type Storage } from '../../lib/storage/storage.js';
import { verdictOf } from '../revocation/instances.js';
import { ISSUER } from '../support/guarded-app.js';
import { TestClock } from '../support/test-clock.js';
import { type Issuer, openIssuer } from '../support/token-mother.js';
import { recordOutput, recordSecret } from '../support/witness.js';
import { TroubledSessions } from './troubled-sessions.js';

export const SECOND = 1_000;
export const HOUR = 3_600_000;
export const DAY = 24 * HOUR;

/** What a store that is out of reach answers. */
export const AWAY = new StoreError('ERR_STORE_UNAVAILABLE', 'The store is away.');

/** Where the sessions of a subject are. */
export const ownerOf = (subject: string): string => sessionOwner({ issuer: ISSUER, subject });

/** One instance of a service with sessions, on a standing clock. */
export interface SessionRoom extends Issuer {
  readonly store: TroubledSessions;
  start(start?: SessionStart, subject?: string): Promise<TokenPair>;
  refresh(from: TokenPair, refresh?: SessionRefresh): Promise<TokenPair>;
  /** `accepted`, or the code of the refusal. */
  refreshed(from: TokenPair, refresh?: SessionRefresh): Promise<string>;
  /** Of an access token: `accepted`, or the code of the refusal. */
  verdict(pair: TokenPair): Promise<string>;
  said<Type extends SecurityEventType>(type: Type): readonly SecurityEvent<Type>[];
}

const opened: (() => void)[] = [];

export async function openRoom(
  options: Partial<JwtHardeningOptions> = {},
  clock: TestClock = new TestClock(),
): Promise<SessionRoom> {
  const { storage = memoryStorage({ clock }) } = options;
  if (storage.sessionStore instanceof NotCarried) throw new Error('no sessions');
  const store = new TroubledSessions(storage.sessionStore);
  const troubled: Storage = {
    name: storage.name,
    reach: storage.reach,
    keyStore: storage.keyStore,
    revocationLog: storage.revocationLog,
    sessionStore: store,
    replayStore: storage.replayStore,
    attemptStore: storage.attemptStore,
    status: () => storage.status(),
    onStatus: (listener) => storage.onStatus(listener),
    close: () => storage.close(),
  };
  const binding = { dpop: { nonce: null }, mtls: {} };
  return toRoom(await openIssuer({ binding, ...options, storage: troubled }, clock), store);
}

function toRoom(issuer: Issuer, store: TroubledSessions): SessionRoom {
  const { sessions, tokens, events, revocations } = issuer;
  const heard: SecurityEvent[] = [];
  events.onAny((event) => heard.push(event));
  opened.push(() => {
    revocations.onModuleDestroy();
    recordOutput(JSON.stringify(heard));
  });
  const start = async (begin: SessionStart = {}, subject = 'alice'): Promise<TokenPair> =>
    recorded(await sessions.start(subject, begin));
  const refresh = async (from: TokenPair, how: SessionRefresh = {}): Promise<TokenPair> =>
    recorded(await sessions.refresh(from.refreshToken, how));
  return {
    ...issuer,
    store,
    start,
    refresh,
    refreshed: (from, how) => verdictOf(refresh(from, how)),
    verdict: ({ accessToken }) => verdictOf(tokens.verify(accessToken)),
    said: (type) => heard.filter((event): event is never => event.type === type),
  };
}

/** Everything that rooms did is over; to be called after each test. */
export function closeRooms(): void {
  for (const close of opened.splice(0)) close();
}

/** How often each answer was given. */
export function tally(answers: readonly string[]): Readonly<Record<string, number>> {
  const counts: Record<string, number> = {};
  for (const answer of answers) counts[answer] = (counts[answer] ?? 0) + 1;
  return counts;
}

/** So many calls at once. */
export function atOnce<T>(count: number, call: (index: number) => Promise<T>): Promise<T[]> {
  return Promise.all(Array.from({ length: count }, (_, index) => call(index)));
}

function recorded(pair: TokenPair): TokenPair {
  recordSecret(pair.accessToken);
  recordSecret(pair.refreshToken);
  if (pair.csrfToken !== undefined) recordSecret(pair.csrfToken);
  return pair;
}
