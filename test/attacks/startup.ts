import { Test } from '@nestjs/testing';

import type { JwtHardeningOptions } from '../../lib/config/options.js';
import { JwtHardeningModule } from '../../lib/jwt-hardening.module.js';
import { ConfigError } from '../../lib/kernel/errors.js';
import { AUDIENCE, ISSUER } from '../support/guarded-app.js';

/**
 * Starts a Nest application with options as a developer without types could write them, and answers
 * the paths of the problems that stopped it; an empty list means that it started.
 */
export async function startupProblems(options: object): Promise<readonly string[]> {
  const hostile = { issuer: ISSUER, audience: AUDIENCE, ...options } as JwtHardeningOptions;
  try {
    const module = await Test.createTestingModule({
      imports: [JwtHardeningModule.forRoot(hostile)],
    }).compile();
    await module.close();
    return [];
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error;
    return error.problems.map(({ path }) => path);
  }
}
