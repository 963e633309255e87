import { X509Certificate } from 'node:crypto';

import { ProofError } from '../../kernel/errors.js';

/**
 * Reads the header `Client-Cert`, in which a proxy that ends TLS hands on the certificate of its
 * client (RFC 9440 §2). One certificate has one spelling here: whoever else looks at the header sees
 * the same one or none.
 */

/** Characters; of a certificate nobody could send more in a header by Node's defaults. */
const MAX_LENGTH = 16 * 1024;

/** A byte sequence (RFC 8941 §3.3.5) and nothing else: parameters have no meaning there. */
const BYTE_SEQUENCE =
  /^:(?<base64>(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?):$/;

/**
 * The certificate in DER.
 * @throws ProofError `ERR_PROOF_CERTIFICATE` unless the header holds exactly one
 */
export function readClientCert(header: string | readonly string[]): Buffer {
  if (typeof header !== 'string') throw malformed('there is more than one header');
  if (header.length > MAX_LENGTH) throw malformed('the header is too long');
  const base64 = BYTE_SEQUENCE.exec(header)?.groups?.['base64'];
  if (base64 === undefined) throw malformed('the header is no byte sequence');
  const der = Buffer.from(base64, 'base64');
  // Bits behind the last byte would be another spelling of the same certificate.
  if (der.toString('base64') !== base64) throw malformed('the byte sequence has stray bits');
  // OpenSSL reads PEM as well, and stops at the end of the first certificate.
  if (!parse(der).raw.equals(der)) throw malformed('it is not one certificate in DER');
  return der;
}

function parse(der: Buffer): X509Certificate {
  try {
    return new X509Certificate(der);
  } catch (error) {
    throw malformed('it is no certificate', { cause: error });
  }
}

function malformed(detail: string, options?: ErrorOptions): ProofError {
  return new ProofError('ERR_PROOF_CERTIFICATE', detail, options);
}
