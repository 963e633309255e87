import { send } from '../support/http.js';
import { recordSecret } from '../support/witness.js';

export interface Login {
  readonly access_token: string;
  readonly token_type: string;
  readonly expires_in: number;
  readonly refresh_token: string;
  readonly scope: string;
}

/** Logs a demo user in and answers the whole body. */
export async function logIn(url: string, username: string): Promise<Login> {
  const body = { username, password: `${username}-demo` };
  const options = { method: 'POST', body, handsOutTokens: 'yes' } as const;
  const answer = await send(url, '/auth/login', options);
  if (answer.status !== 200) throw new Error(`login answered ${answer.status}`);
  const login = JSON.parse(answer.body) as Login;
  recordSecret(login.access_token);
  recordSecret(login.refresh_token);
  return login;
}

export async function tokenOf(url: string, username: string): Promise<string> {
  return (await logIn(url, username)).access_token;
}
