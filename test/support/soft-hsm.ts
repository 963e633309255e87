import { execFileSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { existsSync, mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

import { NPM_FLAGS } from '../e2e/app-folder.js';
import { recordSecret } from './witness.js';

/** A real PKCS#11 token: SoftHSM2, with its tokens in a folder of the test. */

export interface SoftHsm {
  /** The PKCS#11 module. */
  readonly module: string;
  /** Where its tokens are, as files. */
  readonly tokenFolder: string;
  /** What a process needs to see these tokens. */
  readonly env: { readonly SOFTHSM2_CONF: string };
  /** Makes a token; answers its PIN. */
  addToken(label: string): string;
}

const MODULES = [
  '/usr/lib/softhsm/libsofthsm2.so',
  '/usr/lib/x86_64-linux-gnu/softhsm/libsofthsm2.so',
  '/usr/lib/aarch64-linux-gnu/softhsm/libsofthsm2.so',
  '/usr/lib64/softhsm/libsofthsm2.so',
  '/usr/local/lib/softhsm/libsofthsm2.so',
  '/opt/homebrew/lib/softhsm/libsofthsm2.so',
];

/** A SoftHSM2 without tokens; `undefined` where it is not installed. */
export function findSoftHsm(folder: string): SoftHsm | undefined {
  const module = MODULES.find((path) => existsSync(path));
  if (module === undefined) return undefined;
  const tokenFolder = join(folder, 'tokens');
  const configuration = join(folder, 'softhsm2.conf');
  mkdirSync(tokenFolder, { recursive: true });
  writeFileSync(
    configuration,
    `directories.tokendir = ${tokenFolder}\nobjectstore.backend = file\nlog.level = ERROR\n`,
  );
  const env = { SOFTHSM2_CONF: configuration };
  const addToken = (label: string): string => {
    const pin = randomBytes(12).toString('hex');
    recordSecret(pin);
    execFileSync(
      'softhsm2-util',
      ['--init-token', '--free', '--label', label, '--pin', pin, '--so-pin', pin],
      { env: { ...process.env, ...env }, stdio: 'pipe' },
    );
    return pin;
  };
  try {
    execFileSync('softhsm2-util', ['--version'], { stdio: 'pipe' });
    return { module, tokenFolder, env, addToken };
  } catch {
    return undefined;
  }
}

/** Installs `pkcs11js` into a folder and builds its addon; `undefined` where that cannot be done. */
export function installPkcs11js(folder: string): string | undefined {
  writeFileSync(join(folder, 'package.json'), JSON.stringify({ private: true, type: 'module' }));
  try {
    execFileSync('npm', ['install', 'pkcs11js@2.1.7', ...NPM_FLAGS], {
      cwd: folder,
      stdio: 'pipe',
    });
    // Whether the addon was built is found out by loading it.
    execFileSync(process.execPath, ['-e', 'require("pkcs11js")'], { cwd: folder, stdio: 'pipe' });
    return folder;
  } catch {
    return undefined;
  }
}

/** Turns a TypeScript file and all it imports into one for Node; `pkcs11js` stays outside. */
export function bundle(source: string, target: string): void {
  execFileSync(
    require.resolve('esbuild/bin/esbuild'),
    [
      source,
      '--bundle',
      '--platform=node',
      '--format=esm',
      '--external:pkcs11js',
      `--outfile=${target}`,
      '--log-level=error',
    ],
    { stdio: 'pipe' },
  );
}
