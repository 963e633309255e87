import { setTimeout as pause } from 'node:timers/promises';

import type { JwtHardeningOptions } from '../../lib/config/options.js';
import type { SecurityEvent } from '../../lib/events/security-events.js';
import { memoryStorage } from '../../lib/storage/memory/memory-storage.js';
import type { Storage } from '../../lib/storage/storage.js';
import type { TokenClaims } from '../../lib/tokens/claims.js';
import type { SignOptions } from '../../lib/tokens/token-signer.js';
import { TestClock } from '../support/test-clock.js';
import { type Issuer, openIssuer } from '../support/token-mother.js';
import { recordOutput, recordSecret } from '../support/witness.js';
import { type SharedLog, TroubledLog } from './troubled-log.js';

/** One instance of a service: its connection to the log is its own, its keys are everybody's. */
export interface Instance extends Issuer {
  readonly log: TroubledLog;
  readonly heard: SecurityEvent[];
  sign(claims?: Partial<TokenClaims>, options?: SignOptions): Promise<string>;
  /** `accepted`, or the code of the refusal. */
  verdict(token: string): Promise<string>;
  /** Time goes on for it, while it hears of its stores. */
  pass(ms: number): Promise<void>;
  /** The types of events about revocations, in order. */
  said(): readonly string[];
  close(): void;
}

/** Many instances of one service, on one log that can get into trouble. */
export class Instances {
  readonly #opened: Instance[] = [];
  readonly #storage = memoryStorage();

  constructor(readonly log: SharedLog) {}

  async open(
    options: Partial<JwtHardeningOptions> = {},
    clock: TestClock = new TestClock(),
    log: TroubledLog = new TroubledLog(this.log),
  ): Promise<Instance> {
    const storage: Storage = { ...this.#storage, reach: 'shared', revocationLog: log };
    const issuer = await openIssuer(
      { profile: 'monolith', keys: { encryptionKeys: null }, ...options, storage },
      clock,
    );
    const instance = toInstance(issuer, log);
    this.#opened.push(instance);
    return instance;
  }

  close(): void {
    for (const instance of this.#opened) instance.close();
  }
}

function toInstance(issuer: Issuer, log: TroubledLog): Instance {
  const heard: SecurityEvent[] = [];
  issuer.events.onAny((event) => heard.push(event));
  return {
    ...issuer,
    log,
    heard,
    sign: async (claims = {}, options = {}) => {
      const { token } = await issuer.tokens.sign({ sub: 'alice', ...claims }, options);
      recordSecret(token);
      return token;
    },
    verdict: (token) => verdictOf(issuer.tokens.verify(token)),
    pass: async (ms) => {
      issuer.clock.advance(ms);
      await issuer.keyRing.refresh();
      log.look();
    },
    said: () => heard.map(({ type }) => type).filter((type) => type.startsWith('revocation.')),
    close: () => {
      issuer.revocations.onModuleDestroy();
      recordOutput(JSON.stringify(heard));
    },
  };
}

export function verdictOf(verified: Promise<unknown>): Promise<string> {
  return verified.then(
    () => 'accepted',
    (error: unknown) => codeOf(error),
  );
}

/** The code of a coded error, or the name of another one. */
export function codeOf(error: unknown): string {
  const { code, name } = error as { readonly code?: string; readonly name: string };
  return code ?? name;
}

/** Polls until a condition holds; fails after a minute. */
export async function until(condition: () => boolean | Promise<boolean>): Promise<void> {
  const deadline = Date.now() + 60_000;
  while (!(await condition())) {
    if (Date.now() > deadline) throw new Error('it never came to pass');
    await pause(5);
  }
}
