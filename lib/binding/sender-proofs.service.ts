import { Injectable } from '@nestjs/common';

import type { SecurityEvents } from '../events/security-events.js';
import { secretsEqual } from '../kernel/constant-time.js';
import type { Clock } from '../kernel/clock.js';
import { ProofError, TokenError } from '../kernel/errors.js';
import type { ClientAddress } from './client-address.js';
import { type Confirmation, type Proof, proofsOf } from './confirmation.js';
import type { DpopProofs } from './dpop/dpop-proofs.js';
import type { FingerprintClaim } from './fingerprint/fingerprint-claim.js';
import type { Fingerprints } from './fingerprint/fingerprints.js';
import type { SenderSignals } from './fingerprint/sender-signals.js';
import type { ClientCertificates } from './mtls/client-certificates.js';
import { senderCookieDigest } from './sender-cookie.js';
import type { SenderRequest } from './sender-request.js';

/** What a sender proves itself with; `null` for what this service does not take. */
export interface SenderParts {
  readonly dpop: DpopProofs | null;
  readonly certificates: ClientCertificates | null;
  readonly fingerprints: Fingerprints | null;
  readonly addresses: ClientAddress;
  /** The value of the cookie `__Host-sender`. */
  readonly readCookie: (request: SenderRequest) => string | undefined;
  /** At least one of these binds every token; none of them if it is empty. */
  readonly required: readonly Proof[];
  readonly events: SecurityEvents;
  readonly clock: Clock;
}

/**
 * What a request shows of its sender, to be handed to a session that starts or goes on:
 * `sessions.start(user, { …, ...(await senders.prove(request)) })`.
 */
export interface ProvenSender {
  readonly binding?: SenderBinding;
  readonly senderCookie?: string;
  readonly address?: string;
  readonly fingerprint?: SenderSignals;
}

/** What a sender holds that nobody else has. */
export interface SenderBinding {
  readonly kind: 'dpop' | 'mtls';
  /** The thumbprint of its key (RFC 7638), or of its certificate (RFC 8705 §3.1). */
  readonly value: string;
  /** Uses the proof up; sessions call it last of all, so that nothing is remembered for who gets nothing. */
  readonly use?: () => Promise<void>;
}

/** How a token came. */
export interface ShownToken {
  readonly text: string;
  readonly scheme: 'Bearer' | 'DPoP' | 'cookie';
}

/** A token that was verified, as far as its sender is concerned. */
export interface BoundToken {
  readonly confirmation: Confirmation | undefined;
  readonly fingerprint: FingerprintClaim | undefined;
  readonly sessionId: string | undefined;
  readonly tokenId: string;
}

/** The sender is who it has to be; or looks so different that the user is to authenticate anew. */
export interface SenderAnswer {
  readonly verdict: 'pass' | 'stepUp';
  /** For the header `DPoP-Nonce`. */
  readonly nextNonce: string | undefined;
}

const PASS: SenderAnswer = Object.freeze({ verdict: 'pass', nextNonce: undefined });

/** Says whether who sends a token is who it was issued to. */
@Injectable()
export class SenderProofs {
  /** @internal */
  constructor(private readonly parts: SenderParts) {}

  /** Signature algorithms of DPoP proofs (RFC 9449 §5.1); `null` where they are not taken. */
  get dpopAlgorithms(): string | null {
    return this.parts.dpop?.algs ?? null;
  }

  /**
   * What a request for tokens shows of its sender: its DPoP proof, or its TLS certificate, its address
   * and what it looks like. A proof is used up when a session starts or goes on with it.
   * @throws ProofError for a wrong proof, or none where `binding.required` asks for one
   */
  async prove(request: SenderRequest): Promise<ProvenSender> {
    const binding = await this.#bindingOf(request);
    const senderCookie = this.parts.readCookie(request);
    this.#expectRequired(binding);
    return {
      ...(binding === undefined ? {} : { binding }),
      ...(senderCookie === undefined ? {} : { senderCookie }),
      ...this.look(request),
    };
  }

  /**
   * Only what the sender looks like, which proves nothing: for a route that the guard has let through,
   * where a proof was used up by that, such as a step-up.
   */
  look(request: SenderRequest): Pick<ProvenSender, 'address' | 'fingerprint'> {
    const { addresses, fingerprints } = this.parts;
    const address = addresses.addressOf(request);
    const fingerprint = fingerprints?.signalsOf(request);
    return {
      ...(address === undefined ? {} : { address }),
      ...(fingerprint === undefined ? {} : { fingerprint }),
    };
  }

  /** For the header `DPoP-Nonce` of an answer to a request with a proof. */
  freshNonce(request: SenderRequest): string | undefined {
    const { dpop } = this.parts;
    return dpop?.hasProof(request) === true ? dpop.freshNonce() : undefined;
  }

  /**
   * @internal Asks whether the sender of a verified token is its owner: at once, unless a proof or a
   * new look has to be asked the store about.
   * @throws TokenError `ERR_TOKEN_BINDING` if it is somebody else
   * @throws ProofError, StoreError as `prove`
   */
  assert(
    request: SenderRequest,
    token: BoundToken,
    shown: ShownToken,
  ): SenderAnswer | Promise<SenderAnswer> {
    const { confirmation, fingerprint } = token;
    if (confirmation === undefined && fingerprint === undefined) {
      if (shown.scheme === 'DPoP') throw refused('it is not bound to a key, and came as if it was');
      if (this.parts.required.length > 0) throw refused('it is bound to nobody');
      return PASS;
    }
    this.#assertRequired(token);
    this.#assertHeld(request, token, shown);
    if (confirmation?.jkt !== undefined) {
      return this.#withProof(request, token, { token: shown.text, jkt: confirmation.jkt });
    }
    const looks = this.#look(request, token);
    return looks instanceof Promise ? looks.then((late) => answer(late)) : answer(looks);
  }

  async #bindingOf(request: SenderRequest): Promise<SenderBinding | undefined> {
    const { dpop, certificates, required } = this.parts;
    const thumbprint = certificates?.thumbprintOf(request);
    const shown: SenderBinding | undefined =
      thumbprint === undefined ? undefined : { kind: 'mtls', value: thumbprint };
    // A key says more than a certificate, which may be that of a whole network; unless it is demanded.
    const prefersCertificate = required.includes('mtls') && !required.includes('dpop');
    if (dpop?.hasProof(request) !== true || (shown !== undefined && prefersCertificate))
      return shown;
    const { jkt, use } = await dpop.inspect(request);
    return { kind: 'dpop', value: jkt, use };
  }

  #expectRequired(binding: SenderBinding | undefined): void {
    const { required } = this.parts;
    const isUnbound = binding === undefined || !required.includes(binding.kind);
    // The cookie and the fingerprint need nothing of the request: the session makes them.
    const isUpToSession = required.includes('cookie') || required.includes('fingerprint');
    if (required.length > 0 && isUnbound && !isUpToSession) {
      throw new ProofError('ERR_PROOF_MISSING', 'the session has to be bound to its sender');
    }
  }

  #assertRequired(token: BoundToken): void {
    const { required } = this.parts;
    if (required.length === 0) return;
    const proofs = proofsOf(token);
    if (!required.some((kind) => proofs.includes(kind))) {
      throw refused('it is bound to nothing that binding.required names');
    }
  }

  /** What needs no store: how it came, the certificate, the cookie. */
  #assertHeld(request: SenderRequest, token: BoundToken, { scheme }: ShownToken): void {
    const { confirmation = {} } = token;
    const { certificates, readCookie } = this.parts;
    // RFC 9449 §7.2: also the reverse, or a thief would only have to leave the proof away.
    if ((confirmation.jkt !== undefined) !== (scheme === 'DPoP')) {
      throw this.#mismatched(token, 'dpop', 'it came under the other scheme');
    }
    const certificate = confirmation['x5t#S256'];
    if (certificate !== undefined && certificates?.thumbprintOf(request) !== certificate) {
      throw this.#mismatched(token, 'mtls', 'the client shows another certificate, or none');
    }
    const cookie = confirmation['cookie#S256'];
    if (cookie !== undefined) {
      const sent = readCookie(request);
      if (sent === undefined || !secretsEqual(senderCookieDigest(sent), cookie)) {
        throw this.#mismatched(token, 'cookie', 'the sender cookie is missing or another');
      }
    }
  }

  #look(
    request: SenderRequest,
    { fingerprint, sessionId, tokenId }: BoundToken,
  ): ReturnType<Fingerprints['check']> {
    if (fingerprint === undefined) return 'pass';
    const { fingerprints } = this.parts;
    if (fingerprints === null) throw refused('it has a fingerprint, which nobody here can check');
    return fingerprints.check(request, { fingerprint, sessionId, tokenId });
  }

  async #withProof(
    request: SenderRequest,
    token: BoundToken,
    bound: { readonly token: string; readonly jkt: string },
  ): Promise<SenderAnswer> {
    const { dpop } = this.parts;
    if (dpop === null) throw refused('it is bound to a key, and proofs of keys are not taken here');
    const { nextNonce, use } = await dpop.inspect(request, bound).catch((error: unknown) => {
      throw error instanceof TokenError ? this.#mismatched(token, 'dpop', error.detail) : error;
    });
    // Not before: whoever has the token without its key must not be counted for its sender.
    const verdict = answer(await this.#look(request, token));
    await use();
    return nextNonce === undefined ? verdict : { ...verdict, nextNonce };
  }

  #mismatched(
    { sessionId, tokenId: jti }: BoundToken,
    kind: 'dpop' | 'mtls' | 'cookie',
    detail: string,
  ): TokenError {
    const { events, clock } = this.parts;
    const session = sessionId === undefined ? {} : { sessionId };
    const at = new Date(clock.now());
    events.emit({ type: 'binding.mismatched', at, ...session, jti, kind, response: 'refuse' });
    return refused(detail);
  }
}

/** @throws TokenError `ERR_TOKEN_BINDING` */
function answer(verdict: Awaited<ReturnType<Fingerprints['check']>>): SenderAnswer {
  if (verdict === 'refuse') throw refused('its sender looks like somebody else');
  return verdict === 'pass' ? PASS : { verdict, nextNonce: undefined };
}

function refused(detail: string): TokenError {
  return new TokenError('ERR_TOKEN_BINDING', detail);
}
