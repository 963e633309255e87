import { randomBytes } from 'node:crypto';

import {
  Controller,
  Get,
  Injectable,
  Module,
  type ModuleMetadata,
  UseGuards,
} from '@nestjs/common';
import { Test, type TestingModule } from '@nestjs/testing';

import type { JwtHardeningExtras, JwtHardeningOptions } from '../../lib/config/options.js';
import { AuthGuard } from '../../lib/guard/auth.guard.js';
import { JwtHardeningModule } from '../../lib/jwt-hardening.module.js';
import { KeyRingService } from '../../lib/keys/key-ring.service.js';
import { memoryStorage } from '../../lib/storage/memory/memory-storage.js';
import { TokenService } from '../../lib/tokens/token.service.js';
import { type GuardedApp, startGuardedApp } from '../support/guarded-app.js';
import { closeConnections, send } from '../support/http.js';
import { recordSecret } from '../support/witness.js';
import { pathsOf, problemsOf, REQUIRED } from './config-problems.js';

type Imports = NonNullable<ModuleMetadata['imports']>;

const compile = (...imports: Imports): Promise<TestingModule> =>
  Test.createTestingModule({ imports }).compile();

const OPTIONS: JwtHardeningOptions = { ...REQUIRED, tokens: { accessTtl: '5m' } };

@Injectable()
class OptionsOfTheApplication {
  createJwtHardeningOptions(): JwtHardeningOptions {
    return OPTIONS;
  }
}

@Injectable()
class OptionsFromFarAway {
  async createJwtHardeningOptions(): Promise<JwtHardeningOptions> {
    await new Promise((resolve) => void setImmediate(resolve));
    return OPTIONS;
  }
}

const SETTINGS = Symbol('settings');

@Module({
  providers: [
    { provide: SETTINGS, useValue: { issuer: REQUIRED.issuer } },
    OptionsOfTheApplication,
  ],
  exports: [SETTINGS, OptionsOfTheApplication],
})
class SettingsModule {}

describe('every way to give the options runs on them', () => {
  it.each([
    ['forRoot', () => JwtHardeningModule.forRoot(OPTIONS)],
    ['useFactory', () => JwtHardeningModule.forRootAsync({ useFactory: () => OPTIONS })],
    [
      'useFactory that takes its time',
      () => JwtHardeningModule.forRootAsync({ useFactory: async () => OPTIONS }),
    ],
    [
      'useFactory with imports and inject',
      () =>
        JwtHardeningModule.forRootAsync({
          imports: [SettingsModule],
          inject: [SETTINGS],
          useFactory: ({ issuer }: { readonly issuer: string }) => ({ ...OPTIONS, issuer }),
        }),
    ],
    ['useClass', () => JwtHardeningModule.forRootAsync({ useClass: OptionsOfTheApplication })],
    [
      'useClass that takes its time',
      () => JwtHardeningModule.forRootAsync({ useClass: OptionsFromFarAway }),
    ],
    [
      'useExisting',
      () =>
        JwtHardeningModule.forRootAsync({
          imports: [SettingsModule],
          useExisting: OptionsOfTheApplication,
        }),
    ],
  ])('%s', async (_way, build) => {
    const module = await compile(build());
    const { token, claims, expiresIn } = await module.get(TokenService).sign({ sub: 'alice' });
    recordSecret(token);
    expect(claims.iss).toBe(REQUIRED.issuer);
    expect(expiresIn).toBe(300);
    await module.close();
  });

  const wrong = { issuer: '', audiance: 'api', tokens: { leeway: '2m' } } as object;
  it.each([
    ['forRoot', () => JwtHardeningModule.forRoot(wrong as JwtHardeningOptions)],
    [
      'useFactory',
      () => JwtHardeningModule.forRootAsync({ useFactory: () => wrong as JwtHardeningOptions }),
    ],
  ])('%s stops the start with every problem', async (_way, build) => {
    const paths = await pathsOf(compile(build()));
    expect(paths.toSorted()).toEqual(['audiance', 'audience', 'issuer', 'tokens.leeway']);
  });

  it.each<[kind: string, answer: unknown]>([
    ['undefined', undefined],
    ['null', null],
    ['a text', 'https://issuer.example'],
  ])('a factory that answers %s stops the start', async (_kind, answer) => {
    const useFactory = () => answer as JwtHardeningOptions;
    const paths = await pathsOf(compile(JwtHardeningModule.forRootAsync({ useFactory })));
    expect(paths).toContain('options');
  });

  it('a factory that fails stops the start with its own error', async () => {
    const useFactory = (): JwtHardeningOptions => {
      throw new RangeError('the vault is sealed');
    };
    await expect(compile(JwtHardeningModule.forRootAsync({ useFactory }))).rejects.toThrow(
      'the vault is sealed',
    );
  });

  it('one storage for two applications is one key ring', async () => {
    const shared: JwtHardeningOptions = {
      ...OPTIONS,
      storage: memoryStorage(),
      keys: { encryptionKeys: randomBytes(32).toString('base64url') },
    };
    const [first, second] = [
      await compile(JwtHardeningModule.forRoot(shared)),
      await compile(JwtHardeningModule.forRoot(shared)),
    ];
    const { token } = await first.get(TokenService).sign({ sub: 'alice' });
    recordSecret(token);
    expect((await second.get(TokenService).verify(token)).subject).toBe('alice');
    const stranger = await compile(JwtHardeningModule.forRoot(OPTIONS));
    await expect(stranger.get(TokenService).verify(token)).rejects.toMatchObject({
      code: 'ERR_TOKEN_UNKNOWN_KEY',
    });
    await Promise.all([first, second, stranger].map((module) => module.close()));
  });

  it('one storage for two applications that share no key-encryption key stops the second', async () => {
    const storage = memoryStorage();
    const first = await compile(JwtHardeningModule.forRoot({ ...OPTIONS, storage }));
    await expect(
      compile(JwtHardeningModule.forRoot({ ...OPTIONS, storage })),
    ).rejects.toMatchObject({ code: 'ERR_KEY_RING_UNREADABLE' });
    const { token } = await first.get(TokenService).sign({ sub: 'alice' });
    recordSecret(token);
    expect((await first.get(TokenService).verify(token)).subject).toBe('alice');
    await first.close();
  });
});

@Injectable()
class Ledger {
  constructor(readonly tokens: TokenService) {}
}

@Module({ providers: [Ledger], exports: [Ledger] })
class LedgerModule {}

describe('isGlobal', () => {
  it.each([
    ['left out', {}],
    ['true', { isGlobal: true }],
    ['undefined', { isGlobal: undefined }],
  ])('%s: other modules inject the services without importing it', async (_value, extras) => {
    const hardening = JwtHardeningModule.forRoot({ ...OPTIONS, ...(extras as JwtHardeningExtras) });
    const module = await compile(hardening, LedgerModule);
    expect(module.get(Ledger).tokens).toBe(module.get(TokenService));
    await module.close();
  });

  it('false: they have to import it', async () => {
    const hardening = JwtHardeningModule.forRoot({ ...OPTIONS, isGlobal: false });
    await expect(compile(hardening, LedgerModule)).rejects.toThrow(/TokenService/);
  });

  it('false stands beside forRootAsync, too', async () => {
    const useFactory = (): JwtHardeningOptions => OPTIONS;
    const hardening = JwtHardeningModule.forRootAsync({ useFactory, isGlobal: false });
    await expect(compile(hardening, LedgerModule)).rejects.toThrow(/TokenService/);
  });
});

@Controller()
class Doors {
  @Get('forgotten')
  forgotten(): string {
    return 'open';
  }

  @Get('guarded')
  @UseGuards(AuthGuard)
  guarded(): string {
    return 'closed';
  }
}

describe('guard and jwksPath', () => {
  const JWKS = '/.well-known/jwks.json';
  let app: GuardedApp;

  const start = async (extras: JwtHardeningExtras): Promise<void> => {
    app = await startGuardedApp([Doors], { options: extras });
  };
  const statusOf = async (path: string): Promise<number> => (await send(app.url, path)).status;

  afterEach(() => app.close());
  afterAll(closeConnections);

  const undefinedExtras: object = { guard: undefined, jwksPath: undefined, isGlobal: undefined };
  it.each([
    ['left out', {}],
    ['undefined', undefinedExtras],
    ['their defaults', { guard: 'global', jwksPath: JWKS } as const],
  ])('%s: every route is guarded, the JWKS is served', async (_value, extras) => {
    await start(extras);
    expect(await statusOf('/forgotten')).toBe(401);
    expect(await statusOf('/guarded')).toBe(401);
    expect(await statusOf(JWKS)).toBe(200);
  });

  it("guard 'manual' guards what @UseGuards names, and nothing else", async () => {
    await start({ guard: 'manual' });
    expect(await statusOf('/forgotten')).toBe(200);
    expect(await statusOf('/guarded')).toBe(401);
    const { token } = await app.app.get(TokenService).sign({ sub: 'alice' });
    recordSecret(token);
    expect((await send(app.url, '/guarded', { token })).status).toBe(200);
  });

  it('jwksPath null serves no JWKS', async () => {
    await start({ jwksPath: null });
    expect(await statusOf(JWKS)).toBe(404);
    expect(app.app.get(KeyRingService).jwks().keys).toHaveLength(1);
  });
});

describe('what shapes the module is refused when it is wrong: a slip must not open the routes', () => {
  const build = (extras: object): Imports[number] =>
    JwtHardeningModule.forRoot({ ...OPTIONS, ...extras });
  const buildAsync = (extras: object): Imports[number] =>
    JwtHardeningModule.forRootAsync({ useFactory: () => OPTIONS, ...extras });
  const attempt = async (make: () => Imports[number]): Promise<TestingModule> => compile(make());

  it.each([
    ...['Global', 'GLOBAL', 'off', 'none', 'manuel', '', null, false, true, 0, [], {}].map(
      (value) => ['guard', value] as const,
    ),
    ...['yes', 'true', 1, 0, null, {}].map((value) => ['isGlobal', value] as const),
    ...[
      '',
      '/',
      'jwks.json',
      '/:kid',
      '/keys/*',
      '/keys/{*rest}',
      '/(.*)',
      '/a b',
      '/a?b',
      '/a#b',
      '/ключи',
      '/a\nb',
      false,
      true,
      0,
      ['/jwks.json'],
      {},
    ].map((value) => ['jwksPath', value] as const),
  ])('%s %j', async (name, value) => {
    for (const make of [build, buildAsync]) {
      expect(await pathsOf(attempt(() => make({ [name]: value })))).toEqual([name]);
    }
  });

  it('all of them at once', async () => {
    const extras = { guard: 'off', isGlobal: 1, jwksPath: '' };
    const paths = await pathsOf(attempt(() => build(extras)));
    expect(paths.toSorted()).toEqual(['guard', 'isGlobal', 'jwksPath']);
  });

  it.each([
    ['gaurd', 'guard'],
    ['isGlobl', 'isGlobal'],
    ['jwksPth', 'jwksPath'],
  ])('a misspelt %s is refused, and %s suggested', async (name, nearest) => {
    const problems = await problemsOf(attempt(() => build({ [name]: 'manual' })));
    expect(problems).toMatchObject([
      { path: name, fix: expect.stringContaining(`Did you mean ${nearest}?`) },
    ]);
  });

  it('and a factory cannot shape the module: it runs too late', async () => {
    const useFactory = () => ({ ...OPTIONS, guard: 'manual' }) as JwtHardeningOptions;
    const paths = await pathsOf(attempt(() => JwtHardeningModule.forRootAsync({ useFactory })));
    expect(paths).toEqual(['guard']);
  });
});
