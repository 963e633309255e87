import type { TraitValues } from './fingerprint-claim.js';

/**
 * What a request shows of its sender, on its way into a fingerprint. It holds the values themselves, so
 * it is closed: nothing of it can be printed, serialised or cloned.
 */
export class SenderSignals {
  readonly #values: TraitValues;

  /** @internal */
  constructor(values: TraitValues) {
    this.#values = values;
  }

  /** @internal */
  static valuesOf(signals: SenderSignals): TraitValues {
    return signals.#values;
  }
}
