import { randomBytes } from 'node:crypto';

import { formatDuration } from '../kernel/duration.js';
import {
  algorithmRow,
  ASYMMETRIC_ALGORITHMS,
  SIGNING_ALGORITHMS,
  type SigningAlgorithm,
} from '../keys/algorithms.js';
import { isAvailable } from '../keys/key-material.js';
import { keyEncryptionKey, KeyProtector } from '../keys/key-protector.js';
import type { KeysConfig } from '../keys/keys-config.js';
import { KeyVault } from '../keys/signer.js';
import type { Storage } from '../storage/storage.js';
import { readEncryptionKeys } from './encryption-keys.js';
import type { OptionReader } from './option-reader.js';
import type { Profile, ProfileDefaults } from './profiles.js';
import { readStaticKeys } from './resolve-static-keys.js';
import { DAY, MINUTE, SECOND } from './units.js';

/** No phase of a key lasts longer than a good year. */
const PHASE = { min: SECOND, max: 400 * DAY };

const KEY_LENGTHS = ['rotateEvery', 'publishAhead', 'retainFor'] as const;

/** What the rest of the configuration says that keys depend on. */
export interface KeysContext {
  readonly profile: Profile;
  readonly defaults: Pick<ProfileDefaults, 'algorithm' | 'rotateEvery' | 'retainFor'>;
  readonly issuer: string;
  readonly leeway: number;
  readonly nodeEnv: string | undefined;
  readonly storage: Pick<Storage, 'reach' | 'name'>;
  readonly outage: Pick<KeysConfig, 'maxLag' | 'onStale'>;
}

export async function readKeys(reader: OptionReader, context: KeysContext): Promise<KeysConfig> {
  reader.expectOnly('keys', [
    'algorithm',
    'signingKey',
    'previousKeys',
    'vault',
    'encryptionKeys',
    'environment',
    'derivation',
    ...KEY_LENGTHS,
    'jwksMaxAge',
  ]);
  const { defaults, issuer, leeway, nodeEnv, storage } = context;
  // In every other profile, a secret that verifies is a secret that others have.
  const profile = context.profile === 'monolith' ? 'monolith' : 'service';
  const named = readAlgorithms(reader, { profile, fallback: defaults.algorithm });
  const environment = readEnvironment(reader, nodeEnv);
  const staticKeys = await readStaticKeys(reader, { profile, environment });
  const algorithms = staticKeys === null ? named : ([staticKeys.signing.row.name] as const);
  const lengths = readLengths(reader, algorithms, { leeway, defaults });
  const isStatic = reader.get('keys.signingKey') !== undefined;
  if (isStatic) refuseUnused(reader, [...KEY_LENGTHS, 'vault']);
  else checkRotation(reader, { ...lengths, leeway });
  return {
    algorithms,
    staticKeys,
    owner: { issuer, environment },
    protector: await readProtector(reader, { isStatic, storage }),
    vault: readVault(reader, algorithms),
    ...lengths,
    ...context.outage,
    maxLag: storage.reach === 'shared' ? context.outage.maxLag : Infinity,
  };
}

/** How long, in milliseconds, a derived secret signs; `null` without derivation. */
export function readDerivationPeriod(
  reader: OptionReader,
  { algorithms, staticKeys }: Pick<KeysConfig, 'algorithms' | 'staticKeys'>,
): number | null {
  const value = reader.get('keys.derivation');
  if (value === undefined || value === null) return null;
  reader.expectOnly('keys.derivation', ['period']);
  if (!algorithmRow(algorithms[0]).symmetric) {
    reader.add(
      'keys.derivation',
      'the keys are not shared secrets',
      "Leave it out, or use profile: 'monolith'",
    );
  }
  if (reader.get('keys.derivation.period') === undefined) {
    reader.refuse('keys.derivation.period', "Write a length such as '1d'");
  }
  // The kid of a derived secret is that of the master, a dot and the number of the period.
  if ((staticKeys?.signing.kid.length ?? 0) > 128 - '.999999999999'.length) {
    reader.add('keys.signingKey.kid', 'it leaves no room for the period', 'Write a shorter one');
  }
  const bounds = { min: MINUTE, max: 400 * DAY, step: SECOND };
  return reader.duration('keys.derivation.period', DAY, bounds);
}

/** Whether shared secrets are among the keys that may sign. */
type KeyProfile = 'service' | 'monolith';

function readAlgorithms(
  reader: OptionReader,
  { profile, fallback }: { readonly profile: KeyProfile; readonly fallback: SigningAlgorithm },
): readonly [SigningAlgorithm, ...SigningAlgorithm[]] {
  const path = 'keys.algorithm';
  const value = reader.get(path);
  if (!Array.isArray(value)) {
    // Which names are known does not depend on the profile; which may be used does.
    const algorithm = reader.oneOf(path, SIGNING_ALGORITHMS, fallback);
    checkAlgorithm(reader, algorithm, profile);
    return [algorithm];
  }
  const list: unknown[] = [...(value as unknown[])];
  const known = list.flatMap((name) => SIGNING_ALGORITHMS.find((known) => known === name) ?? []);
  const [first, ...others] = known;
  if (first === undefined || known.length < list.length || new Set(known).size < known.length) {
    const fix = `Write one or several, each once, of ${ASYMMETRIC_ALGORITHMS.join(', ')}`;
    reader.refuse(path, fix);
    return [fallback];
  }
  for (const algorithm of known) checkAlgorithm(reader, algorithm, profile);
  return [first, ...others];
}

function checkAlgorithm(
  reader: OptionReader,
  algorithm: SigningAlgorithm,
  profile: KeyProfile,
): void {
  if (algorithmRow(algorithm).symmetric && profile !== 'monolith') {
    const fix = "Choose an asymmetric one, or profile: 'monolith' if nobody else verifies";
    reader.add('keys.algorithm', 'whoever can verify it can also sign', fix);
  }
  if (!isAvailable(algorithm)) {
    const fix = 'Run it on Node 24.6 or later, or choose another';
    reader.add('keys.algorithm', `this Node.js does not have ${algorithm}`, fix);
  }
}

function readEnvironment(reader: OptionReader, nodeEnv: string | undefined): string | null {
  if (reader.get('keys.environment') === null) return null;
  const fix = "Name the deployment, such as 'production' or 'staging', or write null";
  const isName = (text: string): boolean => /^[\x21-\x7e]{1,64}$/.test(text);
  const fallback = nodeEnv !== undefined && isName(nodeEnv) ? nodeEnv : '';
  const name = reader.text('keys.environment', fallback, fix, isName);
  return name === '' ? null : name;
}

type Lengths = Pick<KeysConfig, 'rotateEvery' | 'publishAhead' | 'retainFor' | 'jwksMaxAge'>;

function readLengths(
  reader: OptionReader,
  [algorithm]: KeysConfig['algorithms'],
  { leeway, defaults }: Pick<KeysContext, 'leeway' | 'defaults'>,
): Lengths {
  const publishAhead = reader.duration('keys.publishAhead', DAY, PHASE);
  const retention = algorithmRow(algorithm).symmetric ? 30 * DAY : defaults.retainFor;
  return {
    rotateEvery: reader.duration('keys.rotateEvery', defaults.rotateEvery, PHASE),
    publishAhead,
    retainFor: reader.duration('keys.retainFor', retention, PHASE),
    jwksMaxAge: reader.duration(
      'keys.jwksMaxAge',
      // The default leaves room for the rule below, which an explicit value is held to.
      Math.max(0, Math.min(5 * MINUTE, publishAhead - leeway - SECOND)),
      { max: DAY },
    ),
  };
}

function refuseUnused(reader: OptionReader, names: readonly string[]): void {
  for (const name of names.filter((unused) => reader.get(`keys.${unused}`) !== undefined)) {
    reader.add(
      `keys.${name}`,
      'it is set, but a configured signing key never rotates',
      `Remove it, or remove keys.signingKey`,
    );
  }
}

/**
 * A key signs only after every verifier that keeps the JWKS as long as it may has fetched it again,
 * and its successor is published while it still signs.
 */
function checkRotation(
  reader: OptionReader,
  lengths: Omit<Lengths, 'retainFor'> & { readonly leeway: number },
): void {
  const { rotateEvery, publishAhead, jwksMaxAge, leeway } = lengths;
  if (reader.isSound('keys.publishAhead') && rotateEvery <= publishAhead) {
    reader.add(
      'keys.rotateEvery',
      `'${formatDuration(rotateEvery)}' is not longer than keys.publishAhead`,
      `Write more than '${formatDuration(publishAhead)}'`,
    );
  }
  if (reader.isSound('keys.jwksMaxAge', 'tokens.leeway') && publishAhead <= jwksMaxAge + leeway) {
    reader.add(
      'keys.publishAhead',
      `'${formatDuration(publishAhead)}' is not longer than keys.jwksMaxAge plus tokens.leeway`,
      `Write more than '${formatDuration(jwksMaxAge + leeway)}', or lower keys.jwksMaxAge`,
    );
  }
}

/** Without a list, a ring that stays in this process is sealed under a key nobody else has. */
async function readProtector(
  reader: OptionReader,
  { isStatic, storage }: { readonly isStatic: boolean; readonly storage: KeysContext['storage'] },
): Promise<KeyProtector> {
  const path = 'keys.encryptionKeys';
  const value = reader.get(path);
  if (value === undefined) {
    if (storage.reach === 'shared' && !isStatic) {
      const fix = 'Give 32 random bytes in base64url, or null to store private keys in clear';
      reader.add(path, `it is missing, and ${storage.name} keeps the key ring elsewhere`, fix);
    }
    return new KeyProtector([await keyEncryptionKey(randomBytes(32))]);
  }
  const bytes = await readEncryptionKeys(reader, path);
  const keys = bytes.map(async (key) => (key === null ? null : keyEncryptionKey(key)));
  return new KeyProtector(await Promise.all(keys));
}

function readVault(
  reader: OptionReader,
  algorithms: KeysConfig['algorithms'],
): KeysConfig['vault'] {
  const value = reader.get('keys.vault');
  if (value === undefined) return null;
  if (!(value instanceof KeyVault)) {
    reader.refuse('keys.vault', 'Write pkcs11Vault(…), or extend KeyVault');
    return null;
  }
  if (algorithms.some((algorithm) => algorithmRow(algorithm).symmetric)) {
    reader.add('keys.vault', 'a vault holds key pairs', 'Choose an asymmetric keys.algorithm');
  }
  return value;
}
