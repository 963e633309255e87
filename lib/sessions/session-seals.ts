import { hash } from 'node:crypto';

import { seal, type Sealing, unseal } from './sealed-text.js';

/**
 * Seals what the store keeps of whom a session is for: under the session's own tokens, so that who
 * reads the store cannot open it, and under a secret of this service, so that who writes the store
 * cannot make a session of their own. Secrets can follow one another: the first seals, all open.
 */
export class SessionSeals {
  readonly #salts: ReadonlyMap<string, Buffer | null>;
  readonly #newest: string;

  /** @param salts 32 bytes each; `null` stands for none: then whoever writes the store can log in */
  constructor(salts: readonly (Buffer | null)[]) {
    this.#salts = new Map(salts.map((salt) => [nameOf(salt), salt]));
    this.#newest = nameOf(salts[0] ?? null);
  }

  seal(plain: Buffer, sealing: Sealing): string {
    const salt = this.#salts.get(this.#newest) ?? null;
    return `${this.#newest}.${seal(plain, withSalt(sealing, salt))}`;
  }

  /** `undefined` for what was not sealed like this, or under a secret that is gone. */
  unseal(text: string, sealing: Sealing): Buffer | undefined {
    const name = text.slice(0, text.indexOf('.'));
    const salt = this.#salts.get(name);
    if (salt === undefined) return undefined;
    return unseal(text.slice(name.length + 1), withSalt(sealing, salt));
  }

  isNewest(text: string): boolean {
    return text.startsWith(`${this.#newest}.`);
  }
}

function withSalt(sealing: Sealing, salt: Buffer | null): Sealing {
  return salt === null ? sealing : { ...sealing, salt };
}

/** A digest of random bits tells nothing of them. */
function nameOf(salt: Buffer | null): string {
  return salt === null ? '0' : hash('sha256', salt, 'base64url').slice(0, 8);
}
