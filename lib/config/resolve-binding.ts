import { createHmac, randomBytes } from 'node:crypto';

import type { Proof } from '../binding/confirmation.js';
import type { DpopConfig } from '../binding/dpop/dpop-proofs.js';
import type { FingerprintConfig } from '../binding/fingerprint/fingerprint-config.js';
import type { MtlsConfig } from '../binding/mtls/client-certificates.js';
import { SenderSecrets } from '../binding/sender-secrets.js';
import { NotCarried, type Storage } from '../storage/storage.js';
import type { TransportConfig } from '../transport/transport-config.js';
import { readEncryptionKeys } from './encryption-keys.js';
import { OptionReader } from './option-reader.js';
import type { ProfileDefaults } from './profiles.js';
import { readDpop } from './resolve-dpop.js';
import { readFingerprintBinding } from './resolve-fingerprint.js';
import { readMtls } from './resolve-mtls.js';

/** How senders are told from thieves; `null` for what is not used. */
export interface BindingConfig {
  readonly dpop: DpopConfig | null;
  readonly mtls: MtlsConfig | null;
  /** For `binding.fingerprint` and `binding.address` together. */
  readonly fingerprint: FingerprintConfig | null;
  /** What sessions can be bound by. */
  readonly offered: readonly Proof[];
  readonly required: readonly Proof[];
  /** `null` where instances could not share any. */
  readonly secrets: SenderSecrets | null;
}

/** What binding follows from. */
export interface BindingContext {
  readonly issuer: string;
  readonly audiences: readonly string[];
  /** In milliseconds. */
  readonly leeway: number;
  readonly storage: Pick<Storage, 'name' | 'reach' | 'replayStore' | 'attemptStore'>;
  readonly transport: Pick<TransportConfig, 'trustedProxies'>;
  readonly defaults: Pick<ProfileDefaults, 'dpop' | 'required'>;
}

const PROOFS: readonly Proof[] = ['dpop', 'mtls', 'cookie', 'fingerprint'];

const SECRETS = 'binding.secrets';

/** The options of `binding`, checked; all problems are noted. */
export async function readBinding(
  reader: OptionReader,
  context: BindingContext,
): Promise<BindingConfig> {
  reader.expectOnly('binding', ['dpop', 'mtls', 'fingerprint', 'address', 'required', 'secrets']);
  const shared = await readSecrets(reader, context.storage.reach);
  // Whoever needs them and has none is told so below; until then anything will do.
  const secrets = shared ?? new SenderSecrets([randomBytes(32)]);
  const dpop = readOfferedDpop(reader, { ...context, secrets });
  const fingerprint = readFingerprintBinding(reader, { secrets });
  if (fingerprint !== null) expectCarried(reader, context.storage);
  const mtls = readMtls(reader, context.transport.trustedProxies);
  const isOffered: Readonly<Record<Proof, boolean>> = {
    dpop: dpop !== null,
    mtls: mtls !== null,
    fingerprint: fingerprint !== null && refusesLooks(fingerprint),
    cookie: shared !== null,
  };
  const offered = Object.freeze(PROOFS.filter((proof) => isOffered[proof]));
  const required = readRequired(reader, offered, context.defaults);
  const needsSecrets =
    (dpop !== null && dpop.nonces !== null) || fingerprint !== null || required.includes('cookie');
  if (shared === null && needsSecrets) {
    const problem = 'it is missing, and instances could not check what others gave out';
    const fix = 'Give 32 random bytes in base64url, the same everywhere, or keys.encryptionKeys';
    reader.add(SECRETS, problem, fix);
  }
  return Object.freeze({ dpop, mtls, fingerprint, offered, required, secrets: shared });
}

/** As written, or with all its defaults where the profile offers it. */
function readOfferedDpop(
  reader: OptionReader,
  context: BindingContext & { readonly secrets: SenderSecrets },
): DpopConfig | null {
  const isWritten = reader.get('binding.dpop') !== undefined;
  if (isWritten || context.defaults.dpop === 'absent') return readDpop(reader, context);
  const byProfile = new OptionReader({ binding: { dpop: {} } });
  const dpop = readDpop(byProfile, context);
  for (const { path, problem, fix } of byProfile.problems) reader.add(path, problem, fix);
  return dpop;
}

/** Whether what senders look like keeps anybody out: an address, or a note, does not. */
function refusesLooks({ weights, thresholds }: FingerprintConfig): boolean {
  const isAsked = Object.values(weights).some((weight) => weight !== null);
  return isAsked && (thresholds.stepUp !== null || thresholds.refuse !== null);
}

/** Which senders differ is counted by all instances together. */
function expectCarried(
  reader: OptionReader,
  { name, replayStore, attemptStore }: BindingContext['storage'],
): void {
  const missing = [replayStore, attemptStore].find((store) => store instanceof NotCarried);
  if (!(missing instanceof NotCarried)) return;
  const fix = 'Write redisStorage(…), or leave fingerprint and address out';
  reader.add('binding', `${name} cannot count who shows a token: ${missing.reason}`, fix);
}

async function readSecrets(
  reader: OptionReader,
  reach: Storage['reach'],
): Promise<SenderSecrets | null> {
  if (reader.get(SECRETS) !== undefined) {
    const secrets = known(await readEncryptionKeys(reader, SECRETS));
    if (secrets.length === 0) {
      reader.add(SECRETS, 'it names no secret', 'Give 32 random bytes in base64url');
      return null;
    }
    return new SenderSecrets(secrets);
  }
  const path = 'keys.encryptionKeys';
  // What is wrong with them is noted where they are read for the ring.
  const isSound = reader.isSound(path) && reader.get(path) !== undefined;
  const sealing = isSound ? known(await readEncryptionKeys(reader, path)) : [];
  if (sealing.length > 0) return new SenderSecrets(sealing.map(senderSecretFrom));
  return reach === 'process' ? new SenderSecrets([randomBytes(32)]) : null;
}

function senderSecretFrom(key: Buffer): Buffer {
  return createHmac('sha256', key).update('sender secret').digest();
}

function known(keys: readonly (Buffer | null)[]): readonly Buffer[] {
  return keys.filter((key) => key !== null);
}

/** A proof that is required and cannot be given would let nobody in. */
function readRequired(
  reader: OptionReader,
  offered: readonly Proof[],
  defaults: BindingContext['defaults'],
): readonly Proof[] {
  const path = 'binding.required';
  if (reader.get(path) === undefined) {
    const required = defaults.required.filter((proof) => offered.includes(proof));
    if (required.length === 0 && defaults.required.length > 0) {
      const fix = `Offer one of ${defaults.required.join(', ')}, or write the list, [] for none`;
      reader.add(path, 'the profile wants tokens bound, and nothing is there to bind them', fix);
    }
    return Object.freeze(required);
  }
  const required: Proof[] = [];
  const names = reader.names(path);
  for (const [index, name] of names.entries()) {
    const proof = PROOFS.find((candidate) => candidate === name);
    if (proof === undefined) reader.refuse(`${path}.${index}`, `Write one of ${PROOFS.join(', ')}`);
    else if (offered.includes(proof) || proof === 'cookie') required.push(proof);
    else {
      const fix = `Write binding.${proof}: {}, or take it out`;
      reader.add(`${path}.${index}`, `binding.${proof} is not set, or refuses nobody`, fix);
    }
  }
  if (
    required.length === 1 &&
    required[0] === 'cookie' &&
    reader.get('authorization') !== undefined
  ) {
    const fix = "Add 'dpop', or leave authorization out";
    reader.add(path, 'the code flow gives out no sender cookie, so nobody could use it', fix);
  }
  return Object.freeze(required);
}
