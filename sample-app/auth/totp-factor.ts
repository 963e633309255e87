import { type FactorAsk, type ProvenFactor, SecondFactor } from 'nest-jwt-hardening';
import { Secret, TOTP } from 'otpauth';

import { ACR } from './acr.js';

/** Steps of 30 seconds that a user's clock may be off, and that typing may take. */
const WINDOW = 1;

const CODE = /^\d{6}$/;

/**
 * Codes of an authenticator app (RFC 6238). The library sees to it that nobody guesses them and that
 * each is good once. The secrets are in this process, as the users of a demo may be; a real service
 * keeps them sealed where all its processes look.
 */
export class TotpFactor extends SecondFactor {
  readonly #byUser = new Map<string, TOTP>();

  isEnrolled(user: string): boolean {
    return this.#byUser.has(user);
  }

  /** The URI for the user's app, which is told this once; `undefined` for who has one already. */
  enrol(user: string): string | undefined {
    if (this.#byUser.has(user)) return undefined;
    const totp = new TOTP({ issuer: 'ledger', label: user, secret: new Secret({ size: 20 }) });
    this.#byUser.set(user, totp);
    return totp.toString();
  }

  forget(user: string): void {
    this.#byUser.delete(user);
  }

  override async verify({ subject, code }: FactorAsk): Promise<ProvenFactor | null> {
    const totp = this.#byUser.get(subject);
    // People type it as it is shown, in two groups.
    const token = code.replaceAll(' ', '');
    if (totp === undefined || !CODE.test(token)) return null;
    const timestamp = Date.now();
    const delta = totp.validate({ token, timestamp, window: WINDOW });
    if (delta === null) return null;
    // RFC 6238 §5.2: the code is that of a time step, which is good once.
    const codeId = String(totp.counter({ timestamp }) + delta);
    return { amr: ['pwd', 'otp'], acr: ACR.mfa, codeId };
  }
}
