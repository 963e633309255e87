/**
 * How fast this machine is at the moment, by something that never changes: one ES256 verification on
 * one thread. Shared machines run at half speed for minutes on end.
 */
import { generateKeyPairSync, sign, verify } from 'node:crypto';

import { readProcess } from './processor-time.mjs';

/** What it took where the targets were set. */
export const REFERENCE_MICROSECONDS = 54;

const TIMES = 200;

const { privateKey, publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
const input = Buffer.alloc(560, 'x');
const signature = sign('sha256', input, privateKey);

/** Microseconds of processor time. */
export function takePace() {
  const before = readProcess(process.pid).main;
  for (let time = 0; time < TIMES; time++) verify('sha256', input, publicKey, signature);
  return (readProcess(process.pid).main - before) / TIMES / 1e3;
}
