import { hash } from 'node:crypto';

import type { VerificationKey } from '../keys/key-material.js';

/** What a client may ask this service for. */
export type ClientPermission = 'authorize' | 'revoke' | 'introspect';

/** How a client shows who it is. What is kept here lets nobody else show it. */
export type ClientAuthentication =
  /** It cannot: what it is told, everybody who takes it apart knows (RFC 6749 §2.1, public clients). */
  | { readonly method: 'none' }
  | {
      readonly method: 'client_secret_basic';
      /** Digests, as `secretDigest` makes them: of the current secret, and of the one before. */
      readonly digests: readonly string[];
    }
  | {
      readonly method: 'private_key_jwt';
      /** By `kid`. */
      readonly keys: ReadonlyMap<string, VerificationKey>;
    };

/** A client that was registered in the options. */
export interface RegisteredClient {
  readonly clientId: string;
  readonly authentication: ClientAuthentication;
  readonly may: readonly ClientPermission[];
  /** Where codes may be sent, as `redirectUriProblem` lets them be. */
  readonly redirectUris: readonly string[];
  /** The scope tokens it may be granted. */
  readonly scopes: readonly string[];
}

/** Secrets of one client that are good at a time: a new one, and the one it takes over from. */
export const MAX_SECRETS = 2;

/**
 * What is kept of a client secret. A plain digest is enough: the secrets taken are random, and nobody
 * guesses 216 bits, however fast.
 */
export function secretDigest(secret: string): string {
  return hash('sha256', secret, 'base64url');
}
