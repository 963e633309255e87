import { createHash, type X509Certificate } from 'node:crypto';

/**
 * Which certificates a server may show, beyond having a valid one: a certificate authority that was
 * deceived or coerced cannot put another in its place. Pins come on top of the ordinary validation of
 * chain, name and dates, never instead of it.
 */

/**
 * SHA-256 pins, as `sha256/<base64>` (curl, HPKP) or as 64 hex digits with or without colons
 * (`openssl x509 -fingerprint -sha256`). Any one that matches is enough: pin the key of the next
 * certificate too, or the day the issuer changes its key is an outage.
 */
export interface CertificatePinOptions {
  /** Digests of the server's certificate (DER). End with every renewal. @defaultValue none */
  readonly certificates?: readonly string[];
  /** Digests of its public key (SPKI, DER). Outlive a renewal with the same key. @defaultValue none */
  readonly publicKeys?: readonly string[];
}

/** What a server showed, in the form pins are written in. Public: every client sees it. */
export interface CertificateFingerprints {
  readonly certificate: string;
  readonly publicKey: string;
}

// Two slashes are how curl writes it (--pinnedpubkey), one is how everybody else does.
const BASE64_FORM = /^sha256\/{1,2}([A-Za-z0-9+/]{43}=)$/;
const HEX_FORM = /^[0-9A-Fa-f]{64}$|^[0-9A-Fa-f]{2}(?::[0-9A-Fa-f]{2}){31}$/;

/** The one spelling of a pin, `sha256/<base64>`; `undefined` if the text is not a pin. */
export function normalizePin(text: unknown): string | undefined {
  if (typeof text !== 'string') return undefined;
  const base64 = BASE64_FORM.exec(text)?.[1];
  if (base64 !== undefined) {
    // The last character has two bits to spare: another spelling of them would never match.
    return Buffer.from(base64, 'base64').toString('base64') === base64
      ? `sha256/${base64}`
      : undefined;
  }
  if (!HEX_FORM.test(text)) return undefined;
  return `sha256/${Buffer.from(text.replaceAll(':', ''), 'hex').toString('base64')}`;
}

export function fingerprintsOf(certificate: X509Certificate): CertificateFingerprints {
  return {
    certificate: pinOf(certificate.raw),
    publicKey: pinOf(certificate.publicKey.export({ type: 'spki', format: 'der' })),
  };
}

/** The pins of one server; at least one. */
export class CertificatePins {
  readonly #certificates: ReadonlySet<string>;
  readonly #publicKeys: ReadonlySet<string>;

  /** @throws TypeError if there is no pin, or a text is not one */
  constructor({ certificates = [], publicKeys = [] }: CertificatePinOptions) {
    this.#certificates = new Set(certificates.map(requirePin));
    this.#publicKeys = new Set(publicKeys.map(requirePin));
    // An empty list would let everything or nothing pass; whoever wants no pins says `null`.
    if (this.size === 0) throw new TypeError('certificate pins need at least one pin');
  }

  /** How many different pins there are. With one, nothing is left when the issuer changes its key. */
  get size(): number {
    return this.#certificates.size + this.#publicKeys.size;
  }

  /** Whether one of the pins is that of this certificate or of its key. */
  match({ certificate, publicKey }: CertificateFingerprints): boolean {
    return this.#certificates.has(certificate) || this.#publicKeys.has(publicKey);
  }
}

function requirePin(text: string): string {
  const pin = normalizePin(text);
  if (pin === undefined) {
    throw new TypeError('a certificate pin is written sha256/<base64>, or as 64 hex digits');
  }
  return pin;
}

function pinOf(der: Buffer): string {
  return `sha256/${createHash('sha256').update(der).digest('base64')}`;
}
