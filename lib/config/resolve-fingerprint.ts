import {
  type FingerprintConfig,
  type Measure,
  SIGNALS,
  type SignalWeights,
  type Thresholds,
} from '../binding/fingerprint/fingerprint-config.js';
import type { SenderSecrets } from '../binding/sender-secrets.js';
import type { OptionReader } from './option-reader.js';
import { DAY, MINUTE } from './units.js';

const WEIGHTS = {
  userAgent: 50,
  userAgentVersion: 20,
  platform: 25,
  mobile: 10,
  language: 20,
  addressPrefix: 20,
  clientSignals: 30,
} as const satisfies SignalWeights;

const MAX_WEIGHT = 100;

const NO_WEIGHTS: SignalWeights = {
  userAgent: null,
  userAgentVersion: null,
  platform: null,
  mobile: null,
  language: null,
  addressPrefix: null,
  clientSignals: null,
};

const THRESHOLDS = { note: 20, stepUp: 40, refuse: 80 } as const satisfies Thresholds;

const MEASURES = ['note', 'stepUp', 'refuse'] as const satisfies readonly Measure[];

/** `binding.fingerprint` and `binding.address`; `null` if neither is wanted. All problems are noted. */
export function readFingerprintBinding(
  reader: OptionReader,
  { secrets }: { readonly secrets: SenderSecrets },
): FingerprintConfig | null {
  const address = readAddress(reader);
  const scoring = readScoring(reader);
  if (scoring === null && address === null) return null;
  const nothing = { weights: NO_WEIGHTS, thresholds: THRESHOLDS, rapid: null };
  return Object.freeze({ ...(scoring ?? nothing), address, secrets });
}

function readScoring(
  reader: OptionReader,
): Pick<FingerprintConfig, 'weights' | 'thresholds' | 'rapid'> | null {
  const path = 'binding.fingerprint';
  if ((reader.get(path) ?? null) === null) return null;
  reader.expectOnly(path, ['signals', 'thresholds', 'rapid']);
  const weights = readWeights(reader, `${path}.signals`);
  return {
    weights,
    thresholds: readThresholds(reader, `${path}.thresholds`, weights),
    rapid: readRapid(reader, `${path}.rapid`),
  };
}

function readAddress(reader: OptionReader): FingerprintConfig['address'] {
  const path = 'binding.address';
  if ((reader.get(path) ?? null) === null) return null;
  reader.expectOnly(path, ['response']);
  return Object.freeze({ response: reader.oneOf(`${path}.response`, MEASURES, 'stepUp') });
}

function readWeights(reader: OptionReader, path: string): SignalWeights {
  reader.expectOnly(path, SIGNALS);
  const weights: Record<keyof SignalWeights, number | null> = { ...WEIGHTS };
  for (const name of SIGNALS) {
    weights[name] = readNumber(reader, `${path}.${name}`, WEIGHTS[name], MAX_WEIGHT);
  }
  if (SIGNALS.every((name) => weights[name] === null)) {
    reader.add(path, 'it leaves every signal out', 'Keep one, or write binding.fingerprint: null');
  }
  return Object.freeze(weights);
}

function readThresholds(reader: OptionReader, path: string, weights: SignalWeights): Thresholds {
  reader.expectOnly(path, MEASURES);
  const reachable = SIGNALS.reduce((sum, name) => sum + (weights[name] ?? 0), 0);
  const thresholds: Record<Measure, number | null> = { ...THRESHOLDS };
  let above = 0;
  for (const measure of MEASURES) {
    const name = `${path}.${measure}`;
    const score = readNumber(reader, name, THRESHOLDS[measure], MAX_WEIGHT * SIGNALS.length);
    thresholds[measure] = score;
    if (score === null || !reader.isSound(name)) continue;
    if (score <= above) {
      reader.add(name, 'it is not above the one before', `Write more than ${above}, or null`);
    } else if (score > reachable) {
      const problem = `the signals add up to ${reachable} at most`;
      reader.add(name, problem, `Write at most ${reachable}, or null for never`);
    }
    above = score;
  }
  return Object.freeze(thresholds);
}

function readRapid(reader: OptionReader, path: string): FingerprintConfig['rapid'] {
  if (reader.get(path) === null) return null;
  reader.expectOnly(path, ['changes', 'within', 'response']);
  return Object.freeze({
    changes: reader.wholeNumber(`${path}.changes`, 6, { min: 1, max: 100 }),
    within: reader.duration(`${path}.within`, 10 * MINUTE, { min: MINUTE, max: DAY }),
    response: reader.oneOf(`${path}.response`, MEASURES, 'stepUp'),
  });
}

function readNumber(
  reader: OptionReader,
  path: string,
  fallback: number,
  max: number,
): number | null {
  return reader.get(path) === null ? null : reader.wholeNumber(path, fallback, { min: 1, max });
}
