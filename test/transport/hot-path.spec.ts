import { Controller, Get } from '@nestjs/common';
import { ExecutionContextHost } from '@nestjs/core/internal';

import type { TransportOptions } from '../../lib/config/transport-options.js';
import { AuthGuard } from '../../lib/guard/auth.guard.js';
import { Public } from '../../lib/guard/decorators.js';
import { startTransportApp, type TransportApp } from './transport-app.js';

@Controller('hot')
class Hot {
  @Get()
  guarded(): void {}

  @Public()
  @Get('open')
  open(): void {}
}

/** Everything that was read of a request: its members, and `headers.` with those of its headers. */
function watched(
  headers: Readonly<Record<string, string>>,
  more: object = {},
): { readonly request: object; readonly read: ReadonlySet<string> } {
  const read = new Set<string>();
  const watch = <T extends object>(target: T, prefix: string): T =>
    new Proxy(target, {
      get: (_, name) => {
        if (typeof name === 'string') read.add(`${prefix}${name}`);
        return Reflect.get(target, name) as unknown;
      },
    });
  const request = { method: 'POST', url: '/', rawHeaders: [], ...more };
  return { request: watch({ ...request, headers: watch(headers, 'headers.') }, ''), read };
}

const TOUCHED_BY_COOKIES = ['headers.cookie', 'headers.origin', 'headers.sec-fetch-site', 'method'];
const TOUCHED_BY_HTTPS = ['socket', 'headers.x-forwarded-proto', 'headers.host', 'originalUrl'];

describe.each<readonly [string, TransportOptions, readonly string[]]>([
  ['nothing of the transport is asked for', {}, [...TOUCHED_BY_COOKIES, ...TOUCHED_BY_HTTPS]],
  ['both are null', { cookies: null, https: null }, [...TOUCHED_BY_COOKIES, ...TOUCHED_BY_HTTPS]],
  ['only https is asked for', { https: 'required' }, TOUCHED_BY_COOKIES],
  [
    'only cookies are, and there is none',
    { cookies: {} },
    [...TOUCHED_BY_COOKIES.slice(1), ...TOUCHED_BY_HTTPS],
  ],
])('where %s', (_, transport, untouched) => {
  let app: TransportApp;
  let guard: AuthGuard;
  const socket = { remoteAddress: '127.0.0.1', encrypted: true };

  beforeAll(async () => {
    app = await startTransportApp({ transport, controllers: [Hot] });
    guard = app.app.get(AuthGuard);
  });
  afterAll(() => app.close());

  function judge(request: object, name: 'guarded' | 'open'): unknown {
    const handler = Object.getOwnPropertyDescriptor(Hot.prototype, name)?.value as () => void;
    const context = new ExecutionContextHost([request, {}], Hot, handler);
    context.setType('http');
    return guard.canActivate(context);
  }

  it('the guard reads nothing for it, and answers without a promise', async () => {
    const token = await app.sign();
    const headers = { authorization: `Bearer ${token}` };
    // The first time its signature is checked, which may take a while.
    expect(await judge(watched(headers, { socket }).request, 'guarded')).toBe(true);

    for (const name of ['guarded', 'open'] as const) {
      const { request, read } = watched(headers, { socket });
      expect(judge(request, name)).toBe(true);
      expect(untouched.filter((member) => read.has(member))).toEqual([]);
      expect(read).toContain('headers.authorization');
    }
  });
});

it('a token in a cookie is decided without a promise too, once it was seen', async () => {
  const app = await startTransportApp({ transport: { cookies: {} }, controllers: [Hot] });
  const { cookie, csrf } = await app.startSession();
  const headers = { cookie, origin: 'http://a.example', host: 'a.example', 'x-csrf-token': csrf };
  const handler = Object.getOwnPropertyDescriptor(Hot.prototype, 'guarded')?.value as () => void;
  const context = new ExecutionContextHost([watched(headers).request, {}], Hot, handler);
  context.setType('http');
  expect(await app.app.get(AuthGuard).canActivate(context)).toBe(true);
  expect(app.app.get(AuthGuard).canActivate(context)).toBe(true);
  await app.close();
});
