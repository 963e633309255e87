/**
 * The public surface is a contract: a name that appears or disappears changes the checked-in
 * snapshot, and so is seen in review. It is read from the built package, as its users get it.
 * After a wanted change: `npm run build && npx jest test/public-api.spec.ts -u`.
 */
import { execFileSync } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { join, posix } from 'node:path';

import ts from 'typescript';

const ROOT = join(__dirname, '..');

interface Manifest {
  readonly name: string;
  readonly exports: Readonly<Record<string, string | { readonly types: string }>>;
}

interface Entry {
  readonly specifier: string;
  readonly types: string;
}

const manifest = JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8')) as Manifest;

const ENTRIES: readonly Entry[] = Object.entries(manifest.exports).flatMap(([subpath, target]) =>
  typeof target === 'string'
    ? []
    : [{ specifier: posix.join(manifest.name, subpath), types: join(ROOT, target.types) }],
);

interface ExportedName {
  readonly name: string;
  readonly role: 'value' | 'type';
}

const program = ts.createProgram({
  rootNames: ENTRIES.map(({ types }) => types),
  options: {
    module: ts.ModuleKind.NodeNext,
    moduleResolution: ts.ModuleResolutionKind.NodeNext,
    target: ts.ScriptTarget.ES2023,
    types: ['node'],
    skipLibCheck: true,
    noEmit: true,
  },
});

function exportedNames({ types }: Entry): ExportedName[] {
  const checker = program.getTypeChecker();
  const file = program.getSourceFile(types);
  const module = file && checker.getSymbolAtLocation(file);
  if (module === undefined) throw new Error(`${types} is not there: run "npm run build" first.`);
  return checker
    .getExportsOfModule(module)
    .map((symbol) => ({ name: symbol.name, role: roleOf(checker, symbol) }))
    .toSorted((a, b) => (a.name < b.name ? -1 : 1));
}

/** A name exported with `export type` is a type even when it names a class. */
function roleOf(checker: ts.TypeChecker, symbol: ts.Symbol): 'value' | 'type' {
  const isTypeOnly = symbol.declarations?.some(
    (declaration) =>
      ts.isExportSpecifier(declaration) && ts.isTypeOnlyExportDeclaration(declaration),
  );
  if (isTypeOnly === true) return 'type';
  const target = symbol.flags & ts.SymbolFlags.Alias ? checker.getAliasedSymbol(symbol) : symbol;
  return target.flags & ts.SymbolFlags.Value ? 'value' : 'type';
}

function namesAtRuntime(specifier: string, inputType: 'module' | 'commonjs'): string[] {
  const load = inputType === 'module' ? `await import('${specifier}')` : `require('${specifier}')`;
  const script = `process.stdout.write(JSON.stringify(Object.keys(${load})))`;
  const args = ['--no-warnings', `--input-type=${inputType}`, '--eval', script];
  const output = execFileSync(process.execPath, args, { cwd: ROOT, encoding: 'utf8' });
  return (JSON.parse(output) as string[]).toSorted();
}

describe.each(ENTRIES)('$specifier', (entry) => {
  it('exports exactly these names', () => {
    expect(existsSync(entry.types)).toBe(true);
    const lines = exportedNames(entry).map(({ role, name }) => `${role} ${name}`);
    expect(`\n${lines.toSorted().join('\n')}\n`).toMatchSnapshot();
  });

  it.each(['module', 'commonjs'] as const)('has the declared values when loaded as %s', (type) => {
    const values = exportedNames(entry).filter(({ role }) => role === 'value');
    expect(namesAtRuntime(entry.specifier, type)).toEqual(values.map(({ name }) => name));
  });
});
