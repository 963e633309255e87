import {
  Controller,
  Get,
  Headers,
  NotAcceptableException,
  NotFoundException,
  NotImplementedException,
  Param,
  Query,
  Res,
  ServiceUnavailableException,
  StreamableFile,
  type Type,
  VERSION_NEUTRAL,
} from '@nestjs/common';
import { HttpAdapterHost } from '@nestjs/core';

import { matchesEntityTag } from '../kernel/entity-tag.js';
import type { PublishedStatusList } from './status-list-publisher.js';
import { StatusLists } from './status-lists.service.js';

/** Token Status List §14.7. */
const MEDIA_TYPE = 'application/statuslist+jwt';

/** Ranges of `Accept` (RFC 9110 §12.5.1) that it falls under. */
const ACCEPTABLE = ['*/*', 'application/*', MEDIA_TYPE];

/**
 * A controller that serves the status lists below `path` (Token Status List §8), to scripts of any
 * origin too and with conditional requests. Never an old list in place of one that cannot be made.
 */
export function statusListControllerAt(path: string): Type {
  @Controller({ path, version: VERSION_NEUTRAL })
  class StatusListController {
    constructor(
      private readonly lists: StatusLists,
      private readonly host: HttpAdapterHost,
    ) {}

    @Get(':name')
    async serve(
      @Param('name') name: string,
      @Query('time') time: unknown,
      @Headers('accept') accept: string | undefined,
      @Headers('if-none-match') ifNoneMatch: string | undefined,
      @Res({ passthrough: true }) response: object,
    ): Promise<string | StreamableFile> {
      const { httpAdapter } = this.host;
      httpAdapter.setHeader(response, 'Access-Control-Allow-Origin', '*');
      httpAdapter.setHeader(response, 'Cache-Control', 'no-store');
      httpAdapter.setHeader(response, 'Vary', 'Accept');
      // §8.4. The present list would pass for that of another time.
      if (time !== undefined) throw new NotImplementedException({ error: 'not_implemented' });
      if (!accepts(accept)) throw new NotAcceptableException({ error: 'not_acceptable' });
      const list = await this.#read(name, response);
      if (list === undefined) throw new NotFoundException({ error: 'not_found' });
      httpAdapter.setHeader(response, 'ETag', list.etag);
      httpAdapter.setHeader(response, 'Cache-Control', `public, max-age=${list.maxAge}`);
      httpAdapter.setHeader(response, 'Content-Type', MEDIA_TYPE);
      if (!matchesEntityTag(ifNoneMatch, list.etag)) {
        const body = Buffer.from(list.body);
        // Text would have a charset appended by Express, which the type has no parameter for.
        return new StreamableFile(body, { type: MEDIA_TYPE, length: body.length });
      }
      httpAdapter.status(response, 304);
      return '';
    }

    /** Better no list than one that lacks a revocation: verifiers keep what they have, for a while. */
    async #read(name: string, response: object): Promise<PublishedStatusList | undefined> {
      try {
        return await this.lists.read(name);
      } catch (cause) {
        this.host.httpAdapter.setHeader(response, 'Retry-After', '5');
        throw new ServiceUnavailableException({ error: 'temporarily_unavailable' }, { cause });
      }
    }
  }
  return StatusListController;
}

function accepts(accept: string | undefined): boolean {
  if (accept === undefined || accept.trim() === '') return true;
  return accept.split(',').some((range) => {
    const [type = '', ...parameters] = range.split(';').map((part) => part.trim().toLowerCase());
    return ACCEPTABLE.includes(type) && !parameters.some((text) => /^q=0(?:\.0*)?$/.test(text));
  });
}
