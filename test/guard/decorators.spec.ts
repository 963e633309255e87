import { applyDecorators, Controller, Get } from '@nestjs/common';

import {
  AnyScope,
  Bound,
  type Demand,
  demandsOfClass,
  demandsOfMethod,
  DuringStepUp,
  Permissions,
  Policy,
  Public,
  RequireStepUp,
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

  it('@Bound() without a kind, which would demand nothing', () => {
    expect(() => (Bound as Loose)()).toThrow(new TypeError('@Bound takes at least one name'));
  });

  it.each(['', 'DPoP', 'dpop ', 'address', 'none', undefined, null, 1, ['dpop'], {}])(
    '@Bound(%j), which is no binding',
    (kind) => {
      const message = '@Bound was given a malformed name';
      expect(() => (Bound as Loose)(kind)).toThrow(new TypeError(message));
      expect(() => (Bound as Loose)('dpop', kind)).toThrow(new TypeError(message));
    },
  );

  it.each<readonly [string, unknown]>([
    ['nothing', undefined],
    ['null', null],
    ['a text', '5m'],
    ['a list', ['5m']],
    ['a function', () => ({})],
    ['an empty object', {}],
    ['members that say nothing', { maxAge: undefined, acr: undefined }],
    ['a member that is none', { maxAge: '5m', maxage: '1m' }],
    ['an age without a unit', { maxAge: 300 }],
    ['an age in words', { maxAge: 'five minutes' }],
    ['no age at all', { maxAge: '0s' }],
    ['an age of null', { maxAge: null }],
    ['an age with a fraction of a second', { maxAge: '1500ms' }],
    ['an empty acr', { acr: '' }],
    ['no acr', { acr: [] }],
    ['an acr of two words', { acr: 'very strong' }],
    ['an acr with a quote', { acr: 'a"b' }],
    ['an acr that is a hole', { acr: Array.from({ length: 1 }) }],
    ['an acr of null', { acr: null }],
    ['an acr that is a number', { acr: 1 }],
    ['no amr', { amr: [] }],
    ['an amr with a comma and a space', { amr: 'pwd, otp' }],
    ['an amr that is an object', { amr: { otp: true } }],
    ['an empty action', { action: '' }],
    ['an action of two words', { action: 'delete account' }],
    ['an action with a line break', { action: 'a\r\nb' }],
    ['a list of actions', { action: ['a'] }],
    ['a long action', { action: 'a'.repeat(129) }],
  ])('@RequireStepUp() with %s', (_, requirement) => {
    expect(() => (RequireStepUp as Loose)(requirement)).toThrow(/^@RequireStepUp /);
  });

  it('never repeats a malformed requirement, which may end in a log', () => {
    for (const requirement of [{ action: 'planted value' }, { acr: 'planted value' }]) {
      expect(() => RequireStepUp(requirement)).toThrow(
        expect.objectContaining({ message: expect.not.stringContaining('planted') as string }),
      );
    }
  });

  it('a demand on a method that is named by a symbol, which no route table could show', () => {
    expect(() => Scopes('a')({}, Symbol('hidden'), {})).toThrow(TypeError);
  });

  it.each([
    ['Scopes', Scopes],
    ['AnyScope', AnyScope],
    ['Roles', Roles],
    ['Permissions', Permissions],
    ['Policy', Policy],
    ['Bound', Bound],
    ['RequireStepUp', RequireStepUp],
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

  it('keeps what is demanded of the sender and of the last authentication', () => {
    class Target {
      @RequireStepUp({ maxAge: '5m', acr: ['a', 'b', 'a'], amr: 'otp', action: 'pay' })
      @RequireStepUp({ acr: 'a' })
      @Bound('dpop', 'mtls')
      @DuringStepUp()
      method(): void {}
    }

    expect(methodDemands(Target, 'method')).toEqual([
      { kind: 'duringStepUp' },
      { kind: 'bound', any: ['dpop', 'mtls'] },
      { kind: 'stepUp', maxAge: undefined, acr: ['a'], amr: [], action: undefined },
      { kind: 'stepUp', maxAge: 300, acr: ['a', 'b'], amr: ['otp'], action: 'pay' },
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
