/** Ends sessions in the store: idempotent, and nothing for sessions that are not there. */
export interface RevokedSessions {
  endSession(sid: string): Promise<void>;
  /** @param except the `sid` of the session that goes on */
  endSubject(sub: string, except: string | null): Promise<void>;
}
