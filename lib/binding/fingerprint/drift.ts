import {
  type FingerprintClaim,
  type Trait,
  type TraitValues,
  TRAITS,
} from './fingerprint-claim.js';
import {
  type Measure,
  type Response,
  SIGNALS,
  type SignalName,
  type SignalWeights,
  type Thresholds,
} from './fingerprint-config.js';
import type { TraitDigest } from './trait-digests.js';

/**
 * How far a sender is from the one a claim was made of. The score is a sum over the signals, so that
 * one more that changed never makes it smaller.
 */
export interface Drift {
  /** Whether the claim and the configuration have anything in common. */
  readonly isComparable: boolean;
  readonly signals: readonly SignalName[];
  readonly score: number;
  /** For `binding.address`, which has no part in the score. */
  readonly addressChanged: boolean;
}

type Change = 'appeared' | 'gone' | 'raised' | 'changed';

/** How much of its signal's weight a change counts. */
type Share = 'whole' | 'quarter' | 'nothing';

/** A browser left alone for so many versions is updated at one go; as one from ESR to ESR is (13). */
const MAX_RAISE = 14;

const SIGNAL_OF: Readonly<Record<Exclude<Trait, 'i'>, SignalName>> = {
  b: 'userAgent',
  v: 'userAgentVersion',
  o: 'platform',
  p: 'platform',
  m: 'mobile',
  l: 'language',
  a: 'language',
  n: 'addressPrefix',
  c: 'clientSignals',
};

/**
 * Browsers update by themselves and lists of languages grow: a quarter. Client hints come once the
 * server has asked for them, and are left out of some requests. Whoever copied a token cannot make the
 * digest of the client, but can leave it out: that counts as another.
 */
function shareOf(trait: Trait, change: Change): Share {
  switch (trait) {
    case 'v':
      return change === 'raised' ? 'quarter' : 'whole';
    case 'p':
    case 'm':
      if (change === 'appeared') return 'nothing';
      return change === 'gone' ? 'quarter' : 'whole';
    case 'a':
      return 'quarter';
    case 'c':
      return change === 'appeared' ? 'nothing' : 'whole';
    default:
      return 'whole';
  }
}

/** @param digest that of the claim */
export function driftFrom(
  claim: FingerprintClaim,
  digest: TraitDigest,
  { values, weights }: { readonly values: TraitValues; readonly weights: SignalWeights },
): Drift {
  const points = new Map<SignalName, number>();
  let compared = 0;
  let addressChanged = false;
  for (const trait of TRAITS) {
    const [known, value] = [claim[trait], values[trait]];
    // Not configured now, or not when the claim was made: there is nothing to tell from it.
    if (known === undefined || value === undefined) continue;
    compared++;
    const change = changeOf(trait, known, { value, digest });
    if (change === undefined) continue;
    if (trait === 'i') {
      addressChanged = true;
      continue;
    }
    const signal = SIGNAL_OF[trait];
    const counts = pointsOf(weights[signal] ?? 0, shareOf(trait, change));
    // What two traits say of one signal counts once.
    points.set(signal, Math.max(points.get(signal) ?? 0, counts));
  }
  return {
    isComparable: compared > 0,
    signals: SIGNALS.filter((signal) => points.has(signal)),
    score: [...points.values()].reduce((sum, counts) => sum + counts, 0),
    addressChanged,
  };
}

/** What is done about a score. */
export function responseTo(score: number, thresholds: Thresholds): Response {
  const reaches = (measure: Measure): boolean => score >= (thresholds[measure] ?? Infinity);
  if (reaches('refuse')) return 'refuse';
  if (reaches('stepUp')) return 'stepUp';
  return reaches('note') ? 'note' : 'pass';
}

function changeOf(
  trait: Trait,
  known: string,
  { value, digest }: { readonly value: string | null; readonly digest: TraitDigest },
): Change | undefined {
  if (digest(trait, value) === known) return undefined;
  if (value === null) return 'gone';
  if (digest(trait, null) === known) return 'appeared';
  return trait === 'v' && isRaised(known, Number(value), digest) ? 'raised' : 'changed';
}

/** A digest does not say which of two versions is newer: those before the current one are tried. */
function isRaised(known: string, version: number, digest: TraitDigest): boolean {
  const oldest = Math.max(0, version - MAX_RAISE);
  for (let older = version - 1; older >= oldest; older--) {
    if (digest('v', String(older)) === known) return true;
  }
  return false;
}

function pointsOf(weight: number, share: Share): number {
  if (share === 'nothing') return 0;
  return share === 'whole' ? weight : Math.ceil(weight / 4);
}
