import { isText, malformed, readMembers } from '../http/json-body.js';

export interface Credentials {
  readonly username: string;
  readonly password: string;
}

/** What the holder of a token sends to get another password. */
export interface PasswordChange {
  readonly password: string;
  readonly newPassword: string;
}

const MAX_LENGTH = { username: 64, password: 256 } as const;

export function readCredentials(body: unknown): Credentials {
  const { username, password } = readMembers(body, ['username', 'password']);
  if (!isText(username, MAX_LENGTH.username) || !isText(password, MAX_LENGTH.password)) {
    throw malformed();
  }
  return { username, password };
}

export function readPasswordChange(body: unknown): PasswordChange {
  const { password, new_password } = readMembers(body, ['password', 'new_password']);
  if (!isText(password, MAX_LENGTH.password) || !isText(new_password, MAX_LENGTH.password)) {
    throw malformed();
  }
  return { password, newPassword: new_password };
}
