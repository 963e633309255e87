import type { DpopConfig } from '../binding/dpop/dpop-proofs.js';
import type { SenderSecrets } from '../binding/sender-secrets.js';
import { ASYMMETRIC_ALGORITHMS, type SigningAlgorithm } from '../keys/algorithms.js';
import { isAvailable } from '../keys/key-material.js';
import { NotCarried, type Storage } from '../storage/storage.js';
import type { OptionReader } from './option-reader.js';
import { HOUR, MINUTE, SECOND } from './units.js';

const PATH = 'binding.dpop';

const ALGORITHMS: readonly SigningAlgorithm[] = ['ES256', 'Ed25519', 'EdDSA', 'PS256', 'RS256'];

const URLS_FIX =
  "Write where clients reach this service, such as ['https://api.example.com']: https, or http of this machine";

/** Hosts of this machine. */
const LOCAL_HOSTS: readonly string[] = ['localhost', '127.0.0.1', '[::1]'];

/** What clients would send: no wildcard, and no dot at the end. */
const HOSTNAME = /^(?:[a-z0-9_.-]*[a-z0-9]|\[[0-9a-f:]+\])$/;

/** What DPoP follows from. */
export interface DpopContext {
  readonly issuer: string;
  readonly audiences: readonly string[];
  /** In milliseconds. */
  readonly leeway: number;
  readonly secrets: SenderSecrets;
  readonly storage: Pick<Storage, 'name' | 'replayStore' | 'attemptStore'>;
}

/** The options of DPoP, checked; `null` where it is not offered. */
export function readDpop(reader: OptionReader, context: DpopContext): DpopConfig | null {
  const value = reader.get(PATH);
  if (value === undefined || value === null) return null;
  reader.expectOnly(PATH, ['publicUrls', 'algorithms', 'proofFor', 'nonce', 'perMinute']);
  checkCarried(reader, context.storage);
  return Object.freeze({
    publicUrls: readPublicUrls(reader, context),
    algorithms: readAlgorithms(reader),
    proofFor: reader.duration(`${PATH}.proofFor`, MINUTE, { min: SECOND, max: 5 * MINUTE }),
    leeway: context.leeway,
    nonces: readNonces(reader),
    perMinute: reader.wholeNumber(`${PATH}.perMinute`, 600, { min: 1, max: 1_000_000 }),
    secrets: context.secrets,
  });
}

function readPublicUrls(reader: OptionReader, { issuer, audiences }: DpopContext): readonly URL[] {
  const path = `${PATH}.publicUrls`;
  const value = reader.get(path);
  if (value === undefined) {
    const urls = [issuer, ...audiences].flatMap((text) => readPublicUrl(text) ?? []);
    if (urls.length === 0) reader.add(path, 'neither issuer nor audience is such a URL', URLS_FIX);
    return distinct(urls.map(({ origin }) => new URL(origin)));
  }
  // A copy has no holes.
  const list: unknown[] = Array.isArray(value) ? [...(value as unknown[])] : [];
  if (list.length === 0) reader.refuse(path, URLS_FIX);
  const urls: URL[] = [];
  for (const [index, text] of list.entries()) {
    const url = readPublicUrl(text);
    if (url !== undefined) urls.push(url);
    else reader.refuse(`${path}.${index}`, URLS_FIX);
  }
  return distinct(urls);
}

function readPublicUrl(text: unknown): URL | undefined {
  if (typeof text !== 'string' || !URL.canParse(text)) return undefined;
  const url = new URL(text);
  const { protocol, hostname, username, password } = url;
  const isPlain = username === '' && password === '' && !/[?#\\\s]/.test(text);
  if (!isPlain || !HOSTNAME.test(hostname)) return undefined;
  const isFit = protocol === 'https:' || (protocol === 'http:' && LOCAL_HOSTS.includes(hostname));
  return isFit ? url : undefined;
}

function distinct(urls: readonly URL[]): readonly URL[] {
  return Object.freeze([...new Map(urls.map((url) => [url.href, url])).values()]);
}

function readAlgorithms(reader: OptionReader): readonly SigningAlgorithm[] {
  const path = `${PATH}.algorithms`;
  const value = reader.get(path);
  if (value === undefined) return ALGORITHMS;
  const fix = `Write a list of ${ASYMMETRIC_ALGORITHMS.join(', ')}`;
  const list: unknown[] = Array.isArray(value) ? [...(value as unknown[])] : [];
  if (list.length === 0) reader.refuse(path, fix);
  const algorithms = new Set<SigningAlgorithm>();
  for (const [index, name] of list.entries()) {
    const algorithm = ASYMMETRIC_ALGORITHMS.find((candidate) => candidate === name);
    if (algorithm === undefined) reader.refuse(`${path}.${index}`, fix);
    else if (isAvailable(algorithm)) algorithms.add(algorithm);
    else reader.add(`${path}.${index}`, 'this version of Node does not have it', fix);
  }
  return Object.freeze([...algorithms]);
}

function readNonces(reader: OptionReader): DpopConfig['nonces'] {
  const path = `${PATH}.nonce`;
  if (reader.get(path) === null) return null;
  reader.expectOnly(path, ['validFor']);
  const bounds = { min: 10 * SECOND, max: HOUR };
  return Object.freeze({ validFor: reader.duration(`${path}.validFor`, 5 * MINUTE, bounds) });
}

/** A proof is good once, on all instances together. */
function checkCarried(
  reader: OptionReader,
  { name, replayStore, attemptStore }: DpopContext['storage'],
): void {
  const missing = [replayStore, attemptStore].find((store) => store instanceof NotCarried);
  if (!(missing instanceof NotCarried)) return;
  reader.add(
    PATH,
    `${name} cannot remember which proofs were used: ${missing.reason}`,
    'Write redisStorage(…), or leave DPoP out',
  );
}
