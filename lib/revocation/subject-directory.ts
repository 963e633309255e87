import { withDeadline } from '../kernel/deadline.js';
import { RevocationError } from '../kernel/errors.js';

/** Whose standing is asked for. A subject means something only together with its issuer. */
export interface SubjectReference {
  readonly issuer: string;
  readonly subject: string;
}

/** How a subject stands in the application's own records. */
export interface SubjectStanding {
  /** Whether its tokens are refused. */
  readonly disabled: boolean;
  /**
   * Tokens of an earlier version are refused: a whole number, 0 or more, that the application raises
   * when credentials change. A token that has none counts as 0.
   * @defaultValue none: versions are not compared
   */
  readonly version?: number;
}

/**
 * Port: the application's users. It is asked about the subject of every token, so give it a cache
 * (`cachedSubjects` of `nest-jwt-hardening/cache-manager`). When it rejects, takes longer than 5 s or
 * answers anything but a standing, the request is answered 503: nobody passes for want of an answer.
 */
export abstract class SubjectDirectory {
  /** How a subject stands; `null` for one that does not exist, whose tokens are refused. */
  abstract find(reference: SubjectReference): Promise<SubjectStanding | null>;

  /**
   * As `find`, but reads past any cache.
   * @defaultValue none: there is no cache, and `find` has to do
   */
  refresh?(reference: SubjectReference): Promise<SubjectStanding | null>;
}

/** Milliseconds a directory has to answer. */
export const ANSWER_WITHIN = 5_000;

/**
 * Asks a directory and doubts the answer.
 * @param options `how`: as `find`, or past any cache; `within`: milliseconds
 * @throws RevocationError `ERR_SUBJECT_UNAVAILABLE`
 */
export async function askDirectory(
  directory: SubjectDirectory,
  reference: SubjectReference,
  options: { readonly how?: 'find' | 'refresh'; readonly within?: number } = {},
): Promise<SubjectStanding | null> {
  const { how = 'find', within = ANSWER_WITHIN } = options;
  try {
    const asked: Promise<unknown> =
      how === 'refresh' && directory.refresh !== undefined
        ? directory.refresh(reference)
        : directory.find(reference);
    const standing = readStanding(await withDeadline(asked, within, tooLate));
    if (standing !== undefined) return standing;
  } catch (cause) {
    if (cause instanceof RevocationError) throw cause;
    // What a database says of its failure can name the subject: it is the cause, not the message.
    throw unavailable('failed', { cause });
  }
  throw unavailable('answered something else than a standing');
}

/**
 * What was answered, or kept, as a standing, without whatever else a row of users holds. `undefined`
 * for everything that is none: a user of whom it is not said whether they are disabled is not fine.
 */
export function readStanding(answer: unknown): SubjectStanding | null | undefined {
  if (answer === null) return null;
  if (typeof answer !== 'object') return undefined;
  // Each is read once: a getter could answer the check one thing and the use another.
  const { disabled, version }: { disabled?: unknown; version?: unknown } = answer;
  if (typeof disabled !== 'boolean') return undefined;
  if (version === undefined) return Object.freeze({ disabled });
  return isVersion(version) ? Object.freeze({ disabled, version }) : undefined;
}

/** What speaks against a token on the part of its subject. */
export type SubjectFault =
  | 'its subject is unknown'
  | 'its subject is disabled'
  | 'its token_version is malformed'
  | 'its token_version is outdated';

/**
 * Judges a token by its subject's standing. A later version than the standing's is fine: tokens are
 * signed by this service, and what a cache holds may be older than a token.
 * @param tokenVersion the claim `token_version`, if the token has one
 */
export function judgeSubject(
  standing: SubjectStanding | null,
  tokenVersion: unknown,
): 'ok' | SubjectFault {
  if (standing === null) return 'its subject is unknown';
  if (standing.disabled) return 'its subject is disabled';
  if (standing.version === undefined) return 'ok';
  const version = tokenVersion === undefined ? 0 : tokenVersion;
  if (!isVersion(version)) return 'its token_version is malformed';
  return version >= standing.version ? 'ok' : 'its token_version is outdated';
}

function isVersion(value: unknown): value is number {
  return typeof value === 'number' && Number.isSafeInteger(value) && value >= 0;
}

function tooLate(): RevocationError {
  return unavailable('did not answer in time');
}

function unavailable(what: string, options?: ErrorOptions): RevocationError {
  return new RevocationError('ERR_SUBJECT_UNAVAILABLE', `The subject directory ${what}.`, options);
}
