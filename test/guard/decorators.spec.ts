import { applyDecorators, Controller, Get } from '@nestjs/common';

import {
  AnyScope,
  type Demand,
  demandsOfClass,
  demandsOfMethod,
  Permissions,
  Policy,
  Public,
  Roles,
  Scopes,
} from '../../lib/guard/decorators.js';

const NAMED = { Scopes, AnyScope, Roles, Permissions } as const;
const SCOPED = { Scopes, AnyScope } as const;

type Loose = (...names: unknown[]) => ClassDecorator & MethodDecorator;

function methodDemands(type: { readonly prototype: object }, method: string): readonly Demand[] {
  return demandsOfMethod(type.prototype, method);
}

describe('what a decorator refuses when the class is defined', () => {
  it.each(Object.entries(NAMED))(
    '@%s() without a name, which would demand nothing',
    (name, make) => {
      expect(() => (make as Loose)()).toThrow(new TypeError(`@${name} takes at least one name`));
    },
  );

  it.each(Object.entries(NAMED))(
    '@%s(...list) with a list that is empty at run time',
    (_, make) => {
      const list: string[] = [];

      expect(() => (make as Loose)(...list)).toThrow(TypeError);
    },
  );

  const malformed: ReadonlyArray<readonly [string, unknown]> = [
    ['nothing', ''],
    ['undefined, as a missing constant is', undefined],
    ['null', null],
    ['a number', 1],
    ['a list, as when the dots were forgotten', ['a', 'b']],
    ['an object', { name: 'a' }],
    ['a function', () => 'a'],
    ['a control character', 'a\nb'],
    ['NUL', 'a\u0000'],
    ['a lone surrogate', '\ud800'],
    ['256 characters', 'x'.repeat(256)],
  ];
  const everyName = Object.entries(NAMED).flatMap(([name, make]) =>
    malformed.map(([what, value]) => [name, what, make as Loose, value] as const),
  );

  it.each(everyName.filter(([name, what]) => !(name in SCOPED && what === '256 characters')))(
    '@%s with %s',
    (name, _, make, value) => {
      const message = `@${name} was given a malformed name`;

      expect(() => make(value)).toThrow(new TypeError(message));
      expect(() => make('fine', value)).toThrow(new TypeError(message));
    },
  );

  it.each(Object.entries(SCOPED))(
    '@%s with what RFC 6749 §3.3 allows in no scope token',
    (_, make) => {
      for (const scope of ['a b', ' a', 'a ', 'a"b', 'a\\b', 'a\tb', 'ä', 'a\u007f', 'a,\u00a0b']) {
        expect(() => make(scope)).toThrow(TypeError);
      }
    },
  );

  it('never repeats the malformed name, which may end in a log', () => {
    expect(() => Scopes('planted value')).toThrow(
      expect.objectContaining({ message: expect.not.stringContaining('planted') as string }),
    );
  });

  it.each([undefined, null, 'admin', true, {}, [], { allows: () => true }])(
    '@Policy(%j), which is no function',
    (value) => {
      expect(() => Policy(value as never)).toThrow(TypeError);
    },
  );

  it('a demand on a method that is named by a symbol, which no route table could show', () => {
    expect(() => Scopes('a')({}, Symbol('hidden'), {})).toThrow(TypeError);
  });

  it.each([
    ['Scopes', Scopes],
    ['AnyScope', AnyScope],
    ['Roles', Roles],
    ['Permissions', Permissions],
    ['Policy', Policy],
  ])('@%s written without its brackets on a method', (_, decorator) => {
    class Target {
      method(): void {}
    }
    const descriptor = Object.getOwnPropertyDescriptor(Target.prototype, 'method');

    expect(() => (decorator as Loose)(Target.prototype, 'method', descriptor)).toThrow(TypeError);
  });
});

describe('what stands at a class and at a method', () => {
  it('keeps each demand with its names', () => {
    const policy = (): boolean => true;

    @Scopes('class')
    class Target {
      @Scopes('a', 'b')
      @AnyScope('c', 'd')
      @Roles('e', 'f')
      @Permissions('g', 'h')
      @Policy(policy)
      @Public()
      method(): void {}
    }

    expect(demandsOfClass(Target.prototype)).toEqual([{ kind: 'scopes', all: ['class'] }]);
    expect(methodDemands(Target, 'method')).toEqual([
      { kind: 'public' },
      { kind: 'policy', allows: policy },
      { kind: 'permissions', all: ['g', 'h'] },
      { kind: 'roles', any: ['e', 'f'] },
      { kind: 'anyScope', any: ['c', 'd'] },
      { kind: 'scopes', all: ['a', 'b'] },
    ]);
  });

  it('adds up when a decorator is repeated', () => {
    @Roles('a')
    @Roles('b')
    class Target {
      @Scopes('a')
      @Scopes('b')
      @Scopes('a')
      method(): void {}
    }

    expect(demandsOfClass(Target.prototype)).toHaveLength(2);
    expect(methodDemands(Target, 'method')).toHaveLength(3);
  });

  it('is nothing where nothing was written', () => {
    class Target {
      method(): void {}
    }

    expect(demandsOfClass(Target.prototype)).toEqual([]);
    expect(methodDemands(Target, 'method')).toEqual([]);
    expect(methodDemands(Target, 'missing')).toEqual([]);
    expect(methodDemands(Target, 'constructor')).toEqual([]);
  });

  it('is its own: parents, children and other methods have theirs', () => {
    @Scopes('parent')
    class Parent {
      @Roles('parent')
      method(): void {}
      other(): void {}
    }

    @Scopes('child')
    class Child extends Parent {
      @Roles('child')
      override method(): void {}
    }

    class Bare extends Parent {}

    expect(demandsOfClass(Parent.prototype)).toEqual([{ kind: 'scopes', all: ['parent'] }]);
    expect(demandsOfClass(Child.prototype)).toEqual([{ kind: 'scopes', all: ['child'] }]);
    expect(demandsOfClass(Bare.prototype)).toEqual([]);
    expect(methodDemands(Parent, 'method')).toEqual([{ kind: 'roles', any: ['parent'] }]);
    expect(methodDemands(Child, 'method')).toEqual([{ kind: 'roles', any: ['child'] }]);
    expect(methodDemands(Parent, 'other')).toEqual([]);
  });

  it('is not the same for two classes with equal names', () => {
    const make = (scope: string): new () => object => {
      @Scopes(scope)
      class Same {
        @Scopes(`${scope}:method`)
        method(): void {}
      }
      return Same;
    };
    const [first, second] = [make('a'), make('b')];

    expect(demandsOfClass(first.prototype as object)).toEqual([{ kind: 'scopes', all: ['a'] }]);
    expect(methodDemands(second, 'method')).toEqual([{ kind: 'scopes', all: ['b:method'] }]);
  });

  it('cannot be changed through the list that was passed, nor through the one that is kept', () => {
    const names: [string, ...string[]] = ['a', 'b'];

    @Scopes(...names)
    class Target {}
    names.pop();
    const [demand] = demandsOfClass(Target.prototype) as [Extract<Demand, { kind: 'scopes' }>];

    expect(demand.all).toEqual(['a', 'b']);
    expect(() => (demand.all as string[]).pop()).toThrow(TypeError);
  });

  it('outlives a decorator that replaces the function, above and below', () => {
    const Replaced = (): MethodDecorator => (_, __, descriptor) => ({
      ...descriptor,
      value: (() => 'replaced') as never,
    });

    class Target {
      @Replaced()
      @Scopes('a')
      above(): void {}

      @Scopes('a')
      @Replaced()
      below(): void {}
    }

    expect(methodDemands(Target, 'above')).toEqual([{ kind: 'scopes', all: ['a'] }]);
    expect(methodDemands(Target, 'below')).toEqual([{ kind: 'scopes', all: ['a'] }]);
  });

  it('reads the same from applyDecorators and beside the decorators of Nest', () => {
    const AdminRoute = (): ReturnType<typeof applyDecorators> =>
      applyDecorators(Get('x'), Scopes('a'), Roles('admin'));

    @applyDecorators(Controller('x'), Permissions('p'))
    class Target {
      @AdminRoute()
      method(): void {}
    }

    expect(demandsOfClass(Target.prototype)).toEqual([{ kind: 'permissions', all: ['p'] }]);
    expect(methodDemands(Target, 'method')).toEqual([
      { kind: 'scopes', all: ['a'] },
      { kind: 'roles', any: ['admin'] },
    ]);
  });
});
