/**
 * What asking for revocations adds to a request with a token seen before: nothing revoked, a million
 * revoked, and while more are revoked elsewhere, after each of which every token is asked for anew.
 */
import { randomBytes } from 'node:crypto';

const ENTRIES = 1_000_000;
const PER_SECOND = 100;

const LIFETIME = 3_600_000;

/** As logging out, changing passwords and the like would fill it. */
const KINDS = ['token', 'token', 'token', 'session', 'session', 'subject', 'version'];

/** The same guard, that never asks. */
const UNASKED = 'ours, never asked';

export const REVOCATION_REQUEST = {
  title: 'A token seen before, and what was revoked',
  variants: [
    'empty',
    UNASKED,
    'ours, cached',
    'ours, 1 M revoked',
    'ours, 1 M revoked, 100/s more',
  ],
  targets: ({ adapter, by, pace }) =>
    ['ours, cached', 'ours, 1 M revoked', 'ours, 1 M revoked, 100/s more'].map((name) => ({
      what: `revocation-request, ${adapter}: main thread for asking (${name})`,
      unit: ' us',
      value: by(name).mainOver[UNASKED],
      atMost: 1,
      pace,
    })),
};

/** By name, as in `VARIANTS`: what is done to the guard before it is used. */
export const REVOCATION_VARIANTS = {
  [UNASKED]: async () => {
    const { RevocationService } = await import('nest-jwt-hardening');
    RevocationService.prototype.assertStands = () => {};
    return {};
  },
  'ours, 1 M revoked': async () => ({ storage: (await revokedBefore()).storage }),
  'ours, 1 M revoked, 100/s more': async () => {
    const { storage, revoke } = await revokedBefore();
    let number = 0;
    setInterval(() => void revoke(number++), 1_000 / PER_SECOND).unref();
    return { storage };
  },
};

// Imported late: these servers stand beside others that have nothing to do with the package.
async function revokedBefore() {
  const { memoryStorage } = await import('nest-jwt-hardening');
  const { DIGEST_LENGTH, writeRevocation } =
    await import('../../dist/revocation/revocation-entry.js');
  const storage = memoryStorage({ maxEntries: 2 * ENTRIES });
  const { revocationLog } = storage;
  /** As an instance hears of it that somebody else revoked something. */
  const revoke = (number) => {
    const digest = randomBytes(10).toString('base64url').slice(0, DIGEST_LENGTH);
    const kind = KINDS[number % KINDS.length];
    const now = Date.now();
    return revocationLog.append(
      writeRevocation({ kind, digest, since: now, until: now + LIFETIME }),
    );
  };
  for (let number = 0; number < ENTRIES; number++) await revoke(number);
  return { storage, revoke };
}
