import { hash } from 'node:crypto';

import { isThumbprint } from '../binding/confirmation.js';
import { type Duration, durationToMs } from '../kernel/duration.js';
import { ClaimError } from '../kernel/errors.js';
import type { Carrier, SessionBinding } from './session.js';

/** Reads what an application says of a session, and doubts it. */

const MAX_DEVICE = 200;

/** Nobody reads the end of what is longer; marks that are no part of a label leave room for others. */
const MAX_READ = 4 * MAX_DEVICE;

const CARRIERS: readonly unknown[] = ['body', 'cookie'] satisfies Carrier[];

const BINDING_KINDS: readonly unknown[] = [
  'dpop',
  'mtls',
  'cookie',
] satisfies SessionBinding['kind'][];

/** @throws TypeError for one that there is not: its tokens would lack what protects them */
export function readCarrier(carrier: Carrier = 'body'): Carrier {
  if (CARRIERS.includes(carrier)) return carrier;
  throw new TypeError(`carrier is ${CARRIERS.join(' or ')}.`);
}

/** A label that people read: what steers a terminal or reorders text is no part of one. */
export function readDevice(device: string | undefined): string | undefined {
  if (device === undefined) return undefined;
  if (typeof device !== 'string') throw new TypeError('device is a text.');
  const printable = device
    .slice(0, MAX_READ)
    .toWellFormed()
    .replace(/[\p{C}\p{Zl}\p{Zp}]+/gu, ' ')
    .trim();
  const label = Array.from(printable).slice(0, MAX_DEVICE).join('');
  return label === '' ? undefined : label;
}

/**
 * What the store keeps of a binding, to be equal each time; of a cookie nothing, as it changes.
 * @throws TypeError for what is none
 */
export function bindingDigest(binding: SessionBinding | undefined): string | null {
  if (binding === undefined) return null;
  const { kind } = binding;
  if (!BINDING_KINDS.includes(kind)) {
    throw new TypeError(`The kind of a binding is one of ${BINDING_KINDS.join(', ')}.`);
  }
  if (kind === 'cookie') return null;
  if (!isThumbprint(binding.value)) {
    throw new TypeError('The value of a binding is a SHA-256 thumbprint in base64url.');
  }
  return hash('sha256', `${kind}\0${binding.value}`, 'base64url');
}

/** A length in milliseconds that is not longer than configured. @throws TypeError */
export function shorter(name: string, given: Duration | undefined, longest: number): number {
  const milliseconds = given === undefined ? longest : durationToMs(given);
  if (milliseconds !== undefined && milliseconds >= 1_000 && milliseconds <= longest) {
    return milliseconds;
  }
  throw new TypeError(`${name} is from 1s up to what sessions.${name} says.`);
}

/**
 * Refuses members that are none: what was meant to narrow or to bind must not be ignored.
 * @throws TypeError
 */
export function expectMembers(given: object, names: readonly string[]): void {
  const unknown = Object.keys(given).find((name) => !names.includes(name));
  if (unknown !== undefined) throw new TypeError(`There is no ${unknown} of a session.`);
}

/** Browsers drop longer cookies, name included, and say nothing (RFC 6265bis §5.6). */
const COOKIE_ROOM = 4096 - '__Host-access_token'.length;

/**
 * Before anything is used up: a token that no cookie can carry is found out too late when it is written.
 * @throws ClaimError `ERR_CLAIM_TOO_LARGE`
 */
export function expectCookieRoom(accessToken: string): void {
  if (accessToken.length <= COOKIE_ROOM) return;
  throw new ClaimError('ERR_CLAIM_TOO_LARGE', 'The claims make the token too long for a cookie.');
}
