import { headerValues } from '../binding/sender-request.js';
import { ambiguous, type HttpRequest } from '../guard/credentials.js';

const HEADER = 'x-confirmation-token';
const MEMBER = 'confirmation_token';

/**
 * The confirmation that a request brings, in the header `X-Confirmation-Token` or in the member
 * `confirmation_token` of its body; `undefined` if it brings none. Whether it is one is not asked here.
 * @throws AccessError `ERR_ACCESS_AMBIGUOUS_CREDENTIALS` if there are two, equal or not
 */
export function readConfirmationText(request: HttpRequest): unknown {
  const found = [...inHeader(request), ...inBody(request)];
  if (found.length > 1) throw ambiguous('more than one confirmation');
  return found[0];
}

function inHeader(request: HttpRequest): readonly unknown[] {
  const values = headerValues(request, HEADER);
  if (values.length > 0) return values;
  // Something in front gave no raw headers.
  const joined = request.headers[HEADER];
  return joined === undefined ? [] : [joined].flat();
}

function inBody({ body }: HttpRequest): readonly unknown[] {
  if (typeof body !== 'object' || body === null || !Object.hasOwn(body, MEMBER)) return [];
  const value = (body as Readonly<Record<string, unknown>>)[MEMBER];
  // What was sent twice in a form reads as a list.
  return Array.isArray(value) && value.length > 1 ? (value as unknown[]) : [value];
}
