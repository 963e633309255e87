import { ConfigError } from '../kernel/errors.js';
import { BackOff } from './back-off.js';
import { CKF, CKR, type Cryptoki, type Pkcs11Package, returnValueOf } from './cryptoki.js';
import { lookedForBefore, TokenLostError } from './token-failure.js';

/** So long a module that does not start is left alone. */
const START_PAUSE_MS = 1_000;
/** How long starting over waits for operations under way; it must never pull the library from under one. */
const QUIET_MS = 1_000;

const loaded = new Map<string, CryptokiLibrary>();

/**
 * A PKCS#11 module in this process. `C_Initialize` and `C_Finalize` count for the whole process, so
 * all vaults on one module share this object; it initialises the module for the first and finalises
 * it after the last. A module that others initialised is never finalised by us.
 */
export class CryptokiLibrary {
  #state: 'down' | 'ours' | 'foreign' = 'down';
  #generation = 0;
  #users = 0;
  #running = 0;
  #mayStart = true;
  /** Starting over ends everyone's sessions: a token that stays away must not do that all the time. */
  readonly #restarts = new BackOff();
  /** The vaults that have lost their token. */
  readonly #lost = new Set<object>();
  #restarting: Promise<void> | undefined;
  #quiet: (() => void) | undefined;
  #last: Promise<unknown> = Promise.resolve();

  private constructor(readonly functions: Cryptoki) {}

  /**
   * The module at `path`, loaded once per process. Every call is matched by one of `release()`.
   * @throws ConfigError when it cannot be loaded
   */
  static acquire(path: string, addon: Pkcs11Package): CryptokiLibrary {
    const library = loaded.get(path) ?? new CryptokiLibrary(load(path, addon));
    // Kept for good: a module may have threads of its own, and must not be unloaded under them.
    loaded.set(path, library);
    library.#users++;
    return library;
  }

  /** Counts initialisations: sessions and handles of another one mean nothing. */
  get generation(): number {
    return this.#generation;
  }

  /** Runs `work` with the module initialised, and not finalised before it ends. */
  async run<T>(work: () => Promise<T>): Promise<T> {
    while (this.#restarting !== undefined) await this.#restarting.catch(() => undefined);
    if (this.#state === 'down') this.#start();
    this.#running++;
    try {
      return await work();
    } finally {
      this.#running--;
      if (this.#running === 0) this.#quiet?.();
    }
  }

  /** Runs one `work` after the other, across vaults: two logins at once could spend two attempts. */
  oneAtATime<T>(work: () => Promise<T>): Promise<T> {
    const turn = this.#last.then(work);
    this.#last = turn.catch(() => undefined);
    return turn;
  }

  /**
   * Initialises the module anew, which is how it sees tokens that came back. Nothing happens if that
   * was done since `generation`.
   * @throws TokenLostError when it was tried a moment ago, cannot be done now, or did not work
   */
  async restart(generation: number): Promise<void> {
    if (this.#restarting === undefined) {
      if (this.#generation !== generation && this.#state !== 'down') return;
      this.#restarting = this.#startOver().finally(() => {
        this.#restarting = undefined;
      });
    }
    await this.#restarting;
  }

  /** Whether starting over would disturb nobody, since no vault here has its token, and is due. */
  get mayRestartFreely(): boolean {
    return !this.#restarts.isPausing && this.#lost.size >= this.#users;
  }

  /** `vault` has lost its token. */
  lost(vault: object): void {
    this.#lost.add(vault);
  }

  /** `vault` has its token, or needs it no more. */
  found(vault: object): void {
    if (this.#lost.delete(vault) && this.#lost.size === 0) this.#restarts.reset();
  }

  /** One vault less. */
  release(): void {
    this.#users--;
    // Finalising a module that still works on something is undefined (PKCS#11 §5.4).
    if (this.#users === 0 && this.#running === 0) this.#stop();
  }

  async #startOver(): Promise<void> {
    const isUp = this.#state !== 'down';
    if (isUp && this.#restarts.isPausing) throw lookedForBefore();
    // Waiting for quiet holds everyone up as well.
    if (isUp) this.#restarts.pause();
    if (this.#running > 0 && !(await this.#isQuiet())) {
      throw new TokenLostError('it is lost while other operations are under way');
    }
    this.#stop();
    this.#start();
  }

  #start(): void {
    if (!this.#mayStart) throw lookedForBefore();
    try {
      this.functions.C_Initialize({ flags: CKF.OS_LOCKING_OK });
      this.#state = 'ours';
    } catch (error) {
      if (returnValueOf(error) !== CKR.CRYPTOKI_ALREADY_INITIALIZED) {
        this.#pause();
        throw new TokenLostError('its library does not start', { cause: error });
      }
      this.#state = 'foreign';
    }
    this.#generation++;
  }

  #pause(): void {
    this.#mayStart = false;
    setTimeout(() => {
      this.#mayStart = true;
    }, START_PAUSE_MS).unref();
  }

  #stop(): void {
    if (this.#state !== 'ours') return;
    this.#state = 'down';
    try {
      this.functions.C_Finalize();
    } catch {
      // Somebody else has finalised it; then there is nothing to stop.
    }
  }

  async #isQuiet(): Promise<boolean> {
    let timer: NodeJS.Timeout | undefined;
    const quiet = await new Promise<boolean>((resolve) => {
      this.#quiet = () => resolve(true);
      timer = setTimeout(() => resolve(false), QUIET_MS);
      timer.unref();
    });
    clearTimeout(timer);
    this.#quiet = undefined;
    return quiet;
  }
}

function load(path: string, addon: Pkcs11Package): Cryptoki {
  try {
    const functions = new addon.PKCS11();
    functions.load(path);
    return functions;
  } catch {
    // The loader's message repeats the path.
    throw new ConfigError('ERR_CONFIG_INVALID', [
      {
        path: 'pkcs11Vault.module',
        problem: 'it cannot be loaded',
        fix: 'Write the path of a PKCS#11 module for this machine that this user may read',
      },
    ]);
  }
}
