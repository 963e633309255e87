import { encryptionKeyOf } from '../keys/encryption-key.js';
import type { EncryptionKeysConfig, KeysConfig } from '../keys/keys-config.js';
import type { TokenEncryptionConfig } from '../tokens/nested-token.js';
import { readEncryptionKeys } from './encryption-keys.js';
import type { OptionReader } from './option-reader.js';
import { SECOND } from './units.js';

/** What encrypted tokens need of the rest of the configuration. */
export interface TokenEncryptionContext {
  /** Whether tokens are encrypted when nothing is said: that is what the profile says. */
  readonly byDefault: 'encrypted' | 'signed';
  readonly keys: Pick<KeysConfig, 'publishAhead' | 'maxLag'>;
}

/** How tokens are encrypted, and with what. */
export interface TokenEncryptionSettings {
  readonly tokens: TokenEncryptionConfig;
  readonly keys: EncryptionKeysConfig;
}

const PATH = 'tokens.encryption';

/** Beyond the time that an instance which is cut off goes by what it knows. */
const HEARD_MARGIN = 10 * SECOND;

/** `null` for tokens that are signed only. */
export async function readTokenEncryption(
  reader: OptionReader,
  { byDefault, keys }: TokenEncryptionContext,
): Promise<TokenEncryptionSettings | null> {
  const value = reader.get(PATH);
  if (value === null || (value === undefined && byDefault === 'signed')) return null;
  reader.expectOnly(PATH, ['accept', 'keys']);
  const accept = reader.oneOf(`${PATH}.accept`, ['encrypted', 'both'], 'encrypted');
  const staticKeys = await readKeys(reader);
  return {
    tokens: Object.freeze({ accept }),
    keys: Object.freeze({ staticKeys, encryptsAfter: encryptsAfter(accept, keys) }),
  };
}

/**
 * Where signed tokens still pass, a release that does not know of encryption may be in use until the
 * key has been public as long as any other. Where they do not, only instances of this configuration
 * matter, and each has heard of the key by then, or answers 503.
 */
function encryptsAfter(
  accept: TokenEncryptionConfig['accept'],
  { publishAhead, maxLag }: TokenEncryptionContext['keys'],
): number {
  if (accept === 'both') return publishAhead;
  return Number.isFinite(maxLag) ? Math.min(publishAhead, maxLag + HEARD_MARGIN) : 0;
}

async function readKeys(reader: OptionReader): Promise<EncryptionKeysConfig['staticKeys']> {
  const path = `${PATH}.keys`;
  const value = reader.get(path);
  const isStatic = reader.get('keys.signingKey') !== undefined;
  if (value === undefined) {
    if (isStatic) {
      const fix = 'Give 32 random bytes in base64url, or a list of such';
      reader.add(
        path,
        'it is missing, and a configured signing key leaves no ring to make one',
        fix,
      );
    }
    return [];
  }
  if (!isStatic) {
    const problem = 'it is set, but without keys.signingKey the ring makes and rotates its own';
    reader.add(path, problem, 'Remove it');
    return [];
  }
  const bytes = await readEncryptionKeys(reader, path);
  const known = bytes.filter((key) => key !== null);
  if (known.length < bytes.length) {
    reader.add(
      path,
      'null is no key to encrypt with',
      'Take null out, or set tokens.encryption: null',
    );
  }
  refuseShared(reader, path, known);
  return Promise.all(known.map(encryptionKeyOf));
}

/** NIST SP 800-57 part 1 §5.2: a key has one use. */
function refuseShared(reader: OptionReader, path: string, keys: readonly Buffer[]): void {
  const value = reader.get('keys.encryptionKeys');
  const sealing: readonly unknown[] = Array.isArray(value) ? [...(value as unknown[])] : [value];
  if (keys.some((key) => sealing.includes(key.toString('base64url')))) {
    reader.add(path, 'it names one of keys.encryptionKeys', 'Give each its own');
  }
}
