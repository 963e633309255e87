import { hash } from 'node:crypto';

import type { CompactText } from '../../kernel/compact-text.js';
import { ProofError, TokenError } from '../../kernel/errors.js';
import type { SigningAlgorithm } from '../../keys/algorithms.js';
import { SignatureVerifier } from '../../keys/signature.js';
import { headerValues, type SenderRequest, targetOf } from '../sender-request.js';
import type { SenderSecrets } from '../sender-secrets.js';
import { importProofKey, isProofKey, type ProofKey, ProofKeys } from './proof-key.js';
import { ProofNonces } from './proof-nonces.js';
import { type ProofClaims, readProofClaims, splitProof } from './proof-text.js';
import { ProofUses, type ProofUsesParts } from './proof-uses.js';
import { PublicUrls } from './public-urls.js';

/** What proofs are held to. Lengths in milliseconds. */
export interface DpopConfig {
  /** Where this service is reached: origins, or with the path that a proxy takes off. */
  readonly publicUrls: readonly URL[];
  /** Asymmetric ones only. */
  readonly algorithms: readonly SigningAlgorithm[];
  /** How long after its `iat` a proof is taken. */
  readonly proofFor: number;
  /** How far clocks may differ. */
  readonly leeway: number;
  /** `null` where proofs need no nonce. */
  readonly nonces: { readonly validFor: number } | null;
  /** Proofs of one key. */
  readonly perMinute: number;
  readonly secrets: SenderSecrets;
}

/** The key that a sender has shown to have. */
export interface ProvenKey {
  /** Its RFC 7638 thumbprint. */
  readonly jkt: string;
  /** To be told in `DPoP-Nonce`, where the one that was used is soon over. */
  readonly nextNonce: string | undefined;
}

/** The same by a proof that is right in all, and not yet used up. */
export interface InspectedProof extends ProvenKey {
  /** @throws ProofError, StoreError as `DpopProofs.check` */
  readonly use: () => Promise<void>;
}

/** The token that a proof goes with, and the key it is bound to. */
export interface BoundToken {
  readonly token: string;
  readonly jkt: string;
}

/** Keys that are remembered; about 1 KB each. */
const MAX_KEYS = 10_000;

/**
 * Checks DPoP proofs (RFC 9449 §4.3): that whoever sends a request has the key they claim to have, and
 * made this proof now, for this request and this token, and for the first time.
 */
export class DpopProofs {
  /** The algorithms, as challenges name them. */
  readonly algs: string;
  readonly #config: DpopConfig;
  readonly #urls: PublicUrls;
  readonly #keys: ProofKeys;
  readonly #signatures = new SignatureVerifier();
  readonly #nonces: ProofNonces | null;
  readonly #uses: ProofUses;
  readonly #clock: ProofUsesParts['clock'];

  constructor(config: DpopConfig, parts: ProofUsesParts) {
    const { algorithms, leeway, nonces, secrets, publicUrls, perMinute } = config;
    this.algs = algorithms.join(' ');
    this.#config = config;
    this.#clock = parts.clock;
    this.#urls = new PublicUrls(publicUrls);
    this.#keys = new ProofKeys(algorithms, MAX_KEYS);
    this.#nonces =
      nonces === null ? null : new ProofNonces({ ...nonces, leeway }, secrets, parts.clock);
    this.#uses = new ProofUses(perMinute, parts);
  }

  /** Whether a request brings a `DPoP` header, however malformed. */
  hasProof(request: SenderRequest): boolean {
    return proofsOf(request).length > 0;
  }

  /** A nonce for the next proof; `undefined` where none is asked for. */
  freshNonce(): string | undefined {
    return this.#nonces?.fresh();
  }

  /**
   * Checks the proof of a request, and uses it up: last of all, so that only what is right in all else
   * is. Without a bound token, a proof that was made for one (`ath`) is refused.
   *
   * @throws ProofError with the check that failed; `ERR_PROOF_NONCE` brings the nonce to repeat it with
   * @throws TokenError `ERR_TOKEN_BINDING` if the token is bound to another key
   * @throws StoreError if it cannot be remembered as used; nothing is proven then
   */
  async check(request: SenderRequest, bound?: BoundToken): Promise<ProvenKey> {
    const { use, ...proven } = await this.inspect(request, bound);
    await use();
    return proven;
  }

  /** The same for who has more to ask before the proof is used up. */
  async inspect(request: SenderRequest, bound?: BoundToken): Promise<InspectedProof> {
    const proof = splitProof(onlyProofOf(request));
    const found = this.#keys.find(proof.header);
    const claims = readProofClaims(proof.payload);
    this.#checkRequest(claims, request);
    this.#checkTime(claims);
    checkToken(claims, bound);
    const key = isProofKey(found) ? found : await importProofKey(found);
    const { jkt } = key;
    if (bound !== undefined && bound.jkt !== jkt) {
      throw new TokenError('ERR_TOKEN_BINDING', 'the token is bound to another key');
    }
    this.#uses.assertWithinQuota(jkt);
    await this.#checkSignature(proof, key);
    if (!isProofKey(found)) this.#keys.remember(proof.header, key);
    const nextNonce = this.#checkNonce(claims);
    const right = { jkt, jti: claims.jti, expiresAt: this.#endOf(claims) };
    return { jkt, nextNonce, use: () => this.#uses.use(right) };
  }

  #checkRequest({ htm, htu }: ProofClaims, request: SenderRequest): void {
    // Methods are told apart by case (RFC 9110 §9.1).
    if (htm !== request.method) {
      throw new ProofError('ERR_PROOF_METHOD', 'htm is not the method of the request');
    }
    if (!this.#urls.name(htu, targetOf(request))) {
      throw new ProofError('ERR_PROOF_URL', 'htu is not the public URL of the request');
    }
  }

  #checkTime(claims: ProofClaims): void {
    const now = this.#clock.now();
    const { leeway } = this.#config;
    const { iat, nbf = iat, exp = Infinity } = claims;
    if (Math.max(iat, nbf) * 1000 > now + leeway) throw untimely('iat or nbf is in the future');
    if (now >= Math.min(this.#endOf(claims), exp * 1000 + leeway)) {
      throw untimely('iat is too long ago, or exp has passed');
    }
  }

  /** From when on no instance takes it: of all proofs alike, and so of one on all instances. */
  #endOf({ iat }: ProofClaims): number {
    const { proofFor, leeway } = this.#config;
    return Math.ceil(iat * 1000) + proofFor + leeway;
  }

  async #checkSignature({ signingInput, signature }: CompactText, key: ProofKey): Promise<void> {
    const valid = await this.#signatures.verify({
      key,
      input: Buffer.from(signingInput, 'latin1'),
      signature: Buffer.from(signature, 'base64url'),
    });
    if (!valid) throw new ProofError('ERR_PROOF_SIGNATURE', 'the signature is wrong');
  }

  /** After the signature: who learns a nonce has the key. */
  #checkNonce({ nonce }: ProofClaims): string | undefined {
    if (this.#nonces === null) return undefined;
    const verdict = nonce === undefined ? 'unknown' : this.#nonces.judge(nonce);
    if (verdict === 'good') return undefined;
    const fresh = this.#nonces.fresh();
    if (verdict === 'soonOver') return fresh;
    const detail = nonce === undefined ? 'nonce is missing' : 'nonce is unknown or over';
    throw new ProofError('ERR_PROOF_NONCE', detail, { nonce: fresh });
  }
}

/** RFC 9449 §4.3, check 12. */
function checkToken({ ath }: ProofClaims, bound: BoundToken | undefined): void {
  if (bound === undefined) {
    if (ath === undefined) return;
    throw new ProofError('ERR_PROOF_TOKEN', 'ath names a token, and there is none');
  }
  if (ath !== hash('sha256', bound.token, 'base64url')) {
    throw new ProofError('ERR_PROOF_TOKEN', 'ath is not the digest of the token');
  }
}

/** RFC 9449 §4.3, check 1: one would check the first, the next reader the last. */
function onlyProofOf(request: SenderRequest): string {
  const [proof, ...others] = proofsOf(request);
  if (proof === undefined) throw new ProofError('ERR_PROOF_MISSING', 'there is no proof');
  if (others.length > 0) throw new ProofError('ERR_PROOF_FORMAT', 'there are several proofs');
  return proof;
}

/** As they came; where that is not known, as Node joined them, which is no proof any more. */
function proofsOf(request: SenderRequest): readonly string[] {
  const values = headerValues(request, 'dpop');
  return values.length > 0 ? values : [request.headers['dpop'] ?? []].flat();
}

function untimely(detail: string): ProofError {
  return new ProofError('ERR_PROOF_TIME', detail);
}
