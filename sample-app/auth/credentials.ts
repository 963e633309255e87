import { UnauthorizedException } from '@nestjs/common';
import type { Carrier } from 'nest-jwt-hardening';

import { isText, malformed, namesIn, readMembers } from '../http/json-body.js';

export interface Credentials {
  readonly username: string;
  readonly password: string;
  /** How the tokens are to travel. */
  readonly transport: Carrier;
}

/** What the holder of a token sends to get another password. */
export interface PasswordChange {
  readonly password: string;
  readonly newPassword: string;
}

/** What somebody sends to authenticate anew. */
export interface StepUp {
  readonly password: string;
  /** Of an authenticator app. */
  readonly code?: string | undefined;
  /** What they want to confirm, instead of a fresh session. */
  readonly action?: Action | undefined;
}

type Action = (typeof ACTIONS)[number];

/** What routes of the bank have confirmed. */
const ACTIONS = ['delete_account', 'enroll_totp'] as const;

const MAX_LENGTH = { username: 64, password: 256, refreshToken: 1024, code: 64 } as const;

export function readCredentials(body: unknown): Credentials {
  const chooses = namesIn(body).includes('transport');
  const names = ['username', 'password', ...(chooses ? (['transport'] as const) : [])] as const;
  const { username, password, transport = 'body' } = readMembers(body, names);
  if (!isText(username, MAX_LENGTH.username) || !isText(password, MAX_LENGTH.password)) {
    throw malformed();
  }
  if (transport !== 'body' && transport !== 'cookie') throw malformed();
  return { username, password, transport };
}

/** The refresh token in a body; who has none at all is not logged in. */
export function readRefresh(body: unknown): string {
  if (body === undefined || (typeof body === 'object' && namesIn(body).length === 0)) {
    throw new UnauthorizedException({ error: 'unauthorized' });
  }
  const { refresh_token } = readMembers(body, ['refresh_token']);
  if (!isText(refresh_token, MAX_LENGTH.refreshToken)) throw malformed();
  return refresh_token;
}

export function readPasswordChange(body: unknown): PasswordChange {
  const { password, new_password } = readMembers(body, ['password', 'new_password']);
  if (!isText(password, MAX_LENGTH.password) || !isText(new_password, MAX_LENGTH.password)) {
    throw malformed();
  }
  return { password, newPassword: new_password };
}

export function readStepUp(body: unknown): StepUp {
  const given = (['code', 'action'] as const).filter((name) => namesIn(body).includes(name));
  const members = readMembers(body, ['password', ...given]);
  const { password, code, action: wanted }: Partial<typeof members> = members;
  if (!isText(password, MAX_LENGTH.password)) throw malformed();
  if (code !== undefined && !isText(code, MAX_LENGTH.code)) throw malformed();
  const action = ACTIONS.find((name) => name === wanted);
  if (action !== wanted) throw malformed();
  return { password, code, action };
}
