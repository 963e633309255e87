import { join } from 'node:path';

import type { JwtHardeningOptions } from '../../lib/config/options.js';
import type { KeyDescription } from '../../lib/keys/key-description.js';
import { freePort, type RunningProcess, startProcess } from '../support/processes.js';
import { recordSecret } from '../support/witness.js';
import { documentOf, type LocalHttps } from './local-https.js';

/** A service in a process of its own that runs the built package behind TLS. */

const PROGRAM = join(__dirname, 'fixtures', 'service.mjs');

/** Whom the tokens in these tests are for, whoever issues them. */
export const AUDIENCE = 'https://api.example';

export interface IssuedToken {
  readonly token: string;
  readonly kid: string;
  readonly alg: string;
  readonly typ: string;
}

interface TokenWish {
  readonly algorithm?: string;
  readonly audience?: string;
  readonly claims?: Readonly<Record<string, unknown>>;
}

interface SaidEvent {
  readonly type: string;
  readonly code?: string;
  readonly kid?: string | null;
  readonly fault?: string;
  readonly issuer?: string;
}

type KeyOnTheWire = Pick<KeyDescription, 'kid' | 'algorithm' | 'phase'>;

export class Service {
  private constructor(
    readonly process: RunningProcess,
    readonly issuer: string,
    private readonly https: LocalHttps,
  ) {}

  static async start(
    https: LocalHttps,
    options: Partial<Omit<JwtHardeningOptions, 'storage'>> = {},
  ): Promise<Service> {
    const port = await freePort();
    const issuer = `https://localhost:${port}`;
    const settings = {
      port,
      tls: https.certificate,
      options: {
        issuer,
        audience: AUDIENCE,
        ...options,
        tokens: { clientId: 'client-1', ...options.tokens },
      },
    };
    const process = await startProcess({
      args: [PROGRAM],
      env: { ...https.environment, SERVICE: JSON.stringify(settings) },
      readyWhen: /"type":"ready"/,
    });
    return new Service(process, issuer, https);
  }

  async issue(wish: TokenWish = {}): Promise<IssuedToken> {
    const answer = await this.https.post(`${this.issuer}/token`, { json: wish });
    const issued = documentOf(answer) as IssuedToken;
    recordSecret(issued.token);
    return issued;
  }

  async keys(): Promise<readonly KeyOnTheWire[]> {
    const answer = await this.https.get(`${this.issuer}/keys`);
    return documentOf(answer) as readonly KeyOnTheWire[];
  }

  async compromise(kid: string): Promise<void> {
    documentOf(await this.https.post(`${this.issuer}/compromise/${kid}`));
  }

  async check(token: string, path = '/read'): Promise<number> {
    return (await this.https.get(this.issuer + path, { token })).status;
  }

  /** Its security events so far. */
  events(): readonly SaidEvent[] {
    const lines = this.process.output('stdout').split('\n').slice(0, -1);
    return lines.map((line) => JSON.parse(line) as SaidEvent);
  }

  /** The answer to a token, and what the service itself says the reason is. */
  async refusal(token: string): Promise<readonly [status: number, code: string | undefined]> {
    const before = this.rejections().length;
    const status = await this.check(token);
    // The answer can be here before the line that explains it.
    if (status === 401) await this.process.waitFor(after('"type":"token.rejected"', before));
    return [status, this.rejections()[before]?.code];
  }

  private rejections(): readonly SaidEvent[] {
    return this.events().filter(({ type }) => type === 'token.rejected');
  }
}

/** Finds a text once it was said more often than that, on a line that is complete. */
function after(text: string, times: number): RegExp {
  return new RegExp(`(?:${text}[^\\n]*\\n[^]*?){${times}}${text}[^\\n]*\\n`);
}
