import { createHash, randomBytes } from 'node:crypto';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { isLeakedSecret } from '../../../lib/keys/secrets/weak-secret-filter.js';
import { WEAK_SECRETS } from '../../../lib/keys/secrets/weak-secrets.data.js';
import { runProcess } from '../../support/processes.js';

const LIST = join(__dirname, '../../vectors/weak-secrets/jwt.secrets.public.txt');
const LIB = join(__dirname, '../../../lib/keys/secrets');
const DATA_FILES = ['weak-secrets.data.ts', 'letter-statistics.data.ts', 'usual-words.data.ts'];

const leaked = readFileSync(LIST, 'latin1')
  .split('\n')
  .filter((line) => line !== '')
  .map((line) => Buffer.from(line, 'latin1'));

const missed = (secrets: readonly Buffer[]): number =>
  secrets.filter((secret) => !isLeakedSecret(secret)).length;

describe('the filter of leaked secrets', () => {
  it('is built from a list of 51 969', () => {
    expect(leaked).toHaveLength(51_969);
  });

  it('finds every one of them', () => {
    expect(missed(leaked)).toBe(0);
  });

  it('finds every one of them by its SHA-256', () => {
    expect(missed(leaked.map((secret) => createHash('sha256').update(secret).digest()))).toBe(0);
  });

  it('finds the long ones in other letters and with white space around', () => {
    const long = leaked.filter(({ length }) => length >= 32).map((one) => one.toString('latin1'));
    const disguised = long.flatMap((text) => [
      ` ${text}\n`,
      `\0${text}\r\n`,
      text.replace(/[a-z]/g, (letter) => letter.toUpperCase()),
    ]);
    expect(disguised.length).toBeGreaterThan(2700);
    expect(missed(disguised.map((text) => Buffer.from(text, 'latin1')))).toBe(0);
  });

  it('finds no random secret', () => {
    const random = Array.from({ length: 20_000 }, () => randomBytes(32));
    expect(missed(random)).toBe(random.length);
  });

  it('takes a random secret for a leaked one with a probability below 10^-9', () => {
    // One question to the short table, and as many to the long one as there may be readings.
    const { short, long } = WEAK_SECRETS;
    expect(short.count / 2 ** short.bits + (100 * long.count) / 2 ** long.bits).toBeLessThan(1e-9);
  });

  it('holds none of the longer words in clear, in less than 300 kB', () => {
    const text = readFileSync(join(LIB, 'weak-secrets.data.ts'), 'latin1');
    expect(text.length).toBeLessThan(300_000);
    const stretches = new Set(Array.from(text, (_none, at) => text.slice(at, at + 8)));
    const words = leaked.map((word) => word.toString('latin1')).filter(({ length }) => length >= 8);
    const found = words.filter((word) => stretches.has(word.slice(0, 8)) && text.includes(word));
    expect(words.length).toBeGreaterThan(30_000);
    expect(found).toEqual([]);
  });
});

describe('the data files', () => {
  it('are what the generator makes of the lists', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'weak-secrets-'));
    try {
      const script = join(__dirname, 'weak-secrets/generate-filter.mjs');
      const { exitCode } = await runProcess({ args: [script, folder] });
      expect(exitCode).toBe(0);
      for (const file of DATA_FILES) {
        expect(readFileSync(join(folder, file), 'utf8')).toBe(
          readFileSync(join(LIB, file), 'utf8'),
        );
      }
    } finally {
      rmSync(folder, { recursive: true });
    }
  });
});
