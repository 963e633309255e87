import type { AuthorizationConfig } from '../endpoints/authorization-endpoint.service.js';
import type { AuthorizationLogin } from '../endpoints/authorization-login.js';
import { NotCarried, type Storage } from '../storage/storage.js';
import { isScopeToken } from '../tokens/claims.js';
import type { OptionReader } from './option-reader.js';
import { MINUTE, SECOND } from './units.js';

/** Milliseconds the login has to answer. */
const LOGIN_WITHIN = 10 * SECOND;

/** RFC 8252 §8.3: nothing leaves the machine. */
const LOCAL_HOSTS = ['localhost', '127.0.0.1', '[::1]'];

/** The options of the code flow; `null` if there are none. All problems are noted. */
export function readAuthorization(
  reader: OptionReader,
  issuer: string,
  { name, sessionStore }: Pick<Storage, 'name' | 'sessionStore'>,
): AuthorizationConfig | null {
  if (reader.get('authorization') === undefined) return null;
  reader.expectOnly('authorization', ['login', 'scopes', 'codeFor']);
  if (sessionStore instanceof NotCarried) {
    const problem = `${name} cannot carry sessions: ${sessionStore.reason}`;
    reader.add('authorization', problem, 'Write redisStorage(…), or leave authorization out');
  }
  // RFC 8414 §2, RFC 9207 §2: clients compare it, and find the endpoints by it.
  if (issuer !== '' && !isIssuerUrl(issuer)) {
    const fix = "Write an https URL such as 'https://auth.example.com'";
    reader.add('issuer', 'it is no https URL, which authorization needs', fix);
  }
  const codeFor = reader.duration('authorization.codeFor', MINUTE, { min: SECOND, max: MINUTE });
  return Object.freeze({
    login: readLogin(reader),
    loginWithin: LOGIN_WITHIN,
    codeFor,
    scopes: readScopes(reader, 'authorization.scopes', []),
  });
}

/** A list of scope tokens, each once. */
export function readScopes(
  reader: OptionReader,
  path: string,
  fallback: readonly string[],
): readonly string[] {
  const value = reader.get(path);
  if (value === undefined) return Object.freeze([...fallback]);
  const list: unknown[] = Array.isArray(value) ? [...(value as unknown[])] : [undefined];
  if (list.every(isScopeToken) && new Set(list).size === list.length) return Object.freeze(list);
  reader.refuse(path, "Write a list of scope tokens, each once, such as ['accounts:read']");
  return Object.freeze([]);
}

function isIssuerUrl(issuer: string): boolean {
  if (!URL.canParse(issuer) || /[?#@]/.test(issuer)) return false;
  const { protocol, hostname } = new URL(issuer);
  return protocol === 'https:' || (protocol === 'http:' && LOCAL_HOSTS.includes(hostname));
}

function readLogin(reader: OptionReader): AuthorizationLogin {
  const path = 'authorization.login';
  const value = reader.get(path);
  if (isLogin(value)) return value;
  reader.refuse(path, 'Write a function that answers { outcome: … } for each request');
  return () => ({ outcome: 'denied' });
}

/** What it answers is doubted where it is asked. */
function isLogin(value: unknown): value is AuthorizationLogin {
  return typeof value === 'function';
}
