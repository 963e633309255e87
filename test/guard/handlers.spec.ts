import {
  All,
  Controller,
  Get,
  Head,
  Injectable,
  Module,
  Options,
  type Provider,
  RequestMapping,
  RequestMethod,
  Sse,
  type Type,
} from '@nestjs/common';
import { DiscoveryModule, DiscoveryService, MetadataScanner } from '@nestjs/core';
import { EventPattern, MessagePattern } from '@nestjs/microservices';
import { Test } from '@nestjs/testing';
import { EMPTY, type Observable } from 'rxjs';

import { type DiscoveredHandler, discoverHandlers } from '../../lib/guard/handlers.js';
import { Mutation, Query, Resolver, SubscribeMessage, WebSocketGateway } from './nest-metadata.js';

async function discover(
  controllers: Type[],
  providers: Provider[] = [],
): Promise<readonly DiscoveredHandler[]> {
  const module = await Test.createTestingModule({
    imports: [DiscoveryModule],
    controllers,
    providers,
  }).compile();
  const found = discoverHandlers(module.get(DiscoveryService), module.get(MetadataScanner));
  await module.close();
  return found;
}

/** Each handler in one line. */
async function linesOf(...args: Parameters<typeof discover>): Promise<readonly string[]> {
  const found = await discover(...args);
  return found.map(
    ({ context, method, paths, type, name }) =>
      `${context} ${method} ${paths.join(' | ')} -> ${type.name}.${name}`,
  );
}

describe('HTTP routes, by the real decorators of Nest', () => {
  it('has every path of every prefix', async () => {
    @Controller(['a', '/b/'])
    class Routes {
      @Get(['x', '/y/', ''])
      get(): void {}
    }

    expect(await linesOf([Routes])).toEqual([
      'http GET /a/x | /a/y | /a | /b/x | /b/y | /b -> Routes.get',
    ]);
  });

  it('has every verb', async () => {
    const verbs = Object.values(RequestMethod).filter(
      (verb): verb is RequestMethod => typeof verb === 'number',
    );

    @Controller('verbs')
    class Verbs {
      other(): void {}
    }
    for (const verb of verbs) {
      const name = `on${RequestMethod[verb]}`;
      const descriptor = { value: () => name, configurable: true };
      Object.defineProperty(Verbs.prototype, name, descriptor);
      RequestMapping({ path: 'x', method: verb })(Verbs.prototype, name, descriptor);
    }

    expect(await linesOf([Verbs])).toEqual(
      verbs.map((verb) => `http ${RequestMethod[verb]} /verbs/x -> Verbs.on${RequestMethod[verb]}`),
    );
  });

  it('has the shorthands, and streams under a name of their own', async () => {
    @Controller()
    class Routes {
      @All('all')
      all(): void {}

      @Head('head')
      head(): void {}

      @Options('options')
      options(): void {}

      @Sse('events')
      events(): Observable<never> {
        return EMPTY;
      }
    }

    expect(await linesOf([Routes])).toEqual([
      'http ALL /all -> Routes.all',
      'http HEAD /head -> Routes.head',
      'http OPTIONS /options -> Routes.options',
      'http SSE /events -> Routes.events',
    ]);
  });

  it('has inherited and overridden methods once, under the class that is routed', async () => {
    @Controller('base')
    class Base {
      @Get('inherited')
      inherited(): void {}

      @Get('overridden')
      overridden(): void {}

      @Get('dropped')
      dropped(): void {}
    }

    @Controller('child')
    class Child extends Base {
      @Get('moved')
      override overridden(): void {}

      override dropped(): void {}
    }

    expect(await linesOf([Child])).toEqual([
      'http GET /child/moved -> Child.overridden',
      'http GET /child/inherited -> Child.inherited',
    ]);
  });

  it('has nothing that Nest does not route', async () => {
    const hidden = Symbol('hidden');

    @Controller('none')
    class None {
      static decorated(): void {}

      plain(): void {}

      get getter(): () => void {
        return () => {};
      }

      [hidden](): void {}
    }
    for (const target of [None, None.prototype]) {
      for (const name of Reflect.ownKeys(target)) {
        const descriptor = Object.getOwnPropertyDescriptor(target, name);
        if (name !== 'plain' && name !== 'constructor' && typeof descriptor?.value === 'function') {
          Get()(target, name, descriptor);
        }
      }
    }

    expect(await linesOf([None])).toEqual([]);
  });

  it('answers the function that Nest calls', async () => {
    @Controller()
    class Routes {
      @Get()
      get(): void {}
    }
    const [found] = await discover([Routes]);

    expect(found?.handler).toBe(Object.getOwnPropertyDescriptor(Routes.prototype, 'get')?.value);
    expect(found?.type).toBe(Routes);
  });
});

describe('other contexts', () => {
  it('has message and event patterns, by the real decorators', async () => {
    @Controller()
    class Messages {
      @MessagePattern('text')
      text(): void {}

      @MessagePattern({ cmd: 'sum' })
      object(): void {}

      @EventPattern(['a', { b: 1 }])
      events(): void {}
    }

    expect(await linesOf([Messages])).toEqual([
      'message MESSAGE text -> Messages.text',
      'message MESSAGE {"cmd":"sum"} -> Messages.object',
      'message MESSAGE a, {"b":1} -> Messages.events',
    ]);
  });

  it('has gateways and resolvers among the providers', async () => {
    @WebSocketGateway()
    @Injectable()
    class Gateway {
      @SubscribeMessage('say')
      say(): void {}
    }

    @Resolver()
    @Injectable()
    class Authors {
      @Query()
      author(): void {}

      @Mutation()
      add(): void {}
    }

    expect(await linesOf([], [Gateway, Authors])).toEqual([
      'websocket WS say -> Gateway.say',
      'graphql GRAPHQL Query -> Authors.author',
      'graphql GRAPHQL Mutation -> Authors.add',
    ]);
  });

  it('has no message of a class that is no gateway', async () => {
    @Injectable()
    class Plain {
      @SubscribeMessage('say')
      say(): void {}
    }

    expect(await linesOf([], [Plain])).toEqual([]);
  });
});

describe('what stands among the providers', () => {
  it('is gone through without a fault', async () => {
    function Factory(this: unknown): string {
      return 'made';
    }
    @Injectable()
    class Made {
      @Get()
      method(): void {}
    }
    const providers: Provider[] = [
      { provide: 'value', useValue: 1 },
      { provide: 'null', useValue: null },
      { provide: 'function', useValue: () => 'x' },
      { provide: 'arrow', useFactory: () => 'made' },
      { provide: 'old function', useFactory: Factory },
      { provide: 'async', useFactory: async () => 'made' },
      { provide: 'class', useClass: Made },
      { provide: 'existing', useExisting: 'value' },
      { provide: 'bare', useValue: Object.create(null) as object },
    ];

    expect(await linesOf([], providers)).toEqual([]);
  });

  it('is looked at once, however many modules have it', async () => {
    @Controller('shared')
    class Shared {
      @Get()
      get(): void {}
    }

    @Module({ controllers: [Shared] })
    class Other {}
    const module = await Test.createTestingModule({
      imports: [DiscoveryModule, Other],
      controllers: [Shared],
    }).compile();

    expect(
      discoverHandlers(module.get(DiscoveryService), module.get(MetadataScanner)),
    ).toHaveLength(1);
    await module.close();
  });
});
