import leven from 'leven';

import { durationToMs, formatDuration } from '../kernel/duration.js';
import type { ConfigProblem } from '../kernel/errors.js';

/** Bounds of a length in milliseconds. */
interface DurationBounds {
  readonly min?: number;
  readonly max?: number;
  /** The length must be a multiple of this. */
  readonly step?: number;
}

/**
 * Reads options by path and notes what is wrong instead of throwing, so that all problems are
 * reported together. A value that is wrong reads as its default, to keep one mistake from looking
 * like several. Values never appear in a problem, only their kind: an option can be a secret.
 */
export class OptionReader {
  readonly #problems: ConfigProblem[] = [];

  constructor(private readonly options: unknown) {}

  get problems(): readonly ConfigProblem[] {
    return this.#problems;
  }

  /** The value at a dotted path, or `undefined`. */
  get(path: string): unknown {
    if (path === '') return this.options;
    try {
      return path.split('.').reduce<unknown>((value, name) => {
        if (typeof value !== 'object' || value === null) return undefined;
        return Object.hasOwn(value, name) ? (value as Record<string, unknown>)[name] : undefined;
      }, this.options);
    } catch {
      this.add(path, 'reading it failed', 'Write a plain object without getters that throw');
      return undefined;
    }
  }

  add(path: string, problem: string, fix: string): void {
    if (!this.#problems.some((known) => known.path === path)) {
      this.#problems.push({ path, problem, fix });
    }
  }

  /** Whether nothing was found wrong with these options, so that a rule between them means something. */
  isSound(...paths: readonly string[]): boolean {
    return !this.#problems.some(({ path }) => paths.includes(path));
  }

  /** Notes that a value has a wrong kind or form. */
  refuse(path: string, fix: string): void {
    const value = this.get(path);
    this.add(path, value === undefined ? 'it is missing' : `it is ${kindOf(value)}`, fix);
  }

  /** Refuses members other than `known`, with the nearest known name. */
  expectOnly(path: string, known: readonly string[], elsewhere: readonly string[] = []): void {
    const value = this.get(path);
    if (value === undefined && path !== '') return;
    if (typeof value !== 'object' || value === null || Array.isArray(value)) {
      const problem = value === undefined ? 'it is missing' : `it is ${kindOf(value)}`;
      this.add(path === '' ? 'options' : path, problem, `Write an object with ${known.join(', ')}`);
      return;
    }
    for (const name of Object.keys(value).filter((key) => !known.includes(key))) {
      const full = path === '' ? name : `${path}.${name}`;
      this.add(
        full,
        'it is not an option',
        `${suggest(name, [...known, ...elsewhere])}Known are ${known.join(', ')}`,
      );
    }
  }

  text(
    path: string,
    fallback: string | undefined,
    fix: string,
    accepts: (text: string) => boolean,
  ): string {
    const value = this.get(path);
    if (value === undefined && fallback !== undefined) return fallback;
    if (typeof value === 'string' && accepts(value)) return value;
    this.refuse(path, fix);
    return '';
  }

  oneOf<const Name extends string | boolean>(
    path: string,
    names: readonly Name[],
    fallback: Name,
  ): Name {
    const value = this.get(path);
    if (value === undefined) return fallback;
    const name = names.find((candidate) => candidate === value);
    if (name === undefined) {
      this.add(path, 'it is none of its values', `Write ${names.join(' or ')}`);
    }
    return name ?? fallback;
  }

  duration(path: string, fallback: number, bounds: DurationBounds): number {
    const value = this.get(path);
    if (value === undefined) return fallback;
    const ms = durationToMs(value);
    if (ms === undefined) {
      this.refuse(path, "Write a whole number and a unit (ms, s, m, h, d), such as '15m'");
      return fallback;
    }
    const { min = 0, max = Infinity, step = 1 } = bounds;
    if (ms < min) this.add(path, 'it is too short', `Write at least '${formatDuration(min)}'`);
    else if (ms > max) this.add(path, 'it is too long', `Write at most '${formatDuration(max)}'`);
    else if (ms % step !== 0) this.add(path, 'it is not in whole seconds', "Write it as '90s'");
    else return ms;
    return fallback;
  }

  wholeNumber(path: string, fallback: number, { min, max }: { min: number; max: number }): number {
    const value = this.get(path);
    if (value === undefined) return fallback;
    if (Number.isInteger(value) && Number(value) >= min && Number(value) <= max) {
      return Number(value);
    }
    this.refuse(path, `Write a whole number from ${min} to ${max}`);
    return fallback;
  }

  names(path: string): readonly string[] {
    const value = this.get(path);
    if (value === undefined) return Object.freeze([]);
    // A copy has no holes, which `every` would skip.
    const names: unknown[] = Array.isArray(value) ? [...(value as unknown[])] : [undefined];
    if (names.every((name) => typeof name === 'string' && name !== '')) {
      return Object.freeze(names as string[]);
    }
    this.refuse(path, "Write a list of claim names, such as ['client_id']");
    return [];
  }
}

/** Names further apart than this are not a slip of the pen. */
const MAX_SLIP = 3;

function suggest(name: string, known: readonly string[]): string {
  const [nearest] = known
    .map((candidate) => ({ candidate, distance: leven(candidate, name) }))
    .filter(({ distance }) => distance <= MAX_SLIP)
    .toSorted((a, b) => a.distance - b.distance);
  return nearest === undefined ? '' : `Did you mean ${nearest.candidate}? `;
}

function kindOf(value: unknown): string {
  if (value === null) return 'null';
  if (value === '') return 'an empty text';
  if (Array.isArray(value)) return value.length === 0 ? 'an empty list' : 'a list';
  const kind = typeof value;
  if (kind === 'string') return 'a text of another form';
  return kind === 'object' ? 'an object' : `a ${kind}`;
}
