/** Port: things that may be used once: proofs, confirmations, codes. */
export abstract class ReplayStore {
  /**
   * Claims a key until `expiresAt` (milliseconds since the epoch). Of any number of concurrent
   * claims, by whatever instance, exactly one is answered `true`. A key whose `expiresAt` has passed
   * is never granted. Rejects when it cannot remember the claim, so that nothing is granted unremembered.
   */
  abstract claimOnce(claim: {
    /** 1 to 512 characters. */
    readonly key: string;
    readonly expiresAt: number;
  }): Promise<boolean>;
}
