import { hash, randomBytes } from 'node:crypto';

import { type DpopConfig, DpopProofs } from '../../../lib/binding/dpop/dpop-proofs.js';
import type { ProofCounter } from '../../../lib/binding/dpop/proof-quota.js';
import type { ReplayStore } from '../../../lib/binding/replay-store.js';
import type { SenderRequest } from '../../../lib/binding/sender-request.js';
import { SenderSecrets } from '../../../lib/binding/sender-secrets.js';
import { type SecurityEvent, SecurityEvents } from '../../../lib/events/security-events.js';
import type { SigningAlgorithm } from '../../../lib/keys/algorithms.js';
import { generateSigningKey, type HeldSigningKey } from '../../../lib/keys/key-material.js';
import { MemoryAttemptStore } from '../../../lib/storage/memory/memory-attempt-store.js';
import { MemoryReplayStore } from '../../../lib/storage/memory/memory-replay-store.js';
import { TestClock } from '../../support/test-clock.js';

/** Clients that prove what key they have, and the service they prove it to. */

export const ORIGIN = 'https://api.example';
export const TOKEN = 'Kz~8mXK1EalYznwH-LC-1fBAo.4Ljp~zsPE_NeO.gxU';

/** A client's key. */
export interface Holder {
  readonly alg: SigningAlgorithm;
  readonly jwk: Readonly<Record<string, unknown>>;
  readonly jkt: string;
  readonly key: HeldSigningKey;
}

export async function newHolder(alg: SigningAlgorithm = 'ES256'): Promise<Holder> {
  const key = await generateSigningKey(alg);
  const jwk = Object.fromEntries(
    key.row.publicMembers.map((name) => [name, key.publicJwk[name]] as const),
  );
  return { alg, jwk, jkt: key.kid, key };
}

/** What a proof says instead of the right thing: `undefined` leaves a member out. */
export interface ProofParts {
  readonly header?: object;
  readonly claims?: object;
  /** In place of all claims, as it stands. */
  readonly payload?: string | Buffer;
  /** In place of the whole header, as it stands. */
  readonly rawHeader?: string | Buffer;
}

let made = 0;

/** A proof for `GET https://api.example/me` with `TOKEN`, right but for what is said otherwise. */
export async function proofOf(
  holder: Holder,
  clock: TestClock,
  { header, claims, payload, rawHeader }: ProofParts = {},
): Promise<string> {
  const members = { typ: 'dpop+jwt', alg: holder.alg, jwk: holder.jwk, ...header };
  const all = {
    jti: `jti-${made++}`,
    htm: 'GET',
    htu: `${ORIGIN}/me`,
    iat: clock.seconds(),
    ath: digestOf(TOKEN),
    ...claims,
  };
  const input = `${encode(rawHeader ?? members)}.${encode(payload ?? all)}`;
  const signature = await holder.key.sign(Buffer.from(input));
  return `${input}.${Buffer.from(signature).toString('base64url')}`;
}

export function digestOf(token: string): string {
  return hash('sha256', token, 'base64url');
}

export function encode(part: object | string): string {
  const isText = typeof part === 'string' || Buffer.isBuffer(part);
  return Buffer.from(isText ? part : JSON.stringify(part)).toString('base64url');
}

/** `GET /me` with these proofs, as Express has it. */
export function requestWith(
  proof: string | readonly string[],
  { method = 'GET', target = '/me' }: { readonly method?: string; readonly target?: string } = {},
): SenderRequest {
  const proofs = [proof].flat();
  return {
    method,
    url: target,
    originalUrl: target,
    headers: proofs.length > 0 ? { dpop: proofs.join(', ') } : {},
    rawHeaders: ['Host', 'evil.example', ...proofs.flatMap((one) => ['DPoP', one])],
  };
}

/** The same as Fastify has it. */
export function asFastify(request: SenderRequest): SenderRequest {
  const { method = 'GET', originalUrl = '/', headers, rawHeaders = [] } = request;
  return { method, url: originalUrl, headers, raw: { url: originalUrl, rawHeaders } };
}

/** Everything a service that checks proofs consists of. */
export interface Service {
  readonly proofs: DpopProofs;
  readonly clock: TestClock;
  readonly replays: ReplayStore;
  readonly counter: ProofCounter;
  readonly told: SecurityEvent[];
}

/** What a service has in common with another instance, and what it does otherwise. */
export interface ServiceOptions extends Partial<DpopConfig> {
  readonly clock?: TestClock;
  readonly replays?: ReplayStore;
  readonly counter?: ProofCounter;
}

export const SECRETS = new SenderSecrets([randomBytes(32)]);

/** A service in a process of its own; without nonces unless it is told otherwise. */
export function openService({
  clock = new TestClock(),
  replays = new MemoryReplayStore(10_000, clock),
  counter = new MemoryAttemptStore(10_000, clock),
  ...config
}: ServiceOptions = {}): Service {
  const events = new SecurityEvents();
  const told: SecurityEvent[] = [];
  events.onAny((event) => told.push(event));
  const proofs = new DpopProofs(
    {
      publicUrls: [new URL(ORIGIN)],
      algorithms: ['ES256', 'Ed25519', 'EdDSA', 'PS256', 'RS256'],
      proofFor: 60_000,
      leeway: 10_000,
      nonces: null,
      perMinute: 600,
      secrets: SECRETS,
      ...config,
    },
    { replays, counter, clock, events },
  );
  return { proofs, clock, replays, counter, told };
}

/** The code of what was refused, or `accepted`. */
export async function verdictOf(attempt: Promise<unknown>): Promise<string> {
  return attempt.then(
    () => 'accepted',
    (error: unknown) => {
      const { code } = error as { readonly code?: unknown };
      if (typeof code !== 'string') throw error;
      return code;
    },
  );
}
