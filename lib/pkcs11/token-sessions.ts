import { KeyError } from '../kernel/errors.js';
import { BackOff } from './back-off.js';
import {
  CKF,
  CKR,
  CKS_RW_USER_FUNCTIONS,
  CKU_USER,
  type Cryptoki,
  type Handle,
  returnValueOf,
  type TokenInfo,
} from './cryptoki.js';
import type { CryptokiLibrary } from './cryptoki-library.js';
import { bare, LoginGuard } from './login-guard.js';
import { startDeadline } from './seats.js';
import {
  describe,
  isLost,
  LoginFailedError,
  lookedForBefore,
  tokenFailed,
  TokenLostError,
} from './token-failure.js';
import { isPin, type VaultSettings } from './vault-settings.js';

/** A session that is logged in, for one operation at a time. */
export interface Session {
  readonly functions: Cryptoki;
  readonly slot: Handle;
  readonly handle: Handle;
  /** Object handles found under another number are stale: there was a login or restart since. */
  readonly epoch: number;
}

interface OpenSession extends Session {
  readonly generation: number;
}

const LOOK_PAUSE_MS = 1_000;

/**
 * One vault's sessions with its token. An operation on a token that is lost is tried once more, in a
 * new session or, if the token does not answer, with the library started over.
 */
export class TokenSessions {
  readonly #idle: OpenSession[] = [];
  #epoch = 0;
  #generation = 0;
  /** The last attempt ended in a loss, although the token seemed to be there before it. */
  #isSuspect = false;
  /** A token that is away is not looked for more often than that, whoever asks. */
  readonly #looks = new BackOff(LOOK_PAUSE_MS);
  #isClosed = false;
  #recovering: Promise<void> | undefined;

  constructor(
    private readonly library: CryptokiLibrary,
    private readonly settings: VaultSettings,
  ) {}

  async use<T>(operation: (session: Session) => Promise<T>): Promise<T> {
    const { generation } = this.library;
    let loss: unknown;
    try {
      if (!this.#isSuspect) {
        const result = await this.#attempt(operation);
        this.library.found(this);
        return result;
      }
    } catch (error) {
      if (!isLost(error)) throw error;
      loss = error;
    }
    // Nobody waits for it any more; the library may be others' by now.
    if (this.#isClosed) throw tokenFailed('its vault was closed');
    this.library.lost(this);
    try {
      await this.#recover(generation);
    } catch (error) {
      this.#isSuspect = true;
      throw loss ?? error;
    }
    try {
      const result = await this.#attempt(operation);
      this.#isSuspect = false;
      this.library.found(this);
      return result;
    } catch (error) {
      this.#isSuspect = isLost(error) || error instanceof LoginFailedError;
      if (!this.#isSuspect) this.library.found(this);
      throw error;
    }
  }

  /** Whether the token is there and answers, so that what it does not have does not exist. */
  assertPresent({ functions, slot }: Session): void {
    try {
      functions.C_GetTokenInfo(slot);
    } catch (error) {
      throw new TokenLostError(describe(error), { cause: error });
    }
  }

  /** Ends the sessions nobody uses, and each other one with its operation. */
  close(): void {
    this.#isClosed = true;
    this.library.found(this);
    this.#dropIdle();
  }

  #dropIdle(): void {
    for (const session of this.#idle.splice(0)) this.#end(session);
  }

  #attempt<T>(operation: (session: Session) => Promise<T>): Promise<T> {
    return this.library.run(async () => {
      const session = await this.#take();
      let result: T;
      try {
        result = await operation(session);
      } catch (error) {
        // It may be in the middle of something (PKCS#11 §5.13: an operation stays active).
        this.#end(session);
        throw error;
      }
      if (this.#isClosed) this.#end(session);
      else this.#idle.push(session);
      return result;
    });
  }

  /** Whoever comes while it is under way waits for the same. */
  async #recover(generation: number): Promise<void> {
    this.#recovering ??= this.#lookForToken(generation).finally(() => {
      this.#recovering = undefined;
    });
    await this.#recovering;
  }

  async #lookForToken(generation: number): Promise<void> {
    if (this.#isSuspect) {
      if (this.#looks.isPausing) throw lookedForBefore();
      this.#looks.pause();
    }
    this.#dropIdle();
    this.#epoch++;
    // A token that seems to be there may be stuck in the library; that is no reason to disturb others.
    const isStuck = this.#isSuspect && this.library.mayRestartFreely;
    if (!this.#isTokenThere() || isStuck) await this.library.restart(generation);
  }

  #isTokenThere(): boolean {
    try {
      this.#findToken();
      return true;
    } catch (error) {
      // Two of one name are there, for example.
      return error instanceof KeyError && !isLost(error);
    }
  }

  async #take(): Promise<OpenSession> {
    const { generation } = this.library;
    for (;;) {
      const session = this.#idle.pop();
      if (session === undefined) return this.library.oneAtATime(() => this.#open());
      if (session.generation === generation && session.epoch === this.#epoch) return session;
      this.#end(session);
    }
  }

  async #open(): Promise<OpenSession> {
    const { functions, generation } = this.library;
    const { slot, info } = this.#findToken();
    const handle = functions.C_OpenSession(slot, CKF.SERIAL_SESSION | CKF.RW_SESSION);
    try {
      await this.#logIn(handle, slot, info);
    } catch (error) {
      this.#end({ handle, generation });
      throw error;
    }
    if (this.#generation !== generation) this.#epoch++;
    this.#generation = generation;
    return { functions, slot, handle, generation, epoch: this.#epoch };
  }

  /** A login counts for all sessions of this process with the token, other vaults' included. */
  async #logIn(session: Handle, slot: Handle, token: TokenInfo): Promise<void> {
    const { functions } = this.library;
    if (functions.C_GetSessionInfo(session).state === CKS_RW_USER_FUNCTIONS) return;
    const guard = new LoginGuard(slot, token);
    guard.assertMayLogIn();
    assertNotLocked(token);
    const pin = await this.#fetchPin();
    // Another process may have spent attempts while the PIN was fetched, or somebody changed the token.
    const now = this.#info(slot);
    if (now === undefined || !isSame(now, token)) throw new TokenLostError('it is not there');
    guard.assertMayLogIn();
    assertNotLocked(now);
    try {
      functions.C_Login(session, CKU_USER, pin);
    } catch (error) {
      if (returnValueOf(error) === CKR.USER_ALREADY_LOGGED_IN) return;
      throw guard.failed(error);
    }
    guard.succeeded();
    this.#epoch++;
  }

  async #fetchPin(): Promise<string> {
    const { expired, settle } = startDeadline(this.settings.deadlineMs);
    let pin: unknown;
    try {
      pin = await Promise.race([this.settings.pin(), expired]);
    } catch {
      // What a secret store says in an error is its own affair.
      throw tokenFailed('its PIN cannot be had');
    } finally {
      settle();
    }
    if (!isPin(pin)) throw tokenFailed('its PIN is not a text of 1 to 255 bytes');
    return pin;
  }

  #findToken(): { readonly slot: Handle; readonly info: TokenInfo } {
    const { functions } = this.library;
    const tokens = functions.C_GetSlotList(true).map((slot) => ({ slot, info: this.#info(slot) }));
    const { slot: choice } = this.settings;
    if ('index' in choice) {
      const { slot, info } = tokens[choice.index] ?? {};
      if (slot === undefined || info === undefined) throw new TokenLostError('it is not there');
      return { slot, info };
    }
    const [found, ...others] = tokens.flatMap(({ slot, info }) => {
      if (info === undefined || (info.flags & CKF.TOKEN_INITIALIZED) === 0) return [];
      const isChosen =
        'label' in choice
          ? bare(info.label) === choice.label.trimEnd()
          : bare(info.serialNumber) === choice.serial.trimEnd();
      return isChosen ? [{ slot, info }] : [];
    });
    if (found === undefined) throw new TokenLostError('it is not there');
    if (others.length > 0) throw tokenFailed('more than one token answers to its name');
    return found;
  }

  /** `undefined` for a token that left while it was asked. */
  #info(slot: Handle): TokenInfo | undefined {
    try {
      return this.library.functions.C_GetTokenInfo(slot);
    } catch {
      return undefined;
    }
  }

  #end({ handle, generation }: Pick<OpenSession, 'handle' | 'generation'>): void {
    if (generation !== this.library.generation) return;
    try {
      this.library.functions.C_CloseSession(handle);
    } catch {
      // It is gone already, with its token.
    }
  }
}

function isSame(one: TokenInfo, other: TokenInfo): boolean {
  return one.serialNumber === other.serialNumber && one.label === other.label;
}

function assertNotLocked({ flags }: TokenInfo): void {
  if ((flags & CKF.USER_PIN_LOCKED) !== 0) throw tokenFailed('its user PIN is locked');
  if ((flags & CKF.USER_PIN_FINAL_TRY) !== 0) {
    throw tokenFailed('one wrong PIN would lock it; log in with another tool first');
  }
}
