import type { ServiceOptions } from './proof-mother.js';
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

/** What a proof has to look like: RFC 9449 §4.3, checks 1 to 5. */

let holder: Holder;

beforeAll(async () => {
  holder = await newHolder();
});

/** What a service of its own says to one proof, with the token it is bound to. */
async function judge(parts: ProofParts, options: ServiceOptions = {}): Promise<string> {
  const { proofs, clock } = openService(options);
  const request = requestWith(await proofOf(holder, clock, parts));
  return verdictOf(proofs.check(request, { token: TOKEN, jkt: holder.jkt }));
}

describe('check 1: not more than one header', () => {
  it('none at all', async () => {
    const { proofs } = openService();
    const request = requestWith([]);
    expect(proofs.hasProof(request)).toBe(false);
    expect(await verdictOf(proofs.check(request))).toBe('ERR_PROOF_MISSING');
  });

  it.each(['DPoP', 'dpop', 'DPOP'])('two, of which one is called %s', async (name) => {
    const { proofs, clock } = openService();
    const [one, two] = [await proofOf(holder, clock), await proofOf(holder, clock)];
    const request = requestWith(one);
    const rawHeaders = [...(request.rawHeaders ?? []), name, two];
    for (const twice of [
      { ...request, rawHeaders },
      asFastify({ ...request, rawHeaders }),
      // Also the same one.
      { ...request, rawHeaders: ['DPoP', one, name, one] },
      // Nothing but what Node made of them.
      { ...request, rawHeaders: [], headers: { dpop: `${one}, ${two}` } },
      { ...request, rawHeaders: [], headers: { dpop: [one, two] } },
    ]) {
      expect(proofs.hasProof(twice)).toBe(true);
      const verdict = await verdictOf(proofs.check(twice, { token: TOKEN, jkt: holder.jkt }));
      expect(verdict).toBe('ERR_PROOF_FORMAT');
    }
  });

  it('two in one line', async () => {
    const { proofs, clock } = openService();
    const [one, two] = [await proofOf(holder, clock), await proofOf(holder, clock)];
    for (const line of [`${one},${two}`, `${one}, ${two}`, `${one} ${two}`, `${one},`]) {
      expect(await verdictOf(proofs.check(requestWith(line)))).toBe('ERR_PROOF_FORMAT');
    }
  });

  it('only the raw headers count, where they are known', async () => {
    const { proofs, clock } = openService();
    const request = { ...requestWith(await proofOf(holder, clock)), headers: {} };
    expect(proofs.hasProof(request)).toBe(true);
    expect(await verdictOf(proofs.check(request, { token: TOKEN, jkt: holder.jkt }))).toBe(
      'accepted',
    );
  });
});

describe('check 2: a well-formed JWT', () => {
  const spoil = (change: (proof: string) => string) => async (): Promise<string> => {
    const { proofs, clock } = openService();
    const request = requestWith(change(await proofOf(holder, clock)));
    return verdictOf(proofs.check(request, { token: TOKEN, jkt: holder.jkt }));
  };

  it.each<[string, (proof: string) => string]>([
    ['nothing', () => ''],
    ['a scheme before it', (proof) => `DPoP ${proof}`],
    ['white space before it', (proof) => ` ${proof}`],
    ['white space after it', (proof) => `${proof}\t`],
    ['padding', (proof) => `${proof}==`],
    ['no signature', (proof) => proof.slice(0, proof.lastIndexOf('.') + 1)],
    ['two parts', (proof) => proof.slice(0, proof.lastIndexOf('.'))],
    ['four parts', (proof) => `${proof}.x`],
    ['five parts, as a JWE', (proof) => `${proof}.AA.AA`],
    ['no payload', (proof) => proof.replace(/\.[^.]+\./, '..')],
    ['no header', (proof) => proof.slice(proof.indexOf('.'))],
    ['the alphabet of base64', (proof) => `${proof.slice(0, -1)}+`],
    ['a character too many', (proof) => `${proof}AAA`],
    ['more than 8 KiB', (proof) => `${proof}${'A'.repeat(8_192)}`],
    ['a header of more than 4 KiB', (proof) => `${'A'.repeat(4_100)}${proof}`],
    ['JSON', () => '{"payload":"e30","signatures":[]}'],
    ['a NUL', (proof) => `${proof}\u0000`],
  ])('%s', async (_rule, change) => {
    expect(await spoil(change)()).toBe('ERR_PROOF_FORMAT');
  });

  it('a last character that says more than its bits', async () => {
    const change = (proof: string): string => {
      // 64 bytes end in a character with four unused bits.
      const alphabet = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_';
      return proof.slice(0, -1) + alphabet.charAt(alphabet.indexOf(proof.slice(-1)) | 1);
    };
    expect(await spoil(change)()).toBe('ERR_PROOF_FORMAT');
  });

  it.each<[string, ProofParts]>([
    ['a payload that is no JSON', { payload: 'jti=1' }],
    ['a payload that is a list', { payload: '[]' }],
    ['an empty payload', { payload: '{}' }],
    ['a payload with a BOM', { payload: '\ufeff{}' }],
    ['a payload that is not UTF-8', { payload: Buffer.from([0x7b, 0x22, 0xff, 0x22, 0x7d]) }],
    ['a claim twice', { payload: `{"jti":"a","jti":"b","htm":"GET","htu":"x","iat":1}` }],
    ['a claim twice, once in escapes', { payload: `{"jti":"a","\\u006ati":"b"}` }],
    ['__proto__', { payload: '{"__proto__":{},"jti":"a"}' }],
    ['a header that is no JSON', { rawHeader: 'dpop+jwt' }],
    ['a header that is null', { rawHeader: 'null' }],
    ['typ twice', { rawHeader: '{"typ":"dpop+jwt","typ":"dpop+jwt","alg":"ES256"}' }],
    ['deep nesting', { claims: { x: JSON.parse(`${'['.repeat(20)}${']'.repeat(20)}`) } }],
  ])('%s', async (_rule, parts) => {
    expect(await judge(parts)).toBe('ERR_PROOF_FORMAT');
  });
});

describe('check 3: all required claims', () => {
  const now = new TestClock().seconds();

  it.each<[string, object]>([
    ['no jti', { jti: undefined }],
    ['an empty jti', { jti: '' }],
    ['a jti of 257 characters', { jti: 'x'.repeat(257) }],
    ['a number as jti', { jti: 7 }],
    ['a list as jti', { jti: ['a'] }],
    ['null as jti', { jti: null }],
    ['a line break in jti', { jti: 'a\nb' }],
    ['a NUL in jti', { jti: 'a\u0000b' }],
    ['half a character in jti', { jti: '\ud800' }],
    ['no htm', { htm: undefined }],
    ['a list as htm', { htm: ['GET'] }],
    ['no htu', { htu: undefined }],
    ['a list as htu', { htu: [`${ORIGIN}/me`] }],
    ['no iat', { iat: undefined }],
    ['a text as iat', { iat: String(now) }],
    ['null as iat', { iat: null }],
    ['true as iat', { iat: true }],
    ['a text as exp', { exp: 'never' }],
    ['a text as nbf', { nbf: '0' }],
    ['a number as ath', { ath: 1 }],
    ['null as ath', { ath: null }],
    ['a list as ath', { ath: [digestOf(TOKEN)] }],
    ['null as nonce', { nonce: null }],
    ['a number as nonce', { nonce: 1 }],
  ])('%s', async (_rule, claims) => {
    expect(await judge({ claims })).toBe('ERR_PROOF_FORMAT');
  });

  it('an iat beyond all numbers', async () => {
    const payload = `{"jti":"a","htm":"GET","htu":"${ORIGIN}/me","iat":1e400}`;
    expect(await judge({ payload })).toBe('ERR_PROOF_FORMAT');
  });
});

describe('check 4: typ', () => {
  it.each([
    undefined,
    null,
    '',
    'JWT',
    'at+jwt',
    'dpop',
    'jwt+dpop',
    'dpop+jwt ',
    'dpop+jwt\n',
    'application/x/dpop+jwt',
    'text/dpop+jwt',
    'application/application/dpop+jwt',
    ['dpop+jwt'],
    'dpоp+jwt',
  ])('%j', async (typ) => {
    expect(await judge({ header: { typ } })).toBe('ERR_PROOF_FORMAT');
  });

  it.each(
    Object.entries({
      jku: 'https://evil.example/jwks.json',
      x5u: 'https://evil.example/cert.pem',
      x5c: ['MIIB'],
      x5t: 'x',
      'x5t#S256': 'x',
      crit: [],
      b64: false,
      zip: 'DEF',
      enc: 'A256GCM',
      cty: 'JWT',
      epk: {},
      p2c: 1_000_000_000,
    }),
  )('with the header member %s', async (name, value) => {
    expect(await judge({ header: { [name]: value } })).toBe('ERR_PROOF_FORMAT');
  });
});

describe('check 5: an asymmetric algorithm that is taken', () => {
  it.each([
    'none',
    'None',
    'NONE',
    '',
    'HS256',
    'HS512',
    'es256',
    'ES256 ',
    'ES256K',
    'ES384',
    'RS512',
    'RS1',
    'dir',
    'ECDH-ES',
    'constructor',
    '__proto__',
    ['ES256'],
    null,
    undefined,
    256,
  ])('%j', async (alg) => {
    expect(await judge({ header: { alg } })).toBe('ERR_PROOF_ALGORITHM');
  });

  it.each(['PS256', 'RS256', 'EdDSA', 'Ed25519'])(
    '%s, which is not that of the key',
    async (alg) => {
      expect(await judge({ header: { alg } })).toBe('ERR_PROOF_KEY');
    },
  );

  it('one that is not on the list of this service', async () => {
    expect(await judge({}, { algorithms: ['Ed25519'] })).toBe('ERR_PROOF_ALGORITHM');
  });

  it('EdDSA for Ed25519 is another name of the same key', async () => {
    const { proofs, clock } = openService();
    const client = await newHolder('Ed25519');
    const proof = await proofOf(client, clock, { header: { alg: 'EdDSA' } });
    const { jkt } = await proofs.check(requestWith(proof), { token: TOKEN, jkt: client.jkt });
    expect(jkt).toBe(client.jkt);
  });
});
