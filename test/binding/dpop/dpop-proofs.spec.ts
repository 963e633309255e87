import { hash } from 'node:crypto';

import type { ServiceOptions } from './proof-mother.js';
import { ProofError, TokenError } from '../../../lib/kernel/errors.js';
import { TestClock } from '../../support/test-clock.js';
import {
  asFastify,
  digestOf,
  type Holder,
  newHolder,
  openService,
  ORIGIN,
  proofOf,
  type ProofParts,
  requestWith,
  TOKEN,
  verdictOf,
} from './proof-mother.js';

/**
 * What a proof has to say: RFC 9449 §4.3, checks 6 to 9, 11 and 12. Its form, its key, its nonce and its
 * use have tests of their own beside this one.
 */

let holder: Holder;
let other: Holder;

beforeAll(async () => {
  holder = await newHolder();
  other = await newHolder();
});

/** What a service of its own says to one proof, with the token it is bound to. */
async function judge(parts: ProofParts, options: ServiceOptions = {}): Promise<string> {
  const { proofs, clock } = openService(options);
  const request = requestWith(await proofOf(holder, clock, parts));
  return verdictOf(proofs.check(request, { token: TOKEN, jkt: holder.jkt }));
}

describe('a right proof', () => {
  it.each(['ES256', 'Ed25519', 'EdDSA', 'PS256', 'RS256'] as const)(
    'proves the key of %s, in requests of both adapters',
    async (alg) => {
      const { proofs, clock } = openService();
      const client = await newHolder(alg);
      for (const shape of [asFastify, (request: ReturnType<typeof requestWith>) => request]) {
        const request = shape(requestWith(await proofOf(client, clock)));
        expect(proofs.hasProof(request)).toBe(true);
        expect(await proofs.check(request, { token: TOKEN, jkt: client.jkt })).toEqual({
          jkt: client.jkt,
          nextNonce: undefined,
        });
      }
    },
  );

  it('proves a key without a token, at the token endpoint', async () => {
    const { proofs, clock } = openService();
    const claims = { htm: 'POST', htu: `${ORIGIN}/token`, ath: undefined };
    const proof = await proofOf(holder, clock, { claims });
    const request = requestWith(proof, { method: 'POST', target: '/token' });
    expect((await proofs.check(request)).jkt).toBe(holder.jkt);
  });

  it.each([
    ['typ in capitals', { header: { typ: 'DPoP+JWT' } }],
    ['typ in full', { header: { typ: 'application/dpop+jwt' } }],
    ['a header member nobody knows', { header: { kid: 'k', note: { a: 1 } } }],
    ['a claim nobody knows', { claims: { iss: 'me', aud: [1], x: {} } }],
    ['a fraction of a second', { claims: { iat: new TestClock().seconds() + 0.25 } }],
    ['an exp that is to come', { claims: { exp: new TestClock().seconds() + 1 } }],
    ['a nonce that nobody asked for', { claims: { nonce: 'x' } }],
    ['a jti of one character', { claims: { jti: '1' } }],
    ['a jti of 256 characters', { claims: { jti: 'x'.repeat(256) } }],
    ['a jti beyond ASCII', { claims: { jti: 'ключ 🔑' } }],
  ])('may have %s', async (_rule, parts) => {
    expect(await judge(parts)).toBe('accepted');
  });

  it('says which algorithms are taken', () => {
    expect(openService({ algorithms: ['ES256', 'PS256'] }).proofs.algs).toBe('ES256 PS256');
  });
});

describe('check 6: the signature', () => {
  it('of another key', async () => {
    expect(await judge({ header: { jwk: other.jwk } })).toBe('ERR_TOKEN_BINDING');
    const { proofs, clock } = openService();
    const proof = await proofOf(holder, clock, { header: { jwk: other.jwk } });
    const attempt = proofs.check(requestWith(proof), { token: TOKEN, jkt: other.jkt });
    expect(await verdictOf(attempt)).toBe('ERR_PROOF_SIGNATURE');
  });

  it('over another header, payload, or with a bit turned round', async () => {
    const { proofs, clock } = openService();
    const [header = '', payload = '', signature = ''] = (await proofOf(holder, clock)).split('.');
    const [, otherPayload = ''] = (await proofOf(holder, clock)).split('.');
    const bytes = Buffer.from(signature, 'base64url');
    bytes.writeUInt8(bytes.readUInt8(40) ^ 1, 40);
    const spaced = Buffer.from(`${Buffer.from(header, 'base64url').toString()} `);
    for (const proof of [
      `${header}.${otherPayload}.${signature}`,
      `${spaced.toString('base64url')}.${payload}.${signature}`,
      `${header}.${payload}.${bytes.toString('base64url')}`,
      `${header}.${payload}.${Buffer.alloc(64).toString('base64url')}`,
      `${header}.${payload}.${bytes.subarray(1).toString('base64url')}`,
      `${header}.${payload}.AA`,
    ]) {
      const attempt = proofs.check(requestWith(proof), { token: TOKEN, jkt: holder.jkt });
      expect(await verdictOf(attempt)).toBe('ERR_PROOF_SIGNATURE');
    }
  });

  it('is checked again for a key that was seen before', async () => {
    const { proofs, clock } = openService();
    const bound = { token: TOKEN, jkt: holder.jkt };
    await proofs.check(requestWith(await proofOf(holder, clock)), bound);
    const [header, payload] = (await proofOf(holder, clock)).split('.');
    const [, , signature] = (await proofOf(holder, clock)).split('.');
    const attempt = proofs.check(requestWith(`${header}.${payload}.${signature}`), bound);
    expect(await verdictOf(attempt)).toBe('ERR_PROOF_SIGNATURE');
  });
});

describe('check 8: htm', () => {
  it.each(['get', 'Get', 'GET ', 'POST', 'HEAD', '', 'GET, POST'])('%j for GET', async (htm) => {
    expect(await judge({ claims: { htm } })).toBe('ERR_PROOF_METHOD');
  });

  it('GET for HEAD, and a method that is not known', async () => {
    const { proofs, clock } = openService();
    const proof = await proofOf(holder, clock);
    const bound = { token: TOKEN, jkt: holder.jkt };
    for (const method of ['HEAD', 'get', undefined]) {
      const request = { ...requestWith(proof), method } as ReturnType<typeof requestWith>;
      expect(await verdictOf(proofs.check(request, bound))).toBe('ERR_PROOF_METHOD');
    }
  });
});

describe('check 9: htu', () => {
  it.each([
    'https://evil.example/me',
    'http://api.example/me',
    'https://api.example/you',
    'https://api.example/me/',
    'https://user@api.example/me',
    '/me',
    '',
  ])('%j', async (htu) => {
    expect(await judge({ claims: { htu } })).toBe('ERR_PROOF_URL');
  });

  it('never asks the Host header', async () => {
    expect(await judge({ claims: { htu: 'https://evil.example/me' } })).toBe('ERR_PROOF_URL');
    expect(await judge({ claims: { htu: `${ORIGIN}/me` } })).toBe('accepted');
  });

  it('goes by the target as it came, not by what a router made of it', async () => {
    const { proofs, clock } = openService();
    const proof = await proofOf(holder, clock, { claims: { htu: `${ORIGIN}/v1/me` } });
    const request = { ...requestWith(proof, { target: '/v1/me?x=1' }), url: '/me' };
    const { jkt } = await proofs.check(request, { token: TOKEN, jkt: holder.jkt });
    expect(jkt).toBe(holder.jkt);
  });
});

describe('check 11: iat', () => {
  const now = new TestClock().seconds();

  it.each([
    ['from 70 s ago', { iat: now - 70 }],
    ['from an hour ago', { iat: now - 3_600 }],
    ['from 1970', { iat: 0 }],
    ['from before 1970', { iat: -1 }],
    ['in milliseconds', { iat: now * 1000 }],
    ['11 s ahead', { iat: now + 11 }],
    ['an hour ahead', { iat: now + 3_600 }],
    ['at the end of numbers', { iat: 1.7e308 }],
    ['with an exp that has passed', { exp: now - 10 }],
    ['with an nbf to come', { nbf: now + 11 }],
  ])('%s', async (_rule, claims) => {
    expect(await judge({ claims })).toBe('ERR_PROOF_TIME');
  });

  it.each([
    ['almost 70 s ago', { iat: now - 69.9 }],
    ['10 s ahead', { iat: now + 10 }],
  ])('is still right %s', async (_rule, claims) => {
    expect(await judge({ claims })).toBe('accepted');
  });

  it('counts when the proof comes, not when it was made', async () => {
    const { proofs, clock } = openService({ proofFor: 5_000, leeway: 0 });
    const request = requestWith(await proofOf(holder, clock));
    clock.advance(5_000);
    const attempt = proofs.check(request, { token: TOKEN, jkt: holder.jkt });
    expect(await verdictOf(attempt)).toBe('ERR_PROOF_TIME');
  });
});

describe('check 12: ath and the key of the token', () => {
  it.each<[string, unknown]>([
    ['no ath', undefined],
    ['an empty ath', ''],
    ['that of another token', digestOf(`${TOKEN}x`)],
    ['with padding', `${digestOf(TOKEN)}=`],
    ['in hexadecimal', hash('sha256', TOKEN, 'hex')],
    ['half of it', digestOf(TOKEN).slice(0, 22)],
    ['the token itself', TOKEN],
  ])('%s', async (_rule, ath) => {
    expect(await judge({ claims: { ath } })).toBe('ERR_PROOF_TOKEN');
  });

  it('a token of another key', async () => {
    const { proofs, clock } = openService();
    const attempt = proofs.check(requestWith(await proofOf(holder, clock)), {
      token: TOKEN,
      jkt: other.jkt,
    });
    await expect(attempt).rejects.toThrow(TokenError);
    await expect(attempt).rejects.toMatchObject({ code: 'ERR_TOKEN_BINDING' });
  });

  it('a proof for a token where there is none', async () => {
    const { proofs, clock } = openService();
    const request = requestWith(await proofOf(holder, clock));
    expect(await verdictOf(proofs.check(request))).toBe('ERR_PROOF_TOKEN');
  });
});

describe('refusals', () => {
  it('all read the same, and repeat nothing of the proof', async () => {
    const { proofs, clock } = openService();
    const marked = 'marked-7f3a';
    for (const claims of [
      { jti: `${marked}\n` },
      { htm: marked },
      { htu: `https://${marked}.example` },
      { ath: marked },
      { iat: 1, jti: marked },
    ]) {
      const request = requestWith(await proofOf(holder, clock, { claims }));
      const error: unknown = await proofs
        .check(request, { token: TOKEN, jkt: holder.jkt })
        .catch((reason: unknown) => reason);
      expect(error).toBeInstanceOf(ProofError);
      const { message, detail, nonce } = error as ProofError;
      expect([message, nonce]).toEqual(['The proof was refused.', undefined]);
      expect(detail).not.toContain(marked);
    }
  });
});
