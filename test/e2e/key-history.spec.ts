import { randomBytes } from 'node:crypto';
import { setTimeout as pause } from 'node:timers/promises';

import { Redis } from 'ioredis';
import { createRemoteJWKSet, jwtVerify } from 'jose';

import {
  describeWithRedis,
  eventually,
  type RedisServer,
  startRedis,
} from '../support/redis-server.js';
import { recordSecret } from '../support/witness.js';
import { Instance, type IssuedToken, type SaidEvent } from './instances.js';
import { judgeHistory } from './key-history.js';

/** The brief's hundred take two minutes: `KEY_ROTATIONS=100`. */
const ROTATIONS = Number(process.env['KEY_ROTATIONS'] ?? 12);
const SKEWS = [-90_000, 0, 90_000];

/** As short as the rules between them allow: more than a second a rotation. */
const PUBLISH_AHEAD = 1_100;
const OPTIONS = {
  tokens: { accessTtl: '3s', maxLifetime: '3s', leeway: '1s' },
  keys: { rotateEvery: '1150ms', publishAhead: '1100ms', retainFor: '6s', jwksMaxAge: '0s' },
  outage: { maxLag: '2s' },
} as const;

function newKey(): string {
  const key = randomBytes(32).toString('base64url');
  recordSecret(key);
  return key;
}

/** How often a key is compromised: in most of them everyone has to hear of it in time. */
const COMPROMISES = 5;

/** What the brief allows the other instances to learn of it. */
const ELSEWHERE_WITHIN = 1_000;

/** Milliseconds between the tokens of an issuer, so that a machine has time for the rest. */
const PACE = 15;

/** Whether a token has come to its end, by the true time, which all instances follow. */
function isOver(token: string): boolean {
  const claims = Buffer.from(token.split('.')[1] ?? '', 'base64url').toString();
  return (JSON.parse(claims) as { readonly exp: number }).exp * 1_000 <= Date.now();
}

/** Whether a verifier could not get the keys at all, which says nothing of them. */
function isWithoutKeys(error: unknown): boolean {
  return /Expected 200 OK|timed out|fetch failed/.test(String(error));
}

/** What instances say of a store that does not answer in time, and of tokens that come too late. */
const PASSING =
  /^(?:key\.(?:stale|unavailable|available)|store\.(?:down|up)|revocation\.(?:stale|current)|token\.rejected|access\.denied)$/;

const KEY_EVENT = /^key\.(?:published|signing|verifying|retired)$/;

function keyEvents(instances: readonly Instance[]): readonly SaidEvent[] {
  return instances.flatMap((instance) =>
    instance.events().filter(({ type }) => KEY_EVENT.test(type)),
  );
}

describeWithRedis('several processes on one Redis', () => {
  let redis: RedisServer;

  beforeAll(async () => {
    redis = await startRedis();
  });

  afterAll(() => redis.stop());

  it('make exactly one key when four of them start together on an empty store', async () => {
    for (let round = 0; round < 2; round++) {
      const setting = {
        redisUrl: redis.url,
        keyPrefix: `start-${round}:`,
        options: { keys: { encryptionKeys: newKey() } },
      };
      const instances = await Promise.all([1, 2, 3, 4].map(() => Instance.start(setting)));
      const said = keyEvents(instances);
      expect(said.map(({ type }) => type)).toEqual(['key.signing']);
      const sets = await Promise.all(
        instances.map((instance) => instance.get<{ keys: object[] }>('/.well-known/jwks.json')),
      );
      expect(sets.map(({ keys }) => keys)).toEqual(
        sets.map(() => [expect.objectContaining({ kid: said[0]?.kid })]),
      );
      await Promise.all(instances.map(({ process }) => process.stop()));
    }
  });

  it('compromise a key everywhere within a second, and tell an operator what it hits', async () => {
    const setting = {
      redisUrl: redis.url,
      keyPrefix: 'compromise:',
      redis: { deadline: '5s' },
      options: { keys: { encryptionKeys: newKey() }, outage: { maxLag: '30s' } },
    } as const;
    const instances = await Promise.all(SKEWS.map((skew) => Instance.start({ ...setting, skew })));
    const [first] = instances;
    if (first === undefined) throw new Error('nothing started');
    const took: number[] = [];
    for (let round = 0; round < COMPROMISES; round++) {
      const { token, kid } = await first.issue();
      recordSecret(token);
      expect(await Promise.all(instances.map((one) => one.check(token)))).toEqual([200, 200, 200]);
      expect(await first.post('/compromise')).toMatchObject({ kid, phase: 'signing', sessions: 0 });
      const acknowledged = Date.now();
      expect(await first.check(token)).toBe(401);
      for (const other of instances) {
        await eventually('the token is refused', async () => (await other.check(token)) === 401);
      }
      took.push(Date.now() - acknowledged);
      const issued = await Promise.all(instances.map((one) => one.issue()));
      for (const { token: next, kid: nextKid } of issued) {
        recordSecret(next);
        expect(nextKid).not.toBe(kid);
        expect(await Promise.all(instances.map((one) => one.check(next)))).toEqual([200, 200, 200]);
      }
    }
    // A machine that stalls may make one of them late, but not most of them.
    const inTime = took.filter((ms) => ms < ELSEWHERE_WITHIN);
    expect(inTime.length).toBeGreaterThan(COMPROMISES / 2);
    await Promise.all(instances.map(({ process }) => process.stop()));
  });

  it(`rotate ${ROTATIONS} times under load, with clocks three minutes apart`, async () => {
    const keyPrefix = 'rotations:';
    const options = { ...OPTIONS, keys: { ...OPTIONS.keys, encryptionKeys: newKey() } };
    let writes = 0;
    const subscriber = new Redis(redis.url);
    await subscriber.subscribe(`${keyPrefix}{keyring}:changed`);
    subscriber.on('message', () => writes++);
    const instances = await Promise.all(
      SKEWS.map((skew) => Instance.start({ redisUrl: redis.url, keyPrefix, skew, options })),
    );
    const jwks = instances.map(({ url }) =>
      createRemoteJWKSet(new URL(`${url}/.well-known/jwks.json`), { cooldownDuration: 0 }),
    );

    const tokens: IssuedToken[] = [];
    const refused: string[] = [];
    /** What a store that does not answer in time, because the machine is busy, may cost. */
    const unanswered: string[] = [];
    let checks = 0;
    const verifyEverywhere = async ({ token, kid }: IssuedToken, when: string): Promise<void> => {
      const statuses = await Promise.all(instances.map((one) => one.check(token)));
      checks += statuses.length;
      statuses.forEach((status, index) => {
        const complaint = `${kid} by ${index}, ${when}: ${status}`;
        if (status === 503) unanswered.push(complaint);
        else if (status !== 200 && !isOver(token)) refused.push(complaint);
      });
    };
    const verifyOutside = async ({ token, kid }: IssuedToken): Promise<void> => {
      // Who asks which instance for the keys is chance, as behind a load balancer.
      const keys = jwks[tokens.length % jwks.length];
      if (keys === undefined) return;
      checks++;
      await jwtVerify(token, keys, { clockTolerance: 1 }).catch((error: unknown) => {
        const complaint = `${kid} outside: ${String(error)}`;
        if (isWithoutKeys(error)) unanswered.push(complaint);
        else if (!isOver(token)) refused.push(complaint);
      });
    };
    const hasRotated = (): boolean =>
      keyEvents(instances).filter(({ type }) => type === 'key.signing').length > ROTATIONS;

    const unissued: string[] = [];
    const issueWith = (issuer: Instance): Promise<IssuedToken | undefined> =>
      issuer.issue().catch((error: unknown) => {
        if (!/ 503 /.test(String(error))) throw error;
        unissued.push(String(error));
        return undefined;
      });

    const drive = async (issuer: Instance): Promise<void> => {
      const waiting: { readonly issued: IssuedToken; readonly due: number }[] = [];
      while (!hasRotated()) {
        const issued = await issueWith(issuer);
        await pause(PACE);
        if (issued === undefined) continue;
        recordSecret(issued.token);
        tokens.push(issued);
        await verifyEverywhere(issued, 'at once');
        await verifyOutside(issued);
        // Once more when its key has been succeeded, well before it expires.
        waiting.push({ issued, due: Date.now() + 1_400 });
        while (waiting[0] !== undefined && waiting[0].due <= Date.now()) {
          const [ripe] = waiting.splice(0, 1);
          if (ripe !== undefined && ripe.due > Date.now() - 300) {
            await verifyEverywhere(ripe.issued, 'later');
          }
        }
      }
    };
    await Promise.all(instances.map(drive));
    // One write for each instant at which something changed, and none beside.
    await eventually(
      'what was written was said, and the other way round',
      () => writes === new Set(keyEvents(instances).map(({ at }) => at)).size,
    );
    const written = writes;
    await Promise.all(instances.map(({ process }) => process.stop()));
    subscriber.disconnect();
    const said = keyEvents(instances);
    const other = instances.map((instance) =>
      instance.events().filter(({ type }) => !KEY_EVENT.test(type) && type !== 'ready'),
    );

    expect(refused).toEqual([]);
    expect(judgeHistory(said, tokens, { publishAhead: PUBLISH_AHEAD, tolerance: 600 })).toEqual([]);
    const remarkable = other.map((events) => [
      ...new Set(events.map(({ type }) => type).filter((type) => !PASSING.test(type))),
    ]);
    expect(remarkable).toEqual([['clock.skewed'], [], ['clock.skewed']]);
    expect(unissued.length).toBeLessThan(tokens.length / 10);
    expect(unanswered.length).toBeLessThan(checks / 10);
    expect(tokens.length).toBeGreaterThan(10 * ROTATIONS);
    process.stdout.write(
      `${ROTATIONS} rotations: ${tokens.length} tokens by 3 instances, ${written} writes\n`,
    );
  });
});

describe('the judge of histories', () => {
  const at = (ms: number): string => new Date(ms).toISOString();
  const good: readonly SaidEvent[] = [
    { type: 'key.signing', at: at(1_000), kid: 'a' },
    { type: 'key.published', at: at(2_000), kid: 'b' },
    { type: 'key.verifying', at: at(3_100), kid: 'a' },
    { type: 'key.signing', at: at(3_100), kid: 'b' },
  ];
  const rules = { publishAhead: 1_100, tolerance: 0 };
  const signed = (kid: string, instant: number) => ({
    kid,
    signedBetween: [instant, instant] as const,
  });

  it('finds nothing wrong with a right one', () => {
    expect(judgeHistory(good, [signed('a', 1_500), signed('b', 4_000)], rules)).toEqual([]);
  });

  it.each([
    [
      'two keys at once',
      [...good.slice(0, 2), { ...good[2], at: at(3_200) }, good[3]],
      [],
      /signed until/,
    ],
    [
      'no key for a moment',
      [...good.slice(0, 3), { ...good[3], at: at(3_200) }],
      [],
      /signed until/,
    ],
    [
      'a key that was never public',
      good.filter(({ type }) => type !== 'key.published'),
      [],
      /never published/,
    ],
    [
      'a key that was public too late',
      [good[0], { ...good[1], at: at(2_001) }, good[2], good[3]],
      [],
      /1099 ms/,
    ],
    ['a change made twice', [...good, good[3]], [], /twice/],
    ['a token of a key before its time', good, [signed('b', 3_000)], /before its time/],
    ['a token of a key after its time', good, [signed('a', 3_200)], /after its time/],
    ['a token of nobody', good, [signed('c', 3_200)], /before its time/],
  ] as const)('finds %s', (_, events, tokens, complaint) => {
    expect(judgeHistory(events as readonly SaidEvent[], tokens, rules).join()).toMatch(complaint);
  });
});
