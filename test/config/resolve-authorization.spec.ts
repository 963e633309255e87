import { OptionReader } from '../../lib/config/option-reader.js';
import { readAuthorization } from '../../lib/config/resolve-authorization.js';
import { memoryStorage } from '../../lib/storage/memory/memory-storage.js';
import { NotCarried } from '../../lib/storage/storage.js';
import { ISSUER } from '../support/guarded-app.js';

const login = () => ({ outcome: 'denied' }) as const;

function read(authorization: unknown, issuer = ISSUER, storage = {}) {
  const reader = new OptionReader({ authorization, issuer });
  const config = readAuthorization(reader, issuer, { ...memoryStorage(), ...storage });
  return { config, problems: reader.problems, paths: reader.problems.map(({ path }) => path) };
}

describe('authorization', () => {
  it('is none by default', () => {
    expect(read(undefined)).toMatchObject({ config: null, problems: [] });
  });

  it('has codes for a minute and no scopes by default, frozen', () => {
    const { config, problems } = read({ login });
    expect(problems).toEqual([]);
    expect(config).toEqual({ login, loginWithin: 10_000, codeFor: 60_000, scopes: [] });
    expect([Object.isFrozen(config), Object.isFrozen(config?.scopes)]).toEqual([true, true]);
  });

  it('takes shorter codes and scopes', () => {
    const { config } = read({ login, codeFor: '10s', scopes: ['a', 'b'] });
    expect(config).toMatchObject({ codeFor: 10_000, scopes: ['a', 'b'] });
  });

  it.each<[rule: string, options: unknown, paths: readonly string[]]>([
    ['null', null, ['authorization', 'authorization.login']],
    ['a function', login, ['authorization', 'authorization.login']],
    ['without a login', {}, ['authorization.login']],
    ['with a login that is no function', { login: {} }, ['authorization.login']],
    ['with a member nobody knows', { login, logins: 1 }, ['authorization.logins']],
    ['with codes for longer', { login, codeFor: '61s' }, ['authorization.codeFor']],
    ['with codes for no time', { login, codeFor: '0s' }, ['authorization.codeFor']],
    ['with codes for a number', { login, codeFor: 60 }, ['authorization.codeFor']],
    ['with scopes as text', { login, scopes: 'a b' }, ['authorization.scopes']],
    ['with a scope twice', { login, scopes: ['a', 'a'] }, ['authorization.scopes']],
    ['with a scope that is empty', { login, scopes: [''] }, ['authorization.scopes']],
    [
      'wrong in every way',
      { codeFor: 'x', scopes: [7] },
      ['authorization.codeFor', 'authorization.login', 'authorization.scopes'],
    ],
  ])('is refused %s', (_rule, options, paths) => {
    expect(read(options).paths).toEqual(paths);
  });

  it.each([
    'me',
    'http://a.example',
    'https://a.example?x',
    'https://a.example#x',
    'ftp://a.example',
    'https://u@a.example',
  ])('needs an issuer that clients can find, not %s', (issuer) => {
    expect(read({ login }, issuer).paths).toEqual(['issuer']);
  });

  it.each([
    'https://a.example',
    'https://a.example/tenant',
    'http://localhost:3000',
    'http://127.0.0.1:1',
    'http://[::1]:1',
  ])('takes the issuer %s', (issuer) => {
    expect(read({ login }, issuer).paths).toEqual([]);
  });

  it('needs a storage that carries sessions', () => {
    const storage = { name: 'otherStorage()', sessionStore: new NotCarried('it forgets') };
    expect(read({ login }, ISSUER, storage).problems).toMatchObject([
      {
        path: 'authorization',
        problem: expect.stringMatching(/^otherStorage\(\) .*: it forgets$/),
      },
    ]);
  });
});
