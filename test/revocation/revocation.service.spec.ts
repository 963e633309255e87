import { inspect } from 'node:util';

import { TokenError } from '../../lib/kernel/errors.js';
import type { RevocationService } from '../../lib/revocation/revocation.service.js';
import type { Revoked } from '../../lib/revocation/revoked.js';
import type { VerifiedToken } from '../../lib/tokens/verified-token.js';
import { ISSUER } from '../support/guarded-app.js';
import { codeOf, type Instance, Instances } from './instances.js';
import { SharedLog } from './troubled-log.js';

let instances: Instances;
let one: Instance;
let other: Instance;

beforeEach(async () => {
  instances = new Instances(new SharedLog());
  one = await instances.open();
  other = await instances.open();
});

afterEach(() => instances.close());

type Verb = (service: RevocationService, token: VerifiedToken) => Promise<Revoked>;

const VERBS: Readonly<Record<string, Verb>> = {
  revokeToken: (service, { tokenId, expiresAt }) => service.revokeToken(tokenId, expiresAt),
  revokeSession: (service, { sessionId }) => service.revokeSession(sessionId ?? 'none'),
  revokeSubject: (service, { subject }) => service.revokeSubject(subject),
  bumpTokenVersion: (service, { subject }) => service.bumpTokenVersion(subject),
  revokeAll: (service) => service.revokeAll(),
};

const KIND_OF: Readonly<Record<string, string>> = {
  revokeToken: 'token',
  revokeSession: 'session',
  revokeSubject: 'subject',
  bumpTokenVersion: 'version',
  revokeAll: 'everything',
};

const verb = (name: string): Verb => VERBS[name] ?? (() => Promise.reject(new Error(name)));

describe.each(Object.keys(VERBS))('%s', (name) => {
  it('refuses the token on both instances, also where its signature is remembered', async () => {
    const token = await one.sign({ sid: 's1' });
    const verified = await one.tokens.verify(token);
    await other.tokens.verify(token);
    const revoked = await verb(name)(one.revocations, verified);
    expect(revoked.kind).toBe(KIND_OF[name]);
    expect(await one.verdict(token)).toBe('ERR_TOKEN_REVOKED');
    expect(await other.verdict(token)).toBe('ERR_TOKEN_REVOKED');
  });

  it('says so without a value of the token', async () => {
    const token = await one.sign({ sid: 's1' });
    await verb(name)(one.revocations, await one.tokens.verify(token));
    const error: unknown = await one.tokens.verify(token).catch((caught: unknown) => caught);
    expect(error).toBeInstanceOf(TokenError);
    expect(error).toMatchObject({
      message: 'The token was refused.',
      detail: `it was revoked, by ${KIND_OF[name]}`,
    });
  });

  it('is told in one event, with a digest for a name', async () => {
    const verified = await one.tokens.verify(await one.sign({ sub: 'alice', sid: 's1' }));
    await verb(name)(one.revocations, verified);
    const made = one.heard.filter(({ type }) => type === 'revocation.made');
    expect(made).toHaveLength(1);
    expect(made[0]).toMatchObject({ kind: KIND_OF[name] });
    const text = JSON.stringify([one.heard, instances.log.entries]);
    expect(text).not.toContain('alice');
    expect(text).not.toContain('"s1"');
  });

  it('is harmless when it is repeated, also on the other instance and at once', async () => {
    const token = await one.sign({ sid: 's1' });
    const verified = await one.tokens.verify(token);
    await Promise.all(
      [one, other, one, other].map(({ revocations }) => verb(name)(revocations, verified)),
    );
    await verb(name)(one.revocations, verified);
    expect(await one.verdict(token)).toBe('ERR_TOKEN_REVOKED');
    expect(await other.verdict(token)).toBe('ERR_TOKEN_REVOKED');
  });

  it('is known to an instance that starts later', async () => {
    const token = await one.sign({ sid: 's1' });
    await verb(name)(one.revocations, await one.tokens.verify(token));
    const late = await instances.open();
    expect(await late.verdict(token)).toBe('ERR_TOKEN_REVOKED');
  });

  it('answers with status() why, and since when', async () => {
    const verified = await one.tokens.verify(await one.sign({ sid: 's1' }));
    expect(one.revocations.status(verified)).toEqual({ revoked: false });
    const { since } = await verb(name)(one.revocations, verified);
    expect(one.revocations.status(verified)).toEqual({ revoked: true, kind: KIND_OF[name], since });
  });

  it('holds until the token has expired everywhere, and then leaves nothing behind', async () => {
    const token = await one.sign({ sid: 's1' });
    const verified = await one.tokens.verify(token);
    const { until } = await verb(name)(one.revocations, verified);
    const dead = (verified.expiresAt + 10) * 1000;
    expect(until.getTime()).toBeGreaterThanOrEqual(dead);
    await one.pass(dead - 1 - one.clock.now());
    expect(one.revocations.status(verified)).toMatchObject({ revoked: true });
    expect(await one.verdict(token)).toBe('ERR_TOKEN_REVOKED');
    await one.pass(until.getTime() + 8_000 - one.clock.now());
    expect(one.revocations.status(verified)).toEqual({ revoked: false });
    expect(await one.verdict(token)).toBe('ERR_TOKEN_EXPIRED');
  });
});

describe('what is not named', () => {
  it.each([
    ['revokeToken', ['same session', 'same subject', 'other subject']],
    ['revokeSession', ['same subject', 'other subject']],
    ['revokeSubject', ['other subject']],
    ['bumpTokenVersion', ['other subject']],
    ['revokeAll', []],
  ])('outlives %s: %j', async (name, living) => {
    const named = await one.sign({ sub: 'alice', sid: 's1' });
    const bystanders = {
      'same session': await one.sign({ sub: 'alice', sid: 's1' }),
      'same subject': await one.sign({ sub: 'alice', sid: 's2' }),
      'other subject': await one.sign({ sub: 'bob', sid: 's3' }),
    };
    await verb(name)(one.revocations, await one.tokens.verify(named));
    for (const instance of [one, other]) {
      const alive: string[] = [];
      for (const [who, token] of Object.entries(bystanders)) {
        if ((await instance.verdict(token)) === 'accepted') alive.push(who);
      }
      expect(alive).toEqual(living);
    }
  });

  it('is what has the same name as another kind of thing', async () => {
    const token = await one.sign({ sub: 'x', sid: 'x' });
    await one.revocations.revokeToken('x', one.clock.seconds() + 900);
    await one.revocations.revokeSession('y');
    expect(await one.verdict(token)).toBe('accepted');
    const { tokenId } = await one.tokens.verify(token);
    await one.revocations.revokeSession(tokenId);
    await one.revocations.revokeSubject(tokenId);
    expect(await one.verdict(token)).toBe('accepted');
  });
});

describe('the entry of one token', () => {
  it('ends when the token does, and is not held longer for an exp that lies', async () => {
    const now = one.clock.now();
    const exact = await one.revocations.revokeToken('a', one.clock.seconds() + 900);
    expect(exact.until.getTime()).toBe(now + 910_000);
    const lied = await one.revocations.revokeToken('b', 9_999_999_999);
    expect(lied.until.getTime()).toBeLessThan(now + 2 * 3_600_000);
  });

  it('is not made for one that has expired by every clock', async () => {
    const { until } = await one.revocations.revokeToken('a', one.clock.seconds() - 311);
    expect(until.getTime()).toBeLessThan(one.clock.now());
    expect(instances.log.appended).toBe(0);
  });

  it('is made for one that may live by the clock of another instance', async () => {
    await one.revocations.revokeToken('a', one.clock.seconds() - 60);
    expect(instances.log.appended).toBe(1);
  });

  it('takes an exp with a fraction', async () => {
    const { until } = await one.revocations.revokeToken('a', one.clock.seconds() + 0.0005);
    expect(until.getTime()).toBe(one.clock.now() + 10_001);
  });
});

describe('revokeAll({ before })', () => {
  it('ends what was issued before the instant, in whole seconds, and nothing later', async () => {
    const old = await one.sign();
    one.clock.advance(1_400);
    const sameSecond = await one.sign();
    one.clock.advance(600);
    const later = await one.sign();
    const before = new Date(one.clock.now() - 500);
    expect(await one.revocations.revokeAll({ before })).toMatchObject({
      kind: 'before',
      since: before,
    });
    await other.pass(2_000);
    for (const instance of [one, other]) {
      expect(await instance.verdict(old)).toBe('ERR_TOKEN_REVOKED');
      expect(await instance.verdict(sameSecond)).toBe('ERR_TOKEN_REVOKED');
      expect(await instance.verdict(later)).toBe('accepted');
    }
  });

  it('keeps the later of two instants', async () => {
    await one.pass(60_000);
    const token = await one.sign();
    await one.pass(60_000);
    await one.revocations.revokeAll({ before: new Date(one.clock.now()) });
    await one.revocations.revokeAll({ before: new Date(0) });
    expect(await one.verdict(token)).toBe('ERR_TOKEN_REVOKED');
  });
});

describe('revokeKey', () => {
  it('takes a key of the own ring out of it, so that all it signed dies at once', async () => {
    const token = await one.sign();
    const verified = await one.tokens.verify(token);
    await one.revocations.revokeKey(verified.kid);
    expect(await one.verdict(token)).toBe('ERR_TOKEN_UNKNOWN_KEY');
    expect(await one.verdict(await one.sign())).toBe('accepted');
    expect(one.revocations.status(verified)).toMatchObject({ revoked: true, kind: 'key' });
  });

  it('does not acknowledge a kid the own ring never had', async () => {
    const error: unknown = await one.revocations.revokeKey('nobody').catch((e: unknown) => e);
    expect(codeOf(error)).toBe('ERR_KEY_UNKNOWN');
  });
});

const LONG = 'x'.repeat(256);
const BAD_NAMES = [undefined, null, '', LONG, 'a\0b', 7, {}, ['a'], Symbol('a')];
const BAD_EXPIRIES = [undefined, null, NaN, Infinity, -1, '9999999999', 1_800_000_000_000, {}];

type Hostile = (service: RevocationService) => Promise<unknown>;

const HOSTILE: ReadonlyArray<readonly [what: string, call: Hostile]> = [
  ...BAD_NAMES.flatMap((name): (readonly [string, Hostile])[] => [
    [`revokeToken(${shown(name)})`, (service) => service.revokeToken(name as string, 2e9)],
    [`revokeSession(${shown(name)})`, (service) => service.revokeSession(name as string)],
    [`revokeSubject(${shown(name)})`, (service) => service.revokeSubject(name as string)],
    [`bumpTokenVersion(${shown(name)})`, (service) => service.bumpTokenVersion(name as string)],
    [`revokeKey(${shown(name)})`, (service) => service.revokeKey(name as string)],
    [
      `revokeSubject({ except: { sessionId: ${shown(name)} } })`,
      (service) => service.revokeSubject('a', { except: { sessionId: name as string } }),
    ],
    [
      `revokeSubject({ except: { tokenId: ${shown(name)} } })`,
      (service) => service.revokeSubject('a', { except: { tokenId: name as string } }),
    ],
  ]),
  ...BAD_EXPIRIES.map((exp): readonly [string, Hostile] => [
    `revokeToken('a', ${shown(exp)})`,
    (service) => service.revokeToken('a', exp as number),
  ]),
  ...['https://elsewhere.example', '', null, 7, `${ISSUER}/`].map(
    (issuer): readonly [string, Hostile] => [
      `revokeSubject({ issuer: ${shown(issuer)} })`,
      (service) => service.revokeSubject('a', { issuer: issuer as string }),
    ],
  ),
  ...[null, 'sid', {}, { sessionId: undefined }, { session: 'a' }].map(
    (except): readonly [string, Hostile] => [
      `revokeSubject({ except: ${shown(except)} })`,
      (service) => service.revokeSubject('a', { except: except as { sessionId: string } }),
    ],
  ),
  ...[new Date(NaN), new Date(-1), new Date(8.64e15), '2026-01-01', 1].map(
    (before): readonly [string, Hostile] => [
      `revokeAll({ before: ${shown(before)} })`,
      (service) => service.revokeAll({ before: before as Date }),
    ],
  ),
];

function shown(value: unknown): string {
  if (value === LONG) return 'something long';
  return inspect(value);
}

describe('hostile arguments', () => {
  it.each(HOSTILE)('%s is a TypeError, and nothing is appended', async (_what, call) => {
    const token = await one.sign({ sub: 'a' });
    await expect(call(one.revocations)).rejects.toBeInstanceOf(TypeError);
    expect(instances.log.appended).toBe(0);
    expect(one.said()).toEqual([]);
    expect(await one.verdict(token)).toBe('accepted');
  });

  it('takes names as long and as strange as claims can be', async () => {
    const sub = '\u{1F600}'.repeat(127);
    const token = await one.sign({ sub });
    await one.revocations.revokeSubject(sub);
    expect(await other.verdict(token)).toBe('ERR_TOKEN_REVOKED');
  });
});

describe('health', () => {
  it('counts what is held', async () => {
    expect(one.revocations.health()).toEqual({ status: 'ok', lag: 0, entries: 0 });
    await one.revocations.revokeSubject('a');
    await one.revocations.revokeAll();
    expect(one.revocations.health()).toEqual({ status: 'ok', lag: 0, entries: 2 });
    expect(other.revocations.health()).toEqual({ status: 'ok', lag: 0, entries: 2 });
  });
});
