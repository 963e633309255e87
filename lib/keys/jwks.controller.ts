import {
  Controller,
  Get,
  Headers,
  Res,
  ServiceUnavailableException,
  type Type,
  VERSION_NEUTRAL,
} from '@nestjs/common';
import { HttpAdapterHost } from '@nestjs/core';

import { matchesEntityTag } from '../kernel/entity-tag.js';
import type { Jwks } from './jwks.js';
import { KeyRingService } from './key-ring.service.js';

/** RFC 7517 §8.5.1. */
const MEDIA_TYPE = 'application/jwk-set+json';

/** A controller that serves the JWKS at `path`, with conditional requests (RFC 9110 §13.1.2). */
export function jwksControllerAt(path: string): Type {
  @Controller({ path, version: VERSION_NEUTRAL })
  class JwksController {
    constructor(
      private readonly keyRing: KeyRingService,
      private readonly host: HttpAdapterHost,
    ) {}

    @Get()
    serve(
      @Headers('if-none-match') ifNoneMatch: string | undefined,
      @Res({ passthrough: true }) response: object,
    ): string {
      const { httpAdapter } = this.host;
      const jwks = this.#read(response);
      httpAdapter.setHeader(response, 'ETag', jwks.etag);
      httpAdapter.setHeader(response, 'Cache-Control', `public, max-age=${jwks.maxAgeSeconds()}`);
      httpAdapter.setHeader(response, 'Content-Type', MEDIA_TYPE);
      if (!matchesEntityTag(ifNoneMatch, jwks.etag)) return jwks.body;
      httpAdapter.status(response, 304);
      return '';
    }

    /** Better no keys than one that may have been withdrawn: verifiers keep what they have. */
    #read(response: object): Jwks {
      try {
        return this.keyRing.jwks();
      } catch (cause) {
        this.host.httpAdapter.setHeader(response, 'Retry-After', '5');
        throw new ServiceUnavailableException({ error: 'temporarily_unavailable' }, { cause });
      }
    }
  }
  return JwksController;
}
