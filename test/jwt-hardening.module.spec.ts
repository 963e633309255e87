import {
  Controller,
  type DynamicModule,
  Get,
  Injectable,
  Module,
  type ModuleMetadata,
  UseGuards,
} from '@nestjs/common';
import { FastifyAdapter } from '@nestjs/platform-fastify';
import { Test, type TestingModule } from '@nestjs/testing';

import type { JwtHardeningOptions } from '../lib/config/options.js';
import { SecurityEvents } from '../lib/events/security-events.js';
import { AuthGuard } from '../lib/guard/auth.guard.js';
import { Scopes } from '../lib/guard/decorators.js';
import { RouteAudit } from '../lib/guard/route-audit.js';
import { JwtHardeningModule } from '../lib/jwt-hardening.module.js';
import { resolveExtras } from '../lib/jwt-hardening.module-definition.js';
import { Clock, SystemClock } from '../lib/kernel/clock.js';
import { CoordinatedClock } from '../lib/kernel/coordinated-clock.js';
import { ConfigError } from '../lib/kernel/errors.js';
import { KeyRingService } from '../lib/keys/key-ring.service.js';
import { TokenService } from '../lib/tokens/token.service.js';
import { ADAPTERS, AUDIENCE, ISSUER } from './support/guarded-app.js';
import { closeConnections, send } from './support/http.js';
import { TestClock } from './support/test-clock.js';
import { newPrivateJwk } from './support/token-mother.js';
import { recordSecret } from './support/witness.js';

afterAll(closeConnections);

const OPTIONS: JwtHardeningOptions = { issuer: ISSUER, audience: AUDIENCE };

@Controller('guarded')
class Guarded {
  @Scopes('a')
  @Get()
  get(): string {
    return 'reached';
  }
}

@Controller('manual')
class Manual {
  @Get('open')
  open(): string {
    return 'reached';
  }

  @UseGuards(AuthGuard)
  @Get('guarded')
  guarded(): string {
    return 'reached';
  }
}

const opened: { close(): Promise<void> }[] = [];

afterEach(async () => {
  for (const one of opened.splice(0)) await one.close();
});

async function compile(metadata: ModuleMetadata): Promise<TestingModule> {
  const module = await Test.createTestingModule(metadata).compile();
  opened.push(module);
  return module;
}

interface Running {
  readonly url: string;
  readonly module: TestingModule;
}

async function start(metadata: ModuleMetadata, adapter = 'express'): Promise<Running> {
  const module = await Test.createTestingModule(metadata).compile();
  const app =
    adapter === 'fastify'
      ? module.createNestApplication(new FastifyAdapter())
      : module.createNestApplication();
  opened.push(app);
  await app.listen(0, '127.0.0.1');
  return { url: (await app.getUrl()).replace('[::1]', '127.0.0.1'), module };
}

async function sign(module: TestingModule, claims: object = {}): Promise<string> {
  const { token } = await module.get(TokenService).sign({ sub: 'user-1', ...claims });
  recordSecret(token);
  return token;
}

/** The statuses of a route with a demand: without a token, without the right, with it. */
async function statusesOf({ url, module }: Running): Promise<readonly number[]> {
  return [
    (await send(url, '/guarded')).status,
    (await send(url, '/guarded', { token: await sign(module) })).status,
    (await send(url, '/guarded', { token: await sign(module, { scope: 'a' }) })).status,
  ];
}

const GUARDED = [401, 403, 200];

async function problemsOf(metadata: ModuleMetadata): Promise<readonly string[]> {
  try {
    await compile(metadata);
    return [];
  } catch (error) {
    if (error instanceof ConfigError) return error.problems.map(({ path }) => path);
    throw error;
  }
}

@Injectable()
class Settings {
  readonly issuer = ISSUER;

  createJwtHardeningOptions(): JwtHardeningOptions {
    return { issuer: this.issuer, audience: AUDIENCE };
  }
}

@Module({ providers: [Settings], exports: [Settings] })
class SettingsModule {}

describe.each(ADAPTERS)('ways to configure the module, on %s', (adapter) => {
  const ways: Record<string, DynamicModule> = {
    forRoot: JwtHardeningModule.forRoot(OPTIONS),
    'forRootAsync with useFactory': JwtHardeningModule.forRootAsync({ useFactory: () => OPTIONS }),
    'forRootAsync with an asynchronous useFactory': JwtHardeningModule.forRootAsync({
      useFactory: async () => OPTIONS,
    }),
    'forRootAsync with inject': JwtHardeningModule.forRootAsync({
      imports: [SettingsModule],
      inject: [Settings],
      useFactory: (settings: Settings) => settings.createJwtHardeningOptions(),
    }),
    'forRootAsync with useClass': JwtHardeningModule.forRootAsync({ useClass: Settings }),
    'forRootAsync with useExisting': JwtHardeningModule.forRootAsync({
      imports: [SettingsModule],
      useExisting: Settings,
    }),
  };

  it.each(Object.entries(ways))('%s guards every route and serves the JWKS', async (_, module) => {
    const app = await start({ imports: [module], controllers: [Guarded] }, adapter);
    const jwks = await send(app.url, '/.well-known/jwks.json');

    expect(await statusesOf(app)).toEqual(GUARDED);
    expect(jwks.status).toBe(200);
    expect(JSON.parse(jwks.body)).toEqual({
      keys: [expect.objectContaining({ kty: 'EC', alg: 'ES256', use: 'sig' }) as object],
    });
  });
});

describe('options that are wrong', () => {
  it('stop the start with every problem at once', async () => {
    const options = { issuer: '', audience: [], tokens: { accessTtl: 900, leway: '1s' }, key: {} };

    expect(await problemsOf({ imports: [JwtHardeningModule.forRoot(options as never)] })).toEqual(
      expect.arrayContaining(['issuer', 'audience', 'tokens.accessTtl', 'tokens.leway', 'key']),
    );
  });

  it.each([
    ['nothing', undefined],
    ['null', null],
    ['text', 'x'],
    ['a list', []],
    ['an empty object', {}],
  ])('stop the start when a factory answers %s', async (_, options) => {
    const module = JwtHardeningModule.forRootAsync({ useFactory: () => options as never });

    expect(await problemsOf({ imports: [module] })).not.toEqual([]);
  });

  it('keep the reason of a factory that fails', async () => {
    const module = JwtHardeningModule.forRootAsync({
      useFactory: async () => Promise.reject(new RangeError('no vault')),
    });

    await expect(compile({ imports: [module] })).rejects.toThrow(new RangeError('no vault'));
  });

  it.each([
    ['guard', 'off'],
    ['guard', 'Manual'],
    ['guard', false],
    ['guard', null],
    ['isGlobal', 'no'],
    ['isGlobal', null],
    ['jwksPath', ''],
    ['jwksPath', '*'],
    ['jwksPath', '/:any'],
    ['jwksPath', '/*all'],
    ['jwksPath', '/a/../b?x'],
    ['jwksPath', false],
    ['jwksPath', 7],
    ['revocationPath', '/oauth/:which'],
    ['introspectionPath', true],
    ['statusListPath', '/lists/*'],
  ])('stop the start for %s: %j, which must open nothing by accident', (name, value) => {
    expect(() => JwtHardeningModule.forRoot({ ...OPTIONS, [name]: value })).toThrow(ConfigError);
    expect(() =>
      JwtHardeningModule.forRootAsync({ useFactory: () => OPTIONS, [name]: value }),
    ).toThrow(ConfigError);
  });
});

describe('extras', () => {
  const off = {
    revocationPath: null,
    introspectionPath: null,
    authorizationPath: null,
    tokenPath: null,
    metadataPath: null,
    statusListPath: null,
  };
  it.each([
    [{}, { ...off, isGlobal: true, guard: 'global', jwksPath: '/.well-known/jwks.json' }],
    [
      { isGlobal: undefined, guard: undefined, jwksPath: undefined },
      { ...off, isGlobal: true, guard: 'global', jwksPath: '/.well-known/jwks.json' },
    ],
    [{ jwksPath: null }, { ...off, isGlobal: true, guard: 'global', jwksPath: null }],
    [
      { isGlobal: false, guard: 'manual', jwksPath: '/keys', revocationPath: '/oauth/revoke' },
      {
        ...off,
        isGlobal: false,
        guard: 'manual',
        jwksPath: '/keys',
        revocationPath: '/oauth/revoke',
      },
    ],
  ])('%j resolves to %j', (given, resolved) => {
    expect(resolveExtras(given as Parameters<typeof resolveExtras>[0])).toEqual(resolved);
  });

  it('jwksPath moves the JWKS, null takes it away', async () => {
    const moved = await start({
      imports: [JwtHardeningModule.forRoot({ ...OPTIONS, jwksPath: '/keys' })],
    });
    const none = await start({
      imports: [JwtHardeningModule.forRootAsync({ useFactory: () => OPTIONS, jwksPath: null })],
    });

    expect((await send(moved.url, '/keys')).status).toBe(200);
    expect((await send(moved.url, '/.well-known/jwks.json')).status).toBe(404);
    expect((await send(none.url, '/.well-known/jwks.json')).status).toBe(404);
    expect(none.module.get(RouteAudit).routes()).toEqual([]);
  });

  it.each([
    ['forRoot', JwtHardeningModule.forRoot({ ...OPTIONS, guard: 'manual' })],
    [
      'forRootAsync',
      JwtHardeningModule.forRootAsync({ useFactory: () => OPTIONS, guard: 'manual' }),
    ],
  ])("guard: 'manual' of %s leaves the guard to @UseGuards", async (_, module) => {
    const { url } = await start({ imports: [module], controllers: [Manual] });

    expect((await send(url, '/manual/open')).status).toBe(200);
    expect((await send(url, '/manual/guarded')).status).toBe(401);
  });

  it('an undefined guard is not a missing one', async () => {
    const extras = { guard: undefined } as never as { guard: 'global' };
    const app = await start({
      imports: [JwtHardeningModule.forRoot({ ...OPTIONS, ...extras })],
      controllers: [Guarded],
    });

    expect(await statusesOf(app)).toEqual(GUARDED);
  });

  @Injectable()
  class Login {
    constructor(readonly tokens: TokenService) {}
  }

  @Module({ providers: [Login] })
  class Feature {}

  it('services are there for every module, or with isGlobal: false for those that import ours', async () => {
    const all = await compile({ imports: [JwtHardeningModule.forRoot(OPTIONS), Feature] });

    expect(all.get(Login, { strict: false }).tokens).toBe(all.get(TokenService));
    await expect(
      compile({ imports: [JwtHardeningModule.forRoot({ ...OPTIONS, isGlobal: false }), Feature] }),
    ).rejects.toThrow(/TokenService/);
  });

  it('the guard stands before every route with isGlobal: false as well', async () => {
    const app = await start({
      imports: [JwtHardeningModule.forRoot({ ...OPTIONS, isGlobal: false })],
      controllers: [Guarded],
    });

    expect(await statusesOf(app)).toEqual(GUARDED);
  });
});

describe('what the module provides', () => {
  it('is each public service, once', async () => {
    const module = await compile({ imports: [JwtHardeningModule.forRoot(OPTIONS)] });

    for (const type of [KeyRingService, TokenService, SecurityEvents, AuthGuard, RouteAudit]) {
      expect(module.get(type)).toBeInstanceOf(type);
    }
    expect(module.get(Clock)).toBeInstanceOf(CoordinatedClock);
    expect(Math.abs(module.get(Clock).now() - new SystemClock().now())).toBeLessThan(1_000);
  });

  it('can be overridden in tests, the clock too', async () => {
    const clock = new TestClock();
    const module = await Test.createTestingModule({
      imports: [JwtHardeningModule.forRoot(OPTIONS)],
    })
      .overrideProvider(Clock)
      .useValue(clock)
      .compile();
    opened.push(module);
    const { claims } = await module.get(TokenService).sign({ sub: 'user-1' });

    expect(claims.iat).toBe(clock.seconds());
  });

  it('is apart in two applications of one process, generated keys included', async () => {
    const imports = [JwtHardeningModule.forRoot(OPTIONS)];
    const [first, second] = [
      await start({ imports, controllers: [Guarded] }),
      await start({ imports: [JwtHardeningModule.forRoot(OPTIONS)], controllers: [Guarded] }),
    ];
    const token = await sign(first.module, { scope: 'a' });

    expect((await send(first.url, '/guarded', { token })).status).toBe(200);
    expect((await send(second.url, '/guarded', { token })).status).toBe(401);
  });

  it('is shared by two applications with one configured key', async () => {
    const signingKey = await newPrivateJwk();
    const options: JwtHardeningOptions = { ...OPTIONS, keys: { signingKey } };
    const [first, second] = [
      await start({ imports: [JwtHardeningModule.forRoot(options)], controllers: [Guarded] }),
      await start({ imports: [JwtHardeningModule.forRoot(options)], controllers: [Guarded] }),
    ];
    const token = await sign(first.module, { scope: 'a' });

    expect((await send(second.url, '/guarded', { token })).status).toBe(200);
  });

  it('does not keep a caller from reusing its options, nor change them', async () => {
    const options = { ...OPTIONS, tokens: { requiredClaims: ['tenant'] } };
    const before = structuredClone(options);
    await compile({ imports: [JwtHardeningModule.forRoot(options)] });
    await compile({ imports: [JwtHardeningModule.forRoot(options)] });

    expect(options).toEqual(before);
    expect(Object.isFrozen(options.tokens.requiredClaims)).toBe(false);
  });

  it('is gone with the application: nothing is logged after it was closed', async () => {
    const lines: string[] = [];
    const take = (line: unknown): void => void lines.push(String(line));
    const module = await Test.createTestingModule({
      imports: [JwtHardeningModule.forRoot(OPTIONS)],
    })
      .setLogger({ log: take, error: take, warn: take, debug: take, verbose: take })
      .compile();
    await module.init();
    await sign(module);
    const logged = lines.filter((line) => line.startsWith('token.issued')).length;
    await module.close();
    await sign(module);

    expect(logged).toBe(1);
    expect(lines.filter((line) => line.startsWith('token.issued'))).toHaveLength(1);
  });
});
