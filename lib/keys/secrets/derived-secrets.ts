import { createHash, createSecretKey, hkdfSync, KeyObject } from 'node:crypto';

import { LRUCache } from 'lru-cache';

import { KeyError } from '../../kernel/errors.js';
import { isKid } from '../key-material.js';

/**
 * One shared secret per issuer, subject and period, from a master secret (HKDF, RFC 5869): a derived
 * secret that leaks signs for one subject in one period, and says nothing of the master or of any
 * other derived secret.
 */

/** Whose secret, and for when. */
export interface DerivedSecretOwner {
  /** The `iss` the secret signs for. Compared by code points: no normalisation, no case folding. */
  readonly issuer: string;
  /** The `sub` the secret signs for, in the same way. */
  readonly subject: string;
  /** The index of the period, as `periodOf` counts. */
  readonly period: number;
}

/** A derived secret to be made. */
export interface DerivedSecretRequest extends DerivedSecretOwner {
  /** At least 32 bytes; how strong they are is for `assertStrongSecret` to judge. */
  readonly master: KeyObject | Uint8Array;
}

/** A derived secret to be made by way of the cache, which must know the master again. */
export interface CachedSecretRequest extends DerivedSecretOwner {
  readonly masterKid: string;
  readonly master: KeyObject;
}

/** The two parts of the `kid` of a derived secret. */
export interface DerivedKid {
  readonly masterKid: string;
  readonly period: number;
}

/** RFC 7518 §3.2: as long as the hash of HS256. A shorter master could not fill it either. */
const SECRET_BYTES = 32;

/** Binds the output to this use and to this encoding; another version would be another label. */
const LABEL = Buffer.from('nest-jwt-hardening/derived-secret/1\0');

/** Twelve digits: periods of one second last for 31 000 years. */
const MAX_PERIOD = 999_999_999_999;
const PERIOD = /^(?:0|[1-9][0-9]{0,11})$/;

/** Characters of issuer, subject and master kid that count as one entry of the cache. */
const TYPICAL_LENGTH = 256;

/**
 * The 32-byte HS256 secret of one issuer, subject and period. The same request gives the same secret
 * on every instance and in every version of this package.
 * @throws KeyError `ERR_KEY_WEAK` if the master is short, `ERR_KEY_INVALID` if the request is not
 * one that could be told apart from every other.
 */
export function deriveSecret({ master, ...owner }: DerivedSecretRequest): KeyObject {
  const secret = hkdfSync('sha256', masterBytes(master), '', infoOf(owner), SECRET_BYTES);
  return createSecretKey(Buffer.from(secret));
}

/**
 * Which period an instant belongs to, counted from 1970.
 * @param iatSeconds the token's `iat`; a fraction of a second is dropped (RFC 7519 §2)
 * @param periodLengthSeconds a whole number of seconds, at least 1
 * @throws KeyError `ERR_KEY_INVALID` if `iat` cannot be in any period
 * @throws TypeError if the length is not one
 */
export function periodOf(iatSeconds: number, periodLengthSeconds: number): number {
  if (!Number.isSafeInteger(periodLengthSeconds) || periodLengthSeconds < 1) {
    throw new TypeError('The length of a period is a whole number of seconds, at least 1.');
  }
  const period = Math.floor(iatSeconds / periodLengthSeconds);
  if (!isPeriod(period)) throw invalid('its instant is in no period');
  return period;
}

/**
 * The `kid` of a derived secret: `<masterKid>.<period>`.
 * @throws KeyError `ERR_KEY_INVALID` if the result would be no `kid`
 */
export function composeDerivedKid({ masterKid, period }: DerivedKid): string {
  const kid = `${masterKid}.${period}`;
  if (!isKid(masterKid) || !isPeriod(period) || !isKid(kid)) {
    throw invalid('its kid would be malformed or longer than 128 characters');
  }
  return kid;
}

/**
 * Reads the `kid` of a derived secret; `undefined` for anything `composeDerivedKid` does not write.
 *
 * A master's own `kid` may hold dots, so the last one separates. Every period has one spelling:
 * `k.07` and `k.7` naming one secret would let a token dodge whatever remembers kids.
 */
export function parseDerivedKid(kid: unknown): DerivedKid | undefined {
  if (!isKid(kid)) return undefined;
  const dot = kid.lastIndexOf('.');
  const masterKid = kid.slice(0, Math.max(dot, 0));
  const digits = kid.slice(dot + 1);
  if (!isKid(masterKid) || !PERIOD.test(digits)) return undefined;
  return { masterKid, period: Number(digits) };
}

/**
 * Remembers derived secrets. Bounded, least recently used first.
 *
 * `derive` only looks; a secret enters by `remember`, which is for the moment it has verified or
 * signed something. Tokens with made-up subjects therefore push nothing out.
 */
export class DerivedSecretCache {
  readonly #entries: LRUCache<string, { readonly master: KeyObject; readonly secret: KeyObject }>;

  /** @param maxEntries how many secrets of typical owners it holds; long names count for several */
  constructor(maxEntries: number) {
    this.#entries = new LRUCache({
      max: maxEntries,
      maxSize: maxEntries * TYPICAL_LENGTH,
      sizeCalculation: (_entry, name) => name.length,
    });
  }

  /** The remembered secret, or a fresh one. Throws as `deriveSecret` does. */
  derive(request: CachedSecretRequest): KeyObject {
    const entry = this.#entries.get(nameOf(request));
    // A kid can come back with another master, after a restore for example.
    return entry !== undefined && entry.master === request.master
      ? entry.secret
      : deriveSecret(request);
  }

  remember(request: CachedSecretRequest, secret: KeyObject): void {
    this.#entries.set(nameOf(request), { master: request.master, secret });
  }

  /** Drops every secret of a master that is retired or compromised. */
  forget(masterKid: string): void {
    const prefix = prefixOf(masterKid);
    const names = [...this.#entries.keys()].filter((name) => name.startsWith(prefix));
    for (const name of names) this.#entries.delete(name);
  }

  /** How many secrets it remembers. */
  get size(): number {
    return this.#entries.size;
  }
}

function masterBytes(master: KeyObject | Uint8Array): KeyObject | Uint8Array {
  if (master instanceof KeyObject && master.type !== 'secret') {
    // A public key as the master would let everyone derive every secret.
    throw invalid('its master is not a shared secret');
  }
  const size = master instanceof KeyObject ? master.symmetricKeySize : master.byteLength;
  if (size === undefined || size < SECRET_BYTES) {
    throw new KeyError(
      'ERR_KEY_WEAK',
      `The secret cannot be derived: its master has fewer than ${SECRET_BYTES} bytes.`,
    );
  }
  return master;
}

/**
 * The `info` of HKDF. Each text goes with its length in front, so that no two owners share an
 * encoding; digested, because `info` may have 1024 bytes and a subject more.
 */
function infoOf({ issuer, subject, period }: DerivedSecretOwner): Buffer {
  if (!isPeriod(period)) throw invalid('its period is not a whole number from 0 on');
  const index = Buffer.alloc(8);
  index.writeBigUInt64BE(BigInt(period));
  const owner = createHash('sha256');
  for (const text of [issuer, subject]) {
    // UTF-8 has one replacement for all lone surrogates, which would make subjects equal.
    if (text === '' || !text.isWellFormed()) {
      throw invalid('its issuer or subject is empty or not Unicode');
    }
    const bytes = Buffer.from(text);
    const length = Buffer.alloc(4);
    length.writeUInt32BE(bytes.length);
    owner.update(length).update(bytes);
  }
  return Buffer.concat([LABEL, owner.update(index).digest()]);
}

function isPeriod(value: number): boolean {
  return Number.isSafeInteger(value) && value >= 0 && value <= MAX_PERIOD;
}

// No kid holds a quote or a comma, so that one prefix is not the beginning of another.
function prefixOf(masterKid: string): string {
  return `["${masterKid}",`;
}

function nameOf({ masterKid, issuer, subject, period }: CachedSecretRequest): string {
  if (!isKid(masterKid)) throw invalid('its kid is malformed');
  return `${prefixOf(masterKid)}${JSON.stringify([period, issuer, subject])}`;
}

function invalid(reason: string): KeyError {
  return new KeyError('ERR_KEY_INVALID', `The secret cannot be derived: ${reason}.`);
}
