import { registerAs } from '@nestjs/config';

import { optionsFromEnvironment } from './environment.js';

/**
 * The options as a namespace of `@nestjs/config`, read from the environment:
 * `JwtHardeningModule.forRootAsync(jwtHardeningConfig.asProvider())`.
 */
export const jwtHardeningConfig = registerAs('jwtHardening', () => optionsFromEnvironment());

export { optionsFromEnvironment } from './environment.js';
