import type { Clock } from '../kernel/clock.js';
import { entityTag } from '../kernel/entity-tag.js';
import type { PublicJwk } from './key-material.js';

/** A JWK Set (RFC 7517 §5), serialised once and served many times. */
export class Jwks {
  readonly keys: readonly PublicJwk[];
  /** The document as JSON text. */
  readonly body: string;
  /** A strong entity tag (RFC 9110 §8.8.3): equal tags mean equal bytes. */
  readonly etag: string;
  readonly #maxAge: number;
  readonly #changesAt: number;
  readonly #clock: Clock;

  constructor(keys: readonly PublicJwk[], maxAge: number, changesAt: number, clock: Clock) {
    this.keys = keys;
    this.body = JSON.stringify({ keys });
    this.etag = entityTag(this.body);
    this.#maxAge = maxAge;
    this.#changesAt = changesAt;
    this.#clock = clock;
  }

  /**
   * How long a verifier may keep it, in whole seconds: as configured, but never beyond the next
   * change of the ring, so that a new key is fetched as soon as it is published.
   */
  maxAgeSeconds(): number {
    const untilChange = Math.max(0, this.#changesAt - this.#clock.now());
    return Math.floor(Math.min(this.#maxAge, untilChange) / 1000);
  }
}
