import { createSecretKey, randomBytes } from 'node:crypto';

import { compactDecrypt } from 'jose/jwe/compact/decrypt';
import { CompactEncrypt } from 'jose/jwe/compact/encrypt';

import {
  type EncryptionKey,
  generateEncryptionKey,
  importEncryptionKey,
} from '../../lib/keys/encryption-key.js';
import { type Envelope, openEnvelope, sealEnvelope } from '../../lib/keys/envelope.js';

const HEADER = { alg: 'A256KW', enc: 'A256GCM', kid: 'enc-1' } as const;
const HEADER_TEXT = Buffer.from(JSON.stringify(HEADER)).toString('base64url');
const ONLY_OURS = {
  keyManagementAlgorithms: ['A256KW'],
  contentEncryptionAlgorithms: ['A256GCM'],
};

const key = generateEncryptionKey();

function compact({ wrappedKey, iv, ciphertext, tag }: Envelope): string {
  const parts = [wrappedKey, iv, ciphertext, tag].map((bytes) => bytes.toString('base64url'));
  return [HEADER_TEXT, ...parts].join('.');
}

function envelopeOf(text: string): Envelope {
  const [, wrappedKey = '', iv = '', ciphertext = '', tag = ''] = text.split('.');
  const decode = (part: string): Buffer => Buffer.from(part, 'base64url');
  return {
    wrappedKey: decode(wrappedKey),
    iv: decode(iv),
    ciphertext: decode(ciphertext),
    tag: decode(tag),
  };
}

/** Every length up to a few blocks, and some that tokens have. */
const LENGTHS = [...Array.from({ length: 66 }, (_, length) => length), 700, 4_000, 6_000];

describe('an envelope', () => {
  it.each(LENGTHS)('of %i bytes is what jose makes of them, in both directions', async (length) => {
    const content = randomBytes(length);
    const sealed = sealEnvelope(key, HEADER_TEXT, content);
    expect(openEnvelope(key, HEADER_TEXT, sealed)).toEqual(content);

    const opened = await compactDecrypt(compact(sealed), key.secret, ONLY_OURS);
    expect(Buffer.from(opened.plaintext)).toEqual(content);
    expect(opened.protectedHeader).toEqual(HEADER);

    const theirs = await new CompactEncrypt(content).setProtectedHeader(HEADER).encrypt(key.secret);
    expect(openEnvelope(key, HEADER_TEXT, envelopeOf(theirs))).toEqual(content);
  });

  it('has a key and an IV of its own each time', () => {
    const content = Buffer.from('the same each time');
    const sealed = Array.from({ length: 100 }, () => sealEnvelope(key, HEADER_TEXT, content));
    for (const part of ['wrappedKey', 'iv', 'ciphertext', 'tag'] as const) {
      expect(new Set(sealed.map((one) => one[part].toString('hex'))).size).toBe(100);
    }
  });

  it('wraps as RFC 3394 §4.6 does', async () => {
    const wrapping = importEncryptionKey({
      kty: 'oct',
      kid: 'rfc-3394',
      alg: 'A256KW',
      use: 'enc',
      k: Buffer.from(
        '000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f',
        'hex',
      ).toString('base64url'),
    });
    const wrappedKey = Buffer.from(
      '28c9f404c4b810f4cbccb35cfb87f8263f5786e2d80ed326cbc7f0e71a99f43bfb988b9b7a02dd21',
      'hex',
    );
    const contentKey = Buffer.from(
      '00112233445566778899aabbccddeeff000102030405060708090a0b0c0d0e0f',
      'hex',
    );
    // Encrypted by jose under the content key of the RFC, and opened by way of its wrapping.
    const content = Buffer.from('content');
    const direct = await new CompactEncrypt(content)
      .setProtectedHeader({ alg: 'dir', enc: 'A256GCM' })
      .encrypt(createSecretKey(contentKey));
    const header = direct.split('.')[0] ?? '';
    expect(openEnvelope(wrapping, header, { ...envelopeOf(direct), wrappedKey })).toEqual(content);
  });
});

/** One bit of a part, at every place. */
function flips(bytes: Buffer): readonly Buffer[] {
  return Array.from({ length: bytes.length * 8 }, (_, bit) => {
    const changed = Buffer.from(bytes);
    changed[bit >> 3] = (changed[bit >> 3] ?? 0) ^ (1 << (bit & 7));
    return changed;
  });
}

describe('an envelope that is not as it was sealed does not open', () => {
  const sealed = sealEnvelope(key, HEADER_TEXT, Buffer.from('a token of this service'));
  const outcome = (
    envelope: Partial<Envelope>,
    header = HEADER_TEXT,
    by: EncryptionKey = key,
  ): string => {
    try {
      return openEnvelope(by, header, { ...sealed, ...envelope }).toString();
    } catch {
      return 'refused';
    }
  };

  it('opens as it is', () => {
    expect(outcome({})).toBe('a token of this service');
  });

  it.each(['wrappedKey', 'iv', 'ciphertext', 'tag'] as const)(
    'with any one bit of its %s changed',
    (part) => {
      for (const changed of flips(sealed[part]))
        expect(outcome({ [part]: changed })).toBe('refused');
    },
  );

  it.each(['wrappedKey', 'iv', 'ciphertext', 'tag'] as const)(
    'with its %s cut or made longer at either end, or of another envelope',
    (part) => {
      const bytes = sealed[part];
      for (let length = 0; length < bytes.length; length++) {
        expect(outcome({ [part]: bytes.subarray(0, length) })).toBe('refused');
        expect(outcome({ [part]: bytes.subarray(bytes.length - length) })).toBe('refused');
      }
      expect(outcome({ [part]: Buffer.concat([bytes, Buffer.alloc(8)]) })).toBe('refused');
      expect(outcome({ [part]: Buffer.concat([Buffer.alloc(8), bytes]) })).toBe('refused');
      const other = sealEnvelope(key, HEADER_TEXT, Buffer.from('another token of this one'));
      expect(outcome({ [part]: other[part] })).toBe('refused');
    },
  );

  it.each([4, 8, 12, 13, 14, 15])(
    'with a tag of %i bytes, which GCM itself would take (CVE-2019-18848)',
    (length) => {
      expect(outcome({ tag: sealed.tag.subarray(0, length) })).toBe('refused');
    },
  );

  it('under another header or another key', () => {
    const spelling = Buffer.from(JSON.stringify({ ...HEADER, kid: 'enc-2' })).toString('base64url');
    expect(outcome({}, spelling)).toBe('refused');
    expect(outcome({}, '')).toBe('refused');
    expect(outcome({}, HEADER_TEXT, generateEncryptionKey())).toBe('refused');
  });

  it('with an empty key (CVE-2026-34986)', () => {
    expect(outcome({ wrappedKey: Buffer.alloc(0) })).toBe('refused');
    expect(outcome({ wrappedKey: Buffer.alloc(40) })).toBe('refused');
  });
});
