import { TokenError } from '../../../lib/kernel/errors.js';
import type { TokenService } from '../../../lib/tokens/token.service.js';
import { validClaims } from '../../support/token-mother.js';
import { type Arena, openArena } from '../../vectors/arena.js';
import { INVENTED_ROWS } from '../invented-rows.js';

/** An arena with every invented row made into a token. */
export interface Lab extends Arena {
  readonly tokens: TokenService;
  /** The token of a row, by its id. */
  tokenOf(id: string): string;
  /** Claims of a right token of this arena. */
  claims(): Record<string, unknown>;
}

/** Something an advisory or a list of attacks says to try; it fails where the attack succeeds. */
export type Trial = (lab: Lab) => void | Promise<void>;

/** Runs trials in order, each once in a file: several advisories can ask for the same. */
export async function run(trials: readonly Trial[], lab: Lab): Promise<void> {
  for (const trial of trials) {
    let outcome = outcomes.get(trial);
    if (outcome === undefined) outcomes.set(trial, (outcome = Promise.resolve(trial(lab))));
    await outcome;
  }
}

const outcomes = new WeakMap<Trial, Promise<void>>();

export async function openLab(): Promise<Lab> {
  const arena = await openArena();
  const made = arena.materialize(INVENTED_ROWS);
  return {
    ...arena,
    tokens: arena.side('express').tokens,
    tokenOf(id) {
      const token = made.get(id);
      if (token === undefined) throw new TypeError(`no row ${id}`);
      return token;
    },
    claims: () => ({ ...validClaims(arena.clock), client_id: 'client-1', scope: 'read' }),
  };
}

export async function expectRefused(lab: Lab, ...texts: readonly string[]): Promise<void> {
  for (const text of texts) await expect(lab.tokens.verify(text)).rejects.toThrow(TokenError);
}

/** All rows of a class, or those with such a name, are refused by the verifier itself. */
export function rowsRefused(className: string, name: RegExp = /^/): Trial {
  return async (lab) => {
    const rows = INVENTED_ROWS.filter((row) => row.class === className && name.test(row.name));
    expect(rows).not.toEqual([]);
    await expectRefused(lab, ...rows.map(({ id }) => lab.tokenOf(id)));
  };
}

/** Milliseconds of processor time a call takes on average, so that a busy machine does not count. */
export async function cost(times: number, call: () => Promise<unknown>): Promise<number> {
  const before = process.cpuUsage();
  for (let index = 0; index < times; index++) await call();
  const { user, system } = process.cpuUsage(before);
  return (user + system) / 1000 / times;
}

/** Refused, in less than 20 ms of processor time, and without growing the heap. */
export async function refusedCheaply(lab: Lab, token: string): Promise<void> {
  await expectRefused(lab, token);
  const heap = process.memoryUsage().heapUsed;
  expect(await cost(50, () => lab.tokens.verify(token).catch(() => {}))).toBeLessThan(20);
  expect(process.memoryUsage().heapUsed - heap).toBeLessThan(5 * 1024 * 1024);
}
