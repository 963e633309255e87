import { readFileSync } from 'node:fs';
import { join } from 'node:path';

/** Where the copied vectors lie (test/vectors/data/SOURCES.md). */
export const DATA = join(__dirname, 'data');

export function readVectors(file: string): unknown {
  return JSON.parse(readFileSync(join(DATA, file), 'utf8'));
}

/** The rows of a JSON Lines file. */
export function readRows(file: string): readonly unknown[] {
  return readFileSync(join(DATA, file), 'utf8')
    .split('\n')
    .filter((line) => line.trim() !== '')
    .map((line) => JSON.parse(line) as unknown);
}
