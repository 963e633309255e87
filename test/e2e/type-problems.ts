import { readdirSync } from 'node:fs';
import { join } from 'node:path';

import ts from 'typescript';

const OPTIONS: ts.CompilerOptions = {
  target: ts.ScriptTarget.ES2022,
  module: ts.ModuleKind.NodeNext,
  moduleResolution: ts.ModuleResolutionKind.NodeNext,
  strict: true,
  exactOptionalPropertyTypes: true,
  noUncheckedIndexedAccess: true,
  experimentalDecorators: true,
  emitDecoratorMetadata: true,
  noEmit: true,
  types: ['node'],
};

/**
 * What the compiler says of the sources in these folders of an app, and of the declarations of this
 * package that they lead to. The declarations of other packages are theirs to get right.
 */
export function typeProblems(appFolder: string, folders: readonly string[]): readonly string[] {
  const sources = folders.flatMap((folder) =>
    readdirSync(join(folder, 'src')).map((name) => join(folder, 'src', name)),
  );
  const options = { ...OPTIONS, typeRoots: [join(appFolder, 'node_modules', '@types')] };
  const program = ts.createProgram(sources, options);
  const ours = program
    .getSourceFiles()
    .filter(
      ({ fileName }) =>
        sources.includes(fileName) || fileName.includes('/node_modules/nest-jwt-hardening/'),
    );
  return [
    ...program.getOptionsDiagnostics(),
    ...ours.flatMap((file) => [
      ...program.getSyntacticDiagnostics(file),
      ...program.getSemanticDiagnostics(file),
    ]),
  ].map(describe);
}

function describe({ file, start, messageText }: ts.Diagnostic): string {
  const message = ts.flattenDiagnosticMessageText(messageText, ' ');
  if (file === undefined || start === undefined) return message;
  const { line } = file.getLineAndCharacterOfPosition(start);
  return `${file.fileName.split('/').slice(-3).join('/')}:${line + 1} ${message}`;
}
