import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';

import type {
  FoundSession,
  NextToken,
  PresentedToken,
  RotationVerdict,
  SessionKey,
  SessionStore,
} from '../sessions/session-store.js';
import type { Trial } from './trial.js';

const HOUR = 3_600_000;

/** One session of the contracts with all its tokens: the n-th token is `token(n)`. */
export class SessionUnderTest {
  readonly key: SessionKey;
  readonly lineage: string;

  constructor(
    owner: string,
    id: string,
    readonly binding: string | null = null,
  ) {
    this.key = { owner, id };
    this.lineage = digest(`lineage ${owner} ${id}`);
  }

  create(
    store: SessionStore,
    limits: {
      readonly idleFor?: number;
      readonly absoluteFor?: number;
      readonly atMost?: number;
    } = {},
  ): Promise<readonly string[] | null> {
    const { key, lineage, binding } = this;
    const { idleFor = HOUR, absoluteFor = 24 * HOUR, atMost = 1_000 } = limits;
    const { secret } = this.token(0);
    const lengths = { idleFor, absoluteFor };
    return store.create({ key, lineage, secret, binding, data: 'data', ...lengths, atMost });
  }

  token(generation: number): PresentedToken {
    const { key, lineage, binding } = this;
    return { key, lineage, secret: this.#secret(`${generation}`), binding };
  }

  /** What is to follow a token; `contender` tells apart those that are offered at once. */
  next(generation: number, contender?: number): NextToken {
    const name = contender === undefined ? `${generation}` : `${generation} of ${contender}`;
    return { secret: this.#secret(name), sealed: `sealed ${name}`, data: null };
  }

  /** Presents the n-th token and offers the next one. */
  rotate(
    store: SessionStore,
    generation: number,
    graceFor = HOUR,
    askedAt: number | null = null,
  ): Promise<RotationVerdict> {
    const next = this.next(generation + 1);
    return store.rotate({ presented: this.token(generation), next, graceFor, askedAt });
  }

  /** Finds the session by its n-th token; fails if it is gone. */
  async find(store: SessionStore, generation: number): Promise<FoundSession> {
    const found = await store.find(this.token(generation));
    assert.ok(found !== null, 'the session is gone');
    return found;
  }

  #secret(name: string): string {
    return digest(`secret ${name} ${this.lineage}`);
  }
}

/** Sessions of one owner, in this order. */
export async function createAll(
  trial: Trial<SessionStore>,
  ids: readonly string[],
): Promise<readonly SessionUnderTest[]> {
  const sessions = ids.map((id) => new SessionUnderTest('owner', id));
  for (const session of sessions) assert.deepEqual(await session.create(trial.one), []);
  return sessions;
}

/** The live sessions of an owner, the oldest first. */
export async function idsOf(store: SessionStore, owner: string): Promise<readonly string[]> {
  return (await store.list(owner)).map(({ key }) => key.id);
}

/** Digests as stores get them: 256 bits in base64url. */
export function digest(text: string): string {
  return createHash('sha256').update(text).digest('base64url');
}
