import type { KeyError } from '../kernel/errors.js';
import { BackOff } from './back-off.js';
import { CKR, type Handle, returnValueOf, type TokenInfo } from './cryptoki.js';
import { describe, LoginFailedError, tokenFailed } from './token-failure.js';

const PIN_REFUSED: ReadonlySet<number> = new Set([
  CKR.PIN_INCORRECT,
  CKR.PIN_INVALID,
  CKR.PIN_LEN_RANGE,
  CKR.PIN_EXPIRED,
  CKR.PIN_LOCKED,
]);

/** The PIN never got to the token. */
const UNREACHED: ReadonlySet<number> = new Set([
  0x32, // CKR_DEVICE_REMOVED
  0xb0, // CKR_SESSION_CLOSED
  0xb3, // CKR_SESSION_HANDLE_INVALID
  0xe0, // CKR_TOKEN_NOT_PRESENT
  0x190, // CKR_CRYPTOKI_NOT_INITIALIZED
]);

/** Tokens lock themselves after three wrong PINs or more, and some call them by a general error. */
const MAX_UNCLEAR = 2;

interface Failures {
  readonly backOff: BackOff;
  unclear: number;
  end: 'refused' | 'unclear' | undefined;
}

const failures = new Map<string, Failures>();

/**
 * Keeps this process from locking a token by logging in: across vaults and modules, a token that
 * refused the PIN is never asked again, one that failed for a reason that may be the PIN is asked
 * once more, and between any two attempts that fail there is a pause.
 */
export class LoginGuard {
  readonly #token: string;

  constructor(slot: Handle, token: TokenInfo) {
    this.#token = identify(slot, token);
  }

  /** @throws KeyError while a login could cost the token an attempt it should not */
  assertMayLogIn(): void {
    const known = failures.get(this.#token);
    if (known?.end !== undefined) throw ended(known.end);
    if (known?.backOff.isPausing === true) {
      throw tokenFailed('its last login failed, and the next is not tried yet');
    }
  }

  /** Takes note of what `C_Login` threw; gives the error that may leave this package. */
  failed(error: unknown): KeyError {
    const value = returnValueOf(error);
    const known = failures.get(this.#token) ?? {
      backOff: new BackOff(),
      unclear: 0,
      end: undefined,
    };
    failures.set(this.#token, known);
    known.backOff.pause();
    if (value !== undefined && PIN_REFUSED.has(value)) known.end = 'refused';
    else if (value === undefined || !UNREACHED.has(value)) {
      known.unclear++;
      if (known.unclear >= MAX_UNCLEAR) known.end = 'unclear';
    }
    if (known.end !== undefined) return ended(known.end);
    return new LoginFailedError(`login failed, ${describe(error)}`, { cause: error });
  }

  /** The token took the PIN, so its count of attempts starts over. */
  succeeded(): void {
    failures.delete(this.#token);
  }
}

function ended(end: 'refused' | 'unclear'): KeyError {
  return tokenFailed(
    end === 'refused'
      ? 'it refused the PIN, which is not tried again before a restart'
      : 'its login failed twice, which is not tried again before a restart',
  );
}

/** Some makers number nothing: such tokens are told apart by their slot and label. */
function identify(slot: Handle, { serialNumber, label }: TokenInfo): string {
  const serial = bare(serialNumber);
  if (/[^0]/.test(serial)) return JSON.stringify([serial]);
  return JSON.stringify([serial, slot.toString('hex'), bare(label)]);
}

/** PKCS#11 pads texts with blanks; some tokens with zeros. */
export function bare(text: string): string {
  return text.replace(/[\s\0]+$/, '');
}
