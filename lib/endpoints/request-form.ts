import type { HttpRequest } from '../guard/credentials.js';
import { malformed } from './endpoint-refusal.js';

/**
 * Reads the parameters of a request to an OAuth endpoint: a form in the body, each parameter once
 * (RFC 6749 §3.2). What nobody here reads is ignored.
 */

/** What clients authenticate with, at whatever endpoint. */
const CLIENT_PARAMETERS = [
  'client_id',
  'client_secret',
  'client_assertion',
  'client_assertion_type',
] as const;

type ClientParameter = (typeof CLIENT_PARAMETERS)[number];

/** What was sent; a parameter without a value was not. */
export type RequestForm<Parameter extends string = never> = Readonly<
  Partial<Record<ClientParameter | Parameter, string>>
>;

/** What RFC 7009 §2.1 and RFC 7662 §2.1 ask for. Another charset would be another text. */
const FORM = /^application\/x-www-form-urlencoded[\t ]*(?:;[\t ]*charset="?utf-8"?[\t ]*)?$/i;

/**
 * @param parameters what the endpoint takes besides
 * @throws EndpointRefusal `invalid_request`
 */
export function readForm<const Parameter extends string>(
  request: HttpRequest,
  parameters: readonly Parameter[],
): RequestForm<Parameter> {
  const names = [...CLIENT_PARAMETERS, ...parameters];
  refuseQuery(request.url ?? request.raw?.url ?? '', names);
  if (!FORM.test(request.headers['content-type'] ?? '')) {
    throw malformed('the body is not application/x-www-form-urlencoded');
  }
  const { body } = request;
  if (typeof body !== 'object' || body === null) throw malformed('the body was not read as a form');
  const form: Partial<Record<ClientParameter | Parameter, string>> = {};
  for (const name of names) {
    const value: unknown = Object.hasOwn(body, name) ? Reflect.get(body, name) : undefined;
    if (value === undefined || value === '') continue;
    // What was sent twice, or in brackets, arrives as a list or an object.
    if (typeof value !== 'string') throw malformed(`${name} is there more than once`);
    form[name] = value;
  }
  return form;
}

/** Query strings end up in logs and histories (RFC 6749 §2.3.1, RFC 7662 §2.1). */
function refuseQuery(url: string, names: readonly string[]): void {
  const start = url.indexOf('?');
  if (start < 0) return;
  const query = new URLSearchParams(url.slice(start + 1).replaceAll(';', '&'));
  if (names.some((name) => query.has(name))) {
    throw malformed('a parameter is in the query string');
  }
}
