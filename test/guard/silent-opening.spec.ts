/**
 * What a developer could write, or a library could do, that would open a route without a word:
 * SEMANTICS 5 ("fails closed: missing metadata", "demands lost by overriding") as attacks. Either the
 * application does not start, or a token without the right is refused; never anything else.
 */
import {
  All,
  applyDecorators,
  Controller,
  Get,
  type INestApplication,
  Injectable,
  mixin,
  Module,
  Scope,
  type Type,
  UseGuards,
} from '@nestjs/common';
import { LazyModuleLoader } from '@nestjs/core';
import { type CustomTransportStrategy, MessagePattern, Server } from '@nestjs/microservices';
import { Test } from '@nestjs/testing';

import { AnyScope, Public, Roles, Scopes } from '../../lib/guard/decorators.js';
import { RouteAudit } from '../../lib/guard/route-audit.js';
import { JwtHardeningModule } from '../../lib/jwt-hardening.module.js';
import { ConfigError } from '../../lib/kernel/errors.js';
import { AUDIENCE, ISSUER } from '../support/guarded-app.js';
import { closeConnections, send } from '../support/http.js';
import { type ProtectedAppOptions, startProtectedApp } from './protected-app.js';

afterAll(closeConnections);

const SECRET = 'what the handler alone knows';

interface Outcome {
  /** Without a token, with one that has no right, and with one that has every right. */
  readonly nobody: number | 'not started';
  readonly user: number | 'not started';
  readonly admin: number | 'not started';
}

const NOT_STARTED: Outcome = { nobody: 'not started', user: 'not started', admin: 'not started' };

/** What comes of three requests to one route, all of whose handlers answer with the secret. */
async function outcomeOf(
  controllers: Type[],
  path = '/route',
  settings: ProtectedAppOptions = {},
): Promise<Outcome> {
  let app: Awaited<ReturnType<typeof startProtectedApp>>;
  try {
    app = await startProtectedApp(controllers, settings);
  } catch (error) {
    if (error instanceof ConfigError && error.code === 'ERR_CONFIG_ROUTES') return NOT_STARTED;
    throw error;
  }
  try {
    const rights = { scope: 'admin', roles: ['admin'], permissions: ['admin'] };
    const [user, admin] = [await app.sign(), await app.sign(rights)];
    const answers = [
      await app.send(path),
      await app.send(path, { token: user }),
      await app.send(path, { token: admin }),
    ];
    for (const { status, body } of answers) expect(body.includes(SECRET)).toBe(status === 200);
    const [first, second, third] = answers.map(({ status }) => status) as [number, number, number];
    return { nobody: first, user: second, admin: third };
  } finally {
    await app.close();
  }
}

/** The demand stands, or the application does not. */
async function expectClosed(...args: Parameters<typeof outcomeOf>): Promise<Outcome> {
  const outcome = await outcomeOf(...args);
  expect([401, 404, 'not started']).toContain(outcome.nobody);
  expect([401, 403, 404, 'not started']).toContain(outcome.user);
  return outcome;
}

/** As above, and who has the right still gets through. */
async function expectGuarded(...args: Parameters<typeof outcomeOf>): Promise<void> {
  expect(await outcomeOf(...args)).toEqual({ nobody: 401, user: 403, admin: 200 });
}

type Method = (...args: unknown[]) => unknown;

function methodOf(prototype: object, name: string): PropertyDescriptor & { value: Method } {
  const descriptor = Object.getOwnPropertyDescriptor(prototype, name);
  if (typeof descriptor?.value !== 'function') throw new Error(`${name} is not a method`);
  return { ...descriptor, value: descriptor.value as Method };
}

type Decorators = typeof import('../../lib/guard/decorators.js');

/** The decorators as an application has them whose dependencies bring this package once more. */
async function secondCopy(): Promise<Decorators> {
  const loaded: Decorators[] = [];
  await jest.isolateModulesAsync(async () => {
    loaded.push(await import('../../lib/guard/decorators.js'));
  });
  const [copy] = loaded;
  if (copy === undefined) throw new Error('there is no second copy');
  return copy;
}

function copyMetadata(from: object, to: object): void {
  for (const key of Reflect.getMetadataKeys(from) as unknown[]) {
    Reflect.defineMetadata(key, Reflect.getMetadata(key, from), to);
  }
}

describe('class decorators that put something else in the place of the class', () => {
  /** As singletons, tracers and dependency-injection add-ons do. */
  const InProxy =
    (): ClassDecorator =>
    (target): never =>
      new Proxy(target, {}) as never;

  const InSubclass =
    (): ClassDecorator =>
    (target): never =>
      class extends (target as never as Type<object>) {} as never;

  /** The older way: a function in front of the class, with its prototype. */
  const InFunction =
    (): ClassDecorator =>
    (target): never => {
      function Wrapped(...args: unknown[]): object {
        return Reflect.construct(target, args) as object;
      }
      Wrapped.prototype = target.prototype as object;
      copyMetadata(target, Wrapped);
      return Wrapped as never;
    };

  /** The same with a prototype of its own, and instances of the new class. */
  const InDerivedFunction =
    (): ClassDecorator =>
    (target): never => {
      function Wrapped(...args: unknown[]): object {
        return Reflect.construct(target, args, Wrapped) as object;
      }
      Wrapped.prototype = Object.create(target.prototype as object) as object;
      copyMetadata(target, Wrapped);
      return Wrapped as never;
    };

  @Scopes('admin')
  @Controller('route')
  @InProxy()
  class ProxyBelow {
    @Get()
    get(): string {
      return SECRET;
    }
  }

  @Controller('route')
  @InProxy()
  @Scopes('admin')
  class ProxyBetween {
    @Get()
    get(): string {
      return SECRET;
    }
  }

  @Scopes('admin')
  @InSubclass()
  @Controller('route')
  class SubclassBetween {
    @Get()
    get(): string {
      return SECRET;
    }
  }

  @InSubclass()
  @Scopes('admin')
  @Controller('route')
  class SubclassAbove {
    @Get()
    get(): string {
      return SECRET;
    }
  }

  @Scopes('admin')
  @InFunction()
  @Controller('route')
  class FunctionBetween {
    @Get()
    get(): string {
      return SECRET;
    }
  }

  @InFunction()
  @Scopes('admin')
  @Controller('route')
  class FunctionAbove {
    @Get()
    get(): string {
      return SECRET;
    }
  }

  @Scopes('admin')
  @InDerivedFunction()
  @Controller('route')
  class DerivedFunctionBetween {
    @Get()
    get(): string {
      return SECRET;
    }
  }

  it.each(
    Object.entries({
      ProxyBelow,
      ProxyBetween,
      SubclassBetween,
      SubclassAbove,
      FunctionBetween,
      FunctionAbove,
      DerivedFunctionBetween,
    }),
  )('%s', async (_, type) => {
    const outcome = await expectClosed([type]);

    expect([200, 401, 'not started']).toContain(outcome.admin);
  });
});

describe('methods that come from elsewhere', () => {
  it('a class made by a function that takes the demand (mixin)', async () => {
    const Listing = (scope: string): Type<object> => {
      @Scopes(scope)
      class ListingBase {
        @Get()
        list(): string {
          return SECRET;
        }
      }
      return mixin(ListingBase);
    };

    @Controller('route')
    class Users extends Listing('admin') {}

    await expectGuarded([Users]);
  });

  class Source {
    @Scopes('admin')
    @Get()
    list(): string {
      return SECRET;
    }
  }

  class Open {
    @Get()
    list(): string {
      return SECRET;
    }
  }

  it('a method copied from a class that demands (the mixins of the TypeScript handbook)', async () => {
    @Controller('route')
    class Target {
      other(): void {}
    }
    Object.defineProperty(Target.prototype, 'list', methodOf(Source.prototype, 'list'));

    await expectGuarded([Target]);
  });

  it('a method assigned under another name', async () => {
    @Controller('route')
    class Target {
      other(): void {}
    }
    Object.assign(Target.prototype, { renamed: methodOf(Source.prototype, 'list').value });

    await expectGuarded([Target]);
  });

  it('a method copied into a class that demands', async () => {
    @Scopes('admin')
    @Controller('route')
    class Target {
      other(): void {}
    }
    Object.defineProperty(Target.prototype, 'list', methodOf(Open.prototype, 'list'));

    await expectGuarded([Target]);
  });

  it('everything copied into a class that demands, its constructor property too', async () => {
    @Scopes('admin')
    @Controller('route')
    class Target {
      other(): void {}
    }
    for (const name of Object.getOwnPropertyNames(Open.prototype)) {
      const descriptor = Object.getOwnPropertyDescriptor(Open.prototype, name);
      Object.defineProperty(Target.prototype, name, descriptor ?? {});
    }

    await expectClosed([Target]);
  });

  it('a class whose constructor property names another class', async () => {
    @Scopes('admin')
    @Controller('route')
    class Target extends Open {}
    Object.defineProperty(Target.prototype, 'constructor', { value: Open });

    await expectClosed([Target]);
  });

  it('a second route that a library makes of the first, with a copy of its metadata', async () => {
    @Controller('other')
    class Target {
      @Scopes('admin')
      @Get('/')
      list(): string {
        return SECRET;
      }
    }
    const { value: original } = methodOf(Target.prototype, 'list');
    const copy = function (this: unknown, ...args: unknown[]): unknown {
      return original.apply(this, args);
    };
    copyMetadata(original, copy);
    Reflect.defineMetadata('path', 'copy', copy);
    Object.defineProperty(Target.prototype, 'listCopy', { value: copy, configurable: true });

    await expectGuarded([Target], '/other/copy');
  });

  it('one function under a public and a guarded name', async () => {
    @Controller('route')
    class Target {
      @Public()
      @Get()
      open(): string {
        return SECRET;
      }
      closed(): void {}
    }
    const open = methodOf(Target.prototype, 'open');
    Object.defineProperty(Target.prototype, 'closed', open);
    Scopes('admin')(Target.prototype, 'closed', open);

    await expectClosed([Target]);
  });

  it('a public method copied into a class that says nothing', async () => {
    class PublicSource {
      @Public()
      @Get()
      list(): string {
        return SECRET;
      }
    }

    @Controller('route')
    class Target {
      other(): void {}
    }
    Object.defineProperty(Target.prototype, 'list', methodOf(PublicSource.prototype, 'list'));
    const { nobody } = await outcomeOf([Target]);

    expect([401, 'not started']).toContain(nobody);
  });
});

describe('method decorators that put something else in the place of the function', () => {
  const Bare = (): MethodDecorator => (_, __, descriptor) => {
    const original = descriptor.value as Method;
    const value = function (this: unknown, ...args: unknown[]): unknown {
      return original.apply(this, args);
    };
    return { ...descriptor, value: value as never };
  };

  const InProxy = (): MethodDecorator => (_, __, descriptor) => ({
    ...descriptor,
    value: new Proxy(descriptor.value as object, {}) as never,
  });

  it.each([
    ['a function', Bare],
    ['a proxy', InProxy],
  ])('%s, wherever it stands between ours and the route', async (_, Replaced) => {
    @Controller('route')
    class Target {
      @Get('first')
      @Replaced()
      @Scopes('admin')
      first(): string {
        return SECRET;
      }

      @Scopes('admin')
      @Get('second')
      @Replaced()
      second(): string {
        return SECRET;
      }

      @Get('third')
      @Scopes('admin')
      @Replaced()
      third(): string {
        return SECRET;
      }
    }

    for (const path of ['first', 'second', 'third'])
      await expectGuarded([Target], `/route/${path}`);
  });

  it('a handler bound in the constructor is refused: it is not the method that was judged', async () => {
    @Controller('route')
    class Target {
      constructor() {
        this.get = this.get.bind(this);
      }

      @Scopes('admin')
      @Get()
      get(): string {
        return SECRET;
      }
    }

    await expectClosed([Target]);
  });

  it('a handler replaced on the instance is refused', async () => {
    @Controller('route')
    class Target {
      constructor() {
        Object.defineProperty(this, 'get', { value: () => SECRET });
      }

      @Scopes('admin')
      @Get()
      get(): string {
        return SECRET;
      }
    }

    await expectClosed([Target]);
  });
});

describe('inheritance', () => {
  @Public()
  @Controller('public')
  class PublicBase {
    @Get('inherited')
    inherited(): string {
      return SECRET;
    }
  }

  @Controller('route')
  class BelowPublic extends PublicBase {
    @Get()
    own(): string {
      return SECRET;
    }
  }

  it('a class does not become public by what it extends', async () => {
    expect((await outcomeOf([BelowPublic])).nobody).toBe(401);
    expect((await outcomeOf([BelowPublic], '/route/inherited')).nobody).toBe(401);
  });

  it('a method does not become public by what it overrides', async () => {
    class Base {
      @Public()
      @Get()
      info(): string {
        return SECRET;
      }
    }

    @Controller('route')
    class Child extends Base {
      @Get()
      override info(): string {
        return SECRET;
      }
    }

    expect([401, 'not started']).toContain((await outcomeOf([Child])).nobody);
  });

  it('a class that demands keeps its demand in a class that adds another', async () => {
    @Scopes('admin')
    class Base {
      @Get()
      get(): string {
        return SECRET;
      }
    }

    @AnyScope('user', 'admin')
    class Middle extends Base {}

    @Roles('admin')
    @Controller('route')
    class Child extends Middle {}

    await expectGuarded([Child]);
  });

  it('one inherited handler has the demands of each class it serves', async () => {
    class Base {
      @Get()
      get(): string {
        return SECRET;
      }
    }

    @Controller('open')
    class First extends Base {}

    @Scopes('admin')
    @Controller('route')
    class Second extends Base {}

    await expectGuarded([First, Second]);
    await expectGuarded([Second, First]);
    expect((await outcomeOf([First, Second], '/open')).user).toBe(200);
  });

  it('a getter in the place of an inherited handler takes the route away', async () => {
    class Base {
      @Scopes('admin')
      @Get()
      get(): string {
        return SECRET;
      }
    }

    @Controller('route')
    class Child extends Base {}
    Object.defineProperty(Child.prototype, 'get', { get: () => () => SECRET, configurable: true });

    await expectClosed([Child]);
  });
});

describe('names that mean two things', () => {
  it('the same method name in two classes of the same name', async () => {
    const make = (path: string, demand: ClassDecorator): Type<object> => {
      @Controller(path)
      @demand
      class Same {
        @Get()
        list(): string {
          return SECRET;
        }
      }
      return Same;
    };
    const controllers = [make('open', Public()), make('route', Scopes('admin'))];

    await expectGuarded(controllers);
    await expectGuarded(controllers.toReversed());
    expect((await outcomeOf(controllers, '/open')).nobody).toBe(200);
  });

  it('a static method of the same name', async () => {
    @Controller('route')
    class Target {
      @Public()
      static get(): string {
        return SECRET;
      }

      @Scopes('admin')
      @Get()
      get(): string {
        return SECRET;
      }
    }

    await expectGuarded([Target]);
  });

  it.each(['toString', 'valueOf', 'hasOwnProperty', '__defineGetter__', 'name', 'prototype'])(
    'a method called %s',
    async (name) => {
      @Controller('route')
      class Target {
        other(): void {}
      }
      const descriptor = {
        value: () => SECRET,
        configurable: true,
        writable: true,
        enumerable: false,
      };
      Object.defineProperty(Target.prototype, name, descriptor);
      applyDecorators(Get(), Scopes('admin'))(Target.prototype, name, descriptor);

      await expectGuarded([Target]);
    },
  );
});

describe('registration', () => {
  @Scopes('admin')
  @Controller('route')
  class Admin {
    @Get()
    get(): string {
      return SECRET;
    }
  }

  it('one controller in two modules', async () => {
    @Module({ controllers: [Admin] })
    class Other {}

    await expectGuarded([Admin], '/route', { imports: [Other] });
  });

  it('a controller in a module that was imported before ours', async () => {
    @Module({ controllers: [Admin] })
    class Early {}

    await expectGuarded([], '/route', { imports: [Early] });
  });

  it.each([Scope.REQUEST, Scope.TRANSIENT, Scope.DEFAULT])(
    'a controller of scope %s',
    async (scope) => {
      @Injectable({ scope: Scope.REQUEST })
      class PerRequest {}

      @Scopes('admin')
      @Controller({ path: 'route', scope })
      class Scoped {
        constructor(readonly dependency: PerRequest) {}

        @Get()
        get(): string {
          return SECRET;
        }
      }

      await expectGuarded([Scoped], '/route', { providers: [PerRequest] });
    },
  );

  it('a class decorated after it was defined', async () => {
    class Late {
      get(): string {
        return SECRET;
      }
    }
    const descriptor = methodOf(Late.prototype, 'get');
    Get()(Late.prototype, 'get', descriptor);
    Controller('route')(Late);
    Scopes('admin')(Late);
    Roles('admin')(Late.prototype, 'get', descriptor);

    await expectGuarded([Late]);
  });

  it('a module whose loading is put off brings no unguarded route', async () => {
    @Module({ controllers: [Admin] })
    class Lazy {}

    const app = await startProtectedApp([]);
    await app.app.get(LazyModuleLoader).load(() => Lazy);
    const { status } = await app.send('/route', { token: await app.sign() });
    await app.close();

    expect([403, 404]).toContain(status);
  });

  it('an application mounted in another keeps its guard', async () => {
    const inner = await startProtectedApp([Admin]);
    @Module({})
    class Outer {}
    const module = await Test.createTestingModule({ imports: [Outer] }).compile();
    const outer = module.createNestApplication();
    outer.use('/inner', inner.app.getHttpAdapter().getInstance());
    await outer.listen(0, '127.0.0.1');
    const base = (await outer.getUrl()).replace('[::1]', '127.0.0.1');
    const statuses = [
      (await send(base, '/inner/route')).status,
      (await send(base, '/inner/route', { token: await inner.sign() })).status,
      (await send(base, '/inner/route', { token: await inner.sign({ scope: 'admin' }) })).status,
      (await send(base, '/inner/route?access_token=x', { token: await inner.sign() })).status,
    ];
    await outer.close();
    await inner.close();

    expect(statuses).toEqual([401, 403, 200, 400]);
  });

  it('an @All route', async () => {
    @Controller('route')
    class Every {
      @Scopes('admin')
      @All()
      all(): string {
        return SECRET;
      }
    }

    await expectGuarded([Every]);
  });

  it('applyDecorators', async () => {
    const AdminController = (path: string): ClassDecorator =>
      applyDecorators(Controller(path), Scopes('admin'));

    @AdminController('route')
    class Composed {
      @Get()
      get(): string {
        return SECRET;
      }
    }

    await expectGuarded([Composed]);
  });

  it('decorators of a second copy of this package', async () => {
    const copy = await secondCopy();
    expect(copy.Scopes).not.toBe(Scopes);

    @Controller('route')
    class Foreign {
      @copy.Scopes('admin')
      @Get()
      get(): string {
        return SECRET;
      }
    }

    @copy.Scopes('admin')
    @Controller('route')
    class ForeignClass {
      @Get()
      get(): string {
        return SECRET;
      }
    }

    await expectGuarded([Foreign]);
    await expectGuarded([ForeignClass]);
  });
});

describe('decorators that were written wrongly', () => {
  const raw = (decorator: unknown): MethodDecorator => decorator as MethodDecorator;

  it('@Public without its brackets opens nothing', async () => {
    @Controller('route')
    class Target {
      @raw(Public)
      @Get()
      get(): string {
        return SECRET;
      }
    }

    expect((await outcomeOf([Target])).nobody).toBe(401);
  });

  it('@Public on a parameter opens nothing', () => {
    class Target {
      get(): string {
        return SECRET;
      }
    }
    const onParameter: unknown = Public();

    expect(() =>
      Reflect.apply(onParameter as Method, undefined, [Target.prototype, 'get', 0]),
    ).toThrow(TypeError);
  });

  it.each([
    ['a getter', { get: () => () => SECRET }],
    ['a setter', { set: () => {} }],
    ['a property', undefined],
    ['a value that is no function', { value: SECRET }],
  ])('a demand on %s, which no route can be, throws', (_, descriptor) => {
    const apply: unknown = Scopes('admin');

    expect(() => Reflect.apply(apply as Method, undefined, [{}, 'route', descriptor])).toThrow(
      TypeError,
    );
  });
});

describe('message handlers of a hybrid application, to which global guards do not reach', () => {
  /** A transport that hands a message straight to its handler. */
  class InProcess extends Server implements CustomTransportStrategy {
    listen(started: () => void): void {
      started();
    }

    close(): void {}

    on(): this {
      return this;
    }

    unwrap(): never {
      throw new Error('there is nothing underneath');
    }

    /** What comes back, or the error. */
    async call(pattern: string): Promise<unknown> {
      const handler = this.getHandlerByPattern(pattern);
      if (handler === null) return 'no handler';
      try {
        const stream = this.transformToObservable(await handler({}, {}));
        return await new Promise((resolve) => {
          stream.subscribe({ next: resolve, error: (error: unknown) => resolve(String(error)) });
        });
      } catch (error) {
        return String(error);
      }
    }
  }

  async function callHybrid(controller: Type): Promise<{ answer: unknown; table: unknown }> {
    const module = await Test.createTestingModule({
      imports: [JwtHardeningModule.forRoot({ issuer: ISSUER, audience: AUDIENCE, jwksPath: null })],
      controllers: [controller],
    }).compile();
    const app: INestApplication = module.createNestApplication();
    const strategy = new InProcess();
    app.connectMicroservice({ strategy });
    try {
      await app.startAllMicroservices();
      await app.init();
      const table = app.get(RouteAudit).routes();
      return { answer: await strategy.call('message'), table };
    } catch (error) {
      if (error instanceof ConfigError) return { answer: 'not started', table: [] };
      throw error;
    } finally {
      await app.close();
    }
  }

  it('a message handler', async () => {
    @Controller()
    class Plain {
      @MessagePattern('message')
      get(): string {
        return SECRET;
      }
    }

    expect((await callHybrid(Plain)).answer).not.toContain(SECRET);
  });

  it('an inherited message handler', async () => {
    class Base {
      @MessagePattern('message')
      get(): string {
        return SECRET;
      }
    }

    @Controller()
    class Child extends Base {}

    expect((await callHybrid(Child)).answer).not.toContain(SECRET);
  });

  it('a method that is a route and a message handler', async () => {
    @Controller()
    class Both {
      @Get('both')
      @MessagePattern('message')
      get(): string {
        return SECRET;
      }
    }

    expect((await callHybrid(Both)).answer).not.toContain(SECRET);
  });

  it('a message handler of a class that a decorator put behind a proxy', async () => {
    const InProxy =
      (): ClassDecorator =>
      (target): never =>
        new Proxy(target, {}) as never;

    @Controller()
    @InProxy()
    class Proxied {
      @MessagePattern('message')
      get(): string {
        return SECRET;
      }
    }

    expect((await callHybrid(Proxied)).answer).not.toContain(SECRET);
  });

  it('a message handler of request scope', async () => {
    @Controller({ scope: Scope.REQUEST })
    class Scoped {
      @MessagePattern('message')
      get(): string {
        return SECRET;
      }
    }

    expect((await callHybrid(Scoped)).answer).not.toContain(SECRET);
  });

  it('a message handler beside a guard of its own that allows everything', async () => {
    @UseGuards({ canActivate: () => true })
    @Controller()
    class Allowing {
      @UseGuards({ canActivate: () => true })
      @MessagePattern('message')
      get(): string {
        return SECRET;
      }
    }

    expect((await callHybrid(Allowing)).answer).not.toContain(SECRET);
  });

  it('a message handler bound in the constructor', async () => {
    @Controller()
    class Bound {
      constructor() {
        this.get = this.get.bind(this);
      }

      @MessagePattern('message')
      get(): string {
        return SECRET;
      }
    }

    expect((await callHybrid(Bound)).answer).not.toContain(SECRET);
  });
});
