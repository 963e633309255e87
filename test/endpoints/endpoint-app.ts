import { randomBytes } from 'node:crypto';
import { request as httpRequest } from 'node:http';
import type { AddressInfo } from 'node:net';

import { Controller, Get, type INestApplication } from '@nestjs/common';
import { FastifyAdapter } from '@nestjs/platform-fastify';
import { Test } from '@nestjs/testing';

import type { ReplayStore } from '../../lib/binding/replay-store.js';
import { OptionReader } from '../../lib/config/option-reader.js';
import type { JwtHardeningOptions } from '../../lib/config/options.js';
import { readClients } from '../../lib/config/resolve-clients.js';
import type { RegisteredClient } from '../../lib/endpoints/registered-client.js';
import {
  TokenEndpoints,
  type TokenEndpointsSurroundings,
} from '../../lib/endpoints/token-endpoints.service.js';
import { type SecurityEvent, SecurityEvents } from '../../lib/events/security-events.js';
import { JwtHardeningModule } from '../../lib/jwt-hardening.module.js';
import { Clock } from '../../lib/kernel/clock.js';
import type { HeldSigningKey } from '../../lib/keys/key-material.js';
import { KeyRingService } from '../../lib/keys/key-ring.service.js';
import type { TokenClaims } from '../../lib/tokens/claims.js';
import type { SignOptions } from '../../lib/tokens/token-signer.js';
import { TokenService } from '../../lib/tokens/token.service.js';
import { memoryStorage } from '../../lib/storage/memory/memory-storage.js';
import { MemoryReplayStore } from '../../lib/storage/memory/memory-replay-store.js';
import { type AdapterName, AUDIENCE, ISSUER } from '../support/guarded-app.js';
import type { Answer } from '../support/http.js';
import { TestClock } from '../support/test-clock.js';
import { forge } from '../support/token-mother.js';
import { recordOutput, recordSecret } from '../support/witness.js';
import { witnessLogger } from '../support/witness-logger.js';

export const REVOKE = '/oauth/revoke';
export const INTROSPECT = '/oauth/introspect';

export const ASSERTION_TYPE = 'urn:ietf:params:oauth:client-assertion-type:jwt-bearer';

/** What makes a token one of that client. */
export const OF_SHOP = { client_id: 'shop' };

/** Where revocations go in these tests, and how the log stands; may be told to fail. */
export class TestRevocations {
  readonly made: { readonly jti: string; readonly exp: number }[] = [];
  /** What the store does before it acknowledges. */
  onRevoke: () => Promise<void> = async () => {};
  status: 'ok' | 'recovering' | 'stale' = 'ok';

  async revokeToken(jti: string, exp: number): ReturnType<Revocations['revokeToken']> {
    this.made.push({ jti, exp });
    await this.onRevoke();
    return { kind: 'token', since: new Date(0), until: new Date(exp * 1000) };
  }

  health(): ReturnType<Revocations['health']> {
    return { status: this.status, lag: 0, entries: this.made.length };
  }
}

type Revocations = TokenEndpointsSurroundings['revocations'];

export interface EndpointApp {
  readonly url: string;
  readonly clock: TestClock;
  readonly events: SecurityEvent[];
  readonly logs: readonly string[];
  readonly revocations: TestRevocations;
  /** The key that signs the tokens of this service. */
  signingKey(): ReturnType<KeyRingService['signingKey']>;
  /** @param claims by default those of a token of the client `shop` */
  sign(claims?: Partial<TokenClaims>, options?: SignOptions): Promise<string>;
  /** A form, or the body as it is to be sent. */
  post(path: string, body: Form | string, headers?: Headers): Promise<Answer>;
  /** Forgets events and revocations, for the next test on the same server. */
  forget(): void;
  close(): Promise<void>;
}

type Form = Readonly<Record<string, string>>;
type Headers = Readonly<Record<string, string | readonly string[]>>;

export interface EndpointAppOptions {
  readonly adapter: AdapterName;
  readonly clients: readonly object[];
  readonly tokens?: TokenEndpointsSurroundings['tokens'];
  /** Leaves everything as the module has it. @defaultValue `TestRevocations` */
  readonly revocations?: 'of the application';
  readonly replays?: (clock: Clock) => ReplayStore;
  /** Whose tokens the endpoints are for. @defaultValue `ISSUER` */
  readonly issuer?: string;
  readonly configure?: (app: INestApplication) => void;
}

@Controller('notes')
class Notes {
  @Get()
  list(): string[] {
    return [];
  }
}

/** A verifier that is always of the same opinion. */
export function verifierThatThrows(error: Error): TokenEndpointsSurroundings['tokens'] {
  const refuse = async (): Promise<never> => {
    throw error;
  };
  const readClaims = (): never => {
    throw error;
  };
  return { verify: refuse, check: refuse, readClaims };
}

/** Clients as the options register them. */
export async function register(clients: readonly object[]): Promise<readonly RegisteredClient[]> {
  const reader = new OptionReader({ clients });
  const registered = await readClients(reader, memoryStorage());
  if (reader.problems.length > 0) throw new Error(JSON.stringify(reader.problems));
  return registered;
}

/** Starts a real HTTP server with the endpoints behind the guard, on a free port. */
export async function startEndpointApp(options: EndpointAppOptions): Promise<EndpointApp> {
  const clock = new TestClock();
  const revocations = new TestRevocations();
  const logs: string[] = [];
  const clients = await register(options.clients);
  const { issuer = ISSUER, replays = (time) => new MemoryReplayStore(1_000, time) } = options;

  const builder = Test.createTestingModule({
    imports: [
      JwtHardeningModule.forRoot({
        issuer: ISSUER,
        audience: AUDIENCE,
        clients: options.clients as NonNullable<JwtHardeningOptions['clients']>,
        revocationPath: REVOKE,
        introspectionPath: INTROSPECT,
      }),
    ],
    controllers: [Notes],
  })
    .setLogger({ ...witnessLogger, ...recordingLogger(logs) })
    .overrideProvider(Clock)
    .useValue(clock);
  if (options.revocations === undefined) {
    builder.overrideProvider(TokenEndpoints).useFactory({
      factory: (own: TokenService) =>
        new TokenEndpoints(
          { issuer, leeway: 10, clients },
          { tokens: options.tokens ?? own, revocations, replays: replays(clock), clock },
        ),
      inject: [TokenService],
    });
  }
  const module = await builder.compile();
  const app =
    options.adapter === 'fastify'
      ? module.createNestApplication(new FastifyAdapter())
      : module.createNestApplication();
  options.configure?.(app);
  const events: SecurityEvent[] = [];
  app
    .get(SecurityEvents)
    .asObservable()
    .subscribe((event) => events.push(event));
  await app.listen(0, '127.0.0.1');
  const { port } = app.getHttpServer().address() as AddressInfo;
  const url = `http://127.0.0.1:${port}`;
  return {
    url,
    clock,
    events,
    logs,
    revocations,
    signingKey: () => app.get(KeyRingService).signingKey(),
    sign: async (claims = OF_SHOP, signOptions = {}) => {
      const { token } = await app.get(TokenService).sign({ sub: 'user-1', ...claims }, signOptions);
      recordSecret(token);
      events.splice(0);
      return token;
    },
    post: (path, body, headers) => post(url, path, body, headers),
    forget: () => {
      events.splice(0);
      revocations.made.splice(0);
    },
    close: () => app.close(),
  };
}

function recordingLogger(lines: string[]): Record<'log' | 'error' | 'warn', () => void> {
  const take = (...message: unknown[]): void => {
    const line = message.map(String).join(' ');
    lines.push(line);
    recordOutput(line);
  };
  return { log: take, error: take, warn: take };
}

/** Sends a form with the type of one, unless the headers say otherwise. */
function post(base: string, path: string, body: Form | string, headers: Headers = {}) {
  const { hostname, port } = new URL(base);
  const text = typeof body === 'string' ? body : new URLSearchParams(body).toString();
  return new Promise<Answer>((resolve, reject) => {
    const outgoing = httpRequest(
      {
        agent: false,
        hostname,
        port,
        path,
        method: 'POST',
        headers: { 'content-type': 'application/x-www-form-urlencoded', ...copy(headers) },
      },
      (response) => {
        const chunks: Buffer[] = [];
        response.on('data', (chunk: Buffer) => chunks.push(chunk));
        response.on('error', reject);
        response.on('end', () => {
          const answer = {
            status: response.statusCode ?? 0,
            headers: response.headers,
            body: Buffer.concat(chunks).toString('utf8'),
          };
          recordOutput(`${JSON.stringify(answer.headers)} ${answer.body}`);
          resolve(answer);
        });
      },
    );
    outgoing.on('error', reject);
    outgoing.end(text);
  });
}

function copy(headers: Headers): Record<string, string | string[]> {
  return Object.fromEntries(
    Object.entries(headers).map(([name, value]) => [
      name,
      typeof value === 'string' ? value : [...value],
    ]),
  );
}

/** A secret as an operator would make one. */
export function newSecret(): string {
  const secret = randomBytes(32).toString('hex');
  recordSecret(secret);
  return secret;
}

/** The `Authorization` header of RFC 6749 §2.3.1. */
export function basic(clientId: string, secret: string): { readonly authorization: string } {
  const encode = (text: string): string => new URLSearchParams({ '': text }).toString().slice(1);
  return basicOf(`${encode(clientId)}:${encode(secret)}`);
}

/** The header with any content. */
export function basicOf(content: string | Buffer): { readonly authorization: string } {
  return { authorization: `Basic ${Buffer.from(content).toString('base64')}` };
}

/** An assertion with any header and claims on top of right ones, really signed by the key. */
export function signAssertion(
  key: HeldSigningKey,
  clock: Clock,
  { header = {}, ...claims }: Readonly<Record<string, unknown>> & { readonly header?: object } = {},
): Promise<string> {
  const now = Math.floor(clock.now() / 1000);
  return forge(
    key,
    { alg: key.row.name, kid: key.kid, ...header },
    {
      iss: 'signer',
      sub: 'signer',
      aud: ISSUER,
      jti: randomBytes(16).toString('hex'),
      iat: now,
      exp: now + 60,
      ...claims,
    },
  );
}

/** What a form needs beside the token when the client authenticates with an assertion. */
export function byAssertion(assertion: string): Form {
  return { client_assertion: assertion, client_assertion_type: ASSERTION_TYPE };
}

/** Every answer says that nobody may keep it. */
export function expectNotStored({ headers }: Answer): void {
  expect(headers['cache-control']).toBe('no-store');
  expect(headers['pragma']).toBe('no-cache');
}

/** A refusal is its error and nothing else. */
export function expectRefusal(answer: Answer, status: number, error: string): void {
  expect([answer.status, answer.body]).toEqual([status, JSON.stringify({ error })]);
  expect(answer.headers['content-type']).toMatch(/^application\/json\b/);
  expect(answer.headers['www-authenticate']).toBe(
    status === 401 ? 'Basic realm="oauth"' : undefined,
  );
  expectNotStored(answer);
}
