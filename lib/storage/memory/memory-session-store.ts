import type { Clock } from '../../kernel/clock.js';
import {
  type FoundSession,
  type RotationVerdict,
  type SessionKey,
  type SessionRecord,
  SessionStore,
} from '../../sessions/session-store.js';
import { MemoryRoom } from './memory-room.js';
import { isLate, MemorySession, type Rotation, type SessionBeginning } from './memory-session.js';
import { expectCount, expectDuration, expectSessionName, expectText } from './port-limits.js';

const MAX_DATA = 4 * 1024;

/** A sealed token is far smaller. */
const MAX_SEALED = 4 * 1024;

/** More than 512 bits in base64url. */
const MAX_DIGEST = 128;

/** The sessions of one process. A restart ends them all. */
export class MemorySessionStore extends SessionStore {
  /** By owner, then by id: maps, because both are chosen by others. */
  readonly #owners = new Map<string, Map<string, MemorySession>>();
  readonly #room: MemoryRoom<MemorySession>;

  constructor(maxEntries: number, clock: Clock) {
    super();
    this.#room = new MemoryRoom(maxEntries, clock, (session) => this.#forget(session));
  }

  async create(beginning: SessionBeginning): Promise<readonly string[] | null> {
    const now = this.#room.enter();
    const { key, lineage, secret, binding, data, idleFor, absoluteFor, atMost } = beginning;
    expectSessionKey(key);
    expectText(data, 'The data of a session', MAX_DATA);
    for (const text of [lineage, secret, binding ?? '']) expectText(text, 'A digest', MAX_DIGEST);
    expectDuration(idleFor, 'idleFor');
    expectDuration(absoluteFor, 'absoluteFor');
    expectCount(atMost, 'atMost');
    const standing = this.#owners.get(key.owner)?.get(key.id);
    if (standing !== undefined) {
      if (now < standing.expiresAt) return null;
      this.#drop(standing);
    }
    const ending = this.#oldestBeyond(atMost - 1, key.owner);
    if (ending.length === 0) this.#room.expectRoom();
    for (const session of ending) this.#drop(session);
    const session = new MemorySession(beginning, now);
    const sessions = this.#owners.get(key.owner) ?? new Map<string, MemorySession>();
    this.#owners.set(key.owner, sessions.set(key.id, session));
    this.#room.add(session);
    return ending.map(({ key: { id } }) => id);
  }

  async rotate(rotation: Rotation): Promise<RotationVerdict> {
    const { presented, next, graceFor, askedAt } = rotation;
    const now = this.#room.enter();
    expectSessionKey(presented.key);
    expectText(next.secret, 'A digest', MAX_DIGEST);
    expectText(next.sealed, 'A sealed token', MAX_SEALED);
    expectText(next.data ?? '', 'The data of a session', MAX_DATA);
    if (graceFor !== 0) expectDuration(graceFor, 'graceFor');
    if (isLate(askedAt, now)) return { verdict: 'late' };
    const session = this.#owners.get(presented.key.owner)?.get(presented.key.id);
    if (session === undefined) return { verdict: 'unknown' };
    const judged = session.rotate(rotation, now);
    const { verdict } = judged;
    if (verdict === 'rotated' || verdict === 'reused') {
      this.#room.reschedule(session, session.expiryAfter(verdict, now));
    }
    return judged;
  }

  async find({
    key,
    lineage,
    secret,
  }: {
    readonly key: SessionKey;
    readonly lineage: string;
    readonly secret: string;
  }): Promise<FoundSession | null> {
    const now = this.#room.enter();
    const session = this.#liveSession(key);
    return session?.isOf(lineage) === true ? session.show(secret, now) : null;
  }

  async end({ lineage, ...key }: SessionKey & { readonly lineage?: string }): Promise<boolean> {
    const session = this.#liveSession(key);
    if (session === undefined || (lineage !== undefined && !session.isOf(lineage))) return false;
    this.#drop(session);
    return true;
  }

  async endAll({
    owner,
    except,
  }: {
    readonly owner: string;
    readonly except: string | null;
  }): Promise<readonly string[]> {
    const ending = this.#liveSessionsOf(owner).filter(({ key }) => key.id !== except);
    for (const session of ending) this.#drop(session);
    return ending.map(({ key }) => key.id);
  }

  async list(owner: string): Promise<readonly SessionRecord[]> {
    return this.#liveSessionsOf(owner).map((session) => session.record());
  }

  async count(): Promise<{ readonly sessions: number; readonly owners: number }> {
    const now = this.#room.enter();
    let sessions = 0;
    let owners = 0;
    for (const held of this.#owners.values()) {
      const before = sessions;
      for (const session of held.values()) if (session.livesAt(now)) sessions++;
      if (sessions > before) owners++;
    }
    return { sessions, owners };
  }

  /** How many sessions are held, those included that expired and were not swept. */
  get size(): number {
    return this.#room.size;
  }

  close(): void {
    this.#room.close();
  }

  #liveSession(key: SessionKey): MemorySession | undefined {
    const now = this.#room.enter();
    expectSessionKey(key);
    const session = this.#owners.get(key.owner)?.get(key.id);
    return session?.livesAt(now) === true ? session : undefined;
  }

  /** All but the newest so many. */
  #oldestBeyond(kept: number, owner: string): readonly MemorySession[] {
    const sessions = this.#liveSessionsOf(owner);
    return sessions.slice(0, Math.max(0, sessions.length - kept));
  }

  /** The oldest first. */
  #liveSessionsOf(owner: string): readonly MemorySession[] {
    const now = this.#room.enter();
    expectSessionName(owner, 'An owner');
    const sessions = this.#owners.get(owner) ?? new Map<string, MemorySession>();
    // Stable, so that what was created within one millisecond stays in the order it came.
    return [...sessions.values()]
      .filter((session) => session.livesAt(now))
      .toSorted((a, b) => a.createdAt - b.createdAt);
  }

  #drop(session: MemorySession): void {
    this.#room.remove(session);
    this.#forget(session);
  }

  #forget({ key: { owner, id } }: MemorySession): void {
    const sessions = this.#owners.get(owner);
    sessions?.delete(id);
    if (sessions?.size === 0) this.#owners.delete(owner);
  }
}

function expectSessionKey({ owner, id }: SessionKey): void {
  expectSessionName(owner, 'An owner');
  expectSessionName(id, 'The id of a session');
}
