import type { Confirmation, Proof } from '../binding/confirmation.js';
import { tellsLooks } from '../binding/fingerprint/fingerprint-claim.js';
import type { Fingerprints } from '../binding/fingerprint/fingerprints.js';
import { senderCookieDigest, senderCookieFor } from '../binding/sender-cookie.js';
import type { SenderKey } from '../binding/sender-secrets.js';
import { secretsEqual } from '../kernel/constant-time.js';
import { ProofError, SessionError } from '../kernel/errors.js';
import type { OwnClaims } from '../tokens/token-signer.js';
import type { RefreshToken } from './refresh-token.js';
import type { SessionBinding, SessionRefresh, SessionStart } from './session.js';
import type { SessionGrant } from './session-grant.js';
import { bindingDigest } from './session-input.js';

/** What senders of sessions are recognised with; `null` for what this service does not use. */
export interface SessionSenderParts {
  readonly fingerprints: Pick<Fingerprints, 'claimOf' | 'compare'> | null;
  /** The first makes sender cookies, all check them. */
  readonly cookieKeys: readonly SenderKey[] | null;
  /** What this service checks. */
  readonly offered: readonly Proof[];
  /** At least one of these binds every session; none has to if it is empty. */
  readonly required: readonly Proof[];
}

/** What is kept of the sender with what its session was granted. */
export type GrantedSender = Pick<SessionGrant, 'binding' | 'proof' | 'fingerprint'>;

/** What a refresh proves. */
type ProvenBinding = SessionRefresh['binding'];

/**
 * Whose a session is, besides who has its tokens: what new access tokens say of the sender, and whether
 * a refresh comes from the same.
 */
export class SessionSenders {
  constructor(private readonly parts: SessionSenderParts) {}

  /**
   * What is to be known of the sender of a new session.
   * @throws ProofError `ERR_PROOF_MISSING` where `binding.required` is not met; `ERR_PROOF_FORMAT` for a
   * key where no script could make proofs
   * @throws TypeError for a binding that its tokens could not be used with
   */
  begin({ binding, carrier, fingerprint }: SessionStart): GrantedSender {
    const { offered, fingerprints } = this.parts;
    if (binding?.kind === 'dpop' && carrier === 'cookie') {
      // No script sees a token in a cookie, so none could make the proof that goes with it.
      throw new ProofError('ERR_PROOF_FORMAT', 'a session in cookies cannot be bound to a key');
    }
    if (binding?.kind === 'cookie' && carrier === 'cookie') {
      throw new TypeError('A session in cookies cannot be bound by one more.');
    }
    if (binding !== undefined && !offered.includes(binding.kind)) {
      const missing = binding.kind === 'cookie' ? 'binding.secrets' : `binding.${binding.kind}`;
      throw new TypeError(`A session cannot be bound by ${binding.kind}: ${missing} is not set.`);
    }
    const look = fingerprint && fingerprints?.claimOf(fingerprint);
    const proof = bindingDigest(binding);
    const sender = {
      ...(binding === undefined ? {} : { binding: binding.kind }),
      ...(proof === null ? {} : { proof }),
      ...(look === undefined ? {} : { fingerprint: look }),
    };
    if (!this.#isBoundEnough(sender)) {
      const names = this.parts.required.join(' or ');
      throw new ProofError('ERR_PROOF_MISSING', `binding.required: the session needs ${names}`);
    }
    return sender;
  }

  /**
   * What a refresh proves of what the session asks for; which key it is, is for the store to judge.
   * @throws SessionError `ERR_SESSION_SENDER` if nobody here can check what it is bound by, or if it was
   * not bound to a key and is to be now
   */
  provenBy({ binding: kind }: GrantedSender, given: ProvenBinding): ProvenBinding {
    if (kind === 'dpop' || kind === 'mtls') {
      if (this.parts.offered.includes(kind)) return given;
      throw another('it is bound by what is not checked here');
    }
    // A client would take its tokens for bound.
    if (given?.kind === 'dpop') throw another('it began without a key');
    return undefined;
  }

  /**
   * The sender of a session that goes on, as it looks now.
   * @throws SessionError `ERR_SESSION_SENDER` if it is another
   * @throws StoreError if that cannot be said
   */
  async goOn(
    token: RefreshToken,
    { binding, proof, fingerprint: baseline }: GrantedSender,
    refresh: SessionRefresh,
  ): Promise<GrantedSender> {
    const { fingerprints } = this.parts;
    const { fingerprint: signals } = refresh;
    if (baseline !== undefined && fingerprints !== null) {
      const sessionId = token.key.id;
      const verdict = signals && (await fingerprints.compare(signals, baseline, { sessionId }));
      if (verdict !== 'pass') throw another('it looks like another sender, or nobody looked');
    }
    const look = signals && fingerprints?.claimOf(signals);
    const sender = {
      ...(binding === undefined ? {} : { binding }),
      ...(proof === undefined ? {} : { proof }),
      ...(look === undefined ? {} : { fingerprint: look }),
    };
    if (!this.#isBoundEnough(sender)) throw another('it is bound to nothing that is required');
    return sender;
  }

  /**
   * Whether the cookie of a session bound by one goes with one of these refresh tokens: the one that is
   * presented, or the one it was exchanged for, whose cookie a browser may have got without its token.
   * @throws SessionError `ERR_SESSION_SENDER`
   */
  expectCookie(
    { binding }: GrantedSender,
    sent: string | undefined,
    ...tokens: RefreshToken[]
  ): void {
    if (binding !== 'cookie') return;
    const { cookieKeys } = this.parts;
    const isOurs = (key: SenderKey): boolean =>
      sent !== undefined &&
      tokens.some(({ secret }) => secretsEqual(senderCookieFor(key, secret), sent));
    if (cookieKeys?.some(isOurs) !== true) throw another('the sender cookie is missing or another');
  }

  /** What an access token says of its sender. */
  claimsOf(
    proven: SessionBinding | undefined,
    { binding, fingerprint }: GrantedSender,
    token: RefreshToken,
  ): Pick<OwnClaims, 'cnf' | 'fingerprint'> {
    const cookie = this.cookieOf(binding, token);
    const cnf = cookie === undefined ? confirmationOf(proven) : cookieConfirmation(cookie);
    return {
      ...(cnf === undefined ? {} : { cnf }),
      ...(fingerprint === undefined ? {} : { fingerprint }),
    };
  }

  /** The value of the cookie that goes with a refresh token, if the session is bound by one. */
  cookieOf(binding: GrantedSender['binding'], { secret }: RefreshToken): string | undefined {
    const key = this.parts.cookieKeys?.[0];
    return binding === 'cookie' && key !== undefined ? senderCookieFor(key, secret) : undefined;
  }

  #isBoundEnough({ binding, fingerprint }: GrantedSender): boolean {
    const { required } = this.parts;
    const isBound = binding !== undefined && required.includes(binding);
    const isKnown = fingerprint !== undefined && tellsLooks(fingerprint);
    return required.length === 0 || isBound || (isKnown && required.includes('fingerprint'));
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
