import { isCanonicalBase64url } from '../kernel/base64url.js';
import { KeyError } from '../kernel/errors.js';
import type { OptionReader } from './option-reader.js';

/**
 * Keys that seal what is stored: 32 random bytes in base64url or `null`, alone or in a list, each
 * once. What is wrong is noted, and left out.
 */
export async function readEncryptionKeys(
  reader: OptionReader,
  path: string,
): Promise<readonly (Buffer | null)[]> {
  const value = reader.get(path);
  const list: unknown[] = Array.isArray(value) ? [...(value as unknown[])] : [value];
  const keys: (Buffer | null)[] = [];
  for (const text of list) {
    const key = text === null ? null : await readKey(text);
    const isTwice = keys.some((known) => known === key || (key && known?.equals(key)) === true);
    if (key === undefined || isTwice) {
      const fix = 'Write keys of 32 random bytes in base64url, each once, or null';
      reader.add(path, key === undefined ? 'it is no such key' : 'it names a key twice', fix);
      break;
    }
    keys.push(key);
  }
  if (list.length === 0) reader.refuse(path, 'Name at least one key, or write null');
  return keys;
}

async function readKey(text: unknown): Promise<Buffer | undefined> {
  if (typeof text !== 'string' || !/^[A-Za-z0-9_-]{43}$/.test(text)) return undefined;
  if (!isCanonicalBase64url(text)) return undefined;
  const bytes = Buffer.from(text, 'base64url');
  const { assertStrongSecret } = await import('../keys/secrets/secret-strength.js');
  try {
    assertStrongSecret(bytes);
  } catch (error) {
    if (error instanceof KeyError) return undefined;
    throw error;
  }
  return bytes;
}
