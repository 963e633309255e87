import type { AuthorizationLogin } from '../endpoints/authorization-login.js';
import type { Duration } from '../kernel/duration.js';

/** Options of the code flow at `authorizationPath` (RFC 6749 §4.1, with PKCE alone). */
export interface AuthorizationOptions {
  /**
   * The login of the application, asked with every authorization request: it knows the user, shows a
   * page, or says no. It has 10 s; whatever is no answer is `server_error` to the client.
   */
  readonly login: AuthorizationLogin;

  /**
   * Scope that clients can be granted at all, and that the metadata names.
   * @defaultValue `[]`: no scope; roles and claims are the login's to grant
   */
  readonly scopes?: readonly string[];

  /**
   * How long a code is good for, from `'1s'` to `'60s'`. Once.
   * @defaultValue `'60s'`
   */
  readonly codeFor?: Duration;
}
