import { ConfigError } from '../kernel/errors.js';
import { type AlgorithmRow, algorithmRow, type SigningAlgorithm } from '../keys/algorithms.js';
import { importVerificationKey, isKid, type VerificationKey } from '../keys/key-material.js';
import { SignatureVerifier } from '../keys/signature.js';
import { KeyVault, type Signer } from '../keys/signer.js';
import type { Handle, Pkcs11Package } from './cryptoki.js';
import { CryptokiLibrary } from './cryptoki-library.js';
import { type KeyMechanisms, mechanismsOf } from './mechanisms.js';
import { Seats } from './seats.js';
import { toKeyError, tokenFailed } from './token-failure.js';
import {
  createKey,
  destroyKey,
  findKey,
  findPrivateKey,
  keyIsGone,
  notOffered,
  signInToken,
  type TokenKey,
} from './token-keys.js';
import { type Session, TokenSessions } from './token-sessions.js';
import {
  asPackage,
  type Pkcs11VaultOptions,
  readSettings,
  type VaultSettings,
} from './vault-settings.js';

export type { Pkcs11VaultOptions, TokenChoice } from './vault-settings.js';

/**
 * Keys in a PKCS#11 token, such as an HSM: made there, used there, never exported. Needs the package
 * `pkcs11js`.
 *
 * Signing and making keys run in Node's thread pool; finding a key and logging in are short calls on
 * the main thread, as `pkcs11js` has them. The module belongs to one thread of a process.
 *
 * @throws ConfigError with all that is wrong with the options. What can only be known later (the
 * package is not installed, the module cannot be loaded) rejects the first call with a ConfigError.
 * @throws KeyError of the vault's calls: `ERR_KEY_SIGNER_FAILED` when the token is not there, takes
 * too long or refuses, `ERR_KEY_INVALID` and `ERR_KEY_WEAK` when a key in it is not fit for use.
 */
export function pkcs11Vault(options: Pkcs11VaultOptions): KeyVault {
  return new Pkcs11Vault(readSettings(options));
}

interface Connection {
  readonly addon: Pkcs11Package;
  readonly library: CryptokiLibrary;
  readonly sessions: TokenSessions;
}

/** A smart card searches this long for the primes of an RSA key. */
const GENERATION_MS = 60_000;

const PROBE = Buffer.from('nest-jwt-hardening');

class Pkcs11Vault extends KeyVault {
  readonly name = 'pkcs11Vault()';
  readonly #settings: VaultSettings;
  readonly #seats: Seats;
  readonly #verifier = new SignatureVerifier();
  #connection: Promise<Connection> | undefined;
  #closing: Promise<void> | undefined;

  constructor(settings: VaultSettings) {
    super();
    this.#settings = settings;
    this.#seats = new Seats(settings.sessions);
  }

  async generate(algorithm: SigningAlgorithm): Promise<Signer> {
    const row = algorithmRow(algorithm);
    const key = await this.#create(row);
    try {
      const signer = await this.#toSigner(key);
      // Refused here, where nothing depends on it yet, if its halves do not belong together.
      await signer.sign(PROBE);
      return signer;
    } catch (error) {
      await this.destroy(key.kid).catch(() => undefined);
      throw error;
    }
  }

  async find(kid: string): Promise<Signer | null> {
    if (!isKid(kid)) return null;
    const key = await this.#use(async ({ addon, sessions, session }) => {
      const toMechanisms = (row: AlgorithmRow): KeyMechanisms | undefined =>
        mechanismsOf(row, addon.CK_PARAMS_RSA_PSS);
      const found = findKey(session, kid, this.#settings.keyLabelPrefix, toMechanisms);
      // Without its token, a library may find nothing instead of failing.
      if (found === null) sessions.assertPresent(session);
      return found;
    });
    return key === null ? null : this.#toSigner(key);
  }

  async destroy(kid: string): Promise<void> {
    if (!isKid(kid)) return;
    await this.#use(async ({ sessions, session }) => {
      const destroyed = destroyKey(session, kid, this.#settings.keyLabelPrefix);
      if (destroyed === 0) sessions.assertPresent(session);
    });
  }

  close(): Promise<void> {
    this.#closing ??= this.#letGo();
    return this.#closing;
  }

  async #letGo(): Promise<void> {
    await this.#seats.close(this.#settings.deadlineMs, closed());
    const connection = await this.#connection?.catch(() => undefined);
    connection?.sessions.close();
    connection?.library.release();
  }

  async #create(row: AlgorithmRow): Promise<TokenKey> {
    const { keyLabelPrefix, deadlineMs } = this.#settings;
    let isAwaited = true;
    try {
      return await this.#use(
        async ({ addon, session }) => {
          const mechanisms = mechanismsOf(row, addon.CK_PARAMS_RSA_PSS);
          if (mechanisms === undefined) throw notOffered(row);
          const key = await createKey(session, row, mechanisms, keyLabelPrefix);
          if (!isAwaited) destroyKey(session, key.kid, keyLabelPrefix);
          return key;
        },
        Math.max(deadlineMs, GENERATION_MS),
      );
    } finally {
      isAwaited = false;
    }
  }

  async #toSigner({ kid, row, publicJwk }: TokenKey): Promise<Signer> {
    const key = await importVerificationKey({ ...publicJwk, kid, alg: row.name });
    // A search costs a round trip or three; its result is good until the next login.
    let known: { readonly epoch: number; readonly object: Handle } | undefined;
    const sign = async (given: Uint8Array): Promise<Uint8Array> => {
      const input = Buffer.from(given);
      const signature = await this.#use(async ({ addon, sessions, session }) => {
        const { epoch } = session;
        if (known?.epoch !== epoch) {
          const object = findPrivateKey(session, kid);
          if (object === undefined) {
            sessions.assertPresent(session);
            throw keyIsGone();
          }
          known = { epoch, object };
        }
        const mechanisms = mechanismsOf(row, addon.CK_PARAMS_RSA_PSS);
        if (mechanisms === undefined) throw notOffered(row);
        const length = key.signatureLength;
        return signInToken(session, known.object, mechanisms, { input, length });
      });
      if (await this.#isGood(key, input, signature)) return signature;
      // Perhaps the handle now is another key's.
      known = undefined;
      throw tokenFailed('its signature does not verify');
    };
    return Object.freeze({ kid, alg: row.name, publicJwk: key.publicJwk, sign });
  }

  /** A token that errs must not put its mistakes into circulation. */
  async #isGood(key: VerificationKey, input: Buffer, signature: Buffer): Promise<boolean> {
    return this.#verifier.verify({ key, input, signature });
  }

  async #use<T>(
    operation: (at: Connection & { readonly session: Session }) => Promise<T>,
    deadlineMs = this.#settings.deadlineMs,
  ): Promise<T> {
    if (this.#closing !== undefined) throw closed();
    try {
      return await this.#seats.use(deadlineMs, async () => {
        const connection = await this.#connect();
        return connection.sessions.use((session) => operation({ ...connection, session }));
      });
    } catch (error) {
      throw toKeyError(error);
    }
  }

  #connect(): Promise<Connection> {
    this.#connection ??= connect(this.#settings).catch((error: unknown) => {
      this.#connection = undefined;
      throw error;
    });
    return this.#connection;
  }
}

async function connect(settings: VaultSettings): Promise<Connection> {
  const addon = settings.pkcs11js ?? (await importAddon());
  const library = CryptokiLibrary.acquire(settings.module, addon);
  return { addon, library, sessions: new TokenSessions(library, settings) };
}

async function importAddon(): Promise<Pkcs11Package> {
  let addon: Pkcs11Package | undefined;
  try {
    addon = asPackage(await import('pkcs11js'));
  } catch {
    // Not installed, or its addon was not built; the fix is the same.
  }
  if (addon !== undefined) return addon;
  throw new ConfigError('ERR_CONFIG_INVALID', [
    {
      path: 'pkcs11Vault',
      problem: 'the package pkcs11js cannot be loaded',
      fix: 'Run `npm install pkcs11js@^2.1` where its native addon can be built',
    },
  ]);
}

function closed(): Error {
  return tokenFailed('its vault was closed');
}
