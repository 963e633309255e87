import { formatDuration } from '../kernel/duration.js';
import type { KeysConfig } from '../keys/keys-config.js';
import { isIdentifier } from '../tokens/claims.js';
import type { OptionReader } from './option-reader.js';
import type { ProfileDefaults } from './profiles.js';
import { DAY, MINUTE, SECOND } from './units.js';

/** What tokens say and how long they live, lengths in milliseconds. */
export interface TokenLengths {
  readonly accessTtl: number;
  readonly leeway: number;
  readonly lifetimeJitter: number;
  readonly clientId: string | null;
  readonly requiredClaims: readonly string[];
  readonly allowClaims: readonly string[];
  readonly verifiedCacheEntries: number;
}

/** The options of `tokens` that depend on no others. All problems are noted. */
export function readTokens(
  reader: OptionReader,
  defaults: Pick<ProfileDefaults, 'accessTtl'>,
): TokenLengths {
  reader.expectOnly('tokens', [
    'accessTtl',
    'maxLifetime',
    'leeway',
    'lifetimeJitter',
    'clientId',
    'requiredClaims',
    'allowClaims',
    'verifiedCache',
    'encryption',
  ]);
  const whole = { step: SECOND };
  const accessTtl = reader.duration('tokens.accessTtl', defaults.accessTtl, {
    ...whole,
    min: SECOND,
    max: DAY,
  });
  const lifetimeJitter = reader.duration('tokens.lifetimeJitter', 0, whole);
  if (reader.isSound('tokens.accessTtl') && lifetimeJitter * 2 > accessTtl) {
    reader.add(
      'tokens.lifetimeJitter',
      'it is more than half of tokens.accessTtl',
      `Write at most '${formatDuration(Math.floor(accessTtl / 2 / SECOND) * SECOND)}'`,
    );
  }
  return {
    accessTtl,
    lifetimeJitter,
    leeway: reader.duration('tokens.leeway', 10 * SECOND, { max: MINUTE }),
    clientId:
      reader.get('tokens.clientId') === undefined
        ? null
        : reader.text('tokens.clientId', '', "Write a client id, such as 'web'", isIdentifier),
    requiredClaims: reader.names('tokens.requiredClaims'),
    allowClaims: reader.names('tokens.allowClaims'),
    verifiedCacheEntries: readCacheEntries(reader),
  };
}

function readCacheEntries(reader: OptionReader): number {
  if (reader.get('tokens.verifiedCache') === null) return 0;
  reader.expectOnly('tokens.verifiedCache', ['maxEntries']);
  return reader.wholeNumber('tokens.verifiedCache.maxEntries', 10_000, { min: 1, max: 10_000_000 });
}

/** The longest token must not outlive the key that signed it. */
export function resolveMaxLifetime(
  reader: OptionReader,
  { accessTtl, leeway }: TokenLengths,
  {
    keys: { retainFor, maxLag },
    defaults,
  }: {
    readonly keys: Pick<KeysConfig, 'retainFor' | 'maxLag'>;
    readonly defaults: Pick<ProfileDefaults, 'maxLifetime'>;
  },
): number {
  const rotates = reader.get('keys.signingKey') === undefined;
  // An instance that is cut off from a shared store signs on for so long with what it knows.
  const cutOff = Number.isFinite(maxLag) ? maxLag : 0;
  const slack = leeway + cutOff;
  const longestKept = rotates ? retainFor - slack : Infinity;
  const roomy = Math.floor(Math.min(defaults.maxLifetime, longestKept) / SECOND) * SECOND;
  const maxLifetime = reader.duration('tokens.maxLifetime', Math.max(accessTtl, roomy), {
    step: SECOND,
    min: SECOND,
    max: DAY,
  });
  if (reader.isSound('tokens.accessTtl') && maxLifetime < accessTtl) {
    reader.add(
      'tokens.maxLifetime',
      `'${formatDuration(maxLifetime)}' is shorter than tokens.accessTtl`,
      `Write at least '${formatDuration(accessTtl)}'`,
    );
  }
  if (
    reader.isSound('tokens.leeway', 'tokens.maxLifetime', 'tokens.accessTtl') &&
    maxLifetime > longestKept
  ) {
    reader.add(
      'keys.retainFor',
      `'${formatDuration(retainFor)}' is shorter than the longest token plus tokens.leeway${cutOff > 0 ? ' and outage.maxLag' : ''}`,
      `Write at least '${formatDuration(maxLifetime + slack)}', or shorten tokens.accessTtl and tokens.maxLifetime`,
    );
  }
  return maxLifetime;
}
