/**
 * Compiles snippets the way an application of ours would be compiled: every snippet is a file of
 * its own that exists only in memory, with the options of the root tsconfig.json.
 */
import { join } from 'node:path';

import ts from 'typescript';

const ROOT = join(__dirname, '..', '..');

function compilerOptions(): ts.CompilerOptions {
  const path = join(ROOT, 'tsconfig.json');
  const { config } = ts.readConfigFile(path, (name) => ts.sys.readFile(name));
  const { options } = ts.parseJsonConfigFileContent({ ...config, include: [] }, ts.sys, ROOT);
  // Snippets declare what they do not use; what they import is type-checked by a step of its own.
  return { ...options, noUnusedLocals: false, noUnusedParameters: false, types: ['node'] };
}

/** The compiler's complaints about each snippet, as text; an empty list when it compiles. */
export function compile(snippets: ReadonlyMap<string, string>): ReadonlyMap<string, string[]> {
  const files = new Map(
    [...snippets].map(([name, code], index) => [
      join(__dirname, `snippet-${index}.ts`),
      { name, code },
    ]),
  );
  const options = compilerOptions();
  const host = ts.createCompilerHost(options);
  const readOnDisk = host.getSourceFile.bind(host);
  const existsOnDisk = host.fileExists.bind(host);
  host.fileExists = (path) => files.has(path) || existsOnDisk(path);
  host.getSourceFile = (path, languageVersion) => {
    const snippet = files.get(path);
    return snippet === undefined
      ? readOnDisk(path, languageVersion)
      : ts.createSourceFile(path, snippet.code, languageVersion, true);
  };
  const program = ts.createProgram([...files.keys()], options, host);
  return new Map(
    [...files].map(([path, { name }]) => {
      const file = program.getSourceFile(path);
      const found = [
        ...program.getSyntacticDiagnostics(file),
        ...program.getSemanticDiagnostics(file),
      ];
      return [
        name,
        found.map(({ messageText }) => ts.flattenDiagnosticMessageText(messageText, ' ')),
      ];
    }),
  );
}
