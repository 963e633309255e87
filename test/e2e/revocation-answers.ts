import type { OnStale } from '../../lib/kernel/outage.js';
import type { Answer } from './revocation-clients.js';

/**
 * Judges what guarded routes answered while the log was out of reach, by how far behind the instance
 * itself said it was. Answers what is wrong, in words.
 */

export interface GivenAnswer {
  /** What holds at the route while the log is stale. */
  readonly onStale: OnStale;
  /** Whether the token had been revoked before anything was asked. */
  readonly wasRevoked: boolean;
  readonly answer: Pick<Answer, 'status' | 'retryAfter' | 'before' | 'after'>;
}

export function judgeAnswers(given: readonly GivenAnswer[], maxLag: number): readonly string[] {
  return given.flatMap((one) => {
    const { onStale, wasRevoked, answer } = one;
    const complaint = complaintAbout(one, maxLag);
    if (complaint === undefined) return [];
    const { status, before, after } = answer;
    const token = wasRevoked ? 'revoked' : 'good';
    const lag = `lag ${before.lag} to ${after.lag} ms, keys ${before.keys} to ${after.keys}`;
    return [`${onStale}: a ${token} token was answered with ${status}, ${complaint} (${lag})`];
  });
}

function complaintAbout(
  { onStale, wasRevoked, answer }: GivenAnswer,
  maxLag: number,
): string | undefined {
  const { status, retryAfter, before, after } = answer;
  if (status === 503 && retryAfter === undefined) return 'without Retry-After';
  if (![200, 401, 503].includes(status)) return 'which is nothing it may say';
  if (wasRevoked && status === 200) return 'although it was revoked';
  if (!wasRevoked && status === 401) return 'although nothing is wrong with it';
  // The log was not heard of in between: what was true before and after was true when it decided.
  const isSteady = after.lag >= before.lag;
  const isBehind = isSteady && before.lag > maxLag;
  if (onStale === 'reject' && isBehind && status !== 503) return 'from beyond the bound';
  if (status !== 503) return undefined;
  if (onStale === 'acceptWithAlert') return 'although it was to go on';
  const areKeysStale = before.keys === 'stale' || after.keys === 'stale';
  const isCurrent = isSteady && after.lag <= maxLag;
  return isCurrent && !areKeysStale ? 'within the bound' : undefined;
}
