import { recordSecret } from '../support/witness.js';
import { HttpLine, type LineAnswer } from './http-line.js';
import type { Instance } from './instances.js';

/** Clients of instances that revoke, each with one connection that it keeps. */

export const KINDS = ['token', 'session', 'subject', 'version'] as const;
export type RevocableKind = (typeof KINDS)[number];

export interface Login {
  readonly token: string;
  readonly sub: string;
  readonly sid?: string;
  readonly jti: string;
  /** In seconds, as `iat`. */
  readonly exp: number;
  readonly iat: number;
  readonly era: number;
}

export interface Acknowledgement {
  /** See `instant()`. */
  readonly acknowledgedAt: number;
  /** Whether the instance accepted the token right after. */
  readonly isAccepted: boolean;
}

/** How another instance learned of a revocation; see `instant()`. */
export interface LastLooks {
  /** When it last accepted the token; `null` if it never did. */
  readonly acceptedAt: number | null;
  /** When it refused it; `null` if it did not within half a minute. */
  readonly refusedAt: number | null;
}

export interface Standing {
  /** How many milliseconds it was behind the log. */
  readonly lag: number;
  /** The status of its keys. */
  readonly keys: string;
}

export interface Answer {
  readonly status: number;
  readonly retryAfter: string | undefined;
  /** How the instance stood when the request came, and when its answer went. */
  readonly before: Standing;
  readonly after: Standing;
  readonly body: unknown;
  /** When the answer was here, see `instant()`. */
  readonly at: number;
}

/** Milliseconds of CLOCK_MONOTONIC: all processes of a host read the same clock. */
export function instant(): number {
  return Number(process.hrtime.bigint()) / 1e6;
}

export class Client {
  readonly #line: HttpLine;

  constructor({ url }: Pick<Instance, 'url'>) {
    this.#line = new HttpLine(Number(new URL(url).port));
  }

  async login(
    names: readonly { readonly sub: string; readonly sid?: string }[],
  ): Promise<readonly Login[]> {
    const { status, body } = await this.#post('/login', { names });
    if (status !== 201) throw new Error(`logging in was answered with ${status}`);
    const logins = body as readonly Login[];
    for (const { token } of logins) recordSecret(token);
    return logins;
  }

  async loginOne(sub: string, sid?: string): Promise<Login> {
    const [login] = await this.login([sid === undefined ? { sub } : { sub, sid }]);
    if (login === undefined) throw new Error('nobody was logged in');
    return login;
  }

  /** Whatever is answered: whether it was acknowledged is for the caller to judge. */
  revoke(kind: RevocableKind, login: Login): Promise<Answer> {
    return this.#post('/revoke', { kind, ...login });
  }

  async mustRevoke(kind: RevocableKind, login: Login): Promise<Acknowledgement> {
    const { status, body } = await this.revoke(kind, login);
    if (status !== 201) throw new Error(`revoking was answered with ${status}`);
    return body as Acknowledgement;
  }

  async get(path: string, token: string): Promise<Answer> {
    return understand(await this.#line.ask(`GET ${path}`, [`Authorization: Bearer ${token}`]));
  }

  /** Has the instance itself look at the token, every millisecond, until it refuses it. */
  async watch({ token }: Login): Promise<LastLooks> {
    const { status, body } = await this.#post('/watch', { token });
    if (status !== 201) throw new Error(`watching was answered with ${status}`);
    return body as LastLooks;
  }

  /** The same from outside, by requests. */
  async lookUntilRefused({ token }: Login): Promise<LastLooks> {
    let acceptedAt: number | null = null;
    for (const deadline = instant() + 30_000; instant() < deadline;) {
      const { status, body, at } = await this.get('/check', token);
      if (status === 401) return { acceptedAt, refusedAt: at };
      if (status !== 200) throw new Error(`a good token was answered with ${status}`);
      acceptedAt = (body as { readonly at: number }).at;
    }
    return { acceptedAt, refusedAt: null };
  }

  /** Which of these tokens the instance accepts; all are asked for at one time. */
  async acceptedOf(logins: readonly Login[]): Promise<readonly Login[]> {
    const tokens = logins.map(({ token }) => token);
    const { status, body } = await this.#post('/accepted', { tokens });
    if (status !== 201) throw new Error(`asking for what is accepted was answered with ${status}`);
    const places = new Set(body as readonly number[]);
    return logins.filter((_, place) => places.has(place));
  }

  close(): void {
    this.#line.close();
  }

  async #post(path: string, body: object): Promise<Answer> {
    const head = ['Content-Type: application/json'];
    return understand(await this.#line.ask(`POST ${path}`, head, JSON.stringify(body)));
  }
}

function understand({ status, headers, text }: LineAnswer): Answer {
  const at = instant();
  const [lagBefore, keysBefore = '', lagAfter, keysAfter = ''] = headers('x-lag')?.split(' ') ?? [];
  return {
    status,
    retryAfter: headers('retry-after'),
    before: { lag: Number(lagBefore), keys: keysBefore },
    after: { lag: Number(lagAfter), keys: keysAfter },
    body: JSON.parse(text) as unknown,
    at,
  };
}
