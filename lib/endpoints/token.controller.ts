import {
  Controller,
  HttpCode,
  Post,
  Req,
  type Type,
  UseInterceptors,
  VERSION_NEUTRAL,
} from '@nestjs/common';

import type { HttpRequest } from '../guard/credentials.js';
import { EndpointAnswers } from './endpoint-answers.service.js';
import { type TokenAnswer, TokenGrants } from './token-grants.service.js';

/** A controller that exchanges codes and refresh tokens for tokens at `path` (RFC 6749 §3.2). */
export function tokenControllerAt(path: string): Type {
  @Controller({ path, version: VERSION_NEUTRAL })
  @UseInterceptors(EndpointAnswers)
  class TokenController {
    constructor(private readonly grants: TokenGrants) {
      grants.expectReady();
    }

    @Post()
    @HttpCode(200)
    grant(@Req() request: HttpRequest): Promise<TokenAnswer> {
      return this.grants.grant(request);
    }
  }
  return TokenController;
}
