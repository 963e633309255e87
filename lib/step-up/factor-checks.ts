import { hash } from 'node:crypto';

import type { ReplayStore } from '../binding/replay-store.js';
import type { Clock } from '../kernel/clock.js';
import { withDeadline } from '../kernel/deadline.js';
import { StoreError } from '../kernel/errors.js';
import { isIdentifier, isNameList } from '../tokens/claims.js';
import type { FactorAsk, ProvenFactor, SecondFactor } from './second-factor.js';

/**
 * Asks for second factors so that their codes cannot be guessed: a code of six digits is only as good
 * as the number of times that somebody may try.
 */

/** What became of a code. Wrong ones and used ones look the same. */
export type FactorVerdict =
  | {
      readonly outcome: 'verified';
      readonly amr: readonly string[];
      readonly acr: string | undefined;
    }
  | { readonly outcome: 'refused' }
  /** It was not looked at: too many before it. `retryAfter` in whole seconds. */
  | { readonly outcome: 'limited'; readonly retryAfter: number };

/** What is asked of an `AttemptStore`. */
export interface AttemptCounter {
  record(attempt: {
    readonly key: string;
    readonly window: number;
    readonly runsFrom: 'first' | 'last';
  }): Promise<Counted>;
  read(key: string): Promise<Counted>;
  clear(key: string): Promise<void>;
}

interface Counted {
  readonly count: number;
  /** Milliseconds; `null` for none. */
  readonly sincePrevious: number | null;
}

export interface FactorParts {
  readonly issuer: string;
  readonly factor: SecondFactor;
  readonly attempts: AttemptCounter;
  readonly replays: ReplayStore;
  readonly clock: Clock;
}

const MAX_CODE = 64;

/** Milliseconds. */
const ANSWER_WITHIN = 5_000;
const USED_FOR = 3_600_000;

/** Codes that may be tried one after another. */
const FREE_ATTEMPTS = 5;
/** Then so many milliseconds lie between two of them, twice as many each time, up to the longest. */
const FIRST_DELAY = 15 * 60_000;
const LONGEST_DELAY = 4 * 3_600_000;
/** After so many milliseconds without any, all is forgiven. */
const FORGET_AFTER = 24 * 3_600_000;

const REFUSED: FactorVerdict = Object.freeze({ outcome: 'refused' });

export class FactorChecks {
  constructor(private readonly parts: FactorParts) {}

  /** @throws StoreError while that cannot be said: also when the application's own answer fails */
  async verify(ask: FactorAsk): Promise<FactorVerdict> {
    const { attempts } = this.parts;
    if (!isCode(ask.code)) return REFUSED;
    const digest = this.#digest(ask.subject);
    const [key, unansweredKey] = [`factor-attempts:${digest}`, `factor-unanswered:${digest}`];
    const [known, unjudged] = await Promise.all([attempts.read(key), attempts.read(unansweredKey)]);
    // Who asks too early is not counted, or an impatient user would wait for ever.
    const early = tooEarly({ ...known, count: known.count + 1 - unjudged.count });
    if (early !== undefined) return early;
    // The count decides, and not what was read before: of many at once each gets another number.
    const window = { window: FORGET_AFTER, runsFrom: 'last' } as const;
    const counted = await attempts.record({ key, ...window });
    const late = tooEarly({ ...counted, count: counted.count - unjudged.count });
    if (late !== undefined) return late;
    const proven = await this.#ask(ask).catch(async (error: unknown) => {
      // Nobody learns anything from a code that was not judged: an outage must lock nobody out.
      await attempts.record({ key: unansweredKey, ...window }).catch(() => {});
      throw error;
    });
    if (proven === null || !(await this.#isFirstUse(ask.subject, proven))) return REFUSED;
    // What stays counted slows the next one down, no more.
    await Promise.all([attempts.clear(key), attempts.clear(unansweredKey)]).catch(() => {});
    return { outcome: 'verified', amr: proven.amr, acr: proven.acr };
  }

  async #ask(ask: FactorAsk): Promise<ProvenFactor | null> {
    let answer: unknown;
    try {
      const asked = Promise.resolve(this.parts.factor.verify(ask));
      answer = await withDeadline(asked, ANSWER_WITHIN, () => unanswered());
    } catch (cause) {
      throw unanswered(cause);
    }
    if (answer !== null && !isProven(answer)) throw unanswered();
    return answer;
  }

  #isFirstUse(subject: string, { codeId }: ProvenFactor): Promise<boolean> {
    const { replays, clock } = this.parts;
    const key = `factor-code:${this.#digest(subject, codeId)}`;
    return replays.claimOnce({ key, expiresAt: clock.now() + USED_FOR });
  }

  #digest(...names: readonly string[]): string {
    return hash('sha256', JSON.stringify([this.parts.issuer, ...names]), 'base64url');
  }
}

/** @param attempts the one in question included */
function tooEarly({ count, sincePrevious }: Counted): FactorVerdict | undefined {
  if (count <= FREE_ATTEMPTS) return undefined;
  const delay = Math.min(FIRST_DELAY * 2 ** (count - FREE_ATTEMPTS - 1), LONGEST_DELAY);
  const remaining = delay - (sincePrevious ?? 0);
  return remaining > 0
    ? { outcome: 'limited', retryAfter: Math.ceil(remaining / 1000) }
    : undefined;
}

function isCode(code: unknown): code is string {
  return typeof code === 'string' && code.length > 0 && code.length <= MAX_CODE;
}

function isProven(answer: unknown): answer is ProvenFactor {
  if (typeof answer !== 'object' || answer === null) return false;
  const { amr, acr, codeId }: Partial<Record<keyof ProvenFactor, unknown>> = answer;
  return isNameList(amr) && (acr === undefined || isIdentifier(acr)) && isIdentifier(codeId);
}

/** Also for nonsense: an answer that somebody forgot must not let anybody pass. */
function unanswered(cause?: unknown): StoreError {
  const message = 'The second factor could not be asked.';
  return new StoreError('ERR_STORE_UNAVAILABLE', message, { cause });
}
