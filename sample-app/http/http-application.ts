import type { IncomingHttpHeaders, IncomingMessage } from 'node:http';
import { parse as parseForm } from 'node:querystring';

import type { INestApplication } from '@nestjs/common';
import { ExpressAdapter } from '@nestjs/platform-express';
import { FastifyAdapter } from '@nestjs/platform-fastify';

import { errorBody } from './error.filter.js';
import { chooseRequestId, REQUEST_ID } from './request-id.js';

/**
 * HTTP as the application wants it on either platform: an id on every answer, only JSON is read
 * (and forms where RFC 7009 and 7662 ask for them), and nothing says what the server is made of.
 */

export type HttpAdapterName = 'express' | 'fastify';

/** Request and reply, in Fastify's own types. */
type FastifyExchange = Parameters<Parameters<FastifyAdapter['setOnRequestHook']>[0]>;

const MAX_BODY_BYTES = 16 * 1024;
const FORM = 'application/x-www-form-urlencoded';

/** How Nest creates the application; tests do it in the same way. */
export const APPLICATION_OPTIONS = {
  // We say what is wrong ourselves, without a stack trace.
  abortOnError: false,
  // No HTML form but where a client shows a secret of its own: another site could post it with the
  // user's cookies.
  bodyParser: false,
} as const;

export function newHttpAdapter(name: HttpAdapterName): ExpressAdapter | FastifyAdapter {
  return name === 'fastify' ? newFastifyAdapter() : newExpressAdapter();
}

export function configureHttp(app: INestApplication): void {
  app.useSecurityHeaders();
  const adapter: unknown = app.getHttpAdapter();
  if (adapter instanceof ExpressAdapter) {
    adapter.useBodyParser('json', false, { limit: MAX_BODY_BYTES });
    adapter.useBodyParser('urlencoded', false, {
      limit: MAX_BODY_BYTES,
      extended: false,
      type: ({ url, headers }: IncomingMessage) => takesForms(url) && isForm(headers),
    });
  }
  app.enableShutdownHooks();
}

function newExpressAdapter(): ExpressAdapter {
  const adapter = new ExpressAdapter();
  adapter.disable('etag');
  adapter.setOnRequestHook((request, response, done) => {
    response.set(initialHeaders(request.headers));
    done();
  });
  return adapter;
}

function newFastifyAdapter(): FastifyAdapter {
  const adapter = new FastifyAdapter({
    // A malformed URL is refused before any hook runs.
    frameworkErrors: (
      { statusCode = 400 },
      request: FastifyExchange[0],
      reply: FastifyExchange[1],
    ): void => {
      reply.code(statusCode).headers(initialHeaders(request.headers)).send(errorBody(statusCode));
    },
  });
  adapter.setOnRequestHook((request, reply, done) => {
    reply.headers(initialHeaders(request.headers));
    done();
  });
  const limit = { bodyLimit: MAX_BODY_BYTES };
  const parseJson = adapter.getInstance().getDefaultJsonParser('error', 'error');
  // As on Express: no body, or one that is not JSON, reads as `undefined`.
  adapter.useBodyParser('application/json', false, limit, (request, body, done) =>
    body.length === 0 ? done(null) : parseJson(request, body.toString('utf8'), done),
  );
  adapter.useBodyParser(FORM, false, limit, ({ url }, body, done) =>
    done(null, takesForms(url) ? readForm(body.toString('utf8')) : undefined),
  );
  adapter.useBodyParser('*', false, limit, (_request, _body, done) => done(null));
  return adapter;
}

function takesForms(url = ''): boolean {
  return url.startsWith('/oauth/');
}

/** All of it: of the 1000 parameters read by default a second `token` behind them is none. */
function readForm(text: string): object {
  return parseForm(text, '&', '=', { maxKeys: 0 });
}

function isForm({ 'content-type': type = '' }: IncomingHttpHeaders): boolean {
  return type.split(';', 1)[0]?.trim().toLowerCase() === FORM;
}

/** What every answer starts with; a route that may be cached says so itself. */
function initialHeaders(headers: IncomingHttpHeaders): Readonly<Record<string, string>> {
  return { [REQUEST_ID]: chooseRequestId(headers), 'Cache-Control': 'no-store' };
}
