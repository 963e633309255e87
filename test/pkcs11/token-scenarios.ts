import { execFileSync } from 'node:child_process';
import { cpSync, renameSync, rmSync } from 'node:fs';
import { setTimeout as delay } from 'node:timers/promises';

import type { SigningAlgorithm } from '../../lib/keys/algorithms.js';
import type { Signer } from '../../lib/keys/signer.js';
import { pkcs11Vault, type Pkcs11VaultOptions } from '../../lib/pkcs11/pkcs11-vault.js';
import { inspectKey, listTokens, plantKeys, rawAddon, type TokenAccess } from './raw-token.js';

/**
 * What the specs have a vault do, in a process of its own: SoftHSM2 reads its environment once.
 * `node token-scenarios.mjs <scenario> <arguments as JSON>` prints `RESULT` and what came of it.
 */

interface Arguments {
  readonly vault: Pkcs11VaultOptions;
  readonly other: Pkcs11VaultOptions;
  readonly algorithms: readonly SigningAlgorithm[];
  readonly kids: readonly string[];
  readonly input: string;
  readonly tokenFolder: string;
  readonly access: TokenAccess;
  readonly plants: Parameters<typeof plantKeys>[1];
}

type Outcome = string | null | Readonly<Record<string, unknown>>;

let unhandled = 0;
process.on('unhandledRejection', () => unhandled++);

const SCENARIOS: Readonly<Record<string, (given: Arguments) => Promise<unknown>>> = {
  /** A key of each algorithm, and its signature. */
  async make({ vault: options, algorithms, input }) {
    const vault = pkcs11Vault(options);
    const made = [];
    for (const algorithm of algorithms) {
      made.push(await outcome(async () => describeSigner(await vault.generate(algorithm), input)));
    }
    await vault.close();
    return made;
  },

  /** What becomes of each kid: nothing, a signature, or an error. */
  async find({ vault: options, kids, input }) {
    const vault = pkcs11Vault(options);
    const found = await Promise.all(
      kids.map((kid) =>
        outcome(async () => {
          const signer = await vault.find(kid);
          return signer && describeSigner(signer, input);
        }),
      ),
    );
    await vault.close();
    return found;
  },

  async destroy({ vault: options, kids }) {
    const vault = pkcs11Vault(options);
    for (const kid of kids) await vault.destroy(kid);
    await vault.close();
    return 'done';
  },

  /** The next key is made, then the old one destroyed. */
  async rotate({ vault: options, input }) {
    const vault = pkcs11Vault(options);
    const old = await vault.generate('ES256');
    const next = await vault.generate('ES256');
    const before = await outcome(() => describeSigner(old, input));
    await vault.destroy(old.kid);
    const result = {
      before,
      after: await outcome(() => describeSigner(next, input)),
      old: await outcome(() => describeSigner(old, input)),
      found: await outcome(async () => (await vault.find(old.kid))?.kid ?? null),
      again: await outcome(() => vault.destroy(old.kid).then(() => 'done')),
    };
    await vault.close();
    return result;
  },

  /** A hundred signatures at once, and whether the process could do something else meanwhile. */
  async parallel({ vault: options }) {
    const vault = pkcs11Vault(options);
    let turns = 0;
    // A key is sometimes found in no time, before any timer can fire.
    for (let round = 0; round < 10 && turns <= 3; round++) {
      turns = 0;
      const ticking = setInterval(() => turns++, 5);
      await vault.generate('RS256');
      clearInterval(ticking);
    }
    const signer = await vault.generate('ES256');
    const texts = Array.from({ length: 100 }, (_, at) => `message ${at}`);
    const signatures = await Promise.all(texts.map((text) => sign(signer, text)));
    await vault.close();
    return { turns, publicJwk: signer.publicJwk, texts, signatures };
  },

  /** The token folder is moved away under a running vault, and back. */
  async moved({ vault, tokenFolder, input }) {
    return losing(vault, input, {
      remove: () => renameSync(tokenFolder, `${tokenFolder}-away`),
      restore: () => {
        rmSync(tokenFolder, { recursive: true, force: true });
        renameSync(`${tokenFolder}-away`, tokenFolder);
      },
    });
  },

  /** The token is deleted under a running vault, while one with another token goes on. */
  async deleted({ vault, other, tokenFolder, input }) {
    const witness = pkcs11Vault(other);
    const steady = await witness.generate('ES256');
    const { label } = vault.slot as { readonly label: string };
    const result = await losing(vault, input, {
      remove: () => {
        cpSync(tokenFolder, `${tokenFolder}-copy`, { recursive: true });
        execFileSync('softhsm2-util', ['--delete-token', '--token', label], { stdio: 'pipe' });
      },
      meanwhile: () => outcome(() => describeSigner(steady, input)),
      restore: () => cpSync(`${tokenFolder}-copy`, tokenFolder, { recursive: true }),
    });
    const afterwards = await outcome(() => describeSigner(steady, input));
    await witness.close();
    return { result, afterwards };
  },

  /** Attributes of a key of the vault, past the vault. */
  inspect: ({ access, kids: [kid = ''] }) => inspectKey(access, kid),

  plant: ({ access, plants }) => plantKeys(access, plants),

  list: ({ access }) => listTokens(access),

  /** Many operations with a PIN that is wrong, then with the right one. */
  async wrongPin({ vault: options, other, kids }) {
    const addon = await countingAddon();
    const vault = pkcs11Vault({ ...options, pkcs11js: addon });
    const outcomes = [];
    for (let round = 0; round < 3; round++) {
      outcomes.push(
        ...(await Promise.all(
          Array.from({ length: 10 }, () =>
            outcome(async () => (await vault.find('a'))?.kid ?? null),
          ),
        )),
      );
    }
    const right = pkcs11Vault({ ...other, pkcs11js: addon });
    const [kid = ''] = kids;
    const later = await outcome(async () => (await right.find(kid))?.kid ?? null);
    await Promise.all([vault.close(), right.close()]);
    return { outcomes, later, logins: addon.logins() };
  },

  /** Two vaults share the module: on one token with two prefixes, then one after the other. */
  async two({ vault: options, other, input }) {
    const [one, two] = [pkcs11Vault(options), pkcs11Vault(other)];
    const [first, second] = await Promise.all([one.generate('ES256'), two.generate('ES256')]);
    const strangers = [await one.find(second.kid), await two.find(first.kid)];
    await one.destroy(second.kid);
    await one.close();
    const closed = await outcome(() => describeSigner(first, input));
    const alone = await outcome(() => describeSigner(second, input));
    await two.close();
    const next = pkcs11Vault(options);
    const found = await outcome(async () => (await next.find(first.kid))?.kid ?? null);
    await next.close();
    return { first: first.kid, strangers, closed, alone, found };
  },
};

interface Loss {
  remove(): void;
  meanwhile?(): Promise<Outcome>;
  restore(): void;
}

async function losing(options: Pkcs11VaultOptions, input: string, loss: Loss): Promise<Outcome> {
  const vault = pkcs11Vault(options);
  const signer = await vault.generate('ES256');
  const everything = async (): Promise<Record<string, Outcome>> => ({
    sign: await outcome(() => describeSigner(signer, input)),
    find: await outcome(async () => (await vault.find(signer.kid))?.kid ?? null),
    generate: await outcome(async () => (await vault.generate('ES256')).alg),
    destroy: await outcome(() => vault.destroy('nobody').then(() => 'done')),
  });
  const before = await everything();
  loss.remove();
  // Not only the first call, which finds the old session, but whoever comes while it is away.
  const away = [await everything(), await everything()];
  const meanwhile = await loss.meanwhile?.();
  loss.restore();
  const until = Date.now() + 60_000;
  let back = await everything();
  while (Date.now() < until && Object.values(back).some(isFailure)) {
    await delay(100);
    back = await everything();
  }
  await vault.close();
  return { kid: signer.kid, before, away, meanwhile, back, unhandled };
}

function isFailure(value: Outcome): boolean {
  return typeof value === 'object' && value !== null && 'code' in value;
}

async function sign(signer: Signer, input: string): Promise<string> {
  return Buffer.from(await signer.sign(Buffer.from(input))).toString('base64');
}

async function describeSigner(signer: Signer, input: string): Promise<Outcome> {
  const { kid, alg, publicJwk } = signer;
  return { kid, alg, publicJwk, signature: await sign(signer, input) };
}

async function outcome(work: () => Promise<Outcome>): Promise<Outcome> {
  try {
    return await work();
  } catch (error) {
    const { code, message } = error as { code?: string; message: string };
    return { code, message };
  }
}

/** The real addon, with its logins counted. */
async function countingAddon(): Promise<object & { logins(): number }> {
  const addon = await rawAddon();
  let count = 0;
  class CountingPkcs11 extends addon.PKCS11 {
    constructor() {
      super();
      const login = this.C_Login.bind(this);
      this.C_Login = (...given) => {
        count++;
        login(...given);
      };
    }
  }
  return Object.assign({ ...addon, PKCS11: CountingPkcs11 }, { logins: () => count });
}

async function main([name = '', json = '{}']: readonly string[]): Promise<void> {
  const scenario = SCENARIOS[name];
  if (scenario === undefined) throw new Error(`there is no scenario ${name}`);
  const result = await scenario(JSON.parse(json) as Arguments);
  process.stdout.write(`RESULT ${JSON.stringify(result)}\n`);
}

void main(process.argv.slice(2));
