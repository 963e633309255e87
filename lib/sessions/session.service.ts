import { Injectable } from '@nestjs/common';

import { prefixOf } from '../binding/client-address.js';
import type { ReplayStore } from '../binding/replay-store.js';
import type { SecurityEvents } from '../events/security-events.js';
import type { Clock } from '../kernel/clock.js';
import { SessionError, StoreError } from '../kernel/errors.js';
import type { RevocationService } from '../revocation/revocation.service.js';
import type { PreparedToken } from '../tokens/token-signer.js';
import type { SessionFacts } from '../tokens/token-standing.js';
import type { TokenService } from '../tokens/token.service.js';
import { claimsToStart, type EntitlementsOf, narrowed, renewed } from './entitlements.js';
import { learnRevocations } from './known-revocations.js';
import type { PromisedSession } from './promised-session.js';
import {
  newRefreshToken,
  presented,
  readRefreshToken,
  type RefreshToken,
  secretDigest,
  successorOf,
} from './refresh-token.js';
import { RefusedTokens } from './refused-tokens.js';
import { openSuccessor, sealSuccessor } from './sealed-successor.js';
import {
  REFRESH_MEMBERS,
  type SessionInfo,
  type SessionRefresh,
  type SessionReuse,
  type SessionStart,
  START_MEMBERS,
  type TokenPair,
} from './session.js';
import {
  factsOf,
  grantOf,
  openGrant,
  renewData,
  sealData,
  type SessionGrant,
} from './session-grant.js';
import { describeSessions } from './session-info.js';
import { bindingDigest, expectMembers, readCarrier, readDevice, shorter } from './session-input.js';
import { sessionOwner } from './session-owner.js';
import type { SessionSeals } from './session-seals.js';
import type { RotationVerdict, SessionKey, SessionRecord, SessionStore } from './session-store.js';
import { SessionSenders, type SessionSenderParts } from './session-sender.js';
import { SessionTokens } from './session-tokens.js';
import { tokenPair } from './token-pair.js';

/** The part of the configuration that sessions need. Lengths in milliseconds. */
export interface SessionsConfig {
  /** This service's own issuer. */
  readonly issuer: string;
  /** The `client_id` of sessions that name none. */
  readonly clientId: string | null;
  /** In seconds. */
  readonly accessTtl: number;
  readonly idleFor: number;
  readonly absoluteFor: number;
  readonly reuseGrace: number;
  /** How many sessions a subject can have at one time. */
  readonly perSubject: number;
  readonly seals: SessionSeals;
  readonly entitlements: EntitlementsOf | null;
  readonly onReuse: ((reuse: SessionReuse) => unknown) | null;
}

/** @internal What sessions are kept and judged with. */
export interface SessionsSurroundings {
  /** `null` for a storage that cannot carry sessions. */
  readonly store: SessionStore | null;
  readonly replays: ReplayStore | null;
  readonly tokens: Pick<TokenService, 'standingFor' | 'standingOf' | 'prepare'>;
  readonly revocations: Pick<
    RevocationService,
    'catchUp' | 'revokeSession' | 'revokeSubject' | 'status'
  >;
  readonly senders: SessionSenderParts;
  readonly clock: Clock;
  readonly events: SecurityEvents;
}

/** Milliseconds: what was revoked since a start began is remembered for far longer. */
const START_WITHIN = 60_000;

/**
 * Sessions: one login on one device each, carried on by refresh tokens of which every one is good
 * once. Two that come at the same time, or an answer that got lost, are forgiven within
 * `sessions.reuseGrace`: the same successor is answered. Any other second use means that somebody has
 * a copy, and ends the session and its access tokens at once.
 *
 * Rejections of all verbs besides their own: `StoreError`, `RevocationError` and `KeyError` while
 * something cannot be said or done. Nothing is used up by them until the very last step.
 */
@Injectable()
export class SessionService {
  readonly #config: SessionsConfig;
  readonly #surroundings: SessionsSurroundings;
  readonly #refused: RefusedTokens;
  readonly #senders: SessionSenders;
  readonly #tokens: SessionTokens;

  /** @internal */
  constructor(config: SessionsConfig, surroundings: SessionsSurroundings) {
    this.#config = config;
    this.#surroundings = surroundings;
    this.#refused = new RefusedTokens(config, surroundings);
    const { senders, tokens, clock } = surroundings;
    this.#senders = new SessionSenders(senders);
    this.#tokens = new SessionTokens(config.accessTtl, this.#senders, tokens, clock);
  }

  /**
   * Starts a session for somebody who was authenticated just now. Never goes on with an old one, so
   * that who fixed a session before the login gains nothing.
   * @param subject the `sub` of its tokens
   * @throws ClaimError as `TokenService.sign`
   * @throws SessionError `ERR_SESSION_REVOKED`, `ERR_SESSION_SUBJECT` if the subject was revoked while
   * the session began, or is none of the `SubjectDirectory`
   * @throws TypeError for lengths, bindings and labels that are none
   */
  start(subject: string, start: SessionStart = {}): Promise<TokenPair> {
    return this.begin(subject, start, {});
  }

  /** @internal As `start`, where part of it was decided before. */
  async begin(
    subject: string,
    start: SessionStart,
    promised: Partial<PromisedSession>,
  ): Promise<TokenPair> {
    expectMembers(start, START_MEMBERS);
    const store = this.#store();
    const { tokens, clock, events } = this.#surroundings;
    const { issuer } = this.#config;
    const beganAt = clock.now();
    const { binding } = start;
    const carrier = readCarrier(start.carrier);
    const clientId = this.#clientId(start.clientId);
    const idleFor = shorter('idleFor', start.idleFor, this.#config.idleFor);
    const absoluteFor = shorter('absoluteFor', start.absoluteFor, this.#config.absoluteFor);
    const { token = newRefreshToken(issuer, subject), startedAt = clock.now() } = promised;
    const claims = claimsToStart(subject, start, { sessionId: token.key.id, clientId, startedAt });
    const label = {
      device: readDevice(start.device),
      addressPrefix: prefixOf(start.address ?? ''),
      binding: binding?.kind,
      carrier,
    };
    const sender = this.#senders.begin(start);
    // All of it: a session of an era that has ended would be refused below.
    await learnRevocations(this.#surroundings.revocations);
    const standing = promised.standing ?? (await tokens.standingFor(subject));
    const endsAt = startedAt + Math.min(absoluteFor, idleFor);
    const making = { standing, token, carrier, binding, sender, endsAt };
    const prepared = await this.#prepare(claims, making);
    const grant = grantOf(prepared.signed.claims, { standing, carrier, ...sender });
    const data = sealData(this.#config.seals, token, { label, grant });
    const { lineage, secret } = presented(token, clientId, null);
    const proof = bindingDigest(binding);
    const kept = { key: token.key, lineage, secret, binding: proof, data };
    const limits = { idleFor, absoluteFor, atMost: this.#config.perSubject };
    await promised.claim?.();
    const ended = await store.create({ ...kept, ...limits });
    if (ended === null) {
      throw new StoreError('ERR_STORE_UNAVAILABLE', 'The session could not be stored.');
    }
    const sessionId = token.key.id;
    await this.#unlessFailed(token.key, async () => {
      await this.#revokeEnded(ended);
      await this.#confirm({ subject, sessionId, startedAt, standing }, beganAt);
    });
    events.emit({ type: 'session.started', at: this.#now(), sessionId, carrier });
    prepared.announce();
    return this.#pair(token, grant, prepared, Math.min(idleFor, absoluteFor));
  }

  /**
   * Goes on with a session: a new access token and the next refresh token for the one presented.
   * @throws SessionError for whatever is wrong with the token or its session; the session is over
   * unless it is `ERR_SESSION_MALFORMED`, `ERR_SESSION_UNKNOWN` or `ERR_SESSION_SCOPE`
   */
  async refresh(refreshToken: string, refresh: SessionRefresh = {}): Promise<TokenPair> {
    expectMembers(refresh, REFRESH_MEMBERS);
    const store = this.#store();
    const token = readRefreshToken(refreshToken);
    if (token === undefined) {
      throw this.#refused.rejected(
        new SessionError('ERR_SESSION_MALFORMED', 'it is no refresh token'),
      );
    }
    const shown = presented(
      token,
      this.#clientId(refresh.clientId),
      bindingDigest(refresh.binding),
    );
    const found = await store.find(shown);
    if (found === null || found.shown === 'other') {
      return this.#refused.refuseAtOnce(store, token, { presented: shown, found });
    }
    const { session, at: askedAt } = found;
    const grant = await this.#checked(() => openGrant(this.#config.seals, token, session));
    if ((refresh.carrier ?? grant.carrier) !== grant.carrier) {
      const detail = 'it travels in the other way';
      throw this.#refused.rejected(new SessionError('ERR_SESSION_UNKNOWN', detail));
    }
    const next = successorOf(token);
    // Nothing is used up by another sender, nor is the session over: looks deceive.
    const sender = await this.#checked(() => this.#senders.goOn(token, grant, refresh));
    const renewal = await this.#renewal({ ...grant, ...sender }, session, refresh);
    const prepared = await renewal(next);
    const device = readDevice(refresh.device);
    const prefix = prefixOf(refresh.address ?? '');
    const verdict = await store.rotate({
      presented: shown,
      next: {
        secret: secretDigest(next),
        sealed: sealSuccessor(token, next),
        data: renewData(this.#config.seals, token, session, {
          grant: { ...grant, ...sender },
          ...(device === undefined ? {} : { device }),
          ...(prefix === undefined ? {} : { addressPrefix: prefix }),
        }),
      },
      graceFor: this.#config.reuseGrace,
      askedAt,
    });
    switch (verdict.verdict) {
      case 'rotated':
        return this.#succeed(next, grant, prepared, verdict);
      case 'repeated': {
        const same = openSuccessor(token, verdict.sealed);
        // The cookie goes with the one successor, and so does what the access token says of it.
        const again = sender.sender === undefined ? prepared : await renewal(same);
        return this.#succeed(same, grant, again, verdict);
      }
      default:
        return this.#refused.refuse(token, verdict, grant);
    }
  }

  /** Ends a session and its access tokens, wherever they are. Harmless when repeated. */
  async end(sessionId: string): Promise<void> {
    await this.#surroundings.revocations.revokeSession(sessionId);
  }

  /**
   * Ends all sessions and access tokens of a subject.
   * @param options `except`: the `sid` of the session that goes on, with its tokens
   */
  async endAll(subject: string, options: { readonly except?: string } = {}): Promise<void> {
    const { except } = options;
    const { revocations } = this.#surroundings;
    // A session that was to be spared and is not named would end all of them.
    if ('except' in options && typeof except !== 'string') {
      throw new TypeError('except is the sid of a session.');
    }
    await revocations.revokeSubject(
      subject,
      except === undefined ? {} : { except: { sessionId: except } },
    );
  }

  /** The sessions of a subject that can go on, the one used last first. */
  async list(subject: string): Promise<readonly SessionInfo[]> {
    const owner = sessionOwner({ issuer: this.#config.issuer, subject });
    return describeSessions(await this.#store().list(owner), this.#surroundings);
  }

  /**
   * @internal Ends the session of a refresh token (RFC 7009 §2.1); `false` if that is no token of a
   * session of this client.
   */
  async revoke(refreshToken: string, clientId: string | undefined): Promise<boolean> {
    const token = readRefreshToken(refreshToken);
    if (token === undefined) return false;
    if ((await this.#store().find(presented(token, clientId, null))) === null) return false;
    await this.end(token.key.id);
    return true;
  }

  /** New access tokens, made before anything is used up: what can fail has failed by then. */
  async #renewal(
    grant: SessionGrant,
    session: SessionRecord,
    { scope, binding }: SessionRefresh,
  ): Promise<(token: RefreshToken) => Promise<PreparedToken>> {
    const { tokens, clock } = this.#surroundings;
    const facts = factsOf(grant, session);
    const standing = await this.#refused.judged(facts.sessionId, () => tokens.standingOf(facts));
    const claims = await this.#refused.judged(facts.sessionId, () =>
      renewed(grant.claims, this.#config.entitlements, this.#now()),
    );
    const asked = await this.#checked(() => narrowed(claims, scope));
    const { carrier } = grant;
    return (token) =>
      this.#prepare(asked, {
        claimsFrom: this.#config.entitlements === null ? 'grant' : 'caller',
        standing,
        token,
        carrier,
        binding,
        sender: grant,
        endsAt: Math.min(session.absoluteExpiresAt, clock.now() + session.idleFor),
      });
  }

  /** Says so when a step refuses. */
  async #checked<T>(step: () => T | Promise<T>): Promise<T> {
    try {
      return await step();
    } catch (error) {
      throw error instanceof SessionError ? this.#refused.rejected(error) : error;
    }
  }

  /** The oldest sessions of a subject make room for a new one, and so do their access tokens. */
  async #revokeEnded(ended: readonly string[]): Promise<void> {
    const at = this.#now();
    for (const sessionId of ended) {
      this.#surroundings.events.emit({ type: 'session.ended', at, sessionId });
    }
    for (const sessionId of ended) await this.end(sessionId);
  }

  /**
   * What was revoked while it was stored did not find it there. It has to be known here now: by the
   * first refresh it can be forgotten.
   */
  async #confirm(facts: SessionFacts, beganAt: number): Promise<void> {
    const { clock, revocations, tokens } = this.#surroundings;
    if (clock.now() - beganAt > START_WITHIN) {
      throw new StoreError('ERR_STORE_UNAVAILABLE', 'It took too long to start the session.');
    }
    await learnRevocations(revocations);
    await this.#refused.judged(facts.sessionId, () => tokens.standingOf(facts));
  }

  /** A session whose start fails is gone: nobody gets its tokens. */
  async #unlessFailed(key: SessionKey, finish: () => Promise<void>): Promise<void> {
    try {
      await finish();
    } catch (error) {
      const { store } = this.#surroundings;
      // If it cannot be ended either, it ends by not being used.
      await store?.end(key).catch(() => {});
      throw error;
    }
  }

  #succeed(
    token: RefreshToken,
    grant: SessionGrant,
    prepared: PreparedToken,
    { verdict, session }: Extract<RotationVerdict, { readonly verdict: 'rotated' | 'repeated' }>,
  ): TokenPair {
    const { key, idleFor, absoluteExpiresAt, lastUsedAt } = session;
    const at = this.#now();
    this.#surroundings.events.emit({
      type: 'session.refreshed',
      at,
      sessionId: key.id,
      outcome: verdict,
    });
    prepared.announce();
    // From now: who repeats a refresh does so some seconds after it.
    const lasts = Math.min(lastUsedAt + idleFor, absoluteExpiresAt) - at.getTime();
    return this.#pair(token, grant, prepared, lasts);
  }

  #prepare(...making: Parameters<SessionTokens['prepare']>): Promise<PreparedToken> {
    return this.#checked(() => this.#tokens.prepare(...making));
  }

  #pair(
    token: RefreshToken,
    { carrier, sender }: SessionGrant,
    prepared: PreparedToken,
    lasts: number,
  ): TokenPair {
    const senderCookie = sender === 'cookie' ? this.#senders.cookieOf(token) : undefined;
    return tokenPair(token, prepared, { carrier, senderCookie, lasts });
  }

  #clientId(given: string | undefined): string | undefined {
    return given ?? this.#config.clientId ?? undefined;
  }

  #store(): SessionStore {
    const { store } = this.#surroundings;
    if (store === null) throw new TypeError('The configured storage carries no sessions.');
    return store;
  }

  #now(): Date {
    return new Date(this.#surroundings.clock.now());
  }
}
