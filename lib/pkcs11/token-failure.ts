import { ConfigError, KeyError } from '../kernel/errors.js';
import { returnValueOf } from './cryptoki.js';

/** Why a token did not do what it was asked; says nothing of PINs, handles, labels and keys. */

/** The token, or the library's way to it, is gone: another attempt may find it again. */
export class TokenLostError extends KeyError {
  constructor(reason: string, options?: ErrorOptions) {
    super('ERR_KEY_SIGNER_FAILED', sentence(reason), options);
  }
}

/** The login failed: it is not repeated for the same operation, since tokens count attempts. */
export class LoginFailedError extends KeyError {
  constructor(reason: string, options?: ErrorOptions) {
    super('ERR_KEY_SIGNER_FAILED', sentence(reason), options);
  }
}

export function tokenFailed(reason: string, cause?: unknown): KeyError {
  return new KeyError('ERR_KEY_SIGNER_FAILED', sentence(reason), { cause });
}

export function lookedForBefore(): TokenLostError {
  return new TokenLostError('it is lost, and was looked for a moment ago');
}

/** Any error as one that may leave this package. */
export function toKeyError(error: unknown): KeyError | ConfigError {
  if (error instanceof KeyError || error instanceof ConfigError) return error;
  return tokenFailed(describe(error), error);
}

/** The return value's name, which is a constant of the standard. */
export function describe(error: unknown): string {
  if (returnValueOf(error) === undefined) return 'its library failed';
  const { message } = error as Error;
  return /^CKR_[A-Z0-9_]{1,60}$/.test(message) ? `it answered ${message}` : 'it refused';
}

/**
 * Return values that say that the request is wrong, so that asking again is no use. Whatever else a
 * token answers can come from a session, a login or a device that is gone.
 */
const DEFINITE: ReadonlySet<number> = new Set([
  0x10, // CKR_ATTRIBUTE_READ_ONLY
  0x11, // CKR_ATTRIBUTE_SENSITIVE
  0x12, // CKR_ATTRIBUTE_TYPE_INVALID
  0x13, // CKR_ATTRIBUTE_VALUE_INVALID
  0x20, // CKR_DATA_INVALID
  0x21, // CKR_DATA_LEN_RANGE
  0x54, // CKR_FUNCTION_NOT_SUPPORTED
  0x62, // CKR_KEY_SIZE_RANGE
  0x63, // CKR_KEY_TYPE_INCONSISTENT
  0x68, // CKR_KEY_FUNCTION_NOT_PERMITTED
  0x70, // CKR_MECHANISM_INVALID
  0x71, // CKR_MECHANISM_PARAM_INVALID
  0xd0, // CKR_TEMPLATE_INCOMPLETE
  0xd1, // CKR_TEMPLATE_INCONSISTENT
  0xe2, // CKR_TOKEN_WRITE_PROTECTED
  0x130, // CKR_DOMAIN_PARAMS_INVALID
  0x140, // CKR_CURVE_NOT_SUPPORTED
]);

/** Whether a new session, or a library that starts over, may do better. */
export function isLost(error: unknown): boolean {
  if (error instanceof KeyError) return error instanceof TokenLostError;
  const value = returnValueOf(error);
  return value !== undefined && !DEFINITE.has(value);
}

function sentence(reason: string): string {
  return `The PKCS#11 token cannot be used: ${reason}.`;
}
