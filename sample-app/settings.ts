import { randomBytes } from 'node:crypto';

import {
  type BindingOptions,
  type ClientOptions,
  ConfigError,
  type ConfigProblem,
  type JwtHardeningOptions,
  memoryStorage,
  type Storage,
  type TransportOptions,
} from 'nest-jwt-hardening';
import { optionsFromEnvironment } from 'nest-jwt-hardening/config';
import { redisStorage } from 'nest-jwt-hardening/redis';

import type { HttpAdapterName } from './http/http-application.js';

/** What the environment decides. Abstract, so that it is its own injection token. */
export abstract class Settings {
  abstract readonly port: number;
  abstract readonly httpAdapter: HttpAdapterName;
  abstract readonly logFormat: 'pretty' | 'json';
  abstract readonly jwt: JwtHardeningOptions;
}

/** The client that all tokens are issued to, as they say in `client_id`. */
const CLIENT_ID = 'ledger-web';

/** An app on a device, which can keep no secret: its codes come back to a port it listens on. */
const NATIVE_CLIENT: ClientOptions = {
  clientId: 'ledger-native',
  authentication: { method: 'none' },
  may: ['authorize', 'revoke'],
  redirectUris: ['http://127.0.0.1/callback', 'http://[::1]/callback', 'example.ledger:/callback'],
};

type Environment = Readonly<Record<string, string | undefined>>;

/**
 * Reads the settings.
 * @throws ConfigError with the problems of every variable, the library's and our own
 */
export async function readSettings(env: Environment): Promise<Settings> {
  const problems: ConfigProblem[] = [];
  const port = readPort(env, problems);
  const httpAdapter = readChoice(env, problems, 'HTTP_ADAPTER', ['express', 'fastify']);
  const logFormat = readChoice(env, problems, 'LOG_FORMAT', ['pretty', 'json']);
  const storage = readStorage(env, problems);
  const client = readClient(env, problems);
  const trustedProxies = readProxies(env);
  const transport = { cookies: {}, ...readOrigins(env), trustedProxies };
  const identity = { JWT_ISSUER: `http://localhost:${port}`, JWT_AUDIENCE: 'ledger-api', ...env };
  const binding: BindingOptions = {
    // Nonces cost every client a request more; the profile highSecurity asks for them.
    dpop: { publicUrls: publicUrls(port, identity), nonce: null },
    ...(trustedProxies.length === 0 ? {} : { mtls: { proxyHeader: 'Client-Cert' } }),
  };
  const jwt = await readJwtOptions(
    { storage, clients: [client, NATIVE_CLIENT], transport, binding },
    identity,
    problems,
  );
  if (jwt === undefined || problems.length > 0) {
    throw new ConfigError('ERR_CONFIG_INVALID', problems);
  }
  return { port, httpAdapter, logFormat, jwt };
}

/** Redis for everything, or this process. */
function readStorage(env: Environment, problems: ConfigProblem[]): Storage | undefined {
  const url = env['REDIS_URL'];
  if (url === undefined) return memoryStorage({ dangerouslyAllowInProduction: true });
  if (env['JWT_KEY_ENCRYPTION_KEY'] === undefined && env['JWT_SIGNING_JWK'] === undefined) {
    problems.push({
      path: 'JWT_KEY_ENCRYPTION_KEY',
      problem: 'it is missing, and the keys are to be stored in Redis',
      fix: 'Give 32 random bytes in base64url',
    });
  }
  try {
    return redisStorage({ url, keyPrefix: 'ledger:' });
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error;
    problems.push(...error.problems.map((problem) => ({ ...problem, path: 'REDIS_URL' })));
    return undefined;
  }
}

/** Who may use `/oauth/revoke` and `/oauth/introspect`. Without a secret that anybody knows, nobody. */
function readClient(env: Environment, problems: ConfigProblem[]): ClientOptions {
  const secret = env['OAUTH_CLIENT_SECRET'] ?? randomBytes(32).toString('hex');
  if (!/^[0-9a-f]{64}$/.test(secret)) {
    problems.push({
      path: 'OAUTH_CLIENT_SECRET',
      problem: 'it is not 32 bytes in hexadecimal',
      fix: 'Give what `openssl rand -hex 32` prints',
    });
  }
  return {
    clientId: CLIENT_ID,
    authentication: { method: 'client_secret_basic', secrets: [secret] },
    may: ['revoke', 'introspect'],
  };
}

/** Whose pages may use the cookies; without a list, those of this service. */
function readOrigins(env: Environment): Pick<TransportOptions, 'origins'> {
  const [first, ...others] = listIn(env['ALLOWED_ORIGINS']);
  return first === undefined ? {} : { origins: [first, ...others] };
}

/** `1` and `true` stand for a proxy on this machine, where alone the demo listens. */
function readProxies(env: Environment): readonly string[] {
  const list = listIn(env['TRUST_PROXY']);
  return list.map((proxy) => (proxy === '1' || proxy === 'true' ? 'loopback' : proxy));
}

/** Where clients reach this service: on this machine, and wherever issuer and audience say. */
function publicUrls(
  port: number,
  { JWT_ISSUER, JWT_AUDIENCE }: Readonly<Record<'JWT_ISSUER' | 'JWT_AUDIENCE', string>>,
): readonly [string, ...string[]] {
  const named = [JWT_ISSUER, JWT_AUDIENCE].filter((text) => /^https:\/\/[^/]/.test(text));
  const origins = named.flatMap((text) => (URL.canParse(text) ? new URL(text).origin : []));
  return [`http://localhost:${port}`, `http://127.0.0.1:${port}`, ...origins];
}

function listIn(text = ''): readonly string[] {
  return text
    .split(',')
    .map((item) => item.trim())
    .filter((item) => item !== '');
}

async function readJwtOptions(
  {
    storage,
    ...own
  }: Pick<JwtHardeningOptions, 'binding' | 'clients' | 'transport'> & {
    readonly storage: Storage | undefined;
  },
  env: Environment,
  problems: ConfigProblem[],
): Promise<JwtHardeningOptions | undefined> {
  try {
    const options = await optionsFromEnvironment(env);
    // RFC 9068 §2.2: an access token names the client it was issued to.
    const tokens = { ...options.tokens, clientId: CLIENT_ID, requiredClaims: ['client_id'] };
    return storage === undefined ? undefined : { ...options, ...own, tokens, storage };
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error;
    problems.push(...error.problems);
    return undefined;
  }
}

/** 0 lets the system choose; the banner says what it chose. */
function readPort(env: Environment, problems: ConfigProblem[]): number {
  const text = env['PORT'] ?? '3000';
  if (/^\d{1,5}$/.test(text) && Number(text) <= 65_535) return Number(text);
  problems.push({
    path: 'PORT',
    problem: 'it is not a port',
    fix: 'Write a whole number from 0 to 65535, such as 3000',
  });
  return 3000;
}

/** The first choice is the default. */
function readChoice<const Choice extends string>(
  env: Environment,
  problems: ConfigProblem[],
  variable: string,
  choices: readonly [Choice, ...Choice[]],
): Choice {
  const text = env[variable] ?? choices[0];
  const choice = choices.find((candidate) => candidate === text);
  if (choice === undefined) {
    const problem = text === '' ? 'it is empty' : 'it is none of its values';
    problems.push({ path: variable, problem, fix: `Write ${choices.join(' or ')}` });
  }
  return choice ?? choices[0];
}
