import { Controller, Get, type Type } from '@nestjs/common';
import type { ExecutionContext } from '@nestjs/common';

import {
  Bound,
  DuringStepUp,
  Policy,
  type PolicyInput,
  Public,
  RequireStepUp,
  Scopes,
} from '../../lib/guard/decorators.js';
import { RouteAudit } from '../../lib/guard/route-audit.js';
import { authorize, RoutePolicies, type RoutePolicy } from '../../lib/guard/route-policy.js';
import { AccessError, ConfigError, StepUpRequired } from '../../lib/kernel/errors.js';
import { VerifiedToken } from '../../lib/tokens/verified-token.js';
import { closeConnections } from '../support/http.js';
import { startProtectedApp } from './protected-app.js';

afterAll(closeConnections);

const NOW = 10_000;
const FRESH = { auth_time: NOW - 60, acr: 'gold', amr: ['pwd', 'otp'], scope: 'pay' };

type Handler = ReturnType<ExecutionContext['getHandler']>;

function policyOf(type: Type, method: string): RoutePolicy {
  return new RoutePolicies().of(type, (type.prototype as Record<string, Handler>)[method]!);
}

function inputWith(claims: object): PolicyInput {
  const token = VerifiedToken.seal(
    'access',
    { kid: 'k1', algorithm: 'ES256', era: 0 },
    { iss: 'i', aud: 'a', sub: 's', iat: 9_000, exp: 20_000, jti: 'j', ...claims },
  );
  return { token, request: {}, context: {} as ExecutionContext };
}

/** `allowed`, the challenge, or the code of the refusal. */
function verdictOn(policy: RoutePolicy, claims: object, now = NOW): unknown {
  try {
    return authorize(policy, inputWith(claims), now) === true ? 'allowed' : 'a promise';
  } catch (error) {
    if (error instanceof StepUpRequired) return error.challenge;
    if (error instanceof AccessError) return error.code;
    throw error;
  }
}

@RequireStepUp({ maxAge: '1h', acr: ['gold', 'silver'] })
class Bank {
  @Scopes('pay')
  @RequireStepUp({ maxAge: '5m', amr: 'otp' })
  pay(): void {}

  show(): void {}

  @RequireStepUp({ action: 'delete_account' })
  remove(): void {}
}

describe('a policy with step-up', () => {
  it.each<readonly [string, object, unknown]>([
    ['all of it', FRESH, 'allowed'],
    ['too old for the method', { ...FRESH, auth_time: NOW - 301 }, CHALLENGE()],
    ['too old for the class', { ...FRESH, auth_time: NOW - 3_601 }, CHALLENGE()],
    ['too weak for the class', { ...FRESH, acr: 'bronze' }, CHALLENGE()],
    ['by other means', { ...FRESH, amr: ['pwd'] }, CHALLENGE()],
    ['without auth_time', { ...FRESH, auth_time: undefined }, CHALLENGE()],
    ['without acr', { ...FRESH, acr: undefined }, CHALLENGE()],
    ['without amr', { ...FRESH, amr: undefined }, CHALLENGE()],
    ['without scope, for which no step-up helps', { ...FRESH, scope: '' }, 'ERR_ACCESS_DENIED'],
    ['without scope and too old', { scope: '' }, 'ERR_ACCESS_DENIED'],
  ])('%s', (_, claims, verdict) => {
    expect(verdictOn(policyOf(Bank, 'pay'), claims)).toEqual(verdict);
  });

  function CHALLENGE(): object {
    return { maxAge: 300, acrValues: ['gold', 'silver'] };
  }

  it('is judged at each request: a verdict of before does not carry over', () => {
    const policy = policyOf(Bank, 'show');
    const input = inputWith(FRESH);
    expect(authorize(policy, input, NOW)).toBe(true);
    expect(() => authorize(policy, input, NOW + 3_600)).toThrow(StepUpRequired);
    expect(authorize(policy, input, NOW)).toBe(true);
  });

  it('is judged for each token: a weaker one of the same session is not the stronger one', () => {
    const policy = policyOf(Bank, 'show');
    expect(verdictOn(policy, { ...FRESH, sid: 'one' })).toBe('allowed');
    expect(verdictOn(policy, { ...FRESH, acr: 'bronze', sid: 'one' })).toEqual({
      maxAge: 3_600,
      acrValues: ['gold', 'silver'],
    });
  });

  it.each([NaN, undefined, Infinity, -Infinity])(
    'lets nobody pass when it is %s o’clock',
    (now) => {
      expect(() => authorize(policyOf(Bank, 'show'), inputWith(FRESH), now as number)).toThrow(
        StepUpRequired,
      );
    },
  );

  it('comes before policy functions, which are asked of nobody who has to step up', () => {
    let asked = 0;
    class Routes {
      @RequireStepUp({ maxAge: '5m' })
      @Policy(() => ++asked > 0)
      method(): void {}
    }
    expect(verdictOn(policyOf(Routes, 'method'), {})).toEqual({ maxAge: 300 });
    expect(asked).toBe(0);
    expect(verdictOn(policyOf(Routes, 'method'), FRESH)).toBe('allowed');
    expect(asked).toBe(1);
  });

  it('says what is to be confirmed, and leaves that to who asks last', () => {
    const policy = policyOf(Bank, 'remove');
    expect(policy.actions).toEqual(['delete_account']);
    expect(verdictOn(policy, FRESH)).toBe('allowed');
    expect(policyOf(Bank, 'pay').actions).toEqual([]);
  });
});

describe('a policy with bindings', () => {
  @Bound('dpop', 'mtls')
  class Routes {
    @Bound('fingerprint')
    @Bound('dpop')
    method(): void {}

    other(): void {}
  }

  it('holds the lists of every level', () => {
    expect(policyOf(Routes, 'method').bound).toHaveLength(3);
    expect(policyOf(Routes, 'method').bound).toEqual(
      expect.arrayContaining([['dpop', 'mtls'], ['dpop'], ['fingerprint']]),
    );
    expect(policyOf(Routes, 'other').bound).toEqual([['dpop', 'mtls']]);
    expect(policyOf(Routes, 'other').demands).toEqual([]);
    expect(policyOf(Bank, 'show').bound).toEqual([]);
  });

  it('is inherited, and no route with one is public', () => {
    class Child extends Routes {
      @Public()
      override other(): void {}
    }
    expect(policyOf(Child, 'other').bound).toEqual([['dpop', 'mtls']]);
    expect(policyOf(Child, 'other').isPublic).toBe(false);
  });
});

describe('a route where users step up', () => {
  class Routes {
    @DuringStepUp()
    stepUp(): void {}

    other(): void {}
  }

  it('is one, and demands a token all the same', () => {
    expect(policyOf(Routes, 'stepUp')).toMatchObject({ duringStepUp: true, isPublic: false });
    expect(policyOf(Routes, 'other').duringStepUp).toBe(false);
  });

  it('is one where its class says so', () => {
    @DuringStepUp()
    class All {
      method(): void {}
    }
    expect(policyOf(All, 'method')).toMatchObject({ duringStepUp: true, isPublic: false });
  });

  it('is not one because of what it extends or overrides', () => {
    @DuringStepUp()
    class Parent {
      @DuringStepUp()
      overridden(): void {}
      inherited(): void {}
    }
    class Child extends Parent {
      override overridden(): void {}
    }
    expect(policyOf(Child, 'overridden').duringStepUp).toBe(false);
    expect(policyOf(Child, 'inherited').duringStepUp).toBe(false);
  });

  it('is not one under another name of the same function', () => {
    class Twice {
      @DuringStepUp()
      stepUp(): void {}
      pay(): void {}
    }
    const stepUp = Object.getOwnPropertyDescriptor(Twice.prototype, 'stepUp')!;
    const shared = (): void => {};
    Object.defineProperty(Twice.prototype, 'stepUp', { ...stepUp, value: shared });
    Object.defineProperty(Twice.prototype, 'pay', { ...stepUp, value: shared });
    expect(policyOf(Twice, 'stepUp')).toMatchObject({ duringStepUp: false, isPublic: false });
  });

  it('is not public because another name of the same function is', () => {
    class Twice {
      @DuringStepUp()
      stepUp(): void {}
      @Public()
      open(): void {}
    }
    const descriptor = Object.getOwnPropertyDescriptor(Twice.prototype, 'stepUp')!;
    const shared = (): void => {};
    Object.defineProperty(Twice.prototype, 'stepUp', { ...descriptor, value: shared });
    Object.defineProperty(Twice.prototype, 'open', { ...descriptor, value: shared });
    expect(policyOf(Twice, 'open')).toMatchObject({ duringStepUp: false, isPublic: false });
  });
});

describe('contradictions stop the start', () => {
  class Parent {
    @RequireStepUp({ maxAge: '5m', acr: ['gold', 'silver'], action: 'pay' })
    @Get('method')
    method(): void {}

    @Bound('dpop', 'mtls')
    @Get('bound')
    bound(): void {}
  }

  @Controller('one')
  class PublicAndStepUp {
    @Public()
    @RequireStepUp({ maxAge: '5m' })
    @Get()
    method(): void {}
  }

  @RequireStepUp({ action: 'pay' })
  @Controller('one')
  class PublicBelowStepUp {
    @Public()
    @Get()
    method(): void {}
  }

  @Controller('one')
  class PublicAndBound {
    @Public()
    @Bound('dpop')
    @Get()
    method(): void {}
  }

  @Public()
  @Controller('one')
  class PublicAndDuring {
    @DuringStepUp()
    @Get()
    method(): void {}
  }

  @RequireStepUp({ maxAge: '5m' })
  @Controller('one')
  class StepUpToStepUp {
    @DuringStepUp()
    @Get()
    method(): void {}
  }

  @RequireStepUp({ acr: ['gold', 'silver'] })
  @Controller('one')
  class NoSuchAcr {
    @RequireStepUp({ acr: 'bronze' })
    @Get()
    method(): void {}
  }

  @RequireStepUp({ action: 'pay' })
  @Controller('one')
  class TwoActions {
    @RequireStepUp({ action: 'delete_account' })
    @Get()
    method(): void {}
  }

  @Controller('one')
  class DropsStepUp extends Parent {
    @Get('method')
    override method(): void {}
  }

  @Controller('one')
  class LoosensAge extends Parent {
    @RequireStepUp({ maxAge: '6m', acr: 'gold', action: 'pay' })
    @Get('method')
    override method(): void {}
  }

  @Controller('one')
  class DropsAction extends Parent {
    @RequireStepUp({ maxAge: '5m', acr: 'gold' })
    @Get('method')
    override method(): void {}
  }

  @Controller('one')
  class LoosensBound extends Parent {
    @Bound('dpop', 'mtls', 'cookie')
    @Get('bound')
    override bound(): void {}
  }

  const lost = 'it overrides a method that demands';
  const demand = 'stepUp(max 5m, acr gold | silver, action pay)';

  it.each<readonly [string, Type, string, string]>([
    ['@Public()', PublicAndStepUp, 'method', 'also demands stepUp(max 5m)'],
    ['@Public() below a class', PublicBelowStepUp, 'method', 'also demands stepUp(action pay)'],
    ['@Public() and @Bound()', PublicAndBound, 'method', 'also demands bound(dpop)'],
    ['@Public() and @DuringStepUp()', PublicAndDuring, 'method', 'also demands duringStepUp'],
    ['to step up first', StepUpToStepUp, 'method', 'it is @DuringStepUp() and also demands'],
    ['values of acr that exclude each other', NoSuchAcr, 'method', 'no value of acr'],
    ['two actions', TwoActions, 'method', 'and a request brings one'],
    ['a lost demand', DropsStepUp, 'method', `${lost} ${demand}`],
    ['a longer age', LoosensAge, 'method', `${lost} ${demand}`],
    ['a lost action', DropsAction, 'method', `${lost} ${demand}`],
    ['a weaker binding', LoosensBound, 'bound', `${lost} bound(dpop | mtls)`],
  ])('%s', async (_, type, method, problem) => {
    const error: unknown = await startProtectedApp([type]).then(
      (app) => app.close(),
      (reason: unknown) => reason,
    );
    expect(error).toBeInstanceOf(ConfigError);
    expect((error as ConfigError).problems).toContainEqual({
      path: `${type.name}.${method}`,
      problem: expect.stringContaining(problem) as string,
      fix: expect.stringMatching(/^.{20,}/) as string,
    });
  });

  it('and what asks for more does not', async () => {
    @RequireStepUp({ acr: ['gold', 'silver'] })
    @Controller('one')
    class Tightens extends Parent {
      @RequireStepUp({ maxAge: '1m', acr: 'gold', action: 'pay' })
      @Get('method')
      override method(): void {}

      @Bound('dpop')
      @Get('bound')
      override bound(): void {}

      @DuringStepUp()
      @Get('other')
      other(): void {}
    }
    @Controller('two')
    class Routes {
      @DuringStepUp()
      @Get('step-up')
      stepUp(): void {}

      @RequireStepUp({ maxAge: '5m', acr: 'urn:example:mfa', amr: 'otp', action: 'pay' })
      @Bound('dpop', 'mtls')
      @Get('pay')
      pay(): void {}
    }
    const refused: unknown = await startProtectedApp([Tightens]).catch((error: unknown) => error);
    // Only that it is to step up where stepping up is demanded.
    expect((refused as ConfigError).problems.map(({ path }) => path)).toEqual(['Tightens.other']);

    const app = await startProtectedApp([Routes], { options: { jwksPath: null } });
    const routes = app.app.get(RouteAudit).routes();
    await app.close();
    expect(routes.map(({ handler, demands }) => [handler, demands])).toEqual([
      ['Routes.stepUp', ['duringStepUp']],
      [
        'Routes.pay',
        ['bound(dpop | mtls)', 'stepUp(max 5m, acr urn:example:mfa, amr otp, action pay)'],
      ],
    ]);
  });
});
