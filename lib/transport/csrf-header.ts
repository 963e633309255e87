import type { HttpRequest } from '../guard/credentials.js';

const CSRF_TOKEN = /^[A-Za-z0-9_-]{43}$/;

/**
 * The CSRF token in `X-CSRF-Token`, which a form cannot send and another origin's script only where
 * CORS lets it; `undefined` if there is none, several, or anything else.
 */
export function csrfHeader(request: HttpRequest): string | undefined {
  const value = request.headers['x-csrf-token'];
  return typeof value === 'string' && CSRF_TOKEN.test(value) ? value : undefined;
}
