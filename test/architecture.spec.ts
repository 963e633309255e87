import { readdirSync, readFileSync } from 'node:fs';
import { join, sep } from 'node:path';

import {
  importCycles,
  packagesReachedFrom,
  RULES,
  type Sources,
  violations,
} from './architecture-rules.js';

const ROOT = join(__dirname, '..');

function readSources(folder: string): Sources {
  return new Map(
    readdirSync(folder, { recursive: true, encoding: 'utf8' })
      .filter((path) => path.endsWith('.ts'))
      .toSorted()
      .map((path) => [path.split(sep).join('/'), readFileSync(join(folder, path), 'utf8')]),
  );
}

interface Manifest {
  readonly dependencies: Readonly<Record<string, string>>;
  readonly peerDependencies: Readonly<Record<string, string>>;
  readonly peerDependenciesMeta: Readonly<Record<string, { readonly optional: boolean }>>;
}

const library = readSources(join(ROOT, 'lib'));
const manifest = JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8')) as Manifest;

describe('the library', () => {
  it.each([...RULES.keys()])('%s', (rule) => {
    expect(violations(library, rule)).toEqual([]);
  });

  it('has no import cycle', () => {
    expect(importCycles(library)).toEqual([]);
  });

  it('imports only what package.json promises to be there', () => {
    const declared = new Set(
      Object.keys({ ...manifest.dependencies, ...manifest.peerDependencies }),
    );
    const reached = [...library.keys()].flatMap((path) => [...packagesReachedFrom(library, path)]);
    expect([...new Set(reached)].filter((name) => !declared.has(name))).toEqual([]);
  });

  it('reaches no optional peer from its main entry', () => {
    const optional = Object.keys(manifest.peerDependenciesMeta);
    const reached = packagesReachedFrom(library, 'index.ts');
    expect(optional.filter((name) => reached.has(name))).toEqual([]);
  });
});

// A rule that never fires protects nothing: each must catch the mistake it is there for.
const MISTAKES: readonly (readonly [rule: RegExp, path: string, text: string])[] = [
  [/ranks/, 'kernel/a.ts', `import { b } from '../keys/b.js';`],
  [/ranks/, 'guard/a.ts', `import type { B } from '../config/options.js';`],
  [/ranks/, 'keys/a.ts', `export { b } from '../revocation/b.js';`],
  [/ranks/, 'keys/a.ts', `type B = import('../tokens/b.js').B;`],
  [/ranks/, 'drawer/a.ts', ``],
  [/the ports/, 'storage/memory/a.ts', `import { b } from '../../keys/key-ring.js';`],
  [/a package is/, 'guard/a.ts', `import { jwtVerify } from 'jose';`],
  [/a package is/, 'config/options.ts', `import { jwtVerify } from 'jose';`],
  [/a package is/, 'tokens/claims.ts', `import { Injectable } from '@nestjs/common';`],
  [/a package is/, 'keys/key-ring.service.ts', `import { registerAs } from '@nestjs/config';`],
  [/deep paths/, 'guard/a.ts', `import { b } from '@nestjs/common/interfaces';`],
  [/deep paths/, 'guard/a.ts', `import { b } from './b';`],
  [/deep paths/, 'guard/a.ts', `import { b } from 'nest-jwt-hardening';`],
  [/one door/, 'keys/a.ts', `const at = Date.now();`],
  [/one door/, 'keys/a.ts', `const at = new Date();`],
  [/one door/, 'kernel/clock.ts', `const env = process.env['A'];`],
  [/one door/, 'keys/a.ts', `console.log('a');`],
  [/one door/, 'keys/a.ts', `const log = console;`],
  [/one door/, 'kernel/ids.ts', `const id = Math.random();`],
  [/timer/, 'keys/a.ts', `setInterval(() => {}, 1);`],
  [/stands alone/, 'client/a.ts', `import { b } from '../kernel/b.js';`],
  [/stands alone/, 'client/a.ts', `import { b } from 'jose';`],
  [/stands alone/, 'tokens/a.ts', `import { b } from '../client/b.js';`],
  [/wildcard/, 'index.ts', `export * from './kernel/a.js';`],
  [/wildcard/, 'keys/a.ts', `export default function a() {}`],
  [/wildcard/, 'keys/a.ts', `const a = 1; export default a;`],
  [/wildcard/, 'keys/a.ts', `export enum A { B }`],
  [/wildcard/, 'keys/a.ts', `const a = await b();`],
  [/no any/, 'keys/a.ts', `const a: any = 1;`],
  [/no any/, 'keys/a.ts', `const a = 1 as unknown as string;`],
  [/no any/, 'keys/a.ts', `function a(strict: boolean) {}`],
  [/no any/, 'keys/a.ts', `class A { b(strict = false) {} }`],
  [/loosen/, 'guard/a.ts', `reflector.getAllAndOverride(A, []);`],
  [/names/, 'keys/utils.ts', ``],
  [/names/, 'keys/key-helpers.ts', ``],
  [/names/, 'common/a.ts', ``],
  [/names/, 'keys/key.interface.ts', ``],
  [/names/, 'keys/keyRing.ts', ``],
];

const HARMLESS: readonly (readonly [rule: RegExp, path: string, text: string])[] = [
  [/ranks/, 'guard/a.ts', `import { b } from '../tokens/b.js'; import { c } from './c.js';`],
  [/the ports/, 'storage/memory/a.ts', `import type { KeyStore } from '../../keys/key-store.js';`],
  [/a package is/, 'guard/a.ts', `import type { Type } from '@nestjs/common';`],
  [/a package is/, 'keys/jwks.controller.ts', `import { Get } from '@nestjs/common';`],
  [/one door/, 'kernel/clock.ts', `const at = Date.now();`],
  [/one door/, 'keys/a.ts', `const at = new Date(clock.now()); // not Date.now()`],
  [/one door/, 'keys/a.ts', `events.console = 1;`],
  [/timer/, 'keys/a.ts', `setInterval(() => {}, 1).unref();`],
  [/wildcard/, 'keys/a.ts', `export async function a() { await b(); }`],
  [/no any/, 'kernel/strict-json.ts', `const a = 1 as unknown as string;`],
  [/no any/, 'keys/a.ts', `const a = (valid: boolean) => valid;`],
];

function ruleLike(pattern: RegExp): string {
  const [rule, ...others] = [...RULES.keys()].filter((name) => pattern.test(name));
  if (rule === undefined || others.length > 0) throw new TypeError(`${pattern} is not one rule`);
  return rule;
}

describe('the rules', () => {
  it.each(MISTAKES)('%s catches, in %s: %s', (rule, path, text) => {
    expect(violations(new Map([[path, text]]), ruleLike(rule))).not.toEqual([]);
  });

  it.each(HARMLESS)('%s allows, in %s: %s', (rule, path, text) => {
    expect(violations(new Map([[path, text]]), ruleLike(rule))).toEqual([]);
  });

  it('allows 400 lines and not one more', () => {
    const lines = (count: number): Sources => new Map([['keys/a.ts', 'a;\n'.repeat(count)]]);
    expect(violations(lines(400), ruleLike(/longer/))).toEqual([]);
    expect(violations(lines(401), ruleLike(/longer/))).toEqual(['keys/a.ts:401 is too long']);
  });

  it('finds a cycle through type imports and names its members', () => {
    const sources = new Map([
      ['a.ts', `import type { B } from './b.js';`],
      ['b.ts', `import { C } from './c.js';`],
      ['c.ts', `export { A } from './a.js';`],
    ]);
    expect(importCycles(sources)).toEqual(['a.ts -> b.ts -> c.ts -> a.ts']);
  });
});
