import { randomBytes } from 'node:crypto';

import { OptionReader } from '../../lib/config/option-reader.js';
import { readClients } from '../../lib/config/resolve-clients.js';
import { type RegisteredClient, secretDigest } from '../../lib/endpoints/registered-client.js';
import type { ConfigProblem } from '../../lib/kernel/errors.js';
import type { SigningAlgorithm } from '../../lib/keys/algorithms.js';
import { generateSigningKey, type PublicJwk } from '../../lib/keys/key-material.js';
import { memoryStorage } from '../../lib/storage/memory/memory-storage.js';
import { NotCarried, type Storage } from '../../lib/storage/storage.js';
import { newPrivateJwk } from '../support/token-mother.js';
import { recordOutput, recordSecret } from '../support/witness.js';

interface Outcome {
  readonly clients: readonly RegisteredClient[];
  readonly problems: readonly ConfigProblem[];
}

const SCOPES = ['accounts:read', 'transfers:write'];

async function read(clients: unknown, storage: Partial<Storage> = {}): Promise<Outcome> {
  const reader = new OptionReader({ clients, authorization: { scopes: SCOPES } });
  const read = await readClients(reader, { ...memoryStorage(), ...storage });
  recordOutput(JSON.stringify(reader.problems));
  return { clients: read, problems: reader.problems };
}

async function pathsOf(clients: unknown): Promise<readonly string[]> {
  return (await read(clients)).problems.map(({ path }) => path);
}

function newSecret(): string {
  const secret = randomBytes(32).toString('hex');
  recordSecret(secret);
  return secret;
}

const withSecrets = (secrets: unknown): object => ({
  clientId: 'shop',
  authentication: { method: 'client_secret_basic', secrets },
  may: ['revoke'],
});
const withKeys = (keys: unknown): object => ({
  clientId: 'signer',
  authentication: { method: 'private_key_jwt', jwks: { keys } },
  may: ['introspect'],
});
const newPublicJwk = async (algorithm: SigningAlgorithm = 'ES256'): Promise<PublicJwk> =>
  (await generateSigningKey(algorithm)).publicJwk;

describe('clients', () => {
  it('are none by default', async () => {
    expect(await read(undefined)).toEqual({ clients: [], problems: [] });
    expect(await read([])).toEqual({ clients: [], problems: [] });
  });

  it('are kept frozen, with digests of their secrets and no secret', async () => {
    const [current, next] = [newSecret(), newSecret()];
    const { clients, problems } = await read([
      { ...withSecrets([current, next]), may: ['introspect', 'revoke'] },
    ]);
    expect(problems).toEqual([]);
    expect(clients).toEqual([
      {
        clientId: 'shop',
        authentication: {
          method: 'client_secret_basic',
          digests: [secretDigest(current), secretDigest(next)],
        },
        may: ['revoke', 'introspect'],
        redirectUris: [],
        scopes: [],
      },
    ]);
    const [client] = clients;
    for (const part of [clients, client, client?.authentication, client?.may]) {
      expect(Object.isFrozen(part)).toBe(true);
    }
    expect(JSON.stringify(clients)).not.toContain(current);
  });

  it('have keys by kid, each with its one algorithm', async () => {
    const algorithms = ['ES256', 'RS256', 'Ed25519'] as const;
    const jwks = await Promise.all(algorithms.map(newPublicJwk));
    const { clients, problems } = await read([withKeys(jwks)]);
    expect(problems).toEqual([]);
    const authentication = clients[0]?.authentication;
    const keys = authentication?.method === 'private_key_jwt' ? authentication.keys : new Map();
    expect([...keys.keys()]).toEqual(jwks.map(({ kid }) => kid));
    expect([...keys.values()].map(({ row }) => row.name)).toEqual(algorithms);
  });

  it('may have members in their keys that nobody knows (RFC 7517 §4), and an alg there is no choice about', async () => {
    const { alg: _alg, use: _use, ...bare } = await newPublicJwk();
    const jwk = { ...bare, 'x-owner': 'payments', key_ops: ['verify'] };
    expect((await read([withKeys([jwk])])).problems).toEqual([]);
  });

  it.each<[rule: string, value: unknown]>([
    ['null', null],
    ['an object', withSecrets([newSecret()])],
    ['text', 'shop'],
    ['a function', () => []],
  ])('are no list as %s', async (_rule, clients) => {
    expect(await pathsOf(clients)).toEqual(['clients']);
  });

  it.each<[rule: string, client: unknown, paths: readonly string[]]>([
    ['null', null, ['clients.0']],
    ['text', 'shop', ['clients.0']],
    ['a list', [], ['clients.0']],
    ['empty', {}, ['clients.0.clientId', 'clients.0.authentication.method', 'clients.0.may']],
    [
      'with a member nobody knows',
      { ...withSecrets([newSecret()]), secret: newSecret() },
      ['clients.0.secret'],
    ],
  ])('refuse one that is %s', async (_rule, client, paths) => {
    expect(await pathsOf([client])).toEqual(expect.arrayContaining([...paths]));
  });

  it.each<[rule: string, clientId: unknown]>([
    ['missing', undefined],
    ['empty', ''],
    ['a number', 7],
    ['with a space', 'the shop'],
    ['with a line feed', 'shop\n'],
    ['beyond ASCII', 'größe'],
    ['too long', 's'.repeat(256)],
  ])('refuse a clientId that is %s', async (_rule, clientId) => {
    const client = { ...withSecrets([newSecret()]), clientId };
    expect(await pathsOf([client])).toEqual(['clients.0.clientId']);
  });

  it('refuse the same clientId twice', async () => {
    const clients = [withSecrets([newSecret()]), withKeys([await newPublicJwk()])];
    const named = clients.map((client) => ({ ...client, clientId: 'shop' }));
    expect((await read(named)).problems).toMatchObject([
      { path: 'clients.1.clientId', problem: 'it is named already' },
    ]);
  });

  it.each<[rule: string, may: unknown]>([
    ['missing', undefined],
    ['empty', []],
    ['text', 'revoke'],
    ['unknown', ['read']],
    ['in capitals', ['Revoke']],
    ['named twice', ['revoke', 'revoke']],
    ['known and unknown', ['revoke', 'refresh']],
    ['with a hole', [, 'revoke']], // oxlint-disable-line no-sparse-arrays
  ])('refuse a permission that is %s', async (_rule, may) => {
    expect(await pathsOf([{ ...withSecrets([newSecret()]), may }])).toEqual(['clients.0.may']);
  });

  it.each<[rule: string, authentication: unknown, path: string]>([
    ['missing', undefined, 'method'],
    ['text', 'client_secret_basic', 'method'],
    ['unknown', { method: 'self_signed_tls_client_auth' }, 'method'],
    ['none, with a secret', { method: 'none', secrets: [newSecret()] }, 'secrets'],
    ['in the body', { method: 'client_secret_post', secrets: [newSecret()] }, 'method'],
    ['by a shared secret', { method: 'client_secret_jwt', secrets: [newSecret()] }, 'method'],
    ['without what it needs', { method: 'client_secret_basic' }, 'secrets'],
    ['without its keys', { method: 'private_key_jwt' }, 'jwks'],
    [
      'of two kinds',
      { method: 'client_secret_basic', secrets: [newSecret()], jwks: { keys: [] } },
      'jwks',
    ],
    [
      'by keys at a URL',
      { method: 'private_key_jwt', jwksUri: 'https://client.example/jwks' },
      'jwksUri',
    ],
  ])('refuse a method that is %s', async (_rule, authentication, path) => {
    const client = { clientId: 'shop', authentication, may: ['revoke'] };
    const paths = await pathsOf([client]);
    expect(paths.some((found) => found.startsWith(`clients.0.authentication.${path}`))).toBe(true);
  });

  const STRONG = newSecret();
  it.each<[rule: string, secrets: unknown, path: string]>([
    ['text', STRONG, 'secrets'],
    ['an empty list', [], 'secrets'],
    ['three', [newSecret(), newSecret(), newSecret()], 'secrets'],
    ['a number', [7], 'secrets.0'],
    ['null', [STRONG, null], 'secrets.1'],
    ['empty', [''], 'secrets.0'],
    ['31 characters long', [randomBytes(16).toString('hex').slice(1)], 'secrets.0'],
    ['16 random bytes', [randomBytes(16).toString('hex')], 'secrets.0'],
    ['one character many times', ['a'.repeat(64)], 'secrets.0'],
    ['words', ['correct-horse-battery-staple-correct-horse'], 'secrets.0'],
    ['made to be changed', ['change-me-change-me-change-me-change-me-1'], 'secrets.0'],
    ['with a line feed', [`${STRONG}\n`], 'secrets.0'],
    ['with a space', [`${STRONG} `], 'secrets.0'],
    ['beyond ASCII', [`${STRONG}ß`], 'secrets.0'],
    ['too long', [randomBytes(300).toString('hex')], 'secrets.0'],
    ['twice the same', [STRONG, STRONG], 'secrets.1'],
  ])('refuse a secret that is %s, and do not repeat it', async (_rule, secrets, path) => {
    const { problems } = await read([withSecrets(secrets)]);
    expect(problems.map((problem) => problem.path)).toEqual([`clients.0.authentication.${path}`]);
    expect(JSON.stringify(problems)).not.toContain(STRONG);
    expect(JSON.stringify(problems)).not.toContain('horse');
  });

  it.each<[rule: string, make: () => Promise<unknown>, problem: RegExp]>([
    ['null', async () => null, /no JWK/],
    ['text', async () => 'key', /no JWK/],
    ['missing', async () => undefined, /no JWK/],
    ['without a kid', async () => ({ ...(await newPublicJwk()), kid: undefined }), /no kid/],
    ['with a strange kid', async () => ({ ...(await newPublicJwk()), kid: 'a b' }), /its kid/],
    ['private', () => newPrivateJwk(), /private part/],
    [
      'a shared secret',
      async () => ({ kty: 'oct', kid: 'k', alg: 'HS256', k: newSecret() }),
      /it is a secret/,
    ],
    ['for encryption', async () => ({ ...(await newPublicJwk()), use: 'enc' }), /not for verify/],
    [
      'for signing',
      async () => ({ ...(await newPublicJwk()), key_ops: ['sign', 'verify'] }),
      /not for verify/,
    ],
    ['of no algorithm here', async () => ({ ...(await newPublicJwk()), alg: 'none' }), /its alg/],
    [
      'of several algorithms',
      async () => ({ ...(await newPublicJwk('RS256')), alg: undefined }),
      /fits several/,
    ],
    ['of another curve', async () => ({ ...(await newPublicJwk()), crv: 'P-384' }), /kty or crv/],
    [
      'off its curve',
      async () => ({ ...(await newPublicJwk()), x: 'A'.repeat(43) }),
      /cannot be read/,
    ],
  ])('refuse a key that is %s', async (_rule, make, problem) => {
    const { problems } = await read([withKeys([await newPublicJwk(), await make()])]);
    expect(problems).toEqual([
      {
        path: 'clients.0.authentication.jwks.keys.1',
        problem: expect.stringMatching(problem),
        fix: expect.stringContaining('public half'),
      },
    ]);
  });

  it.each<[rule: string, jwks: unknown, path: string]>([
    ['text', 'keys', 'jwks'],
    ['a list', [], 'jwks'],
    ['without keys', {}, 'jwks.keys'],
    ['with an empty list', { keys: [] }, 'jwks.keys'],
    ['with one key and no list', { keys: {} }, 'jwks.keys'],
    ['with a member nobody knows', { keys: [], uri: 'https://a.example' }, 'jwks.uri'],
  ])('refuse a JWKS that is %s', async (_rule, jwks, path) => {
    const authentication = { method: 'private_key_jwt', jwks };
    const client = { clientId: 'signer', authentication, may: ['revoke'] };
    expect(await pathsOf([client])).toContain(`clients.0.authentication.${path}`);
  });

  it('refuse two keys under one kid', async () => {
    const [first, second] = [await newPublicJwk(), await newPublicJwk()];
    const keys = [first, { ...second, kid: first.kid }];
    expect((await read([withKeys(keys)])).problems).toMatchObject([
      { path: 'clients.0.authentication.jwks.keys.1', problem: 'its kid is that of another' },
    ]);
  });

  it('that sign need a storage that remembers what was used', async () => {
    const storage = { name: 'otherStorage()', replayStore: new NotCarried('it forgets') };
    const signer = withKeys([await newPublicJwk()]);
    expect((await read([signer], storage)).problems).toMatchObject([
      {
        path: 'clients.0.authentication.method',
        problem: expect.stringMatching(/^otherStorage\(\) .*: it forgets$/),
      },
    ]);
    expect((await read([withSecrets([newSecret()])], storage)).problems).toEqual([]);
  });

  const native = (options: object): object => ({
    clientId: 'native',
    authentication: { method: 'none' },
    may: ['authorize'],
    ...options,
  });

  it('that authorize have redirect URIs, and all scopes there are', async () => {
    const redirectUris = ['com.example.app:/callback', 'http://127.0.0.1/callback'];
    const { clients, problems } = await read([native({ redirectUris })]);
    expect(problems).toEqual([]);
    expect(clients).toMatchObject([
      { authentication: { method: 'none' }, may: ['authorize'], redirectUris, scopes: SCOPES },
    ]);
    for (const part of [clients[0]?.redirectUris, clients[0]?.scopes]) {
      expect(Object.isFrozen(part)).toBe(true);
    }
  });

  it('that authorize may have fewer scopes, or none, and no redirect URIs to refresh only', async () => {
    const { clients, problems } = await read([
      native({ scopes: ['accounts:read'] }),
      native({ clientId: 'other', scopes: [] }),
    ]);
    expect(problems).toEqual([]);
    expect(clients.map(({ scopes }) => scopes)).toEqual([['accounts:read'], []]);
    expect(clients.map(({ redirectUris }) => redirectUris)).toEqual([[], []]);
  });

  it.each<[rule: string, options: object, path: string]>([
    ['introspect without a method', { may: ['introspect', 'revoke'] }, 'may'],
    [
      'have redirect URIs for nothing',
      { may: ['revoke'], redirectUris: ['a.b:/c'] },
      'redirectUris',
    ],
    ['have scopes for nothing', { may: ['revoke'], scopes: [] }, 'scopes'],
    ['have scopes nobody offers', { scopes: ['admin'] }, 'scopes'],
    ['have a scope twice', { scopes: ['accounts:read', 'accounts:read'] }, 'scopes'],
    ['have scopes as text', { scopes: 'accounts:read' }, 'scopes'],
    ['have a scope with a space', { scopes: ['accounts:read transfers:write'] }, 'scopes'],
    ['have redirect URIs as text', { redirectUris: 'a.b:/c' }, 'redirectUris'],
    ['have an empty list of them', { redirectUris: [] }, 'redirectUris'],
    [
      'have 51 of them',
      { redirectUris: Array.from({ length: 51 }, (_, n) => `a.b:/${n}`) },
      'redirectUris',
    ],
    ['have one twice', { redirectUris: ['a.b:/c', 'a.b:/c'] }, 'redirectUris.1'],
    ['have one that is a number', { redirectUris: ['a.b:/c', 7] }, 'redirectUris.1'],
    ['have a pattern', { redirectUris: ['https://*.example.com/'] }, 'redirectUris.0'],
    ['have one on http', { redirectUris: ['http://app.example/'] }, 'redirectUris.0'],
    ['have a hole', { redirectUris: [, 'a.b:/c'] }, 'redirectUris.0'], // oxlint-disable-line no-sparse-arrays
  ])('must not %s', async (_rule, options, path) => {
    expect(await pathsOf([native(options)])).toEqual([`clients.0.${path}`]);
  });

  it('have all their problems told at once', async () => {
    expect(
      await pathsOf([
        { ...withSecrets(['short']), may: [] },
        { ...withKeys([null]), clientId: '' },
      ]),
    ).toEqual([
      'clients.0.authentication.secrets.0',
      'clients.0.may',
      'clients.1.clientId',
      'clients.1.authentication.jwks.keys.0',
    ]);
  });
});
