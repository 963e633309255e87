import type { AddressInfo } from 'node:net';

import { Test, type TestingModuleBuilder } from '@nestjs/testing';

import { AppModule } from '../../sample-app/app.module.js';
import {
  APPLICATION_OPTIONS,
  configureHttp,
  newHttpAdapter,
} from '../../sample-app/http/http-application.js';
import type { Storage } from '../../lib/storage/storage.js';
import { readSettings, type Settings } from '../../sample-app/settings.js';
import type { HashCost } from '../../sample-app/users/password-hash.js';
import { UserDirectory } from '../../sample-app/users/user-directory.js';
import { type AdapterName, ISSUER } from '../support/guarded-app.js';
import { recordOutput } from '../support/witness.js';

export interface RunningLedger {
  readonly url: string;
  /** What it logged so far. */
  logs(): readonly string[];
  close(): Promise<void>;
}

export interface LedgerOptions {
  readonly env?: Readonly<Record<string, string>>;
  /** @defaultValue what the environment says */
  readonly storage?: Storage;
  /** Replaces providers before the application is built. */
  readonly override?: (builder: TestingModuleBuilder) => unknown;
}

/** Hashes are slow on purpose, and what is tested here is not how slow. */
export const CHEAP: HashCost = { N: 2 ** 4, r: 1, p: 1 };

/** Starts the sample app in this process, put together as its `main.ts` does. */
export async function startLedger(
  adapter: AdapterName,
  { env = {}, storage, override }: LedgerOptions = {},
): Promise<RunningLedger> {
  const { port, httpAdapter, logFormat, jwt } = await readSettings({
    JWT_ISSUER: ISSUER,
    HTTP_ADAPTER: adapter,
    ...env,
  });
  const settings: Settings = {
    port,
    httpAdapter,
    logFormat,
    jwt: storage === undefined ? jwt : { ...jwt, storage },
  };
  const builder = Test.createTestingModule({ imports: [AppModule.with(settings)] });
  const lines: string[] = [];
  const take = (...message: readonly unknown[]): void => {
    const line = message.map(String).join(' ');
    lines.push(line);
    recordOutput(line);
  };
  // Without a logger of its own, a testing module drops all but errors.
  builder.setLogger({
    log: take,
    warn: take,
    error: take,
    debug: take,
    verbose: take,
    fatal: take,
  });
  builder.overrideProvider(UserDirectory).useFactory({ factory: () => UserDirectory.open(CHEAP) });
  override?.(builder);
  const module = await builder.compile();
  const app = module.createNestApplication(
    newHttpAdapter(settings.httpAdapter),
    APPLICATION_OPTIONS,
  );
  configureHttp(app);
  await app.listen(0, '127.0.0.1');
  const address = app.getHttpServer().address() as AddressInfo;
  return { url: `http://127.0.0.1:${address.port}`, logs: () => lines, close: () => app.close() };
}
