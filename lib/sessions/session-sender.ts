import type { Confirmation, Proof } from '../binding/confirmation.js';
import { type FingerprintClaim, tellsLooks } from '../binding/fingerprint/fingerprint-claim.js';
import type { Fingerprints } from '../binding/fingerprint/fingerprints.js';
import { senderCookieDigest, senderCookieFor } from '../binding/sender-cookie.js';
import type { SenderKey } from '../binding/sender-secrets.js';
import { secretsEqual } from '../kernel/constant-time.js';
import { SessionError } from '../kernel/errors.js';
import type { OwnClaims } from '../tokens/token-signer.js';
import type { RefreshToken } from './refresh-token.js';
import type { SessionBinding, SessionRefresh, SessionStart } from './session.js';
import type { SessionGrant } from './session-grant.js';

/** What senders of sessions are recognised with; `null` for what this service does not use. */
export interface SessionSenderParts {
  readonly fingerprints: Pick<Fingerprints, 'claimOf' | 'compare'> | null;
  /** The first makes sender cookies, all check them. */
  readonly cookieKeys: readonly SenderKey[] | null;
  /** At least one of these binds every session; none has to if it is empty. */
  readonly required: readonly Proof[];
}

/** What is kept of the sender with what its session was granted. */
export type GrantedSender = Pick<SessionGrant, 'sender' | 'fingerprint'>;

/**
 * Whose a session is, besides who has its tokens: what new access tokens say of the sender, and whether
 * a refresh comes from the same.
 */
export class SessionSenders {
  constructor(private readonly parts: SessionSenderParts) {}

  /**
   * What is to be known of the sender of a new session.
   * @throws TypeError for a binding that its tokens could not be used with, or none where one is required
   */
  begin({ binding, carrier, fingerprint }: SessionStart): GrantedSender {
    if (binding !== undefined && binding.kind !== 'mtls' && carrier === 'cookie') {
      // No script sees a token in a cookie, so none could make the proof that goes with it.
      throw new TypeError(`A session in cookies cannot be bound by ${binding.kind}.`);
    }
    if (binding?.kind === 'cookie' && this.parts.cookieKeys === null) {
      throw new TypeError('A sender cookie needs binding.secrets.');
    }
    const look = fingerprint && this.parts.fingerprints?.claimOf(fingerprint);
    this.#expectRequired(binding, look);
    return {
      ...(binding?.kind === 'cookie' ? { sender: 'cookie' as const } : {}),
      ...(look === undefined ? {} : { fingerprint: look }),
    };
  }

  /**
   * The sender of a session that goes on, as it looks now.
   * @throws SessionError `ERR_SESSION_SENDER` if it is another
   * @throws StoreError if that cannot be said
   */
  async goOn(
    token: RefreshToken,
    { sender, fingerprint: baseline }: GrantedSender,
    refresh: SessionRefresh,
  ): Promise<GrantedSender> {
    const kept = sender === undefined ? {} : { sender };
    if (sender === 'cookie') this.#expectCookie(token, refresh.senderCookie);
    const { fingerprints } = this.parts;
    if (fingerprints === null) return kept;
    const { fingerprint: signals } = refresh;
    if (baseline !== undefined) {
      const sessionId = token.key.id;
      const verdict = signals && (await fingerprints.compare(signals, baseline, { sessionId }));
      if (verdict !== 'pass') throw another('it looks like another sender, or nobody looked');
    }
    return signals === undefined ? kept : { ...kept, fingerprint: fingerprints.claimOf(signals) };
  }

  /** What an access token says of its sender. */
  claimsOf(
    binding: SessionBinding | undefined,
    { sender, fingerprint }: GrantedSender,
    token: RefreshToken,
  ): Pick<OwnClaims, 'cnf' | 'fingerprint'> {
    const cookie = sender === 'cookie' ? this.cookieOf(token) : undefined;
    const cnf = cookie === undefined ? confirmationOf(binding) : cookieConfirmation(cookie);
    return {
      ...(cnf === undefined ? {} : { cnf }),
      ...(fingerprint === undefined ? {} : { fingerprint }),
    };
  }

  /** The value of the sender cookie that goes with a refresh token. */
  cookieOf({ secret }: RefreshToken): string | undefined {
    const key = this.parts.cookieKeys?.[0];
    return key && senderCookieFor(key, secret);
  }

  #expectCookie({ secret }: RefreshToken, sent: string | undefined): void {
    const { cookieKeys } = this.parts;
    const isOurs = (key: SenderKey): boolean =>
      sent !== undefined && secretsEqual(senderCookieFor(key, secret), sent);
    if (cookieKeys?.some(isOurs) !== true) throw another('the sender cookie is missing or another');
  }

  #expectRequired(binding: SessionBinding | undefined, look: FingerprintClaim | undefined): void {
    const { required } = this.parts;
    if (required.length === 0) return;
    const isBound = binding !== undefined && required.includes(binding.kind);
    if (isBound || (look && tellsLooks(look) && required.includes('fingerprint'))) return;
    throw new TypeError(
      `A session has to be bound by ${required.join(' or ')} (binding.required).`,
    );
  }
}

function confirmationOf(binding: SessionBinding | undefined): Confirmation | undefined {
  switch (binding?.kind) {
    case 'dpop':
      return { jkt: binding.value };
    case 'mtls':
      return { 'x5t#S256': binding.value };
    default:
      return undefined;
  }
}

function cookieConfirmation(value: string): Confirmation {
  return { 'cookie#S256': senderCookieDigest(value) };
}

function another(detail: string): SessionError {
  return new SessionError('ERR_SESSION_SENDER', detail);
}
