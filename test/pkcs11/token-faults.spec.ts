import { inspect } from 'node:util';

import type { KeyVault, Signer } from '../../lib/keys/signer.js';
import { CKA } from '../../lib/pkcs11/cryptoki.js';
import { pkcs11Vault, type Pkcs11VaultOptions } from '../../lib/pkcs11/pkcs11-vault.js';
import { recordSecret } from '../support/witness.js';
import { FakeModule, fault, handleOf } from './fake-token.js';

/** What a token, its library or a PIN can do wrong, on a module that does it when told to. */

const TEXT = Buffer.from('some text');
const FAILED = { code: 'ERR_KEY_SIGNER_FAILED' };

const vaults: KeyVault[] = [];
let modules = 0;

function vaultOn(fake: FakeModule, options: Partial<Pkcs11VaultOptions> = {}): KeyVault {
  const vault = pkcs11Vault({
    module: pathOf(fake),
    slot: { label: 'fake' },
    pin: fake.pin,
    pkcs11js: fake.addon,
    // A machine that stalls is not what is tested where no other is given.
    deadline: '1m',
    ...options,
  });
  vaults.push(vault);
  return vault;
}

const paths = new WeakMap<FakeModule, string>();
/** Modules are shared by path: each has one of its own. */
function pathOf(fake: FakeModule): string {
  const path = paths.get(fake) ?? `/fake/module-${++modules}.so`;
  paths.set(fake, path);
  return path;
}

async function until(isSo: () => boolean | Promise<boolean>): Promise<void> {
  const deadline = Date.now() + 60_000;
  while (!(await isSo())) {
    if (Date.now() > deadline) throw new Error('it never came to that');
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
}

const signs = (signer: Signer): Promise<boolean> =>
  signer.sign(TEXT).then(
    () => true,
    () => false,
  );

const finds = (vault: KeyVault): Promise<boolean> =>
  vault.find('a').then(
    () => true,
    () => false,
  );

const reasonOf = (vault: KeyVault): Promise<string> => vault.find('a').then(() => '', String);

/** A promise that others settle. */
function gate(): { readonly open: () => void; readonly passed: Promise<void> } {
  let open = (): void => undefined;
  const passed = new Promise<void>((resolve) => {
    open = resolve;
  });
  return { open, passed };
}

let fake: FakeModule;
beforeEach(() => {
  fake = new FakeModule();
  recordSecret(fake.pin);
});
afterEach(async () => {
  await Promise.all(vaults.splice(0).map((vault) => vault.close()));
  if (fake.overlaps > 0) throw new Error('a session was used in the middle of a signature');
});

describe('the PIN', () => {
  it('is tried once when it is wrong, however many ask, in this vault and the next', async () => {
    const wrong = vaultOn(fake, { pin: 'wrong-pin-of-mine' });
    const outcomes = await Promise.allSettled(Array.from({ length: 50 }, () => wrong.find('a')));
    for (const outcome of outcomes) expect(outcome).toMatchObject({ reason: FAILED });
    await expect(wrong.generate('Ed25519')).rejects.toThrow('refused the PIN');
    await expect(vaultOn(fake, { pin: 'another-pin-of-mine' }).find('a')).rejects.toThrow(
      'refused the PIN',
    );
    await expect(vaultOn(fake).find('a')).rejects.toThrow('refused the PIN');
    expect(fake.count('C_Login')).toBe(1);
    // Nor does it have the library start over, at the expense of others.
    expect(fake.count('C_Finalize')).toBe(0);
  });

  it.each([
    ['locked', 0x40000, 'its user PIN is locked'],
    ['one attempt from being locked', 0x20000, 'one wrong PIN would lock it'],
  ])('is not tried when it is %s', async (_, flag, reason) => {
    fake.flags |= flag;
    await expect(vaultOn(fake).find('a')).rejects.toThrow(reason);
    expect(fake.count('C_Login')).toBe(0);
  });

  it.each<[string, () => void]>([
    ['is locked', () => (fake.flags |= 0x40000)],
    ['is one attempt from being locked', () => (fake.flags |= 0x20000)],
    ['is another', () => (fake.serial += '-')],
  ])('is not tried on a token that %s once the PIN is there', async (_, change) => {
    const pin = async (): Promise<string> => {
      change();
      return fake.pin;
    };
    await expect(vaultOn(fake, { pin }).find('a')).rejects.toMatchObject(FAILED);
    expect(fake.count('C_Login')).toBe(0);
  });

  const pauses = 'its last login failed, and the next is not tried yet';
  it('is tried again after a pause when the login fails for another reason', async () => {
    fake.fail('C_Login', 0x05, 1);
    const vault = vaultOn(fake);
    await expect(vault.find('a')).rejects.toMatchObject(FAILED);
    for (let round = 0; round < 20; round++) {
      await expect(vault.find('a')).rejects.toThrow(pauses);
      await expect(vaultOn(fake).find('a')).rejects.toThrow(pauses);
    }
    expect(fake.count('C_Login')).toBe(1);
    await until(() => finds(vault));
    expect(fake.count('C_Login')).toBe(2);
  });

  it.each([
    ['CKR_GENERAL_ERROR', 0x05],
    ['CKR_FUNCTION_FAILED', 0x06],
    ['CKR_DEVICE_ERROR', 0x30],
    ['an answer of its maker', 0x80000001],
  ])('is not tried a third time when the token calls it %s', async (_, value) => {
    fake.fail('C_Login', value, 9);
    const vault = vaultOn(fake);
    await expect(vault.find('a')).rejects.toMatchObject(FAILED);
    await until(() => reasonOf(vault).then((reason) => reason.includes('login failed twice')));
    const again = { ...fake.addon };
    for (const next of [vault, vaultOn(fake, { module: '/fake/other-path.so', pkcs11js: again })]) {
      await expect(next.find('a')).rejects.toThrow('login failed twice');
    }
    expect(fake.count('C_Login')).toBe(2);
  });

  it.each([
    ['CKR_DEVICE_REMOVED', 0x32],
    ['CKR_TOKEN_NOT_PRESENT', 0xe0],
    ['CKR_SESSION_HANDLE_INVALID', 0xb3],
  ])('is tried again, ever more slowly, as long as %s keeps it away', async (_, value) => {
    fake.fail('C_Login', value, 2);
    const vault = vaultOn(fake);
    await until(() => finds(vault));
    const times = fake.times('C_Login');
    const [first = 0, second = 0, third = 0] = times;
    expect(times).toHaveLength(3);
    expect(second - first).toBeGreaterThan(900);
    expect(third - second).toBeGreaterThan(1_800);
  });

  it('counts from the start again once a login worked', async () => {
    for (let round = 0; round < 2; round++) {
      fake.fail('C_Login', 0x06);
      const vault = vaultOn(fake);
      await expect(vault.find('a')).rejects.toMatchObject(FAILED);
      await until(() => finds(vault));
      await vault.close();
    }
    expect(fake.count('C_Login')).toBe(4);
  });

  it.each([
    ['nothing', ''],
    ['zeros', '0000000000000000'],
  ])(
    'that one token refused is tried on another, with %s for serial numbers',
    async (_, serial) => {
      fake.serial = serial;
      fake.label = `blank ${serial}`;
      const label = fake.label;
      const given = { slot: { label } };
      await expect(vaultOn(fake, { ...given, pin: 'wrong-pin-of-mine' }).find('a')).rejects.toThrow(
        'refused the PIN',
      );
      const other = new FakeModule();
      Object.assign(other, { serial, label, slot: handleOf(8n) });
      const third = new FakeModule();
      Object.assign(third, { serial, label: `third ${serial}` });
      recordSecret(other.pin);
      await expect(vaultOn(other, given).find('a')).resolves.toBeNull();
      await expect(vaultOn(third, { slot: { label: third.label } }).find('a')).resolves.toBeNull();
      await expect(vaultOn(fake, given).find('a')).rejects.toThrow('refused the PIN');
      expect(fake.count('C_Login')).toBe(1);
    },
  );

  it.each<[string, () => string | Promise<string>]>([
    [
      'throws',
      () => {
        throw new Error('vault token hvs.secret-of-ours');
      },
    ],
    ['rejects', () => Promise.reject(new Error('vault token hvs.secret-of-ours'))],
    ['gives nothing', () => ''],
    ['gives no text', () => JSON.parse('{"pin":"hvs.secret-of-ours"}') as string],
    ['gives too much', () => 'hvs.secret-of-ours'.repeat(20)],
  ])('costs no attempt when its function %s', async (_, pin) => {
    const error: unknown = await vaultOn(fake, { pin })
      .find('a')
      .catch((reason: unknown) => reason);
    expect(error).toMatchObject(FAILED);
    expect(inspect(error, { depth: 9 })).not.toContain('secret-of-ours');
    expect(fake.count('C_Login')).toBe(0);
  });

  it('fails in time when its function never answers', async () => {
    const vault = vaultOn(fake, { pin: () => new Promise(() => undefined), deadline: '100ms' });
    await expect(vault.find('a')).rejects.toMatchObject(FAILED);
    expect(fake.count('C_Login')).toBe(0);
  });

  it('is fetched for each login, and only for one', async () => {
    let fetched = 0;
    const pin = async (): Promise<string> => {
      fetched++;
      return fake.pin;
    };
    const signer = await vaultOn(fake, { pin }).generate('Ed25519');
    await Promise.all(Array.from({ length: 20 }, () => signer.sign(TEXT)));
    expect(fetched).toBe(1);
    fake.isLoggedIn = false;
    fake.fail('C_SignInit', 0x101);
    await signer.sign(TEXT);
    expect(fetched).toBe(2);
  });

  it('stands in nothing the vault or a key shows of itself', async () => {
    const vault = vaultOn(fake);
    const signer = await vault.generate('Ed25519');
    const shown = inspect([vault, signer], { depth: 9, showHidden: true }) + JSON.stringify(vault);
    expect(shown).not.toContain(fake.pin);
  });
});

describe('a signature', () => {
  it.each<[string, (signature: Buffer) => Buffer]>([
    [
      'with one bit wrong',
      (signature) => signature.map((byte, at) => (at ? byte : byte ^ 1)) as Buffer,
    ],
    ['cut short', (signature) => signature.subarray(0, -1)],
    ['with more behind it', (signature) => Buffer.concat([signature, Buffer.alloc(1)])],
    ['of nothing', () => Buffer.alloc(0)],
    ['of zeros', (signature) => Buffer.alloc(signature.length)],
  ])('%s is never handed out', async (_, spoil) => {
    const signer = await vaultOn(fake).generate('Ed25519');
    fake.onSign = spoil;
    await expect(signer.sign(TEXT)).rejects.toThrow('its signature does not verify');
    fake.onSign = (signature) => signature;
    await expect(signs(signer)).resolves.toBe(true);
  });

  it('by another key under the same handle is never handed out', async () => {
    const vault = vaultOn(fake);
    const [one, two] = [await vault.generate('Ed25519'), await vault.generate('Ed25519')];
    await Promise.all([one.sign(TEXT), two.sign(TEXT)]);
    const [first, second] = [...fake.objects].filter(([, { key }]) => key.type === 'private');
    if (first === undefined || second === undefined) throw new Error('two keys were made');
    fake.objects.set(first[0], second[1]);
    await expect(one.sign(TEXT)).rejects.toMatchObject(FAILED);
    await expect(signs(two)).resolves.toBe(true);
  });

  it('by another key is the reason to search for the right one', async () => {
    const vault = vaultOn(fake);
    const signers = [await vault.generate('Ed25519'), await vault.generate('Ed25519')];
    fake.renumber();
    for (const signer of signers) {
      await expect(signer.sign(TEXT)).rejects.toThrow('its signature does not verify');
      await expect(signs(signer)).resolves.toBe(true);
    }
  });

  it('is over what was given, also when that changes afterwards', async () => {
    const signer = await vaultOn(fake).generate('Ed25519');
    const held = gate();
    fake.onSign = (signature) => held.passed.then(() => signature);
    const given = Buffer.from('some text');
    const signing = signer.sign(given);
    given.fill(0);
    held.open();
    const expected = await signing;
    fake.onSign = (signature) => signature;
    expect(await signer.sign(TEXT)).toEqual(expected);
  });

  it('that never comes is given up in time; its session is not used for another', async () => {
    const vault = vaultOn(fake, { sessions: 2, deadline: '1s' });
    const signer = await vault.generate('Ed25519');
    const held = gate();
    fake.onSign = (signature) => held.passed.then(() => signature);
    await expect(signer.sign(TEXT)).rejects.toThrow('it did not answer in time');
    fake.onSign = (signature) => signature;
    // Were it used, one of them would never be answered.
    await until(async () => {
      const others = Array.from({ length: 10 }, () => signs(signer));
      return !(await Promise.all(others)).includes(false);
    });
    held.open();
    await until(() => signs(signer));
  });

  it('that never comes keeps its place: no more are under way than there are sessions', async () => {
    const vault = vaultOn(fake, { sessions: 1, deadline: '1s' });
    const signer = await vault.generate('Ed25519');
    const held = gate();
    fake.onSign = (signature) => held.passed.then(() => signature);
    await expect(signer.sign(TEXT)).rejects.toMatchObject(FAILED);
    const before = fake.count('C_SignInit');
    await expect(signer.sign(TEXT)).rejects.toMatchObject(FAILED);
    expect(fake.count('C_SignInit')).toBe(before);
    held.open();
    await until(() => signs(signer));
  });

  it('that waits for its turn is refused as soon as the vault closes', async () => {
    const vault = vaultOn(fake, { sessions: 1, deadline: '1m' });
    const signer = await vault.generate('Ed25519');
    const held = gate();
    fake.onSign = (signature) => held.passed.then(() => signature);
    const [running, waiting] = [signer.sign(TEXT), signer.sign(TEXT)];
    const closing = vault.close();
    await expect(waiting).rejects.toThrow('its vault was closed');
    held.open();
    await expect(running).resolves.toBeInstanceOf(Uint8Array);
    await closing;
    expect(fake.openSessions).toBe(0);
  });

  it.each([
    ['good', undefined],
    ['lost', 0x30],
  ])('that ends after its vault was closed ends its session too: %s', async (_, value) => {
    const other = vaultOn(fake);
    await other.find('a');
    const vault = vaultOn(fake, { sessions: 1, deadline: '1s' });
    const signer = await vault.generate('Ed25519');
    const [held, ended] = [gate(), gate()];
    fake.onSign = async (signature) => {
      await held.passed;
      ended.open();
      if (value !== undefined) throw fault(value);
      return signature;
    };
    await expect(signer.sign(TEXT)).rejects.toThrow('it did not answer in time');
    await vault.close();
    expect(fake.openSessions).toBe(2);
    const before = fake.count('C_OpenSession');
    held.open();
    await ended.passed;
    await until(() => fake.openSessions === 1);
    expect(fake.count('C_OpenSession')).toBe(before);
    await expect(finds(other)).resolves.toBe(true);
  });

  it('that is refused leaves nothing half done in its session', async () => {
    const signer = await vaultOn(fake).generate('Ed25519');
    fake.fail('C_SignAsync', 0x21);
    await expect(signer.sign(TEXT)).rejects.toMatchObject(FAILED);
    const before = fake.count('C_SignInit');
    await expect(signs(signer)).resolves.toBe(true);
    expect(fake.count('C_SignInit')).toBe(before + 1);
  });

  it('is refused at once when a thousand wait already, and the vault closes nevertheless', async () => {
    const vault = vaultOn(fake, { sessions: 1, deadline: '1s' });
    const signer = await vault.generate('Ed25519');
    fake.onSign = () => new Promise(() => undefined);
    const waiting = Array.from({ length: 1_002 }, () => signer.sign(TEXT));
    const outcomes = Promise.allSettled(waiting);
    await expect(waiting[1_001]).rejects.toThrow('too many operations wait');
    await vault.close();
    for (const outcome of await outcomes) expect(outcome).toMatchObject({ reason: FAILED });
    await expect(signer.sign(TEXT)).rejects.toThrow('its vault was closed');
    // The library still works on one: it is not finalised under it.
    expect(fake.count('C_Finalize')).toBe(0);
  });
});

describe('a token that is lost', () => {
  it.each([
    ['CKR_SESSION_CLOSED', 'C_SignInit', 0xb0],
    ['CKR_SESSION_HANDLE_INVALID', 'C_SignInit', 0xb3],
    ['CKR_USER_NOT_LOGGED_IN', 'C_SignInit', 0x101],
    ['CKR_KEY_HANDLE_INVALID', 'C_SignInit', 0x60],
    ['CKR_OBJECT_HANDLE_INVALID', 'C_SignInit', 0x82],
    ['CKR_OPERATION_ACTIVE', 'C_SignInit', 0x90],
    ['CKR_DEVICE_ERROR', 'C_SignAsync', 0x30],
    ['CKR_DEVICE_REMOVED', 'C_SignAsync', 0x32],
    ['CKR_GENERAL_ERROR', 'C_SignAsync', 0x05],
    ['CKR_CRYPTOKI_NOT_INITIALIZED', 'C_SignAsync', 0x190],
    ['an answer of its maker', 'C_SignAsync', 0x80000001],
  ] as const)('is tried once more after %s of %s', async (_, name, value) => {
    const signer = await vaultOn(fake).generate('Ed25519');
    const before = fake.count(name);
    fake.fail(name, value);
    await expect(signs(signer)).resolves.toBe(true);
    expect(fake.count(name)).toBe(before + 2);
    fake.fail(name, value, 2);
    await expect(signer.sign(TEXT)).rejects.toMatchObject(FAILED);
    expect(fake.count(name)).toBe(before + 4);
    await until(() => signs(signer));
  });

  it.each([
    ['CKR_KEY_FUNCTION_NOT_PERMITTED', 0x68],
    ['CKR_MECHANISM_INVALID', 0x70],
    ['CKR_DATA_LEN_RANGE', 0x21],
  ])('is not what %s means: it is asked once', async (_, value) => {
    const signer = await vaultOn(fake).generate('Ed25519');
    const before = fake.count('C_SignInit');
    fake.fail('C_SignInit', value);
    await expect(signer.sign(TEXT)).rejects.toMatchObject(FAILED);
    expect(fake.count('C_SignInit')).toBe(before + 1);
  });

  it('is looked for now and then, not by everyone who asks, and found when it is back', async () => {
    const vault = vaultOn(fake);
    const signer = await vault.generate('Ed25519');
    fake.isPresent = false;
    for (let round = 0; round < 200; round++) {
      await expect(signer.sign(TEXT)).rejects.toMatchObject(FAILED);
      await expect(vault.find(signer.kid)).rejects.toMatchObject(FAILED);
      await expect(vault.destroy(signer.kid)).rejects.toMatchObject(FAILED);
    }
    expect(fake.count('C_Initialize')).toBeLessThan(10);
    fake.isPresent = true;
    await until(() => signs(signer));
    await expect(vault.find(signer.kid)).resolves.toMatchObject({ kid: signer.kid });
  });

  it('does not pass for one that has no key', async () => {
    const vault = vaultOn(fake);
    const { kid } = await vault.generate('Ed25519');
    const objects = new Map(fake.objects);
    fake.objects.clear();
    // As SoftHSM2 does once its files are gone: it finds nothing, and does not know the token.
    fake.fail('C_GetTokenInfo', 0x05, 4);
    await expect(vault.find(kid)).rejects.toMatchObject(FAILED);
    for (const [id, object] of objects) fake.objects.set(id, object);
    await until(() =>
      vault.find(kid).then(
        (found) => found?.kid === kid,
        () => false,
      ),
    );
  });

  it('does not pass for one that has destroyed a key', async () => {
    const vault = vaultOn(fake);
    const { kid } = await vault.generate('Ed25519');
    fake.objects.clear();
    fake.fail('C_GetTokenInfo', 0x05, 4);
    await expect(vault.destroy(kid)).rejects.toMatchObject(FAILED);
    await until(() =>
      vault.destroy(kid).then(
        () => true,
        () => false,
      ),
    );
  });

  it('is found by having the library start over, also when it seems to be there', async () => {
    const signer = await vaultOn(fake).generate('Ed25519');
    fake.isStuck = true;
    await until(() => signs(signer));
    expect(fake.count('C_Finalize')).toBe(1);
  });

  it('does not cost the others their library while it stays away', async () => {
    const lost = vaultOn(fake, { slot: { label: 'absent' } });
    const signer = await vaultOn(fake).generate('Ed25519');
    for (let round = 0; round < 50; round++) {
      await expect(lost.find('a')).rejects.toMatchObject(FAILED);
      await expect(signs(signer)).resolves.toBe(true);
    }
    expect(fake.count('C_Initialize')).toBeLessThan(5);
  });

  it('has the library start over ever more rarely while others work in it', async () => {
    const lost = vaultOn(fake, { slot: { label: 'absent' } });
    const signer = await vaultOn(fake).generate('Ed25519');
    await until(async () => {
      await expect(lost.find('a')).rejects.toMatchObject(FAILED);
      await expect(signs(signer)).resolves.toBe(true);
      return fake.count('C_Finalize') === 4;
    });
    const times = fake.times('C_Finalize');
    const pauses = times.slice(1).map((time, at) => time - (times[at] ?? 0));
    for (const [at, least] of [900, 1_800, 3_600].entries()) {
      expect(pauses[at]).toBeGreaterThan(least);
    }
  });

  it('is used as soon as it works again by itself, however rarely the library starts over', async () => {
    const vault = vaultOn(fake);
    let isByItself = false;
    // Again where this process was held up for the four seconds until the library starts over.
    for (let round = 0; round < 3 && !isByItself; round++) {
      const before = fake.count('C_Finalize');
      fake.fail('C_OpenSession', 0x30, 1_000);
      await until(async () => {
        await expect(vault.find('a')).rejects.toMatchObject(FAILED);
        return fake.count('C_Finalize') === before + 3;
      });
      fake.failures.length = 0;
      await until(() => finds(vault));
      isByItself = fake.count('C_Finalize') === before + 3;
    }
    expect(isByItself).toBe(true);
  });

  it('holds nobody up again and again who works while the library should start over', async () => {
    const busy = vaultOn(fake, { deadline: '30s' });
    const lost = vaultOn(fake, { slot: { label: 'absent' } });
    const signer = await busy.generate('Ed25519');
    const held = gate();
    fake.onSign = (signature) => held.passed.then(() => signature);
    const running = signer.sign(TEXT);
    await until(() => fake.count('C_SignAsync') === 2);
    fake.onSign = (signature) => signature;
    const start = performance.now();
    let slow = 0;
    // Who waits leaves the event loop free: where it stood still, the whole process did.
    let tickedAt = start;
    let stalls = 0;
    const ticking = setInterval(() => {
      if (performance.now() - tickedAt > 250) stalls++;
      tickedAt = performance.now();
    }, 20);
    while (performance.now() - start < 5_000) {
      const [before, stallsBefore] = [performance.now(), stalls];
      const others = [lost.find('a'), signer.sign(TEXT)];
      await Promise.allSettled(others);
      await new Promise((resolve) => void setTimeout(resolve, 1));
      if (performance.now() - before > 500 && stalls === stallsBefore) slow++;
    }
    clearInterval(ticking);
    held.open();
    await running;
    // At once, after one second, and after two more.
    expect(slow).toBeLessThanOrEqual(3);
    expect(fake.count('C_Finalize')).toBe(0);
  });

  it('does not have the library start over while it is there and others work in it', async () => {
    const [vault, other] = [vaultOn(fake), vaultOn(fake)];
    const [signer, healthy] = [await vault.generate('Ed25519'), await other.generate('Ed25519')];
    const start = performance.now();
    await until(async () => {
      fake.fail('C_SignInit', 0x30, 2);
      await expect(signer.sign(TEXT)).rejects.toMatchObject(FAILED);
      fake.failures.length = 0;
      await expect(signs(healthy)).resolves.toBe(true);
      return performance.now() - start > 2_500;
    });
    expect(fake.count('C_Finalize')).toBe(0);
    await until(() => signs(signer));
  });

  it('is not what two tokens of one name are: the library does not start over', async () => {
    const vault = vaultOn(fake);
    const signer = await vault.generate('Ed25519');
    fake.slots.push(fake.slot);
    fake.fail('C_SignInit', 0x30);
    await expect(signer.sign(TEXT)).rejects.toMatchObject(FAILED);
    expect(fake.count('C_Finalize')).toBe(0);
  });

  it('and is back with other handles is searched for its keys again', async () => {
    const [one, two] = [vaultOn(fake), vaultOn(fake)];
    const signers = [await one.generate('Ed25519'), await two.generate('Ed25519')];
    const old = [...fake.objects];
    fake.objects.clear();
    for (const [id, object] of old) fake.objects.set(id + 1_000n, object);
    // Neither has to log in again: the other one is.
    for (const signer of signers) await expect(signs(signer)).resolves.toBe(true);
  });

  it('and is back with swapped handles and sessions is not taken for what it was', async () => {
    const [one, two] = [vaultOn(fake), vaultOn(fake)];
    const [first, second] = [await one.generate('Ed25519'), await two.generate('Ed25519')];
    await Promise.all([first.sign(TEXT), second.sign(TEXT)]);
    fake.fail('C_SignInit', 0x30);
    fake.fail('C_GetTokenInfo', 0x30);
    fake.renumbersOnFinalize = true;
    const held = gate();
    fake.onSign = (signature) => held.passed.then(() => signature);
    const signing = second.sign(TEXT);
    await until(() => fake.count('C_Finalize') === 1);
    // Its session had the number that the other one's has now.
    const other = first.sign(TEXT);
    await until(() => fake.count('C_SignAsync') === 6);
    held.open();
    await expect(other).resolves.toBeInstanceOf(Uint8Array);
    await expect(signing).resolves.toBeInstanceOf(Uint8Array);
  });

  it('has the library start over only when nothing runs in it', async () => {
    const [busy, lost] = [vaultOn(fake), vaultOn(fake)];
    const [running, signer] = [await busy.generate('Ed25519'), await lost.generate('Ed25519')];
    const held = gate();
    fake.onSign = (signature) => held.passed.then(() => signature);
    const signing = running.sign(TEXT);
    await until(() => fake.count('C_SignAsync') === 3);
    fake.fail('C_SignInit', 0x30);
    fake.fail('C_GetTokenInfo', 0x30);
    const other = signs(signer);
    await until(() => fake.failures.length === 0);
    expect(fake.count('C_Finalize')).toBe(0);
    held.open();
    await expect(signing).resolves.toBeInstanceOf(Uint8Array);
    await expect(other).resolves.toBe(true);
    expect(fake.count('C_Finalize')).toBe(1);
    await expect(signs(running)).resolves.toBe(true);
  });
});

describe('the module', () => {
  it('is initialised for the first vault and finalised after the last', async () => {
    const [one, two] = [vaultOn(fake), vaultOn(fake)];
    await Promise.all([one.find('a'), two.find('a')]);
    await one.close();
    await one.close();
    expect(fake.count('C_Initialize')).toBe(1);
    expect(fake.count('C_Finalize')).toBe(0);
    await two.close();
    expect(fake.count('C_Finalize')).toBe(1);
    expect(fake.openSessions).toBe(0);
    await expect(vaultOn(fake).find('a')).resolves.toBeNull();
    expect(fake.count('C_Initialize')).toBe(2);
  });

  it('of somebody else is used, and never finalised', async () => {
    fake.isInitialized = true;
    const vault = vaultOn(fake);
    const signer = await vault.generate('Ed25519');
    fake.fail('C_SignInit', 0x30);
    fake.fail('C_GetTokenInfo', 0x30);
    await until(() => signs(signer));
    await vault.close();
    expect(fake.count('C_Finalize')).toBe(0);
  });

  it('that somebody else finalised is initialised again', async () => {
    const signer = await vaultOn(fake).generate('Ed25519');
    fake.isInitialized = false;
    fake.isLoggedIn = false;
    await until(() => signs(signer));
    expect(fake.count('C_Initialize')).toBe(2);
  });

  it('is not touched by a vault that was never used', async () => {
    await vaultOn(fake).close();
    expect(fake.calls).toEqual([]);
  });
});

describe('a key', () => {
  it.each([
    ['readable', CKA.SENSITIVE, 0],
    ['exportable', CKA.EXTRACTABLE, 1],
    ['temporary', CKA.TOKEN, 0],
  ])('that the token makes %s after all is destroyed and refused', async (_, type, value) => {
    fake.overrides = new Map([[type, Buffer.from([value])]]);
    await expect(vaultOn(fake).generate('Ed25519')).rejects.toMatchObject({
      code: 'ERR_KEY_INVALID',
      message: expect.stringContaining('give its private half away') as string,
    });
    expect(fake.objects.size).toBe(0);
  });

  it('whose halves do not belong together is destroyed and refused', async () => {
    fake.onSign = (signature) => Buffer.alloc(signature.length);
    await expect(vaultOn(fake).generate('Ed25519')).rejects.toMatchObject(FAILED);
    expect(fake.objects.size).toBe(0);
  });

  it('is made plainer where the token does not know all restrictions', async () => {
    fake.refuses = [CKA.ALLOWED_MECHANISMS];
    await expect(signs(await vaultOn(fake).generate('Ed25519'))).resolves.toBe(true);
    expect(fake.count('C_GenerateKeyPairAsync')).toBe(2);
  });

  it('is never made plainer than unreadable and unexportable', async () => {
    fake.refuses = [CKA.EXTRACTABLE];
    await expect(vaultOn(fake).generate('Ed25519')).rejects.toMatchObject({
      code: 'ERR_KEY_INVALID',
    });
    expect(fake.objects.size).toBe(0);
  });

  it('that the token has no mechanism for is refused', async () => {
    await expect(vaultOn(fake).generate('ES256')).rejects.toMatchObject({
      code: 'ERR_KEY_INVALID',
      message: 'The key cannot be made: the PKCS#11 token does not offer ES256.',
    });
  });
});
