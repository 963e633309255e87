/** What somebody shows besides a password, for the application to judge. */
export interface FactorAsk {
  readonly subject: string;
  /** 1 to 64 characters, as they were typed. */
  readonly code: string;
  /** The platform's request, for what else it may show. */
  readonly request?: unknown;
}

/** A code that was right, and what that proves. */
export interface ProvenFactor {
  /** By what the user authenticated with it, such as `['pwd', 'otp']` (RFC 8176). */
  readonly amr: readonly string[];
  /** How strongly, in the application's own terms. */
  readonly acr?: string;
  /**
   * What makes this code this one, however it was typed, such as the time step of a TOTP (RFC 6238
   * §5.2): 1 to 255 characters. It is good once for each subject. After an hour that is forgotten; who
   * takes codes for longer has to strike them off.
   */
  readonly codeId: string;
}

/** Port: the application's second factors. Guessing and replaying are prevented by who asks. */
export abstract class SecondFactor {
  /**
   * Whether a code is right; `null` for a wrong one, and for subjects without a second factor. It has
   * 5 s, and is asked at most 5 times in a row for each subject; then ever more rarely.
   */
  abstract verify(ask: FactorAsk): Promise<ProvenFactor | null>;
}
