/**
 * Mistakes the compiler catches before an attacker does. Each row holds two programs one edit
 * apart: the right one compiles, so that the wrong one fails for the reason given and no other.
 */
import { compile } from './compile.js';

const PRELUDE = `
import { Controller, Get } from '@nestjs/common';
import {
  AnyScope, Clock, CurrentToken, JwtHardeningModule, KeyRingService, memoryStorage, Permissions,
  Policy, Public, Roles, Scopes, SecurityEvents, TokenError, TokenService,
  type Duration, type JwtHardeningOptions, type VerifiedToken,
} from 'nest-jwt-hardening';

declare const tokens: TokenService;
declare const verified: VerifiedToken;
declare const events: SecurityEvents;
declare const error: TokenError;
const issuer = 'https://issuer.example';
const audience = 'ledger-api';
`;

interface Row {
  readonly rule: string;
  readonly right: string;
  readonly wrong: string;
  /** What the compiler has to complain about. */
  readonly because: RegExp;
}

const forRoot = (options: string): string => `JwtHardeningModule.forRoot({ ${options} });`;
const withTokens = (options: string): string => forRoot(`issuer, audience, tokens: { ${options} }`);
const withKeys = (options: string): string => forRoot(`issuer, audience, keys: { ${options} }`);
const route = (decorators: string): string =>
  `@Controller() class Demo { @Get() ${decorators} demo(): string { return ''; } }`;

const OPTIONS: readonly Row[] = [
  {
    rule: 'an issuer is required',
    right: forRoot('issuer, audience'),
    wrong: forRoot('audience'),
    because: /issuer/,
  },
  {
    rule: 'an audience is required',
    right: forRoot('issuer, audience'),
    wrong: forRoot('issuer'),
    because: /audience/,
  },
  {
    rule: 'a list of audiences is not empty',
    right: forRoot(`issuer, audience: ['a', 'b']`),
    wrong: forRoot('issuer, audience: []'),
    because: /\[\]|required|element/,
  },
  {
    rule: 'one issuer, not a list of them',
    right: forRoot('issuer, audience'),
    wrong: forRoot('issuer: [issuer], audience'),
    because: /string\[\].*string/,
  },
  {
    rule: 'a duration is not a bare number',
    right: withTokens(`accessTtl: '15m'`),
    wrong: withTokens('accessTtl: 900'),
    because: /number.*not assignable/,
  },
  {
    rule: 'a duration is not a bare number in text',
    right: withTokens(`leeway: '10s'`),
    wrong: withTokens(`leeway: '10'`),
    because: /"10"/,
  },
  {
    rule: 'a duration has one of the known units',
    right: withKeys(`rotateEvery: '30d'`),
    wrong: withKeys(`rotateEvery: '1 month'`),
    because: /1 month/,
  },
  {
    rule: 'text of unknown content is not a duration',
    right: `declare const text: Duration; ${withKeys('retainFor: text')}`,
    wrong: `declare const text: string; ${withKeys('retainFor: text')}`,
    because: /string/,
  },
  {
    rule: 'of shared-secret algorithms, HS256 alone is on offer',
    right: `${withKeys(`algorithm: 'HS256'`)}; ${withKeys(`algorithm: 'PS256'`)}`,
    wrong: withKeys(`algorithm: 'HS512'`),
    because: /HS512/,
  },
  {
    rule: 'a list of algorithms names at least one',
    right: withKeys(`algorithm: ['ES256', 'Ed25519']`),
    wrong: withKeys('algorithm: []'),
    because: /never\[\]|\[\]/,
  },
  {
    rule: 'a derivation has a period, with a unit',
    right: withKeys(`derivation: { period: '1d' }`),
    wrong: withKeys('derivation: { period: 86400 }'),
    because: /number/,
  },
  {
    rule: 'a key-encryption key is text, and a clear ring an explicit null',
    right: `${withKeys('encryptionKeys: null')}; ${withKeys(`encryptionKeys: ['a', null]`)}`,
    wrong: withKeys('encryptionKeys: false'),
    because: /false|boolean/,
  },
  {
    rule: 'alg none does not exist',
    right: withKeys(`algorithm: 'Ed25519'`),
    wrong: withKeys(`algorithm: 'none'`),
    because: /none/,
  },
  {
    rule: 'algorithm names are case-sensitive',
    right: withKeys(`algorithm: 'ES256'`),
    wrong: withKeys(`algorithm: 'es256'`),
    because: /es256/,
  },
  {
    rule: 'a PEM key says its algorithm and kid',
    right: withKeys(`signingKey: { pem: '', algorithm: 'ES256', kid: 'k1' }`),
    wrong: withKeys(`signingKey: { pem: '', kid: 'k1' }`),
    because: /algorithm|kty/,
  },
  {
    rule: 'a misspelt option is not silently ignored',
    right: withTokens(`maxLifetime: '1h'`),
    wrong: withTokens(`maxLifeTime: '1h'`),
    because: /maxLifeTime/,
  },
  {
    rule: 'an option of one room does not work in another',
    right: withKeys(`jwksMaxAge: '5m'`),
    wrong: forRoot(`issuer, audience, jwksMaxAge: '5m'`),
    because: /jwksMaxAge/,
  },
  {
    rule: 'the cache is switched off by null, not by a boolean',
    right: withTokens('verifiedCache: null'),
    wrong: withTokens('verifiedCache: false'),
    because: /boolean|false/,
  },
  {
    rule: 'an option left out is left out, not undefined',
    right: withTokens(''),
    wrong: withTokens('accessTtl: undefined'),
    because: /undefined/,
  },
  {
    rule: 'only a profile that exists can be chosen',
    right: forRoot(`issuer, audience, profile: 'service'`),
    wrong: forRoot(`issuer, audience, profile: 'relaxed'`),
    because: /relaxed/,
  },
  {
    rule: 'the guard is switched by name, not by a boolean',
    right: forRoot(`issuer, audience, guard: 'manual'`),
    wrong: forRoot('issuer, audience, guard: false'),
    because: /boolean|false/,
  },
  {
    rule: 'the JWKS is switched off by null',
    right: forRoot('issuer, audience, jwksPath: null'),
    wrong: forRoot('issuer, audience, jwksPath: false'),
    because: /boolean|false/,
  },
  {
    rule: 'a storage is made by its factory',
    right: forRoot('issuer, audience, storage: memoryStorage()'),
    wrong: forRoot('issuer, audience, storage: new Map()'),
    because: /Map/,
  },
  {
    rule: 'an asynchronous factory answers with whole options',
    right: 'JwtHardeningModule.forRootAsync({ useFactory: () => ({ issuer, audience }) });',
    wrong: 'JwtHardeningModule.forRootAsync({ useFactory: () => ({ issuer }) });',
    because: /audience/,
  },
  {
    rule: 'options are read-only',
    right: 'declare const options: JwtHardeningOptions; const copy = { ...options, issuer };',
    wrong: 'declare const options: JwtHardeningOptions; options.issuer = issuer;',
    because: /read-only/,
  },
];

const DECORATORS: readonly Row[] = [
  ...['Scopes', 'AnyScope', 'Roles', 'Permissions'].flatMap((name): Row[] => [
    {
      rule: `@${name}() demands something`,
      right: route(`@${name}('a')`),
      wrong: route(`@${name}()`),
      because: /Expected at least 1 argument/,
    },
    {
      rule: `@${name}() takes names, not a list of names`,
      right: route(`@${name}('a', 'b')`),
      wrong: route(`@${name}(['a', 'b'])`),
      because: /string\[\].*string/,
    },
    {
      rule: `@${name}() does not take a spread that may be empty`,
      right: `declare const names: [string, ...string[]]; ${route(`@${name}(...names)`)}`,
      wrong: `declare const names: string[]; ${route(`@${name}(...names)`)}`,
      because: /spread|Expected|required/i,
    },
  ]),
  {
    rule: '@Policy() takes a function',
    right: route('@Policy(({ token }) => token.sessionId !== undefined)'),
    wrong: route('@Policy()'),
    because: /Expected 1 argument/,
  },
  {
    rule: 'a policy answers yes or no, not with something truthy',
    right: route(`@Policy(({ token }) => token.subject !== '')`),
    wrong: route('@Policy(({ token }) => token.subject)'),
    because: /string.*boolean/,
  },
  {
    rule: '@Public() cannot be switched by an argument',
    right: route('@Public()'),
    wrong: route('@Public(true)'),
    because: /Expected 0 arguments/,
  },
  {
    rule: '@CurrentToken() picks a field that exists',
    right: `class Demo { demo(@CurrentToken('subject') subject: string): void {} }`,
    wrong: `class Demo { demo(@CurrentToken('subjekt') subject: string): void {} }`,
    because: /subjekt/,
  },
];

const TOKENS: readonly Row[] = [
  {
    rule: 'a token has a subject',
    right: `void tokens.sign({ sub: 'alice' });`,
    wrong: `void tokens.sign({ scope: 'a' });`,
    because: /sub/,
  },
  ...['iss', 'aud', 'exp', 'nbf', 'iat', 'jti', 'cnf'].map((claim): Row => ({
    rule: `the reserved claim ${claim} is not the caller's to set`,
    right: `void tokens.sign({ sub: 'alice', tenant: 'x' });`,
    wrong: `void tokens.sign({ sub: 'alice', ${claim}: 'x' });`,
    because: /never|undefined/,
  })),
  {
    rule: 'a claim is JSON',
    right: `void tokens.sign({ sub: 'alice', tenant: { ids: [1, 2] } });`,
    wrong: `void tokens.sign({ sub: 'alice', tenant: () => 1 });`,
    because: /=> number/,
  },
  {
    rule: 'a lifetime has a unit',
    right: `void tokens.sign({ sub: 'alice' }, { ttl: '5m' });`,
    wrong: `void tokens.sign({ sub: 'alice' }, { ttl: 300 });`,
    because: /number/,
  },
  {
    rule: 'only a kind of token that exists can be signed',
    right: `void tokens.sign({ sub: 'alice' }, { kind: 'access' });`,
    wrong: `void tokens.sign({ sub: 'alice' }, { kind: 'refresh' });`,
    because: /refresh/,
  },
  {
    rule: 'verification has no switches that weaken it',
    right: `void tokens.verify('', { kind: 'access' });`,
    wrong: `void tokens.verify('', { ignoreExpiration: true });`,
    because: /ignoreExpiration/,
  },
  {
    rule: 'verification takes one token, as text',
    right: `void tokens.verify('');`,
    wrong: `void tokens.verify(['']);`,
    because: /string\[\].*string/,
  },
  {
    rule: 'there is no decoding without verifying',
    right: `void tokens.verify('');`,
    wrong: `tokens.decode('');`,
    because: /decode/,
  },
  {
    rule: 'a verified token cannot be made by hand',
    right: `const token: VerifiedToken = verified;`,
    wrong: `const token: VerifiedToken = {
      kind: 'access', kid: 'k', algorithm: 'ES256', subject: 'alice', tokenId: 't',
      sessionId: undefined, clientId: undefined, issuedAt: 0, expiresAt: 0,
      scopes: verified.scopes, roles: verified.roles, permissions: verified.permissions,
      claims: verified.claims,
    };`,
    because: /VERIFIED|missing/,
  },
  {
    rule: 'rights cannot be added to a verified token',
    right: `const scopes = [...verified.scopes, 'admin'];`,
    wrong: `verified.scopes = ['admin'] as never;`,
    because: /read-only/,
  },
  {
    rule: 'claims of a verified token cannot be changed',
    right: `const { sub } = verified.claims;`,
    wrong: `verified.claims.sub = 'admin';`,
    because: /read-only/,
  },
  {
    rule: 'an unknown claim has to be looked at before it is used',
    right: `const tenant = verified.claims['tenant']; if (typeof tenant === 'string') tenant.trim();`,
    wrong: `const tenant = verified.claims['tenant']; tenant.trim();`,
    because: /undefined|trim/,
  },
  {
    rule: 'error codes are a closed set',
    right: `if (error.code === 'ERR_TOKEN_EXPIRED') throw error;`,
    wrong: `if (error.code === 'ERR_TOKEN_EXPIERD') throw error;`,
    because: /no overlap/,
  },
];

const SURFACE: readonly Row[] = [
  {
    rule: 'only events that exist can be listened to',
    right: `events.on('token.rejected', () => {});`,
    wrong: `events.on('token.refused', () => {});`,
    because: /token\.refused/,
  },
  {
    rule: 'a listener sees the fields of its event only',
    right: `events.on('token.rejected', ({ code }) => code.trim());`,
    wrong: `events.on('token.issued', ({ code }) => code.trim());`,
    because: /code/,
  },
  {
    rule: 'an event carries no token',
    right: `events.on('token.issued', ({ jti }) => jti.trim());`,
    wrong: `events.on('token.issued', ({ token }) => token.trim());`,
    because: /token/,
  },
  {
    rule: 'a clock says what time it is',
    right: `class Frozen extends Clock { override now(): number { return 0; } }`,
    wrong: `class Frozen extends Clock {}`,
    because: /abstract member.*now/,
  },
  {
    rule: 'the rooms of the house are not entries of the package',
    right: `import { TokenService as T } from 'nest-jwt-hardening';`,
    wrong: `import { TokenService as T } from 'nest-jwt-hardening/tokens/token.service';`,
    because: /Cannot find module/,
  },
  {
    rule: 'the parts of a key ring are not public',
    right: `declare const keys: KeyRingService; void keys.rotate();`,
    wrong: `declare const keys: KeyRingService; void keys.privateKey();`,
    because: /privateKey/,
  },
];

const ROWS = [...OPTIONS, ...DECORATORS, ...TOKENS, ...SURFACE];

const complaints = compile(
  new Map(
    ROWS.flatMap(({ rule, right, wrong }) => [
      [`right: ${rule}`, PRELUDE + right],
      [`wrong: ${rule}`, PRELUDE + wrong],
    ]),
  ),
);

describe('the compiler', () => {
  it.each(ROWS)('knows that $rule', ({ rule, because }) => {
    expect(complaints.get(`right: ${rule}`)).toEqual([]);
    expect(complaints.get(`wrong: ${rule}`)).toEqual(
      expect.arrayContaining([expect.stringMatching(because)]),
    );
  });
});
