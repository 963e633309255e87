import { isThumbprint } from '../binding/confirmation.js';
import type { HttpRequest } from '../guard/credentials.js';
import { scopeTokens } from '../tokens/claims.js';
import {
  type AuthorizationErrorName,
  AuthorizationRefusal,
  malformed,
} from './endpoint-refusal.js';
import { isRegistered } from './redirect-uri.js';
import type { RegisteredClient } from './registered-client.js';

/**
 * Reads authorization requests (RFC 6749 §4.1.1, RFC 7636 §4.3): from the query alone, each parameter
 * once. First who is to be answered where, as no error is sent to a place that was not registered.
 */

const PARAMETERS = [
  'response_type',
  'client_id',
  'redirect_uri',
  'scope',
  'state',
  'code_challenge',
  'code_challenge_method',
  'response_mode',
  'prompt',
  'max_age',
  'acr_values',
  'login_hint',
  'dpop_jkt',
  'request',
  'request_uri',
  'registration',
] as const;

type Parameter = (typeof PARAMETERS)[number];

/** Characters of a value. A `state` is for the client alone, and some put much into it. */
const MAX_LENGTH = 2_048;
/** Of all values together: more fits into no URL that browsers and proxies pass on. */
const MAX_QUERY = 8_192;

/** RFC 6749 §A.5. What is not in it has no one spelling, and would not come back as it was sent. */
const STATE = /^[\x20-\x7e]+$/;
/** 32 bytes in base64url, the last character in its one spelling. */
const S256_CHALLENGE = /^[A-Za-z0-9_-]{42}[AEIMQUYcgkosw048]$/;
/** OpenID Connect Core §3.1.2.1. */
const PROMPTS = ['none', 'login', 'consent', 'select_account'] as const;
const MAX_AGE = /^\d{1,9}$/;
const PRINTABLE = /^[^\p{C}\p{Zl}\p{Zp}]+$/u;

/** What the user is to be shown, whoever is logged in already. */
export type Prompt = (typeof PROMPTS)[number];

/** Who is answered, and where. */
export interface Redirection {
  readonly client: RegisteredClient;
  readonly redirectUri: string;
  /** Comes back as it was sent. */
  readonly state: string | undefined;
}

/** An authorization request that has nothing wrong with it. */
export interface AuthorizationRequest {
  /** What the code is bound to. */
  readonly challenge: string;
  /** What the client asks for, all of which it may have. */
  readonly scope: readonly string[];
  readonly prompt: readonly Prompt[];
  /** Seconds since the user authenticated, at most. */
  readonly maxAge: number | undefined;
  readonly acrValues: readonly string[];
  readonly loginHint: string | undefined;
  /** The key that is to redeem the code (RFC 9449 §10). */
  readonly jkt: string | undefined;
}

/** The parameters of one request. */
export class AuthorizationQuery {
  private constructor(
    private readonly path: string,
    private readonly values: ReadonlyMap<Parameter, readonly string[]>,
  ) {}

  /** @throws EndpointRefusal `invalid_request` */
  static of(request: HttpRequest): AuthorizationQuery {
    const target = request.originalUrl ?? request.raw?.url ?? request.url ?? '';
    const [path = '', ...rest] = target.split('?');
    const query = rest.join('?');
    if (query.length > MAX_QUERY) throw malformed('the query is too long');
    const sent = new URLSearchParams(query);
    const values = new Map<Parameter, readonly string[]>();
    for (const name of PARAMETERS) {
      // RFC 6749 §3.1: one without a value was not sent.
      const given = sent.getAll(name).filter((value) => value !== '');
      if (given.length > 0) values.set(name, given);
    }
    return new AuthorizationQuery(path, values);
  }

  /** The value; `undefined` if there is none, or several. */
  only(name: Parameter): string | undefined {
    const [value, ...more] = this.values.get(name) ?? [];
    return more.length === 0 && (value?.length ?? 0) <= MAX_LENGTH ? value : undefined;
  }

  /** @throws AuthorizationRefusal `invalid_request` if there are several, or it is too long */
  get(name: Parameter): string | undefined {
    if (this.values.has(name) && this.only(name) === undefined) {
      throw wrong('invalid_request', `${name} is there more than once, or too long`);
    }
    return this.only(name);
  }

  /** The same request again, on this host: for forms and pages that come back to it. */
  get url(): string {
    const query = new URLSearchParams();
    for (const name of PARAMETERS) {
      for (const value of this.values.get(name) ?? []) query.append(name, value);
    }
    // Two slashes at the beginning would name another host.
    return `/${this.path.replace(/^[/\\]+/, '')}?${query.toString()}`;
  }
}

/**
 * Whom and where to answer.
 * @throws EndpointRefusal `invalid_request`, which is shown to whoever sits there (RFC 6749 §4.1.2.1)
 */
export function readRedirection(
  query: AuthorizationQuery,
  clients: ReadonlyMap<string, RegisteredClient>,
): Redirection {
  const client = clients.get(query.only('client_id') ?? '');
  if (client?.may.includes('authorize') !== true) {
    throw malformed('client_id is not that of one client that may authorize');
  }
  const redirectUri = query.only('redirect_uri');
  if (redirectUri === undefined || !isRegistered(client.redirectUris, redirectUri)) {
    throw malformed('redirect_uri is not one that the client is registered with');
  }
  const state = query.only('state');
  return {
    client,
    redirectUri,
    state: state !== undefined && STATE.test(state) ? state : undefined,
  };
}

/** @throws AuthorizationRefusal */
export function readAuthorizationRequest(
  query: AuthorizationQuery,
  { client, state }: Redirection,
): AuthorizationRequest {
  for (const name of ['request', 'request_uri', 'registration'] as const) {
    if (query.get(name) !== undefined) throw wrong(`${name}_not_supported`, `${name} is there`);
  }
  if (query.get('state') !== state) throw wrong('invalid_request', 'state is malformed');
  const type = query.get('response_type');
  if (type === undefined) throw wrong('invalid_request', 'response_type is missing');
  if (type !== 'code') throw wrong('unsupported_response_type', 'response_type is not code');
  if ((query.get('response_mode') ?? 'query') !== 'query') {
    throw wrong('invalid_request', 'response_mode is not query');
  }
  const prompt = readPrompt(query.get('prompt'));
  const maxAge = query.get('max_age');
  if (maxAge !== undefined && !MAX_AGE.test(maxAge)) {
    throw wrong('invalid_request', 'max_age is not a number of seconds');
  }
  const jkt = query.get('dpop_jkt');
  if (jkt !== undefined && !isThumbprint(jkt)) {
    throw wrong('invalid_request', 'dpop_jkt is not a thumbprint');
  }
  return {
    challenge: readChallenge(query),
    scope: readScope(query.get('scope'), client),
    prompt,
    maxAge: maxAge === undefined ? undefined : Number(maxAge),
    acrValues: readText(query, 'acr_values')?.split(' ').filter(Boolean) ?? [],
    loginHint: readText(query, 'login_hint'),
    jkt,
  };
}

/** RFC 7636 §4.4.1, RFC 9700 §2.1.1: no code without one, and none that gives its verifier away. */
function readChallenge(query: AuthorizationQuery): string {
  const challenge = query.get('code_challenge');
  // Without a method it would be `plain`.
  if (query.get('code_challenge_method') !== 'S256') {
    throw wrong('invalid_request', 'code_challenge_method is not S256');
  }
  if (challenge === undefined || !S256_CHALLENGE.test(challenge)) {
    throw wrong('invalid_request', 'code_challenge is missing or malformed');
  }
  return challenge;
}

function readScope(text: string | undefined, { scopes }: RegisteredClient): readonly string[] {
  const asked = scopeTokens(text ?? '');
  if (asked === undefined || !asked.every((name) => scopes.includes(name))) {
    throw wrong('invalid_scope', 'scope is malformed, or more than the client may have');
  }
  return [...new Set(asked)];
}

function readPrompt(text: string | undefined): readonly Prompt[] {
  const asked = text?.split(' ') ?? [];
  const known = PROMPTS.filter((name) => asked.includes(name));
  if (known.length < asked.length || (known.includes('none') && known.length > 1)) {
    throw wrong('invalid_request', 'prompt has a value nobody knows, or none beside others');
  }
  return known;
}

function readText(
  query: AuthorizationQuery,
  name: 'acr_values' | 'login_hint',
): string | undefined {
  const text = query.get(name);
  if (text !== undefined && !PRINTABLE.test(text)) {
    throw wrong('invalid_request', `${name} is not printable`);
  }
  return text;
}

function wrong(error: AuthorizationErrorName, detail: string): AuthorizationRefusal {
  return new AuthorizationRefusal(error, 'ERR_ACCESS_DENIED', detail);
}
