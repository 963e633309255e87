import type { SigningAlgorithm } from '../../lib/keys/algorithms.js';
import { generateSigningKey, type HeldSigningKey } from '../../lib/keys/key-material.js';
import { KeyVault, type Signer } from '../../lib/keys/signer.js';

export type VaultTrouble =
  'none' | 'generate fails' | 'find fails' | 'sign fails' | 'destroy fails';

/** What vaults say when they fail: addresses and account names, for no log of ours. */
export const VAULT_ERROR = new Error('CKR_PIN_LOCKED pin=s3cr3t slot=4 host=hsm.internal');

/** A vault in memory, which outlives the services that use it, and can be in trouble. */
export class TestVault extends KeyVault {
  readonly name = 'testVault()';
  trouble: VaultTrouble = 'none';
  closings = 0;
  /** Every `kid` it ever made, and every one it destroyed. */
  readonly made: string[] = [];
  readonly destroyed: string[] = [];
  readonly #keys = new Map<string, HeldSigningKey>();

  async generate(algorithm: SigningAlgorithm): Promise<Signer> {
    this.#failIf('generate fails');
    const key = await generateSigningKey(algorithm);
    this.#keys.set(key.kid, key);
    this.made.push(key.kid);
    return this.#signerOf(key);
  }

  async find(kid: string): Promise<Signer | null> {
    this.#failIf('find fails');
    const key = this.#keys.get(kid);
    return key === undefined ? null : this.#signerOf(key);
  }

  async destroy(kid: string): Promise<void> {
    this.#failIf('destroy fails');
    if (this.#keys.delete(kid)) this.destroyed.push(kid);
  }

  async close(): Promise<void> {
    this.closings++;
  }

  /** The keys that are in it now. */
  get kids(): readonly string[] {
    return [...this.#keys.keys()];
  }

  #signerOf(key: HeldSigningKey): Signer {
    const { kid, row, publicJwk } = key;
    return {
      kid,
      alg: row.name,
      publicJwk,
      sign: async (input) => {
        this.#failIf('sign fails');
        if (!this.#keys.has(kid)) throw VAULT_ERROR;
        return key.sign(input);
      },
    };
  }

  #failIf(trouble: VaultTrouble): void {
    if (this.trouble === trouble) throw VAULT_ERROR;
  }
}
