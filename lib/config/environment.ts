import { ConfigError, type ConfigProblem } from '../kernel/errors.js';
import { parseStrictJson } from '../kernel/strict-json.js';
import { memoryStorage } from '../storage/memory/memory-storage.js';
import type { JwtHardeningOptions } from './options.js';
import { resolveConfig } from './resolve-config.js';

// The only file that reads the process's environment.

type Environment = Readonly<Record<string, string | undefined>>;

/** Each variable and the option it sets. */
const VARIABLES = {
  JWT_ISSUER: 'issuer',
  JWT_AUDIENCE: 'audience',
  JWT_PROFILE: 'profile',
  JWT_SIGNING_JWK: 'keys.signingKey',
  JWT_ROTATE_EVERY: 'keys.rotateEvery',
  JWT_PUBLISH_AHEAD: 'keys.publishAhead',
  JWT_RETAIN_FOR: 'keys.retainFor',
  JWT_ACCESS_TTL: 'tokens.accessTtl',
  JWT_TOKEN_ENCRYPTION_KEY: 'tokens.encryption.keys',
  JWT_REUSE_GRACE: 'sessions.reuseGrace',
  JWT_KEY_ENCRYPTION_KEY: 'keys.encryptionKeys',
  JWT_BINDING_SECRET: 'binding.secrets',
  JWT_LEGACY_SECRET: 'legacy.secrets',
  JWT_LEGACY_UNTIL: 'legacy.until',
  JWT_TRUST_ISSUER: 'trust.0.issuer',
  JWT_TRUST_JWKS_URI: 'trust.0.jwksUri',
} as const;

/** Where one follows another: the new one, a comma, the old one. */
const LISTS: ReadonlySet<string> = new Set([
  'JWT_KEY_ENCRYPTION_KEY',
  'JWT_TOKEN_ENCRYPTION_KEY',
  'JWT_BINDING_SECRET',
]);

/** What is wrong with a section as a whole, under the name of what it begins with. */
const SECTIONS: Readonly<Record<string, string>> = {
  'trust.0': 'JWT_TRUST_ISSUER',
  legacy: 'JWT_LEGACY_SECRET',
};

/** `NODE_ENV` of this process. */
export function nodeEnv(): string | undefined {
  return process.env['NODE_ENV'];
}

/**
 * Reads the options from environment variables.
 * @param env the variables; by default those of this process
 * @throws ConfigError `ERR_CONFIG_INVALID` with every problem, by the name of its variable
 */
export async function optionsFromEnvironment(
  env: Environment = process.env,
): Promise<JwtHardeningOptions> {
  const problems: ConfigProblem[] = [];
  const options: Record<string, unknown> = {};
  for (const [variable, path] of Object.entries(VARIABLES)) {
    const text = env[variable];
    if (text === undefined) continue;
    if (text === '') {
      const fix = 'Give it a value, or unset it';
      problems.push({ path: variable, problem: 'it is empty', fix });
      continue;
    }
    const value = read(variable, text, problems);
    if (value !== undefined) Object.assign(options, withValue(options, path.split('.'), value));
  }
  problems.push(...(await problemsOf(options, problems, env['NODE_ENV'])));
  if (problems.length > 0) throw new ConfigError('ERR_CONFIG_INVALID', problems);
  return options as unknown as JwtHardeningOptions;
}

function read(variable: string, text: string, problems: ConfigProblem[]): unknown {
  if (variable === 'JWT_SIGNING_JWK') return parseJwk(text, problems);
  return LISTS.has(variable) ? text.split(',') : text;
}

function parseJwk(text: string, problems: ConfigProblem[]): unknown {
  const jwk = parseStrictJson(Buffer.from(text));
  if (typeof jwk !== 'string') return jwk;
  const fix = 'Give a private JWK as JSON on one line, with kid and alg';
  problems.push({ path: 'JWT_SIGNING_JWK', problem: jwk, fix });
  return undefined;
}

/** What the resolver says of these options, under the names of their variables. */
async function problemsOf(
  options: object,
  known: readonly ConfigProblem[],
  environment: string | undefined,
): Promise<readonly ConfigProblem[]> {
  try {
    // Which storage it will be is not known here.
    const storage = memoryStorage({ dangerouslyAllowInProduction: true });
    await resolveConfig({ ...options, storage }, environment);
    return [];
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error;
    return error.problems
      .map(({ path, problem, fix }) => ({
        path: rename(path),
        problem: renameAll(problem),
        fix: renameAll(fix),
      }))
      .filter(({ path }) => !known.some((other) => other.path === path));
  }
}

function rename(path: string): string {
  for (const [variable, option] of Object.entries(VARIABLES)) {
    if (path === option) return variable;
    if (path.startsWith(`${option}.`)) return variable + path.slice(option.length);
  }
  return SECTIONS[path] ?? path;
}

function renameAll(text: string): string {
  return text.replace(/\b(?:keys|tokens|sessions|binding|legacy)(?:\.\w+)+/g, rename);
}

/** A copy of a section with one value in it, however deep. */
function withValue(section: unknown, [name, ...rest]: readonly string[], value: unknown): unknown {
  if (name === undefined) return value;
  const known = membersOf(section);
  const inner = withValue(known[name], rest, value);
  // The only lists there are have one entry.
  return name === '0' ? [inner] : { ...known, [name]: inner };
}

function membersOf(section: unknown): Readonly<Record<string, unknown>> {
  return typeof section === 'object' && section !== null ? { ...section } : {};
}
