/** Why the client did not do what it was asked for. Stable. */
export type AuthClientErrorCode =
  /** The server cannot be reached, or cannot answer now. Nobody is signed out by that. */
  | 'ERR_CLIENT_UNAVAILABLE'
  /** The server said no to a login or logout: `response` is its answer. */
  | 'ERR_CLIENT_REFUSED'
  /** The server's answer is not one of this library's server. */
  | 'ERR_CLIENT_ANSWER'
  /** The request was for another origin than the client's own, and was not sent. */
  | 'ERR_CLIENT_ORIGIN'
  /** `close` was called. */
  | 'ERR_CLIENT_CLOSED';

const MESSAGES: Readonly<Record<AuthClientErrorCode, string>> = {
  ERR_CLIENT_UNAVAILABLE: 'the server cannot answer now',
  ERR_CLIENT_REFUSED: 'the server refused',
  ERR_CLIENT_ANSWER: 'the server gave no usable answer',
  ERR_CLIENT_ORIGIN: 'not sent: another origin',
  ERR_CLIENT_CLOSED: 'closed',
};

interface Circumstances {
  readonly response?: Response;
  /** Seconds. */
  readonly retryAfter?: number | undefined;
  readonly cause?: unknown;
}

/** What every method of the client rejects with. Its text is constant: never part of a token. */
export class AuthClientError extends Error {
  override readonly name = 'AuthClientError';
  /** What the server answered a login or logout that it refused. */
  readonly response: Response | undefined;
  /** Seconds the server wants to be left alone, if it said so. */
  readonly retryAfter: number | undefined;

  constructor(
    readonly code: AuthClientErrorCode,
    { response, retryAfter, cause }: Circumstances = {},
  ) {
    super(MESSAGES[code], { cause });
    this.response = response;
    this.retryAfter = retryAfter;
  }
}
