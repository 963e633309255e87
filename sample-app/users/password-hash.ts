import { randomBytes, scrypt, type ScryptOptions, timingSafeEqual } from 'node:crypto';
import { promisify } from 'node:util';

/** A salted scrypt hash (RFC 7914): all that is kept of a password. */
export interface PasswordHash {
  readonly salt: Buffer;
  readonly hash: Buffer;
}

/** One of the OWASP Password Storage settings for scrypt: 16 MiB a hash. */
const COST: ScryptOptions = { N: 2 ** 14, r: 8, p: 5 };
const HASH_BYTES = 32;

const derive: (
  password: string,
  salt: Buffer,
  length: number,
  options: ScryptOptions,
) => Promise<Buffer> = promisify(scrypt);

export async function hashPassword(password: string): Promise<PasswordHash> {
  const salt = randomBytes(16);
  return { salt, hash: await derive(password, salt, HASH_BYTES, COST) };
}

export async function isPassword(password: string, { salt, hash }: PasswordHash): Promise<boolean> {
  return timingSafeEqual(await derive(password, salt, HASH_BYTES, COST), hash);
}
