import { ConfigurableModuleBuilder } from '@nestjs/common';

import { OptionReader } from './config/option-reader.js';
import type { JwtHardeningExtras, JwtHardeningOptions } from './config/options.js';
import { ConfigError } from './kernel/errors.js';

const DEFAULTS: Required<JwtHardeningExtras> = {
  isGlobal: true,
  guard: 'global',
  jwksPath: '/.well-known/jwks.json',
  authorizationPath: null,
  tokenPath: null,
  metadataPath: null,
  revocationPath: null,
  introspectionPath: null,
  statusListPath: null,
};

export const { ConfigurableModuleClass, MODULE_OPTIONS_TOKEN, OPTIONS_TYPE, ASYNC_OPTIONS_TYPE } =
  new ConfigurableModuleBuilder<JwtHardeningOptions>()
    .setClassMethodName('forRoot')
    .setFactoryMethodName('createJwtHardeningOptions')
    .setExtras<JwtHardeningExtras>(DEFAULTS, (definition) => definition)
    .build();

/** In the order in which they may take a path. */
const PATHS = [
  'jwksPath',
  'authorizationPath',
  'tokenPath',
  'metadataPath',
  'revocationPath',
  'introspectionPath',
] as const;

/** A plain path: no parameter and no wildcard that would catch other routes. */
const PATH = /^\/[A-Za-z0-9._~/-]+$/;

/**
 * What the dynamic module is shaped by; `undefined` reads as not written.
 * @throws ConfigError `ERR_CONFIG_INVALID`: a misspelt `guard` must not leave the routes open
 */
export function resolveExtras(options: JwtHardeningExtras): Required<JwtHardeningExtras> {
  const reader = new OptionReader(options);
  const extras = {
    isGlobal: reader.oneOf('isGlobal', [true, false], DEFAULTS.isGlobal),
    guard: reader.oneOf('guard', ['global', 'manual'], DEFAULTS.guard),
    jwksPath: readPath(reader, 'jwksPath', '/.well-known/jwks.json'),
    authorizationPath: readPath(reader, 'authorizationPath', '/oauth/authorize'),
    tokenPath: readPath(reader, 'tokenPath', '/oauth/token'),
    metadataPath: readPath(reader, 'metadataPath', '/.well-known/oauth-authorization-server'),
    revocationPath: readPath(reader, 'revocationPath', '/oauth/revoke'),
    introspectionPath: readPath(reader, 'introspectionPath', '/oauth/introspect'),
    statusListPath: readPath(reader, 'statusListPath', '/status-lists'),
  };
  const taken = new Map<string, string>();
  for (const name of PATHS) {
    const path = extras[name];
    if (path === null) continue;
    const other = taken.get(path);
    if (other !== undefined) reader.add(name, `it is ${other}`, 'Write another path');
    taken.set(path, name);
  }
  for (const name of ['authorizationPath', 'metadataPath'] as const) {
    if (extras[name] === null || extras.tokenPath !== null) continue;
    const fix = "Write tokenPath: '/oauth/token'";
    reader.add(name, 'it is set, and tokenPath is not', fix);
  }
  if (reader.problems.length > 0) throw new ConfigError('ERR_CONFIG_INVALID', reader.problems);
  return extras;
}

function readPath(
  reader: OptionReader,
  name: (typeof PATHS)[number] | 'statusListPath',
  example: string,
): string | null {
  const value = reader.get(name);
  if (value === null) return null;
  if (value === undefined) return DEFAULTS[name];
  const fix = `Write a path such as '${example}', or null for none`;
  return reader.text(name, undefined, fix, (path) => PATH.test(path));
}
