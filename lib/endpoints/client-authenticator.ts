import { type HttpRequest, readAuthorization } from '../guard/credentials.js';
import { secretsEqual } from '../kernel/constant-time.js';
import { randomId } from '../kernel/ids.js';
import { readBasicCredentials } from './basic-credentials.js';
import { ASSERTION_TYPE, type ClientAssertions } from './client-assertion.js';
import { EndpointRefusal, malformed, notAuthenticated } from './endpoint-refusal.js';
import { MAX_SECRETS, type RegisteredClient, secretDigest } from './registered-client.js';
import type { RequestForm } from './request-form.js';

/**
 * Tells which client sent a request (RFC 6749 §2.3), by the one method it is registered with. An
 * unknown client and a wrong secret get the same answer after the same work. Public clients only say
 * who they are, so whatever they present must be worth nothing without a proof of its own.
 */
export class ClientAuthenticator {
  readonly #clients: ReadonlyMap<string, RegisteredClient>;
  readonly #assertions: ClientAssertions;
  /** Stands where a client has no secret: nobody knows of what it is the digest. */
  readonly #decoy = secretDigest(randomId());

  constructor(clients: readonly RegisteredClient[], assertions: ClientAssertions) {
    this.#clients = new Map(clients.map((client) => [client.clientId, client]));
    this.#assertions = assertions;
  }

  /**
   * @throws EndpointRefusal `invalid_client`; `invalid_request` if the request uses more than one
   * method (RFC 6749 §2.3)
   * @throws StoreError if an assertion cannot be remembered as used
   */
  async authenticate(request: HttpRequest, form: RequestForm): Promise<RegisteredClient> {
    // Two `Authorization` headers, of which a proxy may have judged the other one, end here.
    readAuthorization(request);
    const { authorization } = request.headers;
    const assertion = form.client_assertion ?? form.client_assertion_type;
    const methods = [authorization, form.client_secret, assertion].filter(
      (credentials) => credentials !== undefined,
    );
    if (methods.length > 1) {
      const detail = 'the request authenticates its client in more than one way';
      throw new EndpointRefusal('invalid_request', 'ERR_ACCESS_AMBIGUOUS_CREDENTIALS', detail);
    }
    if (assertion !== undefined) return this.#byAssertion(form);
    if (authorization !== undefined) return this.#bySecret(authorization, form);
    const client = this.#clients.get(form.client_id ?? '');
    if (methods.length === 0 && client?.authentication.method === 'none') return client;
    const detail =
      form.client_secret === undefined
        ? 'the request does not authenticate its client'
        : 'client_secret_post is not accepted: a secret belongs in the Authorization header';
    throw new EndpointRefusal('invalid_client', 'ERR_ACCESS_NO_CREDENTIALS', detail);
  }

  async #byAssertion(form: RequestForm): Promise<RegisteredClient> {
    const { client_assertion: assertion, client_assertion_type: type, client_id: clientId } = form;
    if (assertion === undefined || type === undefined) {
      throw malformed('client_assertion and client_assertion_type belong together');
    }
    if (type !== ASSERTION_TYPE) throw notAuthenticated('client_assertion_type is another one');
    return this.#assertions.verify({ assertion, clientId, clients: this.#clients });
  }

  #bySecret(authorization: string, form: RequestForm): RegisteredClient {
    const credentials = readBasicCredentials(authorization);
    const client = this.#clients.get(credentials?.clientId ?? '');
    const authentication = client?.authentication;
    const digests = authentication?.method === 'client_secret_basic' ? authentication.digests : [];
    const presented = secretDigest(credentials?.secret ?? '');
    let matches = 0;
    // As many comparisons for everyone: how long it takes says nothing about who is registered.
    for (let index = 0; index < MAX_SECRETS; index++) {
      const digest = digests[index];
      const equal = secretsEqual(presented, digest ?? this.#decoy);
      if (equal && digest !== undefined) matches++;
    }
    if (client === undefined || matches === 0) {
      throw notAuthenticated('the Authorization header has no id and secret of a client');
    }
    if (form.client_id !== undefined && form.client_id !== client.clientId) {
      throw notAuthenticated('client_id is not the client of the Authorization header');
    }
    return client;
  }
}
