import {
  type DocumentKind,
  type DocumentSource,
  fetchDocument,
  type FetchedDocument,
} from './document-fetch.js';

/** 100 RSA keys of 4096 bits with their certificate chains are half of it. */
export const MAX_JWKS_BYTES = 512 * 1024;

const JWKS: DocumentKind = {
  accept: 'application/jwk-set+json, application/json;q=0.9',
  /** RFC 7517 §8.5, and what most issuers say instead. */
  mediaTypes: new Set(['application/jwk-set+json', 'application/json']),
  maxBytes: MAX_JWKS_BYTES,
};

/**
 * Fetches one JWKS.
 * @throws FetchError for whatever keeps it from a complete answer of a recognised server
 */
export function fetchJwks(source: DocumentSource, signal: AbortSignal): Promise<FetchedDocument> {
  return fetchDocument(source, JWKS, signal);
}
