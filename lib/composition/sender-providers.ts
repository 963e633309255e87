import type { Provider } from '@nestjs/common';

import { ClientAddress } from '../binding/client-address.js';
import { DpopProofs } from '../binding/dpop/dpop-proofs.js';
import { Fingerprints } from '../binding/fingerprint/fingerprints.js';
import { ClientCertificates } from '../binding/mtls/client-certificates.js';
import { SENDER_COOKIE_PURPOSE } from '../binding/sender-cookie.js';
import { SenderProofs } from '../binding/sender-proofs.service.js';
import type { SenderKey } from '../binding/sender-secrets.js';
import type { ResolvedConfig } from '../config/resolve-config.js';
import { SecurityEvents } from '../events/security-events.js';
import { Clock } from '../kernel/clock.js';
import { readCookie } from '../transport/cookie-header.js';
import { COOKIE_NAMES } from '../transport/cookie-names.js';
import { CONFIG, required as carriedBy, SENDER_CHECKS } from './configuration.js';

/** What both the guard and sessions recognise senders with. */
export interface SenderChecks {
  readonly fingerprints: Fingerprints | null;
  readonly cookieKeys: readonly SenderKey[] | null;
}

/** Who sends a request, and what shows it. */
export const SENDER_PROVIDERS: readonly Provider[] = [
  {
    provide: ClientAddress,
    useFactory: ({ transport }: ResolvedConfig) =>
      new ClientAddress(transport.trustedProxies, transport.forwardedHeader),
    inject: [CONFIG],
  },
  {
    provide: SENDER_CHECKS,
    useFactory: senderChecks,
    inject: [CONFIG, ClientAddress, Clock, SecurityEvents],
  },
  {
    provide: SenderProofs,
    useFactory: (
      { binding, storage }: ResolvedConfig,
      addresses: ClientAddress,
      { fingerprints }: SenderChecks,
      clock: Clock,
      events: SecurityEvents,
    ) => {
      const { dpop, mtls, required } = binding;
      return new SenderProofs({
        dpop:
          dpop &&
          new DpopProofs(dpop, {
            replays: carriedBy(storage.replayStore),
            counter: carriedBy(storage.attemptStore),
            clock,
            events,
          }),
        certificates: mtls && new ClientCertificates(mtls),
        fingerprints,
        addresses,
        readCookie: ({ headers }) =>
          typeof headers['cookie'] === 'string'
            ? readCookie(headers['cookie'], COOKIE_NAMES.sender)
            : undefined,
        required,
        clock,
        events,
      });
    },
    inject: [CONFIG, ClientAddress, SENDER_CHECKS, Clock, SecurityEvents],
  },
];

/** For tests too, which do without Nest. */
export function senderChecks(
  { binding, storage }: Pick<ResolvedConfig, 'binding' | 'storage'>,
  addresses: ClientAddress,
  clock: Clock,
  events: SecurityEvents,
): SenderChecks {
  const { fingerprint, secrets } = binding;
  return {
    fingerprints:
      fingerprint &&
      new Fingerprints(fingerprint, {
        addresses,
        replays: carriedBy(storage.replayStore),
        counter: carriedBy(storage.attemptStore),
        clock,
        events,
      }),
    cookieKeys: secrets && secrets.derive(SENDER_COOKIE_PURPOSE),
  };
}
