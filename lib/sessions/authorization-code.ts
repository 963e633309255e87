import { hash } from 'node:crypto';

import type { ProvenSender } from '../binding/sender-proofs.service.js';
import { ClaimError, SessionError, StoreError } from '../kernel/errors.js';
import { randomId } from '../kernel/ids.js';
import type { StandingClaims } from '../tokens/token-standing.js';
import type { TokenService } from '../tokens/token.service.js';
import {
  newRefreshToken,
  presented,
  readRefreshToken,
  readSessionId,
  type RefreshToken,
  secretDigest,
  successorOf,
  writeRefreshToken,
} from './refresh-token.js';
import type { Sealing } from './sealed-text.js';
import type { SessionStart, TokenPair } from './session.js';
import { MAX_DATA } from './session-grant.js';
import type { SessionSeals } from './session-seals.js';
import { refusalOf } from './session-refusal.js';
import type {
  PresentedToken,
  RotationVerdict,
  SessionRecord,
  SessionStore,
} from './session-store.js';
import type { SessionService } from './session.service.js';

/** What a code was asked for with, and has to be redeemed with again (RFC 6749 §4.1.3, RFC 7636 §4.6). */
export interface CodeTerms {
  readonly clientId: string;
  readonly redirectUri: string;
  /** `code_challenge` of the method S256. */
  readonly challenge: string;
}

/** What a code is issued for besides: `dpop_jkt`, the key that has to redeem it (RFC 9449 §10). */
export type IssueTerms = CodeTerms & { readonly jkt?: string | undefined };

/** What the session of a code is to begin with, besides its client and address. */
export type PromisedStart = Pick<
  SessionStart,
  'scope' | 'roles' | 'permissions' | 'claims' | 'acr' | 'amr' | 'device'
> & { readonly authTime: Date };

export interface AuthorizationCodesConfig {
  /** This service's own issuer. */
  readonly issuer: string;
  /** Milliseconds a code is good for. */
  readonly codeFor: number;
  readonly seals: SessionSeals;
}

/** @internal */
export interface AuthorizationCodesSurroundings {
  readonly store: SessionStore;
  readonly tokens: Pick<TokenService, 'standingFor' | 'standingOf'>;
  readonly sessions: Pick<SessionService, 'begin' | 'end'>;
}

/** What the store keeps of a code, sealed under the code itself. Short names, as in a session's. */
interface CodeData {
  readonly sub: string;
  /** Of the session that is to be started: known from the beginning, so that it can be ended. */
  readonly sid: string;
  readonly start: Omit<PromisedStart, 'authTime'>;
  readonly authTime: number;
  readonly standing: StandingClaims;
  readonly jkt?: string | undefined;
}

/** So that neither passes for the other, nor is found where the other is kept. */
const PREFIX = 'ac1_';
const REFRESH_PREFIX = 'rt1_';

/**
 * Authorization codes (RFC 6749 §4.1): good once, for a minute, for the client, the redirect URI and
 * the PKCE challenge they were asked for with. A code is the token of a session that nobody is in:
 * the store judges it in the one atomic step by which it judges refresh tokens, and keeps digests and
 * sealed text alone. A second use, or one with other terms, ends the session that the first one started.
 */
export class AuthorizationCodes {
  readonly #config: AuthorizationCodesConfig;
  readonly #surroundings: AuthorizationCodesSurroundings;

  constructor(config: AuthorizationCodesConfig, surroundings: AuthorizationCodesSurroundings) {
    this.#config = config;
    this.#surroundings = surroundings;
  }

  /**
   * A code for the client to start a session with.
   * @throws ClaimError `ERR_CLAIM_TOO_LARGE`
   * @throws StoreError, RevocationError while it cannot be made
   */
  async issue(terms: IssueTerms, subject: string, given: PromisedStart): Promise<string> {
    const { store, tokens } = this.#surroundings;
    const { issuer, codeFor } = this.#config;
    const standing = await tokens.standingFor(subject);
    // An owner of its own, which no subject can have: codes are in nobody's list, and in no one's way.
    const code = newRefreshToken(issuer, `\0code ${randomId()}`);
    const { authTime, ...start } = given;
    const data = this.#seal(code, {
      sub: subject,
      sid: newRefreshToken(issuer, subject).key.id,
      start,
      authTime: authTime.getTime(),
      standing,
      jkt: terms.jkt,
    });
    const { key, lineage, secret, binding } = shown(code, terms);
    // Twice as long in all: for as long as it was good, a used one is still known for what it is.
    const limits = { idleFor: codeFor, absoluteFor: 2 * codeFor, atMost: 1 };
    if ((await store.create({ key, lineage, secret, binding, data, ...limits })) === null) {
      throw new StoreError('ERR_STORE_UNAVAILABLE', 'The code could not be stored.');
    }
    return PREFIX + writeRefreshToken(code).slice(REFRESH_PREFIX.length);
  }

  /**
   * Starts the session a code was made for. Whatever can fail has failed before the code is used up.
   * @param sender what its request shows of the client
   * @throws SessionError for whatever is wrong with the code, its terms, or its subject by now
   * @throws ClaimError, StoreError, RevocationError, KeyError as `SessionService.start`
   */
  async redeem(text: string, terms: CodeTerms, sender: ProvenSender): Promise<TokenPair> {
    const { store, tokens, sessions } = this.#surroundings;
    const code = readCode(text);
    if (code === undefined) throw new SessionError('ERR_SESSION_MALFORMED', 'it is no code');
    const presentation = shown(code, terms);
    const found = await store.find(presentation);
    if (found === null) return this.#refuse(code, await this.#use(code, presentation, null));
    const { session, shown: use, at: askedAt } = found;
    const {
      sub: subject,
      sid: sessionId,
      start,
      authTime,
      standing,
      jkt,
    } = this.#open(code, session);
    // It was used before: nobody is asked, nothing is prepared for it.
    if (use !== 'current') {
      try {
        await this.#use(code, presentation, null);
      } catch (error) {
        await sessions.end(sessionId).catch(() => {});
        throw error;
      }
      return this.#endReused(sessionId);
    }
    const proven = sender.binding?.kind === 'dpop' ? sender.binding.value : undefined;
    if (jkt !== undefined && jkt !== proven) {
      throw new SessionError('ERR_SESSION_UNKNOWN', 'the code is for the holder of another key');
    }
    const startedAt = session.createdAt;
    const facts = { subject, sessionId, startedAt, standing };
    const pair = await sessions.begin(
      subject,
      {
        ...start,
        authTime: new Date(authTime),
        clientId: terms.clientId,
        ...sender,
      },
      {
        token: firstTokenOf(this.#config.issuer, subject, sessionId),
        startedAt,
        standing: await judged(() => tokens.standingOf(facts)),
        claim: async () => {
          const verdict = await this.#use(code, presentation, askedAt);
          if (verdict.verdict !== 'rotated') await this.#refuse(code, verdict);
        },
      },
    );
    if (!(await this.#isUsedOnce(presentation, sessionId))) await this.#endReused(sessionId);
    return pair;
  }

  /** Whoever came second while the session was being stored did not find it there to end it. */
  async #isUsedOnce(presentation: PresentedToken, sessionId: string): Promise<boolean> {
    const { store, sessions } = this.#surroundings;
    try {
      return (await store.find(presentation)) !== null;
    } catch (error) {
      // Nobody gets its tokens. If it cannot be ended either, it ends by not being used.
      await sessions.end(sessionId).catch(() => {});
      throw error;
    }
  }

  #use(
    code: RefreshToken,
    presentation: PresentedToken,
    askedAt: number | null,
  ): Promise<RotationVerdict> {
    const next = { secret: secretDigest(successorOf(code)), sealed: '', data: null };
    const { store } = this.#surroundings;
    return store.rotate({ presented: presentation, next, graceFor: 0, askedAt });
  }

  async #refuse(code: RefreshToken, verdict: RotationVerdict): Promise<never> {
    if (verdict.verdict === 'unknown') {
      throw new SessionError('ERR_SESSION_UNKNOWN', 'there is no such code');
    }
    if (verdict.verdict === 'late') {
      throw new StoreError('ERR_STORE_UNAVAILABLE', 'The code took too long to be judged.');
    }
    return this.#endReused(this.#open(code, verdict.session).sid);
  }

  /** RFC 6749 §4.1.2: with the code, whatever it was exchanged for is in other hands. */
  async #endReused(sessionId: string): Promise<never> {
    await this.#surroundings.sessions.end(sessionId);
    const detail = 'the code was used before, or with another verifier or redirect_uri';
    throw new SessionError('ERR_SESSION_REUSED', detail);
  }

  #seal(code: RefreshToken, data: CodeData): string {
    const sealed = this.#config.seals.seal(Buffer.from(JSON.stringify(data)), sealingOf(code));
    if (Buffer.byteLength(sealed) <= MAX_DATA) return sealed;
    throw new ClaimError('ERR_CLAIM_TOO_LARGE', 'The claims are too large for a session.');
  }

  #open(code: RefreshToken, { data }: SessionRecord): CodeData {
    const plain = this.#config.seals.unseal(data, sealingOf(code));
    if (plain === undefined) throw corrupt();
    // What the seal fits was written here, by `#seal`.
    return JSON.parse(plain.toString()) as CodeData;
  }
}

/** The challenge that a verifier answers (RFC 7636 §4.2, S256). */
export function challengeOf(verifier: string): string {
  return hash('sha256', verifier, 'base64url');
}

async function judged<T>(judge: () => Promise<T>): Promise<T> {
  try {
    return await judge();
  } catch (error) {
    throw refusalOf(error) ?? error;
  }
}

function readCode(text: string): RefreshToken | undefined {
  return text.startsWith(PREFIX)
    ? readRefreshToken(REFRESH_PREFIX + text.slice(PREFIX.length))
    : undefined;
}

/** To another client there is no such code; with other terms it is the right one in wrong hands. */
function shown(
  code: RefreshToken,
  { clientId, redirectUri, challenge }: CodeTerms,
): PresentedToken {
  const terms = hash('sha256', `${redirectUri}\0${challenge}`, 'base64url');
  // No client is called so: a code that is dressed up as a refresh token is not found.
  return presented(code, `\0code ${clientId}`, terms);
}

function firstTokenOf(issuer: string, subject: string, sessionId: string): RefreshToken {
  const key = readSessionId(sessionId);
  if (key === undefined) throw corrupt();
  return { ...newRefreshToken(issuer, subject), key };
}

function sealingOf({ key, lineage }: RefreshToken): Sealing {
  return { secret: lineage, purpose: 'code', context: key.id };
}

function corrupt(): StoreError {
  return new StoreError('ERR_STORE_CORRUPT', 'The stored code is none of this service.');
}
