/** The public surface of `nest-jwt-hardening/client`: for browsers, without any dependency. */
export { createAuthClient } from './auth-client.js';
export type { AuthClient, Credentials } from './auth-client.js';
export { browserSignals } from './browser-signals.js';
export { AuthClientError } from './auth-client-error.js';
export type { AuthClientErrorCode } from './auth-client-error.js';
export type { AuthClientOptions, AuthPaths, AuthTransport } from './options.js';
export type { AuthState, SessionEnd } from './session-keeper.js';
