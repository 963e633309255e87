import { X509Certificate } from 'node:crypto';

import {
  CertificatePins,
  fingerprintsOf,
  normalizePin,
} from '../../../lib/keys/remote/certificate-pins.js';
import {
  createAuthority,
  opensslFingerprint,
  opensslPublicKeyPin,
} from '../../support/tls-authority.js';

const HEX = '00ff'.repeat(16);
const BASE64 = Buffer.from(HEX, 'hex').toString('base64');
const COLONS = HEX.replaceAll(/..(?=.)/g, '$&:');

const authority = createAuthority();
const { cert, key } = authority.issue();
const shown = fingerprintsOf(new X509Certificate(cert));

describe('a pin', () => {
  it.each([
    ['as HPKP writes it', `sha256/${BASE64}`],
    ['as curl writes it', `sha256//${BASE64}`],
    ['hex', HEX],
    ['hex in capitals', HEX.toUpperCase()],
    ['hex with colons, as openssl writes it', COLONS.toUpperCase()],
  ])('has one spelling, whether it came %s', (_form, text) => {
    expect(normalizePin(text)).toBe(`sha256/${BASE64}`);
  });

  it.each([
    ['nothing', ''],
    ['another digest', `sha1/${BASE64}`],
    ['the name in capitals', `SHA256/${BASE64}`],
    ['no name', BASE64],
    ['base64url', `sha256/${Buffer.alloc(32, 0xff).toString('base64url')}=`],
    ['no padding', `sha256/${BASE64.slice(0, -1)}`],
    ['too few bytes', `sha256/${Buffer.alloc(31).toString('base64')}`],
    ['too many bytes', `sha256/${Buffer.alloc(33).toString('base64')}`],
    ['stray bits', `sha256/${'A'.repeat(42)}B=`],
    ['hex that is short', HEX.slice(2)],
    ['hex that is long', `${HEX}00`],
    ['hex with some colons', `00:${HEX.slice(2)}`],
    ['a colon too many', `${COLONS}:`],
    ['a letter that is no digit', `g${HEX.slice(1)}`],
    ['a line break', `${HEX}\n`],
    ['white space', ` ${HEX}`],
    ['several in one', `sha256/${BASE64};sha256/${BASE64}`],
    ['a number', 5],
    ['bytes', Buffer.from(HEX, 'hex')],
    ['undefined', undefined],
    ['a list', [HEX]],
  ])('is never %s', (_what, text) => {
    expect(normalizePin(text)).toBeUndefined();
  });
});

describe('fingerprints', () => {
  it.each(['ec', 'rsa'] as const)(
    'are those openssl computes, with a key of type %s',
    (keyType) => {
      const certificate = authority.issue({ keyType });
      expect(fingerprintsOf(new X509Certificate(certificate.cert))).toEqual({
        certificate: normalizePin(opensslFingerprint(certificate.cert)),
        publicKey: normalizePin(opensslPublicKeyPin(certificate.cert)),
      });
    },
  );
});

describe('CertificatePins', () => {
  const other = `sha256/${BASE64}`;

  it.each([
    ['the certificate', { certificates: [shown.certificate] }],
    ['its key', { publicKeys: [shown.publicKey] }],
    ['one of several certificates', { certificates: [other, shown.certificate] }],
    ['one of several keys', { publicKeys: [other, shown.publicKey] }],
    ['the key where no certificate fits', { certificates: [other], publicKeys: [shown.publicKey] }],
    [
      'the certificate where no key fits',
      { certificates: [shown.certificate], publicKeys: [other] },
    ],
  ])('fit with %s', (_what, options) => {
    expect(new CertificatePins(options).match(shown)).toBe(true);
  });

  it.each([
    ['another certificate', { certificates: [other] }],
    ['another key', { publicKeys: [other] }],
    ['the digest of the key as that of a certificate', { certificates: [shown.publicKey] }],
    ['the digest of the certificate as that of a key', { publicKeys: [shown.certificate] }],
  ])('do not fit with %s', (_what, options) => {
    expect(new CertificatePins(options).match(shown)).toBe(false);
  });

  it('keep the key through a renewal, and the certificate not', () => {
    const renewed = fingerprintsOf(new X509Certificate(authority.issue({ key }).cert));
    expect(new CertificatePins({ publicKeys: [shown.publicKey] }).match(renewed)).toBe(true);
    expect(new CertificatePins({ certificates: [shown.certificate] }).match(renewed)).toBe(false);
  });

  it('count each pin once, however it is written', () => {
    const publicKeys = [HEX, COLONS, `sha256/${BASE64}`, `sha256//${BASE64}`];
    expect(new CertificatePins({ publicKeys }).size).toBe(1);
    expect(new CertificatePins({ publicKeys, certificates: publicKeys }).size).toBe(2);
  });

  it.each([
    ['none', {}],
    ['empty lists', { certificates: [], publicKeys: [] }],
    ['one that is not a pin', { publicKeys: [shown.publicKey, 'sha256/AAAA'] }],
  ])('are refused when there is %s', (_what, options) => {
    expect(() => new CertificatePins(options)).toThrow(TypeError);
  });
});
