import {
  Controller,
  Get,
  Post,
  Req,
  Res,
  type Type,
  UseInterceptors,
  VERSION_NEUTRAL,
} from '@nestjs/common';
import { HttpAdapterHost } from '@nestjs/core';

import type { HttpRequest } from '../guard/credentials.js';
import {
  type AuthorizationAnswer,
  AuthorizationEndpoint,
} from './authorization-endpoint.service.js';
import { EndpointAnswers } from './endpoint-answers.service.js';

/** Nobody frames a login page (RFC 9700 §4.16), whatever else its policy allows. */
const UNFRAMED = "frame-ancestors 'none'";

/** A controller that takes authorization requests at `path` (RFC 6749 §3.1). */
export function authorizationControllerAt(path: string): Type {
  @Controller({ path, version: VERSION_NEUTRAL })
  @UseInterceptors(EndpointAnswers)
  class AuthorizationController {
    constructor(
      private readonly endpoint: AuthorizationEndpoint,
      private readonly host: HttpAdapterHost,
    ) {
      endpoint.expectReady();
    }

    @Get()
    ask(
      @Req() request: HttpRequest,
      @Res({ passthrough: true }) response: object,
    ): Promise<string> {
      return this.#authorize(request, response);
    }

    /** From the form of a page that this endpoint showed. */
    @Post()
    answer(
      @Req() request: HttpRequest,
      @Res({ passthrough: true }) response: object,
    ): Promise<string> {
      return this.#authorize(request, response);
    }

    async #authorize(request: HttpRequest, response: object): Promise<string> {
      this.#write(response, {
        'X-Frame-Options': 'DENY',
        'Content-Security-Policy': `default-src 'none'; ${UNFRAMED}`,
        // RFC 9700 §4.2.4: the query is nobody's business.
        'Referrer-Policy': 'no-referrer',
      });
      return this.#send(await this.endpoint.authorize(request), response);
    }

    #send(answer: AuthorizationAnswer, response: object): string {
      const { httpAdapter } = this.host;
      if (answer.kind === 'redirect') {
        this.#write(response, { Location: answer.location });
        // RFC 9700 §4.12: by 307 the password would be posted on to the client.
        httpAdapter.status(response, 303);
        return '';
      }
      this.#write(response, {
        'Content-Type': 'text/html; charset=utf-8',
        'Content-Security-Policy': `${answer.contentSecurityPolicy}, ${UNFRAMED}`,
        // By `no-referrer` browsers would post its form without saying from where.
        'Referrer-Policy': 'same-origin',
      });
      httpAdapter.status(response, answer.status);
      return answer.html;
    }

    #write(response: object, headers: Readonly<Record<string, string>>): void {
      for (const [name, value] of Object.entries(headers)) {
        this.host.httpAdapter.setHeader(response, name, value);
      }
    }
  }
  return AuthorizationController;
}
