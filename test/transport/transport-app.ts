import {
  All,
  Body,
  Controller,
  Get,
  HttpCode,
  Post,
  Req,
  Res,
  type Type,
  UseInterceptors,
} from '@nestjs/common';

import { ClientAddress } from '../../lib/binding/client-address.js';
import { csrfDigest } from '../../lib/binding/csrf-digest.js';
import { OptionReader } from '../../lib/config/option-reader.js';
import { readTransport } from '../../lib/config/resolve-transport.js';
import type { TransportOptions } from '../../lib/config/transport-options.js';
import type { HttpRequest } from '../../lib/guard/credentials.js';
import { CurrentToken, Public } from '../../lib/guard/decorators.js';
import { SessionService } from '../../lib/sessions/session.service.js';
import type { TokenPair } from '../../lib/sessions/session.js';
import { SessionAnswers } from '../../lib/transport/session-answers.service.js';
import { SessionCookies } from '../../lib/transport/session-cookies.service.js';
import type { TransportConfig } from '../../lib/transport/transport-config.js';
import {
  type ProtectedApp,
  type ProtectedAppOptions,
  startProtectedApp,
} from '../guard/protected-app.js';
import { ISSUER } from '../support/guarded-app.js';
import { recordSecret } from '../support/witness.js';

/** The handlers that ran, in order, since `forgetReached`. */
export const reached: string[] = [];

function reach(handler: string, subject: string | undefined): { readonly subject: string } {
  reached.push(handler);
  return { subject: subject ?? 'nobody' };
}

@Controller()
class Things {
  @All('things')
  things(@CurrentToken('subject') subject: string): unknown {
    return reach('things', subject);
  }

  @Public()
  @All('open')
  open(@CurrentToken('subject') subject: string | undefined): unknown {
    return reach('open', subject);
  }
}

/** Logs in, refreshes and logs out as an application would. */
@UseInterceptors(SessionAnswers)
@Controller('session')
class SessionRoutes {
  constructor(
    private readonly sessions: SessionService,
    private readonly cookies: SessionCookies,
    private readonly addresses: ClientAddress,
  ) {}

  @Public()
  @Post('login')
  @HttpCode(200)
  async logIn(
    @Req() request: HttpRequest,
    @Res({ passthrough: true }) response: object,
  ): Promise<unknown> {
    this.cookies.assertSameOrigin(request);
    reached.push('login');
    const pair = await this.sessions.start('user-1', { carrier: 'cookie', scope: 'a b' });
    witness(pair);
    return this.cookies.write(response, pair);
  }

  @Public()
  @Post('refresh')
  @HttpCode(200)
  async refresh(
    @Req() request: HttpRequest,
    @Res({ passthrough: true }) response: object,
    @Body() body: { readonly refresh_token?: string } | undefined,
  ): Promise<unknown> {
    const carried = this.cookies.readRefreshToken(request);
    reached.push(carried === undefined ? 'refresh without a cookie' : 'refresh');
    const pair = await this.sessions.refresh(carried ?? body?.refresh_token ?? '');
    witness(pair);
    if (pair.carrier === 'cookie') return this.cookies.write(response, pair);
    return { access_token: pair.accessToken };
  }

  @Post('logout')
  @HttpCode(204)
  logOut(@Res({ passthrough: true }) response: object): void {
    reached.push('logout');
    this.cookies.clear(response);
  }

  @Public()
  @Get('address')
  address(@Req() request: HttpRequest): unknown {
    return { address: this.addresses.addressOf(request) ?? null };
  }

  @Public()
  @Post('failing')
  fail(): never {
    throw new RangeError('planted');
  }
}

function witness({ accessToken, refreshToken, csrfToken }: TokenPair): void {
  for (const secret of [accessToken, refreshToken, csrfToken]) {
    if (secret !== undefined) recordSecret(secret);
  }
}

/** A browser's session: what it sends in `Cookie`, and what its page may say. */
export interface BrowserSession {
  readonly pair: TokenPair;
  /** The `Cookie` header. */
  readonly cookie: string;
  readonly csrf: string;
}

export interface TransportApp extends ProtectedApp {
  /** As a login would, without one. */
  startSession(): Promise<BrowserSession>;
}

const running = new Set<ProtectedApp>();

// A test that fails halfway must not keep the process alive with its server.
afterAll(async () => {
  await Promise.all([...running].map((app) => app.close()));
});

export interface TransportAppOptions extends Omit<ProtectedAppOptions, 'options'> {
  readonly transport?: TransportOptions;
  readonly controllers?: Type[];
}

export function configOf(transport: TransportOptions, nodeEnv = 'test'): TransportConfig {
  const reader = new OptionReader({ transport });
  const config = readTransport(reader, { issuer: ISSUER, nodeEnv });
  if (reader.problems.length > 0) throw new Error(JSON.stringify(reader.problems));
  return config;
}

/** Starts a real HTTP server with routes to read, to change, and to log in at. */
export async function startTransportApp({
  transport = {},
  controllers = [],
  ...settings
}: TransportAppOptions = {}): Promise<TransportApp> {
  const app = await startProtectedApp([Things, SessionRoutes, ...controllers], {
    ...settings,
    options: { transport },
  });
  running.add(app);
  return {
    ...app,
    close: async () => {
      running.delete(app);
      await app.close();
    },
    startSession: async () => {
      const sessions = app.app.get(SessionService);
      const pair = await sessions.start('user-1', { carrier: 'cookie', scope: 'a b' });
      witness(pair);
      const { csrfToken: csrf = '' } = pair;
      recordSecret(csrfDigest(csrf));
      return { pair, csrf, cookie: cookieOf(pair.accessToken) };
    },
  };
}

export function cookieOf(accessToken: string): string {
  return `__Host-access_token=${accessToken}`;
}

export function forgetReached(): void {
  reached.length = 0;
}
