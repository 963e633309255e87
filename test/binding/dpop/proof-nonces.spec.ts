import { randomBytes } from 'node:crypto';

import { ProofNonces } from '../../../lib/binding/dpop/proof-nonces.js';
import { SenderSecrets } from '../../../lib/binding/sender-secrets.js';
import type { ProofError } from '../../../lib/kernel/errors.js';
import { TestClock } from '../../support/test-clock.js';
import {
  type Holder,
  newHolder,
  openService,
  proofOf,
  requestWith,
  type Service,
  TOKEN,
  verdictOf,
} from './proof-mother.js';

const LIMITS = { validFor: 300_000, leeway: 10_000 };

const secretOf = (): Buffer => randomBytes(32);

function open(clock: TestClock, ...secrets: readonly Buffer[]): ProofNonces {
  return new ProofNonces(LIMITS, new SenderSecrets(secrets), clock);
}

describe('ProofNonces', () => {
  let clock: TestClock;
  let secret: Buffer;
  let nonces: ProofNonces;

  beforeEach(() => {
    clock = new TestClock();
    secret = secretOf();
    nonces = open(clock, secret);
  });

  it('knows its own, of which each is good for its time and no longer', () => {
    const nonce = nonces.fresh();
    expect(nonces.judge(nonce)).toBe('good');
    clock.advance(LIMITS.validFor / 2 - 1);
    expect(nonces.judge(nonce)).toBe('good');
    clock.advance(1);
    expect(nonces.judge(nonce)).toBe('soonOver');
    clock.advance(LIMITS.validFor / 2 + LIMITS.leeway - 1);
    expect(nonces.judge(nonce)).toBe('soonOver');
    clock.advance(1);
    expect(nonces.judge(nonce)).toBe('unknown');
    expect(open(clock, secret).judge(nonce)).toBe('unknown');
  });

  it('makes others as time goes on, each good for at least seven eighths of its time', () => {
    const made = new Set<string>();
    for (let second = 0; second < 300; second++) {
      clock.advance(1_000);
      const nonce = nonces.fresh();
      expect(nonces.judge(nonce)).toBe('good');
      const later = new TestClock(clock.now() + (LIMITS.validFor * 7) / 8 - 1);
      expect(open(later, secret).judge(nonce)).not.toBe('unknown');
      made.add(nonce);
    }
    expect(made.size).toBeGreaterThanOrEqual(8);
    expect(made.size).toBeLessThanOrEqual(9);
  });

  it('keeps to the characters of RFC 9449 §8.1', () => {
    expect(nonces.fresh()).toMatch(/^[A-Za-z0-9_-]{38}$/);
  });

  it('knows those of every instance, also where clocks differ by the leeway', () => {
    const ahead = open(new TestClock(clock.now() + LIMITS.leeway), secret);
    const behind = open(new TestClock(clock.now() - LIMITS.leeway), secret);
    expect(nonces.judge(ahead.fresh())).toBe('good');
    expect(ahead.judge(behind.fresh())).toBe('good');
    expect(nonces.judge(behind.fresh())).toBe('good');
  });

  it('does not know those of an instance far ahead', () => {
    const ahead = open(new TestClock(clock.now() + LIMITS.validFor), secret);
    expect(nonces.judge(ahead.fresh())).toBe('unknown');
  });

  it('knows those of an older secret, and makes none of them', () => {
    const newer = secretOf();
    const both = open(clock, newer, secret);
    expect(both.judge(nonces.fresh())).toBe('good');
    expect(open(clock, newer).judge(both.fresh())).toBe('good');
    expect(nonces.judge(both.fresh())).toBe('unknown');
  });

  it('does not know those of another secret, of another purpose, or tampered ones', () => {
    const own = nonces.fresh();
    expect(nonces.judge(open(clock, secretOf()).fresh())).toBe('unknown');
    const [{ id }] = new SenderSecrets([secret]).derive('another purpose');
    expect(nonces.judge(id + own.slice(8))).toBe('unknown');
    const alphabet = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_';
    for (let index = 0; index < own.length; index++) {
      const other = alphabet.charAt(alphabet.indexOf(own.charAt(index)) ^ 1);
      expect(nonces.judge(own.slice(0, index) + other + own.slice(index + 1))).toBe('unknown');
    }
    expect(nonces.judge(own)).toBe('good');
  });

  it.each([
    '',
    'x',
    'A'.repeat(37),
    'A'.repeat(38),
    'A'.repeat(39),
    'A'.repeat(100_000),
    'é'.repeat(38),
    `${'A'.repeat(37)}=`,
    `${'A'.repeat(38)}\n`,
    '__proto__',
  ])('does not know what is none: %.40s', (text) => {
    expect(nonces.judge(text)).toBe('unknown');
    expect(nonces.judge(nonces.fresh().slice(0, 8) + text.slice(8))).toBe('unknown');
  });

  it('goes by the clock when that is set back', () => {
    const nonce = nonces.fresh();
    clock.advance(LIMITS.validFor);
    const later = nonces.fresh();
    clock.advance(-LIMITS.validFor);
    expect(nonces.fresh()).toBe(nonce);
    expect(nonces.judge(later)).toBe('unknown');
  });
});

describe('check 10: nonce', () => {
  let holder: Holder;
  let service: Service;

  beforeAll(async () => {
    holder = await newHolder();
  });

  beforeEach(() => {
    service = openService({ nonces: { validFor: 300_000 } });
  });

  async function show(claims: object, { proofs, clock } = service) {
    const request = requestWith(await proofOf(holder, clock, { claims }));
    return proofs.check(request, { token: TOKEN, jkt: holder.jkt });
  }

  it('tells the nonce with the refusal, and takes it', async () => {
    const error: unknown = await show({}).catch((reason: unknown) => reason);
    expect(error).toMatchObject({ code: 'ERR_PROOF_NONCE', detail: 'nonce is missing' });
    const { nonce } = error as ProofError;
    expect(nonce).toBe(service.proofs.freshNonce());
    expect(await show({ nonce })).toEqual({ jkt: holder.jkt, nextNonce: undefined });
  });

  it('says nothing of nonces where none is asked for', async () => {
    const without = openService();
    expect(without.proofs.freshNonce()).toBeUndefined();
    expect(await show({}, without)).toEqual({ jkt: holder.jkt, nextNonce: undefined });
  });

  it('hands out the next before one is over', async () => {
    const nonce = service.proofs.freshNonce();
    service.clock.advance(200_000);
    const { nextNonce } = await show({ nonce });
    expect(nextNonce).toBe(service.proofs.freshNonce());
    expect(nextNonce).not.toBe(nonce);
    service.clock.advance(200_000);
    expect(await verdictOf(show({ nonce }))).toBe('ERR_PROOF_NONCE');
    expect(await verdictOf(show({ nonce: nextNonce }))).toBe('accepted');
  });

  it('takes those of another instance', async () => {
    const other = openService({ nonces: { validFor: 300_000 } });
    const nonce = other.proofs.freshNonce();
    expect(await verdictOf(show({ nonce }))).toBe('accepted');
  });

  it('tells none to who shows that they do not have the key', async () => {
    const { proofs, clock } = service;
    for (const parts of [
      { header: { jwk: (await newHolder()).jwk } },
      { claims: { htm: 'POST' } },
      { claims: { ath: 'x' } },
      { claims: { iat: 0 } },
    ]) {
      const request = requestWith(await proofOf(holder, clock, parts));
      const error: unknown = await proofs
        .check(request, { token: TOKEN, jkt: holder.jkt })
        .catch((reason: unknown) => reason);
      expect((error as ProofError).nonce).toBeUndefined();
      expect((error as ProofError).code).not.toBe('ERR_PROOF_NONCE');
    }
  });

  it('uses up no proof that lacks it', async () => {
    const nonce = service.proofs.freshNonce();
    expect(await verdictOf(show({ jti: 'one', nonce: 'x' }))).toBe('ERR_PROOF_NONCE');
    expect(await verdictOf(show({ jti: 'one', nonce }))).toBe('accepted');
    expect(await verdictOf(show({ jti: 'one', nonce }))).toBe('ERR_PROOF_REPLAYED');
  });
});
