import { execFileSync } from 'node:child_process';
import { generateKeyPairSync } from 'node:crypto';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

/** Certificates for local servers, made when a test runs: nothing to renew, no key in git. */

export interface Certificate {
  readonly cert: string;
  readonly key: string;
}

export interface CertificateWish {
  /** @defaultValue `DNS:localhost` */
  readonly subjectAltName?: string;
  /** Days from now; negative for one that has expired. @defaultValue 2 */
  readonly days?: number;
  /** A key in PEM, for a certificate that renews another. @defaultValue a new one */
  readonly key?: string;
  /** @defaultValue `ec` */
  readonly keyType?: 'ec' | 'rsa';
}

export interface Authority {
  /** Its own certificate, to be trusted. */
  readonly ca: string;
  issue(wish?: CertificateWish): Certificate;
  /** Signed by nobody but itself. */
  selfSigned(): Certificate;
}

interface Leaf {
  readonly subject: string;
  /** Lines of OpenSSL's configuration. */
  readonly extensions: string;
  readonly days?: number;
}

const CONFIG = '[req]\ndistinguished_name=dn\n[dn]\n';

export function createAuthority(): Authority {
  const key = newKey('ec');
  const ca = certify(key, { subject: 'Test authority', extensions: 'basicConstraints=CA:TRUE' });
  const leaf = ({ subjectAltName = 'DNS:localhost', days }: CertificateWish): Leaf => ({
    subject: 'issuer',
    extensions: `basicConstraints=CA:FALSE\nsubjectAltName=${subjectAltName}`,
    ...(days === undefined ? {} : { days }),
  });
  return {
    ca,
    issue: (wish = {}) => {
      const own = wish.key ?? newKey(wish.keyType ?? 'ec');
      return { cert: certify(own, leaf(wish), { ca, key }), key: own };
    },
    selfSigned: () => {
      const own = newKey('ec');
      return { cert: certify(own, leaf({})), key: own };
    },
  };
}

/** What `openssl` itself says a certificate's fingerprint is, in hex with colons. */
export function opensslFingerprint(cert: string): string {
  const line = execFileSync('openssl', ['x509', '-noout', '-fingerprint', '-sha256'], {
    input: cert,
    encoding: 'utf8',
  });
  return line.trim().split('=')[1] ?? '';
}

/** The public-key pin as curl's manual computes it: `x509 -pubkey`, to DER, SHA-256, base64. */
export function opensslPublicKeyPin(cert: string): string {
  const pem = execFileSync('openssl', ['x509', '-noout', '-pubkey'], { input: cert });
  const der = execFileSync('openssl', ['pkey', '-pubin', '-outform', 'der'], { input: pem });
  const digest = execFileSync('openssl', ['dgst', '-sha256', '-binary'], { input: der });
  return `sha256//${digest.toString('base64')}`;
}

function newKey(type: 'ec' | 'rsa'): string {
  const { privateKey } =
    type === 'ec'
      ? generateKeyPairSync('ec', { namedCurve: 'P-256' })
      : generateKeyPairSync('rsa', { modulusLength: 2048 });
  return privateKey.export({ type: 'pkcs8', format: 'pem' }) as string;
}

function certify(
  key: string,
  { subject, extensions, days = 2 }: Leaf,
  signer?: { readonly ca: string; readonly key: string },
): string {
  const folder = mkdtempSync(join(tmpdir(), 'nest-jwt-hardening-tls-'));
  const file = (name: string, text: string): string => {
    const path = join(folder, name);
    writeFileSync(path, text, { mode: 0o600 });
    return path;
  };
  const openssl = (...args: readonly string[]): string =>
    execFileSync('openssl', args, { stdio: 'pipe', encoding: 'utf8' });
  try {
    const keyFile = file('leaf.key', key);
    const wish = ['-config', file('req.cnf', CONFIG), '-subj', `/CN=${subject}`];
    const request = file('leaf.csr', openssl('req', '-new', '-key', keyFile, ...wish));
    const signing =
      signer === undefined
        ? ['-signkey', keyFile]
        : ['-CA', file('ca.pem', signer.ca), '-CAkey', file('ca.key', signer.key)];
    const terms = ['-sha256', '-days', String(days), '-extfile', file('x509.cnf', extensions)];
    return openssl('x509', '-req', '-in', request, ...signing, ...terms);
  } finally {
    rmSync(folder, { recursive: true });
  }
}
