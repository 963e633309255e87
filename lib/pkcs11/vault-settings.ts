import { isAbsolute } from 'node:path';

import { type Duration, durationToMs } from '../kernel/duration.js';
import { ConfigError, type ConfigProblem } from '../kernel/errors.js';
import { isPkcs11Package, type Pkcs11Package } from './cryptoki.js';

/** Which token of the module: one of the three. */
export type TokenChoice =
  | {
      /** The label the token was initialised with. More than one token with it: none is used. */
      readonly label: string;
    }
  | {
      /** The serial number, which survives a change of slots. */
      readonly serial: string;
    }
  | {
      /** The position among the slots that hold a token, from 0. Moves when tokens come and go. */
      readonly index: number;
    };

/** Where the keys are and how to get to them. */
export interface Pkcs11VaultOptions {
  /** The absolute path of the PKCS#11 module, such as `/usr/lib/softhsm/libsofthsm2.so`. */
  readonly module: string;
  readonly slot: TokenChoice;
  /**
   * The PIN of the token's user, or what fetches it whenever a login is due. A PIN that was refused
   * is not tried again before the process was restarted: tokens lock themselves after a few. Nor is
   * one whose login failed twice for a reason that may be the PIN.
   */
  readonly pin: string | (() => string | Promise<string>);
  /**
   * What the labels of the keys start with. Vaults with different prefixes do not see each other's
   * keys: 0 to 64 characters of `A-Z a-z 0-9 . _ : -`.
   * @defaultValue `'jwt:'`
   */
  readonly keyLabelPrefix?: string;
  /**
   * How long a signature, a search or a login may take with everything it waits for; `100ms` to
   * `1m`. A new key may take a minute.
   * @defaultValue `'5s'`
   */
  readonly deadline?: Duration;
  /**
   * How many signatures are made at once; each takes a thread of Node's pool (4 unless
   * `UV_THREADPOOL_SIZE` says otherwise) while the token works on it. 1 to 64.
   * @defaultValue 2
   */
  readonly sessions?: number;
  /**
   * The package `pkcs11js` itself, where it cannot be found under its name, as in a bundle.
   * @defaultValue `import('pkcs11js')`
   */
  readonly pkcs11js?: object;
}

/** The options, complete and checked. */
export interface VaultSettings {
  readonly module: string;
  readonly slot: TokenChoice;
  readonly pin: () => string | Promise<string>;
  readonly keyLabelPrefix: string;
  readonly deadlineMs: number;
  readonly sessions: number;
  readonly pkcs11js: Pkcs11Package | undefined;
}

const KNOWN = ['module', 'slot', 'pin', 'keyLabelPrefix', 'deadline', 'sessions', 'pkcs11js'];
const PREFIX = /^[A-Za-z0-9._:-]{0,64}$/;
const DEADLINE = { default: 5_000, min: 100, max: 60_000 };
const SESSIONS = { default: 2, min: 1, max: 64 };

/**
 * Checks the options.
 * @throws ConfigError with every problem and no value: one of them is the PIN.
 */
export function readSettings(options: Pkcs11VaultOptions): VaultSettings {
  const given: unknown = options;
  if (typeof given !== 'object' || given === null) {
    throw new ConfigError('ERR_CONFIG_INVALID', [
      {
        path: 'pkcs11Vault',
        problem: 'it has no options',
        fix: 'Write an object with module, slot and pin',
      },
    ]);
  }
  const { module, slot, pin, keyLabelPrefix = 'jwt:', deadline, pkcs11js } = options;
  const { sessions = SESSIONS.default } = options;
  const deadlineMs = deadline === undefined ? DEADLINE.default : durationToMs(deadline);
  const addon = pkcs11js === undefined ? undefined : asPackage(pkcs11js);
  const rules: readonly (ConfigProblem & { readonly holds: boolean })[] = [
    ...Object.keys(given).map((name) => ({
      holds: KNOWN.includes(name),
      path: name,
      problem: 'it is not an option',
      fix: `Known are ${KNOWN.join(', ')}`,
    })),
    {
      holds: typeof module === 'string' && isAbsolute(module) && !module.includes('\0'),
      path: 'module',
      problem: 'it is not an absolute path',
      fix: "Write the path of the PKCS#11 module, such as '/usr/lib/softhsm/libsofthsm2.so'",
    },
    {
      holds: isTokenChoice(slot),
      path: 'slot',
      problem: 'it does not choose a token',
      fix: "Write exactly one of { label: 'my token' }, { serial: '82de54f7f5d5ad10' } and { index: 0 }",
    },
    {
      holds: typeof pin === 'function' || isPin(pin),
      path: 'pin',
      problem: 'it is not a PIN',
      fix: 'Write the PIN of the token user as a text, or a function that fetches it',
    },
    {
      holds: typeof keyLabelPrefix === 'string' && PREFIX.test(keyLabelPrefix),
      path: 'keyLabelPrefix',
      problem: 'it is not a prefix for labels',
      fix: 'Write at most 64 characters of A-Z a-z 0-9 . _ : -',
    },
    {
      holds: deadlineMs !== undefined && deadlineMs >= DEADLINE.min && deadlineMs <= DEADLINE.max,
      path: 'deadline',
      problem: 'it is not a duration from 100ms to 1m',
      fix: "Write a whole number and a unit, such as '5s'",
    },
    {
      holds: Number.isInteger(sessions) && sessions >= SESSIONS.min && sessions <= SESSIONS.max,
      path: 'sessions',
      problem: 'it is not a count of sessions',
      fix: `Write a whole number from ${SESSIONS.min} to ${SESSIONS.max}`,
    },
    {
      holds: pkcs11js === undefined || addon !== undefined,
      path: 'pkcs11js',
      problem: 'it is not that package',
      fix: "Write what import('pkcs11js') gives, or leave it out",
    },
  ];
  const problems = rules
    .filter(({ holds }) => !holds)
    .map(({ path, problem, fix }) => ({ path: `pkcs11Vault.${path}`, problem, fix }));
  if (problems.length > 0) throw new ConfigError('ERR_CONFIG_INVALID', problems);
  return Object.freeze({
    module,
    slot: Object.freeze({ ...slot }),
    pin: typeof pin === 'function' ? pin : () => pin,
    keyLabelPrefix,
    deadlineMs: deadlineMs ?? DEADLINE.default,
    sessions,
    pkcs11js: addon,
  });
}

/** A PIN as `C_Login` takes one. */
export function isPin(value: unknown): value is string {
  return typeof value === 'string' && value !== '' && Buffer.byteLength(value) <= 255;
}

/** The package out of what importing it gave: its CommonJS exports are the default. */
export function asPackage(loaded: unknown): Pkcs11Package | undefined {
  if (isPkcs11Package(loaded)) return loaded;
  if (typeof loaded !== 'object' || loaded === null || !('default' in loaded)) return undefined;
  return isPkcs11Package(loaded.default) ? loaded.default : undefined;
}

function isTokenChoice(slot: unknown): boolean {
  if (typeof slot !== 'object' || slot === null) return false;
  const members = Object.entries(slot);
  const [name, value] = members[0] ?? [];
  if (members.length !== 1) return false;
  // PKCS#11 §3.2: a label has 32 bytes, a serial number 16.
  if (name === 'label') return isText(value, 32);
  if (name === 'serial') return isText(value, 16);
  return name === 'index' && Number.isInteger(value) && Number(value) >= 0;
}

function isText(value: unknown, maxBytes: number): boolean {
  return typeof value === 'string' && value.trim() !== '' && Buffer.byteLength(value) <= maxBytes;
}
