import { Injectable } from '@nestjs/common';

import { ConfigError } from '../kernel/errors.js';
import { ASYMMETRIC_ALGORITHMS } from '../keys/algorithms.js';
import type {
  ClientAuthentication,
  ClientPermission,
  RegisteredClient,
} from './registered-client.js';

/** Where the endpoints are; `null` for those that are not there. */
export interface EndpointPaths {
  readonly metadataPath: string | null;
  readonly authorizationPath: string | null;
  readonly tokenPath: string | null;
  readonly revocationPath: string | null;
  readonly introspectionPath: string | null;
  readonly jwksPath: string | null;
}

export interface ServerMetadataConfig {
  /** This service's own issuer. */
  readonly issuer: string;
  readonly clients: readonly RegisteredClient[];
  /** Scope tokens that clients can be granted. */
  readonly scopes: readonly string[];
  /** With a space between; `null` where proofs are not taken. */
  readonly dpopAlgorithms: string | null;
  /** Whether access tokens are bound to client certificates. */
  readonly certificates: 'bound' | 'ignored';
}

type Method = ClientAuthentication['method'];
type Document = Readonly<Record<string, string | boolean | readonly string[]>>;

const WELL_KNOWN = '/.well-known/oauth-authorization-server';
const METHODS: readonly Method[] = ['none', 'client_secret_basic', 'private_key_jwt'];

/** Describes this service to clients (RFC 8414 §2): what is there, and nothing that is not. */
@Injectable()
export class ServerMetadata {
  constructor(private readonly config: ServerMetadataConfig) {}

  /** The document as JSON. */
  describe(paths: EndpointPaths): string {
    const { issuer, scopes, dpopAlgorithms, certificates } = this.config;
    const { authorizationPath, tokenPath, revocationPath, introspectionPath, jwksPath } = paths;
    const document: Document = {
      issuer,
      ...this.#endpoint('authorization_endpoint', authorizationPath),
      ...this.#endpoint('token_endpoint', tokenPath),
      ...this.#methods('token_endpoint', tokenPath, 'authorize'),
      ...this.#endpoint('revocation_endpoint', revocationPath),
      ...this.#methods('revocation_endpoint', revocationPath, 'revoke'),
      ...this.#endpoint('introspection_endpoint', introspectionPath),
      ...this.#methods('introspection_endpoint', introspectionPath, 'introspect'),
      ...this.#endpoint('jwks_uri', jwksPath),
      ...(scopes.length === 0 ? {} : { scopes_supported: scopes }),
      // RFC 9449 §5.1, RFC 8705 §3.3.
      ...(dpopAlgorithms === null
        ? {}
        : { dpop_signing_alg_values_supported: dpopAlgorithms.split(' ') }),
      ...(certificates === 'bound' ? { tls_client_certificate_bound_access_tokens: true } : {}),
      ...(authorizationPath === null
        ? { response_types_supported: [], grant_types_supported: ['refresh_token'] }
        : {
            response_types_supported: ['code'],
            response_modes_supported: ['query'],
            grant_types_supported: ['authorization_code', 'refresh_token'],
            code_challenge_methods_supported: ['S256'],
            authorization_response_iss_parameter_supported: true,
            // OpenID Connect Discovery §3, where its absence would mean that it is supported.
            request_uri_parameter_supported: false,
          }),
    };
    return JSON.stringify(document);
  }

  /**
   * For the controller, at the start.
   * @throws ConfigError `ERR_CONFIG_INVALID` if no client would find the document, or believe it
   */
  expectFound(metadataPath: string): void {
    const { issuer } = this.config;
    const url = URL.canParse(issuer) ? new URL(issuer) : undefined;
    if (url === undefined || !/^https?:$/.test(url.protocol) || /[?#]/.test(issuer)) {
      throw misconfigured(
        'it is set, and issuer is no https URL',
        'Write an issuer such as https://auth.example.com',
      );
    }
    // RFC 8414 §3: between the host and the path of the issuer.
    const path = url.pathname.replace(/\/$/, '');
    if (path !== '' && !metadataPath.endsWith(path)) {
      const fix = `Write '${WELL_KNOWN}${path}'`;
      throw misconfigured('clients look for it before the path of issuer', fix);
    }
  }

  #endpoint(name: string, path: string | null): Document {
    return path === null ? {} : { [name]: new URL(path, this.config.issuer).href };
  }

  /** With what clients authenticate there; without the member it would be client_secret_basic. */
  #methods(endpoint: string, path: string | null, permission: ClientPermission): Document {
    if (path === null) return {};
    const clients = this.config.clients.filter(({ may }) => may.includes(permission));
    const methods = METHODS.filter((method) =>
      clients.some(({ authentication }) => authentication.method === method),
    );
    return {
      [`${endpoint}_auth_methods_supported`]: methods,
      // RFC 8414 §2: needed with this method.
      ...(methods.includes('private_key_jwt')
        ? { [`${endpoint}_auth_signing_alg_values_supported`]: ASYMMETRIC_ALGORITHMS }
        : {}),
    };
  }
}

function misconfigured(problem: string, fix: string): ConfigError {
  return new ConfigError('ERR_CONFIG_INVALID', [{ path: 'metadataPath', problem, fix }]);
}
