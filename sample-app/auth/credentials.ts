import { BadRequestException } from '@nestjs/common';

export interface Credentials {
  readonly username: string;
  readonly password: string;
}

const MAX_LENGTH = { username: 64, password: 256 } as const;

/**
 * Reads the body of a login: these two members and no other, because what is asked for and not
 * understood must not be ignored. The answer never says what was wrong, and never quotes it.
 */
export function readCredentials(body: unknown): Credentials {
  if (typeof body !== 'object' || body === null || Array.isArray(body)) throw malformed();
  const { username, password, ...others } = body as Partial<Record<string, unknown>>;
  if (Object.keys(others).length > 0) throw malformed();
  if (!isText(username, MAX_LENGTH.username) || !isText(password, MAX_LENGTH.password)) {
    throw malformed();
  }
  return { username, password };
}

function isText(value: unknown, maxLength: number): value is string {
  return typeof value === 'string' && value.length > 0 && value.length <= maxLength;
}

function malformed(): BadRequestException {
  return new BadRequestException({ error: 'invalid_request' });
}
