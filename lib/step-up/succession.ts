import type { SessionStart } from '../sessions/session.js';
import { type ClaimInput, RESERVED_CLAIMS } from '../tokens/claims.js';
import type { VerifiedToken } from '../tokens/verified-token.js';

/**
 * How one session takes the place of another when its user has authenticated anew: it is a new one, so
 * that no token from before the step-up is worth more by it, and it is for the same sender.
 */

/** What the new session begins with; what is not said is as it was. */
export type StepUpStart = Omit<SessionStart, (typeof FIXED)[number]>;

/** What nobody chooses: the user authenticated now, and the client and its transport are who they were. */
const FIXED = ['authTime', 'carrier', 'clientId'] as const;

/** Claims that a session sets by itself, or has an option of their own for. */
const NOT_CUSTOM: readonly string[] = [
  ...RESERVED_CLAIMS,
  'sub',
  'sid',
  'scope',
  'roles',
  'permissions',
  'client_id',
  'auth_time',
  'acr',
  'amr',
];

/**
 * What the session is started with that takes the place of the token's.
 * @throws TypeError for what would change the sender or pretend another authentication
 */
export function successionOf(token: VerifiedToken, start: StepUpStart): SessionStart {
  const fixed = FIXED.find((name) => name in start);
  if (fixed !== undefined) throw new TypeError(`${fixed} is not chosen at a step-up.`);
  if (!isAsMuchBound(token, start)) {
    throw new TypeError('The session has to be bound to the sender that its token is bound to.');
  }
  const { scopes: scope, roles, permissions, clientId, claims } = token;
  const custom = Object.entries(claims).filter(([name]) => !NOT_CUSTOM.includes(name));
  return {
    scope,
    roles,
    permissions,
    // Of a verified token, and without what is no JSON of the application's.
    claims: Object.fromEntries(custom) as Readonly<Record<string, ClaimInput | undefined>>,
    ...start,
    ...(clientId === undefined ? {} : { clientId }),
    carrier: claims.csrf === undefined ? 'body' : 'cookie',
  };
}

/** Each proof that the token asks for, of the same key or certificate. */
function isAsMuchBound(
  { confirmation = {}, claims }: VerifiedToken,
  { binding, ...others }: StepUpStart,
): boolean {
  const { jkt, 'x5t#S256': certificate, 'cookie#S256': cookie } = confirmation;
  return (
    (jkt === undefined || (binding?.kind === 'dpop' && binding.value === jkt)) &&
    (certificate === undefined || (binding?.kind === 'mtls' && binding.value === certificate)) &&
    (cookie === undefined || binding?.kind === 'cookie') &&
    (claims['fingerprint'] === undefined ||
      ('fingerprint' in others && others.fingerprint !== undefined))
  );
}
