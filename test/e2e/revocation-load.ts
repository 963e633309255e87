import { setTimeout as pause } from 'node:timers/promises';

import { DIGEST_LENGTH, digestOf } from '../../lib/revocation/revocation-entry.js';
import type { RedisServer } from '../support/redis-server.js';
import type { Instance } from './instances.js';
import {
  type Acknowledgement,
  Client,
  instant,
  KINDS,
  type Login,
  type RevocableKind,
} from './revocation-clients.js';
import { pick } from './revocation-figures.js';

/** Clients that revoke one login after the other, and ask again for what was not acknowledged. */

const ISSUER = 'https://issuer.example';

/** Milliseconds between two revocations of a client. */
const PACE = 5;

/** Milliseconds before a client asks again. */
const ASK_AGAIN_AFTER = 20;

/** Milliseconds after which it gives up. */
const PATIENCE = 60_000;

export interface Acknowledged extends Acknowledgement {
  readonly kind: RevocableKind;
  readonly login: Login;
}

export class RevocationLoad {
  readonly acknowledged: Acknowledged[] = [];
  /** How often the answer was 503. */
  unacknowledged = 0;
  readonly wrong: string[] = [];
  readonly #clients: readonly Client[];
  readonly #issuer: Client;
  #logins = 0;

  /** @param lanes how many clients each instance has */
  constructor(instances: readonly Instance[], lanes: number) {
    this.#clients = instances.flatMap((instance) =>
      Array.from({ length: lanes }, () => new Client(instance)),
    );
    this.#issuer = pick(this.#clients, 0);
  }

  async logins(count: number): Promise<readonly Login[]> {
    const names = Array.from({ length: count }, () => {
      const number = this.#logins++;
      return { sub: `user-${number}`, sid: `session-${number}` };
    });
    return this.#issuer.login(names);
  }

  /** Resolves once every one of them is acknowledged. */
  async revoke(logins: readonly Login[]): Promise<void> {
    const queue = [...logins.entries()];
    await Promise.all(
      this.#clients.map(async (client) => {
        for (let next = queue.pop(); next !== undefined; next = queue.pop()) {
          const [number, login] = next;
          await this.#revoke(client, pick(KINDS, number), login);
          await pause(PACE);
        }
      }),
    );
  }

  close(): void {
    for (const client of this.#clients) client.close();
  }

  async #revoke(client: Client, kind: RevocableKind, login: Login): Promise<void> {
    for (const deadline = instant() + PATIENCE; ;) {
      const { status, retryAfter, body } = await client.revoke(kind, login);
      if (status === 201) {
        const acknowledgement = body as Acknowledgement;
        if (acknowledgement.isAccepted) this.wrong.push(`${kind}: accepted once acknowledged`);
        this.acknowledged.push({ ...acknowledgement, kind, login });
        return;
      }
      if (status !== 503 || retryAfter === undefined) {
        this.wrong.push(`${kind}: answered with ${status}, Retry-After ${retryAfter}`);
      }
      if (instant() > deadline) throw new Error('a revocation was not acknowledged for too long');
      this.unacknowledged++;
      await pause(ASK_AGAIN_AFTER);
    }
  }
}

/** What stands in the log of a server, by the kind and the digest of each entry. */
export async function readLog(
  server: RedisServer,
  keyPrefix: string,
): Promise<ReadonlySet<string>> {
  const entries = await server.command('XRANGE', `${keyPrefix}{log}:entries`, '-', '+');
  const texts = (entries as readonly (readonly [string, readonly [string, string]])[]).map(
    ([, [, field]]) => field.slice(field.indexOf(':', field.indexOf(':') + 1) + 1),
  );
  return new Set(texts.map((text) => text.slice(0, 1 + DIGEST_LENGTH)));
}

/** How `readLog` shows it. */
export function markOf({ kind, login }: Acknowledged): string {
  switch (kind) {
    case 'token':
      return `t${digestOf('token', ISSUER, login.jti)}`;
    case 'session':
      return `s${digestOf('session', ISSUER, login.sid ?? '')}`;
    case 'subject':
      return `u${digestOf('subject', ISSUER, login.sub)}`;
    case 'version':
      return `v${digestOf('subject', ISSUER, login.sub)}`;
  }
}
