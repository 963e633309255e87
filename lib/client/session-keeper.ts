import { AuthClientError } from './auth-client-error.js';
import type { AuthRequests } from './auth-requests.js';
import type { Browser, TabChannel } from './browser.js';
import { csrfTokenIn, type Grant, type Terms } from './grant.js';
import type { ClientSettings } from './options.js';
import { TabLock } from './tab-lock.js';
import { readTabMessage, type TabMessage, tabMessage } from './tab-messages.js';

/** `pending`: the tabs beside this one have not been heard yet. */
export type AuthState = 'pending' | 'signed-in' | 'signed-out';

/**
 * `logout`: by `logout`, in any tab. `refused`: the server refused to go on, as it does after a
 * theft. `replaced`: another tab logged in anew, perhaps as someone else; the page is signed in
 * still, but what it shows may be another's.
 */
export type SessionEnd = 'logout' | 'refused' | 'replaced';

/** Milliseconds for the other tabs to say what they know. */
const LISTEN = { start: 1_000, refused: 300 };

const MAX_AHEAD = 60_000;
/** Milliseconds a timer runs at most: it is behind after the computer slept. */
const LONGEST_TIMER = 600_000;
const BACK_OFF = { first: 1_000, most: 30_000, unseen: 4 };

/** The order of grants counts in parts of a millisecond, the last part being the tab's own. */
const PARTS = 1024;

/**
 * The one session of all tabs, as this tab knows it: kept in memory, renewed by one tab at a time,
 * shared with the others. Refuses to believe in an end before the others were asked: whoever loses
 * a race must not end the winner's session.
 */
export class SessionKeeper {
  /** Settles once the state is no longer `pending`. */
  readonly ready: Promise<void>;

  readonly #settings: ClientSettings;
  readonly #browser: Browser;
  readonly #requests: AuthRequests;
  readonly #lock: TabLock;
  readonly #channel: TabChannel | undefined;
  readonly #closed = new AbortController();
  readonly #part: number;
  #isReady = false;
  #grant: Grant | undefined;
  #renewAt = Infinity;
  #newest = 0;
  #endedAt = 0;
  #endedCsrf: string | undefined;
  #told: AuthState = 'pending';
  /** Aborted, and replaced, by whatever changes what the others wait for. */
  #news = new AbortController();
  #renewal: Promise<void> | undefined;
  /** Of all tabs, since the last grant. */
  #failures = 0;
  #isLeft = false;
  #postponed: { readonly until: number; readonly error: AuthClientError } | undefined;
  #cancelTimer = (): void => {};

  constructor(settings: ClientSettings, browser: Browser, requests: AuthRequests) {
    this.#settings = settings;
    this.#browser = browser;
    this.#requests = requests;
    this.#part = Math.floor(browser.random() * PARTS);
    const name = `nest-jwt-hardening:${settings.transport}:${settings.refresh.href}`;
    this.#lock = new TabLock(browser, name);
    this.#channel = browser.openChannel(name, (message) => this.#hear(message));
    browser.onWake(() => this.#wake(), this.#closed.signal);
    browser.onLeave(() => {
      this.#isLeft = true;
    }, this.#closed.signal);
    this.#lookAtCookie();
    this.#post({ type: 'ask', at: this.#grant?.at ?? 0 });
    this.ready = this.#becomeReady();
  }

  get grant(): Grant | undefined {
    return this.#grant;
  }

  get state(): AuthState {
    if (this.#grant !== undefined) return 'signed-in';
    return this.#isReady ? 'signed-out' : 'pending';
  }

  /** Prepares for a request: renews what is over before, what will be soon in the meantime. */
  async prepare(): Promise<void> {
    await this.ready;
    this.#assertOpen();
    if (this.#grant === undefined) this.#lookAtCookie();
    const grant = this.#grant;
    if (grant === undefined) return;
    const left = grant.expiresAt - this.#browser.now();
    // More than there ever was: the clock has been set back, and nothing is known.
    const isOver =
      left <= Math.min(grant.lifetime / 20, 1_000) || (left > grant.lifetime && left < Infinity);
    if (isOver) await this.renew();
    else if (this.#browser.now() >= this.#renewAt) this.#renewAside();
  }

  /** After a 401 with this grant: whether there is another one now. */
  async replace(used: Grant): Promise<boolean> {
    if (this.#grant === used) await this.renew();
    return this.#grant !== undefined && this.#grant !== used;
  }

  /** One refresh, by this tab or another. Throws `ERR_CLIENT_UNAVAILABLE` if there can be none. */
  renew(): Promise<void> {
    this.#renewal ??= this.#renew().finally(() => {
      this.#renewal = undefined;
    });
    return this.#renewal;
  }

  async login(credentials: Readonly<Record<string, unknown>>): Promise<void> {
    this.#assertOpen();
    // So that no other tab refreshes the session before at the same time.
    const release = await this.#lock.acquire();
    try {
      this.#take(await this.#requests.login(credentials), String(this.#tick()));
    } finally {
      release();
    }
  }

  async logout(): Promise<void> {
    this.#assertOpen();
    await this.ready;
    const release = await this.#lock.acquire();
    try {
      await this.#logoutOnServer();
      if (this.#grant !== undefined) this.#endEverywhere(this.#tick(), 'logout');
    } catch (error) {
      // What is in memory can be forgotten without the server; its cookies only it can delete.
      if (this.#settings.transport === 'body') this.#endEverywhere(this.#tick(), 'logout');
      throw error;
    } finally {
      release();
    }
  }

  /** Forgets everything, in this tab only. */
  close(): void {
    this.#closed.abort();
    this.#grant = undefined;
    this.#cancelTimer();
    this.#channel?.close();
    this.#stir();
  }

  get #isClosed(): boolean {
    return this.#closed.signal.aborted;
  }

  #assertOpen(): void {
    if (this.#isClosed) throw new AuthClientError('ERR_CLIENT_CLOSED');
  }

  async #becomeReady(): Promise<void> {
    const mayHear = this.#settings.transport === 'body' && this.#channel !== undefined;
    if (mayHear) await this.#hearNews(LISTEN.start);
    this.#isReady = true;
    this.#announce();
  }

  async #renew(): Promise<void> {
    const used = this.#grant;
    if (used === undefined) return;
    this.#refuseWhilePostponed();
    const release = await this.#lock.acquire(this.#news.signal);
    try {
      // Another tab was faster, or failed for all.
      if (this.#grant !== used) return;
      this.#refuseWhilePostponed();
      await this.#refresh(used);
    } finally {
      release();
    }
  }

  async #logoutOnServer(): Promise<void> {
    const used = this.#grant;
    if (used === undefined || (await this.#requests.logout(used)) === 'ended') return;
    // The access token was over: the session need not be.
    await this.#refresh(used);
    if (this.#grant === undefined || (await this.#requests.logout(this.#grant)) === 'ended') return;
    throw new AuthClientError('ERR_CLIENT_REFUSED');
  }

  async #refresh(used: Grant): Promise<void> {
    this.#post({ type: 'refreshing', at: used.at });
    let terms: Terms | undefined;
    try {
      terms = await this.#requests.refresh(used, () => !this.#isLeft && this.#grant === used);
    } catch (error) {
      if (this.#grant !== used) return;
      this.#postpone(error as AuthClientError);
      throw error;
    }
    // Ended or replaced meanwhile, by a tab that could not wait: here as above.
    if (this.#grant !== used) return;
    if (terms !== undefined) this.#take(terms, used.session);
    else if (!(await this.#isOvertaken(used))) this.#endEverywhere(used.at, 'refused');
  }

  /** Whether another tab has a later grant than the one that was refused. */
  async #isOvertaken(used: Grant): Promise<boolean> {
    this.#post({ type: 'ask', at: used.at });
    if (this.#channel !== undefined) await this.#hearNews(LISTEN.refused);
    if (this.#grant === used) this.#lookAtCookie();
    return this.#grant !== used;
  }

  /** A tab that begins knows by the cookie that there is a session; not until when. */
  #lookAtCookie(): void {
    if (this.#settings.transport !== 'cookie') return;
    const csrf = csrfTokenIn(this.#browser.cookies());
    if (csrf === undefined || csrf === this.#grant?.proofs.csrf || csrf === this.#endedCsrf) return;
    const at = Math.max(this.#grant?.at ?? 0, this.#endedAt) + 1;
    this.#adopt({ at, session: csrf, lifetime: 0, expiresAt: Infinity, proofs: { csrf } });
  }

  #take(terms: Terms, session: string): void {
    if (this.#isClosed) return;
    const grant = { ...terms, at: this.#tick(), session: terms.proofs.csrf ?? session };
    this.#adopt(grant);
    this.#post({ type: 'grant', grant });
  }

  #adopt(grant: Grant): void {
    this.#grant = grant;
    this.#newest = Math.max(this.#newest, grant.at);
    this.#failures = 0;
    this.#postponed = undefined;
    const { lifetime, expiresAt } = grant;
    const most = this.#settings.refreshAhead ?? Math.min(lifetime / 5, MAX_AHEAD);
    // Each tab at its own moment: the first renews for all.
    const share = 0.5 + this.#browser.random() / 2;
    this.#renewAt = expiresAt - Math.min(most, lifetime / 2) * share;
    this.#settle();
  }

  #endEverywhere(at: number, reason: 'logout' | 'refused'): void {
    this.#end(at, reason);
    this.#post({ type: 'ended', at, reason });
  }

  #end(at: number, reason: 'logout' | 'refused'): void {
    this.#endedAt = Math.max(this.#endedAt, at);
    if (this.#grant === undefined || this.#grant.at > at) return;
    this.#endedCsrf = this.#grant.proofs.csrf;
    this.#grant = undefined;
    this.#renewAt = Infinity;
    this.#settle();
    this.#tellEnd(reason);
  }

  #hear(heard: unknown): void {
    const message = readTabMessage(heard, this.#settings.transport);
    if (message === undefined || this.#isClosed) return;
    const before = this.#grant;
    switch (message.type) {
      case 'ask':
        if (before !== undefined && before.at > message.at) {
          this.#post({ type: 'grant', grant: before });
        }
        break;
      case 'grant':
        if (message.grant.at <= Math.max(before?.at ?? 0, this.#endedAt)) break;
        this.#adopt(message.grant);
        if (before !== undefined && before.session !== message.grant.session) {
          this.#tellEnd('replaced');
        }
        break;
      case 'refreshing':
        // Waits for the lock behind the tab that said so. If that tab dies before it could share
        // what it got, this one repeats its refresh at once, while the server's grace lasts.
        if (before?.at === message.at && this.#browser.requestLock !== undefined) {
          this.#renewAside();
        }
        break;
      case 'postponed': {
        const { until, retryAfter } = message;
        this.#failures++;
        // One tab's own trouble, perhaps: who waits for a turn keeps it, and sees for itself.
        if (until <= this.#browser.now()) break;
        const error = new AuthClientError('ERR_CLIENT_UNAVAILABLE', { retryAfter });
        this.#postponed = { until, error };
        this.#settle();
        break;
      }
      case 'ended':
        this.#newest = Math.max(this.#newest, message.at);
        this.#end(message.at, message.reason);
        break;
    }
  }

  #wake(): void {
    // It becomes invisible after it is left, and visible before it is back.
    this.#isLeft &&= !this.#browser.isVisible();
    // Back from the browser's history or from sleep, it may have missed what the others said.
    this.#post({ type: 'ask', at: this.#grant?.at ?? 0 });
    if (this.#grant === undefined) this.#lookAtCookie();
    // The network may be back; what the server asked for stands.
    if (this.#postponed?.error.retryAfter === undefined) this.#postponed = undefined;
    this.#schedule();
  }

  #postpone(error: AuthClientError): void {
    const { cause, retryAfter } = error;
    const isUnanswered = cause !== undefined;
    // Cut off with the page: that says nothing of the server, and the next tab follows at once.
    if (isUnanswered && this.#isLeft) return;
    const wait = Math.min(BACK_OFF.first * 2 ** this.#failures++, BACK_OFF.most);
    const until = this.#browser.now() + Math.max(wait, (retryAfter ?? 0) * 1000);
    this.#postponed = { until, error };
    // What the server said holds for all; that it was silent, once it happened a second time.
    const forOthers = isUnanswered && this.#failures === 1 ? 0 : until;
    this.#post({ type: 'postponed', until: forOthers, retryAfter });
    this.#settle();
  }

  /** Milliseconds for which the server is to be left alone. */
  get #pause(): number {
    const wait = (this.#postponed?.until ?? 0) - this.#browser.now();
    // Longer than anyone is ever told: the clock has been set back.
    return wait > 0 && wait <= LONGEST_TIMER ? wait : 0;
  }

  #refuseWhilePostponed(): void {
    if (this.#postponed !== undefined && this.#pause > 0) throw this.#postponed.error;
  }

  /** Sets the timer for this grant, if there is anyone to see the page. */
  #schedule(): void {
    this.#cancelTimer();
    const at = Math.max(this.#renewAt, this.#browser.now() + this.#pause);
    // An answer that was lost has used up the refresh token: soon, seen or not, it is asked again.
    const isUrgent = this.#failures > 0 && this.#failures <= BACK_OFF.unseen;
    if (at === Infinity || !(this.#browser.isVisible() || isUrgent)) return;
    const wait = Math.min(Math.max(at - this.#browser.now(), 0), LONGEST_TIMER);
    this.#cancelTimer = this.#browser.later(wait, () => {
      if (this.#browser.now() >= at) this.#renewAside();
      else this.#schedule();
    });
  }

  /** Whoever needs it to succeed asks for it himself, and then gets the error. */
  #renewAside(): void {
    this.renew().catch(() => {});
  }

  #settle(): void {
    this.#stir();
    this.#schedule();
    this.#announce();
  }

  #stir(): void {
    const waiting = this.#news;
    this.#news = new AbortController();
    waiting.abort();
  }

  #hearNews(patience: number): Promise<void> {
    const { signal } = this.#news;
    return new Promise((resolve) => {
      const cancel = this.#browser.later(patience, resolve);
      signal.addEventListener('abort', () => resolve(cancel()), { once: true });
    });
  }

  #announce(): void {
    const { state } = this;
    if (state === 'pending' || state === this.#told || this.#isClosed) return;
    this.#told = state;
    // In a turn of its own: what a listener throws must not break the client.
    queueMicrotask(() => this.#settings.onStateChange(state));
  }

  #tellEnd(reason: SessionEnd): void {
    queueMicrotask(() => this.#settings.onSessionEnd(reason));
  }

  #post(message: TabMessage): void {
    if (!this.#isClosed) this.#channel?.post(tabMessage(message));
  }

  /** The next place in the order: later than all heard of, and no other tab's. */
  #tick(): number {
    const now = Math.max(this.#browser.now(), Math.floor(this.#newest / PARTS) + 1);
    this.#newest = now * PARTS + this.#part;
    return this.#newest;
  }
}
