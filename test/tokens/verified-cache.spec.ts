import { generateSigningKey, type SigningKey } from '../../lib/keys/key-material.js';
import type { VerifiedClaims } from '../../lib/tokens/claims.js';
import { type IssuerKeys, OwnKeys } from '../../lib/tokens/issuer-keys.js';
import { RevocableToken } from '../../lib/revocation/revocable-token.js';
import { VerifiedCache } from '../../lib/tokens/verified-cache.js';
import { VerifiedToken } from '../../lib/tokens/verified-token.js';
import { newPrivateJwk, openIssuer } from '../support/token-mother.js';

describe('VerifiedCache (SEMANTICS 12: a cache whose key can collide or that outlives revocation)', () => {
  let key: SigningKey;
  let issuer: IssuerKeys;

  beforeAll(async () => {
    key = await generateSigningKey('Ed25519');
    const { keyRing } = await openIssuer({ keys: { signingKey: await newPrivateJwk('Ed25519') } });
    issuer = new OwnKeys(
      {
        issuer: 'https://issuer.example',
        audiences: ['https://api.example'],
        leeway: 10,
        maxLifetime: 3_600,
        requiredClaims: [],
      },
      keyRing,
    );
  });

  function verified(subject: string): VerifiedToken {
    const claims: VerifiedClaims = {
      iss: 'https://issuer.example',
      aud: 'https://api.example',
      sub: subject,
      iat: 1_000,
      exp: 1_300,
      jti: subject,
    };
    return VerifiedToken.seal('access', { kid: key.kid, algorithm: key.row.name, era: 0 }, claims);
  }

  function entryFor(token: string, subject: string): Parameters<VerifiedCache['remember']>[0] {
    const found = verified(subject);
    const revocable = new RevocableToken(found);
    return { token, issuer, key, envelope: undefined, verified: found, revocable };
  }

  it('finds the entry of exactly this token', () => {
    const cache = new VerifiedCache(10);
    const entry = entryFor('aaa.bbb.sig', 'alice');
    cache.remember(entry);

    expect(cache.find('aaa.bbb.sig')).toBe(entry);
    expect(cache.find('aaa.bbb.other')).toBeUndefined();
  });

  it.each([
    ['another payload', 'aaa.BBB.sig'],
    ['another header', 'AAA.bbb.sig'],
    ['another header and payload', 'xxx.yyy.sig'],
    ['no header', '.bbb.sig'],
    ['only the signature', 'sig'],
    ['more in front', 'x.aaa.bbb.sig'],
    ['nothing but a dot more', 'aaa.bbb..sig'],
    ['the same letters, moved', 'aaab.bb.sig'],
  ])(
    'does not let a token with an equal signature part and %s answer for it (CVE-2026-35039)',
    (_, forged) => {
      const cache = new VerifiedCache(10);
      cache.remember(entryFor('aaa.bbb.sig', 'alice'));

      expect(cache.find(forged)).toBeUndefined();
    },
  );

  it('keeps the later of two tokens that collide, and never mixes them', () => {
    const cache = new VerifiedCache(10);
    cache.remember(entryFor('aaa.bbb.sig', 'alice'));
    cache.remember(entryFor('xxx.yyy.sig', 'bob'));

    expect(cache.find('aaa.bbb.sig')).toBeUndefined();
    expect(cache.find('xxx.yyy.sig')?.verified.subject).toBe('bob');
    expect(cache.size).toBe(1);
  });

  it('is bounded: the least recently used entry goes first', () => {
    const cache = new VerifiedCache(2);
    const remember = (id: string): void => cache.remember(entryFor(`a.b.${id}`, id));
    remember('1');
    remember('2');
    cache.find('a.b.1');
    remember('3');

    expect(cache.size).toBe(2);
    expect(cache.find('a.b.2')).toBeUndefined();
    expect(cache.find('a.b.1')?.verified.subject).toBe('1');
    expect(cache.find('a.b.3')?.verified.subject).toBe('3');
  });

  it('holds its bound under a flood', () => {
    const cache = new VerifiedCache(100);
    for (let index = 0; index < 10_000; index++) {
      cache.remember(entryFor(`a.b.${index}`, 'flood'));
    }

    expect(cache.size).toBe(100);
  });

  it('forgets', () => {
    const cache = new VerifiedCache(2);
    cache.remember(entryFor('a.b.c', 'alice'));
    cache.forget('a.b.c');
    cache.forget('never.was.there');

    expect(cache.find('a.b.c')).toBeUndefined();
    expect(cache.size).toBe(0);
  });

  it.each(['', '.', '..', '__proto__', 'a.b.__proto__', 'a.b.constructor'])(
    'answers nothing for %j',
    (text) => {
      expect(new VerifiedCache(2).find(text)).toBeUndefined();
    },
  );
});
