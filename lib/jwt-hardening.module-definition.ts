import { ConfigurableModuleBuilder } from '@nestjs/common';

import { OptionReader } from './config/option-reader.js';
import type { JwtHardeningExtras, JwtHardeningOptions } from './config/options.js';
import { ConfigError } from './kernel/errors.js';

const DEFAULTS: Required<JwtHardeningExtras> = {
  isGlobal: true,
  guard: 'global',
  jwksPath: '/.well-known/jwks.json',
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
    revocationPath: readPath(reader, 'revocationPath', '/oauth/revoke'),
    introspectionPath: readPath(reader, 'introspectionPath', '/oauth/introspect'),
    statusListPath: readPath(reader, 'statusListPath', '/status-lists'),
  };
  if (extras.revocationPath !== null && extras.revocationPath === extras.introspectionPath) {
    reader.add('introspectionPath', 'it is revocationPath', 'Write another path');
  }
  if (reader.problems.length > 0) throw new ConfigError('ERR_CONFIG_INVALID', reader.problems);
  return extras;
}

function readPath(
  reader: OptionReader,
  name: 'jwksPath' | 'revocationPath' | 'introspectionPath' | 'statusListPath',
  example: string,
): string | null {
  const value = reader.get(name);
  if (value === null) return null;
  if (value === undefined) return DEFAULTS[name];
  const fix = `Write a path such as '${example}', or null for none`;
  return reader.text(name, undefined, fix, (path) => PATH.test(path));
}
