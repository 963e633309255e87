import { type Answer, send } from '../support/http.js';
import { recordSecret } from '../support/witness.js';

/** A page of the application in a browser: it keeps its cookies, and can read one of them. */
export class BrowserPage {
  readonly #cookies = new Map<string, string>();

  constructor(
    private readonly url: string,
    private readonly origin = url,
  ) {}

  get csrfToken(): string {
    return this.#cookies.get('__Host-csrf_token') ?? '';
  }

  get cookieNames(): readonly string[] {
    return [...this.#cookies.keys()];
  }

  /** Another page with the same cookies at this moment, such as a tab that was asleep. */
  copy(): BrowserPage {
    const copy = new BrowserPage(this.url, this.origin);
    for (const [name, value] of this.#cookies) copy.#cookies.set(name, value);
    return copy;
  }

  logIn(username: string): Promise<Answer> {
    const body = { username, password: `${username}-demo`, transport: 'cookie' };
    return this.send('POST', '/auth/login', { body });
  }

  async send(
    method: string,
    path: string,
    { headers = {}, body }: { headers?: Readonly<Record<string, string>>; body?: unknown } = {},
  ): Promise<Answer> {
    const cookie = [...this.#cookies].map(([name, value]) => `${name}=${value}`).join('; ');
    const own = {
      ...(cookie === '' ? {} : { cookie }),
      ...(method === 'GET' ? {} : { origin: this.origin, 'x-csrf-token': this.csrfToken }),
    };
    const answer = await send(this.url, path, {
      method,
      headers: { ...own, ...headers },
      ...(body === undefined ? {} : { body }),
      handsOutTokens: 'yes',
    });
    for (const line of answer.headers['set-cookie'] ?? []) this.#keep(line);
    return answer;
  }

  #keep(line: string): void {
    const [, name = '', value = ''] = /^([^=]+)=([^;]*)/.exec(line) ?? [];
    if (/; Max-Age=0(?:;|$)/i.test(line)) this.#cookies.delete(name);
    else {
      recordSecret(value);
      this.#cookies.set(name, value);
    }
  }
}
