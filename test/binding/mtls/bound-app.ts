import { Body, Controller, Get, HttpCode, Post, Req, UseInterceptors } from '@nestjs/common';

import { SenderProofs } from '../../../lib/binding/sender-proofs.service.js';
import type { BindingOptions } from '../../../lib/config/binding-options.js';
import type { TransportOptions } from '../../../lib/config/transport-options.js';
import type { HttpRequest } from '../../../lib/guard/credentials.js';
import { Bound, CurrentToken, Public } from '../../../lib/guard/decorators.js';
import type { PrivateJwk } from '../../../lib/keys/key-material.js';
import { SessionService } from '../../../lib/sessions/session.service.js';
import type { TokenPair } from '../../../lib/sessions/session.js';
import { SessionAnswers } from '../../../lib/transport/session-answers.service.js';
import { type ProtectedApp, startProtectedApp } from '../../guard/protected-app.js';
import type { AdapterName } from '../../support/guarded-app.js';
import { recordSecret } from '../../support/witness.js';
import type { TlsTerms } from './certificate-app.js';
import { type TlsVisit, type TlsWish, visit } from './tls-client.js';

/** An application whose sessions are bound to the certificate of their client, and its clients. */

@Controller()
class Things {
  @Get('things')
  things(@CurrentToken('subject') subject: string): unknown {
    return { subject };
  }

  @Bound('mtls')
  @Get('bound')
  bound(@CurrentToken('subject') subject: string): unknown {
    return { subject };
  }
}

@UseInterceptors(SessionAnswers)
@Controller('session')
class Logins {
  constructor(
    private readonly sessions: SessionService,
    private readonly senders: SenderProofs,
  ) {}

  @Public()
  @Post('login')
  @HttpCode(200)
  async logIn(@Req() request: HttpRequest): Promise<TokenAnswer> {
    return answerOf(await this.sessions.start('user-1', await this.senders.prove(request)));
  }

  @Public()
  @Post('refresh')
  @HttpCode(200)
  async refresh(
    @Req() request: HttpRequest,
    @Body() { refresh_token: token }: TokenAnswer,
  ): Promise<TokenAnswer> {
    return answerOf(await this.sessions.refresh(token, await this.senders.prove(request)));
  }
}

export interface TokenAnswer {
  readonly access_token: string;
  readonly refresh_token: string;
  readonly token_type: string;
}

function answerOf({ accessToken, refreshToken, tokenType }: TokenPair): TokenAnswer {
  recordSecret(accessToken);
  recordSecret(refreshToken);
  return { access_token: accessToken, refresh_token: refreshToken, token_type: tokenType };
}

export interface BoundAppOptions {
  readonly adapter: AdapterName;
  /** Of the TLS server; `null` for plain http. */
  readonly tls: TlsTerms | null;
  readonly binding: BindingOptions;
  readonly transport?: TransportOptions;
  /** One for several services, which then know each other's tokens. @defaultValue a key of its own */
  readonly signingKey?: PrivateJwk;
}

export interface BoundApp extends ProtectedApp {
  readonly port: number;
}

export async function startBoundApp({
  adapter,
  tls,
  binding,
  transport = {},
  signingKey,
}: BoundAppOptions): Promise<BoundApp> {
  const app = await startProtectedApp([Things, Logins], {
    adapter,
    options: { binding, transport, ...(signingKey === undefined ? {} : { keys: { signingKey } }) },
    ...(tls === null ? {} : { nest: { httpsOptions: { ...tls } }, fastify: { https: { ...tls } } }),
  });
  return { ...app, port: Number(new URL(app.url).port) };
}

/** Somebody with a certificate, or without, who talks to one server. */
export class BoundClient {
  constructor(
    private readonly base: string,
    private readonly wish: TlsWish,
  ) {}

  /** Logs in and answers the tokens. */
  async logIn(): Promise<TokenAnswer> {
    return tokensIn(
      await this.#send('/session/login', {
        method: 'POST',
        json: {},
        handsOutTokens: 'yes',
      }),
    );
  }

  /** The tokens, or the status of the refusal. */
  async refresh(refreshToken: string): Promise<TokenAnswer | number> {
    const json = { refresh_token: refreshToken };
    const answer = await this.#send('/session/refresh', {
      method: 'POST',
      json,
      handsOutTokens: 'yes',
    });
    return answer.status === 200 ? tokensIn(answer) : answer.status;
  }

  get(path: string, accessToken: string, headers: TlsWish['headers'] = {}): Promise<TlsVisit> {
    const authorization = `Bearer ${accessToken}`;
    return this.#send(path, { headers: { ...headers, authorization } });
  }

  #send(path: string, more: Partial<TlsWish>): Promise<TlsVisit> {
    return visit(this.base + path, { ...this.wish, ...more });
  }
}

function tokensIn({ status, body }: TlsVisit): TokenAnswer {
  if (status !== 200) throw new Error(`answered with ${status}`);
  return JSON.parse(body) as TokenAnswer;
}
