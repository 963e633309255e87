import { ConfigurableModuleBuilder } from '@nestjs/common';

import type { JwtHardeningExtras, JwtHardeningOptions } from './config/options.js';

const DEFAULTS: Required<JwtHardeningExtras> = {
  isGlobal: true,
  guard: 'global',
  jwksPath: '/.well-known/jwks.json',
};

export const { ConfigurableModuleClass, MODULE_OPTIONS_TOKEN, OPTIONS_TYPE, ASYNC_OPTIONS_TYPE } =
  new ConfigurableModuleBuilder<JwtHardeningOptions>()
    .setClassMethodName('forRoot')
    .setFactoryMethodName('createJwtHardeningOptions')
    .setExtras<JwtHardeningExtras>(DEFAULTS, (definition) => definition)
    .build();

/** What the dynamic module is shaped by; `undefined` reads as not written. */
export function resolveExtras(options: JwtHardeningExtras): Required<JwtHardeningExtras> {
  return {
    isGlobal: options.isGlobal ?? DEFAULTS.isGlobal,
    guard: options.guard ?? DEFAULTS.guard,
    jwksPath: options.jwksPath === undefined ? DEFAULTS.jwksPath : options.jwksPath,
  };
}
