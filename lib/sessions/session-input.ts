import { hash } from 'node:crypto';

import { type Duration, durationToMs } from '../kernel/duration.js';
import type { SessionBinding } from './session.js';

/** Reads what an application says of a session, and doubts it. */

const MAX_DEVICE = 200;
const MAX_BINDING = 1024;

/** A label that people read: what steers a terminal or reorders text is no part of one. */
export function readDevice(device: string | undefined): string | undefined {
  if (device === undefined) return undefined;
  const printable = device
    .toWellFormed()
    .replace(/[\p{C}\p{Zl}\p{Zp}]+/gu, ' ')
    .trim();
  const label = Array.from(printable).slice(0, MAX_DEVICE).join('');
  return label === '' ? undefined : label;
}

/** What the store keeps of a binding. @throws TypeError for what is none */
export function bindingDigest(binding: SessionBinding | undefined): string | null {
  if (binding === undefined) return null;
  const { kind, value } = binding;
  if (typeof value !== 'string' || value === '' || value.length > MAX_BINDING) {
    throw new TypeError(`The value of a binding is 1 to ${MAX_BINDING} characters.`);
  }
  return hash('sha256', `${kind}\0${value}`, 'base64url');
}

/** A length in milliseconds that is not longer than configured. @throws TypeError */
export function shorter(name: string, given: Duration | undefined, longest: number): number {
  const milliseconds = given === undefined ? longest : durationToMs(given);
  if (milliseconds !== undefined && milliseconds >= 1_000 && milliseconds <= longest) {
    return milliseconds;
  }
  throw new TypeError(`${name} is from 1s up to what sessions.${name} says.`);
}
