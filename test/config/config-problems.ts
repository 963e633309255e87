import { resolveConfig, type ResolvedConfig } from '../../lib/config/resolve-config.js';
import { ConfigError, type ConfigProblem } from '../../lib/kernel/errors.js';

export const REQUIRED = { issuer: 'https://issuer.example', audience: 'https://api.example' };

/** Options on top of the two that are required. */
export function resolve(options: object = {}): Promise<ResolvedConfig> {
  return resolveConfig({ ...REQUIRED, ...options }, 'test');
}

/** The problems of an attempt that has to be refused. */
export async function problemsOf(attempt: Promise<unknown>): Promise<readonly ConfigProblem[]> {
  return (await refusalOf(attempt)).problems;
}

export async function refusalOf(attempt: Promise<unknown>): Promise<ConfigError> {
  const outcome: unknown = await attempt.then(
    () => new Error('it was accepted'),
    (error: unknown) => error,
  );
  if (outcome instanceof ConfigError) return outcome;
  throw outcome instanceof Error ? outcome : new Error('it failed with something else');
}

/** `path: problem` of each. */
export async function saidOf(attempt: Promise<unknown>): Promise<readonly string[]> {
  return (await problemsOf(attempt)).map(({ path, problem }) => `${path}: ${problem}`);
}

export async function pathsOf(attempt: Promise<unknown>): Promise<readonly string[]> {
  return (await problemsOf(attempt)).map(({ path }) => path);
}
