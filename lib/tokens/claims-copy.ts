import { ClaimError } from '../kernel/errors.js';
import type { ClaimInput } from './claims.js';
import { MAX_TOKEN_LENGTH } from './compact.js';

/**
 * Copies what a caller passes, reading every value once, so that what was checked is what is signed.
 * Refuses what JSON would drop or change in silence (NaN, dates, class instances, functions), what the
 * strict reader on the other side would refuse, and what no token has room for.
 */

/** JSON that belongs to nobody else. */
export type ClaimCopy =
  string | number | boolean | null | ClaimCopy[] | { [name: string]: ClaimCopy };

/** Deeper than this, the strict reader on the other side might refuse the token. */
const MAX_DEPTH = 12;

/** @throws ClaimError `ERR_CLAIM_INVALID`, `ERR_CLAIM_TOO_LARGE` */
export function copyClaims(input: object): Record<string, ClaimCopy> {
  return new Copier().copyMembers('', input, -1);
}

/** A claim is malformed; names it, never its value. */
export function malformed(path: string, reason: string): ClaimError {
  return new ClaimError('ERR_CLAIM_INVALID', `The claim ${printable(path)} ${reason}.`);
}

/** A path for a message: member names below the first can be data, so strange ones are left out. */
export function printable(path: string): string {
  const [name = ''] = path.split('.');
  return [path, name].find((text) => /^[\w.-]{1,64}$/.test(text)) ?? '(unprintable)';
}

class Copier {
  /** Characters and members that still fit. */
  #room = MAX_TOKEN_LENGTH;

  copyMembers(path: string, source: object, depth: number): Record<string, ClaimCopy> {
    const copy: Record<string, ClaimCopy> = {};
    for (const [name, value] of Object.entries(source) as [string, ClaimInput | undefined][]) {
      const inner = path === '' ? name : `${path}.${name}`;
      if (name === '__proto__') throw malformed(inner, 'is reserved by the runtime');
      if (!name.isWellFormed()) throw malformed(inner, 'holds a lone surrogate');
      this.#take(name.length);
      if (value !== undefined) copy[name] = this.#copy(inner, value, depth + 1);
    }
    return copy;
  }

  #copy(path: string, value: ClaimInput | undefined, depth: number): ClaimCopy {
    if (depth > MAX_DEPTH) throw malformed(path, 'is nested too deeply');
    this.#take(typeof value === 'string' ? value.length : 1);
    if (value === null || typeof value === 'boolean') return value;
    if (typeof value === 'string') {
      if (!value.isWellFormed()) throw malformed(path, 'holds a lone surrogate');
      return value;
    }
    if (typeof value === 'number') {
      if (!Number.isFinite(value)) throw malformed(path, 'is not a finite number');
      return value;
    }
    if (typeof value !== 'object' || 'toJSON' in value) throw malformed(path, 'is not JSON');
    if (Array.isArray(value)) {
      const items = value as readonly ClaimInput[];
      // Unlike `map`, this meets the holes of a list.
      return Array.from(items, (item, index) => this.#copy(`${path}.${index}`, item, depth + 1));
    }
    if (!isPlainObject(value)) throw malformed(path, 'is not JSON');
    return this.copyMembers(path, value, depth);
  }

  #take(amount: number): void {
    this.#room -= amount;
    if (this.#room >= 0) return;
    throw new ClaimError(
      'ERR_CLAIM_TOO_LARGE',
      'The claims make the token too long to be accepted.',
    );
  }
}

function isPlainObject(value: object): boolean {
  const prototype: unknown = Object.getPrototypeOf(value);
  return prototype === Object.prototype || prototype === null;
}
