import type { SaidEvent } from './instances.js';

/**
 * Judges the history of a key ring by what instances said of it: the phases of each key, and the
 * tokens each has signed. Answers what is wrong with it, in words.
 */

interface KeyLife {
  readonly kid: string;
  publishedAt?: number;
  signedFrom?: number;
  signedUntil?: number;
}

export interface SignedBy {
  readonly kid: string;
  /** The earliest and latest instant at which it can have been signed. */
  readonly signedBetween: readonly [number, number];
}

export interface HistoryRules {
  /** How long every key but the first is public before it signs. */
  readonly publishAhead: number;
  /** How far the clocks that stamped the tokens may be off. */
  readonly tolerance: number;
}

export function judgeHistory(
  events: readonly SaidEvent[],
  tokens: readonly SignedBy[],
  rules: HistoryRules,
): readonly string[] {
  const lives = livesOf(events);
  const signers = [...lives.values()]
    .filter(({ signedFrom }) => signedFrom !== undefined)
    .toSorted((a, b) => (a.signedFrom ?? 0) - (b.signedFrom ?? 0));
  return [
    ...judgeDuplicates(events),
    ...judgeSuccession(signers),
    ...judgePublication(signers, rules),
    ...judgeTokens(lives, tokens, rules),
  ];
}

function livesOf(events: readonly SaidEvent[]): ReadonlyMap<string, KeyLife> {
  const lives = new Map<string, KeyLife>();
  for (const { type, at, kid } of events) {
    if (kid === undefined) continue;
    const life = lives.get(kid) ?? { kid };
    lives.set(kid, life);
    const instant = Date.parse(at);
    if (type === 'key.published') life.publishedAt = instant;
    if (type === 'key.signing') life.signedFrom = instant;
    if (type === 'key.verifying') life.signedUntil = instant;
  }
  return lives;
}

/** No change is made twice, by whatever instance. */
function judgeDuplicates(events: readonly SaidEvent[]): readonly string[] {
  const seen = new Set<string>();
  return events
    .filter(({ kid }) => kid !== undefined)
    .flatMap(({ type, kid }) => {
      const change = `${type} ${kid}`;
      if (!seen.has(change)) {
        seen.add(change);
        return [];
      }
      return [`${change} was said twice`];
    });
}

/** At every instant from the first key on, exactly one key signs. */
function judgeSuccession(signers: readonly KeyLife[]): readonly string[] {
  return signers.flatMap(({ kid, signedUntil }, index) => {
    const successor = signers[index + 1];
    if (successor === undefined) {
      return signedUntil === undefined ? [] : [`${kid} stopped and nothing followed`];
    }
    if (signedUntil === successor.signedFrom) return [];
    return [`${kid} signed until ${signedUntil}, ${successor.kid} from ${successor.signedFrom}`];
  });
}

function judgePublication(
  signers: readonly KeyLife[],
  { publishAhead }: HistoryRules,
): readonly string[] {
  return signers.slice(1).flatMap(({ kid, publishedAt, signedFrom = 0 }) => {
    if (publishedAt === undefined) return [`${kid} signed and was never published`];
    const ahead = signedFrom - publishedAt;
    return ahead < publishAhead ? [`${kid} was public for ${ahead} ms before it signed`] : [];
  });
}

function judgeTokens(
  lives: ReadonlyMap<string, KeyLife>,
  tokens: readonly SignedBy[],
  { tolerance }: HistoryRules,
): readonly string[] {
  return tokens.flatMap(({ kid, signedBetween: [earliest, latest] }) => {
    const { signedFrom = Infinity, signedUntil = Infinity } = lives.get(kid) ?? {};
    if (latest < signedFrom - tolerance) return [`${kid} signed a token before its time`];
    return earliest > signedUntil + tolerance ? [`${kid} signed a token after its time`] : [];
  });
}
