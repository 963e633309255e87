import { Controller, Get, Headers, Res, type Type, VERSION_NEUTRAL } from '@nestjs/common';
import { HttpAdapterHost } from '@nestjs/core';

import { entityTag, matchesEntityTag } from '../kernel/entity-tag.js';
import { type EndpointPaths, ServerMetadata } from './server-metadata.service.js';

/** An hour: what clients are told changes with a deployment. */
const CACHE_CONTROL = 'public, max-age=3600';

/** A controller that serves the metadata at `path` (RFC 8414 §3), with conditional requests. */
export function metadataControllerAt(path: string, paths: EndpointPaths): Type {
  @Controller({ path, version: VERSION_NEUTRAL })
  class MetadataController {
    readonly #body: string;
    readonly #etag: string;

    constructor(
      metadata: ServerMetadata,
      private readonly host: HttpAdapterHost,
    ) {
      metadata.expectFound(path);
      this.#body = metadata.describe(paths);
      this.#etag = entityTag(this.#body);
    }

    @Get()
    serve(
      @Headers('if-none-match') ifNoneMatch: string | undefined,
      @Res({ passthrough: true }) response: object,
    ): string {
      const { httpAdapter } = this.host;
      httpAdapter.setHeader(response, 'ETag', this.#etag);
      httpAdapter.setHeader(response, 'Cache-Control', CACHE_CONTROL);
      httpAdapter.setHeader(response, 'Content-Type', 'application/json');
      if (!matchesEntityTag(ifNoneMatch, this.#etag)) return this.#body;
      httpAdapter.status(response, 304);
      return '';
    }
  }
  return MetadataController;
}
