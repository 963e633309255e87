import { execFileSync } from 'node:child_process';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

import { NPM_FLAGS } from './app-folder.js';

/** A Node to run applications with. */
export interface Runtime {
  /** Such as `v24.1.0`. */
  readonly version: string;
  readonly command: string;
}

/** The lines of Node that `engines` in package.json names. */
const MAJORS = ['20', '22', '24'];

/**
 * This Node, and one of each other line as far as the registry has it for this machine. Synchronous,
 * because Jest wants to know the tests before it runs any.
 */
export function findRuntimes(folder: string): {
  readonly runtimes: readonly Runtime[];
  readonly missing: readonly string[];
} {
  const current: Runtime = { version: process.version, command: process.execPath };
  const others = MAJORS.filter((major) => !process.version.startsWith(`v${major}.`));
  install(folder, others);
  const found = others.map((major) => ({
    major,
    runtime: runtimeAt(join(folder, 'node_modules', `node-${major}`, 'bin', 'node')),
  }));
  return {
    runtimes: [current, ...found.flatMap(({ runtime }) => runtime ?? [])],
    missing: found.filter(({ runtime }) => runtime === undefined).map(({ major }) => major),
  };
}

/** As optional dependencies: npm leaves out those it cannot get and installs the others. */
function install(folder: string, majors: readonly string[]): void {
  const binaries = `npm:node-${process.platform}-${process.arch}`;
  const optionalDependencies = Object.fromEntries(
    majors.map((major) => [`node-${major}`, `${binaries}@${major}`]),
  );
  mkdirSync(folder);
  writeFileSync(
    join(folder, 'package.json'),
    JSON.stringify({ private: true, optionalDependencies }),
  );
  try {
    execFileSync('npm', ['install', ...NPM_FLAGS], { cwd: folder, stdio: 'ignore' });
  } catch {
    // What is missing is found out by running it.
  }
}

function runtimeAt(command: string): Runtime | undefined {
  try {
    const version = execFileSync(command, ['--version'], { encoding: 'utf8', stdio: 'pipe' });
    return { version: version.trim(), command };
  } catch {
    return undefined;
  }
}
