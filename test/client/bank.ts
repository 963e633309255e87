import { recordSecret } from '../support/witness.js';
import type { World } from './browser-world.js';

/** A server in a few lines: tokens are numbers with a name, the last one given is the only good one. */
export class Bank {
  readonly lifetime = 600;
  refreshes = 0;
  isOver = false;
  #turn = 0;
  /** What a refresh gets instead of an answer. */
  refusal: (() => Response | Promise<Response>) | undefined;

  constructor(private readonly transport: 'cookie' | 'body') {}

  readonly answer = async (request: Request): Promise<Response> => {
    const { pathname } = new URL(request.url);
    switch (pathname) {
      case '/auth/login':
        this.isOver = false;
        return this.#pair();
      case '/auth/refresh':
        this.refreshes += 1;
        if (this.refusal !== undefined) return this.refusal();
        return this.isOver ? unauthorized() : this.#pair();
      case '/auth/logout':
        if (!this.knows(request)) return unauthorized();
        this.isOver = true;
        return new Response(null, { status: 204 });
      default:
        return this.knows(request)
          ? Response.json({ heard: await request.text() })
          : unauthorized();
    }
  };

  knows({ headers }: Request): boolean {
    if (this.isOver) return false;
    return this.transport === 'cookie' || headers.get('Authorization') === `Bearer ${this.access}`;
  }

  /** The access token that is good now. */
  get access(): string {
    return `access-token-of-the-test-${this.#turn}`;
  }

  /** From now on the tokens given so far are refused. */
  forget(): void {
    this.#turn += 1;
  }

  #pair(): Response {
    this.#turn += 1;
    recordSecret(this.access);
    const terms = { token_type: 'Bearer', expires_in: this.lifetime };
    return Response.json(
      this.transport === 'cookie'
        ? { ...terms, csrf_token: 'csrf-token-of-the-session' }
        : {
            ...terms,
            access_token: this.access,
            refresh_token: `refresh-token-of-the-test-${this.#turn}`,
          },
    );
  }
}

export function unauthorized(challenge = 'Bearer error="invalid_token"'): Response {
  return new Response('{}', { status: 401, headers: { 'WWW-Authenticate': challenge } });
}

/** The paths asked for so far. */
export function pathsOf({ sent }: World): readonly string[] {
  return sent.map(({ method, url }) => `${method} ${new URL(url).pathname}`);
}
