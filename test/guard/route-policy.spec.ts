import type { ExecutionContext } from '@nestjs/common';

import {
  AnyScope,
  Permissions,
  Policy,
  type PolicyFunction,
  type PolicyInput,
  Public,
  Roles,
  Scopes,
} from '../../lib/guard/decorators.js';
import {
  authorize,
  demandsOf,
  prototypesOf,
  RoutePolicies,
  type RoutePolicy,
} from '../../lib/guard/route-policy.js';
import { AccessError } from '../../lib/kernel/errors.js';
import { VerifiedToken } from '../../lib/tokens/verified-token.js';

type Handler = ReturnType<ExecutionContext['getHandler']>;
type Class = Parameters<RoutePolicies['of']>[0];

function policyOf(type: Class, method: string): RoutePolicy {
  return new RoutePolicies().of(type, (type.prototype as Record<string, Handler>)[method]!);
}

function tokenWith(rights: object = {}): VerifiedToken {
  const claims = {
    iss: 'https://issuer.example',
    aud: 'https://api.example',
    sub: 'user-1',
    iat: 1_000,
    exp: 1_300,
    jti: 'id-1',
    ...rights,
  };
  return VerifiedToken.seal('access', { kid: 'k1', algorithm: 'ES256', era: 0 }, claims);
}

function inputWith(rights: object = {}): PolicyInput {
  // A policy function is given the context and nothing here looks into it.
  return { token: tokenWith(rights), request: { url: '/' }, context: {} as ExecutionContext };
}

/** `allowed`, or the code of the refusal. */
async function verdictOn(policy: RoutePolicy, rights: object = {}): Promise<string> {
  try {
    const verdict = await authorize(policy, inputWith(rights), NOW);
    return verdict === true ? 'allowed' : `answered ${String(verdict)}`;
  } catch (error) {
    if (error instanceof AccessError) return error.code;
    throw error;
  }
}

const DENIED = 'ERR_ACCESS_DENIED';
const NOW = 1_100;

describe('one demand', () => {
  class Routes {
    @Scopes('a', 'b')
    scopes(): void {}
    @AnyScope('a', 'b')
    anyScope(): void {}
    @Roles('r', 's')
    roles(): void {}
    @Permissions('p', 'q')
    permissions(): void {}
    none(): void {}
    @Public()
    open(): void {}
  }

  it.each([
    ['none', {}, 'allowed'],
    ['scopes', { scope: 'a b' }, 'allowed'],
    ['scopes', { scope: 'b x a' }, 'allowed'],
    ['scopes', { scope: 'a' }, DENIED],
    ['scopes', { scope: 'ab' }, DENIED],
    ['scopes', { scope: 'A B' }, DENIED],
    ['scopes', { scope: 'a:b b:a' }, DENIED],
    ['scopes', { scope: '' }, DENIED],
    ['scopes', {}, DENIED],
    ['scopes', { roles: ['a', 'b'], permissions: ['a', 'b'] }, DENIED],
    ['anyScope', { scope: 'a' }, 'allowed'],
    ['anyScope', { scope: 'x b' }, 'allowed'],
    ['anyScope', { scope: 'x' }, DENIED],
    ['anyScope', { scope: 'aa' }, DENIED],
    ['anyScope', {}, DENIED],
    ['roles', { roles: ['r'] }, 'allowed'],
    ['roles', { roles: ['x', 's'] }, 'allowed'],
    ['roles', { roles: ['x'] }, DENIED],
    ['roles', { roles: [] }, DENIED],
    ['roles', { scope: 'r' }, DENIED],
    ['roles', {}, DENIED],
    ['permissions', { permissions: ['p', 'q'] }, 'allowed'],
    ['permissions', { permissions: ['p'] }, DENIED],
    ['permissions', { roles: ['p', 'q'] }, DENIED],
    ['permissions', {}, DENIED],
  ])('%s with %j: %s', async (method, rights, verdict) => {
    expect(await verdictOn(policyOf(Routes, method), rights)).toBe(verdict);
  });

  it('is public only where @Public() stands alone', () => {
    expect(policyOf(Routes, 'open').isPublic).toBe(true);
    expect(policyOf(Routes, 'none').isPublic).toBe(false);
    expect(policyOf(Routes, 'scopes').isPublic).toBe(false);
  });
});

describe('several levels (SEMANTICS 5: every level must hold; SEMANTICS 12: class and method)', () => {
  @Scopes('grand')
  class Grand {
    @Roles('grand')
    method(): void {}
    inherited(): void {}
  }

  @AnyScope('parent')
  class Parent extends Grand {
    @Permissions('parent')
    override method(): void {}
  }

  @Scopes('child')
  @Scopes('child:again')
  class Child extends Parent {
    @Roles('child')
    override method(): void {}
    own(): void {}
  }

  it('joins the demands of the class, of its parents, of the method and of what it overrides', () => {
    const { demands } = policyOf(Child, 'method');

    expect(demands.map((demand) => JSON.stringify(demand)).toSorted()).toEqual([
      '{"kind":"anyScope","any":["parent"]}',
      '{"kind":"permissions","all":["parent"]}',
      '{"kind":"roles","any":["child"]}',
      '{"kind":"roles","any":["grand"]}',
      '{"kind":"scopes","all":["child"]}',
      '{"kind":"scopes","all":["child:again"]}',
      '{"kind":"scopes","all":["grand"]}',
    ]);
  });

  it('demands each of them: without any one the answer is no', async () => {
    const all = {
      scope: 'child child:again parent grand',
      roles: ['child', 'grand'],
      permissions: ['parent'],
    };
    const policy = policyOf(Child, 'method');

    expect(await verdictOn(policy, all)).toBe('allowed');
    for (const less of [
      { scope: 'child:again parent grand' },
      { scope: 'child parent grand' },
      { scope: 'child child:again grand' },
      { scope: 'child child:again parent' },
      { roles: ['child'] },
      { roles: ['grand'] },
      { permissions: [] },
    ]) {
      expect(await verdictOn(policy, { ...all, ...less })).toBe(DENIED);
    }
  });

  it('gives an inherited and a new method what the classes demand', () => {
    for (const method of ['inherited', 'own']) {
      const { demands } = policyOf(Child, method);
      expect(demands.map(({ kind }) => kind).toSorted()).toEqual([
        'anyScope',
        'scopes',
        'scopes',
        'scopes',
      ]);
    }
  });

  it('asks of a parent nothing that only its child demands', async () => {
    expect(await verdictOn(policyOf(Grand, 'inherited'), { scope: 'grand' })).toBe('allowed');
    expect(await verdictOn(policyOf(Parent, 'inherited'), { scope: 'grand parent' })).toBe(
      'allowed',
    );
  });

  it('keeps two any-of demands apart: one name cannot serve for both lists', async () => {
    @AnyScope('a', 'b')
    class Area {
      @AnyScope('c', 'd')
      method(): void {}
    }
    const policy = policyOf(Area, 'method');

    expect(await verdictOn(policy, { scope: 'a' })).toBe(DENIED);
    expect(await verdictOn(policy, { scope: 'c d' })).toBe(DENIED);
    expect(await verdictOn(policy, { scope: 'b c' })).toBe('allowed');
  });

  it('lets the demand win where a contradiction got here', async () => {
    @Public()
    class Open {
      @Scopes('a')
      closed(): void {}
    }

    @Scopes('a')
    class Closed {
      @Public()
      open(): void {}
    }

    for (const policy of [policyOf(Open, 'closed'), policyOf(Closed, 'open')]) {
      expect(policy.isPublic).toBe(false);
      expect(await verdictOn(policy)).toBe(DENIED);
    }
  });

  it('names every demanded scope once in the challenge, whatever level demands it', () => {
    @Scopes('a', 'b')
    class Area {
      @Scopes('b', 'c')
      method(): void {}
    }

    expect(policyOf(Area, 'method').requiredScope?.split(' ').toSorted()).toEqual(['a', 'b', 'c']);
  });
});

describe('finding the demands of a handler', () => {
  it('compiles a policy once for a class and a handler, and apart for two classes', () => {
    class Base {
      method(): void {}
    }

    @Scopes('a')
    class First extends Base {}

    class Second extends Base {}
    const policies = new RoutePolicies();
    const handler = Object.getOwnPropertyDescriptor(Base.prototype, 'method')?.value as Handler;

    expect(policies.of(First, handler)).toBe(policies.of(First, handler));
    expect(policies.of(First, handler).demands).toHaveLength(1);
    expect(policies.of(Second, handler).demands).toHaveLength(0);
  });

  it.each([
    ['a function from elsewhere', () => 'x'],
    ['a bound copy of the method', Object.prototype.toString.bind({})],
    ['a method of Object', Object.getOwnPropertyDescriptor(Object.prototype, 'valueOf')?.value],
  ])('refuses %s: what cannot be found cannot be judged (SEMANTICS 5)', (_, handler) => {
    class Routes {
      method(): void {}
    }

    expect(() => new RoutePolicies().of(Routes, handler as Handler)).toThrow(
      expect.objectContaining({ code: 'ERR_ACCESS_UNKNOWN_HANDLER' }),
    );
  });

  it('does not take a getter for a handler, nor run it', () => {
    let ran = 0;
    const handler = (): string => 'x';
    class Routes {
      get method(): () => string {
        ran++;
        return handler;
      }
    }

    expect(() => new RoutePolicies().of(Routes, handler)).toThrow(AccessError);
    expect(ran).toBe(0);
  });

  it('owes the demands of every name that one function goes by', () => {
    class Routes {
      @Public()
      open(): void {}
      closed(): void {}
    }
    const open = Object.getOwnPropertyDescriptor(Routes.prototype, 'open');
    Object.defineProperty(Routes.prototype, 'closed', open!);
    Scopes('a')(Routes.prototype, 'closed', open!);
    const policy = policyOf(Routes, 'open');

    expect(policy.isPublic).toBe(false);
    expect(policy.requiredScope).toBe('a');
  });

  it('finds a method by its name although a decorator replaced its function', () => {
    const Replaced = (): MethodDecorator => (_, __, descriptor) => ({
      ...descriptor,
      value: (() => 'replaced') as never,
    });

    class Routes {
      @Replaced()
      @Scopes('a')
      method(): void {}
    }

    expect(policyOf(Routes, 'method').requiredScope).toBe('a');
  });

  it.each(['__proto__', 'constructor', 'toString', 'hasOwnProperty', '0', 'then'])(
    'reads the demands of a method called %j',
    (name) => {
      class Routes {
        other(): void {}
      }
      Object.defineProperty(Routes.prototype, name, { value: () => 'x', configurable: true });
      const descriptor = Object.getOwnPropertyDescriptor(Routes.prototype, name)!;
      Scopes('a')(Routes.prototype, name, descriptor);
      const { demands } = new RoutePolicies().of(Routes, descriptor.value as Handler);

      expect(demands).toEqual([{ kind: 'scopes', all: ['a'] }]);
    },
  );

  it('walks the prototypes of a class and of its parents, and stops before Object', () => {
    class Parent {
      method(): void {}
    }
    class Child extends Parent {}

    expect([...prototypesOf(Child)]).toEqual([Child.prototype, Parent.prototype]);
    expect(demandsOf(Child, 'method')).toEqual([]);
  });
});

describe('policy functions', () => {
  const answers: ReadonlyArray<readonly [string, () => unknown, string]> = [
    ['true', () => true, 'allowed'],
    ['a promise of true', async () => true, 'allowed'],
    ['a thenable of true', () => thenable((resolve) => resolve(true)), 'allowed'],
    ['false', () => false, DENIED],
    ['1', () => 1, DENIED],
    ['"true"', () => 'true', DENIED],
    ['an object', () => ({}), DENIED],
    ['a list', () => [true], DENIED],
    ['a Boolean object', () => Object(true) as unknown, DENIED],
    ['a function', () => () => true, DENIED],
    ['undefined, as without a return', () => undefined, DENIED],
    ['null', () => null, DENIED],
    ['NaN', () => Number.NaN, DENIED],
    ['an error it did not throw', () => new Error('x'), DENIED],
    ['an observable-like object', () => ({ subscribe: () => true }), DENIED],
    ['a promise of false', async () => false, DENIED],
    ['a promise of 1', async () => 1, DENIED],
    ['a promise of undefined', async () => undefined, DENIED],
    ['a promise of an object', async () => ({}), DENIED],
    ['a promise of a promise of false', async () => Promise.resolve(false), DENIED],
    ['a thenable of false', () => thenable((resolve) => resolve(false)), DENIED],
    ['a thenable that swallows what its callbacks throw', () => swallowing(false), DENIED],
  ];

  function thenable(then: (resolve: (value: unknown) => void) => unknown): object {
    // oxlint-disable-next-line unicorn/no-thenable -- what some libraries answer with
    return { then };
  }

  /** As some libraries had them before promises were standard: `then` answers a new promise. */
  function swallowing(value: unknown): object {
    return thenable((resolve) => {
      try {
        resolve(value);
      } catch {
        // What a non-compliant implementation does.
      }
      return Promise.resolve();
    });
  }

  function policyWith(...functions: readonly unknown[]): RoutePolicy {
    class Routes {
      method(): void {}
    }
    const descriptor = Object.getOwnPropertyDescriptor(Routes.prototype, 'method')!;
    // Decorators run from the last to the first, as they are written.
    for (const allows of functions.toReversed()) {
      Policy(allows as PolicyFunction)(Routes.prototype, 'method', descriptor);
    }
    return policyOf(Routes, 'method');
  }

  it.each(answers)('%s', async (_, allows, verdict) => {
    expect(await verdictOn(policyWith(allows))).toBe(verdict);
  });

  it.each([
    ['throws', () => AbortSignal.abort(new Error('planted')).throwIfAborted()],
    ['throws text', () => AbortSignal.abort('planted').throwIfAborted()],
    ['throws undefined-like nothing', () => AbortSignal.abort(null).throwIfAborted()],
    ['rejects', async () => Promise.reject(new Error('planted'))],
    ['reads what is not there', () => (undefined as never as { a: { b: boolean } }).a.b],
  ])('refuses when a function %s, and keeps the reason to itself', async (_, allows) => {
    const policy = policyWith(allows);
    const error: unknown = await (async () => authorize(policy, inputWith(), NOW))().catch(
      (reason: unknown) => reason,
    );

    expect(error).toMatchObject({ code: 'ERR_ACCESS_POLICY_FAILED' });
    expect(`${String(error)} ${(error as AccessError).detail}`).not.toContain('planted');
  });

  it('must all answer true, whatever the order and however they answer', async () => {
    const yes = (): boolean => true;
    const no = (): boolean => false;
    const later = async (): Promise<boolean> => true;
    const never = async (): Promise<boolean> => false;

    expect(await verdictOn(policyWith(yes, later, yes, later))).toBe('allowed');
    for (const functions of [
      [no, yes],
      [yes, no],
      [later, no],
      [no, later],
      [never, yes],
      [yes, never],
      [later, never],
      [yes, later, yes, no],
      [yes, later, never, yes],
    ]) {
      expect(await verdictOn(policyWith(...functions))).toBe(DENIED);
    }
  });

  it('ends at the first that does not allow', async () => {
    const asked: string[] = [];
    const answer =
      (name: string, verdict: boolean): PolicyFunction =>
      async () => {
        asked.push(name);
        return verdict;
      };
    await verdictOn(policyWith(answer('1', true), answer('2', false), answer('3', true)));

    expect(asked).toHaveLength(2);
  });

  it('are asked only when every other demand is met', async () => {
    let asked = 0;
    class Routes {
      @Policy(() => ++asked > 0)
      @Scopes('a')
      method(): void {}
    }
    const policy = policyOf(Routes, 'method');

    expect(await verdictOn(policy, { scope: 'b' })).toBe(DENIED);
    expect(asked).toBe(0);
    expect(await verdictOn(policy, { scope: 'a' })).toBe('allowed');
    expect(asked).toBe(1);
  });

  it('are given the token, the request and the context, and cannot change the token', async () => {
    const input = inputWith({ roles: ['user'] });
    const seen: PolicyInput[] = [];
    const policy = policyWith((given: PolicyInput) => {
      seen.push(given);
      return Reflect.set(given.token, 'roles', ['admin']);
    });

    await expect((async () => authorize(policy, input, NOW))()).rejects.toMatchObject({
      code: DENIED,
    });
    expect(seen).toEqual([input]);
    expect(input.token.roles).toEqual(['user']);
  });

  it('answers at once when nothing has to be awaited', () => {
    expect(
      authorize(
        policyWith(() => true),
        inputWith(),
        NOW,
      ),
    ).toBe(true);
    expect(authorize(policyWith(), inputWith(), NOW)).toBe(true);
    expect(
      authorize(
        policyWith(async () => true),
        inputWith(),
        NOW,
      ),
    ).toBeInstanceOf(Promise);
  });
});

describe('what a refusal says', () => {
  it('names the demand, and the scope only when scope would help', async () => {
    class Routes {
      @Scopes('a', 'b')
      scopes(): void {}
      @Roles('planted')
      roles(): void {}
      @Permissions('planted')
      permissions(): void {}
      @AnyScope('a', 'b')
      anyScope(): void {}
    }
    const refusals = await Promise.all(
      ['scopes', 'roles', 'permissions', 'anyScope'].map((method) =>
        (async () => authorize(policyOf(Routes, method), inputWith(), NOW))().catch(
          (error: unknown) => error,
        ),
      ),
    );

    expect(refusals).toMatchObject([
      { requiredScope: 'a b', detail: 'the token does not meet the demand "scopes"' },
      { requiredScope: undefined, detail: 'the token does not meet the demand "roles"' },
      { requiredScope: undefined, detail: 'the token does not meet the demand "permissions"' },
      { requiredScope: undefined, detail: 'the token does not meet the demand "anyScope"' },
    ]);
  });
});
