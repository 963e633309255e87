import type { Clock } from '../kernel/clock.js';
import { entityTag } from '../kernel/entity-tag.js';
import type { KeyRingService } from '../keys/key-ring.service.js';
import type { RevocableNames } from '../revocation/revocable-token.js';
import type { AllocatedList } from './allocated-list.js';
import type { AllocationBook } from './allocation-book.js';
import { signStatusList } from './list-signature.js';
import { closesAt, formatListName, parseListName } from './list-name.js';
import { encodeStatuses } from './status-bits.js';

/** How lists are published. Lengths in seconds. */
export interface PublicationPolicy {
  readonly issuer: string;
  readonly baseUri: string;
  /** How long a verifier goes by a list before it asks for the next. */
  readonly ttl: number;
  /** How long a list is good while no next one can be had; at least twice `ttl`. */
  readonly lifetime: number;
  readonly maxLifetime: number;
  readonly leeway: number;
}

/** What lists are made from. */
export interface PublicationSources {
  readonly book: AllocationBook;
  readonly keyRing: KeyRingService;
  readonly clock: Clock;
  readonly revocations: RevocationSource;
}

/** What is known of revocations. */
export interface RevocationSource {
  isRevoked(token: RevocableNames): boolean;
  /** @throws RevocationError when too long nothing was heard of the log */
  assertCurrent(): void;
  /** Resolves once all that was in the log has been read. */
  catchUp(): Promise<void>;
}

/** A list ready to serve. */
export interface PublishedStatusList {
  /** The compact serialisation of a Status List Token. */
  readonly body: string;
  /** Strong, quotes included. */
  readonly etag: string;
  /** Seconds for which a verifier may keep it from now on. */
  readonly maxAge: number;
}

/** What was signed last. Instants in milliseconds. */
interface Standing {
  readonly body: string;
  readonly etag: string;
  readonly kid: string;
  /** Of the list when it was encoded. */
  readonly revision: number;
  readonly signedAt: number;
  readonly expiresAt: number;
  /** When nothing newer was known. */
  readonly checkedAt: number;
}

/** Milliseconds for which a list is not looked at again: what a flood of requests can cost. */
const LOOK_EVERY = 1_000;

/** Seconds by which clocks of instances may differ: a list can be asked for before it begins here. */
const MAX_SKEW = 300;

/**
 * Serves status lists. A list is brought up to date when it is asked for, at most once a second, and
 * signed anew when it changed, when half of its time is over, or when the key that signed it is gone.
 */
export class StatusListPublisher {
  readonly #policy: PublicationPolicy;
  readonly #sources: PublicationSources;
  readonly #standing = new WeakMap<AllocatedList, Standing>();
  readonly #working = new WeakMap<AllocatedList, Promise<Standing>>();

  constructor(policy: PublicationPolicy, sources: PublicationSources) {
    this.#policy = policy;
    this.#sources = sources;
  }

  /**
   * The list of this name; `undefined` if there is none, or none of its tokens is left.
   * @throws RevocationError, KeyError when what is known may be too old
   */
  async read(name: string): Promise<PublishedStatusList | undefined> {
    const { revocations, clock } = this.#sources;
    if (!this.#isPlausible(name)) return undefined;
    revocations.assertCurrent();
    const list = await this.#find(name);
    if (list === undefined) return undefined;
    const { body, etag, expiresAt } = await this.#current(list);
    const left = Math.floor((expiresAt - clock.now()) / 1000);
    return { body, etag, maxAge: Math.max(0, Math.min(this.#policy.ttl, left)) };
  }

  /** Whether there can be tokens in it, so that only then the log is asked. */
  #isPlausible(text: string): boolean {
    const name = parseListName(text);
    if (name === undefined) return false;
    const { maxLifetime, leeway } = this.#policy;
    const now = this.#sources.clock.now() / 1000;
    return name.start <= now + MAX_SKEW && now < closesAt(name) + maxLifetime + leeway + MAX_SKEW;
  }

  async #find(name: string): Promise<AllocatedList | undefined> {
    const { book, clock, revocations } = this.#sources;
    const known = book.find(name, clock.now());
    if (known !== undefined) return known;
    // Its first token may have been signed a moment ago by another instance.
    await revocations.catchUp();
    return book.find(name, clock.now());
  }

  /** Once, however many ask. */
  #current(list: AllocatedList): Promise<Standing> {
    const working = this.#working.get(list);
    if (working !== undefined) return working;
    const work = this.#refresh(list).finally(() => this.#working.delete(list));
    this.#working.set(list, work);
    return work;
  }

  async #refresh(list: AllocatedList): Promise<Standing> {
    const { clock } = this.#sources;
    const known = this.#standing.get(list);
    const now = clock.now();
    if (known !== undefined && this.#isFresh(known, now)) {
      const sinceLook = now - known.checkedAt;
      if (sinceLook >= 0 && sinceLook < LOOK_EVERY) return known;
      await this.#judge(list);
      if (list.revision === known.revision && this.#isFresh(known, now)) {
        return this.#keep(list, { ...known, checkedAt: now });
      }
    } else {
      await this.#judge(list);
    }
    return this.#keep(list, await this.#sign(list, now));
  }

  #judge(list: AllocatedList): Promise<void> {
    const { revocations } = this.#sources;
    return list.judge((token) => revocations.isRevoked(token));
  }

  #keep(list: AllocatedList, standing: Standing): Standing {
    this.#standing.set(list, standing);
    return standing;
  }

  #isFresh({ kid, signedAt, expiresAt }: Standing, now: number): boolean {
    const { keyRing } = this.#sources;
    const isYoung = now >= signedAt && now < signedAt + (expiresAt - signedAt) / 2;
    return isYoung && keyRing.verificationKey(kid) !== undefined;
  }

  async #sign(list: AllocatedList, now: number): Promise<Standing> {
    const { issuer, baseUri, ttl, lifetime } = this.#policy;
    const { revision } = list;
    const lst = await encodeStatuses(list.statuses);
    const iat = Math.floor(now / 1000);
    const exp = iat + lifetime;
    const sub = `${baseUri}/${formatListName(list.name)}`;
    const claims = { iss: issuer, sub, iat, exp, ttl, status_list: { bits: 1, lst } } as const;
    const { token, kid } = await signStatusList(this.#sources.keyRing, claims);
    return {
      body: token,
      etag: entityTag(token),
      kid,
      revision,
      signedAt: iat * 1000,
      expiresAt: exp * 1000,
      checkedAt: now,
    };
  }
}
