import { ClientAddress } from '../../lib/binding/client-address.js';
import { senderChecks } from '../../lib/composition/sender-providers.js';
import type { JwtHardeningOptions } from '../../lib/config/options.js';
import { resolveConfig } from '../../lib/config/resolve-config.js';
import { SecurityEvents } from '../../lib/events/security-events.js';
import type { Clock } from '../../lib/kernel/clock.js';
import type { SigningAlgorithm } from '../../lib/keys/algorithms.js';
import {
  exportPrivateJwk,
  generateSigningKey,
  type SigningKey,
  type PrivateJwk,
} from '../../lib/keys/key-material.js';
import { KeyRingService } from '../../lib/keys/key-ring.service.js';
import { TrustedIssuers } from '../../lib/keys/remote/trusted-issuers.service.js';
import { SessionEnds } from '../../lib/sessions/session-ends.js';
import { SessionService } from '../../lib/sessions/session.service.js';
import { NotCarried } from '../../lib/storage/storage.js';
import { memoryStorage } from '../../lib/storage/memory/memory-storage.js';
import { RevocationService } from '../../lib/revocation/revocation.service.js';
import { LEGACY_KID } from '../../lib/tokens/legacy-keys.js';
import { TokenService } from '../../lib/tokens/token.service.js';
import { TokenStanding } from '../../lib/tokens/token-standing.js';
import { AUDIENCE, ISSUER } from './guarded-app.js';
import { TestClock } from './test-clock.js';
import { recordSecret } from './witness.js';

/** The services without Nest, on a standing clock. */
export interface Issuer {
  readonly clock: TestClock;
  readonly events: SecurityEvents;
  readonly keyRing: KeyRingService;
  readonly trusted: TrustedIssuers;
  readonly revocations: RevocationService;
  readonly tokens: TokenService;
  readonly sessions: SessionService;
}

/** @param anchors certificates, in PEM, that the servers of trusted issuers may be signed by */
export async function openIssuer(
  { storage = memoryStorage(), ...options }: Partial<JwtHardeningOptions> = {},
  clock: TestClock = new TestClock(),
  anchors: readonly string[] = [],
): Promise<Issuer> {
  const shared = storage.reach === 'shared' ? { storage } : {};
  const written = { issuer: ISSUER, audience: AUDIENCE, ...options, ...shared };
  const config = await resolveConfig(written, 'test');
  const events = new SecurityEvents();
  const store = storage.keyStore instanceof NotCarried ? null : storage.keyStore;
  const countSessions = async (): Promise<null> => null;
  const keyRing = await KeyRingService.open(config.keys, { store, clock, events, countSessions });
  const trust = config.trust.map((jwks) => ({ ...jwks, ca: anchors }));
  const trusted = new TrustedIssuers(trust, clock, events);
  if (storage.revocationLog instanceof NotCarried) throw new Error('no revocation log');
  const sessionStore = storage.sessionStore instanceof NotCarried ? null : storage.sessionStore;
  const { issuer } = config.tokens;
  const revocations = await RevocationService.open(config.revocation, {
    log: storage.revocationLog,
    clock,
    events,
    ...(sessionStore === null
      ? {}
      : { sessions: new SessionEnds(issuer, sessionStore, clock, events) }),
    withdrawKey: async (kid) => {
      if (keyRing.rotates && kid !== LEGACY_KID) await keyRing.compromise(kid);
    },
  });
  const { subjects } = config;
  const standing = new TokenStanding({ revocations, subjects, allocator: null, statusLists: null });
  const tokens = new TokenService(config.tokens, { keyRing, trusted, standing, clock, events });
  const addresses = new ClientAddress(config.transport.trustedProxies);
  const checks = senderChecks({ ...config, storage }, addresses, clock, events);
  const sessions = new SessionService(config.sessions, {
    senders: { ...checks, ...config.binding },
    store: sessionStore,
    replays: storage.replayStore instanceof NotCarried ? null : storage.replayStore,
    tokens,
    revocations,
    clock,
    events,
  });
  return { clock, events, keyRing, trusted, revocations, tokens, sessions };
}

/** A new private JWK with `kid` and `alg`, as an operator would configure it. */
export async function newPrivateJwk(algorithm: SigningAlgorithm = 'ES256'): Promise<PrivateJwk> {
  return exportPrivateJwk(await generateSigningKey(algorithm));
}

/** Claims of a token that is right in every respect at this instant. */
export function validClaims(clock: Clock): Record<string, unknown> {
  const now = Math.floor(clock.now() / 1000);
  return {
    iss: ISSUER,
    aud: AUDIENCE,
    sub: 'user-1',
    iat: now,
    nbf: now,
    exp: now + 300,
    jti: `jti-${now}-${Math.floor(clock.now() % 1000)}`,
  };
}

/** A compact token with any header and payload, really signed by the key. Bytes pass as they are. */
export async function forge(
  key: SigningKey,
  header: object | string | Buffer,
  payload: object | string | Buffer,
): Promise<string> {
  const input = `${encode(header)}.${encode(payload)}`;
  const signature = await key.sign(Buffer.from(input));
  const token = `${input}.${Buffer.from(signature).toString('base64url')}`;
  recordSecret(token);
  return token;
}

/** As `forge`, with the header this issuer would write. */
export function forgeAccess(
  key: SigningKey,
  payload: object | string | Buffer,
  header: object = {},
): Promise<string> {
  return forge(key, { alg: key.row.name, typ: 'at+jwt', kid: key.kid, ...header }, payload);
}

function encode(part: object | string | Buffer): string {
  const bytes = Buffer.isBuffer(part)
    ? part
    : Buffer.from(typeof part === 'string' ? part : JSON.stringify(part));
  return bytes.toString('base64url');
}
