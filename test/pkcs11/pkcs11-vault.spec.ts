import { type JsonWebKey, verify } from 'node:crypto';
import { copyFileSync, mkdtempSync, realpathSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { importJWK, jwtVerify } from 'jose';

import { algorithmRow, type SigningAlgorithm } from '../../lib/keys/algorithms.js';
import { importVerificationKey } from '../../lib/keys/key-material.js';
import { runProcess } from '../support/processes.js';
import { bundle, findSoftHsm, installPkcs11js, type SoftHsm } from '../support/soft-hsm.js';
import { recordNotRun } from '../support/witness.js';

/** The vault on real SoftHSM2 tokens, in real processes. */

const ALGORITHMS: readonly SigningAlgorithm[] = [
  'ES256',
  'ES384',
  'ES512',
  'Ed25519',
  'EdDSA',
  'RS256',
  'RS384',
  'RS512',
  'PS256',
  'PS384',
  'PS512',
];

const root = realpathSync(mkdtempSync(join(tmpdir(), 'nest-jwt-hardening-pkcs11-')));
const program = join(root, 'token-scenarios.mjs');
afterAll(() => rmSync(root, { recursive: true, force: true }));

interface Failure {
  readonly code: string;
  readonly message: string;
}
interface Signed {
  readonly kid: string;
  readonly alg: SigningAlgorithm;
  readonly publicJwk: JsonWebKey;
  readonly signature: string;
}

const softHsm = findSoftHsm(root);
const isReady = softHsm !== undefined && installPkcs11js(root) !== undefined;

if (softHsm === undefined || !isReady) {
  const need = softHsm === undefined ? 'SoftHSM2' : 'a C++ compiler for pkcs11js';
  recordNotRun('the PKCS#11 vault on a real token', need);
  it(`NOT RUN: needs ${need}`, () => expect(isReady).toBe(false));
} else {
  bundle(join(__dirname, 'token-scenarios.ts'), program);
  describe('pkcs11Vault() on SoftHSM2', () => {
    testVault(softHsm);
  });
}

function testVault(hsm: SoftHsm): void {
  const { module, tokenFolder } = hsm;
  const pin = hsm.addToken('one');
  const otherPin = hsm.addToken('two');
  // A machine that stalls is not what is tested.
  const deadline = '1m';
  const vault = { module, slot: { label: 'one' }, pin, deadline };
  const other = { module, slot: { label: 'two' }, pin: otherPin, deadline };
  const access = { module, label: 'one', pin };
  const input = 'some text';

  /** Runs a scenario to its end in a process of its own; answers what came of it. */
  const run = async <T>(scenario: string, given: object, path = program): Promise<T> => {
    const { exitCode, stdout, stderr } = await runProcess({
      args: [path, scenario, JSON.stringify({ vault, other, access, input, ...given })],
      env: hsm.env,
    });
    const result = /^RESULT (.*)$/m.exec(stdout)?.[1];
    if (exitCode !== 0 || result === undefined) {
      throw new Error(`${scenario} ended with ${exitCode}: ${stderr}`);
    }
    return JSON.parse(result) as T;
  };
  const make = (algorithms: readonly SigningAlgorithm[], given = {}): Promise<Signed[]> =>
    run('make', { algorithms, ...given });
  const find = (kids: readonly unknown[], given = {}): Promise<(Signed | Failure | null)[]> =>
    run('find', { kids, ...given });
  const isGood = ({ publicJwk, alg, signature, kid }: Signed, text = input): Promise<boolean> =>
    importVerificationKey({ ...publicJwk, alg, kid }).then(({ verifyWith, row }) =>
      verify(row.digest, Buffer.from(text), verifyWith, Buffer.from(signature, 'base64')),
    );

  it('signs with every algorithm so that node:crypto and jose verify it', async () => {
    const encode = (value: object): string =>
      Buffer.from(JSON.stringify(value)).toString('base64url');
    for (const alg of ALGORITHMS) {
      const text = `${encode({ alg })}.${encode({ sub: 'somebody' })}`;
      const [signed] = await make([alg], { input: text });
      if (signed === undefined) throw new Error('no key was made');
      expect(signed).toMatchObject({ alg, publicJwk: { alg, kid: signed.kid, use: 'sig' } });
      expect(Object.keys(signed.publicJwk).toSorted()).toEqual(
        [...algorithmRow(alg).publicMembers, 'alg', 'kid', 'use'].toSorted(),
      );
      expect(signed.kid).toMatch(/^[\w-]{32}$/);
      await expect(isGood(signed, text)).resolves.toBe(true);
      const token = `${text}.${Buffer.from(signed.signature, 'base64').toString('base64url')}`;
      const key = await importJWK(signed.publicJwk, alg);
      const { payload } = await jwtVerify(token, key, { algorithms: [alg] });
      expect(payload).toEqual({ sub: 'somebody' });
    }
  });

  it.each(['ML-DSA-65', 'HS256'] as const)('refuses %s, which the token lacks', async (alg) => {
    expect(await make([alg])).toEqual([
      {
        code: 'ERR_KEY_INVALID',
        message: `The key cannot be made: the PKCS#11 token does not offer ${alg}.`,
      },
    ]);
  });

  it.each(['ES256', 'Ed25519', 'PS256'] as const)(
    'makes a %s key that signs in one way, cannot leave the token and cannot be changed',
    async (alg) => {
      const [signed] = await make([alg]);
      const seen = await run<Record<string, unknown>>('inspect', { kids: [signed?.kid] });
      expect(seen).toMatchObject({
        token: '01',
        private: '01',
        sensitive: '01',
        extractable: '00',
        neverExtractable: '01',
        sign: '01',
        decrypt: '00',
        unwrap: '00',
        derive: '00',
        wrapped: 'CKR_KEY_UNEXTRACTABLE',
        otherMechanism: 'CKR_MECHANISM_INVALID',
      });
      expect(seen['relabelled']).toMatch(/^CKR_/);
      expect(seen['value']).toContain('CKR_ATTRIBUTE_SENSITIVE');
      for (const value of seen['value'] as string[]) expect(value).toMatch(/^CKR_ATTRIBUTE_/);
    },
  );

  it('finds a key after a restart and signs with it', async () => {
    const made = await make(['ES256', 'EdDSA', 'PS384']);
    const found = await find(made.map(({ kid }) => kid));
    expect(found).toMatchObject(made.map(({ kid, alg, publicJwk }) => ({ kid, alg, publicJwk })));
    for (const signed of found) await expect(isGood(signed as Signed)).resolves.toBe(true);
  });

  it('rotates: makes the next key, destroys the old one, which signs no more', async () => {
    const { before, after, old, found, again } = await run<Record<string, Signed>>('rotate', {});
    await expect(isGood(before as Signed)).resolves.toBe(true);
    await expect(isGood(after as Signed)).resolves.toBe(true);
    expect(old).toEqual({
      code: 'ERR_KEY_SIGNER_FAILED',
      message: 'The PKCS#11 token cannot be used: it does not have this key.',
    });
    expect(found).toBeNull();
    expect(again).toBe('done');
    expect(await find([before?.kid])).toEqual([null]);
    expect(await find([after?.kid])).toMatchObject([{ kid: after?.kid }]);
  });

  it('makes a hundred signatures at once, each over its own text, off the main thread', async () => {
    interface Outcome {
      readonly turns: number;
      readonly publicJwk: JsonWebKey;
      readonly texts: readonly string[];
      readonly signatures: readonly string[];
    }
    const { turns, publicJwk, texts, signatures } = await run<Outcome>('parallel', {});
    expect(new Set(signatures).size).toBe(100);
    for (const [at, text] of texts.entries()) {
      const signed = {
        kid: 'a',
        alg: 'ES256',
        publicJwk,
        signature: signatures[at] ?? '',
      } as const;
      await expect(isGood(signed, text)).resolves.toBe(true);
    }
    // Mostly an RSA key takes hundreds of milliseconds; timers went on firing.
    expect(turns).toBeGreaterThan(3);
  });

  interface Losing {
    readonly kid: string;
    readonly before: Record<string, unknown>;
    readonly away: readonly Record<string, Failure>[];
    readonly meanwhile?: Signed;
    readonly back: Record<string, Signed>;
    readonly unhandled: number;
  }
  const expectLossAndReturn = async (losing: Losing): Promise<void> => {
    const { kid, before, away, back, unhandled } = losing;
    const good = { sign: { kid }, find: kid, generate: 'ES256', destroy: 'done' };
    expect(before).toMatchObject(good);
    expect(away).toHaveLength(2);
    for (const outcomes of away) {
      // Above all, find does not say that there is no such key.
      for (const name of ['sign', 'find', 'generate', 'destroy']) {
        expect(outcomes[name]).toMatchObject({ code: 'ERR_KEY_SIGNER_FAILED' });
      }
    }
    expect(back).toMatchObject(good);
    await expect(isGood(back['sign'] as Signed)).resolves.toBe(true);
    expect(unhandled).toBe(0);
  };

  it('survives that its tokens go away, and works again once they are back', async () => {
    await expectLossAndReturn(await run<Losing>('moved', { tokenFolder }));
  });

  it('survives that its token is deleted, while a vault with another token goes on', async () => {
    const gone = hsm.addToken('gone');
    const { result, afterwards } = await run<{ result: Losing; afterwards: Signed }>('deleted', {
      vault: { module, slot: { label: 'gone' }, pin: gone, deadline },
      tokenFolder,
    });
    await expectLossAndReturn(result);
    await expect(isGood(result.meanwhile as Signed)).resolves.toBe(true);
    await expect(isGood(afterwards)).resolves.toBe(true);
  });

  it('tries a wrong PIN once and never again, in this process', async () => {
    const [signed] = await make(['ES256']);
    const { outcomes, later, logins } = await run<Record<string, unknown>>('wrongPin', {
      vault: { ...vault, pin: 'certainly-not-the-pin' },
      other: vault,
      kids: [signed?.kid],
    });
    const refused = {
      code: 'ERR_KEY_SIGNER_FAILED',
      message:
        'The PKCS#11 token cannot be used: it refused the PIN, which is not tried again before a restart.',
    };
    expect(outcomes).toEqual(Array.from({ length: 30 }, () => refused));
    expect(later).toEqual(refused);
    expect(logins).toBe(1);
    expect(await find([signed?.kid])).toMatchObject([{ kid: signed?.kid }]);
  });

  it.each([
    ['one token, with prefixes of their own', { ...vault, keyLabelPrefix: 'app-b:' }],
    ['two tokens', other],
  ])('lets two vaults share the module, on %s', async (_, second) => {
    const outcomes = await run<Record<string, unknown>>('two', { other: second });
    expect(outcomes['strangers']).toEqual([null, null]);
    expect(outcomes['closed']).toMatchObject({ code: 'ERR_KEY_SIGNER_FAILED' });
    await expect(isGood(outcomes['alone'] as Signed)).resolves.toBe(true);
    expect(outcomes['found']).toBe(outcomes['first']);
  });

  it('takes its token by serial number and by index as well', async () => {
    const tokens = await run<{ label: string; serial: string }[]>('list', {});
    const index = tokens.findIndex(({ label }) => label === 'one');
    const [signed] = await make(['ES256']);
    for (const slot of [{ index }, { serial: tokens[index]?.serial }]) {
      const found = await find([signed?.kid], { vault: { ...vault, slot } });
      expect(found).toMatchObject([{ kid: signed?.kid }]);
    }
    for (const slot of [{ index: 99 }, { serial: '0' }, { label: 'on' }, { label: 'ONE' }]) {
      expect(await find([signed?.kid], { vault: { ...vault, slot } })).toEqual([
        {
          code: 'ERR_KEY_SIGNER_FAILED',
          message: 'The PKCS#11 token cannot be used: it is not there.',
        },
      ]);
    }
  });

  it('does not choose between two tokens of one name', async () => {
    hsm.addToken('twin');
    const twin = hsm.addToken('twin');
    expect(
      await find(['a'], { vault: { module, slot: { label: 'twin' }, pin: twin, deadline } }),
    ).toEqual([
      {
        code: 'ERR_KEY_SIGNER_FAILED',
        message: 'The PKCS#11 token cannot be used: more than one token answers to its name.',
      },
    ]);
  });

  it('finds nothing under hostile kids', async () => {
    const hostile = [
      '',
      '*',
      '%',
      '../one',
      'a b',
      'a\0',
      'é',
      'x'.repeat(129),
      null,
      7,
      {},
      ['a'],
    ];
    expect(await find(hostile)).toEqual(hostile.map(() => null));
    // Templates that match everything would.
    expect(await find(['nobody', 'jwt:', 'ES256', '0'])).toEqual([null, null, null, null]);
  });

  it.each([
    ['a key of another application', 'kid-1', 'my key', {}, null],
    ['a key of another prefix', 'kid-2', 'jwt2:ES256:kid-2', {}, null],
    ['a label with another kid', 'kid-3', 'jwt:ES256:kid-1', {}, null],
    ['a label with no algorithm', 'kid-4', 'jwt::kid-4', {}, null],
    ['a label with an inherited name', 'kid-5', 'jwt:constructor:kid-5', {}, null],
    ['a label with an algorithm no token has', 'kid-6', 'jwt:HS256:kid-6', {}, null],
    ['a key that can be taken out', 'kid-7', 'jwt:ES256:kid-7', { 0x162: true }, null],
    ['a key that can be read', 'kid-8', 'jwt:ES256:kid-8', { 0x103: false }, null],
    ['a key of another curve', 'kid-9', 'jwt:ES384:kid-9', {}, 'ERR_KEY_INVALID'],
    ['a key of another type', 'kid-10', 'jwt:RS256:kid-10', {}, 'ERR_KEY_INVALID'],
  ])('does not sign with a planted key: %s', async (_, kid, label, traits, code) => {
    await run('plant', { plants: [{ kid, label, traits }] });
    const [found] = await find([kid]);
    expect(found && 'code' in found ? found.code : found).toBe(code);
  });

  it('does not choose between two keys with one kid', async () => {
    const plant = { kid: 'double', label: 'jwt:ES256:double' };
    await run('plant', { plants: [plant, plant] });
    expect(await find(['double'])).toMatchObject([{ code: 'ERR_KEY_INVALID' }]);
  });

  it('leaves keys alone that are not its own', async () => {
    const before = await run<number>('plant', { plants: [{ kid: 'theirs', label: 'theirs' }] });
    await run('destroy', { kids: ['theirs', '', '*'] });
    expect(await run<number>('plant', { plants: [] })).toBe(before);
  });

  it('says what to do when the package or the module is not there', async () => {
    // A folder with no package in it, nor above it.
    const lonely = mkdtempSync(join(tmpdir(), 'nest-jwt-hardening-pkcs11-'));
    copyFileSync(program, join(lonely, 'program.mjs'));
    const [absent] = await run<Failure[]>('find', { kids: ['a'] }, join(lonely, 'program.mjs'));
    rmSync(lonely, { recursive: true });
    expect(absent).toMatchObject({ code: 'ERR_CONFIG_INVALID' });
    expect(absent?.message).toContain('npm install pkcs11js');
    const [unloaded] = await find(['a'], { vault: { ...vault, module: join(root, 'secret.so') } });
    expect(unloaded).toMatchObject({ code: 'ERR_CONFIG_INVALID' });
    expect((unloaded as Failure).message).not.toContain('secret');
  });
}
