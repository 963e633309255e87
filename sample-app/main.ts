import type { AddressInfo } from 'node:net';

import { ConsoleLogger, Logger } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import { ConfigError, KeyError, RevocationError } from 'nest-jwt-hardening';

import { AppModule } from './app.module.js';
import { banner } from './banner.js';
import { APPLICATION_OPTIONS, configureHttp, newHttpAdapter } from './http/http-application.js';
import { readSettings } from './settings.js';

/** Only this machine: everyone knows the passwords of the demo. */
const HOST = '127.0.0.1';

async function start(): Promise<void> {
  const settings = await readSettings(process.env);
  const logger = new ConsoleLogger({ json: settings.logFormat === 'json' });
  const module = AppModule.with(settings);
  const adapter = newHttpAdapter(settings.httpAdapter);
  const app = await NestFactory.create(module, adapter, {
    ...APPLICATION_OPTIONS,
    logger,
  });
  configureHttp(app);
  await app.listen(settings.port, HOST);

  const { port } = app.getHttpServer().address() as AddressInfo;
  const url = `http://localhost:${port}`;
  if (settings.logFormat === 'json') Logger.log(`ledger is ready on ${url}`, 'Ledger');
  else process.stdout.write(banner(url));
}

/** The variables behind options that are only checked when the application is put together. */
const VARIABLES: ReadonlyMap<string, string> = new Map([
  ['transport.origins', 'ALLOWED_ORIGINS'],
  ['transport.trustedProxies', 'TRUST_PROXY'],
]);

/** What the operator can fix, a line each; `undefined` for what only we can. */
function explain(error: unknown): string | undefined {
  if (error instanceof ConfigError) {
    const lines = error.problems.map(
      ({ path, problem, fix }) => `  ${VARIABLES.get(path) ?? path}: ${problem}. ${fix}.`,
    );
    return ['ledger cannot start:', ...lines].join('\n');
  }
  if (error instanceof KeyError || error instanceof RevocationError) {
    return `ledger cannot start:\n  ${error.code}: ${error.message} See docs/operations.md.`;
  }
  const { code } = error as NodeJS.ErrnoException;
  if (code === 'EADDRINUSE' || code === 'EACCES') {
    const problem = code === 'EADDRINUSE' ? 'it is in use' : 'it needs more rights';
    return `ledger cannot start:\n  PORT: ${problem}. Choose another, such as PORT=3001.`;
  }
  return undefined;
}

start().catch((error: unknown) => {
  const explanation = explain(error);
  if (explanation === undefined) throw error;
  process.stderr.write(`${explanation}\n`);
  process.exit(1);
});
