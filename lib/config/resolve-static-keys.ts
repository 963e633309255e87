import { KeyError } from '../kernel/errors.js';
import { importSigner } from '../keys/external-key.js';
import {
  importSigningKey,
  importVerificationKey,
  isKid,
  type PrivateJwk,
  publicHalf,
  type SigningKey,
  type VerificationKey,
} from '../keys/key-material.js';
import type { KeysConfig } from '../keys/key-ring.service.js';
import type { Signer } from '../keys/signer.js';
import type { OptionReader } from './option-reader.js';

/** Which keys may be brought here. */
interface Bounds {
  readonly profile: 'service' | 'monolith';
  readonly environment: string | null;
}

/** The keys an operator brought: one that signs, and those that did before it. */
export async function readStaticKeys(
  reader: OptionReader,
  bounds: Bounds,
): Promise<KeysConfig['staticKeys']> {
  const signing = await readSigningKey(reader, bounds);
  const previous = await readPreviousKeys(reader, bounds);
  if (signing === null) return null;
  const kids = [signing, ...previous].map(({ kid }) => kid);
  if (new Set(kids).size < kids.length) {
    reader.add('keys.previousKeys', 'two keys share a kid', 'Give each key a kid of its own');
  }
  return { signing, previous };
}

const FIX = 'Give a private JWK with alg and kid (or { pem, algorithm } or a Signer in code)';

async function readSigningKey(reader: OptionReader, bounds: Bounds): Promise<SigningKey | null> {
  const path = 'keys.signingKey';
  const value = reader.get(path);
  if (value === undefined) return null;
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    reader.refuse(path, FIX);
    return null;
  }
  if (isSigner(value)) {
    const algorithm = reader.get('keys.algorithm');
    if (algorithm !== undefined && algorithm !== value.alg) {
      reader.add('keys.algorithm', `it is not the algorithm of ${path}`, 'Remove one of the two');
    }
    return attempt(reader, path, () => importSigner(value));
  }
  const source = readSource(reader, path, value);
  if (source === undefined) return null;
  return attempt(reader, path, () => importPrivate(source, bounds));
}

async function readPreviousKeys(
  reader: OptionReader,
  bounds: Bounds,
): Promise<readonly VerificationKey[]> {
  const path = 'keys.previousKeys';
  const value = reader.get(path);
  if (value === undefined) return [];
  if (!Array.isArray(value) || reader.get('keys.signingKey') === undefined) {
    const fix =
      'Write a list of JWKs beside keys.signingKey; generated keys are kept by themselves';
    reader.refuse(path, fix);
    return [];
  }
  const keys: VerificationKey[] = [];
  for (const [index, jwk] of [...(value as unknown[])].entries()) {
    const place = `${path}.${index}`;
    if (typeof jwk !== 'object' || jwk === null || !('kid' in jwk)) {
      reader.refuse(place, 'Write a JWK with alg and kid');
      continue;
    }
    const key = await attempt(reader, place, () => importPublic(jwk as PrivateJwk, bounds));
    if (key !== null) keys.push(key);
  }
  return keys;
}

/** A JWK or PEM with what `keys.algorithm` adds to it; `undefined` if the two do not fit. */
function readSource(
  reader: OptionReader,
  path: string,
  value: object,
): Readonly<Record<string, unknown>> | undefined {
  const algorithm = reader.get('keys.algorithm');
  const source = { ...value } as Record<string, unknown>;
  // RFC 7517 §4: a JWK may have members nobody knows; what wraps a PEM is ours.
  if ('pem' in source) reader.expectOnly(path, ['pem', 'algorithm', 'kid']);
  const named = 'pem' in source ? 'algorithm' : 'alg';
  if (source[named] === undefined && typeof algorithm === 'string') source[named] = algorithm;
  if (algorithm !== undefined && source[named] !== algorithm) {
    reader.add('keys.algorithm', `it is not the algorithm of ${path}`, 'Remove one of the two');
    return undefined;
  }
  if (source['kid'] !== undefined && !isKid(source['kid'])) {
    reader.refuse(`${path}.kid`, 'Write 1 to 128 characters of A-Z a-z 0-9 . _ : -');
    return undefined;
  }
  if ('pem' in source && typeof source['pem'] !== 'string') {
    reader.refuse(`${path}.pem`, 'Give the PEM text of a private key');
    return undefined;
  }
  return source;
}

async function importPrivate(
  source: Readonly<Record<string, unknown>>,
  bounds: Bounds,
): Promise<SigningKey> {
  assertEnvironment(source['environment'], bounds);
  const key = await importSigningKey(source as unknown as PrivateJwk);
  await assertAllowed(key, bounds);
  return key;
}

async function importPublic(jwk: PrivateJwk, bounds: Bounds): Promise<VerificationKey> {
  assertEnvironment(jwk.environment, bounds);
  const { key_ops: _, ...source } = jwk;
  const key = await importVerificationKey(source);
  await assertAllowed(key, bounds);
  return 'privateKey' in key ? publicHalf(key as SigningKey) : key;
}

/** A key that says where it belongs is used nowhere else. */
function assertEnvironment(mark: unknown, { environment }: Bounds): void {
  if (mark === undefined || (mark === environment && environment !== null)) return;
  throw new KeyError(
    'ERR_KEY_ENVIRONMENT',
    'The key cannot be used: it is marked for another environment.',
  );
}

async function assertAllowed({ row, verifyWith }: VerificationKey, bounds: Bounds): Promise<void> {
  if (!row.symmetric) return;
  if (bounds.profile !== 'monolith') {
    throw new KeyError(
      'ERR_KEY_INVALID',
      "The key cannot be used: a shared secret is for profile 'monolith' only.",
    );
  }
  const { assertStrongSecret } = await import('../keys/secrets/secret-strength.js');
  assertStrongSecret(verifyWith.key.export());
}

async function attempt<Key>(
  reader: OptionReader,
  path: string,
  read: () => Promise<Key>,
): Promise<Key | null> {
  try {
    return await read();
  } catch (error) {
    if (!(error instanceof KeyError)) throw error;
    const problem = error.message
      .replace(/^The key cannot be used: (.*)\.$/, '$1')
      .replace(/^The (secret|signer) /, 'the $1 ')
      .replace(/\.$/, '');
    reader.add(path, problem, FIX);
    return null;
  }
}

function isSigner(value: object): value is Signer {
  return 'sign' in value && typeof value.sign === 'function';
}
