import { createHmac, timingSafeEqual } from 'node:crypto';

import { LRUCache } from 'lru-cache';

import type { Clock } from '../../kernel/clock.js';
import type { SenderKey, SenderSecrets } from '../sender-secrets.js';

/**
 * The nonces proofs have to repeat (RFC 9449 §8, §9): an instant and a MAC over it. Nothing is stored,
 * so every instance knows those of every other, and those that an older secret made. A nonce is the
 * same for everybody for an eighth of its life; it shows when a proof was made, not by whom.
 */

/** Lengths in milliseconds. */
export interface NonceLimits {
  readonly validFor: number;
  /** How far the clocks of instances may differ. */
  readonly leeway: number;
}

/** Whether a nonce is taken, and whether the client should be told the next. */
export type NonceVerdict = 'good' | 'soonOver' | 'unknown';

const PURPOSE = 'dpop nonce';

/** The name of the key, the instant, the MAC: 6 bytes of name and of instant, 16 of MAC. */
const NONCE = /^(?<id>[A-Za-z0-9_-]{8})(?<at>[A-Za-z0-9_-]{8})[A-Za-z0-9_-]{22}$/;

/** More than are good at one time, of all secrets together. */
const REMEMBERED = 64;

/** Makes nonces, and tells those it would have made. */
export class ProofNonces {
  readonly #limits: NonceLimits;
  readonly #keys: readonly [SenderKey, ...SenderKey[]];
  readonly #clock: Clock;
  /** The instants of nonces that were right. Only right ones enter. */
  readonly #right = new LRUCache<string, number>({ max: REMEMBERED });
  #newest = { at: NaN, text: '' };

  constructor(limits: NonceLimits, secrets: SenderSecrets, clock: Clock) {
    this.#limits = limits;
    this.#keys = secrets.derive(PURPOSE);
    this.#clock = clock;
  }

  /** One that is good from now on. */
  fresh(): string {
    const step = this.#limits.validFor / 8;
    const at = Math.floor(Math.floor(this.#clock.now() / step) * step);
    if (this.#newest.at !== at) this.#newest = { at, text: write(this.#keys[0], at) };
    return this.#newest.text;
  }

  /** What to make of the nonce of a proof. */
  judge(nonce: string): NonceVerdict {
    const at = this.#right.get(nonce) ?? this.#read(nonce);
    if (at === undefined) return 'unknown';
    const { validFor, leeway } = this.#limits;
    const age = this.#clock.now() - at;
    // Also what an instance made whose clock was ahead and was set right since.
    if (age < -leeway || age >= validFor + leeway) return 'unknown';
    return age < validFor / 2 ? 'good' : 'soonOver';
  }

  #read(nonce: string): number | undefined {
    const { id, at = '' } = NONCE.exec(nonce)?.groups ?? {};
    const key = this.#keys.find((candidate) => candidate.id === id);
    if (key === undefined) return undefined;
    const instant = Buffer.from(at, 'base64url').readUIntBE(0, 6);
    // As a whole text, so that it has one spelling.
    const right = Buffer.from(write(key, instant), 'latin1');
    if (!timingSafeEqual(right, Buffer.from(nonce, 'latin1'))) return undefined;
    this.#right.set(nonce, instant);
    return instant;
  }
}

function write({ id, key }: SenderKey, at: number): string {
  const instant = Buffer.alloc(6);
  instant.writeUIntBE(at, 0, 6);
  const mac = createHmac('sha256', key).update(instant).digest().subarray(0, 16);
  return id + instant.toString('base64url') + mac.toString('base64url');
}
