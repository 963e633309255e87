import { createSecretKey, type KeyObject } from 'node:crypto';

import { KeyError } from '../kernel/errors.js';
import { isKid } from '../keys/key-material.js';
import type { KeysConfig } from '../keys/keys-config.js';
import { lookalikeOf } from '../keys/secrets/key-lookalikes.js';
import { viewsOf } from '../keys/secrets/secret-views.js';
import { isIdentifier } from '../tokens/claims.js';
import { LEGACY_KID, type LegacyTokensConfig } from '../tokens/legacy-keys.js';
import type { OptionReader } from './option-reader.js';
import type { Profile } from './profiles.js';
import type { BindingConfig } from './resolve-binding.js';
import { DAY, SECOND } from './units.js';

/** What tokens of the past have to agree with. */
export interface LegacyContext {
  readonly profile: Profile;
  readonly trusted: readonly { readonly rules: { readonly issuer: string } }[];
  readonly required: BindingConfig['required'];
  readonly keys: Pick<KeysConfig, 'staticKeys'>;
  /** Which tokens of this service are accepted; `null` where none is encrypted. */
  readonly accept: 'encrypted' | 'both' | null;
  /** In milliseconds. */
  readonly now: number;
}

/** Beyond this a migration is a way of life. */
const FURTHEST = 400 * DAY;

/** What is longer is a file given by mistake. */
const MAX_BYTES = 16_384;

/** Options that hold secrets of other uses, and where a legacy secret must not be. */
const OTHER_SECRETS = ['keys.encryptionKeys', 'tokens.encryption.keys', 'binding.secrets'] as const;

const SECRETS = 'legacy.secrets';
const SECRETS_FIX = 'Give the secret that the old application signs with';

/** The options of `legacy`, checked; `null` in every other profile. */
export async function readLegacy(
  reader: OptionReader,
  context: LegacyContext,
): Promise<LegacyTokensConfig | null> {
  if (context.profile !== 'legacy') {
    if (reader.get('legacy') !== undefined) {
      const fix = "Write profile: 'legacy', or take it out";
      reader.add('legacy', "it is set, and the profile is not 'legacy'", fix);
    }
    return null;
  }
  reader.expectOnly('legacy', [
    'secrets',
    'until',
    'issuer',
    'audience',
    'kid',
    'subject',
    'maxLifetime',
    'dangerouslyAllowWeakSecrets',
  ]);
  if (!reader.isSound('legacy')) return null;
  refuseContradictions(reader, context);
  return Object.freeze({
    secrets: await readSecrets(reader),
    until: readUntil(reader, context.now),
    kid: readName(reader, 'kid', "Write its kid, such as 'key-1', or null", isKid),
    claims: Object.freeze({
      issuer: readIssuer(reader, context.trusted),
      audience: readName(reader, 'audience', 'Write what it has in aud, or null', isIdentifier),
      subject: reader.oneOf('legacy.subject', ['text', 'number'], 'text'),
    }),
    maxLifetime:
      reader.duration('legacy.maxLifetime', DAY, { min: SECOND, max: DAY, step: SECOND }) / SECOND,
  });
}

/** What can never let one of them in is a mistake, here or there. */
function refuseContradictions(
  reader: OptionReader,
  { required, keys: { staticKeys }, accept }: LegacyContext,
): void {
  if (required.length > 0) {
    const fix = "Take it out, or profile: 'legacy'; routes can ask for it with @Bound()";
    reader.add('binding.required', 'legacy tokens are bound to nobody', fix);
  }
  if (accept === 'encrypted') {
    const fix = "Write tokens.encryption: { accept: 'both' } until they have ended";
    reader.add('tokens.encryption.accept', 'legacy tokens are not encrypted', fix);
  }
  const kids = staticKeys === null ? [] : [staticKeys.signing, ...staticKeys.previous];
  if (kids.some(({ kid }) => kid === LEGACY_KID)) {
    const problem = 'a key has the kid of legacy tokens';
    reader.add('keys.signingKey.kid', problem, `Write another than '${LEGACY_KID}'`);
  }
}

async function readSecrets(reader: OptionReader): Promise<readonly KeyObject[]> {
  const value = reader.get(SECRETS);
  // A copy has no holes.
  const list: unknown[] = Array.isArray(value) ? [...(value as unknown[])] : [value];
  if (list.length === 0) reader.refuse(SECRETS, SECRETS_FIX);
  const secrets: Buffer[] = [];
  for (const [index, given] of list.entries()) {
    const path = Array.isArray(value) ? `${SECRETS}.${index}` : SECRETS;
    const secret = bytesOf(given);
    if (secret === undefined) reader.refuse(path, SECRETS_FIX);
    else if (secrets.some((known) => known.equals(secret))) {
      reader.add(path, 'it is there twice', 'Write each once');
    } else {
      secrets.push(secret);
      await judgeSecret(reader, path, secret);
    }
  }
  return Object.freeze(secrets.map((secret) => createSecretKey(secret)));
}

function bytesOf(secret: unknown): Buffer | undefined {
  const isText = typeof secret === 'string' && secret.isWellFormed();
  if (!isText && !(secret instanceof Uint8Array)) return undefined;
  const bytes = Buffer.from(secret);
  return bytes.length > 0 && bytes.length <= MAX_BYTES ? bytes : undefined;
}

/** Also where weak ones are allowed: what others can know is no secret, and has one use. */
async function judgeSecret(reader: OptionReader, path: string, secret: Buffer): Promise<void> {
  const { assertStrongSecret } = await import('../keys/secrets/secret-strength.js');
  const lookalike = viewsOf(secret).flatMap(({ bytes }) => lookalikeOf(bytes) ?? [])[0];
  if (lookalike !== undefined) {
    reader.add(path, `it is ${lookalike}, and no shared secret`, SECRETS_FIX);
  } else if (isUsedElsewhere(reader, secret)) {
    reader.add(path, 'it is a secret of another option, too', 'Give each its own');
  }
  const weak = 'legacy.dangerouslyAllowWeakSecrets';
  if (reader.oneOf(weak, [true, false], false)) return;
  try {
    assertStrongSecret(secret);
  } catch (error) {
    if (!(error instanceof KeyError)) throw error;
    const problem = error.message.replace(/^The secret cannot be used: ([^.]*)\..*$/s, '$1');
    const fix = `Let the old application sign with a strong one first, or write ${weak}: true: then whoever guesses it can be anybody`;
    reader.add(path, problem, fix);
  }
}

/** As bytes and as the text of such, whichever of the two was meant. */
function isUsedElsewhere(reader: OptionReader, secret: Buffer): boolean {
  const others = OTHER_SECRETS.flatMap((path) => {
    const value = reader.get(path);
    return Array.isArray(value) ? [...(value as unknown[])] : [value];
  });
  return others.some(
    (other) =>
      typeof other === 'string' &&
      (Buffer.from(other).equals(secret) || Buffer.from(other, 'base64url').equals(secret)),
  );
}

const DATE = /^\d{4}-\d{2}-\d{2}(?:T\d{2}:\d{2}:\d{2}(?:\.\d{3})?Z)?$/;

/** A date that has passed is no mistake: an application must not fail to start because of the day. */
function readUntil(reader: OptionReader, now: number): number {
  const path = 'legacy.until';
  const fix = "Write a date, such as '2027-03-31', or an instant, such as '2027-03-31T06:00:00Z'";
  const text = reader.text(path, undefined, fix, (date) => DATE.test(date) && exists(date));
  if (text === '') return 0;
  const until = Date.parse(text);
  if (until - now > FURTHEST) {
    reader.add(path, 'it is more than 400 days ahead', 'Write a date by which all have moved');
  }
  return until;
}

/** The parser takes the 30th of February for a day in March. */
function exists(date: string): boolean {
  const time = Date.parse(date);
  return Number.isFinite(time) && new Date(time).toISOString().startsWith(date.replace('Z', ''));
}

function readIssuer(reader: OptionReader, trusted: LegacyContext['trusted']): string | null {
  const fix = 'Write what it has in iss, or null';
  const issuer = readName(reader, 'issuer', fix, (text) => text !== '' && text.length <= 2_048);
  if (trusted.some(({ rules }) => rules.issuer === issuer)) {
    reader.add('legacy.issuer', 'it is one of trust, whose keys are its own', fix);
  }
  return issuer;
}

function readName(
  reader: OptionReader,
  name: 'issuer' | 'audience' | 'kid',
  fix: string,
  accepts: (text: string) => boolean,
): string | null {
  const path = `legacy.${name}`;
  if (reader.get(path) === undefined || reader.get(path) === null) return null;
  return reader.text(path, undefined, fix, accepts);
}
