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
import type { Introspection } from './introspection.js';
import { TokenEndpoints } from './token-endpoints.service.js';

/** A controller that says at `path` how tokens stand (RFC 7662). */
export function introspectionControllerAt(path: string): Type {
  @Controller({ path, version: VERSION_NEUTRAL })
  @UseInterceptors(EndpointAnswers)
  class IntrospectionController {
    constructor(private readonly endpoints: TokenEndpoints) {
      endpoints.expectClients('introspect', 'introspectionPath');
    }

    @Post()
    @HttpCode(200)
    introspect(@Req() request: HttpRequest): Promise<Introspection> {
      return this.endpoints.introspect(request);
    }
  }
  return IntrospectionController;
}
