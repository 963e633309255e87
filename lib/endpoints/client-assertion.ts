import { hash } from 'node:crypto';

import type { ReplayStore } from '../binding/replay-store.js';
import type { Clock } from '../kernel/clock.js';
import { withDeadline } from '../kernel/deadline.js';
import { StoreError, TokenError } from '../kernel/errors.js';
import type { JsonObject } from '../kernel/strict-json.js';
import type { VerificationKey } from '../keys/key-material.js';
import { SignatureVerifier } from '../keys/signature.js';
import { checkInForce } from '../tokens/claim-checks.js';
import { isIdentifier } from '../tokens/claims.js';
import { type JoseHeader, readCompact, readHeader, readPayload } from '../tokens/compact.js';
import { notAuthenticated } from './endpoint-refusal.js';
import type { RegisteredClient } from './registered-client.js';

/** RFC 7523 §2.2. */
export const ASSERTION_TYPE = 'urn:ietf:params:oauth:client-assertion-type:jwt-bearer';

/**
 * The header's `typ`, where there is one: that of RFC 7523 bis, or the one that says nothing. No other
 * token that the client signs with the same key passes for an assertion (RFC 8725 §3.11).
 */
const TYPES = /^(?:JWT|(?:application\/)?client-authentication\+jwt)$/i;

/** Seconds an assertion may be good for: it is made for one request. */
const MAX_AHEAD = 300;

/** Milliseconds after which a store that does not answer has failed. */
const CLAIM_WITHIN = 5_000;

/** What assertions are held to. */
export interface AssertionRules {
  /** This service's own `iss`: the one thing `aud` may name. */
  readonly issuer: string;
  /** In seconds. */
  readonly leeway: number;
}

/** An assertion as a request brings it, and who may have sent it. */
export interface PresentedAssertion {
  readonly assertion: string;
  /** The `client_id` beside it, which has to be the same client's (RFC 7521 §4.2). */
  readonly clientId: string | undefined;
  readonly clients: ReadonlyMap<string, RegisteredClient>;
}

/**
 * Verifies the JWTs clients authenticate with (`private_key_jwt`: RFC 7523 §3, OpenID Connect Core §9,
 * with the audience of RFC 7523 bis). Each is good once, on whatever instance.
 */
export class ClientAssertions {
  readonly #rules: AssertionRules;
  readonly #replays: ReplayStore | null;
  readonly #clock: Clock;
  readonly #signatures = new SignatureVerifier();

  constructor(rules: AssertionRules, replays: ReplayStore | null, clock: Clock) {
    this.#rules = rules;
    this.#replays = replays;
    this.#clock = clock;
  }

  /**
   * The client that signed an assertion. It is used up by that, and by nothing less.
   * @throws EndpointRefusal `invalid_client`
   * @throws StoreError if it cannot be remembered as used
   */
  async verify(presented: PresentedAssertion): Promise<RegisteredClient> {
    const { client, claims } = await read(() => this.#check(presented));
    await this.#claim(client, claims);
    return client;
  }

  async #check({ assertion, clientId, clients }: PresentedAssertion): Promise<{
    readonly client: RegisteredClient;
    readonly claims: AssertionClaims;
  }> {
    const compact = readCompact(assertion);
    const header = readHeader(compact);
    if (header.typ !== undefined && !TYPES.test(header.typ)) {
      throw notAuthenticated('typ is that of another kind of token');
    }
    const payload = readPayload(compact);
    const { iss, sub } = payload;
    const client = typeof sub === 'string' && iss === sub ? clients.get(sub) : undefined;
    if (client === undefined || client.authentication.method !== 'private_key_jwt') {
      throw notAuthenticated('iss and sub do not both name a client that signs assertions');
    }
    if (clientId !== undefined && clientId !== sub) {
      throw notAuthenticated('client_id is not the client of the assertion');
    }
    const valid = await this.#signatures.verify({
      key: keyFor(header, client.authentication.keys),
      input: Buffer.from(compact.signingInput, 'latin1'),
      signature: Buffer.from(compact.signature, 'base64url'),
    });
    if (!valid) throw notAuthenticated('the signature of the assertion is wrong');
    return { client, claims: this.#checkClaims(payload) };
  }

  #checkClaims(payload: JsonObject): AssertionClaims {
    const { issuer, leeway } = this.#rules;
    const { aud, jti, exp } = payload;
    // Alone: a server that shares a list of audiences with us could use the assertion here.
    const audience: unknown = Array.isArray(aud) && aud.length === 1 ? aud[0] : aud;
    if (audience !== issuer) throw notAuthenticated('aud is not this issuer, and nobody else');
    if (!isIdentifier(jti)) throw notAuthenticated('jti is missing or malformed');
    const now = this.#clock.now() / 1000;
    const { iat = now, nbf = now } = payload;
    if (!isInstant(exp) || !isInstant(iat) || !isInstant(nbf)) {
      throw notAuthenticated('exp is missing, or an instant is not a number');
    }
    checkInForce({ iat, nbf, exp }, leeway, now);
    if (exp > now + MAX_AHEAD + leeway) throw notAuthenticated('exp is too far ahead');
    return { jti, exp };
  }

  /** Last, so that nobody uses up what they could not have used. */
  async #claim({ clientId }: RegisteredClient, { jti, exp }: AssertionClaims): Promise<void> {
    const { issuer, leeway } = this.#rules;
    const name = hash('sha256', `${issuer}\0${clientId}\0${jti}`, 'base64url');
    const claim = { key: `assertion:${name}`, expiresAt: Math.ceil((exp + leeway) * 1000) };
    if (!(await this.#claimOnce(claim))) throw notAuthenticated('the assertion was used before');
  }

  async #claimOnce(claim: { readonly key: string; readonly expiresAt: number }): Promise<boolean> {
    if (this.#replays === null) throw unremembered();
    try {
      const granted = await withDeadline(
        this.#replays.claimOnce(claim),
        CLAIM_WITHIN,
        unremembered,
      );
      return granted === true;
    } catch (error) {
      throw error instanceof StoreError ? error : unremembered(error);
    }
  }
}

interface AssertionClaims {
  readonly jti: string;
  /** In seconds. */
  readonly exp: number;
}

/** The one key that can have signed this header: a client with several says which. */
function keyFor(
  { alg, kid }: JoseHeader,
  keys: ReadonlyMap<string, VerificationKey>,
): VerificationKey {
  const [only, ...others] = keys.values();
  const key = kid === undefined ? (others.length === 0 ? only : undefined) : keys.get(kid);
  if (key === undefined) throw notAuthenticated('the client has no key with this kid');
  // RFC 8725 §3.1: one key, one algorithm. A public key is no secret, whatever alg says.
  if (key.row.name !== alg) throw notAuthenticated('alg is not that of the key');
  return key;
}

/** What the readers of tokens find wrong with an assertion is a failed authentication here. */
async function read<T>(check: () => Promise<T>): Promise<T> {
  try {
    return await check();
  } catch (error) {
    if (!(error instanceof TokenError)) throw error;
    throw notAuthenticated(`the assertion: ${error.detail}`, error);
  }
}

function isInstant(value: unknown): value is number {
  return typeof value === 'number' && Number.isFinite(value);
}

function unremembered(cause?: unknown): StoreError {
  const message = 'The replay store did not remember the assertion.';
  return new StoreError('ERR_STORE_UNAVAILABLE', message, { cause });
}
