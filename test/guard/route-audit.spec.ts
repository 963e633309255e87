import {
  All,
  Controller,
  Delete,
  Get,
  Injectable,
  Module,
  Patch,
  Post,
  Put,
  type Type,
  Sse,
  UseGuards,
  Version,
} from '@nestjs/common';
import { EventPattern, GrpcMethod, MessagePattern } from '@nestjs/microservices';
import { Test } from '@nestjs/testing';
import { EMPTY, type Observable } from 'rxjs';

import { AuthGuard } from '../../lib/guard/auth.guard.js';
import {
  AnyScope,
  Permissions,
  Policy,
  type PolicyFunction,
  Public,
  Roles,
  Scopes,
} from '../../lib/guard/decorators.js';
import { type AuditedRoute, formatRoutes, RouteAudit } from '../../lib/guard/route-audit.js';
import { JwtHardeningModule } from '../../lib/jwt-hardening.module.js';
import { ConfigError, type ConfigProblem } from '../../lib/kernel/errors.js';
import { memoryStorage } from '../../lib/storage/memory/memory-storage.js';
import { AUDIENCE, ISSUER } from '../support/guarded-app.js';
import { closeConnections } from '../support/http.js';
import {
  Mutation,
  Query,
  ResolveField,
  ResolveReference,
  Resolver,
  SubscribeMessage,
  Subscription,
  WebSocketGateway,
} from './nest-metadata.js';
import { type ProtectedAppOptions, startProtectedApp } from './protected-app.js';

afterAll(closeConnections);

/** The problems that stop the start, or none when it starts. */
async function problemsOf(
  controllers: Type[],
  settings: ProtectedAppOptions = {},
): Promise<readonly ConfigProblem[]> {
  try {
    const app = await startProtectedApp(controllers, settings);
    await app.close();
    return [];
  } catch (error) {
    if (error instanceof ConfigError && error.code === 'ERR_CONFIG_ROUTES') return error.problems;
    throw error;
  }
}

async function routesOf(
  controllers: Type[],
  settings: ProtectedAppOptions = {},
): Promise<readonly AuditedRoute[]> {
  const app = await startProtectedApp(controllers, {
    ...settings,
    options: { jwksPath: null, ...settings.options },
  });
  const routes = app.app.get(RouteAudit).routes();
  await app.close();
  return routes;
}

const isOwner: PolicyFunction = () => true;

describe('contradictions stop the start (SEMANTICS 5)', () => {
  @Scopes('a')
  class ScopedParent {
    @Get('inherited')
    inherited(): void {}
  }

  class Parent {
    @Scopes('a')
    @Get('method')
    method(): void {}

    @Policy(isOwner)
    @Roles('r', 's')
    @Get('mixed')
    mixed(): void {}
  }

  @Controller('one')
  class PublicAndScopes {
    @Public()
    @Scopes('a')
    @Get()
    method(): void {}
  }

  @Controller('one')
  class ScopesAndPublic {
    @Scopes('a')
    @Public()
    @Get()
    method(): void {}
  }

  @Controller('one')
  class PublicAndRoles {
    @Public()
    @Roles('a')
    @Get()
    method(): void {}
  }

  @Controller('one')
  class PublicAndPermissions {
    @Public()
    @Permissions('a')
    @Get()
    method(): void {}
  }

  @Controller('one')
  class PublicAndAnyScope {
    @Public()
    @AnyScope('a')
    @Get()
    method(): void {}
  }

  @Controller('one')
  class PublicAndPolicy {
    @Public()
    @Policy(isOwner)
    @Get()
    method(): void {}
  }

  @Public()
  @Controller('one')
  class PublicClass {
    @Scopes('a')
    @Get()
    method(): void {}
  }

  @Scopes('a')
  @Controller('one')
  class ScopedClass {
    @Public()
    @Get()
    method(): void {}
  }

  @Public()
  @Scopes('a')
  @Controller('one')
  class BothOnClass {
    @Get()
    method(): void {}
  }

  @Controller('one')
  class PublicOverScopedParent extends ScopedParent {
    @Public()
    @Get()
    method(): void {}
  }

  @Public()
  @Controller('one')
  class PublicClassOverScopedParent extends ScopedParent {
    @Get()
    method(): void {}
  }

  @Controller('one')
  class PublicOverride extends Parent {
    @Public()
    @Get('method')
    override method(): void {}
  }

  @Controller('one')
  class DropsScopes extends Parent {
    @Get('method')
    override method(): void {}
  }

  @Controller('one')
  class ChangesScopes extends Parent {
    @Scopes('b')
    @Get('method')
    override method(): void {}
  }

  class Between extends Parent {
    @Scopes('a')
    @Get('method')
    override method(): void {}
  }

  @Controller('one')
  class DropsAcrossTwo extends Between {
    @Get('method')
    override method(): void {}
  }

  @Controller('one')
  class DropsPolicy extends Parent {
    @Roles('r', 's')
    @Get('mixed')
    override mixed(): void {}
  }

  @Controller('one')
  class WidensRoles extends Parent {
    @Policy(isOwner)
    @Roles('r', 's', 't')
    @Get('mixed')
    override mixed(): void {}
  }

  const both = 'it is @Public() and also demands';
  const lost = 'it overrides a method that demands';

  const table: ReadonlyArray<readonly [Type, string, string]> = [
    [PublicAndScopes, 'method', `${both} scopes(a)`],
    [ScopesAndPublic, 'method', `${both} scopes(a)`],
    [PublicAndRoles, 'method', `${both} roles(a)`],
    [PublicAndPermissions, 'method', `${both} permissions(a)`],
    [PublicAndAnyScope, 'method', `${both} anyScope(a)`],
    [PublicAndPolicy, 'method', `${both} policy(isOwner)`],
    [PublicClass, 'method', `${both} scopes(a)`],
    [ScopedClass, 'method', `${both} scopes(a)`],
    [BothOnClass, 'method', `${both} scopes(a)`],
    [PublicOverScopedParent, 'method', `${both} scopes(a)`],
    [PublicClassOverScopedParent, 'method', `${both} scopes(a)`],
    [PublicOverride, 'method', `${both} scopes(a)`],
    [DropsScopes, 'method', `${lost} scopes(a)`],
    [ChangesScopes, 'method', `${lost} scopes(a)`],
    [DropsAcrossTwo, 'method', `${lost} scopes(a)`],
    [DropsPolicy, 'mixed', `${lost} policy(isOwner)`],
    [WidensRoles, 'mixed', `${lost} roles(r | s)`],
  ];

  it.each(table.map(([type, ...rest]) => [type.name, ...rest, type] as const))(
    '%s.%s: %s',
    async (name, method, problem, type) => {
      expect(await problemsOf([type])).toContainEqual({
        path: `${name}.${method}`,
        problem: expect.stringContaining(problem) as string,
        fix: expect.stringMatching(/^(?:Remove|Repeat) .{20,}/) as string,
      });
    },
  );

  it('on Fastify as well', async () => {
    expect(await problemsOf([PublicAndScopes], { adapter: 'fastify' })).toHaveLength(1);
  });

  it('all at once, and nothing is served meanwhile', async () => {
    const controllers = [PublicAndScopes, ScopedClass, DropsScopes, DropsPolicy];
    const error: unknown = await startProtectedApp(controllers).catch((reason: unknown) => reason);

    expect(error).toBeInstanceOf(ConfigError);
    const { problems, message, code } = error as ConfigError;
    expect(code).toBe('ERR_CONFIG_ROUTES');
    expect(problems.map(({ path }) => path)).toEqual([
      'PublicAndScopes.method',
      'ScopedClass.method',
      'DropsScopes.method',
      'DropsPolicy.mixed',
    ]);
    for (const { path, problem, fix } of problems) {
      expect(message).toContain(`${path}: ${problem}. ${fix}`);
    }
    expect(message).toContain('4 problems');
  });

  it('once for a controller that two modules register', async () => {
    @Module({ controllers: [PublicAndScopes] })
    class Other {}

    expect(await problemsOf([PublicAndScopes], { imports: [Other] })).toHaveLength(1);
  });

  it("with guard: 'manual' as well: what contradicts itself is wrong wherever the guard stands", async () => {
    expect(await problemsOf([PublicAndScopes], { options: { guard: 'manual' } })).toHaveLength(1);
  });

  it('also when the module is configured twice: one guard would refuse what the other signs', async () => {
    const second = JwtHardeningModule.forRoot({
      issuer: 'https://other.example',
      audience: AUDIENCE,
      jwksPath: null,
    });

    expect(await problemsOf([], { imports: [second] })).not.toHaveLength(0);
  });
});

describe('what is no contradiction', () => {
  class Parent {
    @Scopes('a', 'b')
    @Get('method')
    method(): void {}

    @Policy(isOwner)
    @AnyScope('a', 'b')
    @Get('other')
    other(): void {}

    @Public()
    @Get('open')
    open(): void {}
  }

  @Public()
  class PublicParent {
    @Get('inherited')
    inherited(): void {}
  }

  @Controller('one')
  class Restates extends Parent {
    @Scopes('a', 'b')
    @Get('method')
    override method(): void {}

    @AnyScope('a', 'b')
    @Policy(isOwner)
    @Get('other')
    override other(): void {}
  }

  @Controller('one')
  class Adds extends Parent {
    @Roles('r')
    @Scopes('c')
    @Scopes('a', 'b')
    @Get('method')
    override method(): void {}
  }

  @Controller('one')
  class RestatesInAnotherOrder extends Parent {
    @Scopes('b', 'a')
    @Get('method')
    override method(): void {}
  }

  @Controller('one')
  class RestatesWithMore extends Parent {
    @Scopes('a', 'b', 'c')
    @Get('method')
    override method(): void {}
  }

  @Controller('one')
  class RestatesOneByOne extends Parent {
    @Scopes('a')
    @Scopes('b')
    @Get('method')
    override method(): void {}
  }

  @Controller('one')
  class OverridesWithoutRoute extends Parent {
    override method(): void {}
  }

  @Controller('one')
  class ClosesOpen extends Parent {
    @Get('open')
    override open(): void {}
  }

  @Controller('one')
  class ClosesOpenWithScopes extends Parent {
    @Scopes('a')
    @Get('open')
    override open(): void {}
  }

  @Scopes('a')
  @Controller('one')
  class ScopedBelowPublicParent extends PublicParent {
    @Roles('r')
    @Get('own')
    own(): void {}
  }

  @Public()
  @Controller('one')
  class PublicTwice {
    @Public()
    @Get()
    method(): void {}
  }

  @Scopes('a')
  @Controller('one')
  class SameTwice {
    @Scopes('a')
    @Get()
    method(): void {}
  }

  it.each(
    Object.entries({
      Restates,
      Adds,
      RestatesInAnotherOrder,
      RestatesWithMore,
      RestatesOneByOne,
      OverridesWithoutRoute,
      ClosesOpen,
      ClosesOpenWithScopes,
      ScopedBelowPublicParent,
      PublicTwice,
      SameTwice,
    }),
  )('%s', async (_, type) => {
    expect(await problemsOf([type])).toEqual([]);
  });

  it('leaves methods alone that Nest never calls', async () => {
    @Controller('one')
    class Plain {
      @Public()
      @Scopes('a')
      unrouted(): void {}
    }

    expect(await problemsOf([Plain])).toEqual([]);
  });
});

describe('the table', () => {
  @Controller(['accounts', '/legacy/accounts/'])
  class Accounts {
    @Get()
    list(): void {}

    @Scopes('accounts:read')
    @Get([':id', 'by-id/:id'])
    one(): void {}

    @Scopes('accounts:write', 'accounts:read')
    @AnyScope('tenant:a', 'tenant:b')
    @Roles('admin', 'owner')
    @Permissions('accounts.create', 'accounts.fund')
    @Policy(isOwner)
    @Post()
    create(): void {}

    @Policy(() => true)
    @Put(':id')
    replace(): void {}

    @Patch()
    change(): void {}

    @Delete(':id')
    remove(): void {}

    @All('anything')
    anything(): void {}

    @Scopes('events')
    @Sse('events')
    events(): Observable<never> {
      return EMPTY;
    }

    @Public()
    @Get('health')
    health(): void {}

    unrouted(): void {}
  }

  @Scopes('base')
  class Base {
    @Get('inherited')
    inherited(): void {}

    @Roles('admin')
    @Get('overridden')
    overridden(): void {}
  }

  @Permissions('child')
  @Controller({ path: 'child', version: '2' })
  class Child extends Base {
    @Roles('admin')
    @Get('overridden')
    override overridden(): void {}

    @Version('3')
    @Get('own')
    own(): void {}
  }

  @Controller()
  class Root {
    @Get()
    root(): void {}
  }

  @Controller()
  class Messages {
    @MessagePattern('accounts.created')
    text(): void {}

    @MessagePattern({ cmd: 'sum', v: 1 })
    object(): void {}

    @EventPattern(['a', 'b'])
    event(): void {}

    @GrpcMethod('Accounts', 'FindOne')
    grpc(): void {}
  }

  @WebSocketGateway()
  @Injectable()
  class Chat {
    @Public()
    @SubscribeMessage('say')
    say(): void {}

    unrouted(): void {}
  }

  @Resolver('Author')
  @Injectable()
  class Authors {
    @Query('author')
    author(): void {}

    @Mutation()
    add(): void {}

    @Subscription()
    added(): void {}
  }

  @Injectable()
  class PlainProvider {
    @Get('not-a-route')
    method(): void {}
  }

  const settings: ProtectedAppOptions = { providers: [Chat, Authors, PlainProvider] };
  const controllers = [Accounts, Child, Root, Messages];

  it('lists every handler with what stands before it', async () => {
    expect(`\n${formatRoutes(await routesOf(controllers, settings))}\n`).toMatchSnapshot();
  });

  it('is the same on Fastify', async () => {
    expect(formatRoutes(await routesOf(controllers, { ...settings, adapter: 'fastify' }))).toBe(
      formatRoutes(await routesOf(controllers, settings)),
    );
  });

  it('says the context of each, for tools', async () => {
    const routes = await routesOf(controllers, settings);
    const of = (kind: AuditedRoute['context']): readonly AuditedRoute[] =>
      routes.filter(({ context }) => context === kind);

    expect(of('http')).toHaveLength(24);
    expect(of('message').map(({ path }) => path)).toEqual([
      'accounts.created',
      '{"cmd":"sum","v":1}',
      'a, b',
      '{"service":"Accounts","rpc":"FindOne","streaming":"no_stream"}',
    ]);
    expect(of('websocket')).toEqual([
      {
        context: 'websocket',
        method: 'WS',
        path: 'say',
        handler: 'Chat.say',
        demands: ['refused'],
      },
    ]);
    expect(of('graphql').map(({ path, handler }) => [path, handler])).toEqual([
      ['Query', 'Authors.author'],
      ['Mutation', 'Authors.add'],
      ['Subscription', 'Authors.added'],
    ]);
  });

  it('lists fields and references that a resolver answers for (SEMANTICS 5: every resolver)', async () => {
    @Resolver('Author')
    @Injectable()
    class Fields {
      @ResolveField('posts')
      posts(): void {}

      @ResolveReference()
      resolveReference(): void {}
    }
    const routes = await routesOf([], { providers: [Fields] });

    expect(routes.map(({ handler, demands }) => [handler, demands])).toEqual([
      ['Fields.posts', ['refused']],
      ['Fields.resolveReference', ['refused']],
    ]);
  });

  it('lists a method under every context it is a handler of', async () => {
    @Controller('both')
    class Both {
      @Get()
      @MessagePattern('both')
      method(): void {}
    }
    const routes = await routesOf([Both]);

    expect(routes.map(({ context }) => context)).toEqual(['http', 'message']);
  });

  it('lists the JWKS, which is public', async () => {
    const routes = await routesOf([], { options: { jwksPath: '/keys' } });

    expect(routes).toEqual([
      {
        context: 'http',
        method: 'GET',
        path: '/keys',
        handler: 'JwksController.serve',
        demands: ['public'],
      },
    ]);
  });

  it('lists a controller of two modules once', async () => {
    @Module({ controllers: [Root] })
    class Other {}

    expect(await routesOf([Root], { imports: [Other] })).toHaveLength(1);
  });

  it('cannot be changed by who reads it', async () => {
    const routes = await routesOf([Root]);

    expect(Object.isFrozen(routes)).toBe(true);
    expect(routes.every((route) => Object.isFrozen(route))).toBe(true);
  });

  it("says where no guard stands with guard: 'manual'", async () => {
    @Controller('manual')
    class Manual {
      @Get('forgotten')
      forgotten(): void {}

      @UseGuards(AuthGuard)
      @Scopes('a')
      @Get('guarded')
      guarded(): void {}

      @MessagePattern('message')
      message(): void {}
    }

    @UseGuards(AuthGuard)
    @Controller('whole')
    class Whole {
      @Get()
      get(): void {}
    }

    class Inheriting extends Whole {}
    Controller('inheriting')(Inheriting);
    const routes = await routesOf([Manual, Whole, Inheriting], { options: { guard: 'manual' } });

    expect(routes.map(({ path, demands }) => [path, ...demands])).toEqual([
      ['/manual/forgotten', 'unguarded'],
      ['/manual/guarded', 'scopes(a)'],
      ['message', 'unguarded'],
      ['/whole', 'token'],
      ['/inheriting', 'token'],
    ]);
  });

  it('is empty before the start', async () => {
    const module = await Test.createTestingModule({
      imports: [JwtHardeningModule.forRoot({ issuer: ISSUER, audience: AUDIENCE })],
    }).compile();

    expect(module.get(RouteAudit).routes()).toEqual([]);
    await module.close();
  });

  it('is nothing for nothing', () => {
    expect(formatRoutes([])).toBe('');
  });
});

describe('printing', () => {
  @Controller('printed')
  class Printed {
    @Scopes('a')
    @Get()
    get(): void {}
  }

  const { env } = process;
  const before = env['NODE_ENV'];

  afterEach(() => {
    env['NODE_ENV'] = before;
  });

  it.each([
    ['development', true],
    [undefined, true],
    ['production', false],
    ['test', false],
    ['', false],
    ['Development', false],
    ['staging', false],
  ])('with NODE_ENV %j: %s', async (value, printed) => {
    if (value === undefined) delete env['NODE_ENV'];
    else env['NODE_ENV'] = value;
    const storage = memoryStorage({ dangerouslyAllowInProduction: true });
    const app = await startProtectedApp([Printed], { options: { storage } });
    await app.close();
    const lines = app.logs.filter((line) => line.includes('Printed.get'));

    expect(lines.some((line) => line.includes('scopes(a)'))).toBe(printed);
  });
});
