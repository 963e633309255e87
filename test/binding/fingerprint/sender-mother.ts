import { randomBytes } from 'node:crypto';

import { ClientAddress } from '../../../lib/binding/client-address.js';
import type { FingerprintConfig } from '../../../lib/binding/fingerprint/fingerprint-config.js';
import {
  type FingerprintedToken,
  Fingerprints,
  type SenderVerdict,
} from '../../../lib/binding/fingerprint/fingerprints.js';
import type { IpNetwork } from '../../../lib/binding/ip-address.js';
import type { SenderRequest } from '../../../lib/binding/sender-request.js';
import { SenderSecrets } from '../../../lib/binding/sender-secrets.js';
import type {
  AddressBindingOptions,
  FingerprintOptions,
} from '../../../lib/config/fingerprint-options.js';
import { OptionReader } from '../../../lib/config/option-reader.js';
import { readFingerprintBinding } from '../../../lib/config/resolve-fingerprint.js';
import { type SecurityEvent, SecurityEvents } from '../../../lib/events/security-events.js';
import { MemoryAttemptStore } from '../../../lib/storage/memory/memory-attempt-store.js';
import { MemoryReplayStore } from '../../../lib/storage/memory/memory-replay-store.js';
import { TestClock } from '../../support/test-clock.js';
import { recordOutput } from '../../support/witness.js';

/** Senders as servers see them, and rooms in which they are recognised. */

/** What a sender shows; what is missing is not sent. */
export interface Sender {
  readonly userAgent?: string | undefined;
  readonly language?: string | undefined;
  readonly platform?: string | undefined;
  readonly mobile?: string | undefined;
  readonly client?: string | undefined;
  readonly address?: string | undefined;
}

/** The digest that a client makes of itself, by whatever it is of. */
export function clientHash(of: string): string {
  return Buffer.from(of.padEnd(32, '.')).toString('base64url');
}

const CHROME_AGENT =
  'Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/141.0.0.0 Safari/537.36';

export const CHROME = {
  userAgent: CHROME_AGENT,
  language: 'de-AT,de;q=0.9,en-US;q=0.8,en;q=0.7',
  platform: '"Windows"',
  mobile: '?0',
  client: clientHash('a desktop in Vienna'),
  address: '203.0.113.7',
} as const satisfies Sender;

export const PHONE = {
  userAgent:
    'Mozilla/5.0 (Linux; Android 10; K) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/141.0.7390.44 Mobile Safari/537.36',
  language: 'fr-FR,fr;q=0.9',
  platform: '"Android"',
  mobile: '?1',
  address: '2001:db8:1:2:3:4:5:6',
} as const satisfies Sender;

export const SAFARI = {
  userAgent:
    'Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/17.5 Safari/605.1.15',
  language: 'en-GB,en;q=0.9',
  address: '2001:db8:1:2:3:4:5:6',
} as const satisfies Sender;

export const FIREFOX = {
  userAgent: 'Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0',
  language: 'en-US,en;q=0.5',
  address: '198.51.100.20',
} as const satisfies Sender;

/** The Chrome of another version. */
export function chromeOf(version: string): string {
  return CHROME_AGENT.replace('141.0.0.0', version);
}

/** A request as Express has it. */
export function requestOf(
  sender: Sender,
  more: Readonly<Record<string, string>> = {},
): SenderRequest {
  const headers = {
    'user-agent': sender.userAgent,
    'accept-language': sender.language,
    'sec-ch-ua-platform': sender.platform,
    'sec-ch-ua-mobile': sender.mobile,
    'x-client-signals': sender.client,
  };
  const sent = Object.entries(headers).filter(([, value]) => value !== undefined);
  return {
    method: 'GET',
    url: '/me',
    headers: { ...Object.fromEntries(sent), ...more },
    socket: { remoteAddress: sender.address },
  };
}

interface Furniture {
  readonly fingerprint?: FingerprintOptions | null;
  readonly address?: AddressBindingOptions | null;
  readonly secrets?: SenderSecrets;
  readonly proxies?: readonly IpNetwork[];
}

export type Stores = Pick<ConstructorParameters<typeof Fingerprints>[1], 'replays' | 'counter'>;

export interface Room {
  readonly fingerprints: Fingerprints;
  readonly clock: TestClock;
  readonly stores: Stores;
  /** What was told so far, without the instant. */
  readonly told: readonly object[];
  /** A token that was issued to this sender. */
  readonly issueTo: (sender: Sender, sessionId?: string) => FingerprintedToken;
  /** A second instance beside this one. */
  readonly neighbour: (stores?: Partial<Stores>) => Room;
}

export function configOf({
  fingerprint = {},
  address = null,
  secrets,
}: Furniture = {}): FingerprintConfig {
  const reader = new OptionReader({ binding: { fingerprint, address } });
  const config = readFingerprintBinding(reader, { secrets: secrets ?? newSecrets() });
  if (config === null || reader.problems.length > 0) {
    throw new Error(`a bad configuration: ${JSON.stringify(reader.problems)}`);
  }
  return config;
}

export function newSecrets(): SenderSecrets {
  return new SenderSecrets([randomBytes(32)]);
}

export function openRoom(furniture: Furniture = {}): Room {
  const clock = new TestClock();
  const stores = {
    replays: new MemoryReplayStore(1_000, clock),
    counter: new MemoryAttemptStore(1_000, clock),
  };
  return roomWith(configOf(furniture), { ...furniture, clock, stores });
}

function roomWith(
  config: FingerprintConfig,
  parts: Furniture & { readonly clock: TestClock; readonly stores: Stores },
): Room {
  const { clock, stores, proxies = [] } = parts;
  const events = new SecurityEvents();
  const told: object[] = [];
  events.onAny((event: SecurityEvent) => {
    recordOutput(JSON.stringify(event));
    const { at: _, ...fields } = event;
    told.push(fields);
  });
  const addresses = new ClientAddress(proxies);
  const fingerprints = new Fingerprints(config, { ...stores, addresses, clock, events });
  let issued = 0;
  return {
    fingerprints,
    clock,
    stores,
    told,
    issueTo: (sender, sessionId) => ({
      fingerprint: fingerprints.claimOf(fingerprints.signalsOf(requestOf(sender))),
      sessionId,
      tokenId: `token-${++issued}`,
    }),
    neighbour: (others = {}) => roomWith(config, { ...parts, stores: { ...stores, ...others } }),
  };
}

/** A pass of which nothing is said is the `same` sender; of others it is said whether it was noted. */
export type Outcome = 'same' | 'pass' | 'note' | 'stepUp' | 'refuse';

/**
 * What becomes of a token of one sender that another shows: in a request and in a refresh, which have
 * to agree.
 */
export async function outcomeOf(from: Sender, to: Sender): Promise<Outcome> {
  const room = openRoom();
  const token = room.issueTo(from);
  const verdict = await room.fingerprints.check(requestOf(to), token);
  const refreshed = openRoom();
  const { fingerprint } = refreshed.issueTo(from);
  const signals = refreshed.fingerprints.signalsOf(requestOf(to));
  const atRefresh = await refreshed.fingerprints.compare(signals, fingerprint, { sessionId: 's' });
  const outcome = outcomeIn(room, verdict);
  expect(outcomeIn(refreshed, atRefresh)).toBe(outcome);
  return outcome;
}

/** The verdict and the event have to say the same. */
function outcomeIn({ told }: Room, verdict: SenderVerdict): Outcome {
  if (told.length === 0) return verdict === 'pass' ? 'same' : 'refuse';
  expect(told).toHaveLength(1);
  const { response } = told[0] as { readonly response: Exclude<Outcome, 'same'> };
  expect(verdict).toBe(response === 'note' ? 'pass' : response);
  return response;
}
