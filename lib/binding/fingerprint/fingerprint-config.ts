import type { SenderSecrets } from '../sender-secrets.js';

/** How sure it is that somebody else has the token, from not at all. */
export const RESPONSES = ['pass', 'note', 'stepUp', 'refuse'] as const;

export type Response = (typeof RESPONSES)[number];

/** What is done about a sender who may be another. */
export type Measure = Exclude<Response, 'pass'>;

/** What is looked at, in the order in which events name it. */
export const SIGNALS = [
  'userAgent',
  'userAgentVersion',
  'platform',
  'mobile',
  'language',
  'addressPrefix',
  'clientSignals',
] as const;

export type SignalName = (typeof SIGNALS)[number];

/** What a change of each signal counts; `null`: it is not looked at. */
export type SignalWeights = Readonly<Record<SignalName, number | null>>;

/** The score from which on each is done; `null`: never. */
export type Thresholds = Readonly<Record<Measure, number | null>>;

export interface RapidConfig {
  /** How many other senders one session may be shown by within `within`. */
  readonly changes: number;
  /** Milliseconds. */
  readonly within: number;
  readonly response: Measure;
}

/** How senders are recognised by what they look like, and by their address. */
export interface FingerprintConfig {
  readonly weights: SignalWeights;
  readonly thresholds: Thresholds;
  readonly rapid: RapidConfig | null;
  /** `null`: the address is not looked at, beside its prefix. */
  readonly address: { readonly response: Measure } | null;
  readonly secrets: SenderSecrets;
}

/** The graver of two. */
export function worstOf(one: Response, other: Response): Response {
  return RESPONSES.indexOf(one) < RESPONSES.indexOf(other) ? other : one;
}
