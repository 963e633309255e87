import { LRUCache } from 'lru-cache';

import type { Clock } from '../kernel/clock.js';
import { TokenError } from '../kernel/errors.js';
import type { CertificatePins } from '../keys/remote/certificate-pins.js';
import { createTrust, type DocumentKind } from '../keys/remote/document-fetch.js';
import type { RemoteJwks } from '../keys/remote/remote-jwks.js';
import { ElapsedTime } from '../keys/remote/remote-freshness.js';
import type { VerifiedToken } from '../tokens/verified-token.js';
import {
  RemoteStatusList,
  type StatusListFailure,
  type StatusListFreshness,
} from './remote-status-list.js';
import { readStatusClaim, type StatusClaimRules, type StatusPlace } from './status-reference.js';
import { type ListRules, StatusListVerifier } from './status-list-token.js';

/** One issuer whose status lists are read. Lengths in milliseconds, but `leeway` in seconds. */
export interface StatusListIssuer extends ListRules, StatusListFreshness, StatusClaimRules {
  /** From where its lists may be fetched, and which certificates are shown there. */
  readonly origins: ReadonlyMap<string, CertificatePins | null>;
  /** For one fetch, from the name to the last byte. */
  readonly timeout: number;
  /** Trust anchors beside those of the runtime, in PEM. */
  readonly ca?: readonly string[];
}

/** What a list says of a token (Token Status List §7.1). */
export type TokenStatus =
  /** It names no list. */
  | { readonly status: 'unlisted' }
  | { readonly status: 'valid' | 'invalid' | 'suspended' }
  /** Anything else, for the application to know. */
  | { readonly status: 'other'; readonly value: number };

/** What happens between us and a list, in words safe for any log. */
export interface StatusListIncident {
  readonly issuer: string;
  readonly origin: string;
  /** `null`: it can be had again. */
  readonly failure: StatusListFailure | null;
}

export interface ReaderSurroundings {
  readonly clock: Clock;
  readonly keysOf: (issuer: string) => Pick<RemoteJwks, 'find' | 'stands'>;
  readonly report: (incident: StatusListIncident) => void;
}

/** Lists of one issuer kept at a time, and their bytes. */
const MAX_LISTS = 1_000;
const MAX_BYTES = 64 * 1024 * 1024;
/** What a list costs that is not there. */
const EMPTY = 2_048;

const MEDIA_TYPE = 'application/statuslist+jwt';

/**
 * Whether other issuers have withdrawn their tokens, by the status lists that these name. Lists come
 * only from origins that were configured for the issuer of the token, and are signed by its keys.
 */
export class StatusListReader {
  readonly #issuers: ReadonlyMap<string, IssuerLists>;
  readonly #calledOff = new AbortController();

  /** @throws TypeError if an anchor is not a certificate */
  constructor(issuers: readonly StatusListIssuer[], surroundings: ReaderSurroundings) {
    const { signal } = this.#calledOff;
    this.#issuers = new Map(
      issuers.map((issuer) => [issuer.issuer, new IssuerLists(issuer, surroundings, signal)]),
    );
  }

  /**
   * What is known of a token: at once where its list is known, a promise where it must be fetched.
   * @throws TokenError `ERR_TOKEN_CLAIM_INVALID` if what it names is no place on a list of its issuer
   * @throws RevocationError if its list cannot be had; as a rejection where a promise was answered
   */
  status(token: VerifiedToken): TokenStatus | Promise<TokenStatus> {
    const lists = this.#issuers.get(token.issuer);
    if (lists === undefined) return { status: 'unlisted' };
    const place = readStatusClaim(token.claims, lists.rules);
    if (place === undefined) return { status: 'unlisted' };
    const value = lists.find(place);
    return value instanceof Promise ? value.then(interpret) : interpret(value);
  }

  /**
   * Passes a token that is valid, or of which no list is named.
   * @throws TokenError `ERR_TOKEN_REVOKED` for every other status, known or not; and as `status`
   */
  assertValid(token: VerifiedToken): void | Promise<void> {
    const status = this.status(token);
    return status instanceof Promise ? status.then(assertPassing) : assertPassing(status);
  }

  onModuleDestroy(): void {
    this.close();
  }

  /** Ends what is under way. Lists that are not known cannot be had from here on. */
  close(): void {
    this.#calledOff.abort();
  }
}

/** The lists of one issuer. Another issuer cannot crowd them out. */
class IssuerLists {
  readonly #issuer: StatusListIssuer;
  readonly #surroundings: ReaderSurroundings;
  readonly #signal: AbortSignal;
  readonly #keys: Pick<RemoteJwks, 'find' | 'stands'>;
  readonly #verifier: StatusListVerifier;
  readonly #trust: ReturnType<typeof createTrust>;
  readonly #kind: DocumentKind;
  readonly #time: ElapsedTime;
  readonly #lists: LRUCache<string, RemoteStatusList>;

  constructor(issuer: StatusListIssuer, surroundings: ReaderSurroundings, signal: AbortSignal) {
    const { maxListBytes, ca = [] } = issuer;
    this.#issuer = issuer;
    this.#surroundings = surroundings;
    this.#signal = signal;
    this.#keys = surroundings.keysOf(issuer.issuer);
    this.#verifier = new StatusListVerifier(issuer, this.#keys);
    this.#trust = createTrust(ca);
    // Incompressible, and twice in base64.
    const maxBytes = Math.ceil(maxListBytes * 1.8) + 16_384;
    this.#kind = { accept: MEDIA_TYPE, mediaTypes: new Set([MEDIA_TYPE]), maxBytes };
    this.#time = new ElapsedTime(surroundings.clock);
    this.#lists = new LRUCache({
      max: MAX_LISTS,
      maxSize: Math.max(MAX_BYTES, 2 * maxListBytes),
      sizeCalculation: ({ size }) => size + EMPTY,
    });
  }

  get rules(): StatusClaimRules {
    return this.#issuer;
  }

  find(place: StatusPlace): number | Promise<number> {
    const list = this.#lists.get(place.uri) ?? this.#open(place);
    const status = list.at(place.index);
    return status instanceof Promise ? status.then(onTheList) : onTheList(status);
  }

  #open({ uri, url }: StatusPlace): RemoteStatusList {
    const { issuer, origins, timeout } = this.#issuer;
    const { origin } = url;
    const list: RemoteStatusList = new RemoteStatusList({
      uri,
      source: { url, pins: origins.get(origin) ?? null, trust: this.#trust, timeout },
      kind: this.#kind,
      verifier: this.#verifier,
      keys: this.#keys,
      freshness: this.#issuer,
      time: this.#time,
      signal: this.#signal,
      report: ({ failure }) => this.#report({ issuer, origin, failure }),
      // Its length is counted anew, unless it had to give way meanwhile.
      onChange: () => {
        if (this.#lists.peek(uri) === list) this.#lists.set(uri, list);
      },
    });
    this.#lists.set(uri, list);
    return list;
  }

  #report(incident: StatusListIncident): void {
    try {
      this.#surroundings.report(incident);
    } catch {
      // What hears of it decides nothing.
    }
  }
}

function onTheList(status: number | undefined): number {
  if (status !== undefined) return status;
  throw new TokenError('ERR_TOKEN_CLAIM_INVALID', 'the index in status is beyond its list');
}

function interpret(value: number): TokenStatus {
  switch (value) {
    case 0:
      return { status: 'valid' };
    case 1:
      return { status: 'invalid' };
    case 2:
      return { status: 'suspended' };
    default:
      return { status: 'other', value };
  }
}

function assertPassing({ status }: TokenStatus): void {
  if (status === 'valid' || status === 'unlisted') return;
  throw new TokenError('ERR_TOKEN_REVOKED', 'its status list does not call it valid');
}
