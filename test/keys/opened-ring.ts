import { type SecurityEvent, SecurityEvents } from '../../lib/events/security-events.js';
import { KeyProtector } from '../../lib/keys/key-protector.js';
import { KeyRingService, type KeysConfig } from '../../lib/keys/key-ring.service.js';
import type { KeyStore } from '../../lib/keys/key-store.js';
import type { Clock } from '../../lib/kernel/clock.js';
import { DAY, MINUTE } from './ring-mother.js';

export const CONFIG: KeysConfig = {
  algorithms: ['ES256'],
  staticKeys: null,
  owner: { issuer: 'https://issuer.example', environment: null },
  // In clear, so that tests can read what was stored.
  protector: new KeyProtector([null]),
  vault: null,
  maxLag: Infinity,
  onStale: 'reject',
  rotateEvery: 30 * DAY,
  publishAhead: DAY,
  retainFor: DAY,
  jwksMaxAge: 5 * MINUTE,
};

/** One instance of an issuer, and everything it has said. */
export interface OpenedRing {
  readonly service: KeyRingService;
  readonly heard: SecurityEvent[];
}

export async function openRing(
  store: KeyStore,
  clock: Clock,
  config: Partial<KeysConfig> = {},
): Promise<OpenedRing> {
  const events = new SecurityEvents();
  const heard: SecurityEvent[] = [];
  events.asObservable().subscribe((event) => heard.push(event));
  const service = await KeyRingService.open(
    { ...CONFIG, ...config },
    { store, clock, events, countSessions: async () => null },
  );
  return { service, heard };
}

/** `type kid` of each event about a key. */
export function keyEventsOf({ heard }: OpenedRing): readonly string[] {
  return heard.map((event) => ('kid' in event ? `${event.type} ${event.kid}` : event.type));
}

const PRIVATE_MEMBERS = new Set(['d', 'p', 'q', 'dp', 'dq', 'qi', 'oth', 'k', 'privateJwk', 'pem']);

/** The paths of all members, at any depth, whose name is that of a private part (RFC 7518 §6). */
export function privateMembersIn(value: unknown, path = '$'): readonly string[] {
  if (typeof value !== 'object' || value === null) return [];
  return Object.entries(value).flatMap(([name, member]) => [
    ...(PRIVATE_MEMBERS.has(name) ? [`${path}.${name}`] : []),
    ...privateMembersIn(member, `${path}.${name}`),
  ]);
}

/** The values of all private members of a stored ring. */
export function privateValuesIn(ring: string): readonly string[] {
  const found: string[] = [];
  const visit = (value: unknown): void => {
    if (typeof value !== 'object' || value === null) return;
    for (const [name, member] of Object.entries(value)) {
      if (typeof member === 'string' && PRIVATE_MEMBERS.has(name)) found.push(member);
      visit(member);
    }
  };
  visit(JSON.parse(ring));
  return found;
}
