import type { RouteAuditConfig } from '../guard/route-audit.js';
import { formatDuration } from '../kernel/duration.js';
import { ConfigError, KeyError } from '../kernel/errors.js';
import { SIGNING_ALGORITHMS } from '../keys/algorithms.js';
import { importSigningKey, isKid, type PrivateJwk, type SigningKey } from '../keys/key-material.js';
import type { KeysConfig } from '../keys/key-ring.service.js';
import { isMemoryStorage, memoryStorage } from '../storage/memory/memory-storage.js';
import type { Storage } from '../storage/storage.js';
import { isIdentifier } from '../tokens/claims.js';
import type { TokensConfig } from '../tokens/token.service.js';
import { OptionReader } from './option-reader.js';

/**
 * Turns what an application wrote into what the package runs on: complete, checked and frozen. Total:
 * any input, however wrong, ends in a configuration or in one error that lists every problem.
 */
export interface ResolvedConfig {
  readonly keys: KeysConfig;
  readonly tokens: TokensConfig;
  readonly storage: Storage;
  readonly printRoutes: RouteAuditConfig['printRoutes'];
}

const SECOND = 1_000;
const MINUTE = 60 * SECOND;
const HOUR = 60 * MINUTE;
const DAY = 24 * HOUR;

/** No phase of a key lasts longer than a good year. */
const PHASE = { min: SECOND, max: 400 * DAY };

const KEY_LENGTHS = ['rotateEvery', 'publishAhead', 'retainFor'] as const;

/**
 * @param nodeEnv the value of `NODE_ENV`, which decides whether the route table is printed
 * @throws ConfigError `ERR_CONFIG_INVALID` with every problem, its path and its fix
 */
export async function resolveConfig(
  options: unknown,
  nodeEnv: string | undefined,
): Promise<ResolvedConfig> {
  const reader = new OptionReader(options);
  try {
    return await resolve(reader, nodeEnv);
  } catch (error) {
    if (error instanceof ConfigError) throw error;
    // A proxy or a getter of the application threw; what it said can hold anything.
    reader.add('options', 'reading them failed', 'Write plain objects and lists');
    throw new ConfigError('ERR_CONFIG_INVALID', reader.problems);
  }
}

async function resolve(reader: OptionReader, nodeEnv: string | undefined): Promise<ResolvedConfig> {
  reader.expectOnly(
    '',
    ['issuer', 'audience', 'profile', 'keys', 'tokens', 'storage'],
    ['guard', 'isGlobal', 'jwksPath'],
  );
  reader.oneOf('profile', ['service'], 'service');

  const issuer = readIssuer(reader);
  const audiences = readAudiences(reader);
  const tokens = readTokens(reader);
  const keys = await readKeys(reader, tokens.leeway);
  const maxLifetime = resolveMaxLifetime(reader, tokens, keys);
  const storage = readStorage(reader);

  if (reader.problems.length > 0) throw new ConfigError('ERR_CONFIG_INVALID', reader.problems);
  const config: ResolvedConfig = {
    keys: Object.freeze(keys),
    tokens: Object.freeze({
      issuer,
      audiences: Object.freeze(audiences),
      accessTtl: tokens.accessTtl / SECOND,
      maxLifetime: maxLifetime / SECOND,
      leeway: tokens.leeway / SECOND,
      lifetimeJitter: tokens.lifetimeJitter / SECOND,
      clientId: tokens.clientId,
      requiredClaims: tokens.requiredClaims,
      allowClaims: new Set(tokens.allowClaims),
      verifiedCacheEntries: tokens.verifiedCacheEntries,
    }),
    storage,
    printRoutes: nodeEnv === undefined || nodeEnv === 'development' ? 'print' : 'silent',
  };
  return Object.freeze(config);
}

function readIssuer(reader: OptionReader): string {
  const fix = "Write this service's issuer identifier, such as 'https://auth.example.com'";
  return reader.text('issuer', undefined, fix, (text) => /^[\x21-\x7e]{1,2048}$/.test(text));
}

function readAudiences(reader: OptionReader): readonly string[] {
  const fix = "Name this service, such as 'https://api.example.com' or ['api', 'admin-api']";
  const value = reader.get('audience');
  const list = Array.isArray(value) ? [...(value as unknown[])] : [value];
  if (list.length === 0 || !list.every(isIdentifier)) {
    reader.refuse('audience', fix);
    return [];
  }
  return [...new Set(list)];
}

interface TokenLengths {
  readonly accessTtl: number;
  readonly leeway: number;
  readonly lifetimeJitter: number;
  readonly clientId: string | null;
  readonly requiredClaims: readonly string[];
  readonly allowClaims: readonly string[];
  readonly verifiedCacheEntries: number;
}

function readTokens(reader: OptionReader): TokenLengths {
  reader.expectOnly('tokens', [
    'accessTtl',
    'maxLifetime',
    'leeway',
    'lifetimeJitter',
    'clientId',
    'requiredClaims',
    'allowClaims',
    'verifiedCache',
  ]);
  const whole = { step: SECOND };
  const accessTtl = reader.duration('tokens.accessTtl', 15 * MINUTE, {
    ...whole,
    min: SECOND,
    max: DAY,
  });
  const lifetimeJitter = reader.duration('tokens.lifetimeJitter', 0, whole);
  if (reader.isSound('tokens.accessTtl') && lifetimeJitter * 2 > accessTtl) {
    reader.add(
      'tokens.lifetimeJitter',
      'it is more than half of tokens.accessTtl',
      `Write at most '${formatDuration(Math.floor(accessTtl / 2 / SECOND) * SECOND)}'`,
    );
  }
  return {
    accessTtl,
    lifetimeJitter,
    leeway: reader.duration('tokens.leeway', 10 * SECOND, { max: MINUTE }),
    clientId:
      reader.get('tokens.clientId') === undefined
        ? null
        : reader.text('tokens.clientId', '', "Write a client id, such as 'web'", isIdentifier),
    requiredClaims: reader.names('tokens.requiredClaims'),
    allowClaims: reader.names('tokens.allowClaims'),
    verifiedCacheEntries: readCacheEntries(reader),
  };
}

function readCacheEntries(reader: OptionReader): number {
  if (reader.get('tokens.verifiedCache') === null) return 0;
  reader.expectOnly('tokens.verifiedCache', ['maxEntries']);
  return reader.wholeNumber('tokens.verifiedCache.maxEntries', 10_000, { min: 1, max: 10_000_000 });
}

async function readKeys(reader: OptionReader, leeway: number): Promise<KeysConfig> {
  const lengths = [...KEY_LENGTHS, 'jwksMaxAge'];
  reader.expectOnly('keys', ['algorithm', 'signingKey', ...lengths]);
  const algorithm = reader.oneOf('keys.algorithm', SIGNING_ALGORITHMS, 'ES256');
  const rotateEvery = reader.duration('keys.rotateEvery', 30 * DAY, PHASE);
  const publishAhead = reader.duration('keys.publishAhead', DAY, PHASE);
  const retainFor = reader.duration('keys.retainFor', DAY, PHASE);
  const jwksMaxAge = reader.duration(
    'keys.jwksMaxAge',
    // The default leaves room for the rule below, which an explicit value is held to.
    Math.max(0, Math.min(5 * MINUTE, publishAhead - leeway - SECOND)),
    { max: DAY },
  );
  const signingKey = await readSigningKey(reader);
  if (reader.get('keys.signingKey') === undefined) {
    checkRotation(reader, { rotateEvery, publishAhead, jwksMaxAge, leeway });
  } else {
    for (const name of KEY_LENGTHS.filter((length) => reader.get(`keys.${length}`) !== undefined)) {
      reader.add(
        `keys.${name}`,
        'it is set, but a configured signing key never rotates',
        `Remove it, or remove keys.signingKey`,
      );
    }
  }
  return {
    algorithm: signingKey?.row.name ?? algorithm,
    signingKey,
    rotateEvery,
    publishAhead,
    retainFor,
    jwksMaxAge,
  };
}

/**
 * A key signs only after every verifier that keeps the JWKS as long as it may has fetched it again,
 * and its successor is published while it still signs.
 */
function checkRotation(
  reader: OptionReader,
  lengths: Pick<KeysConfig, 'rotateEvery' | 'publishAhead' | 'jwksMaxAge'> & { leeway: number },
): void {
  const { rotateEvery, publishAhead, jwksMaxAge, leeway } = lengths;
  if (reader.isSound('keys.publishAhead') && rotateEvery <= publishAhead) {
    reader.add(
      'keys.rotateEvery',
      `'${formatDuration(rotateEvery)}' is not longer than keys.publishAhead`,
      `Write more than '${formatDuration(publishAhead)}'`,
    );
  }
  if (reader.isSound('keys.jwksMaxAge', 'tokens.leeway') && publishAhead <= jwksMaxAge + leeway) {
    reader.add(
      'keys.publishAhead',
      `'${formatDuration(publishAhead)}' is not longer than keys.jwksMaxAge plus tokens.leeway`,
      `Write more than '${formatDuration(jwksMaxAge + leeway)}', or lower keys.jwksMaxAge`,
    );
  }
}

async function readSigningKey(reader: OptionReader): Promise<SigningKey | null> {
  const path = 'keys.signingKey';
  const value = reader.get(path);
  if (value === undefined) return null;
  const fix = 'Give a private JWK with alg and kid (or { pem, algorithm } in code)';
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    reader.refuse(path, fix);
    return null;
  }
  const algorithm = reader.get('keys.algorithm');
  const source = { ...value } as Record<string, unknown>;
  // RFC 7517 §4: a JWK may have members nobody knows; what wraps a PEM is ours.
  if ('pem' in source) reader.expectOnly(path, ['pem', 'algorithm', 'kid']);
  const named = 'pem' in source ? 'algorithm' : 'alg';
  if (source[named] === undefined && algorithm !== undefined) source[named] = algorithm;
  if (algorithm !== undefined && source[named] !== algorithm) {
    reader.add('keys.algorithm', `it is not the algorithm of ${path}`, 'Remove one of the two');
    return null;
  }
  if (source['kid'] !== undefined && !isKid(source['kid'])) {
    reader.refuse(`${path}.kid`, 'Write 1 to 128 characters of A-Z a-z 0-9 . _ : -');
    return null;
  }
  if ('pem' in source && typeof source['pem'] !== 'string') {
    reader.refuse(`${path}.pem`, 'Give the PEM text of a private key');
    return null;
  }
  try {
    return await importSigningKey(source as unknown as PrivateJwk);
  } catch (error) {
    if (!(error instanceof KeyError)) throw error;
    reader.add(path, error.message.replace(/^The key cannot be used: (.*)\.$/, '$1'), fix);
    return null;
  }
}

/** The longest token must not outlive the key that signed it. */
function resolveMaxLifetime(
  reader: OptionReader,
  { accessTtl, leeway }: TokenLengths,
  { retainFor }: KeysConfig,
): number {
  const rotates = reader.get('keys.signingKey') === undefined;
  const longestKept = rotates ? retainFor - leeway : Infinity;
  const roomy = Math.floor(Math.min(HOUR, longestKept) / SECOND) * SECOND;
  const maxLifetime = reader.duration('tokens.maxLifetime', Math.max(accessTtl, roomy), {
    step: SECOND,
    min: SECOND,
    max: DAY,
  });
  if (reader.isSound('tokens.accessTtl') && maxLifetime < accessTtl) {
    reader.add(
      'tokens.maxLifetime',
      `'${formatDuration(maxLifetime)}' is shorter than tokens.accessTtl`,
      `Write at least '${formatDuration(accessTtl)}'`,
    );
  }
  if (
    reader.isSound('tokens.leeway', 'tokens.maxLifetime', 'tokens.accessTtl') &&
    maxLifetime > longestKept
  ) {
    reader.add(
      'keys.retainFor',
      `'${formatDuration(retainFor)}' is shorter than the longest token plus tokens.leeway`,
      `Write at least '${formatDuration(maxLifetime + leeway)}', or shorten tokens.accessTtl and tokens.maxLifetime`,
    );
  }
  return maxLifetime;
}

function readStorage(reader: OptionReader): Storage {
  const value = reader.get('storage');
  if (value === undefined) return memoryStorage();
  if (!isMemoryStorage(value)) reader.refuse('storage', 'Write memoryStorage(), or leave it out');
  return value as Storage;
}
