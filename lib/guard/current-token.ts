import type { VerifiedToken } from '../tokens/verified-token.js';

/** Registered, so that a second copy of this package in a dependency tree finds the same token. */
const TOKEN = Symbol.for('nest-jwt-hardening:token');

interface Carrier {
  [TOKEN]?: VerifiedToken;
}

/**
 * The verified token of a request, for interceptors, filters and loggers; handlers take
 * `@CurrentToken()`. `undefined` until the guard has accepted one.
 */
export function currentToken(request: object): VerifiedToken | undefined {
  return (request as Carrier)[TOKEN];
}

/** @internal For the guard, after its last check. */
export function setCurrentToken(request: object, token: VerifiedToken): void {
  (request as Carrier)[TOKEN] = token;
}
