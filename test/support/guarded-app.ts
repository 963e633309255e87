import type { AddressInfo } from 'node:net';

import type { INestApplication, ModuleMetadata } from '@nestjs/common';
import { FastifyAdapter } from '@nestjs/platform-fastify';
import { Test } from '@nestjs/testing';

import type { JwtHardeningExtras, JwtHardeningOptions } from '../../lib/config/options.js';
import { JwtHardeningModule } from '../../lib/jwt-hardening.module.js';
import { Clock } from '../../lib/kernel/clock.js';
import { witnessLogger } from './witness-logger.js';

export const ISSUER = 'https://issuer.example';
export const AUDIENCE = 'https://api.example';

export const ADAPTERS = ['express', 'fastify'] as const;
export type AdapterName = (typeof ADAPTERS)[number];

export interface GuardedApp {
  readonly app: INestApplication;
  /** `http://127.0.0.1:port` */
  readonly url: string;
  close(): Promise<void>;
}

export interface GuardedAppOptions {
  readonly adapter?: AdapterName;
  readonly options?: Partial<JwtHardeningOptions> & JwtHardeningExtras;
  readonly clock?: Clock;
  readonly imports?: NonNullable<ModuleMetadata['imports']>;
}

/** Starts a real HTTP server with the module and these controllers, on a free port. */
export async function startGuardedApp(
  controllers: NonNullable<ModuleMetadata['controllers']>,
  { adapter = 'express', options = {}, clock, imports = [] }: GuardedAppOptions = {},
): Promise<GuardedApp> {
  const builder = Test.createTestingModule({
    imports: [
      ...imports,
      JwtHardeningModule.forRoot({ issuer: ISSUER, audience: AUDIENCE, ...options }),
    ],
    controllers,
  });
  builder.setLogger(witnessLogger);
  if (clock !== undefined) builder.overrideProvider(Clock).useValue(clock);
  const module = await builder.compile();
  const app =
    adapter === 'fastify'
      ? module.createNestApplication(new FastifyAdapter())
      : module.createNestApplication();
  await app.listen(0, '127.0.0.1');
  const { port } = app.getHttpServer().address() as AddressInfo;
  return { app, url: `http://127.0.0.1:${port}`, close: () => app.close() };
}
