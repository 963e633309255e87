import type { Confirmation } from '../binding/confirmation.js';
import { SESSION_CLAIMS } from '../sessions/entitlements.js';
import type { SessionBinding, SessionStart } from '../sessions/session.js';
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
const NOT_CUSTOM: readonly string[] = [...RESERVED_CLAIMS, ...SESSION_CLAIMS];

/**
 * What the session is started with that takes the place of the token's. It is bound to the key, the
 * certificate or the cookie that the token is bound to: the guard has seen them just now, and a proof
 * cannot be shown twice.
 * @throws TypeError for what would change the sender or pretend another authentication
 */
export function successionOf(token: VerifiedToken, start: StepUpStart): SessionStart {
  const fixed = FIXED.find((name) => name in start);
  if (fixed !== undefined) throw new TypeError(`${fixed} is not chosen at a step-up.`);
  if (token.fingerprint !== undefined && start.fingerprint === undefined) {
    throw new TypeError('fingerprint is missing, and the token has one.');
  }
  const binding = bindingOf(token, start.binding);
  const { scopes: scope, roles, permissions, clientId, claims } = token;
  const custom = Object.entries(claims).filter(([name]) => !NOT_CUSTOM.includes(name));
  return {
    scope,
    roles,
    permissions,
    // Of a verified token, and without what is no JSON of the application's.
    claims: Object.fromEntries(custom) as Readonly<Record<string, ClaimInput | undefined>>,
    ...start,
    ...(binding === undefined ? {} : { binding }),
    ...(clientId === undefined ? {} : { clientId }),
    carrier: claims.csrf === undefined ? 'body' : 'cookie',
  };
}

/** That of the token, which is never given up for another or for less. */
function bindingOf(
  { confirmation }: VerifiedToken,
  given: SessionBinding | undefined,
): SessionBinding | undefined {
  if (confirmation === undefined) return given;
  const [bound, ...more] = bindingsIn(confirmation);
  // A session is bound to one thing: what a token says beyond that would be lost.
  if (bound === undefined || more.length > 0) {
    throw new TypeError('A session cannot be bound as its token is.');
  }
  if (given !== undefined && !isSame(given, bound)) {
    throw new TypeError('binding is another than that of the token.');
  }
  return bound;
}

function bindingsIn(confirmation: Confirmation): readonly SessionBinding[] {
  const { jkt, 'x5t#S256': certificate, 'cookie#S256': cookie } = confirmation;
  const bindings: SessionBinding[] = [];
  if (jkt !== undefined) bindings.push({ kind: 'dpop', value: jkt });
  if (certificate !== undefined) bindings.push({ kind: 'mtls', value: certificate });
  if (cookie !== undefined) bindings.push({ kind: 'cookie' });
  return bindings;
}

function isSame(one: SessionBinding, other: SessionBinding): boolean {
  return (
    one.kind === other.kind &&
    (one.kind === 'cookie' || other.kind === 'cookie' || one.value === other.value)
  );
}
