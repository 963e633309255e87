import { ASYMMETRIC_ALGORITHMS, type SigningAlgorithm } from '../keys/algorithms.js';
import { type CertificatePinOptions, CertificatePins } from '../keys/remote/certificate-pins.js';
import { documentUrlFault } from '../keys/remote/document-fetch.js';
import { isAvailable } from '../keys/key-material.js';
import type { RemoteJwksConfig } from '../keys/remote/remote-jwks.js';
import { isIdentifier } from '../tokens/claims.js';
import type { TrustedIssuerConfig } from '../tokens/token.service.js';
import type { StatusListIssuer } from '../status-list/status-list-reader.js';
import type { OptionReader } from './option-reader.js';
import { readTrustedStatusLists } from './resolve-status-lists.js';
import { DAY, HOUR, MINUTE, SECOND } from './units.js';

/** What our own tokens are held to, as far as those of others are too. */
interface OwnRules {
  readonly issuer: string;
  readonly audiences: readonly string[];
  /** In seconds, as is `leeway`. */
  readonly maxLifetime: number;
  readonly leeway: number;
}

export interface TrustConfig {
  readonly jwks: readonly RemoteJwksConfig[];
  readonly statusLists: readonly StatusListIssuer[];
  readonly issuers: readonly TrustedIssuerConfig[];
}

const MEMBERS = [
  'issuer',
  'jwksUri',
  'statusLists',
  'audience',
  'algorithms',
  'tokenTypes',
  'maxLifetime',
  'requiredClaims',
  'pins',
  'cacheFor',
  'staleFor',
  'timeout',
  'cooldown',
];

const NONE: TrustConfig = { jwks: [], issuers: [], statusLists: [] };

/** One entry of `trust`. */
interface TrustedEntry extends TrustedIssuerConfig {
  readonly jwks: RemoteJwksConfig | undefined;
  readonly statusLists: StatusListIssuer | undefined;
}

export function readTrust(reader: OptionReader, own: OwnRules): TrustConfig {
  const value = reader.get('trust');
  if (value === undefined) return NONE;
  if (!Array.isArray(value)) {
    reader.refuse('trust', "Write a list, such as [{ issuer: 'https://…', jwksUri: 'https://…' }]");
    return NONE;
  }
  const entries = [...value.keys()].map((index) => readIssuer(reader, `trust.${index}`, own));
  const names = [own.issuer, ...entries.map(({ rules }) => rules.issuer)];
  for (const [index, { rules }] of entries.entries()) {
    // An issuer that shared our name could speak for our own subjects.
    if (names.indexOf(rules.issuer) !== index + 1 && rules.issuer !== '') {
      const fix = 'Name each issuer once, and not this service';
      reader.add(`trust.${index}.issuer`, 'it is named already', fix);
    }
  }
  return {
    jwks: entries.flatMap(({ jwks }) => jwks ?? []),
    statusLists: entries.flatMap(({ statusLists }) => statusLists ?? []),
    issuers: entries.map(({ rules, tokenTypes }) => ({ rules, tokenTypes })),
  };
}

function readIssuer(reader: OptionReader, path: string, own: OwnRules): TrustedEntry {
  reader.expectOnly(path, MEMBERS);
  const fix = "Write the iss of its tokens, such as 'https://login.example.com'";
  const issuer = reader.text(`${path}.issuer`, undefined, fix, (text) =>
    /^[\x21-\x7e]{1,2048}$/.test(text),
  );
  const jwksUri = readUrl(reader, `${path}.jwksUri`);
  const maxLifetime = reader.duration(`${path}.maxLifetime`, own.maxLifetime * SECOND, {
    min: SECOND,
    max: DAY,
    step: SECOND,
  });
  const jwks = {
    issuer,
    algorithms: readAlgorithms(reader, `${path}.algorithms`),
    pins: readPins(reader, `${path}.pins`),
    cacheFor: reader.duration(`${path}.cacheFor`, 10 * MINUTE, { min: MINUTE, max: HOUR }),
    staleFor: reader.duration(`${path}.staleFor`, HOUR, { max: DAY }),
    timeout: reader.duration(`${path}.timeout`, 5 * SECOND, { min: 100, max: 30 * SECOND }),
    cooldown: reader.duration(`${path}.cooldown`, 30 * SECOND, { min: SECOND, max: 10 * MINUTE }),
  };
  const audiences = readAudience(reader, `${path}.audience`) ?? own.audiences;
  const { leeway } = own;
  const { pins } = jwks;
  const known = { issuer, audiences, leeway, jwksUri, pins };
  const statusLists = readTrustedStatusLists(reader, path, known);
  const requiredClaims = reader.names(`${path}.requiredClaims`);
  // A word of the issuer about something else is not the place that was asked for.
  const unlisted = requiredClaims.includes('status') ? 'refuse' : 'pass';
  return {
    statusLists: statusLists && Object.freeze({ ...statusLists, unlisted }),
    rules: {
      issuer,
      audiences,
      leeway,
      maxLifetime: maxLifetime / SECOND,
      requiredClaims,
    },
    tokenTypes: readTokenTypes(reader, `${path}.tokenTypes`),
    jwks: jwksUri === undefined ? undefined : { ...jwks, jwksUri },
  };
}

function readUrl(reader: OptionReader, path: string): URL | undefined {
  const value = reader.get(path);
  const fix = "Write its https URL, such as 'https://login.example.com/.well-known/jwks.json'";
  if (typeof value !== 'string' || !URL.canParse(value)) {
    reader.refuse(path, fix);
    return undefined;
  }
  const url = new URL(value);
  const fault = documentUrlFault(url);
  if (fault !== undefined) reader.add(path, fault, fix);
  return fault === undefined ? url : undefined;
}

function readAlgorithms(reader: OptionReader, path: string): readonly SigningAlgorithm[] {
  const offered = ASYMMETRIC_ALGORITHMS.filter(isAvailable);
  const value = reader.get(path);
  if (value === undefined) return offered;
  const list: unknown[] = Array.isArray(value) ? [...(value as unknown[])] : [];
  const known = offered.filter((name) => list.includes(name));
  if (list.length === 0 || known.length < list.length) {
    reader.refuse(path, `Write one or several, each once, of ${offered.join(', ')}`);
  }
  return known;
}

function readPins(reader: OptionReader, path: string): CertificatePins | null {
  if (reader.get(path) === undefined) return null;
  reader.expectOnly(path, ['certificates', 'publicKeys']);
  try {
    return new CertificatePins(reader.get(path) as CertificatePinOptions);
  } catch {
    const fix =
      "Write { publicKeys: ['sha256/…', 'sha256/…'] } with the SHA-256 digests, one of them a backup";
    reader.add(path, 'it has no pin, or one that is not a SHA-256 digest', fix);
    return null;
  }
}

function readAudience(reader: OptionReader, path: string): readonly string[] | undefined {
  const value = reader.get(path);
  if (value === undefined) return undefined;
  const list: unknown[] = Array.isArray(value) ? [...(value as unknown[])] : [value];
  if (list.length > 0 && list.every(isIdentifier)) return [...new Set(list)];
  reader.refuse(path, "Write what its tokens name in aud, such as 'https://api.example.com'");
  return [];
}

function readTokenTypes(reader: OptionReader, path: string): readonly string[] {
  const value = reader.get(path);
  if (value === undefined) return [];
  const list: unknown[] = Array.isArray(value) ? [...(value as unknown[])] : [];
  const isType = (type: unknown): type is string =>
    typeof type === 'string' && /^[A-Za-z0-9.+/_-]{1,64}$/.test(type);
  if (list.length > 0 && list.every(isType)) return list;
  reader.refuse(path, "Write a list of header types, such as ['at+jwt', 'JWT']");
  return [];
}
