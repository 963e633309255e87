import { X509Certificate } from 'node:crypto';

import {
  ClientCertificates,
  type MtlsConfig,
} from '../../../lib/binding/mtls/client-certificates.js';
import type { ConnectedRequest, ConnectedSocket } from '../../../lib/binding/client-address.js';
import { readIpNetwork } from '../../../lib/binding/ip-address.js';
import { ProofError } from '../../../lib/kernel/errors.js';
import { createAuthority, opensslFingerprint } from '../../support/tls-authority.js';
import { recordOutput } from '../../support/witness.js';
import { readVectors } from '../../vectors/vector-files.js';

/** `Client-Cert` (RFC 9440) as a proxy sends it, as nobody should, and from whom it does not count. */

const PROXY = '10.0.0.1';
const STRANGER = '203.0.113.7';

const authority = createAuthority();
const { cert } = authority.issue();
const { raw: der } = new X509Certificate(cert);
const { raw: authorityDer } = new X509Certificate(authority.ca);
const base64 = der.toString('base64');
const HEADER = `:${base64}:`;
const THUMBPRINT = thumbprintByOpenssl(cert);

function thumbprintByOpenssl(pem: string): string {
  return Buffer.from(opensslFingerprint(pem).replaceAll(':', ''), 'hex').toString('base64url');
}

function certificates(config: Partial<MtlsConfig> = {}): ClientCertificates {
  const network = readIpNetwork('10.0.0.0/8');
  return new ClientCertificates({
    certificates: 'authorized',
    proxyHeader: 'Client-Cert',
    trustedProxies: network === undefined ? [] : [network],
    ...config,
  });
}

/** A request as Express has it, and as Fastify has it. */
function requests(
  headers: ConnectedRequest['headers'],
  socket: ConnectedRequest['socket'] = { remoteAddress: PROXY },
): readonly ConnectedRequest[] {
  return [
    { headers, socket },
    { headers, raw: { socket } },
  ];
}

/** The thumbprint, or the code of the refusal, in both. */
function verdictOn(
  headers: ConnectedRequest['headers'],
  { socket, config }: { socket?: ConnectedRequest['socket']; config?: Partial<MtlsConfig> } = {},
): string | undefined {
  const verdicts = requests(headers, socket).map((request) => {
    try {
      return certificates(config).thumbprintOf(request);
    } catch (error) {
      if (!(error instanceof ProofError)) throw error;
      recordOutput(`${error.code} ${error.message} ${error.detail}`);
      return error.code;
    }
  });
  expect(new Set(verdicts).size).toBe(1);
  return verdicts[0];
}

describe('Client-Cert from a proxy of ours', () => {
  it('is the certificate of its client', () => {
    expect(verdictOn({ 'client-cert': HEADER })).toBe(THUMBPRINT);
  });

  it('is read as RFC 9440 shows it', () => {
    const example = readVectors('rfc/rfc9440_example.json') as Record<string, string>;
    expect(verdictOn({ 'client-cert': example['client_cert'] })).toBe(example['x5t_S256']);
  });

  it('has the digest of RFC 8705, and none of those that others make of it', () => {
    const example = readVectors('rfc/rfc8705_mtls.json') as {
      readonly certificate_pem: string;
      readonly cnf: { readonly 'x5t#S256': string };
      readonly wrong_encodings: readonly string[];
    };
    const { raw } = new X509Certificate(example.certificate_pem);
    const thumbprint = verdictOn({ 'client-cert': `:${raw.toString('base64')}:` });
    expect(thumbprint).toBe(example.cnf['x5t#S256']);
    const wrong = example.wrong_encodings.map((line) => line.slice(line.lastIndexOf(' ') + 1));
    expect(wrong).toHaveLength(4);
    expect(wrong).not.toContain(thumbprint);
  });

  it.each([
    ['nothing', ''],
    ['an empty byte sequence', '::'],
    ['a colon', ':'],
    ['no colons', base64],
    ['no colon at the end', `:${base64}`],
    ['no colon at the beginning', `${base64}:`],
    ['a colon too many', `:${HEADER}`],
    ['a parameter', `${HEADER};a=b`],
    ['a parameter without a value', `${HEADER};a`],
    ['white space within', `: ${base64}:`],
    ['a line break within', `:${base64.slice(0, 64)}\n${base64.slice(64)}:`],
    ['white space around it', ` ${HEADER} `],
    ['two, one after the other', `${HEADER}, ${HEADER}`],
    ['two, one after the other without a space', `${HEADER},${HEADER}`],
    ['nothing and one', `, ${HEADER}`],
    ['one and nothing', `${HEADER},`],
    ['a list of one', [HEADER]],
    ['a list of two', [HEADER, HEADER]],
    ['a quoted string', `"${base64}"`],
    ['a token', 'unknown'],
    ['a boolean', '?1'],
    ['PEM', cert.replaceAll('\n', '')],
    ['PEM, encoded for a URL', encodeURIComponent(cert)],
    ['PEM as a byte sequence', `:${Buffer.from(cert).toString('base64')}:`],
    ['the field of Envoy', `Hash=00;Cert="${encodeURIComponent(cert)}"`],
    ['junk as a byte sequence', `:${Buffer.alloc(300, 7).toString('base64')}:`],
    [
      'a key',
      `:${new X509Certificate(cert).publicKey.export({ type: 'spki', format: 'der' }).toString('base64')}:`,
    ],
    ['two certificates', `:${Buffer.concat([der, authorityDer]).toString('base64')}:`],
    ['the same certificate twice', `:${Buffer.concat([der, der]).toString('base64')}:`],
    ['a byte behind the certificate', `:${Buffer.concat([der, Buffer.of(0)]).toString('base64')}:`],
    ['a byte before the certificate', `:${Buffer.concat([Buffer.of(0), der]).toString('base64')}:`],
    ['a byte too few', `:${der.subarray(0, -1).toString('base64')}:`],
    ['more than a header can hold', `:${'A'.repeat(16 * 1024)}:`],
    ['more than a header can hold, of colons', ':'.repeat(1024 * 1024)],
  ])('is refused if it is %s', (_, header) => {
    expect(verdictOn({ 'client-cert': header })).toBe('ERR_PROOF_CERTIFICATE');
  });

  it('is refused if the certificate is larger than any that Node lets through', () => {
    const names = (count: number): string =>
      Array.from({ length: count }, (_, index) => `DNS:client-${index}.example`).join(',');
    const verdicts = [100, 1_000].map((count) => {
      const { raw } = new X509Certificate(authority.issue({ subjectAltName: names(count) }).cert);
      return verdictOn({ 'client-cert': `:${raw.toString('base64')}:` });
    });
    expect(verdicts).toEqual([expect.stringMatching(/^[\w-]{43}$/), 'ERR_PROOF_CERTIFICATE']);
  });

  it.each([0, 1, 2])('has one spelling, with %i bytes of padding', (padding) => {
    // Certificates of three lengths in turn: of every one, all but the canonical text is refused.
    const found = samplesOf(padding);
    const text = found.toString('base64');
    expect(text.length - text.replaceAll('=', '').length).toBe(padding);
    expect(verdictOn({ 'client-cert': `:${text}:` })).toMatch(/^[\w-]{43}$/);
    for (const other of spellings(text)) {
      expect([other, verdictOn({ 'client-cert': `:${other}:` })]).toEqual([
        other,
        'ERR_PROOF_CERTIFICATE',
      ]);
    }
  });

  it('is not there if the proxy did not send it, and nothing else stands for it', () => {
    const headers = {
      'client-cert-chain': HEADER,
      'x-client-cert': HEADER,
      'x-ssl-client-cert': HEADER,
      'ssl-client-cert': HEADER,
      'x-forwarded-client-cert': HEADER,
      'x-forwarded-tls-client-cert': HEADER,
      'x-amzn-mtls-clientcert': HEADER,
      client_cert: HEADER,
    };
    expect(verdictOn(headers)).toBeUndefined();
  });

  it('counts without its chain, whatever that is', () => {
    expect(verdictOn({ 'client-cert': HEADER, 'client-cert-chain': 'junk' })).toBe(THUMBPRINT);
  });

  it('is not read where it is not configured', () => {
    const config = { proxyHeader: null };
    expect(verdictOn({ 'client-cert': HEADER }, { config })).toBeUndefined();
    expect(verdictOn({ 'client-cert': 'junk' }, { config })).toBeUndefined();
  });

  it.each(['authorized', 'any'] as const)(
    'is never the certificate of the proxy itself, of %s ones',
    (kind) => {
      const socket = shownAt(PROXY);
      for (const proxyHeader of ['Client-Cert', null] as const) {
        const config = { certificates: kind, proxyHeader };
        expect(verdictOn({}, { socket, config })).toBeUndefined();
      }
    },
  );

  it('is read anew with every request of a connection', () => {
    const subject = certificates();
    const socket = { remoteAddress: PROXY };
    const other = authority.issue();
    const text = `:${new X509Certificate(other.cert).raw.toString('base64')}:`;
    const shown = [HEADER, text, undefined, HEADER].map((header) =>
      subject.thumbprintOf({ headers: { 'client-cert': header }, socket }),
    );
    expect(shown).toEqual([THUMBPRINT, thumbprintByOpenssl(other.cert), undefined, THUMBPRINT]);
  });

  it('is refused as often as it is wrong', () => {
    const subject = certificates();
    const request = { headers: { 'client-cert': 'junk' }, socket: { remoteAddress: PROXY } };
    for (let time = 0; time < 3; time++) {
      expect(() => subject.thumbprintOf(request)).toThrow(ProofError);
    }
  });
});

describe('Client-Cert from anybody else', () => {
  it.each([
    ['a stranger', STRANGER, {}],
    ['a neighbour of the proxy', '11.0.0.1', {}],
    ['this machine', '127.0.0.1', {}],
    ['the proxy, as long as none is trusted', PROXY, { trustedProxies: [] }],
    ['nobody known', undefined, {}],
  ])('does not count: %s', (_, remoteAddress, config) => {
    const socket = { remoteAddress };
    for (const header of [HEADER, 'junk', '']) {
      expect(verdictOn({ 'client-cert': header }, { socket, config })).toBeUndefined();
    }
  });

  it('does not stand before the certificate that it shows itself', () => {
    const socket = shownAt(STRANGER);
    const other = `:${authorityDer.toString('base64')}:`;
    expect(verdictOn({ 'client-cert': other }, { socket })).toBe(THUMBPRINT);
  });
});

describe('a certificate that a TLS socket shows', () => {
  it.each([
    ['validated', {}, THUMBPRINT],
    ['validated, as older versions of Node say it', { authorizationError: undefined }, THUMBPRINT],
    ['not validated', { authorized: false }, undefined],
    ['validated once, and another one later that is not', { authorizationError: 'X' }, undefined],
    ['the same, with an error', { authorizationError: new Error('X') }, undefined],
    ['said to be validated by something else', { authorized: 'true' as never }, undefined],
    ['not there any more', { getPeerX509Certificate: () => undefined }, undefined],
  ])('counts if it was validated: %s', (_, more, thumbprint) => {
    expect(verdictOn({}, { socket: { ...shownAt(STRANGER), ...more } })).toBe(thumbprint);
  });

  it('is asked for again as long as there was none', () => {
    const subject = certificates();
    let found: X509Certificate | undefined;
    const socket = { ...shownAt(STRANGER), getPeerX509Certificate: () => found };
    const seen = [undefined, new X509Certificate(cert), undefined].map((shown) => {
      found = shown;
      return subject.thumbprintOf({ headers: {}, socket });
    });
    expect(seen).toEqual([undefined, THUMBPRINT, THUMBPRINT]);
  });
});

/** A TLS socket with the certificate above. */
function shownAt(remoteAddress: string): ConnectedSocket {
  return {
    remoteAddress,
    encrypted: true,
    authorized: true,
    authorizationError: null,
    getPeerX509Certificate: () => new X509Certificate(cert),
  };
}

/** A certificate whose base64 has so much padding: names of three lengths suffice. */
function samplesOf(padding: number): Buffer {
  for (let length = 1; length < 200; length++) {
    const sample = authority.issue({ subjectAltName: `DNS:${'a'.repeat((length % 60) + 1)}` });
    const { raw } = new X509Certificate(sample.cert);
    if ((3 - (raw.length % 3)) % 3 === padding) return raw;
  }
  throw new Error('no certificate has that length');
}

/** What forgiving decoders take for the same bytes. */
function spellings(text: string): readonly string[] {
  const bare = text.replaceAll('=', '');
  const last = bare.slice(-1);
  const alphabet = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/';
  const stray = alphabet.charAt(alphabet.indexOf(last) + 1);
  const forms = [
    `${bare}=`,
    `${bare}==`,
    `${bare}===`,
    bare,
    text.replaceAll('+', '-').replaceAll('/', '_'),
    ...(text === bare ? [] : [`${bare.slice(0, -1)}${stray}${text.slice(bare.length)}`]),
  ];
  return [...new Set(forms)].filter((form) => form !== text);
}
