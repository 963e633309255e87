import { TokenError } from '../kernel/errors.js';
import type { OnStale } from '../kernel/outage.js';
import { type RevocableNames, RevocableToken } from '../revocation/revocable-token.js';
import type { RevocationService } from '../revocation/revocation.service.js';
import {
  askDirectory,
  judgeSubject,
  type SubjectDirectory,
} from '../revocation/subject-directory.js';
import { isIdentifier, type TokenKind, type VerifiedClaims } from './claims.js';
import { deepFreeze, type VerifiedToken } from './verified-token.js';

/** Claims by which a token is told from those that were withdrawn before it was issued. */
export interface StandingClaims {
  /** See `RevocationService.revokeSubject`. */
  readonly era?: number;
  /** See `SubjectStanding.version`. */
  readonly token_version?: number;
}

/** What is known of a session since it began. */
export interface SessionFacts {
  readonly subject: string;
  readonly sessionId: string;
  /** In milliseconds. */
  readonly startedAt: number;
  /** What its first token said. */
  readonly standing: StandingClaims;
}

/** Gives each token its place in a status list. */
export interface StatusAllocator {
  /**
   * @param expiresAt in seconds
   * @throws StoreError if no place was recorded: then nothing may be signed
   */
  allocate(
    token: RevocableNames,
    expiresAt: number,
  ): Promise<{ readonly idx: number; readonly uri: string }>;
}

/** Looks up tokens of other issuers in their status lists. */
export interface StatusReader {
  /**
   * @throws TokenError if the token is not valid there
   * @throws RevocationError if that cannot be said
   */
  assertValid(token: VerifiedToken): void | Promise<void>;
}

export interface StandingParts {
  readonly revocations: RevocationService;
  readonly subjects: SubjectDirectory | null;
  readonly allocator: StatusAllocator | null;
  readonly statusLists: StatusReader | null;
}

/**
 * Kinds that let somebody do something, and so end with who they stand for. The others report what
 * happened: the news that a session has ended must not be refused because it has.
 */
const CREDENTIALS: ReadonlySet<TokenKind> = new Set(['access', 'confirmation']);

/** What can befall a token after it was issued. */
export class TokenStanding {
  readonly #parts: StandingParts;

  constructor(parts: StandingParts) {
    this.#parts = parts;
  }

  /**
   * What a new token has to say to stand apart from those that are withdrawn already.
   * @throws RevocationError `ERR_SUBJECT_UNAVAILABLE`
   */
  async claimsFor(kind: TokenKind, issuer: string, subject: string): Promise<StandingClaims> {
    // What no subject can be called is nobody's business but the caller's, who is told when composing.
    if (!CREDENTIALS.has(kind) || !isIdentifier(subject)) return {};
    const { revocations, subjects } = this.#parts;
    const [era, standing] = await Promise.all([
      revocations.eraFor(subject),
      // Past the cache: a version that was raised a moment ago is what this token is issued for.
      subjects === null ? null : askDirectory(subjects, { issuer, subject }, { how: 'refresh' }),
    ]);
    const version = standing?.version;
    return version === undefined ? { era } : { era, token_version: version };
  }

  /**
   * The same for one more token of a session, if nothing befell the session since it began. What is
   * revoked from here on is younger than the answer: a token that carries it dies by it.
   * @throws TokenError `ERR_TOKEN_REVOKED`, `ERR_TOKEN_SUBJECT`
   * @throws RevocationError when that cannot be said
   */
  async claimsForSession(issuer: string, session: SessionFacts): Promise<StandingClaims> {
    const { subject, sessionId, startedAt, standing: first } = session;
    const { revocations, subjects } = this.#parts;
    const [era, standing] = await Promise.all([
      revocations.eraFor(subject),
      subjects === null
        ? undefined
        : askDirectory(subjects, { issuer, subject }, { how: 'refresh' }),
    ]);
    const issuedAt = Math.floor(startedAt / 1000);
    // No key and no token of its own can be revoked: a session has none.
    const facts = { issuer, subject, sessionId, issuedAt, era: first.era, kid: '', tokenId: '' };
    revocations.assertStands(new RevocableToken(facts), 'reject');
    if (standing === undefined) return { era };
    const verdict = judgeSubject(standing, first.token_version);
    if (verdict !== 'ok') throw new TokenError('ERR_TOKEN_SUBJECT', verdict);
    const version = standing?.version;
    return version === undefined ? { era } : { era, token_version: version };
  }

  /** The claims of an access token with its place in a status list, if there are lists. */
  async listed(kind: TokenKind, kid: string, claims: VerifiedClaims): Promise<VerifiedClaims> {
    const { allocator } = this.#parts;
    if (allocator === null || kind !== 'access') return claims;
    const { iss: issuer, sub: subject, jti: tokenId, sid: sessionId, iat: issuedAt, era } = claims;
    const facts = { issuer, kid, subject, tokenId, sessionId, issuedAt, era };
    const place = await allocator.allocate(new RevocableToken(facts), claims.exp);
    return deepFreeze({ ...claims, status: { status_list: { ...place } } });
  }

  /**
   * Answers the token if it still stands: at once, unless something has to be asked for.
   * @throws TokenError `ERR_TOKEN_REVOKED`, `ERR_TOKEN_SUBJECT`
   * @throws RevocationError when that cannot be said
   */
  check(
    token: VerifiedToken,
    revocable: RevocableToken,
    onStale: OnStale | undefined,
  ): VerifiedToken | Promise<VerifiedToken> {
    this.assertUnrevoked(token, revocable, onStale);
    const { subjects, statusLists } = this.#parts;
    const listed = statusLists?.assertValid(token);
    const asked = subjects === null ? undefined : assertSubject(subjects, token);
    if (!(listed instanceof Promise) && asked === undefined) return token;
    return Promise.all([listed, asked]).then(() => {
      // It may have been revoked while others were asked.
      this.assertUnrevoked(token, revocable, onStale);
      return token;
    });
  }

  /** As far as this process knows. */
  isUnrevoked(revocable: RevocableToken): boolean {
    return !this.#parts.revocations.isRevoked(revocable);
  }

  /** As far as this process knows, which is all that is asked when nothing may be awaited. */
  assertUnrevoked(
    { kind }: VerifiedToken,
    revocable: RevocableToken,
    onStale: OnStale | undefined,
  ): void {
    const { revocations } = this.#parts;
    if (CREDENTIALS.has(kind)) revocations.assertStands(revocable, onStale);
    // Whoever has a leaked key signs every kind of token with it.
    else revocations.assertKeyStands(revocable);
  }
}

async function assertSubject(subjects: SubjectDirectory, token: VerifiedToken): Promise<void> {
  const { kind, issuer, subject, claims } = token;
  if (!CREDENTIALS.has(kind)) return;
  const verdict = judgeSubject(
    await askDirectory(subjects, { issuer, subject }),
    claims['token_version'],
  );
  if (verdict !== 'ok') throw new TokenError('ERR_TOKEN_SUBJECT', verdict);
}

/**
 * The era of a token of this service; `undefined` if it was signed by someone else with its key.
 * @throws TokenError `ERR_TOKEN_CLAIM_INVALID`
 */
export function eraOf({ era }: Readonly<Record<string, unknown>>): number | undefined {
  if (era === undefined) return undefined;
  if (typeof era === 'number' && Number.isSafeInteger(era) && era >= 0) return era;
  throw new TokenError('ERR_TOKEN_CLAIM_INVALID', 'era has a wrong type or form');
}
