import type { AuthorizationConfig } from '../endpoints/authorization-endpoint.service.js';
import type { TokenEndpointsConfig } from '../endpoints/token-endpoints.service.js';
import type { RouteAuditConfig } from '../guard/route-audit.js';
import { type Clock, SystemClock } from '../kernel/clock.js';
import { formatDuration } from '../kernel/duration.js';
import { ConfigError } from '../kernel/errors.js';
import type { KeysConfig } from '../keys/keys-config.js';
import type { RemoteJwksConfig } from '../keys/remote/remote-jwks.js';
import type { RevocationConfig } from '../revocation/revocation.service.js';
import type { SubjectDirectory } from '../revocation/subject-directory.js';
import type { SessionsConfig } from '../sessions/sessions-config.js';
import type { StatusListIssuer } from '../status-list/status-list-reader.js';
import type { StepUpConfig } from '../step-up/step-up.service.js';
import type { Storage } from '../storage/storage.js';
import { isIdentifier } from '../tokens/claims.js';
import type { TokensConfig } from '../tokens/token.service.js';
import type { TransportConfig } from '../transport/transport-config.js';
import { OptionReader } from './option-reader.js';
import type { JwtHardeningOptions } from './options.js';
import { defaultsOf, PROFILE_NAMES, type ProfileDefaults } from './profiles.js';
import { type BindingConfig, readBinding } from './resolve-binding.js';
import { readAuthorization } from './resolve-authorization.js';
import { readClients } from './resolve-clients.js';
import { readDerivationPeriod, readKeys } from './resolve-keys.js';
import { readLegacy } from './resolve-legacy.js';
import { readSessions } from './resolve-sessions.js';
import { readStatusLists, type StatusListSettings } from './resolve-status-lists.js';
import { checkCarried, readOutage, readStorage } from './resolve-storage.js';
import { readStepUp } from './resolve-step-up.js';
import { readTokenEncryption } from './resolve-token-encryption.js';
import { readTokens, resolveMaxLifetime } from './resolve-tokens.js';
import { readTransport } from './resolve-transport.js';
import { readTrust } from './resolve-trust.js';
import { SECOND } from './units.js';

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
  'legacy',
];

/**
 * @param nodeEnv the value of `NODE_ENV`, which decides whether the route table is printed
 * @param clock by which a date is near enough
 * @throws ConfigError `ERR_CONFIG_INVALID` with every problem, its path and its fix
 */
export async function resolveConfig(
  options: unknown,
  nodeEnv: string | undefined,
  clock: Clock = new SystemClock(),
): Promise<ResolvedConfig> {
  const reader = new OptionReader(options);
  try {
    return await resolve(reader, nodeEnv, clock);
  } catch (error) {
    if (error instanceof ConfigError) throw error;
    // A proxy or a getter of the application threw; what it said can hold anything.
    reader.add('options', 'reading them failed', 'Write plain objects and lists');
    throw new ConfigError('ERR_CONFIG_INVALID', reader.problems);
  }
}

async function resolve(
  reader: OptionReader,
  nodeEnv: string | undefined,
  clock: Clock,
): Promise<ResolvedConfig> {
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
  const profile = reader.oneOf('profile', PROFILE_NAMES, 'service');
  const defaults = defaultsOf(profile);

  const issuer = readIssuer(reader);
  const audiences = readAudiences(reader);
  const tokens = readTokens(reader, defaults);
  const storage = readStorage(reader, nodeEnv);
  const outage = readOutage(reader);
  const subjects = readSubjects(reader);
  const sessions = withProfileLengths(reader, await readSessions(reader, storage), defaults);
  const transport = readTransport(reader, { issuer, nodeEnv });
  const authorization = readAuthorization(reader, issuer, storage);
  const clients = await readClients(reader, storage);
  const { leeway } = tokens;
  const binding = await readBinding(reader, {
    issuer,
    audiences,
    leeway,
    storage,
    transport,
    defaults,
  });
  const ring = await readKeys(reader, {
    profile,
    defaults,
    issuer,
    leeway,
    nodeEnv,
    storage,
    outage,
  });
  const encryption = await readTokenEncryption(reader, {
    byDefault: defaults.accessTokens,
    keys: ring,
  });
  const keys = { ...ring, encryption: encryption?.keys ?? null };
  const derivationPeriod = readDerivationPeriod(reader, keys);
  checkCarried(reader, storage, keys);
  const maxLifetime = resolveMaxLifetime(reader, tokens, { keys, defaults });
  const stepUp = readStepUp(reader, { issuer, maxLifetime, leeway, storage });
  const trust = readTrust(reader, {
    issuer,
    audiences,
    leeway: leeway / SECOND,
    maxLifetime: maxLifetime / SECOND,
  });
  const legacy = await readLegacy(reader, {
    profile,
    trusted: trust.issuers,
    required: binding.required,
    keys,
    accept: encryption?.tokens.accept ?? null,
    now: clock.now(),
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
      encryption: encryption?.tokens ?? null,
      legacy,
    }),
    revocation: Object.freeze({
      issuer,
      maxLifetimes: new Map([
        // What ends the tokens of a subject has to outlive those of the past as well.
        [issuer, Math.max(maxLifetime / SECOND, legacy?.maxLifetime ?? 0)],
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

/** The shorter sessions of a profile, as far as nothing else is written. */
function withProfileLengths(
  reader: OptionReader,
  sessions: Awaited<ReturnType<typeof readSessions>>,
  { sessions: defaults }: ProfileDefaults,
): Awaited<ReturnType<typeof readSessions>> {
  const [idle, absolute] = ['sessions.idleFor', 'sessions.absoluteFor'] as const;
  const absoluteFor =
    reader.get(absolute) === undefined ? defaults.absoluteFor : sessions.absoluteFor;
  if (reader.get(idle) === undefined) {
    return { ...sessions, absoluteFor, idleFor: Math.min(defaults.idleFor, absoluteFor) };
  }
  if (sessions.idleFor > absoluteFor) {
    const fix = `Write at most '${formatDuration(absoluteFor)}', or sessions.absoluteFor as well`;
    reader.add(idle, 'it is too long', fix);
  }
  return { ...sessions, absoluteFor };
}
