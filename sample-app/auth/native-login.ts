import type {
  AuthorizationAsk,
  AuthorizationDecision,
  AuthorizationLogin,
} from 'nest-jwt-hardening';

import { isText } from '../http/json-body.js';
import type { UserDirectory } from '../users/user-directory.js';

/**
 * The login of apps on a device: a form, shown each time, because another app may pose as this one and
 * the user is the only one who can tell (RFC 8252 §8.6).
 */
export function nativeLogin(users: UserDirectory): AuthorizationLogin {
  return async (ask) => {
    if (ask.method === 'GET') return page(ask);
    const { username, password, consent } = readForm(ask.request.body);
    if (consent !== 'yes') return { outcome: 'denied' };
    if (!isText(username, 64) || !isText(password, 256)) return page(ask, WRONG);
    const authentication = await users.authenticate(username, password);
    if (authentication === undefined || !authentication.stillHolds()) return page(ask, WRONG);
    const { name, roles, scopes } = authentication.user;
    return {
      outcome: 'granted',
      subject: name,
      scope: scopes,
      roles,
      authTime: new Date(),
      amr: ['pwd'], // RFC 8176
      device: ask.client.clientId,
    };
  };
}

const WRONG = { status: 401, notice: 'The name or the password is wrong.' } as const;

function readForm(body: unknown): Partial<Record<'username' | 'password' | 'consent', unknown>> {
  return typeof body === 'object' && body !== null ? body : {};
}

/** Nothing that was typed is repeated. */
function page(
  { client, scope, requestUrl }: AuthorizationAsk,
  { status, notice }: { readonly status: number; readonly notice: string } = {
    status: 200,
    notice: '',
  },
): AuthorizationDecision {
  const rights = scope.length === 0 ? 'nothing but your name' : scope.map(escape).join(', ');
  const html = `<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<title>Log in to the ledger</title>
<style>
  body { font: 1rem/1.5 system-ui; max-width: 24rem; margin: 4rem auto; padding: 0 1rem }
  label, button { display: block; margin: .75rem 0 }
  input { width: 100%; font: inherit; padding: .4rem }
</style>
<h1>Log in to the ledger</h1>
<p><b>${escape(client.clientId)}</b>, an app on your device, asks for: ${rights}.</p>
<p role="alert">${escape(notice)}</p>
<form method="post" action="${escape(requestUrl)}">
  <label>Name <input name="username" autocomplete="username" autofocus required></label>
  <label>Password
    <input name="password" type="password" autocomplete="current-password" required></label>
  <button name="consent" value="yes">Log in and allow it</button>
  <button name="consent" value="no" formnovalidate>Not now</button>
</form>
</html>
`;
  return { outcome: 'page', html, status };
}

function escape(text: string): string {
  return text.replace(/[&<>"']/g, (character) => `&#${character.charCodeAt(0)};`);
}
