import { AccessError } from '../kernel/errors.js';
import type { VerifiedToken } from '../tokens/verified-token.js';
import type { HttpRequest } from './credentials.js';

/**
 * What the guard asks of the transport. Each part is `null` where the application has no use for it,
 * so that it costs nothing there.
 */
export abstract class RequestTransport {
  /** `null`: http will do. */
  abstract readonly https: HttpsDemand | null;
  /** `null`: a cookie is never taken for a token. */
  abstract readonly cookies: CookieCredentials | null;
}

/** Where every request must have come over https. */
export interface HttpsDemand {
  /** @throws InsecureRequest if the request came over anything else */
  assertSecure(request: HttpRequest): void;
}

/** Takes access tokens from cookies, which browsers add to requests that others made up. */
export interface CookieCredentials {
  /**
   * The access token in the request's cookies, or `undefined` if there is none.
   * @throws AccessError `ERR_ACCESS_AMBIGUOUS_CREDENTIALS` if there is another token, anywhere
   * @throws AccessError `ERR_ACCESS_CSRF` if another site may have sent the request
   */
  readToken(request: HttpRequest): string | undefined;

  /**
   * Whether the token may travel in a cookie, and its session's own page sent the request.
   * @throws TokenError `ERR_TOKEN_BINDING` if the token is not for a cookie
   * @throws AccessError `ERR_ACCESS_CSRF` if the CSRF token is missing or another session's
   */
  assertIntended(request: HttpRequest, token: VerifiedToken): void;
}

/** A request came over http. */
export class InsecureRequest extends AccessError {
  /** @param location where the same is to be had over https; `undefined` if that must not be said */
  constructor(readonly location: string | undefined) {
    super('ERR_ACCESS_INSECURE', 'the request did not come over https');
  }
}
