import type { Duration } from '../kernel/duration.js';
import type { SecondFactor } from '../step-up/second-factor.js';

/** Options of step-up authentication. */
export interface StepUpOptions {
  /**
   * How long a confirmation of one action can be used, from `'10s'` to `'10m'`, and at most
   * `tokens.maxLifetime`.
   * @defaultValue `'2m'`, or `tokens.maxLifetime` if that is shorter. Longer leaves one that is stolen
   * together with the access token useful for longer.
   */
  readonly confirmationFor?: Duration;

  /**
   * The application's second factors, for `StepUpService.verifyFactor`, which sees to it that codes are
   * neither guessed nor used twice.
   * @defaultValue none
   */
  readonly secondFactor?: SecondFactor;
}
