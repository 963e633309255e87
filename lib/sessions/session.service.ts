import { Injectable } from '@nestjs/common';

import { prefixOf } from '../binding/client-address.js';
import { SessionError } from '../kernel/errors.js';
import type { PreparedToken } from '../tokens/token-signer.js';
import { narrowed, renewed } from './entitlements.js';
import type { PromisedSession } from './promised-session.js';
import {
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
  type SessionStart,
  type TokenPair,
} from './session.js';
import { factsOf, openGrant, renewData, type SessionGrant } from './session-grant.js';
import { describeSessions } from './session-info.js';
import { bindingDigest, expectMembers, readDevice } from './session-input.js';
import { sessionOwner } from './session-owner.js';
import type { RotationVerdict, SessionRecord, SessionStore } from './session-store.js';
import { SessionSenders } from './session-sender.js';
import { SessionTokens } from './session-tokens.js';
import { SessionStarts, useProof } from './session-starts.js';
import type { SessionsConfig, SessionsSurroundings } from './sessions-config.js';

/** What a refresh proves of what its session asks for. */
interface ProvenRefresh {
  readonly binding: SessionRefresh['binding'];
}

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
    const { senders: _, replays: __, ...parts } = this.#surroundings;
    const starts = new SessionStarts(this.#config, {
      ...parts,
      store: this.#store(),
      senders: this.#senders,
      sessionTokens: this.#tokens,
      refused: this.#refused,
    });
    return starts.begin(subject, start, promised);
  }

  /**
   * Goes on with a session: a new access token and the next refresh token for the one presented.
   * @throws SessionError for whatever is wrong with the token or its session; the session is over
   * unless it is `ERR_SESSION_MALFORMED`, `ERR_SESSION_UNKNOWN`, `ERR_SESSION_SCOPE` or
   * `ERR_SESSION_SENDER`
   * @throws ProofError if the proof in `binding` was used before, or its key made too many
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
    const clientId = this.#clientId(refresh.clientId);
    const given = presented(token, clientId, bindingDigest(refresh.binding));
    const found = await store.find(given);
    if (found === null || found.shown === 'other') {
      return this.#refused.refuseAtOnce(store, token, { presented: given, found });
    }
    const { session, at: askedAt } = found;
    const grant = await this.#refused.checked(() => openGrant(this.#config.seals, token, session));
    if ((refresh.carrier ?? grant.carrier) !== grant.carrier) {
      const detail = 'it travels in the other way';
      throw this.#refused.rejected(new SessionError('ERR_SESSION_UNKNOWN', detail));
    }
    const next = successorOf(token);
    // Nothing is used up by another sender, nor is the session over: looks deceive.
    const [binding, sender] = await this.#refused.checked(async () => {
      // Of a former token only the answer tells which cookies go with it.
      if (found.shown === 'current') this.#senders.expectCookie(grant, refresh.senderCookie, token);
      const proven = this.#senders.provenBy(grant, refresh.binding);
      return [proven, await this.#senders.goOn(token, grant, refresh)] as const;
    });
    const { claims, standing, carrier } = grant;
    const goesOn = { claims, standing, carrier, ...sender };
    const renewal = await this.#renewal(goesOn, session, { ...refresh, binding });
    const prepared = await renewal(next);
    const device = readDevice(refresh.device);
    const prefix = prefixOf(refresh.address ?? '');
    await useProof(binding);
    const verdict = await store.rotate({
      presented: presented(token, clientId, bindingDigest(binding)),
      next: {
        secret: secretDigest(next),
        sealed: sealSuccessor(token, next),
        data: renewData(this.#config.seals, token, session, {
          grant: goesOn,
          ...(device === undefined ? {} : { device }),
          ...(prefix === undefined ? {} : { addressPrefix: prefix }),
        }),
      },
      graceFor: this.#config.reuseGrace,
      askedAt,
    });
    const isGood = verdict.verdict === 'rotated' || verdict.verdict === 'repeated';
    if (isGood && (grant.proof ?? null) !== bindingDigest(binding)) {
      // Somebody took the binding away where the store keeps it.
      await this.end(token.key.id);
      const detail = 'the store let another sender pass';
      throw this.#refused.rejected(new SessionError('ERR_SESSION_SENDER', detail), token.key.id);
    }
    switch (verdict.verdict) {
      case 'rotated':
        // Also where the store fell back, and a former token is the current one again.
        await this.#refused.checked(() =>
          this.#senders.expectCookie(grant, refresh.senderCookie, token),
        );
        return this.#succeed(next, goesOn, prepared, verdict);
      case 'repeated': {
        const same = openSuccessor(token, verdict.sealed);
        await this.#refused.checked(() =>
          this.#senders.expectCookie(grant, refresh.senderCookie, token, same),
        );
        // The cookie goes with the one successor, and so does what the access token says of it.
        const again = sender.binding === 'cookie' ? await renewal(same) : prepared;
        return this.#succeed(same, goesOn, again, verdict);
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
    { scope, binding }: Pick<SessionRefresh, 'scope'> & ProvenRefresh,
  ): Promise<(token: RefreshToken) => Promise<PreparedToken>> {
    const { tokens, clock } = this.#surroundings;
    const facts = factsOf(grant, session);
    const standing = await this.#refused.judged(facts.sessionId, () => tokens.standingOf(facts));
    const claims = await this.#refused.judged(facts.sessionId, () =>
      renewed(grant.claims, this.#config.entitlements, this.#now()),
    );
    const asked = await this.#refused.checked(() => narrowed(claims, scope));
    const { carrier } = grant;
    return (token) =>
      this.#refused.checked(() =>
        this.#tokens.prepare(asked, {
          claimsFrom: this.#config.entitlements === null ? 'grant' : 'caller',
          standing,
          token,
          carrier,
          binding,
          sender: grant,
          endsAt: Math.min(session.absoluteExpiresAt, clock.now() + session.idleFor),
        }),
      );
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
    return this.#tokens.pair(token, grant, prepared, lasts);
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
