import { join } from 'node:path';

import type { SigningAlgorithm } from '../../lib/keys/algorithms.js';
import type { SecurityEventType } from '../../lib/events/security-events.js';
import type { JwtHardeningOptions } from '../../lib/config/options.js';
import type { RedisStorageSettings } from '../../lib/storage/redis/redis-options.js';
import { type RunningProcess, startProcess } from '../support/processes.js';

/** Instances of one issuer, each a real process that runs the built package. */

const PROGRAM = join(__dirname, 'fixtures', 'instance', 'instance.mjs');

export interface InstanceOptions {
  /** @defaultValue none: embedded storage */
  readonly redisUrl?: string;
  /** In place of an address: who knows it. */
  readonly sentinels?: SentinelAddress;
  readonly keyPrefix?: string;
  readonly redis?: Omit<RedisStorageSettings, 'keyPrefix'>;
  /** How far its host's clock is off, in milliseconds. */
  readonly skew?: number;
  /** Where it listens. @defaultValue a free one */
  readonly port?: number;
  /** Events it keeps to itself, because there would be too many. */
  readonly silent?: readonly SecurityEventType[];
  readonly options: Partial<Omit<JwtHardeningOptions, 'storage'>>;
  /** The Node that runs it. @defaultValue this one */
  readonly command?: string;
}

/** As ioredis takes it. */
export interface SentinelAddress {
  readonly name: string;
  readonly sentinels: readonly { readonly host: string; readonly port: number }[];
}

/** A security event as it came out of a process. */
export interface SaidEvent {
  readonly type: string;
  readonly at: string;
  readonly kid?: string;
  readonly code?: string;
  readonly onStale?: string;
}

export interface IssuedToken {
  readonly token: string;
  readonly kid: string;
  /** On the instance's own clock. */
  readonly signedBetween: readonly [number, number];
}

export class Instance {
  private constructor(
    readonly process: RunningProcess,
    readonly url: string,
  ) {}

  static async start({ command, ...options }: InstanceOptions): Promise<Instance> {
    const process = await startProcess({
      ...(command === undefined ? {} : { command }),
      args: [PROGRAM],
      env: { INSTANCE: JSON.stringify(options), NODE_ENV: 'test' },
      readyWhen: /"type":"ready","url":"([^"]+)"/,
    });
    return new Instance(process, process.match[1] ?? '');
  }

  /** Everything it has said so far. */
  events(): readonly SaidEvent[] {
    const lines = this.process.output('stdout').split('\n').slice(0, -1);
    return lines.map((line) => JSON.parse(line) as SaidEvent);
  }

  async issue(algorithm?: SigningAlgorithm): Promise<IssuedToken> {
    const query = algorithm === undefined ? '' : `?algorithm=${algorithm}`;
    const answer = await fetch(`${this.url}/token${query}`, { method: 'POST' });
    if (!answer.ok) {
      throw new Error(`issuing was answered with ${answer.status} ${await answer.text()}`);
    }
    return (await answer.json()) as IssuedToken;
  }

  async check(token: string): Promise<number> {
    const headers = { Authorization: `Bearer ${token}` };
    const answer = await fetch(`${this.url}/check`, { headers });
    await answer.arrayBuffer();
    return answer.status;
  }

  async post<Answer>(path: string): Promise<Answer> {
    const answer = await fetch(this.url + path, { method: 'POST' });
    return (await answer.json()) as Answer;
  }

  async get<Answer>(path: string): Promise<Answer> {
    return (await (await fetch(this.url + path)).json()) as Answer;
  }
}
