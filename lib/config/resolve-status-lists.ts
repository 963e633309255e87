import type { Duration } from '../kernel/duration.js';
import { ConfigError } from '../kernel/errors.js';
import { algorithmRow, type SigningAlgorithm } from '../keys/algorithms.js';
import { type CertificatePinOptions, CertificatePins } from '../keys/remote/certificate-pins.js';
import { documentUrlFault } from '../keys/remote/document-fetch.js';
import { MAX_LIST_SIZE } from '../status-list/allocation-entry.js';
import type { StatusListIssuer } from '../status-list/status-list-reader.js';
import type { StatusListsConfig } from '../status-list/status-lists.service.js';
import type { OptionReader } from './option-reader.js';
import { DAY, HOUR, MINUTE, SECOND } from './units.js';

/** The status lists of this service. They are published where `statusListPath` says. */
export interface StatusListsOptions {
  /**
   * The public address of this application, below which `statusListPath` is: an https URL, or an http
   * one of this machine. Tokens name it, so verifiers must reach it.
   * @defaultValue `issuer`, where that is a URL
   */
  readonly baseUrl?: string;

  /**
   * How many tokens a list has room for: a multiple of 8 from 8192 to 4194304. A long list hides whose
   * status is asked for among more others; an eighth of it is its length in bytes. One that is half
   * full is followed by another.
   * @defaultValue `1048576`
   */
  readonly size?: number;

  /**
   * How long one list takes tokens. The index of a token is remembered in the storage until the
   * list has closed and its last token has expired, so a shorter period takes less room there.
   * Whole seconds, `'10m'` to `'7d'`.
   * @defaultValue `'1d'`
   */
  readonly period?: Duration;

  /**
   * How long verifiers go by a list before they ask for the next: so long a revoked token may still be
   * accepted by them, and twice that behind a shared cache. Whole seconds, `'5s'` to `'1h'`.
   * @defaultValue `'1m'`
   */
  readonly ttl?: Duration;

  /**
   * How long a list is good for verifiers that cannot get the next (`exp`); whoever keeps the next from
   * them hides a revocation for so long. Whole seconds, at least twice `ttl`, at most `'1d'`.
   * @defaultValue `'10m'`, or twice `ttl` if that is longer
   */
  readonly lifetime?: Duration;
}

/** The status lists of another issuer. */
export interface TrustedStatusListsOptions {
  /**
   * From where its lists are fetched: https origins. A token that names another place is refused, and
   * nothing is ever fetched there.
   * @defaultValue the origin of `jwksUri`
   */
  readonly origins?: readonly [string, ...string[]];

  /**
   * Which certificates these servers may show, on top of the ordinary validation.
   * @defaultValue `pins` for the origin of `jwksUri`, none for others
   */
  readonly pins?: CertificatePinOptions;

  /**
   * The longest list, unpacked, in bytes: 1024 to 16777216 (16 MiB).
   * @defaultValue `1048576`: 8 million tokens with a bit each
   */
  readonly maxBytes?: number;

  /**
   * The longest `ttl` of a list that counts; also that of a list without one. `'5s'` to `'1d'`.
   * @defaultValue `'5m'`. Longer accepts a revoked token for longer.
   */
  readonly maxTtl?: Duration;

  /**
   * How long a list is used beyond its `ttl`, but never beyond its `exp`, while the next cannot be had;
   * afterwards tokens on it are answered with 503. At most `'1d'`.
   * @defaultValue `'5m'`
   */
  readonly staleFor?: Duration;

  /**
   * How long after its `iat` a list is used at most. `'1m'` to `'30d'`.
   * @defaultValue `'1d'`
   */
  readonly maxAge?: Duration;

  /**
   * For one fetch, from the name to the last byte. `'100ms'` to `'30s'`.
   * @defaultValue `'5s'`
   */
  readonly timeout?: Duration;
}

/** Everything but where the lists are served, which is not written among the options. */
export interface StatusListSettings extends Omit<StatusListsConfig, 'baseUri'> {
  /** Without a slash at the end; `null` if it is not known. */
  readonly baseUrl: string | null;
}

/** What the lists follow from. Lengths in seconds. */
interface OwnTokens {
  readonly issuer: string;
  readonly maxLifetime: number;
  readonly leeway: number;
}

export function readStatusLists(reader: OptionReader, own: OwnTokens): StatusListSettings {
  reader.expectOnly('statusLists', ['baseUrl', 'size', 'period', 'ttl', 'lifetime']);
  const whole = { step: SECOND };
  const ttl = reader.duration('statusLists.ttl', MINUTE, {
    ...whole,
    min: 5 * SECOND,
    max: HOUR,
  });
  const lifetime = reader.duration('statusLists.lifetime', Math.max(10 * MINUTE, 2 * ttl), {
    ...whole,
    min: 2 * ttl,
    max: DAY,
  });
  const period = reader.duration('statusLists.period', DAY, {
    ...whole,
    min: 10 * MINUTE,
    max: 7 * DAY,
  });
  return Object.freeze({
    ...own,
    baseUrl: readBaseUrl(reader, own.issuer),
    size: readSize(reader),
    period: period / SECOND,
    ttl: ttl / SECOND,
    lifetime: lifetime / SECOND,
  });
}

/**
 * The configuration of lists that are served at `path`.
 * @throws ConfigError `ERR_CONFIG_INVALID` if nobody could find or verify them
 */
export function publishedStatusLists(
  { baseUrl, ...settings }: StatusListSettings,
  path: string,
  algorithms: readonly SigningAlgorithm[],
): StatusListsConfig {
  const problems = [
    ...(baseUrl !== null
      ? []
      : [
          {
            path: 'statusLists.baseUrl',
            problem: 'it is missing, there is a statusListPath, and issuer is not an https URL',
            fix: "Write the public address of this application, such as 'https://auth.example.com'",
          },
        ]),
    ...(algorithms.every((name) => !algorithmRow(name).symmetric)
      ? []
      : [
          {
            path: 'statusListPath',
            problem: 'the keys are shared secrets, with which nobody else can verify a list',
            fix: "Write null, or sign with public keys, such as keys.algorithm: 'ES256'",
          },
        ]),
  ];
  if (problems.length > 0) throw new ConfigError('ERR_CONFIG_INVALID', problems);
  return Object.freeze({ ...settings, baseUri: `${baseUrl}${path.replace(/\/+$/, '')}` });
}

/** What is known of an issuer beside its lists. */
interface TrustedIssuer {
  readonly issuer: string;
  readonly audiences: readonly string[];
  /** In seconds. */
  readonly leeway: number;
  readonly jwksUri: URL | undefined;
  readonly pins: CertificatePins | null;
}

/**
 * @param path of the entry of `trust`
 * @returns `undefined` if its lists are not to be read
 */
export function readTrustedStatusLists(
  reader: OptionReader,
  path: string,
  { issuer, audiences, leeway, jwksUri, pins }: TrustedIssuer,
): StatusListIssuer | undefined {
  const at = `${path}.statusLists`;
  if (reader.get(at) === null) return undefined;
  reader.expectOnly(at, ['origins', 'pins', 'maxBytes', 'maxTtl', 'staleFor', 'maxAge', 'timeout']);
  const own = readPins(reader, `${at}.pins`);
  const origins = readOrigins(reader, `${at}.origins`) ?? (jwksUri ? [jwksUri.origin] : []);
  return Object.freeze({
    issuer,
    audiences,
    leeway,
    origins: new Map(
      origins.map((origin) => [origin, own ?? (origin === jwksUri?.origin ? pins : null)]),
    ),
    maxListBytes: reader.wholeNumber(`${at}.maxBytes`, 2 ** 20, { min: 1024, max: 2 ** 24 }),
    maxTtl: reader.duration(`${at}.maxTtl`, 5 * MINUTE, { min: 5 * SECOND, max: DAY }),
    staleFor: reader.duration(`${at}.staleFor`, 5 * MINUTE, { max: DAY }),
    maxAge: reader.duration(`${at}.maxAge`, DAY, { min: MINUTE, max: 30 * DAY }),
    timeout: reader.duration(`${at}.timeout`, 5 * SECOND, { min: 100, max: 30 * SECOND }),
  });
}

function readBaseUrl(reader: OptionReader, issuer: string): string | null {
  const value = reader.get('statusLists.baseUrl');
  if (value === undefined) return asBase(issuer);
  const base = asBase(value);
  if (base === null) {
    const fix = "Write an https URL without query or fragment, such as 'https://auth.example.com'";
    reader.refuse('statusLists.baseUrl', fix);
  }
  return base;
}

/** Where a list is served in clear, it never leaves the machine. */
const LOOPBACK = /^http:\/\/(?:localhost|127\.0\.0\.1|\[::1\])(?::\d{1,5})?(?:\/|$)/;

/** The text itself: tokens and lists have to name the same place byte for byte. */
function asBase(text: unknown): string | null {
  if (typeof text !== 'string' || !/^[\x21-\x7e]{1,1024}$/.test(text)) return null;
  if (!URL.canParse(text) || /[?#\\]/.test(text)) return null;
  const isSafe = LOOPBACK.test(text) || documentUrlFault(new URL(text)) === undefined;
  return isSafe ? text.replace(/\/+$/, '') : null;
}

function readSize(reader: OptionReader): number {
  const path = 'statusLists.size';
  const size = reader.wholeNumber(path, 2 ** 20, { min: 2 ** 13, max: MAX_LIST_SIZE });
  if (size % 8 !== 0) reader.add(path, 'it is not in whole bytes', 'Write a multiple of 8');
  return size;
}

function readOrigins(reader: OptionReader, path: string): readonly string[] | undefined {
  const value = reader.get(path);
  if (value === undefined) return undefined;
  const list: unknown[] = Array.isArray(value) ? [...(value as unknown[])] : [];
  const isOrigin = (text: unknown): text is string =>
    typeof text === 'string' &&
    URL.canParse(text) &&
    documentUrlFault(new URL(text)) === undefined &&
    new URL(text).origin === text &&
    // Nothing is matched by it: every token would be refused.
    !text.includes('*');
  if (list.length > 0 && list.every(isOrigin)) return [...new Set(list)];
  reader.refuse(path, "Write a list of https origins, such as ['https://login.example.com']");
  return [];
}

function readPins(reader: OptionReader, path: string): CertificatePins | null {
  if (reader.get(path) === undefined) return null;
  reader.expectOnly(path, ['certificates', 'publicKeys']);
  try {
    return new CertificatePins(reader.get(path) as CertificatePinOptions);
  } catch {
    const fix = "Write { publicKeys: ['sha256/…', 'sha256/…'] } with the SHA-256 digests";
    reader.add(path, 'it has no pin, or one that is not a SHA-256 digest', fix);
    return null;
  }
}
