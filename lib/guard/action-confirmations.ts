import type { VerifiedToken } from '../tokens/verified-token.js';
import type { HttpRequest } from './credentials.js';

/** Port: what the guard asks where a route demands that its user confirmed the action. */
export abstract class ActionConfirmations {
  /**
   * Uses up the confirmation that a request brings. Of any number of requests with the same one, on
   * whatever instance, one goes through.
   * @throws StepUpRequired with the action, if there is none, or it is not for this action of this
   * token's subject and session, or it was used before
   * @throws AccessError `ERR_ACCESS_AMBIGUOUS_CREDENTIALS` if there are two
   * @throws KeyError, RevocationError, StoreError while that cannot be said
   */
  abstract consume(input: {
    readonly request: HttpRequest;
    /** Which the guard has accepted. */
    readonly token: VerifiedToken;
    readonly action: string;
  }): Promise<void>;
}
