import { appendFileSync, mkdirSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

/**
 * Keeps everything the whole test run logs and answers, so that its end can search it for token and
 * key material (test/support/global-teardown.ts).
 */
const DIRECTORY = 'NJH_WITNESS_DIRECTORY';

export function openWitness(): void {
  const directory = join(tmpdir(), `nest-jwt-hardening-${process.pid}`);
  mkdirSync(directory, { recursive: true });
  process.env[DIRECTORY] = directory;
}

/** Something a log or an answer said. */
export function recordOutput(text: string): void {
  record('output', text);
}

/** A token, key or password that must appear in no output. */
export function recordSecret(secret: string): void {
  record('secrets', secret);
}

/** A suite that cannot run here, and what it would need; said in one line at the end of the run. */
export function recordNotRun(suite: string, need: string): void {
  record('not-run', `${suite} (needs ${need})`);
}

/** The first secrets found in the outputs, described without repeating them; closes the witness. */
export function closeWitness(): {
  readonly leaks: readonly string[];
  readonly searched: number;
  readonly notRun: readonly string[];
} {
  const directory = process.env[DIRECTORY];
  if (directory === undefined) throw new Error('the witness was never opened');
  const read = (kind: string): string =>
    readdirSync(directory)
      .filter((name) => name.startsWith(kind))
      .map((name) => readFileSync(join(directory, name), 'utf8'))
      .join('\n');
  const output = read('output');
  const secrets = new Set(read('secrets').split('\n').flatMap(recognisableParts));
  const notRun = read('not-run').split('\n').filter(Boolean);
  rmSync(directory, { recursive: true });
  return { leaks: findLeaks(output, secrets), searched: output.length, notRun };
}

function record(kind: string, text: string): void {
  const directory = process.env[DIRECTORY];
  if (directory !== undefined)
    appendFileSync(join(directory, `${kind}-${process.pid}`), `${text}\n`);
}

/** A token leaks as a whole or by its payload or signature; its header is public. */
function recognisableParts(secret: string): readonly string[] {
  return secret
    .split('.')
    .slice(secret.includes('.') ? 1 : 0)
    .filter((part) => part.length >= 16);
}

const SHAPES: ReadonlyArray<readonly [string, RegExp]> = [
  ['a compact token', /\beyJ[\w-]{8,}\.[\w-]*\.[\w-]*/],
  ['a private JWK', /"d"\s*:\s*"[\w-]{8,}"/],
  ['a private PEM', /-----BEGIN [A-Z ]*PRIVATE KEY/],
];

function findLeaks(output: string, secrets: ReadonlySet<string>): readonly string[] {
  const shapes = SHAPES.flatMap(([name, shape]) => {
    const at = output.search(shape);
    return at < 0 ? [] : [`${name}: ${excerpt(output, at)}`];
  });
  const words = new Set(output.match(/[\w-]{16,}/g));
  const known = [...secrets].filter((secret) => words.has(secret));
  return [
    ...shapes,
    ...known.map((secret) => `part of a token: ${excerpt(output, output.indexOf(secret))}`),
  ];
}

function excerpt(output: string, at: number): string {
  return `…${output.slice(Math.max(0, at - 120), at).replaceAll('\n', ' ⏎ ')}[here]`;
}
