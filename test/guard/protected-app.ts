import type { AddressInfo } from 'node:net';

import {
  type Abstract,
  type INestApplication,
  type LoggerService,
  type ModuleMetadata,
  type NestApplicationOptions,
  type Provider,
  type Type,
} from '@nestjs/common';
import { FastifyAdapter } from '@nestjs/platform-fastify';
import { Test } from '@nestjs/testing';

import type { JwtHardeningExtras, JwtHardeningOptions } from '../../lib/config/options.js';
import { type SecurityEvent, SecurityEvents } from '../../lib/events/security-events.js';
import { JwtHardeningModule } from '../../lib/jwt-hardening.module.js';
import { Clock } from '../../lib/kernel/clock.js';
import type { TokenClaims } from '../../lib/tokens/claims.js';
import type { SignOptions } from '../../lib/tokens/token-signer.js';
import { TokenService } from '../../lib/tokens/token.service.js';
import { type AdapterName, AUDIENCE, ISSUER } from '../support/guarded-app.js';
import { type Answer, type RequestOptions, send, sendRaw } from '../support/http.js';
import { TestClock } from '../support/test-clock.js';
import { recordOutput, recordSecret } from '../support/witness.js';

/** A running server whose log lines and events can be read, and that hands out tokens of its own. */
export interface ProtectedApp {
  readonly app: INestApplication;
  readonly url: string;
  readonly clock: TestClock;
  /** Every security event since the start, or since `forgetEvents`. */
  readonly events: SecurityEvent[];
  /** What the application's logger was told. */
  readonly logs: string[];
  sign(claims?: Partial<TokenClaims>, options?: SignOptions): Promise<string>;
  send(path: string, options?: RequestOptions): Promise<Answer>;
  sendRaw(text: string): Promise<string>;
  forgetEvents(): void;
  close(): Promise<void>;
}

type Token = Type | Abstract<unknown>;

export interface ProtectedAppOptions {
  readonly adapter?: AdapterName;
  readonly options?: Partial<JwtHardeningOptions> & JwtHardeningExtras;
  readonly imports?: NonNullable<ModuleMetadata['imports']>;
  readonly providers?: Provider[];
  /** Providers of the module under test that a test replaces, as an application's own tests would. */
  readonly overrides?: ReadonlyArray<readonly [Token, unknown]>;
  readonly fastify?: ConstructorParameters<typeof FastifyAdapter>[0];
  readonly nest?: NestApplicationOptions;
  /** Runs between the creation of the application and its start. */
  readonly configure?: (app: INestApplication) => void;
}

/** Starts a real HTTP server with the module and these controllers, on a free port. */
export async function startProtectedApp(
  controllers: Type[],
  settings: ProtectedAppOptions = {},
): Promise<ProtectedApp> {
  const { adapter = 'express', options = {}, imports = [], providers = [] } = settings;
  const clock = new TestClock();
  const logs: string[] = [];
  const builder = Test.createTestingModule({
    imports: [
      ...imports,
      JwtHardeningModule.forRoot({ issuer: ISSUER, audience: AUDIENCE, ...options }),
    ],
    controllers,
    providers,
  })
    .setLogger(recordingLogger(logs))
    .overrideProvider(Clock)
    .useValue(clock);
  for (const [token, value] of settings.overrides ?? []) {
    builder.overrideProvider(token).useValue(value);
  }
  const module = await builder.compile();
  const app =
    adapter === 'fastify'
      ? module.createNestApplication(new FastifyAdapter(settings.fastify), settings.nest)
      : module.createNestApplication(settings.nest);
  settings.configure?.(app);
  const events: SecurityEvent[] = [];
  app
    .get(SecurityEvents)
    .asObservable()
    .subscribe((event) => events.push(event));
  try {
    await app.listen(0, '127.0.0.1');
  } catch (error) {
    await app.close();
    throw error;
  }
  const { port } = app.getHttpServer().address() as AddressInfo;
  const url = `http://127.0.0.1:${port}`;
  return {
    app,
    url,
    clock,
    events,
    logs,
    sign: async (claims = {}, signOptions = {}) => {
      const { token } = await app.get(TokenService).sign({ sub: 'user-1', ...claims }, signOptions);
      recordSecret(token);
      return token;
    },
    send: (path, request) => send(url, path, request),
    sendRaw: (text) => sendRaw(url, text),
    forgetEvents: () => events.splice(0),
    close: () => app.close(),
  };
}

function recordingLogger(lines: string[]): LoggerService {
  const take = (...message: unknown[]): void => {
    const line = message.map(String).join(' ');
    lines.push(line);
    recordOutput(line);
  };
  return { log: take, error: take, warn: take, debug: take, verbose: take, fatal: take };
}
