import { copyFileSync, existsSync, mkdirSync, readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

import { transformFile } from '@swc/core';

import { runProcess } from '../support/processes.js';

/** Applications as users have them: a folder, the packed library and Nest from the registry in it. */

const ROOT = join(__dirname, '..', '..');
const FIXTURES = join(__dirname, 'fixtures');

export const FORMATS = ['esm', 'cjs'] as const;
export type Format = (typeof FORMATS)[number];
export type Fixture = 'app' | 'quick-start' | 'probes';

/** Packs what `npm run build` left, as for the registry; answers the tarball. */
export async function packLibrary(folder: string): Promise<string> {
  if (!existsSync(join(ROOT, 'dist', 'index.js'))) {
    throw new Error('there is nothing to pack: run `npm run build` first');
  }
  await npm(ROOT, ['pack', '--pack-destination', folder]);
  const tarball = readdirSync(folder).find((name) => name.endsWith('.tgz'));
  if (tarball === undefined) throw new Error('npm pack left no tarball');
  return join(folder, tarball);
}

/** Installs packages into a new folder, and whatever npm itself adds as their peers. */
export async function installApp(folder: string, packages: readonly string[]): Promise<string> {
  mkdirSync(folder);
  writeFileSync(join(folder, 'package.json'), JSON.stringify({ private: true }));
  await npm(folder, ['install', ...packages]);
  return folder;
}

/**
 * Puts a fixture into an app folder, its TypeScript in `src` and compiled beside it, as the compiler
 * of the Nest CLI does it. Answers the folder with the compiled files.
 */
export async function compileFixture(
  fixture: Fixture,
  appFolder: string,
  format: Format,
): Promise<string> {
  const source = join(FIXTURES, fixture);
  const folder = join(appFolder, `${fixture}-${format}`);
  mkdirSync(join(folder, 'src'), { recursive: true });
  const type = format === 'esm' ? 'module' : 'commonjs';
  writeFileSync(join(folder, 'package.json'), JSON.stringify({ private: true, type }));
  await Promise.all(
    readdirSync(source).map(async (name) => {
      copyFileSync(join(source, name), join(folder, 'src', name));
      const { code } = await transformFile(join(source, name), {
        swcrc: false,
        configFile: false,
        jsc: {
          target: 'es2022',
          parser: { syntax: 'typescript', decorators: true },
          transform: { legacyDecorator: true, decoratorMetadata: true },
          keepClassNames: true,
        },
        module: { type: format === 'esm' ? 'es6' : 'commonjs' },
      });
      writeFileSync(join(folder, name.replace(/\.ts$/, '.js')), code);
    }),
  );
  return folder;
}

async function npm(cwd: string, args: readonly string[]): Promise<void> {
  const { exitCode, stderr } = await runProcess({
    command: 'npm',
    args: [...args, ...NPM_FLAGS],
    cwd,
    // The proxy, the registry and the cache of whoever runs the tests.
    env: process.env,
  });
  if (exitCode !== 0) throw new Error(`npm ${args[0]} ended with ${exitCode}:\n${stderr}`);
}

export const NPM_FLAGS = ['--prefer-offline', '--no-audit', '--no-fund', '--loglevel=error'];
