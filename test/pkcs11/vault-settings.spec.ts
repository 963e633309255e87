import { ConfigError } from '../../lib/kernel/errors.js';
import { pkcs11Vault, type Pkcs11VaultOptions } from '../../lib/pkcs11/pkcs11-vault.js';
import { asPackage, readSettings } from '../../lib/pkcs11/vault-settings.js';

const GOOD: Pkcs11VaultOptions = {
  module: '/usr/lib/softhsm/libsofthsm2.so',
  slot: { label: 'my token' },
  pin: 'a-pin-nobody-may-see',
};
const addon = { PKCS11: Map, CK_PARAMS_RSA_PSS: 5 };

/** The options with problems; any other error, or one that repeats a secret, is thrown on. */
function problemsOf(options: unknown): readonly string[] {
  try {
    pkcs11Vault(options as Pkcs11VaultOptions);
    return [];
  } catch (error) {
    if (!(error instanceof ConfigError) || error.message.includes('nobody-may-see')) throw error;
    return error.problems.map(({ path }) => path.replace('pkcs11Vault.', ''));
  }
}

describe('the options of pkcs11Vault()', () => {
  it('have defaults', async () => {
    const { pin, ...settings } = readSettings(GOOD);
    expect(settings).toEqual({
      module: GOOD.module,
      slot: { label: 'my token' },
      keyLabelPrefix: 'jwt:',
      deadlineMs: 5_000,
      sessions: 2,
      pkcs11js: undefined,
    });
    expect(await pin()).toBe(GOOD.pin);
  });

  it.each<[string, object]>([
    ['a serial number', { slot: { serial: '82de54f7f5d5ad10' } }],
    ['an index', { slot: { index: 0 } }],
    ['a function for the PIN', { pin: () => 'a' }],
    ['no prefix', { keyLabelPrefix: '' }],
    ['a short deadline', { deadline: '100ms' }],
    ['a long deadline', { deadline: '1m' }],
    ['one session', { sessions: 1 }],
    ['the package', { pkcs11js: addon }],
    ['the package as import gives it', { pkcs11js: { default: addon } }],
  ])('take %s', (_, options) => {
    expect(problemsOf({ ...GOOD, ...options })).toEqual([]);
  });

  it.each<[string, string, unknown]>([
    ['nothing', 'module', undefined],
    ['an empty path', 'module', ''],
    ['a relative path, found somewhere else tomorrow', 'module', 'libsofthsm2.so'],
    ['a path that ends before its end', 'module', '/lib/a.so\0.txt'],
    ['a buffer', 'module', Buffer.from('/lib/a.so')],
    ['nothing', 'slot', undefined],
    ['null', 'slot', null],
    ['a bare number', 'slot', 0],
    ['no choice', 'slot', {}],
    ['two choices', 'slot', { label: 'a', index: 0 }],
    ['an unknown choice', 'slot', { name: 'a' }],
    ['an empty label', 'slot', { label: '' }],
    ['a blank label, which tokens without one have', 'slot', { label: '  ' }],
    ['a label that is too long', 'slot', { label: 'a'.repeat(33) }],
    ['a label with too many bytes', 'slot', { label: 'é'.repeat(17) }],
    ['a serial number that is too long', 'slot', { serial: 'a'.repeat(17) }],
    ['a negative index', 'slot', { index: -1 }],
    ['a broken index', 'slot', { index: 0.5 }],
    ['an index in words', 'slot', { index: '0' }],
    ['nothing', 'pin', undefined],
    ['an empty text', 'pin', ''],
    ['a number, which loses zeros', 'pin', 1234],
    ['a text that is too long', 'pin', 'nobody-may-see'.repeat(20)],
    ['a promise', 'pin', Promise.resolve('a')],
    ['a blank', 'keyLabelPrefix', 'a b'],
    ['a text that is too long', 'keyLabelPrefix', 'a'.repeat(65)],
    ['null', 'keyLabelPrefix', null],
    ['a number', 'deadline', 5_000],
    ['no unit', 'deadline', '5'],
    ['too little', 'deadline', '99ms'],
    ['too much', 'deadline', '2m'],
    ['none', 'sessions', 0],
    ['too many', 'sessions', 65],
    ['half a one', 'sessions', 1.5],
    ['something else', 'pkcs11js', {}],
    ['null', 'pkcs11js', null],
    ['half the package', 'pkcs11js', { PKCS11: addon.PKCS11 }],
    ['a slip of the pen', 'pins', 'nobody-may-see'],
  ])('refuse %s as %s', (_, path, value) => {
    expect(problemsOf({ ...GOOD, [path]: value })).toEqual([path]);
  });

  it.each([undefined, null, 'nobody-may-see', 7])('refuse %p for all of them', (options) => {
    expect(problemsOf(options)).toEqual(['pkcs11Vault']);
  });

  it('say everything that is wrong at once', () => {
    expect(problemsOf({ pin: 1, deadline: 1, more: 1 }).toSorted()).toEqual([
      'deadline',
      'module',
      'more',
      'pin',
      'slot',
    ]);
  });
});

describe('the package', () => {
  it.each([undefined, null, 'pkcs11js', {}, { default: null }, { default: {} }, { PKCS11: 1 }])(
    'is not %p',
    (value) => {
      expect(asPackage(value)).toBeUndefined();
    },
  );
});
