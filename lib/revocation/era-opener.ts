import type { Clock } from '../kernel/clock.js';
import { StoreError } from '../kernel/errors.js';
import { randomUpTo } from '../kernel/ids.js';
import { floorOf, unsparedEra } from './revocable-token.js';
import type { Revocation } from './revocation-entry.js';
import type { RevocationFeed } from './revocation-feed.js';
import type { RevocationIndex } from './revocation-index.js';
import type { Revoked } from './revoked.js';

/** What an era is opened for. */
export interface EraRequest {
  readonly kind: 'subject' | 'version' | 'everything';
  /** Of the subject; empty for `everything`. */
  readonly digest: string;
  /** Of the one thing of the subject that is spared. */
  readonly exempt: string | undefined;
  /** Milliseconds until it cannot concern any token. */
  readonly lasts: number;
}

/** What eras are opened with. */
export interface EraSurroundings {
  readonly index: RevocationIndex;
  readonly feed: Pick<RevocationFeed, 'watch' | 'latestExemption'>;
  readonly clock: Clock;
  /** Resolves once everything that is in the log is in the index. */
  readonly catchUp: (kind: EraRequest['kind']) => Promise<void>;
  /** Resolves once the log has it and this instance enforces it. */
  readonly make: (revocation: Revocation) => Promise<Revoked>;
}

/** Each time the highest of those who open one at once is done, so this is for many instances. */
const ATTEMPTS = 20;

/** Eras by which two attempts are set apart. */
const SPREAD = 16;

/** A request to end all but one thing of a subject. */
interface SparingRequest extends EraRequest {
  readonly exempt: string;
}

/**
 * Opens eras: each is higher than any that a token can carry when it is asked for.
 *
 * One that spares nothing is an entry of its own, which nothing hides: an attacker who keeps changing
 * the password, sparing their own session, does not outlive the operator who ends everything. Of
 * those that spare something the index keeps the latest of a subject. Hence one of these at a time
 * for each subject on this instance, and whoever finds in the log that another instance was quicker
 * makes good what that hides.
 */
export class EraOpener {
  readonly #surroundings: EraSurroundings;
  readonly #busy = new Map<string, Promise<unknown>>();
  /** Those that have not begun, by subject and what they spare: who asks for the same shares them. */
  readonly #waiting = new Map<string, Promise<Revoked>>();
  /** The highest era that was chosen here, in the log or not yet. */
  #latest = 0;

  constructor(surroundings: EraSurroundings) {
    this.#surroundings = surroundings;
  }

  async open(request: EraRequest): Promise<Revoked> {
    const { kind, digest, exempt } = request;
    if (exempt !== undefined) return this.#openInTurn({ ...request, exempt });
    const { catchUp, make } = this.#surroundings;
    await catchUp(kind);
    const { since, until } = this.#chooseEra(request, 1);
    return make({ kind, digest, since, until });
  }

  #openInTurn(request: SparingRequest): Promise<Revoked> {
    const { digest, exempt } = request;
    const name = `${digest}${exempt}`;
    const waiting = this.#waiting.get(name);
    if (waiting !== undefined) return waiting;
    const before = this.#busy.get(digest) ?? Promise.resolve();
    const opened = before
      .catch(() => {})
      .then(() => {
        this.#waiting.delete(name);
        return this.#openSparing(request);
      });
    this.#waiting.set(name, opened);
    const done = opened
      .catch(() => {})
      .finally(() => {
        if (this.#busy.get(digest) === done) this.#busy.delete(digest);
      });
    this.#busy.set(digest, done);
    return opened;
  }

  async #openSparing(request: SparingRequest): Promise<Revoked> {
    const { kind, digest, exempt } = request;
    const { feed, index, catchUp, make } = this.#surroundings;
    for (let attempt = 1; attempt <= ATTEMPTS; attempt++) {
      await catchUp(kind);
      // At once: what is read between choosing and watching would be neither known nor noted.
      const era = this.#chooseEra(request, attempt);
      const rivals = new Rivals(request, era.since, index.find('exemption', exempt, era.now));
      const unwatch = feed.watch((revocation) => rivals.note(revocation));
      try {
        await this.#spare(digest, exempt, era);
        const { since, until } = era;
        const revoked = await make({ kind: 'others', digest, since, until });
        // What stands before it in the log, although it was not known when the era was chosen.
        await catchUp(kind);
        const hidden = rivals.unspared;
        if (hidden > 0) await this.#raiseFloor(exempt, hidden, until);
        if (rivals.latest < since) return revoked;
      } finally {
        unwatch();
      }
    }
    throw new StoreError(
      'ERR_STORE_UNAVAILABLE',
      'Too many instances revoke the tokens of one subject at once.',
    );
  }

  #chooseEra({ lasts }: EraRequest, attempt: number): Era {
    const { index, feed, clock } = this.#surroundings;
    const now = Math.floor(clock.now());
    // Higher than any a token can carry by now, although clocks disagree.
    const known = Math.max(index.latestEra, feed.latestExemption, this.#latest);
    // Two that chose the same would choose the same again.
    const since = Math.max(now, known + 1) + randomUpTo(SPREAD * (attempt - 1));
    this.#latest = since;
    return { now, since, until: now + lasts };
  }

  /** Spares a session or a token of a subject, but nothing of it that was not spared before. */
  async #spare(subject: string, exempt: string, { now, since, until }: Era): Promise<void> {
    const { index, make } = this.#surroundings;
    const floor = unsparedEra(index, { subject, exempt }, now);
    if (floor !== undefined) await this.#raiseFloor(exempt, floor, until);
    // First, or what is to be spared would be refused for a moment.
    await make({ kind: 'exemption', digest: exempt, since, until });
  }

  async #raiseFloor(exempt: string, since: number, until: number): Promise<void> {
    const { make } = this.#surroundings;
    await make({ kind: 'exemption', digest: floorOf(exempt), since, until });
  }
}

/** An era that was chosen, and when. */
interface Era extends Pick<Revocation, 'since' | 'until'> {
  readonly now: number;
}

/** What others opened for the same subject while an era was on its way into the log. */
class Rivals {
  readonly #request: SparingRequest;
  readonly #own: number;
  readonly #eras: number[] = [];
  /** The eras of those that spare the same as this one. */
  readonly #spared: number[];

  constructor(request: SparingRequest, own: number, lastSpared: number | undefined) {
    this.#request = request;
    this.#own = own;
    this.#spared = lastSpared === undefined ? [] : [lastSpared];
  }

  note({ kind, digest, since }: Revocation): void {
    const { exempt, digest: subject } = this.#request;
    const isOwn = since === this.#own;
    if (kind === 'others') {
      if (digest === subject && !isOwn) this.#eras.push(since);
    } else if (kind === 'exemption' && digest === exempt) {
      if (!isOwn) this.#spared.push(since);
    } else if (kind === 'exemption' && isOwn) {
      // Another instance chose this very era, to spare something else; of whom, nobody can say.
      this.#eras.push(since);
    }
  }

  /** The highest of all; 0 if there is none. */
  get latest(): number {
    return Math.max(0, ...this.#eras);
  }

  /** The highest that did not spare the same; 0 if there is none. */
  get unspared(): number {
    return Math.max(0, ...this.#eras.filter((era) => !this.#spared.includes(era)));
  }
}
