import { hash } from 'node:crypto';

import { Injectable } from '@nestjs/common';

import type { ReplayStore } from '../binding/replay-store.js';
import type { SecurityEvents } from '../events/security-events.js';
import { ActionConfirmations } from '../guard/action-confirmations.js';
import type { HttpRequest } from '../guard/credentials.js';
import { isAction } from '../guard/step-up-demand.js';
import type { Clock } from '../kernel/clock.js';
import { AccessError, StepUpRequired, TokenError } from '../kernel/errors.js';
import type { RevocationService } from '../revocation/revocation.service.js';
import { learnRevocations } from '../sessions/known-revocations.js';
import type { TokenPair } from '../sessions/session.js';
import type { SessionService } from '../sessions/session.service.js';
import type { TokenService } from '../tokens/token.service.js';
import { VerifiedToken } from '../tokens/verified-token.js';
import { readConfirmationText } from './confirmation-text.js';
import { type AttemptCounter, FactorChecks, type FactorVerdict } from './factor-checks.js';
import type { FactorAsk, SecondFactor } from './second-factor.js';
import { type StepUpStart, successionOf } from './succession.js';

/** The part of the configuration that step-up needs. Lengths in seconds. */
export interface StepUpConfig {
  readonly issuer: string;
  readonly leeway: number;
  /** How long a confirmation can be used. */
  readonly confirmationFor: number;
  readonly secondFactor: SecondFactor | null;
}

/** @internal What step-up is done with. */
export interface StepUpSurroundings {
  /** `null` for a storage that cannot carry it. */
  readonly replays: ReplayStore | null;
  readonly attempts: AttemptCounter | null;
  readonly tokens: Pick<TokenService, 'sign' | 'verify' | 'assertStands'>;
  readonly sessions: Pick<SessionService, 'begin' | 'end'>;
  readonly revocations: Pick<RevocationService, 'catchUp' | 'revokeToken'>;
  readonly clock: Clock;
  readonly events: SecurityEvents;
}

/** Who confirms what: by the token they came with, or by the ids in it. */
export type ConfirmationAsk = { readonly action: string } & (
  { readonly token: VerifiedToken } | { readonly sub: string; readonly sid: string }
);

export interface IssuedConfirmation {
  readonly confirmationToken: string;
  /** Seconds until it expires. */
  readonly expiresIn: number;
}

/** What a confirmation says of the token it goes with. */
interface Confirmed {
  readonly sub: string;
  readonly sid?: string;
  /** Of a token without a session: it is confirmed for that token alone. */
  readonly access_jti?: string;
}

/**
 * Step-up (RFC 9470): whoever authenticated anew gets a new session for the old one, and an action
 * that was confirmed can be done once. How users authenticate is the application's: it calls these
 * verbs when they have.
 *
 * Rejections of all verbs besides their own: `StoreError`, `RevocationError` and `KeyError` while
 * something cannot be said or done.
 */
@Injectable()
export class StepUpService extends ActionConfirmations {
  readonly #config: StepUpConfig;
  readonly #surroundings: StepUpSurroundings;
  readonly #factors: FactorChecks | null;

  /** @internal */
  constructor(config: StepUpConfig, surroundings: StepUpSurroundings) {
    super();
    this.#config = config;
    this.#surroundings = surroundings;
    const { issuer, secondFactor: factor } = config;
    const { replays, attempts, clock } = surroundings;
    this.#factors =
      factor === null || replays === null || attempts === null
        ? null
        : new FactorChecks({ issuer, factor, attempts, replays, clock });
  }

  /**
   * A new session in the place of the one of a token, for a user who has authenticated anew just now.
   * It is bound to the sender of the token; rights and claims are those of the token unless others are
   * given. The old session and its tokens are over when this resolves; when it rejects there is no new
   * one.
   * @param token of this issuer, as the guard accepted it for this request
   * @param start `acr` and `amr` of this authentication, and what the sender looks like
   * @throws TokenError if the token was revoked or has expired by the end of it
   * @throws AccessError `ERR_ACCESS_DENIED` if it is another issuer's
   * @throws TypeError if the new session would be bound to another sender, or less than the token
   * @throws ClaimError, SessionError as `SessionService.start`
   */
  async confirm(token: VerifiedToken, start: StepUpStart = {}): Promise<TokenPair> {
    const { tokens, sessions, revocations, clock, events } = this.#surroundings;
    this.#expectOwn(token);
    const succession = successionOf(token, start);
    tokens.assertStands(token);
    const { sessionId: replaces } = token;
    const promised = replaces === undefined ? {} : { replaces };
    const pair = await sessions.begin(token.subject, succession, promised);
    try {
      // Whoever ended the old session meanwhile, on whatever instance, did not want it to go on.
      await learnRevocations(revocations);
      tokens.assertStands(token);
      await this.#end(token);
    } catch (error) {
      // If it cannot be ended, it ends by not being used: nobody gets its tokens.
      await sessions.end(pair.sessionId).catch(() => {});
      throw error;
    }
    const { sessionId } = pair;
    const at = new Date(clock.now());
    events.emit({ type: 'stepUp.passed', at, sessionId, replaced: token.sessionId ?? null });
    return pair;
  }

  /**
   * A confirmation of one action, to be used once within `stepUp.confirmationFor`, with a token of the
   * same session. Call it when the user has shown that they want just this.
   * @throws TokenError if the token was revoked or has expired meanwhile
   * @throws AccessError `ERR_ACCESS_DENIED` if it is another issuer's
   * @throws TypeError for an action that `@RequireStepUp` would not take
   */
  async issueConfirmation(ask: ConfirmationAsk): Promise<IssuedConfirmation> {
    const { tokens, clock, events } = this.#surroundings;
    expectAction(ask.action);
    const { action } = ask;
    const token = 'token' in ask ? this.#expectOwn(ask.token) : undefined;
    const confirmed = 'token' in ask ? confirmedBy(ask.token) : { sub: ask.sub, sid: ask.sid };
    const { confirmationFor } = this.#config;
    const signed = await tokens.sign(
      { ...confirmed, action },
      { kind: 'confirmation', ttl: `${confirmationFor}s` },
    );
    if (token !== undefined) tokens.assertStands(token);
    const { jti, sid } = signed.claims;
    const at = new Date(clock.now());
    const session = sid === undefined ? {} : { sessionId: sid };
    events.emit({ type: 'confirmation.issued', at, ...session, jti, action });
    return { confirmationToken: signed.token, expiresIn: signed.expiresIn };
  }

  /**
   * Uses up a confirmation, for routes that do not say `@RequireStepUp({ action })`. Resolves for one
   * of any number of calls with it.
   * @param confirmed `token`: as the guard accepted it
   * @throws StepUpRequired if it does not confirm this action of this token, or was used before
   * @throws AccessError `ERR_ACCESS_DENIED` if the token is another issuer's
   * @throws TokenError if the token was revoked or has expired meanwhile
   */
  async consumeConfirmation(
    confirmation: string,
    confirmed: { readonly token: VerifiedToken; readonly action: string },
  ): Promise<void> {
    const { token, action } = confirmed;
    const { tokens, clock, events } = this.#surroundings;
    expectAction(action);
    this.#expectOwn(token);
    const shown = await this.#asConfirmation(action, () =>
      tokens.verify(confirmation, { kind: 'confirmation' }),
    );
    const fault = faultOf(shown, token, action);
    if (fault !== undefined) throw this.#rejected(action, fault);
    // Nothing is used up by who is refused all the same.
    tokens.assertStands(token);
    if (!(await this.#claim(shown))) throw this.#rejected(action, 'it was used before');
    tokens.assertStands(token);
    await this.#asConfirmation(action, () => tokens.assertStands(shown));
    const { tokenId: jti, sessionId } = shown;
    const at = new Date(clock.now());
    const session = sessionId === undefined ? {} : { sessionId };
    events.emit({ type: 'confirmation.used', at, ...session, jti, action });
  }

  /** For the guard: as `consumeConfirmation`, with what the request brings. */
  override async consume({
    request,
    token,
    action,
  }: {
    readonly request: HttpRequest;
    readonly token: VerifiedToken;
    readonly action: string;
  }): Promise<void> {
    const confirmation = readConfirmationText(request);
    if (confirmation === undefined) {
      throw new StepUpRequired({ action }, 'the request brings no confirmation');
    }
    // What is no text is no confirmation either.
    const text = typeof confirmation === 'string' ? confirmation : '';
    await this.consumeConfirmation(text, { token, action });
  }

  /**
   * Asks `stepUp.secondFactor` for a code, so that nobody can guess or replay one: each is good once,
   * and after 5 wrong ones in a row a subject has to wait 15 minutes, and twice as long each time after
   * that, up to 4 hours. A day without attempts is a new beginning.
   * @throws TypeError without `stepUp.secondFactor`
   */
  async verifyFactor(ask: FactorAsk): Promise<FactorVerdict> {
    if (this.#factors === null) throw new TypeError('There is no stepUp.secondFactor to ask.');
    return this.#factors.verify(ask);
  }

  /** Subjects of other issuers are others, whatever they are called. */
  #expectOwn(token: VerifiedToken): VerifiedToken {
    if (!VerifiedToken.isSealed(token) || token.kind !== 'access') {
      throw new TypeError('Who steps up is known by a verified access token.');
    }
    if (token.issuer === this.#config.issuer) return token;
    throw new AccessError('ERR_ACCESS_DENIED', 'who has a token of another issuer steps up there');
  }

  async #end({ sessionId, tokenId, expiresAt }: VerifiedToken): Promise<void> {
    const { sessions, revocations } = this.#surroundings;
    if (sessionId !== undefined) await sessions.end(sessionId);
    else await revocations.revokeToken(tokenId, expiresAt);
  }

  /** The last step, and the only one that changes anything. */
  #claim({ issuer, tokenId, expiresAt }: VerifiedToken): Promise<boolean> {
    const { replays } = this.#surroundings;
    if (replays === null) throw new TypeError('The configured storage keeps no confirmations.');
    const digest = hash('sha256', JSON.stringify([issuer, tokenId]), 'base64url');
    return replays.claimOnce({
      key: `confirmation:${digest}`,
      expiresAt: (expiresAt + this.#config.leeway) * 1000,
    });
  }

  /** What is wrong with the confirmation says nothing against the token it came with. */
  async #asConfirmation<T>(action: string, step: () => T | Promise<T>): Promise<T> {
    try {
      return await step();
    } catch (error) {
      if (!(error instanceof TokenError)) throw error;
      throw this.#rejected(action, `${error.code}: ${error.detail}`);
    }
  }

  #rejected(action: string, detail: string): StepUpRequired {
    const { clock, events } = this.#surroundings;
    const at = new Date(clock.now());
    events.emit({ type: 'confirmation.rejected', at, action, detail });
    return new StepUpRequired({ action }, `the confirmation was refused: ${detail}`);
  }
}

function confirmedBy({ subject: sub, sessionId: sid, tokenId }: VerifiedToken): Confirmed {
  return sid === undefined ? { sub, access_jti: tokenId } : { sub, sid };
}

/** In what a confirmation differs from what is to be confirmed. */
function faultOf(shown: VerifiedToken, token: VerifiedToken, action: string): string | undefined {
  const { sub, sid, access_jti } = confirmedBy(token) as Partial<Confirmed>;
  if (shown.issuer !== token.issuer || shown.subject !== sub) return 'it is of another subject';
  if (shown.sessionId !== sid) return 'it is of another session';
  if (shown.claims['access_jti'] !== access_jti) return 'it is of another token';
  return shown.claims['action'] === action ? undefined : 'it is of another action';
}

function expectAction(action: unknown): void {
  if (!isAction(action)) throw new TypeError('An action is 1 to 128 characters, as of a scope.');
}
