import { isUtf8 } from 'node:buffer';
import { ECDH } from 'node:crypto';

/**
 * Recognises what is no shared secret but a key of another kind, a certificate or a token. A public
 * key as HMAC secret lets everyone sign (CVE-2015-9235, CVE-2023-48223), in whatever form the
 * library that checks for it has not thought of (CVE-2022-29217, CVE-2026-34950).
 */

/** Anything before the first line is skipped by OpenSSL; so the marker counts wherever it stands. */
const PEM = /-----? ?BEGIN |-----? ?END /;

/** RFC 4253 §6.6, RFC 5656, RFC 8709, and the keys of security tokens; also after options. */
const SSH =
  /(?:^|[\s"])(?:ssh-(?:rsa|dss|ed25519|ed448)|ecdsa-sha2-nistp|sk-(?:ssh|ecdsa)-)|openssh-key-v1/;

/** The start of an SSH key blob: the length and name of its algorithm. */
const SSH_BLOB = /^\0{3}.(?:ssh-|ecdsa-sha2-|sk-ssh-|sk-ecdsa-|rsa-sha2-)/s;

/** The hash of a password is as good as the password, to whoever has a word list. */
const PASSWORD_HASH =
  /^\$(?:2[abxy]?\$[0-9]{2}\$|argon2i?d?\$v|scrypt\$|pbkdf2-|[156]\$[./A-Za-z0-9]{4,16}\$[./A-Za-z0-9]{22,86}$)/;

/** A compact JWS or JWE: its header is JSON, so its base64url begins like this. */
const COMPACT = /^\s*eyJ[A-Za-z0-9_-]{5,}\./;

/** The object identifiers in keys and certificates: PKCS, ANSI X9.62, SEC, Edwards and X curves. */
const IDENTIFIERS = [
  '2a864886f70d01',
  '2a8648ce3d',
  '06052b81040',
  '06032b6570',
  '06032b6571',
  '06032b656e',
  '06032b656f',
  '0609608648016503040',
  '0609608648016503041',
];

/** An identifier stands near the front, but a certificate's serial number may come before it. */
const SEARCHED_BYTES = 96;

/** The length of an uncompressed point (SEC 1 §2.3.3) and the curves that have it. */
const POINT_CURVES: ReadonlyMap<number, readonly string[]> = new Map([
  [65, ['prime256v1', 'secp256k1']],
  [97, ['secp384r1']],
  [133, ['secp521r1']],
]);

/** What the bytes look like, if not like a secret: a phrase that completes "it is …". */
export function lookalikeOf(bytes: Buffer): string | undefined {
  const text = bytes.toString('latin1').replace(/^(?:ï»¿|[\s\0"'])+/, '');
  if (PEM.test(text)) return 'a key or certificate in PEM';
  if (SSH.test(text) || SSH_BLOB.test(text)) return 'an SSH key';
  if (COMPACT.test(text)) return 'a token';
  if (PASSWORD_HASH.test(text)) return 'the hash of a password';
  if (isUtf8(bytes) && isJson(text)) return 'a JSON document, such as a JWK';
  if (isDer(bytes)) return 'a key or certificate in DER';
  return isPoint(bytes) ? 'a point on an elliptic curve, which is a public key' : undefined;
}

function isJson(text: string): boolean {
  // Also one that is cut off: no random secret has the start of a member.
  return /^[{[]\s*(?:[{[]\s*)?"[\w:#-]{1,32}"\s*:/.test(text);
}

/** A SEQUENCE with an identifier of a key near its front, or with the numbers of an RSA key. */
function isDer(bytes: Buffer): boolean {
  if (bytes[0] !== 0x30) return false;
  const hex = bytes.subarray(0, SEARCHED_BYTES).toString('hex');
  // PKCS#1 (RFC 8017 appendix A.1) and SEC 1 (RFC 5915) have their numbers in front.
  if (/^3082.{4}(?:020100)?0282.{4}00|^3081.{2}(?:020100)?0281.{2}00/.test(hex)) return true;
  if (/^30(?:77|81.{2}|82.{4})02010104(?:1c|20|30|42)/.test(hex)) return true;
  return IDENTIFIERS.some((identifier) => hex.includes(identifier));
}

function isPoint(bytes: Buffer): boolean {
  if (bytes[0] !== 4) return false;
  return (POINT_CURVES.get(bytes.length) ?? []).some((curve) => {
    try {
      ECDH.convertKey(bytes, curve);
      return true;
    } catch {
      // Not on this curve: one random point in 2^256 is.
      return false;
    }
  });
}
