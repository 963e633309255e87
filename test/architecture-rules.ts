/**
 * The rules of the house as pure checks over (path -> text): what a file may import, what it may
 * reach for in its surroundings, how it is called and how long it is. Each answers
 * `path:line what is wrong`, so that a red test reads like a review.
 */
import { posix } from 'node:path';

import ts from 'typescript';

/** The sources under examination: path relative to the library's root -> text. */
export type Sources = ReadonlyMap<string, string>;

interface Import {
  readonly specifier: string;
  /** The file of the library it points to; `undefined` for a package. */
  readonly target: string | undefined;
  readonly line: number;
}

interface SourceModule {
  readonly path: string;
  readonly room: string;
  readonly ast: ts.SourceFile;
  readonly imports: readonly Import[];
}

type Check = (module: SourceModule) => readonly string[];

/**
 * A room may import itself and any room of a lower rank; rooms of one rank do not know each other.
 * Only the composition root may import `config`, so each domain declares its own options.
 */
const RANKS: ReadonlyMap<string, number> = new Map([
  ['kernel', 0],
  ['client', 0],
  ['events', 1],
  ['keys', 2],
  ['revocation', 2],
  ['binding', 3],
  ['tokens', 4],
  ['status-list', 5],
  ['sessions', 6],
  ['guard', 6],
  ['connections', 7],
  ['step-up', 7],
  ['emergency', 7],
  ['endpoints', 7],
  ['transport', 7],
  ['abuse', 7],
  ['storage', 8],
  ['pkcs11', 8],
  ['testing', 9],
  ['metrics', 9],
  ['config', 9],
  ['jwt-hardening.module-definition.ts', 10],
  ['composition', 11],
  ['jwt-hardening.module.ts', 12],
  ['index.ts', 13],
]);

const PORT = /-(?:store|log|storage|directory)\.ts$/;

const MAX_LINES = 400;

/** The files, if any, that may reach for something no other file may touch. */
const AMBIENT: readonly { readonly what: RegExp; readonly allowed: readonly string[] }[] = [
  {
    what: /^Date\.now$|^new Date\(\)$|^performance\.now$/,
    // One of the server, one of the browser.
    allowed: ['kernel/clock.ts', 'client/browser.ts'],
  },
  { what: /^process\.env$/, allowed: ['config/environment.ts'] },
  { what: /^console$/, allowed: [] },
  { what: /^Math\.random$/, allowed: [] },
];

/** The thin Nest shell: what Nest constructs or calls. Everything else is plain code. */
const NEST_FILE =
  /^(?:guard|composition)\/|^events\/(?:security-events|event-log)\.ts$|\.(?:service|controller|module|module-definition|schedule)\.ts$/;

/** Where outside data becomes a type of ours, and so the only place for a double assertion. */
const PARSER =
  /^(?:kernel\/strict-json|keys\/key-material|tokens\/(?:compact|claim-checks)|config\/(?:environment|resolve-static-keys))\.ts$/;

const PACKAGES: readonly {
  readonly name: RegExp;
  readonly allowed: (path: string) => boolean;
}[] = [
  { name: /^jose(?:\/|$)/, allowed: (path) => /^(?:keys|tokens|binding)\//.test(path) },
  { name: /^ioredis$/, allowed: (path) => path.startsWith('storage/redis/') },
  {
    name: /^(?:cache-manager|keyv)$/,
    allowed: (path) => path.startsWith('storage/cache-manager/'),
  },
  { name: /^cookie$/, allowed: (path) => path.startsWith('transport/') },
  { name: /^ipaddr\.js$/, allowed: (path) => path === 'binding/ip-address.ts' },
  { name: /^helmet$/, allowed: (path) => path === 'transport/api-headers.ts' },
  { name: /^pkcs11js$/, allowed: (path) => path.startsWith('pkcs11/') },
  { name: /^@opentelemetry\/api$/, allowed: (path) => path.startsWith('metrics/') },
  { name: /^@nestjs\/config$/, allowed: (path) => path === 'config/namespace.ts' },
  {
    name: /^@nestjs\/(?!config$)[^/]+$/,
    allowed: (path) => NEST_FILE.test(path),
  },
];

const BANNED_NAME =
  /(?:^|[./-])(?:utils?|helpers?|common|misc|shared|interfaces?|constants)(?=[./-])/;
const KEBAB_CASE = /^(?:[a-z0-9]+(?:-[a-z0-9]+)*\/)*[a-z0-9]+(?:[.-][a-z0-9]+)*\.ts$/;

function lineOf(ast: ts.SourceFile, node: ts.Node): number {
  return ast.getLineAndCharacterOfPosition(node.getStart(ast)).line + 1;
}

function walk(node: ts.Node, visit: (node: ts.Node) => void): void {
  visit(node);
  node.forEachChild((child) => walk(child, visit));
}

/** Every node of the file for which `judge` has something to say. */
function findings(module: SourceModule, judge: (node: ts.Node) => string | undefined): string[] {
  const found: string[] = [];
  walk(module.ast, (node) => {
    const verdict = judge(node);
    if (verdict !== undefined) found.push(`${module.path}:${lineOf(module.ast, node)} ${verdict}`);
  });
  return found;
}

function specifierOf(node: ts.Node): string | undefined {
  if (ts.isImportDeclaration(node) || ts.isExportDeclaration(node)) {
    const from = node.moduleSpecifier;
    return from !== undefined && ts.isStringLiteral(from) ? from.text : undefined;
  }
  if (ts.isImportTypeNode(node) && ts.isLiteralTypeNode(node.argument)) {
    return ts.isStringLiteral(node.argument.literal) ? node.argument.literal.text : undefined;
  }
  if (ts.isCallExpression(node) && node.expression.kind === ts.SyntaxKind.ImportKeyword) {
    const [from] = node.arguments;
    return from !== undefined && ts.isStringLiteral(from) ? from.text : 'a computed module';
  }
  return undefined;
}

/** Every rule asks for every module: by path, as long as the text is the same. */
const parsed = new Map<string, SourceModule>();

function parse(path: string, text: string): SourceModule {
  const known = parsed.get(path);
  if (known?.ast.text === text) return known;
  const module = read(path, text);
  parsed.set(path, module);
  return module;
}

function read(path: string, text: string): SourceModule {
  const ast = ts.createSourceFile(path, text, ts.ScriptTarget.ES2023, true);
  const imports: Import[] = [];
  walk(ast, (node) => {
    const specifier = specifierOf(node);
    if (specifier === undefined) return;
    const target = specifier.startsWith('.')
      ? posix.join(posix.dirname(path), specifier).replace(/\.js$/, '.ts')
      : undefined;
    imports.push({ specifier, target, line: lineOf(ast, node) });
  });
  return { path, room: path.split('/')[0] ?? path, ast, imports };
}

function refusedImports(
  module: SourceModule,
  judge: (imported: Import) => string | undefined,
): string[] {
  return module.imports.flatMap((imported) => {
    const verdict = judge(imported);
    return verdict === undefined ? [] : [`${module.path}:${imported.line} ${verdict}`];
  });
}

function compact(node: ts.Node): string {
  return node.getText().replaceAll(/\s+/g, '');
}

function isFunctionWithBody(node: ts.Node): boolean {
  return (
    ts.isFunctionDeclaration(node) ||
    ts.isMethodDeclaration(node) ||
    ts.isConstructorDeclaration(node)
  );
}

/** One row per rule: its name is the name of its test. */
export const RULES: ReadonlyMap<string, Check> = new Map<string, Check>([
  [
    'dependencies point down the ranks',
    (module) => {
      const own = RANKS.get(module.room);
      if (own === undefined) return [`${module.path}:1 is in a room without a rank`];
      return refusedImports(module, ({ target }) => {
        const room = target?.split('/')[0];
        if (room === undefined || room === module.room) return undefined;
        const rank = RANKS.get(room);
        return rank !== undefined && rank < own ? undefined : `imports ${room}`;
      });
    },
  ],
  [
    'storage knows the ports of the domains, the kernel, and whom to tell',
    (module) =>
      module.room !== 'storage'
        ? []
        : refusedImports(module, ({ target }) =>
            target === undefined ||
            /^(?:kernel|storage)\/|^events\/security-events\.ts$/.test(target) ||
            PORT.test(target)
              ? undefined
              : `imports ${target}, which is not a port`,
          ),
  ],
  [
    'the browser client stands alone',
    (module) =>
      refusedImports(module, ({ specifier, target }) =>
        (module.room === 'client') === (target?.startsWith('client/') ?? false) ||
        (module.room !== 'client' && target === undefined)
          ? undefined
          : `imports ${specifier}`,
      ),
  ],
  [
    'a package is imported only where its room allows it',
    (module) =>
      refusedImports(module, ({ specifier }) =>
        PACKAGES.some(({ name, allowed }) => name.test(specifier) && !allowed(module.path))
          ? `imports ${specifier}`
          : undefined,
      ),
  ],
  [
    'Nest has no deep paths, relative imports end in .js, nothing imports the package by its own name',
    (module) =>
      refusedImports(module, ({ specifier }) =>
        /^@nestjs\/[^/]+\//.test(specifier) ||
        /^nest-jwt-hardening(?:\/|$)/.test(specifier) ||
        (specifier.startsWith('.') && !specifier.endsWith('.js'))
          ? `imports ${specifier}`
          : undefined,
      ),
  ],
  [
    'clock, environment, console and randomness have one door each',
    (module) =>
      findings(module, (node) => {
        const isUse =
          ts.isPropertyAccessExpression(node) ||
          ts.isNewExpression(node) ||
          (ts.isIdentifier(node) &&
            !(ts.isPropertyAccessExpression(node.parent) && node.parent.name === node));
        if (!isUse) return undefined;
        const used = ts.isNewExpression(node) ? node.getText() : compact(node);
        const door = AMBIENT.find(({ what }) => what.test(used));
        return door === undefined || door.allowed.includes(module.path)
          ? undefined
          : `uses ${used}`;
      }),
  ],
  [
    'a timer never keeps the process alive',
    (module) =>
      findings(module, (node) =>
        // A page has no process to keep alive, and its timers no `unref`.
        module.path !== 'client/browser.ts' &&
        ts.isCallExpression(node) &&
        /^set(?:Timeout|Interval)$/.test(node.expression.getText()) &&
        !module.ast.text.includes('.unref()')
          ? 'sets a timer without unref'
          : undefined,
      ),
  ],
  [
    'no wildcard export, no default export, no enum, no top-level await',
    (module) =>
      findings(module, (node) => {
        if (ts.isExportDeclaration(node) && node.exportClause === undefined) return 'exports *';
        if (ts.isExportAssignment(node)) return 'has a default export';
        if (node.kind === ts.SyntaxKind.DefaultKeyword && !ts.isDefaultClause(node.parent)) {
          return 'has a default export';
        }
        if (ts.isEnumDeclaration(node)) return 'declares an enum';
        return ts.isAwaitExpression(node) && ts.findAncestor(node, ts.isFunctionLike) === undefined
          ? 'awaits at the top level'
          : undefined;
      }),
  ],
  [
    'no any, no double assertion, no boolean parameter',
    (module) =>
      findings(module, (node) => {
        if (node.kind === ts.SyntaxKind.AnyKeyword) return 'says any';
        if (
          !PARSER.test(module.path) &&
          ts.isAsExpression(node) &&
          ts.isAsExpression(node.expression) &&
          node.expression.type.kind === ts.SyntaxKind.UnknownKeyword
        ) {
          return 'asserts a type by way of unknown';
        }
        return ts.isParameter(node) &&
          isFunctionWithBody(node.parent) &&
          (node.type?.kind === ts.SyntaxKind.BooleanKeyword ||
            node.initializer?.kind === ts.SyntaxKind.TrueKeyword ||
            node.initializer?.kind === ts.SyntaxKind.FalseKeyword)
          ? `takes a boolean, ${node.name.getText()}`
          : undefined;
      }),
  ],
  [
    'a handler cannot loosen what its class demands (no getAllAndOverride, no getAllAndMerge)',
    (module) =>
      findings(module, (node) =>
        ts.isIdentifier(node) && /^getAllAnd(?:Override|Merge)$/.test(node.text)
          ? `calls ${node.text}`
          : undefined,
      ),
  ],
  [
    'names are in kebab-case and say what is inside',
    ({ path }) =>
      KEBAB_CASE.test(path) && !BANNED_NAME.test(path) ? [] : [`${path}:1 is a bad name`],
  ],
  [
    `no file is longer than ${MAX_LINES} lines`,
    ({ path, ast }) => {
      const lines = ast.text.trimEnd().split('\n').length;
      return lines <= MAX_LINES ? [] : [`${path}:${lines} is too long`];
    },
  ],
]);

/** What breaks the rule called `name` in these sources. */
export function violations(sources: Sources, name: string): string[] {
  const check = RULES.get(name);
  if (check === undefined) throw new TypeError(`There is no rule "${name}".`);
  return [...sources].flatMap(([path, content]) => check(parse(path, content)));
}

/** Every import cycle, type imports included, as `a.ts -> b.ts -> a.ts`. */
export function importCycles(sources: Sources): string[] {
  const targets = new Map(
    [...sources].map(([path, content]) => [
      path,
      parse(path, content).imports.flatMap(({ target }) => target ?? []),
    ]),
  );
  const cycles: string[] = [];
  const finished = new Set<string>();
  const visit = (path: string, trail: readonly string[]): void => {
    const start = trail.indexOf(path);
    if (start >= 0) cycles.push([...trail.slice(start), path].join(' -> '));
    if (start >= 0 || finished.has(path)) return;
    for (const target of targets.get(path) ?? []) visit(target, [...trail, path]);
    finished.add(path);
  };
  for (const path of sources.keys()) visit(path, []);
  return cycles;
}

/** Every package that is loaded, or looked at by the compiler, once `entry` is imported. */
export function packagesReachedFrom(sources: Sources, entry: string): Set<string> {
  const packages = new Set<string>();
  const seen = new Set<string>();
  const visit = (path: string): void => {
    if (seen.has(path)) return;
    seen.add(path);
    for (const { specifier, target } of parse(path, sources.get(path) ?? '').imports) {
      if (target !== undefined) visit(target);
      else if (!specifier.startsWith('node:')) packages.add(packageName(specifier));
    }
  };
  visit(entry);
  return packages;
}

function packageName(specifier: string): string {
  return specifier
    .split('/')
    .slice(0, specifier.startsWith('@') ? 2 : 1)
    .join('/');
}
