import type { HttpRequest } from '../guard/credentials.js';
import type { Clock } from '../kernel/clock.js';
import { withDeadline } from '../kernel/deadline.js';
import { AccessError } from '../kernel/errors.js';
import type { Entitlements } from '../sessions/session.js';
import { isIdentifier, isScopeToken, scopeTokens } from '../tokens/claims.js';
import type { Prompt } from './authorization-request.js';
import { AuthorizationRefusal } from './endpoint-refusal.js';

/** What the application is asked: who sits there, and may this client act for them? */
export interface AuthorizationAsk {
  /** The request of Express or Fastify: its cookies and its body show who is there. */
  readonly request: HttpRequest;
  /** `'POST'` comes from a page of this service alone: what other sites post is refused before. */
  readonly method: 'GET' | 'POST';
  /** Where the same question is asked again, on this host: for the form of a page, or to come back to. */
  readonly requestUrl: string;
  readonly client: {
    readonly clientId: string;
    /**
     * Whether it can prove who it is. Another app on the user's device may pose as a public one: ask
     * the user before each grant, unless the redirect URI is https (RFC 8252 §8.6).
     */
    readonly kind: 'public' | 'confidential';
  };
  readonly redirectUri: string;
  /** What the client asks for, all of which it may have. */
  readonly scope: readonly string[];
  /** `'none'`: nothing may be shown. `'login'`: ask for the password, whoever is logged in. */
  readonly prompt: readonly Prompt[];
  /** Seconds since the user authenticated, at most (RFC 9470 §4). */
  readonly maxAge: number | undefined;
  readonly acrValues: readonly string[];
  /** Whom the client takes the user for. Personal: for the login page, and no log. */
  readonly loginHint: string | undefined;
}

/** The application's answer. */
export type AuthorizationDecision =
  | AuthorizationGrant
  /** A page for the user, such as a login form that posts to `requestUrl`. */
  | {
      readonly outcome: 'page';
      /** Escape what came with the request. */
      readonly html: string;
      /** 200, or one from 400 to 499. @defaultValue 200 */
      readonly status?: number;
      /** @defaultValue inline styles, forms to this service and on to the client, and nothing else */
      readonly contentSecurityPolicy?: string;
    }
  /** A page elsewhere, such as the login page of the application, which leads back to `requestUrl`. */
  | {
      readonly outcome: 'redirect';
      /** A path on this host, or an https URL. */
      readonly location: string;
    }
  /** The user, or the application, does not want it. */
  | { readonly outcome: 'denied' };

/** The client may act for this user. */
export interface AuthorizationGrant extends Entitlements {
  readonly outcome: 'granted';
  /** The `sub` of the tokens. */
  readonly subject: string;
  /** When the user authenticated, which is not always now. */
  readonly authTime: Date;
  /** Of these the client gets what it asked for. @defaultValue all it asked for */
  readonly scope?: string | readonly string[];
  readonly acr?: string;
  readonly amr?: readonly string[];
  /** What the user will know the device by. */
  readonly device?: string;
}

/** The login of the application. What it throws, and what is no decision, grants nothing. */
export type AuthorizationLogin = (
  ask: AuthorizationAsk,
) => AuthorizationDecision | Promise<AuthorizationDecision>;

/** Clocks of a login service and this one may differ by so many milliseconds. */
const MAX_SKEW = 60_000;

/** What a header can carry. */
const HEADER_TEXT = /^[\x20-\x7e]{1,4096}$/;
/** On this host, whatever browsers make of backslashes and of two slashes. */
const OWN_PATH = /^\/(?![/\\])[\x21-\x5b\x5d-\x7e]*$/;
const HTTPS_URL = /^https:\/\/[A-Za-z0-9.:[\]-]+(?:[/?][\x21-\x5b\x5d-\x7e]*)?$/;

/**
 * Asks the application, and believes only what makes sense.
 * @param within milliseconds it has to answer
 * @throws AuthorizationRefusal `access_denied`, or `server_error` for whatever is no answer
 */
export async function decide(
  login: AuthorizationLogin,
  ask: AuthorizationAsk,
  { within, clock }: { readonly within: number; readonly clock: Clock },
): Promise<Exclude<AuthorizationDecision, { readonly outcome: 'denied' }>> {
  let decision: unknown;
  try {
    const asked = Promise.resolve(login(ask));
    decision = await withDeadline(asked, within, () => failed('it did not answer in time'));
  } catch (cause) {
    if (cause instanceof AuthorizationRefusal) throw cause;
    throw failed(cause instanceof Error ? cause.name : typeof cause, { cause });
  }
  if (!isDecision(decision)) throw failed('its answer is no decision');
  switch (decision.outcome) {
    case 'granted':
      expectGrant(decision, clock.now());
      return decision;
    case 'page':
      expectPage(decision);
      return decision;
    case 'redirect':
      if (!isLocation(decision.location)) throw failed('its location is neither here nor https');
      return decision;
    case 'denied':
      throw new AuthorizationRefusal('access_denied', 'ERR_ACCESS_DENIED', 'the login denied it');
  }
}

/** What the client gets of what it asked for. */
export function grantedScope(
  asked: readonly string[],
  { scope }: AuthorizationGrant,
): readonly string[] {
  if (scope === undefined) return asked;
  const granted = typeof scope === 'string' ? (scopeTokens(scope) ?? []) : scope;
  return asked.filter((name) => granted.includes(name));
}

const OUTCOMES: readonly unknown[] = ['granted', 'page', 'redirect', 'denied'];

function isDecision(value: unknown): value is AuthorizationDecision {
  return typeof value === 'object' && value !== null && 'outcome' in value
    ? OUTCOMES.includes(value.outcome)
    : false;
}

function expectGrant({ subject, authTime, scope }: AuthorizationGrant, now: number): void {
  if (!isIdentifier(subject)) throw failed('its subject is none');
  const since: unknown = authTime instanceof Date ? authTime.getTime() : undefined;
  if (typeof since !== 'number' || !(since >= 0 && since <= now + MAX_SKEW)) {
    throw failed('its authTime is no instant of the past');
  }
  const names = typeof scope === 'string' ? scopeTokens(scope) : (scope ?? []);
  if (!Array.isArray(names) || !names.every(isScopeToken)) throw failed('its scope is malformed');
}

function expectPage(page: AuthorizationDecision & { readonly outcome: 'page' }): void {
  const { html, status = 200, contentSecurityPolicy = "default-src 'none'" } = page;
  if (typeof html !== 'string' || html === '') throw failed('its page is empty');
  if (!Number.isInteger(status) || (status !== 200 && (status < 400 || status > 499))) {
    throw failed('its status is none for a page');
  }
  if (typeof contentSecurityPolicy !== 'string' || !HEADER_TEXT.test(contentSecurityPolicy)) {
    throw failed('its contentSecurityPolicy is no header');
  }
}

function isLocation(location: unknown): boolean {
  if (typeof location !== 'string') return false;
  return OWN_PATH.test(location) || (HTTPS_URL.test(location) && URL.canParse(location));
}

function failed(what: string, options?: ErrorOptions): AccessError {
  const detail = `the login failed: ${what}`;
  return new AuthorizationRefusal('server_error', 'ERR_ACCESS_POLICY_FAILED', detail, options);
}
