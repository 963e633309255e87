import type { AuthorizationConfig } from '../endpoints/authorization-endpoint.service.js';
import type { TokenEndpointsConfig } from '../endpoints/token-endpoints.service.js';
import type { RouteAuditConfig } from '../guard/route-audit.js';
import { formatDuration } from '../kernel/duration.js';
import { ConfigError } from '../kernel/errors.js';
import type { KeysConfig } from '../keys/key-ring.service.js';
import type { RemoteJwksConfig } from '../keys/remote/remote-jwks.js';
import type { RevocationConfig } from '../revocation/revocation.service.js';
import type { SubjectDirectory } from '../revocation/subject-directory.js';
import type { SessionsConfig } from '../sessions/session.service.js';
import type { StatusListIssuer } from '../status-list/status-list-reader.js';
import type { StepUpConfig } from '../step-up/step-up.service.js';
import type { Storage } from '../storage/storage.js';
import { isIdentifier } from '../tokens/claims.js';
import type { TokensConfig } from '../tokens/token.service.js';
import type { TransportConfig } from '../transport/transport-config.js';
import { OptionReader } from './option-reader.js';
import type { JwtHardeningOptions } from './options.js';
import { type BindingConfig, readBinding } from './resolve-binding.js';
import { readAuthorization } from './resolve-authorization.js';
import { readClients } from './resolve-clients.js';
import { readDerivationPeriod, readKeys } from './resolve-keys.js';
import { readSessions } from './resolve-sessions.js';
import { readStatusLists, type StatusListSettings } from './resolve-status-lists.js';
import { checkCarried, readOutage, readStorage } from './resolve-storage.js';
import { readStepUp } from './resolve-step-up.js';
import { readTransport } from './resolve-transport.js';
import { readTrust } from './resolve-trust.js';
import { DAY, HOUR, MINUTE, SECOND } from './units.js';

/**
 * Turns what an application wrote into what the package runs on: complete, checked and frozen. Total:
 * any input, however wrong, ends in a configuration or in one error that lists every problem.
 */
export interface ResolvedConfig {
  readonly keys: KeysConfig;
  readonly tokens: TokensConfig;
  readonly revocation: RevocationConfig;
  readonly subjects: SubjectDirectory | null;
  readonly sessions: SessionsConfig;
  readonly transport: TransportConfig;
  readonly binding: BindingConfig;
  readonly stepUp: StepUpConfig;
  readonly endpoints: TokenEndpointsConfig;
  /** `null` where there is no code flow. */
  readonly authorization: AuthorizationConfig | null;
  readonly statusLists: StatusListSettings;
  /** The other issuers whose status lists are read. */
  readonly statusListIssuers: readonly StatusListIssuer[];
  readonly trust: readonly RemoteJwksConfig[];
  readonly storage: Storage;
  readonly printRoutes: RouteAuditConfig['printRoutes'];
}

const OPTIONS: readonly (keyof JwtHardeningOptions)[] = [
  'issuer',
  'audience',
  'profile',
  'keys',
  'tokens',
  'storage',
  'outage',
  'subjects',
  'sessions',
  'transport',
  'binding',
  'stepUp',
  'clients',
  'authorization',
  'statusLists',
  'trust',
];

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
  reader.expectOnly('', OPTIONS, [
    'guard',
    'isGlobal',
    'jwksPath',
    'authorizationPath',
    'tokenPath',
    'metadataPath',
    'revocationPath',
    'introspectionPath',
    'statusListPath',
  ]);
  const profile = reader.oneOf('profile', ['service', 'monolith'], 'service');

  const issuer = readIssuer(reader);
  const audiences = readAudiences(reader);
  const tokens = readTokens(reader);
  const storage = readStorage(reader, nodeEnv);
  const outage = readOutage(reader);
  const subjects = readSubjects(reader);
  const sessions = await readSessions(reader, storage);
  const transport = readTransport(reader, { issuer, nodeEnv });
  const authorization = readAuthorization(reader, issuer, storage);
  const clients = await readClients(reader, storage);
  const { leeway } = tokens;
  const binding = await readBinding(reader, { issuer, audiences, leeway, storage, transport });
  const keys = await readKeys(reader, { profile, issuer, leeway, nodeEnv, storage, outage });
  const derivationPeriod = readDerivationPeriod(reader, keys);
  checkCarried(reader, storage, keys);
  const maxLifetime = resolveMaxLifetime(reader, tokens, keys);
  const stepUp = readStepUp(reader, { issuer, maxLifetime, leeway, storage });
  const trust = readTrust(reader, {
    issuer,
    audiences,
    leeway: leeway / SECOND,
    maxLifetime: maxLifetime / SECOND,
  });
  const statusLists = readStatusLists(reader, {
    issuer,
    maxLifetime: maxLifetime / SECOND,
    leeway: leeway / SECOND,
  });

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
      derivationPeriod: derivationPeriod === null ? null : derivationPeriod / SECOND,
      trusted: Object.freeze(trust.issuers),
    }),
    revocation: Object.freeze({
      issuer,
      maxLifetimes: new Map([
        [issuer, maxLifetime / SECOND],
        ...trust.issuers.map(({ rules }) => [rules.issuer, rules.maxLifetime] as const),
      ]),
      leeway: tokens.leeway / SECOND,
      onStale: outage.onStale,
      maxLag: storage.reach === 'shared' ? outage.maxLag : Infinity,
    }),
    subjects,
    sessions: Object.freeze({
      ...sessions,
      issuer,
      clientId: tokens.clientId,
      accessTtl: tokens.accessTtl / SECOND,
    }),
    transport,
    binding,
    stepUp,
    endpoints: Object.freeze({ issuer, leeway: leeway / SECOND, clients }),
    authorization,
    statusLists,
    statusListIssuers: Object.freeze(trust.statusLists),
    trust: Object.freeze(trust.jwks),
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

function readSubjects(reader: OptionReader): SubjectDirectory | null {
  const value = reader.get('subjects');
  if (value === undefined) return null;
  if (isDirectory(value)) return value;
  reader.refuse('subjects', 'Write a SubjectDirectory, such as cachedSubjects(…)');
  return null;
}

function isDirectory(value: unknown): value is SubjectDirectory {
  if (typeof value !== 'object' || value === null) return false;
  const { find, refresh } = value as Partial<SubjectDirectory>;
  return typeof find === 'function' && ['undefined', 'function'].includes(typeof refresh);
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

/** The longest token must not outlive the key that signed it. */
function resolveMaxLifetime(
  reader: OptionReader,
  { accessTtl, leeway }: TokenLengths,
  { retainFor, maxLag }: KeysConfig,
): number {
  const rotates = reader.get('keys.signingKey') === undefined;
  // An instance that is cut off from a shared store signs on for so long with what it knows.
  const cutOff = Number.isFinite(maxLag) ? maxLag : 0;
  const slack = leeway + cutOff;
  const longestKept = rotates ? retainFor - slack : Infinity;
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
      `'${formatDuration(retainFor)}' is shorter than the longest token plus tokens.leeway${cutOff > 0 ? ' and outage.maxLag' : ''}`,
      `Write at least '${formatDuration(maxLifetime + slack)}', or shorten tokens.accessTtl and tokens.maxLifetime`,
    );
  }
  return maxLifetime;
}
