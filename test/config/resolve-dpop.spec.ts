import { randomBytes } from 'node:crypto';

import { createCache } from 'cache-manager';

import { SenderSecrets } from '../../lib/binding/sender-secrets.js';
import { OptionReader } from '../../lib/config/option-reader.js';
import { type DpopContext, readDpop } from '../../lib/config/resolve-dpop.js';
import { isAvailable } from '../../lib/keys/key-material.js';
import { cacheManagerStorage } from '../../lib/storage/cache-manager/cache-manager-storage.js';
import { memoryStorage } from '../../lib/storage/memory/memory-storage.js';

const CONTEXT: DpopContext = {
  issuer: 'https://issuer.example',
  audiences: ['https://api.example/v1', 'api', 'urn:api', 'https://issuer.example/other'],
  leeway: 10_000,
  secrets: new SenderSecrets([randomBytes(32)]),
  storage: memoryStorage(),
};

function read(dpop: unknown, context: Partial<DpopContext> = {}) {
  const reader = new OptionReader({ binding: { dpop } });
  const config = readDpop(reader, { ...CONTEXT, ...context });
  return {
    config,
    urls: config?.publicUrls.map(({ href }) => href),
    problems: reader.problems.map(({ path, problem }) => `${path}: ${problem}`),
    fixes: reader.problems.map(({ fix }) => fix),
  };
}

describe('binding.dpop', () => {
  it.each([undefined, null])('is off as %j', (dpop) => {
    expect(read(dpop)).toMatchObject({ config: null, problems: [] });
  });

  it('has these defaults', () => {
    const { config, urls, problems } = read({});
    expect(problems).toEqual([]);
    expect(urls).toEqual(['https://issuer.example/', 'https://api.example/']);
    expect(config).toEqual({
      publicUrls: expect.any(Array),
      algorithms: ['ES256', 'Ed25519', 'EdDSA', 'PS256', 'RS256'],
      proofFor: 60_000,
      leeway: 10_000,
      nonces: { validFor: 300_000 },
      perMinute: 600,
      secrets: CONTEXT.secrets,
    });
    expect([config, config?.publicUrls, config?.nonces].every(Object.isFrozen)).toBe(true);
  });

  it('takes what is written', () => {
    const publicUrls = ['https://example.com/api/', 'http://localhost:3000', 'http://[::1]:8080'];
    const algorithms = ['ES512', 'ES256', 'ES512'];
    const lengths = { proofFor: '5m', nonce: { validFor: '10s' }, perMinute: 1 };
    const { config, urls, problems } = read({ publicUrls, algorithms, ...lengths });
    expect(problems).toEqual([]);
    expect(urls).toEqual([
      'https://example.com/api/',
      'http://localhost:3000/',
      'http://[::1]:8080/',
    ]);
    expect(config).toMatchObject({
      algorithms: ['ES512', 'ES256'],
      proofFor: 300_000,
      nonces: { validFor: 10_000 },
      perMinute: 1,
    });
  });

  it('asks for no nonce where that is said, and for the usual where it is not', () => {
    expect(read({ nonce: null }).config?.nonces).toBeNull();
    expect(read({ nonce: {} }).config?.nonces).toEqual({ validFor: 300_000 });
  });

  it.each<[string, object]>([
    ['publicUrls', { publicUrls: [] }],
    ['publicUrls', { publicUrls: 'https://api.example' }],
    ['publicUrls', { publicUrls: null }],
    ['publicUrls.0', { publicUrls: [''] }],
    ['publicUrls.0', { publicUrls: ['api.example'] }],
    ['publicUrls.0', { publicUrls: ['http://api.example'] }],
    ['publicUrls.0', { publicUrls: ['wss://api.example'] }],
    ['publicUrls.0', { publicUrls: ['https://*.example.com'] }],
    ['publicUrls.0', { publicUrls: ['https://api.example.'] }],
    ['publicUrls.0', { publicUrls: ['https://user@api.example'] }],
    ['publicUrls.0', { publicUrls: ['https://:secret@api.example'] }],
    ['publicUrls.0', { publicUrls: ['https://api.example?x=1'] }],
    ['publicUrls.0', { publicUrls: ['https://api.example/?'] }],
    ['publicUrls.0', { publicUrls: ['https://api.example/#'] }],
    ['publicUrls.0', { publicUrls: ['https:\\\\api.example'] }],
    ['publicUrls.0', { publicUrls: [' https://api.example'] }],
    ['publicUrls.1', { publicUrls: ['https://api.example', 7] }],
    ['publicUrls.0', { publicUrls: Array.from({ length: 1 }) }],
    ['algorithms', { algorithms: [] }],
    ['algorithms', { algorithms: 'ES256' }],
    ['algorithms', { algorithms: null }],
    ['algorithms.0', { algorithms: ['HS256'] }],
    ['algorithms.0', { algorithms: ['none'] }],
    ['algorithms.0', { algorithms: ['es256'] }],
    ['algorithms.1', { algorithms: ['ES256', 'ES256K'] }],
    ['proofFor', { proofFor: '0s' }],
    ['proofFor', { proofFor: '301s' }],
    ['proofFor', { proofFor: 60 }],
    ['proofFor', { proofFor: null }],
    ['nonce', { nonce: true }],
    ['nonce.validFor', { nonce: { validFor: '9s' } }],
    ['nonce.validFor', { nonce: { validFor: '61m' } }],
    ['nonce.valid', { nonce: { valid: '5m' } }],
    ['perMinute', { perMinute: 0 }],
    ['perMinute', { perMinute: 1.5 }],
    ['perMinute', { perMinute: 1_000_001 }],
    ['perMinute', { perMinute: null }],
    ['nonces', { nonces: {} }],
  ])('names %s in %j', (path, dpop) => {
    const { problems } = read(dpop);
    expect(problems).toHaveLength(1);
    expect(problems[0]).toMatch(new RegExp(`^binding\\.dpop\\.${path.replaceAll('.', '\\.')}: `));
  });

  it.each([true, 'on', [], 1])('names itself as %j', (dpop) => {
    expect(read(dpop).problems).toEqual([expect.stringMatching(/^binding\.dpop: /)]);
  });

  it.each([
    ['auth', 'api'],
    ['urn:issuer', 'http://api.example'],
    ['http://auth.internal', 'ftp://api.example'],
  ])('has to be told where it is, if %s and %s do not say', (issuer, audience) => {
    const { problems, fixes } = read({}, { issuer, audiences: [audience] });
    expect(problems).toEqual([
      'binding.dpop.publicUrls: neither issuer nor audience is such a URL',
    ]);
    expect(fixes.join()).toContain("['https://api.example.com']");
    const publicUrls = ['https://api.example'];
    expect(read({ publicUrls }, { issuer, audiences: [audience] }).problems).toEqual([]);
  });

  it('says which algorithms this version of Node lacks', () => {
    const { problems } = read({ algorithms: ['ML-DSA-44'] });
    expect(problems).toHaveLength(isAvailable('ML-DSA-44') ? 0 : 1);
  });

  it('is refused with a storage that cannot remember, which says why', () => {
    const { problems } = read({}, { storage: cacheManagerStorage(createCache()) });
    expect(problems.join()).toMatch(
      /^binding\.dpop: cacheManagerStorage\(\) cannot remember which proofs were used: /,
    );
  });
});
