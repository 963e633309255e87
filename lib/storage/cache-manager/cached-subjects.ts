import { hash } from 'node:crypto';

import { type Cache, createCache } from 'cache-manager';
import { LRUCache } from 'lru-cache';

import { type Clock, SystemClock } from '../../kernel/clock.js';
import { withDeadline } from '../../kernel/deadline.js';
import { type Duration, durationToMs } from '../../kernel/duration.js';
import { RevocationError, StoreError } from '../../kernel/errors.js';
import { isJsonObject, parseStrictJson } from '../../kernel/strict-json.js';
import {
  ANSWER_WITHIN,
  askDirectory,
  readStanding,
  SubjectDirectory,
  type SubjectReference,
  type SubjectStanding,
} from '../../revocation/subject-directory.js';

/** How `cachedSubjects` keeps what a directory answers. */
export interface CachedSubjectsOptions {
  /**
   * How long an answer is used: within that time a user who was disabled is refused, on every instance
   * and under whatever load. After that without a successful read there is no answer, and requests get
   * 503. `'1s'` to `'1h'`; no default, because only the application knows how long it can wait.
   */
  readonly ttl: Duration;
  /**
   * So long before an answer ends, the next request for it has it read anew without waiting for that.
   * Shorter than `ttl`; `'0s'` for never.
   * @defaultValue half of `ttl`
   */
  readonly refreshAhead?: Duration;
  /**
   * Where answers are kept, as texts under digests. Whoever can write to a shared cache can say that a
   * disabled user is not; and as far as the clocks of those who share it differ, `ttl` is exceeded. One
   * that keeps a `Map`, as `createCache()` does by itself, is refused: it
   * grows without bound.
   * @defaultValue a cache in this process that holds `maxEntries`
   */
  readonly cache?: Cache;
  /**
   * How many answers the cache in this process holds; those used least give way. Not beside `cache`.
   * @defaultValue `10_000`
   */
  readonly maxEntries?: number;
  /** @defaultValue the host's clock */
  readonly clock?: Clock;
}

interface Settings {
  /** Lengths in milliseconds, here and below. */
  readonly ttl: number;
  readonly refreshAhead: number;
  readonly cache: Cache;
  readonly clock: Clock;
}

/** The reads of one subject that are under way. */
interface Reading {
  running: number;
  newest: Promise<string>;
}

const OPTIONS: readonly string[] = ['ttl', 'refreshAhead', 'cache', 'maxEntries', 'clock'];

const SECOND = 1_000;
const HOUR = 3_600_000;

/** A cache that takes longer is worse than none. */
const CACHE_WITHIN = SECOND;

/** How long a cache that took longer is left alone. */
const CACHE_REST = 5 * SECOND;

/** A subject that is not there may be on its way, such as to a replica of the database. */
const UNKNOWN_FOR = SECOND;

/** Far more than any answer; what is longer is not ours. */
const MAX_TEXT = 1_024;

/** No colon: Keyv cuts keys there. */
const PREFIX = 'nest-jwt-hardening.subject.';

/**
 * A directory that remembers what another one answered, through `wrap` of `cache-manager`: one read at
 * a time for each subject, ahead of its end while it is asked for. A read that fails extends nothing.
 * `refresh` reads past the cache and puts what it got there.
 * @throws TypeError for something that is no directory or cache, or an option that does not exist
 */
export function cachedSubjects(
  directory: SubjectDirectory,
  options: CachedSubjectsOptions,
): SubjectDirectory {
  if (typeof directory?.find !== 'function') throw wrong('takes a SubjectDirectory');
  const { refreshAhead, cache, maxEntries, clock = new SystemClock() } = options ?? {};
  const unknown = Object.keys(options ?? {}).find((name) => !OPTIONS.includes(name));
  if (unknown !== undefined) throw wrong(`has no option ${unknown}`);
  const ttl = durationToMs(options?.ttl);
  if (ttl === undefined || ttl < SECOND || ttl > HOUR) {
    throw wrong(`ttl is '1s' to '1h', such as '30s'`);
  }
  const ahead = refreshAhead === undefined ? Math.floor(ttl / 2) : durationToMs(refreshAhead);
  if (ahead === undefined || ahead >= ttl) throw wrong('refreshAhead is shorter than ttl');
  if (cache !== undefined && maxEntries !== undefined) {
    throw wrong('maxEntries is of the cache in this process, not of another one');
  }
  return new CachedSubjects(directory, {
    ttl,
    refreshAhead: ahead,
    cache: cache === undefined ? boundedCache(maxEntries ?? 10_000) : bounded(cache),
    clock,
  });
}

/**
 * The cache is doubted: an entry holds whom it is of and when the directory was asked, and only by that
 * is it used, whatever the cache makes of its lifetime. `wrap` gives an entry of a store behind another
 * one a full life again, and backends mix up answers.
 */
class CachedSubjects extends SubjectDirectory {
  readonly #directory: SubjectDirectory;
  readonly #settings: Settings;
  readonly #readings = new Map<string, Reading>();
  #cacheRestsUntil = -Infinity;

  constructor(directory: SubjectDirectory, settings: Settings) {
    super();
    this.#directory = directory;
    this.#settings = settings;
  }

  async find(reference: SubjectReference): Promise<SubjectStanding | null> {
    const key = keyOf(reference);
    const kept = await this.#wrapped(key, reference);
    const standing = this.#standingIn(kept, key);
    if (standing !== undefined) return standing;
    const read = await this.#read(key, reference);
    // It takes the place of what is too old, or not ours; but nobody waits for a cache that hangs.
    if (kept !== undefined) await this.#keep(key, read);
    return this.#expectStanding(read, key);
  }

  override async refresh(reference: SubjectReference): Promise<SubjectStanding | null> {
    const key = keyOf(reference);
    const read = await this.#readAnew(key, reference, 'refresh');
    await this.#keep(key, read);
    return this.#expectStanding(read, key);
  }

  /** What is kept, or was read because nothing was; `undefined` if the cache failed. */
  async #wrapped(key: string, reference: SubjectReference): Promise<unknown> {
    const { cache, ttl, refreshAhead, clock } = this.#settings;
    const now = clock.now();
    if (now < this.#cacheRestsUntil) return undefined;
    const wrapped = cache.wrap<unknown>(key, () => this.#read(key, reference), {
      ttl,
      refreshThreshold: refreshAhead,
    });
    try {
      // The directory has its own deadline, and this one too: its answer is waited for again below.
      return await withDeadline(wrapped, CACHE_WITHIN, cacheTooLate);
    } catch (error) {
      if (error instanceof RevocationError) throw error;
      // `wrap` has all who ask wait for a call that hangs, for ever.
      if (!this.#readings.has(key)) this.#cacheRestsUntil = now + CACHE_REST;
      return undefined;
    }
  }

  async #keep(key: string, text: string): Promise<void> {
    const { cache, ttl } = this.#settings;
    await withDeadline(cache.set(key, text, ttl), CACHE_WITHIN, cacheTooLate).catch(() => {
      // What it holds instead is doubted when it is read, and ends by its own age.
    });
  }

  /** Joins a read that is under way. */
  #read(key: string, reference: SubjectReference): Promise<string> {
    return this.#readings.get(key)?.newest ?? this.#readAnew(key, reference, 'find');
  }

  /**
   * Of reads that overlap, all answer what the newest does: one that began before a user was disabled
   * and ends after must not be kept over it.
   */
  async #readAnew(
    key: string,
    reference: SubjectReference,
    how: 'find' | 'refresh',
  ): Promise<string> {
    const asked = this.#ask(key, reference, how);
    const reading = this.#readings.get(key) ?? { running: 0, newest: asked };
    reading.running++;
    reading.newest = asked;
    this.#readings.set(key, reading);
    try {
      await asked;
      return await reading.newest;
    } finally {
      if (--reading.running === 0) this.#readings.delete(key);
    }
  }

  async #ask(key: string, reference: SubjectReference, how: 'find' | 'refresh'): Promise<string> {
    const { clock, ttl } = this.#settings;
    // Before it is asked: the answer may be as old as that.
    const at = clock.now();
    const within = Math.min(ANSWER_WITHIN, ttl);
    const standing = await askDirectory(this.#directory, reference, { how, within });
    return JSON.stringify({ key, at, standing });
  }

  /** `undefined` for what is kept of somebody else, too long, from the future, or not by us. */
  #standingIn(
    kept: unknown,
    key: string,
    unknownFor: number = UNKNOWN_FOR,
  ): SubjectStanding | null | undefined {
    const { clock, ttl } = this.#settings;
    if (typeof kept !== 'string' || kept.length > MAX_TEXT) return undefined;
    const entry = parseStrictJson(Buffer.from(kept));
    if (!isJsonObject(entry) || entry['key'] !== key) return undefined;
    const { at, standing: written } = entry;
    const standing = readStanding(written);
    const age = typeof at === 'number' ? clock.now() - at : NaN;
    const life = standing === null ? Math.min(unknownFor, ttl) : ttl;
    return age >= 0 && age < life ? standing : undefined;
  }

  #expectStanding(read: string, key: string): SubjectStanding | null {
    const standing = this.#standingIn(read, key, Infinity);
    if (standing !== undefined) return standing;
    throw new RevocationError(
      'ERR_SUBJECT_UNAVAILABLE',
      'What the subject directory answered is too old.',
    );
  }
}

/** A digest: no cache learns who uses the service. */
function keyOf({ issuer, subject }: SubjectReference): string {
  return PREFIX + hash('sha256', `standing\0${issuer}\0${subject}`, 'base64url');
}

function boundedCache(maxEntries: number): Cache {
  if (!(Number.isSafeInteger(maxEntries) && maxEntries > 0)) {
    throw wrong('maxEntries is a positive whole number');
  }
  const entries = new LRUCache<string, object>({ max: maxEntries });
  const cache = createCache();
  for (const keyv of cache.stores) {
    keyv.store = {
      opts: {},
      on: () => {},
      get: (key: string) => entries.get(key),
      set: (key: string, entry: object) => void entries.set(key, entry),
      delete: (key: string) => entries.delete(key),
      clear: () => entries.clear(),
    };
  }
  return cache;
}

function bounded(cache: Cache): Cache {
  if (!Array.isArray(cache?.stores) || typeof cache.wrap !== 'function') {
    throw wrong('cache is a cache: createCache() of cache-manager');
  }
  if (cache.stores.some(({ store }) => store instanceof Map)) {
    throw wrong('cache keeps a Map, which grows without bound: leave it out, or give it a store');
  }
  return cache;
}

function cacheTooLate(): StoreError {
  return new StoreError('ERR_STORE_UNAVAILABLE', 'The cache did not answer in time.');
}

function wrong(what: string): TypeError {
  return new TypeError(`cachedSubjects(): ${what}.`);
}
