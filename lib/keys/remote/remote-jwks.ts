import { X509Certificate } from 'node:crypto';

import type { Clock } from '../../kernel/clock.js';
import { KeyError } from '../../kernel/errors.js';
import { randomUpTo } from '../../kernel/ids.js';
import type { SigningAlgorithm } from '../algorithms.js';
import type { CertificatePins } from './certificate-pins.js';
import {
  createTrust,
  type DocumentSource,
  documentUrlFault,
  FetchError,
} from './document-fetch.js';
import { type JwksDocument, JwksDocumentError, readJwksDocument } from './jwks-document.js';
import { fetchJwks } from './jwks-fetch.js';
import type { VerificationKey } from '../key-material.js';
import {
  ElapsedTime,
  type Freshness,
  freshnessOf,
  type FreshnessPolicy,
  retryDelay,
} from './remote-freshness.js';
import type { RefreshFailure, RemoteJwksIncident } from './remote-incident.js';
import { RemoteReporter } from './remote-reporter.js';
import { UnknownKids } from './remote-unknown-kids.js';

/** One issuer whose tokens are accepted. Lengths in milliseconds. */
export interface RemoteJwksConfig extends FreshnessPolicy {
  readonly issuer: string;
  readonly jwksUri: URL;
  /** What its tokens may be signed with. */
  readonly algorithms: readonly SigningAlgorithm[];
  /** `null` to trust every certificate authority the runtime trusts. */
  readonly pins: CertificatePins | null;
  /** For one fetch, from the name to the last byte. */
  readonly timeout: number;
  /** Trust anchors beside those of the runtime, in PEM. */
  readonly ca?: readonly string[];
}

/** For `/health` and operators; public facts only. */
export interface RemoteJwksStatus {
  readonly issuer: string;
  /**
   * `idle` before the first fetch, `stale` while keys are used beyond their time because the issuer
   * is down, `unavailable` when there are none left to use.
   */
  readonly state: 'idle' | 'fresh' | 'stale' | 'unavailable' | 'closed';
  readonly kids: readonly string[];
  readonly fetchedAt: Date | null;
  readonly usableUntil: Date | null;
  /** Refreshes that failed in a row. */
  readonly failures: number;
  readonly lastFailure: RefreshFailure | 'pin-mismatch' | null;
}

/** What stands since one successful refresh. */
interface Standing extends Freshness {
  readonly startedAt: number;
  readonly document: JwksDocument;
}

interface Failing {
  readonly failures: number;
  readonly reason: RefreshFailure | 'pin-mismatch' | null;
  readonly retryAt: number;
}

const NOT_FAILING: Failing = { failures: 0, reason: null, retryAt: -Infinity };

/** A timer is looked at no more often, and no less: it cannot see a clock that was moved. */
const MIN_PAUSE = 1_000;
const MAX_PAUSE = 60_000;

/**
 * The public keys of another issuer. Known keys are answered at once, whatever else goes on; only a
 * complete document of a recognised server replaces them; and as long as the issuer cannot be asked,
 * a key that is not known is "unavailable" and never "unknown".
 */
export class RemoteJwks {
  readonly #config: RemoteJwksConfig;
  readonly #source: DocumentSource;
  readonly #time: ElapsedTime;
  readonly #report: RemoteReporter;
  readonly #unknown: UnknownKids;
  readonly #calledOff = new AbortController();
  #standing: Standing | undefined;
  #failing = NOT_FAILING;
  #refreshing: Promise<void> | undefined;
  #timer: NodeJS.Timeout | undefined;

  /** @throws TypeError if the URL is not a fixed https one, or an anchor is not a certificate */
  constructor(
    config: RemoteJwksConfig,
    clock: Clock,
    report: (incident: RemoteJwksIncident) => void,
  ) {
    const fault = documentUrlFault(config.jwksUri);
    if (fault !== undefined) throw new TypeError(`jwksUri cannot be used: ${fault}`);
    this.#config = config;
    if (!(config.ca ?? []).every(isCertificate)) throw new TypeError('ca is not a PEM certificate');
    // A copy: a URL can be changed by whoever holds it.
    const url = new URL(config.jwksUri);
    const { pins, timeout, ca = [] } = config;
    this.#source = { url, pins, timeout, trust: createTrust(ca) };
    this.#time = new ElapsedTime(clock);
    this.#report = new RemoteReporter(config.issuer, report);
    this.#unknown = new UnknownKids(config.cooldown);
  }

  /**
   * The key with this `kid`: at once where it is known, a promise where the issuer must be asked,
   * `undefined` if the issuer has none.
   * @throws KeyError `ERR_KEY_ISSUER_UNAVAILABLE` if the issuer cannot be asked and what is known of it is too old; as a
   * rejection where a promise was answered
   */
  find(kid: string): VerificationKey | undefined | Promise<VerificationKey | undefined> {
    const now = this.#time.now();
    this.#refreshIfDue(now, kid);
    const known = this.#usable(now)?.keys.get(kid);
    if (known !== undefined) return known;
    if (this.#refreshing !== undefined) return this.#findAfter(this.#refreshing, kid);
    if (this.#isUnsure(now)) throw this.#unavailable();
    if (!this.#unknown.claimLook(kid, now)) return undefined;
    return this.#findAfter(this.#refresh(), kid);
  }

  /** Whether this very key may still be used, for what was verified with it before. */
  stands(key: VerificationKey): boolean {
    const now = this.#time.now();
    this.#refreshIfDue(now, undefined);
    return this.#usable(now)?.keys.get(key.kid) === key;
  }

  /**
   * Fetches the keys ahead of the first token.
   * @throws KeyError `ERR_KEY_ISSUER_UNAVAILABLE` if they cannot be had; `find` tries again by itself
   */
  async prefetch(): Promise<void> {
    const now = this.#time.now();
    this.#refreshIfDue(now, undefined);
    if (this.#usable(now) === undefined) await this.#refreshing;
    if (this.#usable(this.#time.now()) === undefined) throw this.#unavailable();
  }

  /** Ends the timer and the fetch under way. Every `find` fails from here on. */
  close(): void {
    this.#calledOff.abort();
    clearTimeout(this.#timer);
    this.#standing = undefined;
  }

  status(): RemoteJwksStatus {
    const now = this.#time.now();
    const standing = this.#standing;
    return {
      issuer: this.#config.issuer,
      state: this.#state(now),
      kids: [...(standing?.document.keys.keys() ?? [])],
      fetchedAt: standing === undefined ? null : this.#time.wallTime(standing.startedAt),
      usableUntil: this.#usableUntil(),
      failures: this.#failing.failures,
      lastFailure: this.#failing.reason,
    };
  }

  #state(now: number): RemoteJwksStatus['state'] {
    if (this.#calledOff.signal.aborted) return 'closed';
    if (this.#standing === undefined) return this.#failing.failures > 0 ? 'unavailable' : 'idle';
    if (now < this.#standing.expiresAt) return 'fresh';
    return now < this.#standing.usableUntil ? 'stale' : 'unavailable';
  }

  /** What may be used without asking. Beyond its time, only while the issuer is known to be down. */
  #usable(now: number): JwksDocument | undefined {
    const standing = this.#standing;
    if (standing === undefined || now >= standing.usableUntil) return undefined;
    return now < standing.expiresAt || this.#failing.failures > 0 ? standing.document : undefined;
  }

  /** Whether a key that is not known might exist all the same. */
  #isUnsure(now: number): boolean {
    return this.#failing.failures > 0 || this.#usable(now) === undefined;
  }

  async #findAfter(refreshing: Promise<void>, kid: string): Promise<VerificationKey | undefined> {
    await refreshing;
    const now = this.#time.now();
    const known = this.#usable(now)?.keys.get(kid);
    if (known !== undefined) {
      this.#unknown.noteFound(kid);
      return known;
    }
    if (this.#isUnsure(now)) throw this.#unavailable();
    this.#unknown.noteMissing(kid, now);
    return undefined;
  }

  #refreshIfDue(now: number, kid: string | undefined): void {
    if (this.#refreshing !== undefined || this.#calledOff.signal.aborted) return;
    if (now < this.#dueAt()) return;
    // The first fetch looks for this kid too: a flood at the start is no reason for a second one.
    if (kid !== undefined && this.#usable(now) === undefined) this.#unknown.claimLook(kid, now);
    void this.#refresh();
  }

  #dueAt(): number {
    return this.#failing.failures > 0
      ? this.#failing.retryAt
      : (this.#standing?.refreshAt ?? -Infinity);
  }

  /** Fetches once, however many ask. Never rejects: what went wrong is kept and reported. */
  #refresh(): Promise<void> {
    this.#refreshing ??= this.#fetch().finally(() => {
      this.#refreshing = undefined;
      this.#schedule();
    });
    return this.#refreshing;
  }

  async #fetch(): Promise<void> {
    const startedAt = this.#time.now();
    try {
      const { body, maxAge } = await fetchJwks(this.#source, this.#calledOff.signal);
      const document = await readJwksDocument(body, this.#config.algorithms);
      if (!this.#calledOff.signal.aborted) this.#adopt(document, startedAt, maxAge);
    } catch (error) {
      if (!this.#calledOff.signal.aborted) this.#noteFailure(error);
    }
  }

  #adopt(document: JwksDocument, startedAt: number, maxAge: number | null): void {
    const before = this.#standing?.document.keys;
    // A key that did not change stays the same object: what was verified with it still stands.
    const keys = new Map(
      [...document.keys].map(([kid, key]) => {
        const known = before?.get(kid);
        return [kid, known !== undefined && isSame(known, key) ? known : key];
      }),
    );
    this.#standing = {
      ...freshnessOf(startedAt, maxAge, this.#config, jitter()),
      startedAt,
      document: { ...document, keys },
    };
    const { failures } = this.#failing;
    this.#failing = NOT_FAILING;
    if (failures > 0) this.#report.recovered(failures);
    this.#report.skipped(document.skipped);
    this.#report.changed(before ?? new Map(), keys);
  }

  #noteFailure(error: unknown): void {
    const failures = this.#failing.failures + 1;
    const pause = retryDelay(failures, this.#config.cooldown, jitter());
    const retryAt = this.#time.now() + pause;
    const fields = { failures, usableUntil: this.#usableUntil() };
    if (error instanceof FetchError && error.shown !== undefined) {
      this.#failing = { failures, retryAt, reason: 'pin-mismatch' };
      this.#report.pinMismatch({ severity: 'critical', shown: error.shown, ...fields });
      return;
    }
    if (error instanceof JwksDocumentError) this.#report.skipped(error.skipped);
    const { failure, detail } = describe(error);
    this.#failing = { failures, retryAt, reason: failure };
    this.#report.refreshFailed({ severity: 'warning', failure, detail, ...fields });
  }

  #usableUntil(): Date | null {
    return this.#standing === undefined ? null : this.#time.wallTime(this.#standing.usableUntil);
  }

  /** A refresh needs no request: a service that has a pause answers the next one at once too. */
  #schedule(): void {
    clearTimeout(this.#timer);
    if (this.#calledOff.signal.aborted) return;
    const wait = this.#dueAt() - this.#time.now();
    this.#timer = setTimeout(
      () => {
        this.#refreshIfDue(this.#time.now(), undefined);
        if (this.#refreshing === undefined) this.#schedule();
      },
      Math.min(Math.max(wait, MIN_PAUSE), MAX_PAUSE),
    ).unref();
  }

  #unavailable(): KeyError {
    return new KeyError('ERR_KEY_ISSUER_UNAVAILABLE', 'The keys of the issuer are not available.');
  }
}

function describe(error: unknown): {
  readonly failure: RefreshFailure;
  readonly detail: string;
} {
  if (error instanceof FetchError) {
    // A mismatch always shows what did not match, and is told apart by it.
    const failure = error.failure === 'pin-mismatch' ? 'unexpected' : error.failure;
    return { failure, detail: error.message };
  }
  if (error instanceof JwksDocumentError) return { failure: error.fault, detail: error.message };
  // Whose message it is, nobody knows.
  const name = error instanceof Error ? error.name : typeof error;
  return { failure: 'unexpected', detail: `The refresh failed (${name}).` };
}

/** What is none is silently left out by OpenSSL, and every fetch would fail for no visible reason. */
function isCertificate(pem: string): boolean {
  try {
    return new X509Certificate(pem).raw.length > 0;
  } catch {
    return false;
  }
}

function isSame(a: VerificationKey, b: VerificationKey): boolean {
  // Both were built by the same code, so the order of the members is the same too.
  return JSON.stringify(a.publicJwk) === JSON.stringify(b.publicJwk);
}

function jitter(): number {
  return randomUpTo(1_000) / 1_000;
}
