import { createHash, randomBytes } from 'node:crypto';

import { Redis } from 'ioredis';

import {
  csrfTokenOf,
  readRefreshToken,
  writeRefreshToken,
} from '../../lib/sessions/refresh-token.js';
import {
  describeWithRedis,
  newFolder,
  type RedisServer,
  startRedis,
} from '../support/redis-server.js';
import { recordSecret } from '../support/witness.js';
import { Instance } from './instances.js';
import { pick } from './revocation-figures.js';
import { type Pair, SessionClient } from './session-clients.js';
import { type Dump, dumpRedis, piecesIn } from './session-dump.js';
import { PREFIX, sessionSetting } from './session-instances.js';

/** Who and what must not be found: in none of the ways in which a record could hold it. */
const SUBJECT = 'alice-of-the-rest';
const ADMIN = 'admin-of-the-rest';
const CLAIMS = {
  scope: 'accounts:read-at-rest',
  roles: ['teller-at-rest'],
  permissions: ['vault:open-at-rest'],
  claims: { tenant: 'tenant-at-rest' },
};
const THUMBPRINT = 'thumbprint-of-a-key-at-rest-thumbprint-of-A';

const ORIGIN = 'https://app.example';

/** What a browser keeps of a session whose tokens travel in cookies. */
interface Jar {
  readonly access: string;
  readonly refresh: string;
  readonly csrf: string;
}

describeWithRedis('a Redis in other hands', () => {
  let folder: string;
  let redis: RedisServer;
  let instance: Instance;
  let client: SessionClient;
  let store: Redis;

  beforeAll(async () => {
    folder = newFolder();
    const args = ['--appendonly', 'yes', '--rdbcompression', 'no'];
    redis = await startRedis({ folder, args });
    instance = await Instance.start(
      sessionSetting(redis, {
        sessions: { reuseGrace: '1m' },
        transport: { cookies: {}, origins: [ORIGIN] },
      }),
    );
    client = new SessionClient(instance);
    store = new Redis(redis.url);
  });

  afterAll(async () => {
    store.disconnect();
    client.close();
    await instance.process.stop();
    await redis.stop();
  });

  async function post(path: string, body: object, headers: Record<string, string> = {}) {
    return fetch(`${instance.url}/sessions/${path}`, {
      method: 'POST',
      headers: { 'Content-Type': 'application/json', Origin: ORIGIN, ...headers },
      body: JSON.stringify(body),
    });
  }

  async function jarOf(answer: Response): Promise<Jar> {
    expect(answer.status).toBe(201);
    const named = (name: string): string => {
      const cookie = answer.headers.getSetCookie().find((one) => one.startsWith(`${name}=`)) ?? '';
      const value = cookie.slice(name.length + 1, cookie.indexOf(';'));
      recordSecret(value);
      return value;
    };
    await answer.arrayBuffer();
    return {
      access: named('__Host-access_token'),
      refresh: named('__Host-refresh_token'),
      csrf: named('__Host-csrf_token'),
    };
  }

  const cookiesOf = ({ access, refresh }: Jar): string =>
    `__Host-access_token=${access}; __Host-refresh_token=${refresh}`;

  const refreshJar = (jar: Jar, csrf = jar.csrf): Promise<Response> =>
    post('refresh', {}, { Cookie: cookiesOf(jar), 'X-CSRF-Token': csrf });

  function partsOf(refreshToken: string): Record<'lineage' | 'secret', Buffer> {
    const token = readRefreshToken(refreshToken);
    if (token === undefined) throw new Error('that is no refresh token');
    return token;
  }

  /** All that a user got, and must not come to light. */
  function secretsOf(label: string, refreshToken: string, accessToken: string) {
    const { lineage, secret } = partsOf(refreshToken);
    const token = readRefreshToken(refreshToken);
    const csrf = token === undefined ? '' : csrfTokenOf(token);
    recordSecret(csrf);
    const [, payload = '', signature = ''] = accessToken.split('.');
    return {
      [`${label}: lineage`]: lineage,
      [`${label}: secret`]: secret,
      [`${label}: CSRF token`]: csrf,
      [`${label}: CSRF token as bytes`]: Buffer.from(csrf, 'base64url'),
      [`${label}: payload`]: payload,
      [`${label}: signature`]: signature,
    };
  }

  /** Logins, refreshes, a repeated one, a theft and a logout, with both carriers. */
  async function live() {
    const start = { ...CLAIMS, device: 'Firefox on Linux', address: '192.0.2.77' };
    const first = await client.start(SUBJECT, start);
    const second = await client.mustRefresh(first.refreshToken);
    const repeated = await client.mustRefresh(first.refreshToken);
    const third = await client.mustRefresh(second.refreshToken);
    const bound = await client.start(SUBJECT, {
      ...start,
      binding: { kind: 'dpop', value: THUMBPRINT },
    });
    const stolen = await client.start(SUBJECT, start);
    const stolenNext = await client.mustRefresh(stolen.refreshToken);
    await client.mustRefresh(stolenNext.refreshToken);
    expect((await client.refresh(stolen.refreshToken)).status).toBe(401);
    const left = await client.start(SUBJECT, start);
    await client.end(left.sessionId);
    const login = { subject: SUBJECT, start: { ...start, carrier: 'cookie' } };
    const jar = await jarOf(await post('start', login));
    const nextJar = await jarOf(await refreshJar(jar));
    const pairs = { first, second, repeated, third, bound, stolen, stolenNext, left };
    const jars = { jar, nextJar };
    const secrets = Object.assign(
      {},
      ...Object.entries(pairs).map(([name, { refreshToken, accessToken }]) =>
        secretsOf(name, refreshToken, accessToken),
      ),
      ...Object.entries(jars).map(([name, { refresh, access }]) =>
        secretsOf(name, refresh, access),
      ),
    ) as Record<string, string | Buffer>;
    return { third, bound, jar: nextJar, secrets };
  }

  it('finds no token, no part of one, and nobody in it', async () => {
    const { secrets } = await live();
    const dump = await dumpRedis(redis, folder);
    // What is looked for would be found: a session's name is no secret, and is there.
    expect(dump.texts.some((text) => text.startsWith(`${PREFIX}session:`))).toBe(true);
    const canary = { canary: Buffer.from(pick(dump.texts, 0)) };
    expect(piecesIn(dump, canary)).toEqual(['canary']);
    expect(piecesIn(dump, secrets)).toEqual([]);
    const { scope, roles, permissions, claims } = CLAIMS;
    const personal = [SUBJECT, scope, ...roles, ...permissions, claims.tenant, THUMBPRINT];
    const named = Object.fromEntries(personal.map((text) => [text, Buffer.from(text)]));
    expect(piecesIn(dump, named)).toEqual([]);
    // Of the address only its network.
    expect(dump.texts.join('\n')).toContain('192.0.2.0/24');
    expect(piecesIn(dump, { address: Buffer.from('192.0.2.77') })).toEqual([]);
  });

  /** Everything in it that could be one: each text, and each word in one. */
  function wordsIn({ texts }: Dump): readonly string[] {
    const words = texts.flatMap((text) => text.match(/[\w.~-]{16,}/g) ?? []);
    return [...new Set([...texts, ...words])];
  }

  it('nothing in it opens anything', async () => {
    const { third, jar } = await live();
    const words = wordsIn(await dumpRedis(redis, folder));
    const opened: string[] = [];
    for (const word of words) {
      const isHeader = /^[\w.~-]+$/.test(word);
      for (const guess of [word, `rt1_${word}`]) {
        if ((await client.refresh(guess)).status !== 401) opened.push('a refresh');
      }
      if (!isHeader) continue;
      if ((await client.check(word)).status !== 401) opened.push('a route');
      const headers = { Cookie: cookiesOf(jar), 'X-CSRF-Token': word };
      if ((await post('refresh', {}, headers)).status !== 403) opened.push('a refresh by cookie');
      if ((await post('change', {}, headers)).status !== 403) opened.push('a change by cookie');
    }
    expect(opened).toEqual([]);
    expect(words.length).toBeGreaterThan(50);
    // All that was for nothing: whoever has the tokens goes on.
    await client.mustRefresh(third.refreshToken);
    expect((await refreshJar(jar)).status).toBe(201);
  });

  it('no token can be put together from what is stored of a session', async () => {
    const { third } = await live();
    const token = readRefreshToken(third.refreshToken);
    if (token === undefined) throw new Error('that is no refresh token');
    const record = await store.hgetall(recordOf(third));
    const { grant } = JSON.parse(record['data'] ?? '') as { readonly grant: string };
    const stored = [...Object.values(record), grant].flatMap((text) => [
      Buffer.from(text),
      Buffer.from(text, 'base64url'),
      createHash('sha256').update(text).digest(),
    ]);
    const cut = (size: number): readonly Buffer[] =>
      stored
        .filter(({ length }) => length >= size)
        .flatMap((bytes) => [bytes.subarray(0, size), bytes.subarray(-size)]);
    const secrets = cut(32);
    let guesses = 0;
    for (const lineage of cut(16)) {
      const secret = pick(secrets, guesses++);
      const guess = writeRefreshToken({ key: token.key, lineage, secret });
      expect((await client.refresh(guess)).status).toBe(401);
      expect((await client.refresh(writeRefreshToken({ ...token, lineage }))).status).toBe(401);
    }
    expect(guesses).toBeGreaterThan(20);
    // None of them was even taken for a theft.
    await client.mustRefresh(third.refreshToken);
  });

  function recordOf({ refreshToken }: Pair): string {
    const key = readRefreshToken(refreshToken)?.key;
    return `${PREFIX}session:{${key?.owner ?? ''}}:${key?.id ?? ''}`;
  }

  const digestOf = (part: string, bytes: Buffer): string =>
    createHash('sha256').update(`${part}\0`).update(bytes).digest('base64url');

  /** What somebody who can write to Redis does, and the token they try then. */
  type Tampering = (own: Pair, admin: Pair) => Promise<string>;

  const TAMPERINGS: readonly (readonly [string, Tampering])[] = [
    [
      "the grant of an administrator in one's own session",
      async (own, admin) => {
        const data = await store.hget(recordOf(admin), 'data');
        await store.hset(recordOf(own), 'data', data ?? '');
        return own.refreshToken;
      },
    ],
    [
      'a grant of their own making',
      async (own) => {
        const data = JSON.parse((await store.hget(recordOf(own), 'data')) ?? '{}') as object;
        const claims = { sub: ADMIN, roles: ['admin'], sid: own.sessionId };
        const grant = JSON.stringify({ claims, standing: {}, carrier: 'body' });
        await store.hset(recordOf(own), 'data', JSON.stringify({ ...data, grant }));
        return own.refreshToken;
      },
    ],
    [
      'a changed byte of the grant',
      async (own) => {
        const data = JSON.parse((await store.hget(recordOf(own), 'data')) ?? '{}') as {
          readonly grant: string;
        };
        const bytes = Buffer.from(data.grant, 'base64url');
        bytes[40] = (bytes[40] ?? 0) ^ 1;
        const grant = bytes.toString('base64url');
        await store.hset(recordOf(own), 'data', JSON.stringify({ ...data, grant }));
        return own.refreshToken;
      },
    ],
    [
      "an administrator's session with a token of one's own",
      async (_, admin) => {
        const token = readRefreshToken(admin.refreshToken);
        if (token === undefined) throw new Error('that is no refresh token');
        const [lineage, secret] = [randomBytes(16), randomBytes(32)];
        await store.hset(recordOf(admin), {
          lineage: digestOf('lineage', lineage),
          secret: digestOf('secret', secret),
        });
        return writeRefreshToken({ ...token, lineage, secret });
      },
    ],
    [
      "one's own session under the name of an administrator's",
      async (own, admin) => {
        const [from, to] = [
          readRefreshToken(own.refreshToken),
          readRefreshToken(admin.refreshToken),
        ];
        if (from === undefined || to === undefined) throw new Error('that is no refresh token');
        await store.copy(recordOf(own), recordOf(admin), 'REPLACE');
        return writeRefreshToken({ ...from, key: to.key });
      },
    ],
    [
      "an administrator's successor for one's own used token",
      async (own, admin) => {
        await client.mustRefresh(own.refreshToken);
        await client.mustRefresh(admin.refreshToken);
        const sealed = await store.hget(recordOf(admin), 'sealed');
        await store.hset(recordOf(own), 'sealed', sealed ?? '');
        return own.refreshToken;
      },
    ],
    [
      'another kind of record',
      async (own) => {
        await store.del(recordOf(own));
        await store.set(recordOf(own), 'a text');
        return own.refreshToken;
      },
    ],
    [
      'an end that is no number',
      async (own) => {
        await store.hset(recordOf(own), 'absolute', 'never');
        return own.refreshToken;
      },
    ],
  ];

  it.each(TAMPERINGS)('who can write to it gains nothing by %s', async (_, tamper) => {
    const own = await client.start(SUBJECT, CLAIMS);
    const admin = await client.start(ADMIN, { ...CLAIMS, roles: ['admin'] });
    const guess = await tamper(own, admin);
    recordSecret(guess);
    const { status, pair } = await client.refresh(guess);
    expect(pair).toBeUndefined();
    expect([401, 503]).toContain(status);
  });
});
