import { withDeadline } from '../../lib/kernel/deadline.js';
import { KeyRingService } from '../../lib/keys/key-ring.service.js';
import { SecurityEvents } from '../../lib/events/security-events.js';
import { TestClock } from '../support/test-clock.js';
import { CONFIG, type OpenedRing, openRing } from './opened-ring.js';
import { DAY, HOUR, MINUTE } from './ring-mother.js';
import { TestVault } from './test-vault.js';
import { TroubledStore } from './troubled-store.js';

/**
 * An instance that the store does not reach for a while, and what it knows when it is back. Nobody
 * tells it anything here: it looks when the test lets it.
 */

let clock: TestClock;
let store: TroubledStore;

beforeEach(() => {
  clock = new TestClock();
  store = new TroubledStore();
  store.announcements = 'lost';
});

const signingKid = async ({ service }: OpenedRing): Promise<string> =>
  (await service.signingKey()).kid;
const phaseOf = ({ service }: OpenedRing, kid: string): string | undefined =>
  service.keys().find((key) => key.kid === kid)?.phase;
const published = ({ service }: OpenedRing): readonly string[] =>
  service.jwks().keys.map(({ kid }) => kid);

describe('an instance that was cut off', () => {
  it.each([
    ['an hour', HOUR],
    ['as long as keys are retained', CONFIG.retainFor],
    ['ten times as long', 10 * CONFIG.retainFor],
    ['half a year', 180 * DAY],
  ])('for %s brings no compromised key back', async (_, away) => {
    const [stays, leaves] = [await openRing(store, clock), await openRing(store, clock)];
    const kid = await signingKid(stays);
    await stays.service.compromise(kid);
    clock.advance(away);
    await stays.service.refresh();
    await leaves.service.refresh();
    await stays.service.refresh();
    for (const ring of [stays, leaves]) {
      expect(ring.service.verificationKey(kid)).toBeUndefined();
      expect(published(ring)).not.toContain(kid);
    }
  });

  it('brings no retired key back', async () => {
    const [stays, leaves] = [await openRing(store, clock), await openRing(store, clock)];
    const kid = await signingKid(stays);
    await stays.service.rotate();
    clock.advance(CONFIG.publishAhead);
    await stays.service.refresh();
    clock.advance(CONFIG.retainFor);
    await stays.service.refresh();
    expect(phaseOf(stays, kid)).toBeUndefined();
    await leaves.service.refresh();
    await stays.service.refresh();
    expect([phaseOf(stays, kid), phaseOf(leaves, kid)]).toEqual([undefined, undefined]);
  });

  it('lets a key that really was lost verify as long as its tokens', async () => {
    const [one, other] = [await openRing(store, clock), await openRing(store, clock)];
    const kid = await signingKid(one);
    store.put(null);
    const stranger = await openRing(store, clock);
    await other.service.refresh();
    await one.service.refresh();
    expect(phaseOf(one, kid)).toBe('verifying');
    expect(await signingKid(one)).toBe(await signingKid(stranger));
    clock.advance(CONFIG.retainFor);
    await one.service.refresh();
    expect(phaseOf(one, kid)).toBeUndefined();
  });

  it('does not undo a compromise in a ring that was made without word of it', async () => {
    const [knows, leaves] = [await openRing(store, clock), await openRing(store, clock)];
    const kid = await signingKid(knows);
    await knows.service.compromise(kid);
    store.put(null);
    await openRing(store, clock);
    await knows.service.refresh();
    await leaves.service.refresh();
    await knows.service.refresh();
    for (const ring of [knows, leaves]) {
      expect(phaseOf(ring, kid)).toBe('compromised');
      expect(ring.service.verificationKey(kid)).toBeUndefined();
    }
  });

  it('does not sign with a compromised key out of an old state that is put in the store', async () => {
    const ring = await openRing(store, clock);
    const kid = await signingKid(ring);
    const old = store.stored?.ring ?? '';
    await ring.service.compromise(kid);
    clock.advance(100 * DAY);
    await ring.service.refresh();
    store.put({ version: (store.stored?.version ?? 0) + 1, ring: old });
    await ring.service.refresh();
    expect(await signingKid(ring)).not.toBe(kid);
    expect(phaseOf(await openRing(store, clock), kid)).toBe('compromised');
  });
});

describe('how long ago the store was heard of', () => {
  /** A host's clock that can be set, beside one that only runs. */
  class HostClock extends TestClock {
    running = 0;
    override advance(ms: number): void {
      this.running += ms;
      super.advance(ms);
    }
    override elapsed(): number {
      return this.running;
    }
    setBack(ms: number): void {
      super.advance(-ms);
    }
  }

  it('is known although the host’s clock is set back meanwhile', async () => {
    const host = new HostClock();
    const ring = await openRing(store, host, { maxLag: 5_000 });
    const kid = await signingKid(ring);
    store.trouble = 'load fails';
    host.setBack(HOUR);
    host.advance(30 * MINUTE);
    expect(ring.service.health()).toMatchObject({ status: 'stale', lag: 30 * MINUTE });
    expect(() => ring.service.verificationKey(kid)).toThrow(/not heard of/);
    expect(() => ring.service.jwks()).toThrow(/not heard of/);
    await expect(ring.service.signingKey()).rejects.toMatchObject({ code: 'ERR_KEY_RING_STALE' });
  });

  it('is asked once more before signing is refused for it', async () => {
    const ring = await openRing(store, clock, { maxLag: 5_000 });
    clock.advance(MINUTE);
    expect((await ring.service.signingKey()).kid).toBe(published(ring)[0]);
  });
});

describe('a ring is judged by', () => {
  it.each([
    ['the store’s clock, a minute ahead', MINUTE],
    ['its own, when the store’s is two days ahead', 0, 2 * DAY],
  ])('%s', async (_, expected, ahead = expected) => {
    store.time = () => clock.now() + ahead;
    const ring = await openRing(store, clock);
    expect(ring.service.keys()[0]?.publishedAt.getTime()).toBe(clock.now() + expected);
  });
});

describe('what is only for information', () => {
  it('does not stand in the way of a compromise', async () => {
    const events = new SecurityEvents();
    const counting = jest.fn(() => Promise.reject(new Error('the store scans for minutes')));
    const service = await KeyRingService.open(CONFIG, {
      store,
      clock,
      events,
      countSessions: counting,
    });
    const { kid } = await service.signingKey();
    expect(await service.compromise(kid)).toMatchObject({ kid, phase: 'signing', sessions: null });
    expect(service.verificationKey(kid)).toBeUndefined();
    expect(counting).toHaveBeenCalledTimes(1);
  });
});

describe('a vault that is away', () => {
  it('stops signing, and neither verifying nor what others change', async () => {
    const vault = new TestVault();
    const away = new TestVault();
    const here = await openRing(store, clock, { vault });
    const first = await signingKid(here);
    // The same keys seen by an instance whose own way to the vault is cut.
    away.find = (kid) => vault.find(kid);
    const cut = await openRing(store, clock, { vault: away });
    away.find = () => Promise.reject(new Error('no token'));
    await here.service.compromise(first);
    await cut.service.refresh();
    expect(cut.service.verificationKey(first)).toBeUndefined();
    expect(cut.service.verificationKey(await signingKid(here))).toBeDefined();
    await expect(cut.service.signingKey()).rejects.toMatchObject({ code: 'ERR_KEY_SIGNER_FAILED' });
    expect(cut.service.health()).toMatchObject({
      status: 'failing',
      code: 'ERR_KEY_SIGNER_FAILED',
    });
    away.find = (kid) => vault.find(kid);
    await cut.service.refresh();
    expect(await signingKid(cut)).toBe(await signingKid(here));
    expect(cut.service.health().status).toBe('ok');
  });

  it('keeps a private key until an instance that is cut off has stopped signing with it', async () => {
    const vault = new TestVault();
    const ring = await openRing(store, clock, { vault, maxLag: 5_000 });
    const kid = await signingKid(ring);
    await ring.service.rotate();
    clock.advance(CONFIG.publishAhead);
    await ring.service.refresh();
    expect(phaseOf(ring, kid)).toBe('verifying');
    expect(vault.kids).toContain(kid);
    clock.advance(15_000);
    await ring.service.refresh();
    expect(vault.destroyed).toEqual([kid]);
  });

  it('destroys a compromised key at once, and again until it works', async () => {
    const vault = new TestVault();
    const ring = await openRing(store, clock, { vault, maxLag: 5_000 });
    const kid = await signingKid(ring);
    vault.trouble = 'destroy fails';
    await ring.service.compromise(kid);
    await ring.service.refresh();
    expect(ring.heard.filter(({ type }) => type === 'key.undestroyed')).toHaveLength(1);
    vault.trouble = 'none';
    await ring.service.refresh();
    expect(vault.destroyed).toEqual([kid]);
  });
});

describe('withDeadline', () => {
  it('answers what was asked, or says that it came too late', async () => {
    const late = (): Error => new Error('too late');
    expect(await withDeadline(Promise.resolve(1), 1_000, late)).toBe(1);
    await expect(withDeadline(new Promise(() => {}), 5, late)).rejects.toThrow('too late');
    await expect(withDeadline(Promise.reject(new Error('no')), 5, late)).rejects.toThrow('no');
  });
});
