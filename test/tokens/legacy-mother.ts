import { createHmac, randomBytes } from 'node:crypto';

import type { JwtHardeningOptions } from '../../lib/config/options.js';
import type { LegacyOptions } from '../../lib/config/legacy-options.js';
import { TestClock } from '../support/test-clock.js';
import { type Issuer, openIssuer } from '../support/token-mother.js';
import { recordSecret } from '../support/witness.js';

/** An application of before, and the service that takes its tokens for a while. */

/** What the old application signs with. */
export const SECRET = randomBytes(48).toString('base64');
recordSecret(SECRET);

export const HEADER = { alg: 'HS256', typ: 'JWT' };

const DAY = 86_400_000;

/** A clock that agrees with the host's, which says whether a date is near enough. */
export function legacyClock(): TestClock {
  return new TestClock(Math.floor(Date.now() / 1000) * 1000);
}

/** As an option takes it. */
export function inDays(clock: TestClock, days: number): string {
  return new Date(clock.now() + days * DAY).toISOString();
}

export function openLegacy(
  clock: TestClock,
  legacy: Partial<LegacyOptions> = {},
  options: Partial<JwtHardeningOptions> = {},
): Promise<Issuer> {
  const section = { secrets: SECRET, until: inDays(clock, 30), ...legacy };
  return openIssuer({ profile: 'legacy', legacy: section, ...options }, clock);
}

/** What `jsonwebtoken` writes for `sign({ sub }, secret, { expiresIn: '1h' })`. */
export function oldClaims(clock: TestClock): Readonly<Record<string, unknown>> {
  const iat = clock.seconds();
  return { sub: 'user-1', iat, exp: iat + 3600 };
}

/** A compact token under an HMAC with any bytes. Texts pass as they are. */
export function oldToken(
  claims: object | string,
  header: object | string = HEADER,
  { secret = SECRET, hash = 'sha256' }: { secret?: string | Buffer; hash?: string } = {},
): string {
  const input = [header, claims]
    .map((part) => (typeof part === 'string' ? part : JSON.stringify(part)))
    .map((text) => Buffer.from(text).toString('base64url'))
    .join('.');
  const token = `${input}.${createHmac(hash, secret).update(input).digest('base64url')}`;
  recordSecret(token);
  return token;
}

/** The code of the refusal, or `accepted`. */
export function verdict({ tokens }: Issuer, token: string): Promise<string> {
  return tokens.verify(token).then(
    () => 'accepted',
    (error: unknown) => (error as { readonly code: string }).code,
  );
}
