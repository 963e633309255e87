import { randomBytes, scrypt, type ScryptOptions, timingSafeEqual } from 'node:crypto';
import { promisify } from 'node:util';

/** How much work a hash is (RFC 7914 §2). */
export type HashCost = Required<Pick<ScryptOptions, 'N' | 'r' | 'p'>>;

/** A salted scrypt hash: all that is kept of a password. It knows its cost, so that this can grow. */
export interface PasswordHash {
  readonly salt: Buffer;
  readonly hash: Buffer;
  readonly cost: HashCost;
}

/** One of the OWASP Password Storage settings for scrypt: 16 MiB a hash. */
export const HASH_COST: HashCost = { N: 2 ** 14, r: 8, p: 5 };
const HASH_BYTES = 32;

const derive: (
  password: string,
  salt: Buffer,
  length: number,
  options: ScryptOptions,
) => Promise<Buffer> = promisify(scrypt);

export async function hashPassword(password: string, cost: HashCost): Promise<PasswordHash> {
  const salt = randomBytes(16);
  return { salt, hash: await derive(password, salt, HASH_BYTES, cost), cost };
}

export async function isPassword(
  password: string,
  { salt, hash, cost }: PasswordHash,
): Promise<boolean> {
  return timingSafeEqual(await derive(password, salt, HASH_BYTES, cost), hash);
}
