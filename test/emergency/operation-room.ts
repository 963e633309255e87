import {
  EmergencyService,
  type EmergencySurroundings,
} from '../../lib/emergency/emergency.service.js';
import type { SecurityEvent } from '../../lib/events/security-events.js';
import type { JwtHardeningOptions } from '../../lib/config/options.js';
import type { TokenPair } from '../../lib/sessions/session.js';
import type { SessionStore } from '../../lib/sessions/session-store.js';
import { memoryStorage } from '../../lib/storage/memory/memory-storage.js';
import { ISSUER } from '../support/guarded-app.js';
import { TestClock } from '../support/test-clock.js';
import { type Issuer, openIssuer } from '../support/token-mother.js';
import { recordSecret } from '../support/witness.js';

/** An issuer with sessions, and an operator at the red button. */
export interface OperationRoom extends Omit<Issuer, 'sessions'> {
  readonly sessions: SessionStore;
  readonly heard: SecurityEvent[];
  /** The emergency service, with some of its surroundings replaced. */
  emergency(changes?: Partial<EmergencySurroundings>): EmergencyService;
  startSession(subject: string): Promise<TokenPair>;
  /** Whether a session goes on, or the code of its refusal. */
  refreshed(pair: TokenPair): Promise<string>;
  sign(subject: string, sid?: string): Promise<string>;
  /** Whether a token is accepted, or the code of its refusal. */
  verdict(token: string): Promise<string>;
}

/** @param spoil verbs of its session store that are replaced */
export async function openRoom(
  options: Partial<JwtHardeningOptions> = {},
  spoil: Partial<SessionStore> = {},
): Promise<OperationRoom> {
  const clock = new TestClock();
  const storage = memoryStorage({ clock });
  const sessions = storage.sessionStore;
  const spoiled = { ...storage, sessionStore: spoiledSessions(sessions, spoil) };
  const issuer = await openIssuer({ storage: spoiled, ...options }, clock);
  const { keyRing, revocations, events, tokens } = issuer;
  const heard: SecurityEvent[] = [];
  events.asObservable().subscribe((event) => heard.push(event));
  return {
    ...issuer,
    sessions,
    heard,
    emergency: (changes = {}) =>
      new EmergencyService({
        issuer: ISSUER,
        keyRing,
        revocations,
        sessions,
        countTokens: () => null,
        countConnections: () => null,
        clock,
        events,
        ...changes,
      }),
    startSession: async (subject) => {
      const pair = await issuer.sessions.start(subject);
      recordSecret(pair.accessToken);
      recordSecret(pair.refreshToken);
      return pair;
    },
    refreshed: (pair) => settled(issuer.sessions.refresh(pair.refreshToken)),
    sign: async (sub, sid) => {
      const { token } = await tokens.sign(sid === undefined ? { sub } : { sub, sid });
      recordSecret(token);
      return token;
    },
    verdict: (token) => settled(tokens.verify(token)),
  };
}

function settled(judged: Promise<unknown>): Promise<string> {
  return judged.then(
    () => 'accepted',
    (error: { readonly code?: string }) => error.code ?? 'uncoded',
  );
}

/** The same sessions, some of whose verbs are replaced. */
export function spoiledSessions(real: SessionStore, changes: Partial<SessionStore>): SessionStore {
  return {
    create: (request) => real.create(request),
    find: (request) => real.find(request),
    rotate: (request) => real.rotate(request),
    end: (key) => real.end(key),
    endAll: (request) => real.endAll(request),
    list: (owner) => real.list(owner),
    count: () => real.count(),
    ...changes,
  };
}
