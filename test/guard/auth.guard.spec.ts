import {
  type CanActivate,
  type CallHandler,
  Controller,
  type ExecutionContext,
  Get,
  Head,
  Injectable,
  type MessageEvent,
  type NestInterceptor,
  Options,
  Post,
  All,
  Scope,
  Sse,
  type Type,
  UseGuards,
  UseInterceptors,
  VersioningType,
} from '@nestjs/common';
import { ExecutionContextHost } from '@nestjs/core/internal';
import { EMPTY, map, type Observable, of } from 'rxjs';

import { type SecurityEvent, SecurityEvents } from '../../lib/events/security-events.js';
import { AuthGuard } from '../../lib/guard/auth.guard.js';
import { currentToken } from '../../lib/guard/current-token.js';
import {
  AnyScope,
  CurrentToken,
  Permissions,
  Policy,
  Public,
  Roles,
  Scopes,
} from '../../lib/guard/decorators.js';
import { Clock } from '../../lib/kernel/clock.js';
import { KeyError } from '../../lib/kernel/errors.js';
import { generateSigningKey } from '../../lib/keys/key-material.js';
import { KeyRingService } from '../../lib/keys/key-ring.service.js';
import { TokenService } from '../../lib/tokens/token.service.js';
import type { VerifiedToken } from '../../lib/tokens/verified-token.js';
import { ADAPTERS } from '../support/guarded-app.js';
import { type Answer, closeConnections } from '../support/http.js';
import { forgeAccess, validClaims } from '../support/token-mother.js';
import { parseChallenge } from './challenge-grammar.js';
import { type ProtectedApp, type ProtectedAppOptions, startProtectedApp } from './protected-app.js';

afterAll(closeConnections);

/** The handlers that ran, in order. What is not in here was not reached, whatever the answer says. */
const reached: string[] = [];

function reach(handler: string): string {
  reached.push(handler);
  return `reached ${handler}`;
}

beforeEach(() => {
  reached.length = 0;
});

/** Passes on a function of its own with the metadata of the one it replaces, as tracers do. */
function Traced(): MethodDecorator {
  return (_, __, descriptor) => {
    const original = descriptor.value as never as (...args: unknown[]) => unknown;
    const traced = function (this: unknown, ...args: unknown[]): unknown {
      return original.apply(this, args);
    };
    for (const key of Reflect.getMetadataKeys(original) as unknown[]) {
      Reflect.defineMetadata(key, Reflect.getMetadata(key, original), traced);
    }
    return { ...descriptor, value: traced as never };
  };
}

/** As `Traced`, with a proxy. */
function Proxied(): MethodDecorator {
  return (_, __, descriptor) => ({
    ...descriptor,
    value: new Proxy(descriptor.value as object, {}) as never,
  });
}

@Controller('one')
class OneDemand {
  @Get('token')
  token(): string {
    return reach('token');
  }

  @Scopes('a', 'b:c')
  @Get('scopes')
  scopes(): string {
    return reach('scopes');
  }

  @AnyScope('a', 'b')
  @Get('any-scope')
  anyScope(): string {
    return reach('anyScope');
  }

  @Roles('admin', 'auditor')
  @Get('roles')
  roles(): string {
    return reach('roles');
  }

  @Permissions('p', 'q')
  @Get('permissions')
  permissions(): string {
    return reach('permissions');
  }

  @Policy(({ token }) => token.claims['tenant'] === 't1')
  @Get('policy')
  policy(): string {
    return reach('policy');
  }

  @Policy(async ({ token }) => token.claims['tenant'] === 't1')
  @Get('async-policy')
  asyncPolicy(): string {
    return reach('asyncPolicy');
  }

  @Policy(() => AbortSignal.abort(new Error('planted')).throwIfAborted() as never)
  @Get('throwing-policy')
  throwingPolicy(): string {
    return reach('throwingPolicy');
  }

  @Policy(async () => Promise.reject(new Error('planted')))
  @Get('rejecting-policy')
  rejectingPolicy(): string {
    return reach('rejectingPolicy');
  }

  @Policy(() => 1 as never)
  @Get('truthy-policy')
  truthyPolicy(): string {
    return reach('truthyPolicy');
  }

  @Scopes('a')
  @AnyScope('b', 'c')
  @Roles('admin')
  @Permissions('p')
  @Policy(({ token }) => token.subject === 'user-1')
  @Get('all')
  all(): string {
    return reach('all');
  }
}

@Scopes('area')
@Roles('user', 'admin')
@Controller('area')
class Area {
  @Get('plain')
  plain(): string {
    return reach('area.plain');
  }

  @Roles('admin')
  @Get('admin')
  admin(): string {
    return reach('area.admin');
  }
}

@Scopes('base')
class Base {
  @Get('inherited')
  inherited(): string {
    return reach('inherited');
  }

  @Roles('admin')
  @Get('overridden')
  overridden(): string {
    return reach('base.overridden');
  }
}

@Permissions('child')
@Controller('child')
class Child extends Base {
  @Roles('admin')
  @Get('overridden')
  override overridden(): string {
    return reach('child.overridden');
  }

  @Get('own')
  own(): string {
    return reach('own');
  }
}

@Controller('sibling')
class Sibling extends Base {}

@Controller('order')
class Order {
  @Scopes('a')
  @Get('above')
  above(): string {
    return reach('above');
  }

  @Get('below')
  @Scopes('a')
  below(): string {
    return reach('below');
  }

  @Scopes('a')
  @Scopes('b')
  @Get('repeated')
  repeated(): string {
    return reach('repeated');
  }

  @Traced()
  @Scopes('a')
  @Get('replaced-above')
  replacedAbove(): string {
    return reach('replacedAbove');
  }

  @Scopes('a')
  @Get('replaced-below')
  @Traced()
  replacedBelow(): string {
    return reach('replacedBelow');
  }

  @Scopes('a')
  @Traced()
  @Get('replaced-between')
  @Traced()
  replacedBetween(): string {
    return reach('replacedBetween');
  }

  @Scopes('a')
  @Get('proxied-below')
  @Proxied()
  proxiedBelow(): string {
    return reach('proxiedBelow');
  }
}

@Injectable()
class SubjectHeader implements NestInterceptor {
  intercept(context: ExecutionContext, next: CallHandler): Observable<unknown> {
    const request = context.switchToHttp().getRequest<object>();
    const subject = currentToken(request)?.subject ?? 'nobody';
    return next.handle().pipe(map((body: unknown) => ({ subject, body })));
  }
}

@Controller('facts')
class Facts {
  @Get('whole')
  whole(@CurrentToken() token: VerifiedToken): unknown {
    return { kind: token.kind, subject: token.subject, scopes: token.scopes };
  }

  @Get('subject')
  subject(@CurrentToken('subject') subject: string): unknown {
    return { subject };
  }

  @Get('scopes')
  scopes(@CurrentToken('scopes') scopes: readonly string[]): unknown {
    return { scopes };
  }

  @Get('tamper')
  tamper(@CurrentToken() token: VerifiedToken): unknown {
    return [
      Reflect.set(token, 'subject', 'admin'),
      Reflect.set(token.scopes, 0, 'admin'),
      Reflect.set(token.claims, 'roles', ['admin']),
    ];
  }

  @UseInterceptors(SubjectHeader)
  @Get('intercepted')
  intercepted(): string {
    return 'x';
  }

  @Public()
  @UseInterceptors(SubjectHeader)
  @Get('intercepted-public')
  interceptedPublic(): string {
    return 'x';
  }
}

@Controller('open')
class Open {
  @Public()
  @Get('who')
  who(@CurrentToken('subject') subject: string | undefined): unknown {
    return { who: subject ?? 'anonymous' };
  }

  @Public()
  @Post('login')
  login(@CurrentToken() token: VerifiedToken | undefined): unknown {
    return { login: token === undefined ? 'anonymous' : token.subject };
  }
}

@Public()
@Controller('open-class')
class OpenClass {
  @Get()
  get(@CurrentToken('subject') subject: string | undefined): unknown {
    return { who: subject ?? 'anonymous' };
  }
}

@Scopes('admin')
@Controller('admin')
class Admin {
  @Get()
  list(): string {
    return reach('admin.list');
  }

  @Get('users/:id')
  user(): string {
    return reach('admin.user');
  }

  @Post()
  create(): string {
    return reach('admin.create');
  }
}

@Controller('methods')
class Methods {
  @All('all')
  all(): string {
    return reach('methods.all');
  }

  @Head('head')
  head(): string {
    return reach('methods.head');
  }

  @Options('options')
  options(): string {
    return reach('methods.options');
  }

  @Scopes('ticks')
  @Sse('ticks')
  ticks(): Observable<MessageEvent> {
    reach('ticks');
    return of({ data: 'tick' });
  }
}

@Controller({ path: 'scoped', scope: Scope.REQUEST })
class RequestScoped {
  @Scopes('a')
  @Get()
  get(@CurrentToken('subject') subject: string): string {
    return reach(`scoped for ${subject}`);
  }
}

const CONTROLLERS: Type[] = [
  OneDemand,
  Area,
  Child,
  Sibling,
  Order,
  Facts,
  Open,
  OpenClass,
  Admin,
  Methods,
  RequestScoped,
];

const ALL_RIGHTS = { scope: 'a b', roles: ['admin'], permissions: ['p'] };

describe.each(ADAPTERS)('AuthGuard on %s', (adapter) => {
  let app: ProtectedApp;

  beforeAll(async () => {
    app = await startProtectedApp(CONTROLLERS, { adapter });
  });

  afterAll(() => app.close());

  beforeEach(() => app.forgetEvents());

  async function statusOf(path: string, claims?: object): Promise<number> {
    const token = claims === undefined ? undefined : await app.sign(claims);
    const answer = await app.send(path, token === undefined ? {} : { token });
    // Nothing runs that was not answered with 200, and nothing is answered with 200 that did not run.
    expect(reached).toHaveLength(answer.status === 200 ? 1 : 0);
    return answer.status;
  }

  describe('each decorator alone', () => {
    it.each([
      ['token', undefined, 401],
      ['token', {}, 200],
      ['scopes', undefined, 401],
      ['scopes', { scope: 'a b:c' }, 200],
      ['scopes', { scope: 'b:c x a' }, 200],
      ['scopes', { scope: 'a' }, 403],
      ['scopes', { scope: 'ab:c' }, 403],
      ['scopes', { scope: 'A B:C' }, 403],
      ['scopes', { roles: ['a', 'b:c'], permissions: ['a', 'b:c'] }, 403],
      ['scopes', {}, 403],
      ['any-scope', { scope: 'b' }, 200],
      ['any-scope', { scope: 'c' }, 403],
      ['any-scope', {}, 403],
      ['roles', { roles: ['auditor'] }, 200],
      ['roles', { roles: ['user'] }, 403],
      ['roles', { roles: [] }, 403],
      ['roles', { scope: 'admin' }, 403],
      ['permissions', { permissions: ['q', 'p'] }, 200],
      ['permissions', { permissions: ['p'] }, 403],
      ['permissions', {}, 403],
      ['policy', { tenant: 't1' }, 200],
      ['policy', { tenant: 't2' }, 403],
      ['policy', {}, 403],
      ['async-policy', { tenant: 't1' }, 200],
      ['async-policy', { tenant: 't2' }, 403],
      ['throwing-policy', { tenant: 't1' }, 403],
      ['rejecting-policy', { tenant: 't1' }, 403],
      ['truthy-policy', { tenant: 't1' }, 403],
    ])('%s with %j: %d', async (path, claims, status) => {
      expect(await statusOf(`/one/${path}`, claims)).toBe(status);
    });
  });

  describe('all decorators together', () => {
    it.each([
      ['every demand met', ALL_RIGHTS, 200],
      ['no scope a', { ...ALL_RIGHTS, scope: 'b' }, 403],
      ['neither scope b nor c', { ...ALL_RIGHTS, scope: 'a' }, 403],
      ['no role', { ...ALL_RIGHTS, roles: [] }, 403],
      ['no permission', { ...ALL_RIGHTS, permissions: [] }, 403],
      ['another subject', { ...ALL_RIGHTS, sub: 'user-2' }, 403],
    ])('%s: %s', async (_, claims, status) => {
      expect(await statusOf('/one/all', claims)).toBe(status);
    });
  });

  describe('levels (SEMANTICS 5: every level must hold, a method cannot loosen its class)', () => {
    it.each([
      ['/area/plain', { scope: 'area', roles: ['user'] }, 200],
      ['/area/plain', { scope: 'area' }, 403],
      ['/area/plain', { roles: ['user'] }, 403],
      ['/area/admin', { scope: 'area', roles: ['admin'] }, 200],
      ['/area/admin', { scope: 'area', roles: ['user'] }, 403],
      ['/area/admin', { roles: ['admin'] }, 403],
      ['/child/inherited', { scope: 'base', permissions: ['child'] }, 200],
      ['/child/inherited', { scope: 'base' }, 403],
      ['/child/inherited', { permissions: ['child'] }, 403],
      ['/child/own', { scope: 'base', permissions: ['child'] }, 200],
      ['/child/own', { permissions: ['child'] }, 403],
      ['/child/overridden', { scope: 'base', permissions: ['child'], roles: ['admin'] }, 200],
      ['/child/overridden', { scope: 'base', permissions: ['child'] }, 403],
      ['/child/overridden', { permissions: ['child'], roles: ['admin'] }, 403],
      ['/sibling/inherited', { scope: 'base' }, 200],
      ['/sibling/inherited', {}, 403],
      ['/sibling/overridden', { scope: 'base', roles: ['admin'] }, 200],
      ['/sibling/overridden', { scope: 'base' }, 403],
    ])('%s with %j: %d', async (path, claims, status) => {
      expect(await statusOf(path, claims)).toBe(status);
    });
  });

  describe('order and other decorators', () => {
    it.each([
      '/order/above',
      '/order/below',
      '/order/replaced-above',
      '/order/replaced-below',
      '/order/replaced-between',
      '/order/proxied-below',
    ])('%s demands its scope', async (path) => {
      expect(await statusOf(path, {})).toBe(403);
      expect(await statusOf(path, { scope: 'a' })).toBe(200);
    });

    it('a repeated decorator adds', async () => {
      expect(await statusOf('/order/repeated', { scope: 'a' })).toBe(403);
      expect(await statusOf('/order/repeated', { scope: 'b' })).toBe(403);
      expect(await statusOf('/order/repeated', { scope: 'a b' })).toBe(200);
    });
  });

  describe('the token in the application', () => {
    it.each([
      ['/facts/whole', { kind: 'access', subject: 'user-1', scopes: ['a', 'b'] }],
      ['/facts/subject', { subject: 'user-1' }],
      ['/facts/scopes', { scopes: ['a', 'b'] }],
      ['/facts/intercepted', { subject: 'user-1', body: 'x' }],
      ['/facts/intercepted-public', { subject: 'user-1', body: 'x' }],
    ])('%s', async (path, facts) => {
      const token = await app.sign({ scope: 'a b' });
      const { body } = await app.send(path, { token });

      expect(JSON.parse(body)).toEqual(facts);
    });

    it('is nobody in an interceptor of a public route without one', async () => {
      const { body } = await app.send('/facts/intercepted-public');

      expect(JSON.parse(body)).toEqual({ subject: 'nobody', body: 'x' });
    });

    it('cannot be changed by a handler for the next request with the same token', async () => {
      const token = await app.sign({ scope: 'a' });

      expect((await app.send('/facts/tamper', { token })).body).toBe('[false,false,false]');
      expect((await app.send('/facts/whole', { token })).body).toBe(
        '{"kind":"access","subject":"user-1","scopes":["a"]}',
      );
    });

    it('is that of its own request among many', async () => {
      const subjects = Array.from({ length: 40 }, (_, index) => `user-${index}`);
      const bodies = await Promise.all(
        subjects.map(async (sub) => {
          const token = await app.sign({ sub });
          return (await app.send('/facts/subject', { token })).body;
        }),
      );

      expect(bodies).toEqual(subjects.map((subject) => JSON.stringify({ subject })));
    });
  });

  describe('public routes', () => {
    async function badTokens(): Promise<ReadonlyArray<readonly [string, string]>> {
      const key = await app.app.get(KeyRingService).signingKey();
      const stranger = { ...(await generateSigningKey('ES256')), kid: key.kid };
      const claims = validClaims(app.clock);
      const now = app.clock.seconds();
      return [
        ['junk', 'junk'],
        ['forged', await forgeAccess(stranger, { ...claims, sub: 'admin' })],
        ['expired', await forgeAccess(key, { ...claims, iat: now - 200, exp: now - 100 })],
        ['for another audience', await forgeAccess(key, { ...claims, aud: 'x' })],
        ['bound', await forgeAccess(key, { ...claims, cnf: { jkt: 'x' } })],
        ['of another kind', await app.sign({}, { kind: 'logout' })],
      ];
    }

    it('know who brings a right token, and nobody without one', async () => {
      const token = await app.sign({ sub: 'alice' });

      for (const path of ['/open/who', '/open-class']) {
        expect((await app.send(path)).body).toBe('{"who":"anonymous"}');
        expect((await app.send(path, { token })).body).toBe('{"who":"alice"}');
      }
    });

    it('take a wrong token for nobody, and never for who it names (SEMANTICS 5)', async () => {
      for (const [what, token] of await badTokens()) {
        app.forgetEvents();
        const answer = await app.send('/open/who', { token });

        expect([what, answer.status, answer.body]).toEqual([what, 200, '{"who":"anonymous"}']);
        expect(answer.headers['www-authenticate']).toBeUndefined();
        expect(app.events).toMatchObject([
          { type: 'token.rejected', requestId: answer.headers['x-request-id'] },
        ]);
      }
    });

    it('let a login with an expired token in the header through', async () => {
      for (const [what, token] of await badTokens()) {
        const answer = await app.send('/open/login', { method: 'POST', token });

        expect([what, answer.status, answer.body]).toEqual([what, 201, '{"login":"anonymous"}']);
      }
    });

    it('take two tokens for none', async () => {
      const token = await app.sign({ sub: 'alice' });
      const twice = await app.sendRaw(
        rawGet('/open/who', `Authorization: Bearer ${token}`, `Authorization: Bearer ${token}`),
      );
      const both = await app.send('/open/who?access_token=x', { token });

      expect(twice).toMatch(/^HTTP\/1\.1 200 [^]*\{"who":"anonymous"\}/);
      expect([both.status, both.body]).toEqual([200, '{"who":"anonymous"}']);
    });

    it('say nothing in the log when there is nothing to say', async () => {
      await app.send('/open/who');
      await app.send('/open/who', { token: await app.sign() });

      expect(app.events.filter(({ type }) => type !== 'token.issued')).toEqual([]);
    });
  });

  describe('answers (RFC 6750 §3, SEMANTICS 1: errors)', () => {
    it.each([
      ['no credentials', '/one/token', undefined, 401, 'unauthorized', {}],
      ['a bad token', '/one/token', 'junk', 401, 'invalid_token', { error: 'invalid_token' }],
      [
        'a missing scope',
        '/one/scopes',
        {},
        403,
        'insufficient_scope',
        { error: 'insufficient_scope', scope: 'a b:c' },
      ],
      [
        'a missing role',
        '/one/roles',
        {},
        403,
        'insufficient_scope',
        { error: 'insufficient_scope' },
      ],
      [
        'a policy that threw',
        '/one/throwing-policy',
        {},
        403,
        'insufficient_scope',
        { error: 'insufficient_scope' },
      ],
      [
        'two tokens',
        '/one/token?access_token=x',
        {},
        400,
        'invalid_request',
        { error: 'invalid_request' },
      ],
    ] as const)('%s', async (_, path, credentials, status, error, parameters) => {
      const token = typeof credentials === 'string' ? credentials : await app.sign(credentials);
      const answer = await app.send(path, credentials === undefined ? {} : { token });

      expect([answer.status, answer.body]).toEqual([status, JSON.stringify({ error })]);
      expect(answer.headers['content-type']).toMatch(/^application\/json/);
      expect(parseChallenge(answer.headers['www-authenticate'])).toEqual({
        scheme: 'Bearer',
        parameters,
      });
      expect(answer.headers['x-request-id']).toMatch(/^[\w.:-]{1,128}$/);
      expect(reached).toEqual([]);
    });

    it('are the same bytes for every token that is refused (S056)', async () => {
      const key = await app.app.get(KeyRingService).signingKey();
      const claims = validClaims(app.clock);
      const now = app.clock.seconds();
      const stranger = { ...(await generateSigningKey('ES256')), kid: key.kid };
      const malformed = ['x', 'a.b.c', 'x'.repeat(9_000)];
      const wrong = await Promise.all([
        forgeAccess(stranger, claims),
        forgeAccess(key, claims, { kid: 'nobody' }),
        forgeAccess(key, claims, { alg: 'HS256' }),
        forgeAccess(key, claims, { typ: 'JWT' }),
        forgeAccess(key, claims, { jku: 'https://attacker.example' }),
        forgeAccess(key, { ...claims, iat: now - 200, exp: now - 100 }),
        forgeAccess(key, { ...claims, nbf: now + 100 }),
        forgeAccess(key, { ...claims, iss: 'https://attacker.example' }),
        forgeAccess(key, { ...claims, aud: 'x' }),
        forgeAccess(key, { ...claims, sub: '' }),
        forgeAccess(key, { ...claims, cnf: { jkt: 'x' } }),
        forgeAccess(key, '{"a":1,"a":2}'),
        app.sign({}, { kind: 'confirmation' }),
      ]);
      const tokens = [...malformed, ...wrong];
      const answers = new Set<string>();
      for (const token of tokens) {
        const raw = await app.sendRaw(rawGet('/admin', `Authorization: Bearer ${token}`));
        answers.add(withoutWhatVaries(raw));
      }

      expect([...answers]).toEqual([expect.stringMatching(/^HTTP\/1\.1 401 /)]);
      expect(app.events).toHaveLength(tokens.length + 1);
    });

    it('are the same bytes for every way to bring no credentials', async () => {
      const answers = new Set<string>();
      for (const headers of [[], ['Authorization: Basic x'], ['Authorization:'], ['Cookie: a=b']]) {
        answers.add(withoutWhatVaries(await app.sendRaw(rawGet('/admin', ...headers))));
      }

      expect([...answers]).toEqual([expect.stringContaining('{"error":"unauthorized"}')]);
    });

    it('have a request id of their own each', async () => {
      const ids = new Set<unknown>();
      for (let round = 0; round < 20; round++) {
        ids.add((await app.send('/one/token')).headers['x-request-id']);
      }

      expect(ids.size).toBe(20);
    });
  });

  describe('the log', () => {
    it('has the code and the id of each refusal, and the client only the id', async () => {
      const token = await app.sign({ sub: 'planted-subject' });
      const refusals = [
        [await app.send('/one/token'), 'access.denied', 'ERR_ACCESS_NO_CREDENTIALS'],
        [await app.send('/one/scopes', { token }), 'access.denied', 'ERR_ACCESS_DENIED'],
        [
          await app.send('/one/throwing-policy', { token }),
          'access.denied',
          'ERR_ACCESS_POLICY_FAILED',
        ],
        [await app.send('/one/token', { token: 'junk' }), 'token.rejected', 'ERR_TOKEN_FORMAT'],
      ] as const;

      for (const [answer, type, code] of refusals) {
        const id = String(answer.headers['x-request-id']);
        expect(app.events).toContainEqual(expect.objectContaining({ type, code, requestId: id }));
        const lines = app.logs.filter((line) => line.includes(id));
        expect(lines).toEqual([expect.stringContaining(`${type} `)]);
        expect(lines[0]).toContain(`code=${code}`);
        expect(lines[0]).toContain('handler=OneDemand.');
        expect(JSON.stringify(answer)).not.toContain(code);
      }
      expect(app.logs.join('\n')).not.toContain('planted');
      expect(JSON.stringify(app.events)).not.toContain('planted');
    });

    it('has no line for a request that was let through', async () => {
      const token = await app.sign();
      app.forgetEvents();
      await app.send('/one/token', { token });
      await app.send('/one/token', { token });

      expect(app.events).toEqual([]);
    });
  });

  describe('credentials', () => {
    it('two Authorization headers are a malformed request, whatever they say (RFC 6750 §3.1)', async () => {
      const good = `Bearer ${await app.sign({ scope: 'admin' })}`;
      for (const [first, second] of [
        [good, good],
        [good, 'Bearer x'],
        ['Bearer x', good],
        [good, 'Basic x'],
        ['Basic x', good],
        [good, ''],
        ['', good],
      ]) {
        for (const name of ['Authorization', 'AUTHORIZATION', 'authorization']) {
          const answer = await app.sendRaw(
            rawGet('/admin', `Authorization: ${first}`, `${name}: ${second}`),
          );
          expect(answer).toMatch(/^HTTP\/1\.1 400 [^]*\{"error":"invalid_request"\}/);
        }
      }
      expect(reached).toEqual([]);
    });

    it('a token in the header and one in the query are a malformed request', async () => {
      const token = await app.sign({ scope: 'admin' });
      const answer = await app.send(`/admin?access_token=${token}`, { token });

      expect([answer.status, answer.body]).toEqual([400, '{"error":"invalid_request"}']);
      expect(reached).toEqual([]);
    });

    it('a token in the header and one in a form are a malformed request, one in a form is none', async () => {
      const token = await app.sign({ scope: 'admin' });
      const form = `access_token=${token}`;
      const post = (...headers: string[]): string =>
        rawGet(
          '/admin',
          ...headers,
          'Content-Type: application/x-www-form-urlencoded',
          `Content-Length: ${form.length}`,
        ).replace(/^GET/, 'POST') + form;

      expect(await app.sendRaw(post())).toMatch(/^HTTP\/1\.1 401 [^]*\{"error":"unauthorized"\}/);
      expect(await app.sendRaw(post(`Authorization: Bearer ${token}`))).toMatch(
        /^HTTP\/1\.1 400 [^]*\{"error":"invalid_request"\}/,
      );
      expect(reached).toEqual([]);
    });

    it('a token in the query, a cookie, a body or another header is no token', async () => {
      const token = await app.sign({ scope: 'admin' });
      const answers = [
        await app.send(`/admin?access_token=${token}`),
        await app.send(`/admin?token=${token}`),
        await app.send('/admin', { headers: { cookie: `access_token=${token}` } }),
        await app.send('/admin', { headers: { 'x-access-token': token } }),
        await app.send('/admin', { headers: { 'proxy-authorization': `Bearer ${token}` } }),
        await app.send('/admin', { headers: { 'x-forwarded-authorization': `Bearer ${token}` } }),
        await app.send('/admin', { method: 'POST', body: { access_token: token } }),
      ];

      for (const { status, body } of answers) {
        expect([status, body]).toEqual([401, '{"error":"unauthorized"}']);
      }
      expect(reached).toEqual([]);
    });

    it.each([
      ['as written', 200, (token: string) => `Bearer ${token}`],
      ['in lower case', 200, (token: string) => `bearer ${token}`],
      ['in upper case', 200, (token: string) => `BEARER ${token}`],
      ['with three spaces', 401, (token: string) => `Bearer   ${token}`],
      ['with white space around the value', 200, (token: string) => `  Bearer ${token} \t`],
      ['with a tab', 401, (token: string) => `Bearer\t${token}`],
      ['without a space', 401, (token: string) => `Bearer${token}`],
      ['without a scheme', 401, (token: string) => token],
      ['without a token', 401, () => 'Bearer'],
      ['with nothing but a space', 401, () => 'Bearer '],
      ['as Basic', 401, (token: string) => `Basic ${token}`],
      ['as DPoP', 401, (token: string) => `DPoP ${token}`],
      ['twice', 401, (token: string) => `Bearer ${token} ${token}`],
      ['as a list', 401, (token: string) => `Bearer ${token}, Bearer ${token}`],
      ['in quotes', 401, (token: string) => `Bearer "${token}"`],
      ['with a comma behind', 401, (token: string) => `Bearer ${token},`],
      ['with padding', 401, (token: string) => `Bearer ${token}=`],
      ['percent-encoded', 401, (token: string) => `Bearer ${token.replace('.', '%2E')}`],
      ['with 7000 characters of it', 401, () => `Bearer ${'x'.repeat(7_000)}`],
      ['with 12 000 characters of it', 401, () => `Bearer ${'x'.repeat(12_000)}`],
    ])('a token %s: %d', async (_, status, write) => {
      const header = write(await app.sign({ scope: 'admin' }));
      const answer = await app.sendRaw(rawGet('/admin', `Authorization: ${header}`));

      expect(answer).toMatch(new RegExp(`^HTTP/1\\.1 ${status} `));
      expect(reached).toHaveLength(status === 200 ? 1 : 0);
    });
  });

  describe('bytes that only look like a right token', () => {
    it.each([
      ['a folded header', (token: string) => `Authorization: Bearer\r\n ${token}`],
      ['a space before the colon', (token: string) => `Authorization : Bearer ${token}`],
      ['a NUL in the name', (token: string) => `Authorization\u0000: Bearer ${token}`],
      ['a line feed alone', (token: string) => `X-Note: x\nAuthorization: Bearer ${token}`],
      ['another name', (token: string) => `Authorisation: Bearer ${token}`],
      ['a name with an underscore', (token: string) => `HTTP_AUTHORIZATION: Bearer ${token}`],
    ])('%s is refused', async (_, write) => {
      const token = await app.sign();
      const answer = await app.sendRaw(rawGet('/admin', write(token)));

      expect(answer).toMatch(/^HTTP\/1\.1 4\d\d /);
      expect(reached).toEqual([]);
    });

    it('a token in the trailers of a body is none (RFC 9110 §6.5.1)', async () => {
      const token = await app.sign({ scope: 'admin' });
      const lines = [
        'POST /admin HTTP/1.1',
        'Host: localhost',
        'Connection: close',
        'Content-Type: application/json',
        'Transfer-Encoding: chunked',
        'Trailer: Authorization',
        '',
        '2',
        '{}',
        '0',
        `Authorization: Bearer ${token}`,
        '',
        '',
      ];

      expect(await app.sendRaw(lines.join('\r\n'))).toMatch(/^HTTP\/1\.1 401 /);
      expect(reached).toEqual([]);
    });

    it('a token of one request is not that of the next on the same connection', async () => {
      const token = await app.sign({ scope: 'admin' });
      const first = rawGet('/admin', `Authorization: Bearer ${token}`).replace(
        'Connection: close',
        'Connection: keep-alive',
      );
      const answer = await app.sendRaw(`${first}${rawGet('/admin')}`);

      expect(answer.match(/HTTP\/1\.1 \d+/g)).toEqual(['HTTP/1.1 200', 'HTTP/1.1 401']);
      expect(reached).toEqual(['admin.list']);
    });

    it.each([
      'Upgrade: websocket\r\nSec-WebSocket-Version: 13',
      'Upgrade: h2c\r\nHTTP2-Settings: AAMAAABkAARAAAAAAAIAAAAA',
      'Expect: 100-continue',
      'X-Original-URL: /open/who',
      'X-Rewrite-URL: /open/who',
      'X-Forwarded-Prefix: /open',
      'X-Middleware-Subrequest: admin',
    ])('a request with %j meets the guard like any other', async (header) => {
      expect(await app.sendRaw(rawGet('/admin', header))).toMatch(
        /^(?:HTTP\/1\.1 100 Continue\r\n\r\n)?HTTP\/1\.1 401 /,
      );
      expect(reached).toEqual([]);
    });
  });

  describe('methods and paths (SEMANTICS 5; CVE-2025-69211, CVE-2026-2293, -33011, -54281)', () => {
    it('HEAD is refused where GET is, and reaches nothing', async () => {
      for (const path of ['/admin', '/admin/users/1', '/one/token', '/methods/all']) {
        const answer = await app.send(path, { method: 'HEAD' });
        expect([path, answer.status]).toEqual([path, 401]);
      }
      expect(reached).toEqual([]);
    });

    it('HEAD with a right token is answered without a body', async () => {
      const token = await app.sign({ scope: 'admin' });
      const answer = await app.send('/admin', { method: 'HEAD', token });

      expect([answer.status, answer.body]).toEqual([200, '']);
    });

    it.each(['OPTIONS', 'PUT', 'DELETE', 'PATCH', 'TRACE', 'PROPFIND', 'GET', 'POST'])(
      '%s reaches no handler without a token',
      async (method) => {
        for (const path of ['/admin', '/admin/users/1', '/methods/all', '/methods/options']) {
          const { status, body } = await app.send(path, { method });
          expect(body).not.toContain('reached');
          expect(status === 200 && method !== 'OPTIONS').toBe(false);
        }
        expect(reached).toEqual([]);
      },
    );

    it.each(['GET', 'POST', 'PUT', 'DELETE', 'PATCH', 'OPTIONS'])(
      '%s on an @All route is guarded, and served with a token',
      async (method) => {
        expect((await app.send('/methods/all', { method })).status).toBe(401);
        expect(reached).toEqual([]);
        const answer = await app.send('/methods/all', { method, token: await app.sign() });
        expect(answer.body).toBe('reached methods.all');
      },
    );

    it('an @Options and a @Head route are guarded like any other', async () => {
      const token = await app.sign();
      for (const method of ['OPTIONS', 'HEAD']) {
        const path = `/methods/${method.toLowerCase()}`;
        expect((await app.send(path, { method })).status).toBe(401);
        expect((await app.send(path, { method, token })).status).toBe(200);
      }
      expect(reached).toEqual(['methods.options', 'methods.head']);
    });

    it('a method cannot be changed by a header or a parameter', async () => {
      for (const name of ['x-http-method-override', 'x-http-method', 'x-method-override']) {
        await app.send('/admin?_method=GET', { method: 'POST', headers: { [name]: 'GET' } });
      }
      expect(reached).toEqual([]);
    });

    it('an unknown route is not found, with or without a token', async () => {
      const token = await app.sign();

      expect((await app.send('/nowhere')).status).toBe(404);
      expect((await app.send('/nowhere', { token })).status).toBe(404);
      expect((await app.send('/nowhere', { token: 'junk' })).status).toBe(404);
    });

    it.each([
      '/admin',
      '/admin/',
      '/admin//',
      '//admin',
      '//admin//',
      '///admin',
      '/./admin',
      '/admin/.',
      '/x/../admin',
      '/admin/../admin',
      '/admin/%2e',
      '/%2e/admin',
      '/%61dmin',
      '/%41dmin',
      '/ADMIN',
      '/Admin',
      '/admin%2f',
      '/admin%2F..',
      '/admin%2f..%2fadmin',
      '/admin%5c',
      '/admin\\',
      '\\admin',
      '/admin;x=y',
      '/admin;.css',
      '/admin.json',
      '/admin?x',
      '/admin?x=/open/who',
      '/admin#x',
      '/admin%00',
      '/admin%20',
      '/admin%09',
      '/admin%0a',
      '/admin%25',
      '/admin%u0061',
      '/%2561dmin',
      '/%c0%afadmin',
      '/\uff41dmin',
      '/admi%6e',
      '/admin/users/1',
      '/admin/users/1/',
      '/admin//users/1',
      '/admin/users//1',
      '/admin/users/..%2f1',
      '/admin/users/%2e%2e',
      '/admin/users/1%2f..',
      '/admin/users/1;x',
      '/admin/users/1?x',
      '/open/who/../../admin',
      '/open/who/..%2f..%2fadmin',
      '/open/who%2f..%2f..%2fadmin',
      '/open/who?/../../admin',
      '/open/who;/../admin',
      'http://127.0.0.1/admin',
      'http://attacker.example/admin',
      'http://127.0.0.1//admin',
      'admin',
      '*',
    ])('%s never reaches the admin handlers without the scope', async (path) => {
      const token = await app.sign();
      const bytes = Buffer.from(path, 'utf8').toString('latin1');
      const answers = [
        await app.sendRaw(rawGet(bytes)),
        await app.sendRaw(rawGet(bytes, `Authorization: Bearer ${token}`)),
        await app.sendRaw(rawGet(bytes).replace(/^GET/, 'HEAD')),
      ];

      for (const answer of answers) expect(answer).not.toContain('reached');
      expect(reached).toEqual([]);
    });
  });

  it('guards a stream of server-sent events before it begins', async () => {
    expect(await statusOf('/methods/ticks')).toBe(401);
    expect(await statusOf('/methods/ticks', {})).toBe(403);
    const token = await app.sign({ scope: 'ticks' });
    const answer = await app.send('/methods/ticks', { token });

    expect(answer.headers['content-type']).toMatch(/^text\/event-stream/);
    expect(answer.body).toContain('data: tick');
  });

  it('guards a controller of request scope', async () => {
    expect(await statusOf('/scoped')).toBe(401);
    expect(await statusOf('/scoped', {})).toBe(403);
    expect(await statusOf('/scoped', { scope: 'a' })).toBe(200);
    expect(reached).toEqual(['scoped for user-1']);
  });

  it('is not loosened by what other middleware leaves on a request', async () => {
    const trusting = await startProtectedApp([OneDemand], {
      adapter,
      configure: (nest) => {
        nest.use((request: Record<string, unknown>, _: unknown, next: () => void) => {
          Object.assign(request, { user: 'admin', auth: true, token: {}, isAuthenticated: true });
          next();
        });
      },
    });
    const { status } = await trusting.send('/one/token');
    await trusting.close();

    expect([status, reached]).toEqual([401, []]);
  });
});

describe.each(ADAPTERS)('settings of the application on %s', (adapter) => {
  it('a global prefix moves routes and guard together', async () => {
    const app = await startProtectedApp([Admin, Open], {
      adapter,
      configure: (nest) => {
        nest.setGlobalPrefix('api/v1');
      },
    });
    const token = await app.sign({ scope: 'admin' });
    const statuses = [
      (await app.send('/api/v1/admin')).status,
      (await app.send('/admin')).status,
      (await app.send('/api/v1/admin', { token })).status,
      (await app.send('/api/v1/open/who')).status,
    ];
    await app.close();

    expect(statuses).toEqual([401, 404, 200, 200]);
  });

  @Controller({ path: 'versions', version: '1' })
  class First {
    @Scopes('a')
    @Get()
    get(): string {
      return reach('version 1');
    }
  }

  @Scopes('b')
  @Controller({ path: 'versions', version: '2' })
  class Second {
    @Get()
    get(): string {
      return reach('version 2');
    }
  }

  it.each([
    ['in the path', { type: VersioningType.URI }, (version: string) => ['/v', version] as const],
    [
      'in a header',
      { type: VersioningType.HEADER, header: 'X-Version' },
      (version: string) => ['/', version] as const,
    ],
  ] as const)('each version has its own demands: %s', async (_, versioning, at) => {
    const app = await startProtectedApp([First, Second], {
      adapter,
      configure: (nest) => {
        nest.enableVersioning(versioning);
      },
    });
    const ask = async (version: string, scope: string): Promise<number> => {
      const [prefix, number] = at(version);
      const path = prefix === '/v' ? `/v${number}/versions` : '/versions';
      const token = await app.sign({ scope });
      return (await app.send(path, { token, headers: { 'x-version': number } })).status;
    };
    const statuses = [
      await ask('1', 'a'),
      await ask('1', 'b'),
      await ask('2', 'b'),
      await ask('2', 'a'),
    ];
    await app.close();

    expect(statuses).toEqual([200, 403, 200, 403]);
    expect(reached).toEqual(['version 1', 'version 2']);
  });
});

it('a router of Fastify that forgives spelling brings every spelling to the guard (CVE-2026-2293)', async () => {
  const app = await startProtectedApp([Admin], {
    adapter: 'fastify',
    fastify: {
      routerOptions: {
        ignoreTrailingSlash: true,
        ignoreDuplicateSlashes: true,
        caseSensitive: false,
      },
    },
  });
  const token = await app.sign({ scope: 'admin' });
  for (const path of ['/admin', '/admin/', '//admin', '//admin//', '/ADMIN', '/Admin/']) {
    const statuses = [
      (await app.send(path)).status,
      (await app.send(path, { token: await app.sign() })).status,
      (await app.send(path, { token })).status,
    ];
    expect([path, ...statuses]).toEqual([path, 401, 403, 200]);
  }
  await app.close();

  expect(reached).toHaveLength(6);
});

describe.each(ADAPTERS)('when something behind the guard fails on %s', (adapter) => {
  async function answerWith(...settings: Override[]): Promise<Answer> {
    const app = await startProtectedApp([OneDemand, Open], { adapter, overrides: settings });
    try {
      return await app.send('/one/token', { token: 'aaa.bbb.ccc' });
    } finally {
      await app.close();
    }
  }

  type Override = NonNullable<ProtectedAppOptions['overrides']>[number];
  const unavailable = (): KeyError => new KeyError('ERR_KEY_RING_UNAVAILABLE', 'planted');

  const failures: ReadonlyArray<readonly [string, number, () => unknown]> = [
    ['throws an Error', 401, () => AbortSignal.abort(new Error('planted')).throwIfAborted()],
    ['throws a TypeError', 401, () => (undefined as never as { planted: () => void }).planted()],
    ['throws text', 401, () => AbortSignal.abort('planted').throwIfAborted()],
    ['rejects with an Error', 401, async () => Promise.reject(new Error('planted'))],
    ['throws a KeyError', 503, () => AbortSignal.abort(unavailable()).throwIfAborted()],
    ['rejects with a KeyError', 503, async () => Promise.reject(unavailable())],
  ];

  it.each(failures)(
    'a TokenService that %s: %d, never the handler (SEMANTICS 5: any exception)',
    async (_, status, check) => {
      const answer = await answerWith([TokenService, { check, verify: check }]);

      expect(answer.status).toBe(status);
      expect(`${answer.body} ${JSON.stringify(answer.headers)}`).not.toContain('planted');
      expect(answer.headers['retry-after']).toBe(status === 503 ? '5' : undefined);
      expect(reached).toEqual([]);
    },
  );

  it.each([
    ['nothing', () => undefined],
    ['null', () => null],
    ['false', () => false],
    ['true', () => true],
    ['an empty object', () => ({})],
    ['a promise of nothing', async () => undefined],
    ['a promise of false', async () => false],
    ['a promise of another kind of nothing', () => thenableOf((yes) => yes(undefined))],
    ['a promise of another kind that is refused', () => thenableOf((_, no) => no(new Error('x')))],
  ])(
    'a TokenService that answers %s: never the handler (SEMANTICS 5: what is not known is refused)',
    async (_, check) => {
      const { status } = await answerWith([TokenService, { check, verify: check }]);

      expect([status, reached]).toEqual([401, []]);
    },
  );

  it.each([
    [
      'SecurityEvents that throw',
      SecurityEvents,
      {
        emit: () => AbortSignal.abort(new Error('planted')).throwIfAborted(),
        on: () => () => {},
        asObservable: () => EMPTY,
      },
    ],
    [
      'a clock that throws',
      Clock,
      { now: () => AbortSignal.abort(new Error('planted')).throwIfAborted() },
    ],
    ['a clock that answers NaN', Clock, { now: () => Number.NaN }],
  ])('%s: never the handler', async (_, provider, value) => {
    let outcome: string;
    try {
      outcome = String((await answerWith([provider as never, value])).status);
    } catch {
      // The application did not start: nothing was served.
      outcome = 'not started';
    }

    expect(['401', '500', '503', 'not started']).toContain(outcome);
    expect(reached).toEqual([]);
  });

  it('the uniform answer holds with a detail only for the log', async () => {
    const app = await startProtectedApp([OneDemand], {
      adapter,
      overrides: [[TokenService, { check: async () => Promise.reject(new RangeError('planted')) }]],
    });
    const answer = await app.send('/one/token', { token: 'aaa.bbb.ccc' });
    await app.close();

    expect([answer.status, answer.body]).toEqual([401, '{"error":"invalid_token"}']);
    expect(app.events).toMatchObject([
      { type: 'access.denied', code: 'ERR_UNEXPECTED', detail: 'RangeError' },
    ]);
    expect(app.logs.join('\n')).not.toContain('planted');
  });

  it('a public route stays open when tokens cannot be judged, and knows nobody', async () => {
    const app = await startProtectedApp([Open], {
      adapter,
      overrides: [[TokenService, { check: async () => Promise.reject(unavailable()) }]],
    });
    const answer = await app.send('/open/who', { token: 'aaa.bbb.ccc' });
    await app.close();

    expect([answer.status, answer.body]).toEqual([200, '{"who":"anonymous"}']);
  });
});

function thenableOf(
  then: (yes: (value: unknown) => void, no: (reason: unknown) => void) => void,
): object {
  // oxlint-disable-next-line unicorn/no-thenable -- what a patched promise looks like
  return { then };
}

describe('replacing or placing the guard', () => {
  it('can be overridden in the tests of an application (APP_GUARD useExisting)', async () => {
    const app = await startProtectedApp([OneDemand], {
      overrides: [[AuthGuard, { canActivate: () => true }]],
    });
    const { status } = await app.send('/one/roles');
    await app.close();

    expect(status).toBe(200);
  });

  it.each(ADAPTERS)("with guard: 'manual' it stands where it was put, on %s", async (adapter) => {
    @Controller('manual')
    class Manual {
      @Get('forgotten')
      forgotten(): string {
        return reach('forgotten');
      }

      @UseGuards(AuthGuard)
      @Scopes('a')
      @Get('guarded')
      guarded(): string {
        return reach('guarded');
      }
    }

    const app = await startProtectedApp([Manual], { adapter, options: { guard: 'manual' } });
    const statuses = [
      (await app.send('/manual/forgotten')).status,
      (await app.send('/manual/guarded')).status,
      (await app.send('/manual/guarded', { token: await app.sign() })).status,
      (await app.send('/manual/guarded', { token: await app.sign({ scope: 'a' }) })).status,
    ];
    await app.close();

    expect(statuses).toEqual([200, 401, 403, 200]);
  });

  it('is not loosened by another guard that allows everything', async () => {
    const allowing: CanActivate = { canActivate: () => true };

    @UseGuards(allowing)
    @Controller('two')
    class TwoGuards {
      @UseGuards(allowing)
      @Get()
      get(): string {
        return reach('two');
      }
    }

    const app = await startProtectedApp([TwoGuards], {
      configure: (nest) => {
        nest.useGlobalGuards(allowing);
      },
    });
    const { status } = await app.send('/two');
    await app.close();

    expect([status, reached]).toEqual([401, []]);
  });

  it('may stand twice before one handler', async () => {
    @UseGuards(AuthGuard)
    @Controller('twice')
    class Twice {
      @UseGuards(AuthGuard)
      @Scopes('a')
      @Get()
      get(@CurrentToken('subject') subject: string): string {
        return subject;
      }
    }

    const app = await startProtectedApp([Twice]);
    const answer = await app.send('/twice', { token: await app.sign({ scope: 'a' }) });
    await app.close();

    expect([answer.status, answer.body]).toEqual([200, 'user-1']);
  });
});

describe('contexts that are not HTTP (SEMANTICS 5, 12: a guard that returned true elsewhere)', () => {
  let app: ProtectedApp;

  @Controller('handlers')
  class Handlers {
    @Get()
    guarded(): string {
      return reach('guarded');
    }

    @Public()
    @Get('open')
    open(): string {
      return reach('open');
    }
  }

  beforeAll(async () => {
    app = await startProtectedApp([Handlers]);
  });

  afterAll(() => app.close());

  beforeEach(() => app.forgetEvents());

  function contextOf(
    type: string,
    args: unknown[],
    method: 'guarded' | 'open' = 'guarded',
  ): ExecutionContextHost {
    const handler = Object.getOwnPropertyDescriptor(Handlers.prototype, method)
      ?.value as () => void;
    const context = new ExecutionContextHost(args, Handlers, handler);
    context.setType(type);
    return context;
  }

  const kinds = ['rpc', 'ws', 'graphql', 'unknown', 'HTTP', 'http ', 'https', '__proto__'];

  it.each(kinds)(
    '%s is refused with an event, a right token and @Public() or not',
    async (type) => {
      const request = {
        headers: { authorization: `Bearer ${await app.sign()}` },
        url: '/',
        rawHeaders: [],
      };
      app.forgetEvents();
      for (const method of ['guarded', 'open'] as const) {
        for (const args of [[], [request, {}], [{}, {}, {}, {}]]) {
          expect(app.app.get(AuthGuard).canActivate(contextOf(type, args, method))).toBe(false);
        }
      }

      expect(app.events).toHaveLength(6);
      for (const event of app.events) {
        expect(event).toMatchObject({
          type: 'access.denied',
          code: 'ERR_ACCESS_UNSUPPORTED_CONTEXT',
          handler: expect.stringMatching(/^Handlers\./) as string,
        } satisfies Partial<SecurityEvent>);
        expect(event).not.toHaveProperty('requestId');
      }
    },
  );

  it.each([
    ['nothing', []],
    ['no request', [undefined, {}]],
    ['a request without headers', [{}, {}]],
    ['a message', [{ data: 'x' }, { emit: () => {} }]],
    ['text', ['x', 'y']],
  ])('something that says it is HTTP and holds %s is refused as well', async (_, args) => {
    for (const method of ['guarded', 'open'] as const) {
      const verdict = (async () =>
        app.app.get(AuthGuard).canActivate(contextOf('http', args, method)))();
      await expect(verdict).rejects.toThrow(Error);
    }
    expect(reached).toEqual([]);
  });
});

function rawGet(path: string, ...headers: readonly string[]): string {
  return [`GET ${path} HTTP/1.1`, 'Host: localhost', 'Connection: close', ...headers, '', ''].join(
    '\r\n',
  );
}

/** A whole answer without its date and its id, which are to vary. */
function withoutWhatVaries(answer: string): string {
  return answer
    .replace(/^date: .*\r\n/im, '')
    .replace(/^x-request-id: .*\r\n/im, '')
    .replaceAll('\r\n', '\n');
}
