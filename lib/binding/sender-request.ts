import type { ConnectedRequest, ConnectedSocket } from './client-address.js';

/**
 * What of a request tells who sent it, as Express and Fastify have it.
 */
export interface SenderRequest extends ConnectedRequest {
  readonly method?: string;
  readonly url?: string;
  /** As it was sent, whatever was made of it on the way. */
  readonly originalUrl?: string;
  readonly rawHeaders?: readonly string[];
  /** Fastify keeps Node's request here; an Express request is Node's. */
  readonly raw?: {
    readonly url?: string;
    readonly rawHeaders: readonly string[];
    readonly socket?: ConnectedSocket;
  };
}

/** All headers as they came, name and value in turn: Node joins or drops what comes twice. */
function rawHeadersOf(request: SenderRequest): readonly string[] {
  return request.rawHeaders ?? request.raw?.rawHeaders ?? [];
}

/** Path and query as they came, before anything on the way rewrote them. */
export function targetOf(request: SenderRequest): string | undefined {
  return request.originalUrl ?? request.raw?.url ?? request.url;
}

/** The values of one header, each on its own. */
export function headerValues(request: SenderRequest, name: string): readonly string[] {
  const headers = rawHeadersOf(request);
  const values: string[] = [];
  for (let index = 0; index < headers.length; index += 2) {
    const candidate = headers[index];
    if (candidate?.length === name.length && candidate.toLowerCase() === name) {
      values.push(headers[index + 1] ?? '');
    }
  }
  return values;
}
