import { Injectable, type OnModuleDestroy } from '@nestjs/common';

import type { SecurityEvents } from '../events/security-events.js';
import type { Clock } from '../kernel/clock.js';
import { MAX_SKEW } from '../kernel/coordinated-clock.js';
import { withDeadline } from '../kernel/deadline.js';
import { StoreError, TokenError } from '../kernel/errors.js';
import type { OnStale } from '../kernel/outage.js';
import { EraOpener } from './era-opener.js';
import { LagWatch } from './lag-watch.js';
import {
  exemptionOf,
  judge,
  type RevocableNames,
  RevocableToken,
  type TokenFacts,
} from './revocable-token.js';
import { digestOf, type Revocation, type RevocationKind } from './revocation-entry.js';
import {
  describeRevocation,
  type RevocationHealth,
  type RevocationStatus,
  type Revoked,
  type RevokeOptions,
  type RevokeSubjectOptions,
} from './revoked.js';
import { assertExpiry, assertName } from './revocable-names.js';
import { type LogCompanion, NO_COMPANION } from './log-companion.js';
import { RevocationFeed } from './revocation-feed.js';
import { RevocationIndex } from './revocation-index.js';
import type { RevocationLog } from './revocation-log.js';
import type { RevokedSessions } from './revoked-sessions.js';

/** The part of the configuration that revocation needs. */
export interface RevocationConfig {
  /** This service's own issuer. */
  readonly issuer: string;
  /** The longest token of each issuer that is accepted, in seconds. */
  readonly maxLifetimes: ReadonlyMap<string, number>;
  /** In seconds. */
  readonly leeway: number;
  /** In milliseconds; `Infinity` for a log in this process. */
  readonly maxLag: number;
  readonly onStale: OnStale;
}

/** What revocation needs of its surroundings. */
export interface RevocationSurroundings {
  readonly log: RevocationLog;
  readonly clock: Clock;
  readonly events: SecurityEvents;
  /** Takes a key out of this service's own ring; leaves one alone that was configured. */
  readonly withdrawKey: (kid: string) => Promise<void>;
  /** The sessions of this service's own issuer. @defaultValue none are kept */
  readonly sessions?: RevokedSessions;
  /** Keeps the other entries of the log. @defaultValue nobody does */
  readonly companion?: LogCompanion;
}

/** Keys have no expiry of their own, and sessions outlive tokens: as long as a log keeps anything. */
const LONGEST = 399 * 86_400_000;

/** Milliseconds a revocation waits to learn what was revoked before it. */
const CATCH_UP_WITHIN = 5_000;

/** Signing waits less: a token that does not know its era dies early, and that is all. */
const SIGN_WITHIN = 500;

/** Milliseconds for a log of the application's to take an entry; those of this package need less. */
const APPEND_WITHIN = 30_000;

const SWEEP_EVERY = 250;

/** 1 GB. What is revoked beyond could not be held, so it is not acknowledged. */
const MAX_ENTRIES = 50_000_000;

/**
 * Ends tokens before they expire. Every call resolves only once the store has the revocation and this
 * instance enforces it: no request whose token it names is accepted here after that. Other instances
 * follow within milliseconds; one that is cut off answers 503 once `outage.maxLag` has passed. Asking
 * again for what was revoked already is harmless.
 *
 * Rejections of all verbs: `StoreError` if the store did not say that it took it, so that it may or may
 * not hold (ask again), and `TypeError` for what is no name.
 */
@Injectable()
export class RevocationService implements OnModuleDestroy {
  readonly #config: RevocationConfig;
  readonly #surroundings: RevocationSurroundings;
  readonly #index: RevocationIndex;
  readonly #feed: RevocationFeed;
  readonly #sweeping: NodeJS.Timeout;
  readonly #lag: LagWatch;
  readonly #eras: EraOpener;

  private constructor(
    config: RevocationConfig,
    surroundings: RevocationSurroundings,
    index: RevocationIndex,
    feed: RevocationFeed,
  ) {
    this.#config = config;
    this.#surroundings = surroundings;
    this.#index = index;
    this.#feed = feed;
    const { clock, events } = surroundings;
    this.#lag = new LagWatch({ feed, config, clock, events });
    this.#eras = new EraOpener({
      index,
      feed,
      clock,
      catchUp: (kind) => this.#acknowledged(kind, this.#catchUp(CATCH_UP_WITHIN)),
      make: (revocation) => this.#make(revocation),
    });
    this.#sweeping = setInterval(() => {
      this.#index.sweep(this.#now());
      this.#lag.note();
    }, SWEEP_EVERY).unref();
  }

  /** @internal Answers once everything that is revoked is known here. */
  static async open(
    config: RevocationConfig,
    surroundings: RevocationSurroundings,
  ): Promise<RevocationService> {
    const { log, clock, events, companion = NO_COMPANION } = surroundings;
    const index = new RevocationIndex();
    const feed = await RevocationFeed.open({ log, index, clock, events, companion });
    return new RevocationService(config, surroundings, index, feed);
  }

  onModuleDestroy(): void {
    clearInterval(this.#sweeping);
    this.#feed.close();
  }

  /**
   * Ends one token.
   * @param jti its `jti`
   * @param exp its `exp`, in seconds since the epoch: the entry is kept no longer
   */
  async revokeToken(jti: string, exp: number, options: RevokeOptions = {}): Promise<Revoked> {
    const issuer = this.#issuer(options);
    assertName('jti', jti);
    assertExpiry(exp);
    const since = this.#now();
    const { leeway } = this.#config;
    // No token that is accepted lives longer, whatever its `exp` is said to be.
    const until = Math.min(Math.ceil((exp + leeway) * 1000), since + this.#horizon(issuer));
    const revocation: Revocation = {
      kind: 'token',
      digest: digestOf('token', issuer, jti),
      since,
      until,
    };
    // By the clock of another instance it may still live.
    const isOver = until + MAX_SKEW <= since;
    return isOver ? describeRevocation(revocation) : this.#make(revocation);
  }

  /** Ends a session and all its tokens. */
  async revokeSession(sid: string, options: RevokeOptions = {}): Promise<Revoked> {
    const issuer = this.#issuer(options);
    assertName('sid', sid);
    const since = this.#now();
    const until = since + this.#horizon(issuer);
    const digest = digestOf('session', issuer, sid);
    // The tokens first: what a refresh under way still gets for the session is dead already.
    const revoked = await this.#make({ kind: 'session', digest, since, until });
    if (issuer === this.#config.issuer) await this.#surroundings.sessions?.endSession(sid);
    return revoked;
  }

  /**
   * Ends all sessions and tokens of a subject that began before this call; those issued after it
   * returned live, whatever second it is.
   */
  async revokeSubject(sub: string, options: RevokeSubjectOptions = {}): Promise<Revoked> {
    return this.#openForSubject('subject', sub, options);
  }

  /**
   * As `revokeSubject`, for a subject whose credentials changed. Answers the version that tokens of the
   * subject are issued with from now on, which only grows.
   */
  async bumpTokenVersion(
    sub: string,
    options: RevokeSubjectOptions = {},
  ): Promise<Revoked & { readonly version: number }> {
    const revoked = await this.#openForSubject('version', sub, options);
    return { ...revoked, version: revoked.since.getTime() };
  }

  /**
   * Ends all tokens signed with a key. One of this service's own ring leaves it, as with
   * `KeyRingService.compromise`; one that was configured, or another issuer's, is refused for 399 days.
   * @throws KeyError as `KeyRingService.compromise`
   */
  async revokeKey(kid: string, options: RevokeOptions = {}): Promise<Revoked> {
    const issuer = this.#issuer(options);
    assertName('kid', kid);
    const since = this.#now();
    const revocation: Revocation = {
      kind: 'key',
      digest: digestOf('key', issuer, kid),
      since,
      until: since + LONGEST,
    };
    // First, because it reaches other instances sooner, and says why a token died.
    const revoked = await this.#make(revocation);
    if (issuer === this.#config.issuer) await this.#surroundings.withdrawKey(kid);
    return revoked;
  }

  /**
   * Ends everything that was issued before this call, or before an instant, by whatever issuer.
   * @param options `before`: an instant of the past; tokens carry `iat` in seconds, so of those issued
   * within that second all die. Sessions that began before it must not get tokens any more either: it
   * is kept for 399 days.
   */
  async revokeAll(options: { readonly before?: Date } = {}): Promise<Revoked> {
    if (!('before' in options)) {
      return this.#eras.open({ kind: 'everything', digest: '', exempt: undefined, lasts: LONGEST });
    }
    // An instant that somebody forgot to fill in must not end everything.
    const since = options.before?.getTime() ?? NaN;
    const now = this.#now();
    if (!(since >= 0 && since <= now)) throw new TypeError('before is an instant of the past.');
    return this.#make({ kind: 'before', digest: '', since, until: now + LONGEST });
  }

  /** Whether a token was revoked, why, and since when; as far as this instance knows. */
  status(token: TokenFacts): RevocationStatus {
    const verdict = judge(this.#index, new RevocableToken(token), this.#judgement);
    if (verdict === undefined) return { revoked: false };
    return { revoked: true, kind: verdict.kind, since: new Date(verdict.since) };
  }

  /** How the log stands. */
  health(): RevocationHealth {
    const { lag, isRecovering } = this.#feed;
    const status = this.#lag.isStale ? 'stale' : isRecovering ? 'recovering' : 'ok';
    return { status, lag, entries: this.#index.size };
  }

  /**
   * @internal Refuses a token that was revoked. Synchronous, in memory, and next to nothing while
   * nothing was revoked since it was asked last.
   * @throws TokenError `ERR_TOKEN_REVOKED`
   * @throws RevocationError `ERR_REVOCATION_STALE`
   */
  assertStands(token: RevocableToken, onStale: OnStale | undefined): void {
    this.assertCurrent(onStale);
    const { generation } = this.#index;
    if (token.clearedAt === generation) return;
    const verdict = judge(this.#index, token, this.#judgement);
    if (verdict !== undefined) {
      throw new TokenError('ERR_TOKEN_REVOKED', `it was revoked, by ${verdict.kind}`);
    }
    token.clearedAt = generation;
  }

  /**
   * @internal
   * @throws TokenError `ERR_TOKEN_REVOKED`
   */
  assertKeyStands({ key }: RevocableNames): void {
    const since = this.#index.sizeOf('key') > 0 ? this.#index.findKey(key, this.#now()) : undefined;
    if (since !== undefined) throw new TokenError('ERR_TOKEN_REVOKED', 'it was revoked, by key');
  }

  /** @internal Whether a token that is known by its digests was revoked. */
  isRevoked(token: RevocableNames): boolean {
    return judge(this.#index, token, this.#judgement) !== undefined;
  }

  /**
   * @internal
   * @throws RevocationError `ERR_REVOCATION_STALE`
   */
  assertCurrent(onStale?: OnStale): void {
    this.#lag.assertCurrent(onStale);
  }

  /** @internal Resolves once everything that was revoked before this call is known here. */
  catchUp(): Promise<void> {
    return this.#catchUp(CATCH_UP_WITHIN);
  }

  /** @internal The era that a token has to carry to outlive what was revoked before this call. */
  async eraFor(subject: string): Promise<number> {
    await this.#catchUp(SIGN_WITHIN).catch(() => {
      // The store is away. What it may hold that is not known here ends this token, too early.
    });
    const index = this.#index;
    const now = this.#now();
    const digest = digestOf('subject', this.#config.issuer, subject);
    return Math.max(
      index.everything(now) ?? 0,
      index.find('subject', digest, now) ?? 0,
      index.find('version', digest, now) ?? 0,
      index.find('others', digest, now) ?? 0,
    );
  }

  async #openForSubject(
    kind: 'subject' | 'version',
    sub: string,
    options: RevokeSubjectOptions,
  ): Promise<Revoked> {
    const issuer = this.#issuer(options);
    assertName('sub', sub);
    const digest = digestOf('subject', issuer, sub);
    const exempt = this.#exemption(digest, issuer, options);
    const lasts = this.#horizon(issuer);
    const revoked = await this.#eras.open({ kind, digest, exempt, lasts });
    if (issuer === this.#config.issuer) await this.#endSessions(sub, options);
    return revoked;
  }

  /** A refresh that read its session before is judged by the revocation, which it has to know. */
  async #endSessions(sub: string, { except }: RevokeSubjectOptions): Promise<void> {
    const spared = except !== undefined && 'sessionId' in except ? except.sessionId : null;
    await this.#surroundings.sessions?.endSubject(sub, spared);
  }

  #exemption(
    subject: string,
    issuer: string,
    { except }: RevokeSubjectOptions,
  ): string | undefined {
    if (except === undefined) return undefined;
    if ('sessionId' in except) {
      assertName('sid', except.sessionId);
      return exemptionOf('exemptSession', subject, digestOf('session', issuer, except.sessionId));
    }
    assertName('jti', except.tokenId);
    return exemptionOf('exemptToken', subject, digestOf('token', issuer, except.tokenId));
  }

  async #make(revocation: Revocation): Promise<Revoked> {
    const { kind, digest, until } = revocation;
    if (this.#index.size >= MAX_ENTRIES) {
      const full = new StoreError('ERR_STORE_FULL', 'This instance can hold no more revocations.');
      await this.#acknowledged(kind, Promise.reject(full));
    }
    const appended = withDeadline(this.#feed.append(revocation), APPEND_WITHIN, tooLate);
    await this.#acknowledged(kind, appended);
    const { clock, events } = this.#surroundings;
    const at = new Date(clock.now());
    events.emit({ type: 'revocation.made', at, kind, digest, until: new Date(until) });
    return describeRevocation(revocation);
  }

  /** Says so when the store did not take a revocation; whoever asked for it is told, too. */
  async #acknowledged(kind: RevocationKind, step: Promise<void>): Promise<void> {
    try {
      await step;
    } catch (error) {
      const { clock, events } = this.#surroundings;
      const code = error instanceof StoreError ? error.code : 'ERR_UNEXPECTED';
      events.emit({ type: 'revocation.unacknowledged', at: new Date(clock.now()), kind, code });
      if (error instanceof StoreError || error instanceof TypeError) throw error;
      const message = 'The revocation log failed.';
      throw new StoreError('ERR_STORE_UNAVAILABLE', message, { cause: error });
    }
  }

  #catchUp(within: number): Promise<void> {
    return withDeadline(this.#feed.catchUp(), within, tooLate);
  }

  #issuer({ issuer = this.#config.issuer }: RevokeOptions): string {
    if (this.#config.maxLifetimes.has(issuer)) return issuer;
    throw new TypeError('issuer is this service itself, or one of trust.');
  }

  /**
   * Milliseconds until no token of an issuer that was issued by now is accepted any more, wherever the
   * clock is as far ahead of this one as clocks may be.
   */
  #horizon(issuer: string): number {
    const { maxLifetimes, leeway } = this.#config;
    return ((maxLifetimes.get(issuer) ?? 0) + 2 * leeway) * 1000 + MAX_SKEW;
  }

  get #judgement(): { readonly now: number; readonly leeway: number } {
    return { now: this.#now(), leeway: this.#config.leeway };
  }

  #now(): number {
    return Math.floor(this.#surroundings.clock.now());
  }
}

function tooLate(): StoreError {
  return new StoreError('ERR_STORE_UNAVAILABLE', 'The revocation log did not answer in time.');
}
