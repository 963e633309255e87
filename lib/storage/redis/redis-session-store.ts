import {
  type FoundSession,
  type NextToken,
  type PresentedToken,
  type RotationVerdict,
  type SessionKey,
  type SessionRecord,
  SessionStore,
} from '../../sessions/session-store.js';
import type { RedisClient } from './redis-clients.js';
import type { RedisGate } from './redis-gate.js';
import { expectName, expectText, expectWhole, LONGEST, type RedisKeys } from './redis-keys.js';
import type { RedisReply } from './redis-reply.js';
import { CREATE, END, END_ALL, FIND, LIST, NEWEST, ROTATE } from './session-scripts.js';

const MAX_DATA_BYTES = 4 * 1024;
const MAX_DIGEST_BYTES = 1024;
const MAX_SEALED_BYTES = 16 * 1024;

const SCAN_PAGE = 1_000;

const COUNTING = 'counting sessions';

const VERDICTS = ['rotated', 'repeated', 'reused', 'ended', 'unknown', 'late'] as const;
const STANDING = ['exists', 'repeated', 'ended', 'unknown', 'late'] as const;

type SessionCount = Awaited<ReturnType<SessionStore['count']>>;

/** Sessions as hashes, rotated inside Redis. */
export class RedisSessionStore extends SessionStore {
  readonly #gate: RedisGate;
  readonly #durable: RedisGate;
  readonly #keys: RedisKeys;

  /** @param durable answers once a change holds as firmly as was configured */
  constructor(gate: RedisGate, durable: RedisGate, keys: RedisKeys) {
    super();
    this.#gate = gate;
    this.#durable = durable;
    this.#keys = keys;
  }

  async create(request: {
    readonly key: SessionKey;
    readonly lineage: string;
    readonly secret: string;
    readonly binding: string | null;
    readonly data: string;
    readonly idleFor: number;
    readonly absoluteFor: number;
    readonly atMost: number;
  }): Promise<readonly string[] | null> {
    const { key, lineage, secret, binding, data, idleFor, absoluteFor, atMost } = request;
    expectSessionKey(key);
    expectDigests(lineage, secret, binding);
    expectText(data, 'The data of a session', MAX_DATA_BYTES);
    expectWhole(idleFor, 'An idle time', 1, LONGEST);
    expectWhole(absoluteFor, 'A lifetime', 1, LONGEST);
    expectWhole(atMost, 'A number of sessions', 1);
    const reply = await this.#durable.run({
      task: 'storing a session',
      script: CREATE,
      keys: this.#keysOf(key),
      args: [
        key.id,
        lineage,
        secret,
        optional(binding),
        data,
        String(idleFor),
        String(absoluteFor),
        String(atMost),
      ],
      isRefusal: isStanding,
    });
    const [outcome] = reply.list();
    if (outcome?.word(['exists', 'stored']) === 'exists') return null;
    const [, ended] = reply.tuple(2);
    return ended.list().map((id) => id.text());
  }

  async rotate({
    presented,
    next,
    graceFor,
    askedAt,
  }: {
    readonly presented: PresentedToken;
    readonly next: NextToken;
    readonly graceFor: number;
    readonly askedAt: number | null;
  }): Promise<RotationVerdict> {
    const { key, lineage, secret, binding } = presented;
    expectSessionKey(key);
    expectDigests(lineage, secret, binding);
    expectDigests(next.secret);
    expectText(next.sealed, 'A sealed token', MAX_SEALED_BYTES);
    expectText(next.data ?? '', 'The data of a session', MAX_DATA_BYTES);
    expectWhole(graceFor, 'A grace window', 0, LONGEST);
    if (askedAt !== null) expectWhole(askedAt, 'An instant', 0);
    const reply = await this.#durable.run({
      task: 'rotating a session',
      script: ROTATE,
      keys: this.#keysOf(key),
      args: [
        key.id,
        lineage,
        secret,
        optional(binding),
        next.secret,
        next.sealed,
        optional(next.data),
        String(graceFor),
        askedAt === null ? '' : String(askedAt),
      ],
      isRefusal: isStanding,
    });
    return verdictFrom(reply, key);
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
    expectSessionKey(key);
    expectDigests(lineage, secret);
    const [name] = this.#keysOf(key);
    // Redis lets the key expire when the session does.
    const reply = await this.#gate.run({
      task: 'reading a session',
      script: FIND,
      keys: [name],
      args: [lineage, secret],
    });
    if (reply.items().length === 0) return null;
    const [record, shown, at] = reply.tuple(3);
    return {
      session: recordFrom(record, key),
      shown: shown.word(['current', 'former', 'other']),
      at: at.count(),
    };
  }

  async end({ lineage, ...key }: SessionKey & { readonly lineage?: string }): Promise<boolean> {
    expectSessionKey(key);
    expectDigests(lineage ?? null);
    const [session, index] = this.#keysOf(key);
    const reply = await this.#durable.run({
      task: 'ending a session',
      script: END,
      keys: [session, index],
      args: [key.id, optional(lineage ?? null)],
    });
    return reply.flag();
  }

  async endAll({
    owner,
    except,
  }: {
    readonly owner: string;
    readonly except: string | null;
  }): Promise<readonly string[]> {
    expectName(owner, 'The owner of sessions');
    const reply = await this.#durable.run({
      task: 'ending the sessions of an owner',
      script: END_ALL,
      keys: [this.#keys.sessionIndex(owner)],
      args: [this.#keys.sessionsOf(owner), except ?? ''],
    });
    return reply.list().map((id) => id.text());
  }

  async list(owner: string): Promise<readonly SessionRecord[]> {
    expectName(owner, 'The owner of sessions');
    const reply = await this.#gate.run({
      task: 'listing the sessions of an owner',
      script: LIST,
      keys: [this.#keys.sessionIndex(owner)],
      args: [this.#keys.sessionsOf(owner)],
    });
    return reply.list().map((item) => {
      const [id, record] = item.tuple(2);
      return recordFrom(record, { owner, id: id.text() });
    });
  }

  async count(): Promise<SessionCount> {
    const masters = await this.#gate.masters();
    const counts = await Promise.all(masters.map((master) => this.#countOn(master)));
    return {
      sessions: counts.reduce((sum, { sessions }) => sum + sessions, 0),
      owners: counts.reduce((sum, { owners }) => sum + owners, 0),
    };
  }

  async #countOn(master: RedisClient): Promise<SessionCount> {
    const pattern = this.#keys.anySession();
    const count = { sessions: 0, owners: 0 };
    let cursor = '0';
    do {
      const from = cursor;
      const reply = await this.#gate.call({
        task: COUNTING,
        key: '',
        send: () => master.scan(from, 'MATCH', pattern, 'COUNT', SCAN_PAGE),
      });
      const [following, keys] = reply.tuple(2);
      const names = new Set(keys.list().map((name) => name.text()));
      count.sessions += names.size;
      count.owners += await this.#countOwners(master, names);
      cursor = following.text();
    } while (cursor !== '0');
    return count;
  }

  /**
   * How many owners have their newest session among these. Each has one newest session, so that
   * nobody is counted twice, and no list of all owners is kept for it.
   */
  async #countOwners(master: RedisClient, names: ReadonlySet<string>): Promise<number> {
    const owners = [...new Set([...names].map(ownerIn))];
    if (owners.length === 0) return 0;
    const send = async (): Promise<unknown> => {
      const pipeline = master.pipeline();
      for (const owner of owners) {
        const { sessionIndex, sessionsOf } = this.#keys;
        pipeline.eval(NEWEST.text, 1, sessionIndex(owner), sessionsOf(owner));
      }
      return ((await pipeline.exec()) ?? []).map(([error, id]) => {
        if (error !== null) throw error;
        return id;
      });
    };
    const newest = (await this.#gate.call({ task: COUNTING, key: '', send })).list();
    return owners.filter((owner, at) => {
      const id = newest[at]?.text() ?? '';
      return id !== '' && names.has(this.#keys.session(owner, id));
    }).length;
  }

  #keysOf({ owner, id }: SessionKey): readonly [string, string, string] {
    const keys = this.#keys;
    return [keys.session(owner, id), keys.sessionIndex(owner), keys.endedSession(owner, id)];
  }
}

/** The owner in the name of a session's key; the prefix has no braces. */
function ownerIn(name: string): string {
  return name.slice(name.indexOf('{') + 1, name.indexOf('}'));
}

function expectSessionKey({ owner, id }: SessionKey): void {
  expectName(owner, 'The owner of a session');
  expectName(id, 'The id of a session');
}

function expectDigests(...digests: readonly (string | null)[]): void {
  for (const digest of digests) {
    if (digest !== null) expectText(digest, 'A digest', MAX_DIGEST_BYTES);
  }
}

/** Keeps nothing apart from an empty text, where Redis knows texts only. */
function optional(text: string | null): string {
  return text === null ? '' : `=${text}`;
}

/** Answers that change no session: a client that lost an answer gets it although replicas are away. */
function isStanding(reply: unknown): boolean {
  const head: unknown = Array.isArray(reply) ? reply[0] : undefined;
  return STANDING.some((answer) => answer === head);
}

function verdictFrom(reply: RedisReply, key: SessionKey): RotationVerdict {
  const items = reply.list();
  const [head] = items;
  const verdict = head?.word(VERDICTS) ?? 'unknown';
  switch (verdict) {
    case 'unknown':
    case 'late':
      return { verdict };
    case 'rotated': {
      const [, record] = reply.tuple(2);
      return { verdict, session: recordFrom(record, key) };
    }
    case 'repeated': {
      const [, record, sealed] = reply.tuple(3);
      return { verdict, session: recordFrom(record, key), sealed: sealed.text() };
    }
    case 'reused':
    case 'ended': {
      const [, record, misuse] = reply.tuple(3);
      return {
        verdict,
        session: recordFrom(record, key),
        misuse: misuse.word(['recent', 'older', 'unknown', 'binding']),
      };
    }
  }
}

function recordFrom(reply: RedisReply, key: SessionKey): SessionRecord {
  const [data, createdAt, lastUsedAt, absoluteExpiresAt, idleFor, generation] = reply.tuple(6);
  return {
    key: { owner: key.owner, id: key.id },
    data: data.text(),
    createdAt: createdAt.count(),
    lastUsedAt: lastUsedAt.count(),
    absoluteExpiresAt: absoluteExpiresAt.count(),
    idleFor: idleFor.count(),
    generation: generation.count(),
  };
}
