import { SessionStore } from '../../lib/sessions/session-store.js';

type Verb = 'create' | 'rotate' | 'find' | 'end' | 'endAll' | 'list' | 'count';
type Act = () => unknown;

/** A session store in which something else happens just before, or just after, what is asked of it. */
export class TroubledSessions extends SessionStore {
  readonly #before = new Map<Verb, Act>();
  readonly #after = new Map<Verb, Act>();

  constructor(private readonly real: SessionStore) {
    super();
  }

  /** Happens once. */
  once(when: 'before' | 'after', verb: Verb, act: Act): void {
    const acts = when === 'before' ? this.#before : this.#after;
    acts.set(verb, () => {
      acts.delete(verb);
      return act();
    });
  }

  /** Happens each time; without an act, nothing does. */
  always(when: 'before' | 'after', verb: Verb, act: Act = () => {}): void {
    (when === 'before' ? this.#before : this.#after).set(verb, act);
  }

  override create(
    request: Parameters<SessionStore['create']>[0],
  ): ReturnType<SessionStore['create']> {
    return this.#with('create', () => this.real.create(request));
  }

  override rotate(
    request: Parameters<SessionStore['rotate']>[0],
  ): ReturnType<SessionStore['rotate']> {
    return this.#with('rotate', () => this.real.rotate(request));
  }

  override find(request: Parameters<SessionStore['find']>[0]): ReturnType<SessionStore['find']> {
    return this.#with('find', () => this.real.find(request));
  }

  override end(session: Parameters<SessionStore['end']>[0]): Promise<boolean> {
    return this.#with('end', () => this.real.end(session));
  }

  override endAll(request: Parameters<SessionStore['endAll']>[0]): Promise<readonly string[]> {
    return this.#with('endAll', () => this.real.endAll(request));
  }

  override list(owner: string): ReturnType<SessionStore['list']> {
    return this.#with('list', () => this.real.list(owner));
  }

  override count(): ReturnType<SessionStore['count']> {
    return this.#with('count', () => this.real.count());
  }

  async #with<T>(verb: Verb, ask: () => Promise<T>): Promise<T> {
    await this.#before.get(verb)?.();
    const answer = await ask();
    await this.#after.get(verb)?.();
    return answer;
  }
}
