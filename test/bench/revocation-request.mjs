/**
 * What asking for revocations adds to a request with a token seen before: nothing revoked, a million
 * revoked, and while more are revoked elsewhere, after each of which every token is asked for anew.
 * Whole requests, and the check alone: a microsecond is less than two servers differ by.
 */
import { randomBytes } from 'node:crypto';

import { start } from './child-process.mjs';
import { formatTable } from './report.mjs';

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
  targets: () => [],
};

export async function measureAsking(patience) {
  return patience.best(async () => {
    const child = start('./revocation-request-process.mjs');
    const measured = await child.receive();
    await child.stop();
    return measured;
  });
}

export function formatAsking({ microseconds }) {
  return formatTable(
    ['checking a token seen before', 'main us', 'over never asked'],
    Object.entries(microseconds).map(([name, own]) => [
      name,
      own.toFixed(2),
      (own - microseconds['never asked']).toFixed(2),
    ]),
  );
}

export function askingTargets({ microseconds, pace }) {
  const { 'never asked': floor, ...asked } = microseconds;
  return Object.entries(asked).map(([name, own]) => ({
    what: `revocation-request: asking adds (${name})`,
    unit: ' us',
    value: own - floor,
    atMost: 1,
    pace,
  }));
}

/** By name, as in `VARIANTS`: what is done to the guard before it is used. */
export const REVOCATION_VARIANTS = {
  [UNASKED]: async () => {
    const { RevocationService } = await import('nest-jwt-hardening');
    RevocationService.prototype.assertStands = () => {};
    return {};
  },
  'ours, 1 M revoked': async () => ({ storage: (await revokedElsewhere(0)).storage }),
  'ours, 1 M revoked, 100/s more': async () => ({
    storage: (await revokedElsewhere(PER_SECOND)).storage,
  }),
};

/**
 * A log that others write to. It keeps nothing, as if it lay in another process: what is measured is
 * what this one does with it. Imported late: these servers stand beside others that have nothing to
 * do with the package.
 */
export async function revokedElsewhere(perSecond) {
  const { memoryStorage, RevocationLog } = await import('nest-jwt-hardening');
  const { DIGEST_LENGTH, writeRevocation } =
    await import('../../dist/revocation/revocation-entry.js');

  const entryAt = (number) => {
    const kind = KINDS[number % KINDS.length];
    const digest = randomBytes(10).toString('base64url').slice(0, DIGEST_LENGTH);
    const since = Date.now();
    const entry = writeRevocation({ kind, digest, since, until: since + LIFETIME });
    return { ...entry, position: String(number) };
  };

  let tell = () => {};
  class ElsewhereLog extends RevocationLog {
    #length = ENTRIES;

    async append() {
      return { position: String(++this.#length) };
    }

    async read({ after, limit }) {
      const from = Number(after ?? 0);
      const count = Math.min(limit, this.#length - from);
      const entries = Array.from({ length: count }, (_, place) => entryAt(from + place + 1));
      const position = String(from + count);
      return { verdict: 'read', entries, position, atEnd: from + count === this.#length };
    }

    follow({ onEntries, onCurrent }) {
      tell = () => onEntries([entryAt(++this.#length)]);
      const hear = () => {
        if (perSecond > 0) tell();
        onCurrent();
      };
      const hearing = setInterval(hear, 1_000 / (perSecond || 2)).unref();
      return () => clearInterval(hearing);
    }
  }

  const memory = memoryStorage();
  const { keyStore, sessionStore, replayStore, attemptStore } = memory;
  const storage = {
    name: 'a log elsewhere',
    reach: 'process',
    keyStore,
    sessionStore,
    replayStore,
    attemptStore,
    revocationLog: new ElsewhereLog(),
    status: () => memory.status(),
    onStatus: (listener) => memory.onStatus(listener),
    close: () => memory.close(),
  };
  return { storage, revokeOne: () => tell() };
}
