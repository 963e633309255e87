import type { Measure } from '../binding/fingerprint/fingerprint-config.js';
import type { Duration } from '../kernel/duration.js';

/**
 * How the sender of a token is recognised by what its requests look like. A thief who has nothing but
 * the token rarely looks like its owner; one who knows what the owner looks like can look the same, so
 * this is no proof (that is `binding.dpop` or `binding.mtls`).
 *
 * What the sender looked like is kept as digests under a secret and a salt, in its tokens and its
 * session; no longer than these live, and of a session only the last refresh that passed. Each signal
 * can be left out.
 */
export interface FingerprintOptions {
  /**
   * What a change of each signal counts, a whole number from 1 to 100; `null` leaves the signal out: it
   * is not looked at, and no trace of it is kept.
   * @defaultValue see `SignalOptions`
   */
  readonly signals?: SignalOptions;

  /** What is done from which score on. @defaultValue see `ThresholdOptions` */
  readonly thresholds?: ThresholdOptions;

  /**
   * What is done about one session that is shown by many different senders in a short time, however
   * little each of them differs. Needs a storage with a `replayStore` and an `attemptStore`; a sender
   * that differs and was not seen on this instance waits for it, and gets 503 when it fails. `null`: any
   * number may come.
   * @defaultValue see `RapidChangeOptions`
   */
  readonly rapid?: RapidChangeOptions | null;
}

/** Of every signal: what a change of it counts. Raise what your users never change. */
export interface SignalOptions {
  /**
   * The family of the browser, such as Firefox, or the first product of what is no browser.
   * @defaultValue `50`: a browser never becomes another one. Alone it asks for a step-up.
   */
  readonly userAgent?: number | null;

  /**
   * Its major version. Up by at most 14 counts a quarter, as browsers update by themselves; anything
   * else counts whole, as no browser gets older.
   * @defaultValue `20`
   */
  readonly userAgentVersion?: number | null;

  /**
   * The operating system by `User-Agent` and `Sec-CH-UA-Platform`. That the hint is left out counts a
   * quarter, as browsers do that in some requests; that it comes for the first time nothing.
   * @defaultValue `25`: it changes when a phone asks for the desktop's page
   */
  readonly platform?: number | null;

  /**
   * `Sec-CH-UA-Mobile`, counted as the hint of `platform` is.
   * @defaultValue `10`: it changes together with the platform, for the same reason
   */
  readonly mobile?: number | null;

  /**
   * The language that `Accept-Language` likes best, without its region. That the others change counts a
   * quarter; their order, weights and case nothing.
   * @defaultValue `20`: people change it seldom, and know when they do
   */
  readonly language?: number | null;

  /**
   * The first 24 bits of IPv4, or 48 of IPv6.
   * @defaultValue `20`: noted each time, but every phone changes it on its way from one network to
   * another. `null` where clients come through changing proxies, such as iCloud Private Relay.
   */
  readonly addressPrefix?: number | null;

  /**
   * The header `X-Client-Signals`: a SHA-256 digest, in base64url, of what a client knows of its device
   * (`browserSignals()` of `nest-jwt-hardening/client`). That it is missing counts as another, as who
   * copies a token can leave it out; that it comes for the first time nothing.
   * @defaultValue `30`: it changes with a journey to another time zone
   */
  readonly clientSignals?: number | null;
}

/**
 * The score from which on something is done, a whole number each, every one above the one before, and
 * none above what the signals can add up to. `null`: it is never done.
 */
export interface ThresholdOptions {
  /**
   * The request passes, and `binding.drifted` says `note`. Below it, it says `pass`.
   * @defaultValue `20`
   */
  readonly note?: number | null;

  /**
   * The user has to authenticate anew; the session stays.
   * @defaultValue `40`: two signals that change by themselves, or one that does not
   */
  readonly stepUp?: number | null;

  /**
   * The request is refused; the session stays, as who stole a token must not be able to end it.
   * @defaultValue `80`: almost nothing is as it was
   */
  readonly refuse?: number | null;
}

/** When changes are too many. */
export interface RapidChangeOptions {
  /**
   * How many senders other than the one it was issued to may show a session within `within`, from 1 to
   * 100. Only those that differ from each other count.
   * @defaultValue `6`: someone on a train changes networks as often
   */
  readonly changes?: number;

  /**
   * From `'1m'` to `'1d'`.
   * @defaultValue `'10m'`
   */
  readonly within?: Duration;

  /**
   * What is done about every sender that differs, until the time is over: `'note'`, `'stepUp'` or
   * `'refuse'`.
   * @defaultValue `'stepUp'`
   */
  readonly response?: Measure;
}

/** What is done about a token that is shown at another address than the one it was issued to. */
export interface AddressBindingOptions {
  /**
   * `'note'`: nothing but an event `binding.mismatched`. `'stepUp'`: the user has to authenticate anew.
   * `'refuse'`: the request is refused, and the session stays. Of IPv6, addresses are the same whose
   * first 64 bits are.
   * @defaultValue `'stepUp'`. Phones change their address all the time: this is for offices and servers.
   */
  readonly response?: Measure;
}
