import { KeyError, RevocationError } from '../kernel/errors.js';
import { randomUpTo } from '../kernel/ids.js';
import {
  type DocumentKind,
  type DocumentSource,
  fetchDocument,
  FetchError,
  type FetchFailure,
} from '../keys/remote/document-fetch.js';
import type { RemoteJwks } from '../keys/remote/remote-jwks.js';
import { type ElapsedTime, retryDelay } from '../keys/remote/remote-freshness.js';
import { statusAt } from './status-bits.js';
import {
  type StatusList,
  StatusListError,
  type StatusListFault,
  type StatusListVerifier,
} from './status-list-token.js';

/** How long a list may be gone by. Lengths in milliseconds. */
export interface StatusListFreshness {
  /** The longest `ttl` that counts; also that of a list without one. */
  readonly maxTtl: number;
  /** How long a list is used beyond its `ttl` while the next cannot be had, if its `exp` allows it. */
  readonly staleFor: number;
  /** How long after its `iat` a list is used at most, whatever it says of itself. */
  readonly maxAge: number;
  /** How far clocks may differ, in seconds. */
  readonly leeway: number;
}

/** Why a list could not be had. */
export type StatusListFailure = FetchFailure | StatusListFault | 'keys-unavailable' | 'unexpected';

/** What one list needs of its surroundings. */
export interface ListSurroundings {
  readonly uri: string;
  readonly source: DocumentSource;
  readonly kind: DocumentKind;
  readonly verifier: StatusListVerifier;
  readonly keys: Pick<RemoteJwks, 'stands'>;
  readonly freshness: StatusListFreshness;
  readonly time: ElapsedTime;
  readonly signal: AbortSignal;
  /** Hears of the first failure of a series, and of its end. Must not throw. */
  readonly report: (change: { readonly failure: StatusListFailure | null }) => void;
  /** Called whenever `size` may have changed. */
  readonly onChange: () => void;
}

/** A list and how long it may be gone by. Instants of `ElapsedTime`. */
interface Held {
  readonly list: StatusList;
  readonly fetchedAt: number;
  /** From here on the next one is fetched beside the requests. */
  readonly refreshAt: number;
  /** From here on requests wait for it. */
  readonly freshUntil: number;
  /** From here on it is not used, whatever happens. */
  readonly usableUntil: number;
}

/** A shorter `ttl` counts as this: an issuer must not make us flood it (Token Status List §11.5). */
const MIN_TTL = 5_000;

/** The longest pause between attempts that fail, and the shortest between looks for a longer list. */
const COOLDOWN = 30_000;

/** The part of its time after which the next list is fetched ahead. */
const AHEAD = 0.8;

/**
 * One status list of another issuer: fetched once however many ask, kept as long as it says and we
 * allow, and no longer used than that. What cannot be known is "unavailable" and never "valid".
 */
export class RemoteStatusList {
  readonly #surroundings: ListSurroundings;
  #held: Held | undefined;
  /** `iat` of the newest list ever taken, whatever became of it. */
  #newest = -Infinity;
  #failures = 0;
  #retryAt = -Infinity;
  #refreshing: Promise<void> | undefined;

  constructor(surroundings: ListSurroundings) {
    this.#surroundings = surroundings;
  }

  /** Bytes it holds. */
  get size(): number {
    return this.#held?.list.bytes.length ?? 0;
  }

  /**
   * The status at an index: at once where the list is known, a promise where it must be fetched;
   * `undefined` beyond its end.
   * @throws RevocationError when there is none that may be used; as a rejection where a promise was
   * answered
   */
  at(index: number): number | undefined | Promise<number | undefined> {
    const now = this.#surroundings.time.now();
    const held = this.#usable(now);
    if (held !== undefined && now < held.freshUntil) {
      const status = statusIn(held, index);
      // A list may be made longer for new tokens: what is beyond its end is looked up again, at times.
      if (status !== undefined || now < held.fetchedAt + COOLDOWN) {
        if (now >= held.refreshAt && now >= this.#retryAt) void this.#refresh();
        return status;
      }
    }
    if (this.#refreshing === undefined && now < this.#retryAt) return this.#read(index, now);
    return this.#refresh().then(() => this.#read(index, this.#surroundings.time.now()));
  }

  /** While its time is not over, and the key that signed it still stands. */
  #usable(now: number): Held | undefined {
    const held = this.#held;
    if (held === undefined || now >= held.usableUntil) return undefined;
    return this.#surroundings.keys.stands(held.list.key) ? held : undefined;
  }

  #read(index: number, now: number): number | undefined {
    const held = this.#usable(now);
    const status = held && statusIn(held, index);
    // What is beyond the end of a list is on no list only if that was fetched just now.
    if (held === undefined || (status === undefined && now >= held.fetchedAt + COOLDOWN)) {
      const message = 'The status list of the issuer is not available.';
      throw new RevocationError('ERR_STATUS_LIST_UNAVAILABLE', message);
    }
    return status;
  }

  /** Never rejects: what went wrong is kept and reported. */
  #refresh(): Promise<void> {
    this.#refreshing ??= this.#fetch().finally(() => (this.#refreshing = undefined));
    return this.#refreshing;
  }

  async #fetch(): Promise<void> {
    const { uri, source, kind, verifier, time, signal, report } = this.#surroundings;
    const startedAt = time.now();
    try {
      const { body } = await fetchDocument(source, kind, signal);
      const list = await verifier.verify(body, uri, this.#wallNow() / 1000);
      if (!signal.aborted) this.#adopt(list, startedAt);
      if (this.#failures > 0) report({ failure: null });
      this.#failures = 0;
      this.#retryAt = -Infinity;
    } catch (error) {
      if (signal.aborted) return;
      if (this.#failures === 0) report({ failure: failureOf(error) });
      this.#failures++;
      this.#retryAt = time.now() + retryDelay(this.#failures, COOLDOWN, randomUpTo(1_000) / 1_000);
    }
  }

  /** @throws StatusListError if it may not be used, which must not be tried again at once */
  #adopt(list: StatusList, fetchedAt: number): void {
    const { freshness, keys, time, onChange } = this.#surroundings;
    const { maxTtl, staleFor, maxAge, leeway } = freshness;
    // A cache on the way, or whoever sits there, may still have an older one, in which a token is not
    // yet revoked: also when the time of the newer one is over, and nothing can be said any more.
    if (list.issuedAt < this.#newest) throw new StatusListError('older-than-before');
    const ttl = Math.min(Math.max((list.ttl ?? Infinity) * 1000, MIN_TTL), maxTtl);
    const ends = Math.min(
      this.#elapsedAt((list.expiresAt ?? Infinity) + leeway),
      this.#elapsedAt(list.issuedAt) + maxAge,
    );
    if (time.now() >= ends) throw new StatusListError('expired');
    if (!keys.stands(list.key)) throw new StatusListError('unknown-key');
    this.#newest = list.issuedAt;
    const freshUntil = Math.min(fetchedAt + ttl, ends);
    this.#held = {
      list,
      fetchedAt,
      refreshAt: fetchedAt + ttl * AHEAD,
      freshUntil,
      usableUntil: Math.min(freshUntil + staleFor, ends),
    };
    onChange();
  }

  /** When the host's clock will show an instant in seconds. */
  #elapsedAt(wall: number): number {
    return this.#surroundings.time.now() + wall * 1000 - this.#wallNow();
  }

  #wallNow(): number {
    const { time } = this.#surroundings;
    return time.wallTime(time.now()).getTime();
  }
}

function statusIn({ list }: Held, index: number): number | undefined {
  return statusAt(list.bytes, list.width, index);
}

function failureOf(error: unknown): StatusListFailure {
  if (error instanceof FetchError) return error.failure;
  if (error instanceof StatusListError) return error.fault;
  return error instanceof KeyError ? 'keys-unavailable' : 'unexpected';
}
