import type { SecurityEvents } from '../../events/security-events.js';
import type { ClientAddress } from '../client-address.js';
import type { SenderRequest } from '../sender-request.js';
import { type Drift, driftFrom, responseTo } from './drift.js';
import type { FingerprintClaim, TraitValues } from './fingerprint-claim.js';
import {
  type FingerprintConfig,
  type Measure,
  type Response,
  worstOf,
} from './fingerprint-config.js';
import { type ChangeMemory, RapidChanges } from './rapid-changes.js';
import { SeenSenders } from './seen-senders.js';
import { SenderSignals } from './sender-signals.js';
import { TraitDigests } from './trait-digests.js';
import { TraitReader } from './trait-reader.js';

export type SenderVerdict = 'pass' | 'stepUp' | 'refuse';

/** An access token as far as it is told by whom it is shown. */
export interface FingerprintedToken {
  readonly fingerprint: FingerprintClaim;
  readonly sessionId: string | undefined;
  readonly tokenId: string;
}

interface Shown {
  readonly claim: FingerprintClaim;
  readonly sessionId: string | undefined;
  /** `undefined` for a session that is refreshed. */
  readonly jti: string | undefined;
}

/**
 * Tells whether a token is shown by the one it was issued to, by what anybody can see of a request: a
 * thief with nothing but the token rarely looks like its owner. It proves nothing; a thief who knows
 * what the owner looks like can look the same. Proofs are DPoP and client certificates.
 *
 * Values are never stored, only digests of them under a salt of their own; in memory they are kept
 * beside the token they came with, to recognise the next request.
 */
export class Fingerprints {
  readonly #events: SecurityEvents;
  readonly #clock: ChangeMemory['clock'];
  readonly #reader: TraitReader;
  readonly #digests: TraitDigests;
  readonly #rapid: RapidChanges | null;
  readonly #seen = new WeakMap<FingerprintClaim, SeenSenders<SenderVerdict>>();

  constructor(
    private readonly config: FingerprintConfig,
    parts: ChangeMemory & { readonly addresses: ClientAddress; readonly events: SecurityEvents },
  ) {
    this.#events = parts.events;
    this.#clock = parts.clock;
    this.#reader = new TraitReader(config, parts.addresses);
    this.#digests = new TraitDigests(config.secrets);
    const { rapid, secrets } = config;
    this.#rapid = rapid && new RapidChanges(rapid, parts, secrets);
  }

  signalsOf(request: SenderRequest): SenderSignals {
    return new SenderSignals(this.#reader.read(request));
  }

  /** What a token says of its sender; another one each time. */
  claimOf(signals: SenderSignals): FingerprintClaim {
    return this.#digests.claimOf(SenderSignals.valuesOf(signals));
  }

  /**
   * For every request with a token; at once, unless the sender differs and was not seen here before.
   * @throws StoreError if it cannot be said whether there are too many senders
   */
  check(
    request: SenderRequest,
    { fingerprint: claim, sessionId, tokenId: jti }: FingerprintedToken,
  ): SenderVerdict | Promise<SenderVerdict> {
    let seen = this.#seen.get(claim);
    if (seen === undefined) this.#seen.set(claim, (seen = new SeenSenders(this.#reader)));
    const known = seen.find(request);
    if (known !== undefined) return known;
    const values = this.#reader.read(request);
    const judge = () => this.#judge(values, { claim, sessionId, jti });
    return seen.judge(request, JSON.stringify(values), judge);
  }

  /**
   * For a refresh: the sender of now, beside the one the session was last refreshed by.
   * @throws StoreError if it cannot be said whether there are too many senders
   */
  compare(
    signals: SenderSignals,
    baseline: FingerprintClaim,
    { sessionId }: { readonly sessionId: string },
  ): SenderVerdict | Promise<SenderVerdict> {
    const shown = { claim: baseline, sessionId, jti: undefined };
    return this.#judge(SenderSignals.valuesOf(signals), shown);
  }

  #judge(values: TraitValues, shown: Shown): SenderVerdict | Promise<SenderVerdict> {
    const digest = this.#digests.of(shown.claim);
    const drift = digest && driftFrom(shown.claim, digest, { ...this.config, values });
    // A binding that cannot be checked is a refusal.
    if (!drift?.isComparable) {
      this.#tellMismatch('fingerprint', 'refuse', shown);
      return 'refuse';
    }
    const { thresholds, address } = this.config;
    const response = responseTo(drift.score, thresholds);
    const atAddress = address !== null && drift.addressChanged ? address.response : 'pass';
    const decide = (measure: Response): SenderVerdict => {
      this.#tellDrift(drift, worstOf(response, measure), shown);
      if (atAddress !== 'pass') this.#tellMismatch('address', atAddress, shown);
      return verdictOf(worstOf(worstOf(response, measure), atAddress));
    };
    const rapid = this.#rapid;
    // Who is refused anyway need not be counted, and cannot fill a store.
    const isCounted = drift.signals.length > 0 && worstOf(response, atAddress) !== 'refuse';
    if (rapid === null || !isCounted) return decide('pass');
    return rapid.responseTo(nameOf(shown), values).then(decide);
  }

  #tellDrift({ signals, score }: Drift, response: Response, shown: Shown): void {
    if (signals.length === 0) return;
    if (response === 'stepUp' || response === 'refuse') {
      this.#tellMismatch('fingerprint', response, shown);
      return;
    }
    const fields = { ...whose(shown), signals, score, response };
    this.#events.emit({ type: 'binding.drifted', at: this.#now(), ...fields });
  }

  #tellMismatch(kind: 'fingerprint' | 'address', response: Measure, shown: Shown): void {
    const fields = { ...whose(shown), kind, response };
    this.#events.emit({ type: 'binding.mismatched', at: this.#now(), ...fields });
  }

  #now(): Date {
    return new Date(this.#clock.now());
  }
}

function verdictOf(response: Response): SenderVerdict {
  return response === 'note' ? 'pass' : response;
}

function nameOf({ sessionId, jti }: Shown): string {
  return sessionId === undefined ? `token ${jti}` : `session ${sessionId}`;
}

function whose({ sessionId, jti }: Shown): { readonly sessionId?: string; readonly jti?: string } {
  return {
    ...(sessionId === undefined ? {} : { sessionId }),
    ...(jti === undefined ? {} : { jti }),
  };
}
