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
import { TokenEndpoints } from './token-endpoints.service.js';

/** A controller that takes revocation requests at `path` (RFC 7009). */
export function revocationControllerAt(path: string): Type {
  @Controller({ path, version: VERSION_NEUTRAL })
  @UseInterceptors(EndpointAnswers)
  class RevocationController {
    constructor(private readonly endpoints: TokenEndpoints) {
      endpoints.expectClients('revoke', 'revocationPath');
    }

    // The request itself: what pipes of the application make of a body is not what was sent.
    @Post()
    @HttpCode(200)
    revoke(@Req() request: HttpRequest): Promise<void> {
      return this.endpoints.revoke(request);
    }
  }
  return RevocationController;
}
