import {
  type ClientAuthentication,
  type ClientPermission,
  MAX_SECRETS,
  type RegisteredClient,
  secretDigest,
} from '../endpoints/registered-client.js';
import { redirectUriProblem } from '../endpoints/redirect-uri.js';
import { KeyError } from '../kernel/errors.js';
import { ASYMMETRIC_ALGORITHMS } from '../keys/algorithms.js';
import type { VerificationKey } from '../keys/key-material.js';
import {
  JwksDocumentError,
  type KeyFault,
  MAX_JWKS_KEYS,
  readJwksDocument,
} from '../keys/remote/jwks-document.js';
import { NotCarried, type Storage } from '../storage/storage.js';
import type { OptionReader } from './option-reader.js';
import { readScopes } from './resolve-authorization.js';

/** RFC 6749 §A.1, as short as the `client_id` of a token; without spaces, which get lost. */
const CLIENT_ID = /^[\x21-\x7e]{1,255}$/;

/** RFC 6749 §A.2. Beyond this length no header would carry it in every encoding. */
const SECRET = /^[\x21-\x7e]{1,512}$/;

const METHODS = ['none', 'client_secret_basic', 'private_key_jwt'] as const;
const PERMISSIONS: readonly ClientPermission[] = ['authorize', 'revoke', 'introspect'];

const MAX_REDIRECT_URIS = 50;

const SECRET_FIX = 'Take 32 random bytes, as `openssl rand -hex 32` prints';
const REDIRECT_URI = 'https://app.example.com/callback';
const REDIRECT_FIX = `Write it to the letter, such as '${REDIRECT_URI}', 'com.example.app:/callback' or 'http://127.0.0.1/callback'`;
const KEY_FIX = 'Give the public half, as a JWK with kid and alg';

/** What is wrong with a key that is left out of a JWKS, to whoever registers it. */
const KEY_PROBLEMS: Readonly<Record<KeyFault, string>> = {
  'not-an-object': 'it is no JWK',
  'no-kid': 'it has no kid',
  'malformed-kid': 'its kid is not 1 to 128 characters of A-Z a-z 0-9 . _ : + / = -',
  'unknown-type': 'its kty or crv is not on offer, or not that of its alg',
  'other-purpose': 'its use or key_ops are not for verifying signatures',
  'other-algorithm': 'its alg is not on offer',
  'ambiguous-algorithm': 'it names no alg, and fits several',
  oversized: 'it is too large',
  weak: 'it is weak',
  unreadable: 'it cannot be read as a key of its type',
  symmetric: 'it is a secret, which would let this service sign as the client',
  private: 'it holds the private part',
};

/** The clients of the OAuth endpoints, without their secrets; all problems are noted. */
export async function readClients(
  reader: OptionReader,
  storage: Pick<Storage, 'name' | 'replayStore'>,
): Promise<readonly RegisteredClient[]> {
  const value = reader.get('clients');
  if (value === undefined) return Object.freeze([]);
  if (!Array.isArray(value)) {
    reader.refuse('clients', "Write a list, such as [{ clientId: 'gateway', … }]");
    return [];
  }
  const clients: RegisteredClient[] = [];
  for (const index of value.keys()) {
    const path = `clients.${index}`;
    const client = await readClient(reader, path);
    if (client.clientId !== '' && clients.some(({ clientId }) => clientId === client.clientId)) {
      reader.add(`${path}.clientId`, 'it is named already', 'Register each client once');
    }
    if (client.authentication.method === 'private_key_jwt') checkReplays(reader, path, storage);
    clients.push(Object.freeze(client));
  }
  return Object.freeze(clients);
}

async function readClient(reader: OptionReader, path: string): Promise<RegisteredClient> {
  reader.expectOnly(path, ['clientId', 'authentication', 'may', 'redirectUris', 'scopes']);
  const fix = "Write the client_id of its tokens, such as 'gateway'";
  const id = reader.text(`${path}.clientId`, undefined, fix, (text) => CLIENT_ID.test(text));
  const authentication = await readAuthentication(reader, `${path}.authentication`);
  const may = readPermissions(reader, `${path}.may`);
  if (authentication.method === 'none' && may.includes('introspect')) {
    const problem = 'introspect is among them, and anybody can pose as a client without a method';
    reader.add(`${path}.may`, problem, "Leave 'introspect' out");
  }
  return {
    clientId: id,
    authentication: Object.freeze(authentication),
    may,
    ...readAuthority(reader, path, may),
  };
}

/** Where its codes may be sent and what they may be for. */
function readAuthority(
  reader: OptionReader,
  path: string,
  may: readonly ClientPermission[],
): Pick<RegisteredClient, 'redirectUris' | 'scopes'> {
  const offered = readScopes(reader, 'authorization.scopes', []);
  if (may.includes('authorize')) {
    const scopes = readScopes(reader, `${path}.scopes`, offered);
    if (!scopes.every((name) => offered.includes(name))) {
      const fix = 'Name it there too';
      reader.add(`${path}.scopes`, 'one of them is not in authorization.scopes', fix);
    }
    return { redirectUris: readRedirectUris(reader, `${path}.redirectUris`), scopes };
  }
  for (const name of ['redirectUris', 'scopes']) {
    if (reader.get(`${path}.${name}`) === undefined) continue;
    const fix = "Add 'authorize' to may, or leave it out";
    reader.add(`${path}.${name}`, 'the client may not authorize', fix);
  }
  return { redirectUris: Object.freeze([]), scopes: Object.freeze([]) };
}

function readRedirectUris(reader: OptionReader, path: string): readonly string[] {
  const value = reader.get(path);
  if (value === undefined) return Object.freeze([]);
  const list: unknown[] = Array.isArray(value) ? [...(value as unknown[])] : [];
  if (list.length === 0 || list.length > MAX_REDIRECT_URIS) {
    reader.refuse(path, `Write a list of 1 to ${MAX_REDIRECT_URIS}, such as ['${REDIRECT_URI}']`);
    return [];
  }
  const uris: string[] = [];
  for (const [index, uri] of list.entries()) {
    const place = `${path}.${index}`;
    const problem = typeof uri === 'string' ? redirectUriProblem(uri) : 'it is no text';
    if (problem !== undefined) reader.add(place, problem, REDIRECT_FIX);
    else if (uris.includes(String(uri))) reader.add(place, 'it is named already', 'Name it once');
    else uris.push(String(uri));
  }
  return Object.freeze(uris);
}

function readPermissions(reader: OptionReader, path: string): readonly ClientPermission[] {
  const value = reader.get(path);
  const list: unknown[] = Array.isArray(value) ? [...(value as unknown[])] : [];
  const known = PERMISSIONS.filter((name) => list.includes(name));
  if (list.length === 0 || known.length < list.length) {
    reader.refuse(path, `Write one or more, each once, of ${PERMISSIONS.join(', ')}`);
  }
  return Object.freeze(known);
}

async function readAuthentication(
  reader: OptionReader,
  path: string,
): Promise<ClientAuthentication> {
  const method = METHODS.find((name) => name === reader.get(`${path}.method`));
  switch (method) {
    case 'none':
      reader.expectOnly(path, ['method']);
      return { method };
    case 'client_secret_basic':
      reader.expectOnly(path, ['method', 'secrets']);
      return { method, digests: Object.freeze(await readSecrets(reader, `${path}.secrets`)) };
    case 'private_key_jwt':
      reader.expectOnly(path, ['method', 'jwks']);
      return { method, keys: await readKeys(reader, `${path}.jwks`) };
    default:
      reader.add(`${path}.method`, 'it is none of its values', `Write ${METHODS.join(' or ')}`);
      return { method: 'client_secret_basic', digests: [] };
  }
}

async function readSecrets(reader: OptionReader, path: string): Promise<readonly string[]> {
  const value = reader.get(path);
  const list: unknown[] = Array.isArray(value) ? [...(value as unknown[])] : [];
  if (list.length === 0 || list.length > MAX_SECRETS) {
    reader.refuse(path, 'Write a list of the current secret and, while it changes, the next one');
    return [];
  }
  // Here, because it brings 320 kB of tables with it.
  const { assertStrongSecret } = await import('../keys/secrets/secret-strength.js');
  const digests: string[] = [];
  for (const [index, secret] of list.entries()) {
    const place = `${path}.${index}`;
    if (typeof secret !== 'string' || !SECRET.test(secret)) {
      reader.refuse(place, SECRET_FIX);
      continue;
    }
    try {
      assertStrongSecret(Buffer.from(secret));
    } catch (error) {
      if (!(error instanceof KeyError)) throw error;
      reader.add(place, 'it is short, leaked, or can be guessed', SECRET_FIX);
    }
    const digest = secretDigest(secret);
    if (digests.includes(digest)) reader.add(place, 'it is named already', SECRET_FIX);
    digests.push(digest);
  }
  return digests;
}

async function readKeys(
  reader: OptionReader,
  path: string,
): Promise<ReadonlyMap<string, VerificationKey>> {
  reader.expectOnly(path, ['keys']);
  const value = reader.get(`${path}.keys`);
  const list: unknown[] = Array.isArray(value) ? [...(value as unknown[])] : [];
  const keys = new Map<string, VerificationKey>();
  if (list.length === 0 || list.length > MAX_JWKS_KEYS) {
    reader.refuse(`${path}.keys`, `Write a list of 1 to ${MAX_JWKS_KEYS} public JWKs`);
    return keys;
  }
  for (const [index, jwk] of list.entries()) {
    const place = `${path}.keys.${index}`;
    const key = await readKey(reader, place, jwk);
    if (key === undefined) continue;
    if (keys.has(key.kid)) reader.add(place, 'its kid is that of another', KEY_FIX);
    keys.set(key.kid, key);
  }
  return keys;
}

/** By the same reader, and to the same rules, as the keys of other issuers. */
async function readKey(
  reader: OptionReader,
  place: string,
  jwk: unknown,
): Promise<VerificationKey | undefined> {
  const document = Buffer.from(JSON.stringify({ keys: [jwk] }));
  try {
    const { keys } = await readJwksDocument(document, ASYMMETRIC_ALGORITHMS);
    return [...keys.values()][0];
  } catch (error) {
    if (!(error instanceof JwksDocumentError)) throw error;
    const [skipped] = error.skipped;
    reader.add(place, KEY_PROBLEMS[skipped?.fault ?? 'unreadable'], KEY_FIX);
    return undefined;
  }
}

/** An assertion is good once, on all instances together. */
function checkReplays(
  reader: OptionReader,
  path: string,
  { name, replayStore }: Pick<Storage, 'name' | 'replayStore'>,
): void {
  if (!(replayStore instanceof NotCarried)) return;
  reader.add(
    `${path}.authentication.method`,
    `${name} cannot remember which assertions were used: ${replayStore.reason}`,
    "Write redisStorage(…), or method: 'client_secret_basic'",
  );
}
