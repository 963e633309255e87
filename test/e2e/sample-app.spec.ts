import { randomBytes } from 'node:crypto';
import { join } from 'node:path';

import { ADAPTERS } from '../support/guarded-app.js';
import { type Answer, closeConnections, send } from '../support/http.js';
import { freePort, type RunningProcess, runProcess, startProcess } from '../support/processes.js';
import {
  describeWithRedis,
  eventually,
  type RedisServer,
  startRedis,
} from '../support/redis-server.js';
import { newPrivateJwk } from '../support/token-mother.js';
import { recordSecret } from '../support/witness.js';
import { logIn, tokenOf } from '../sample-app/log-in.js';
import { postForm } from '../sample-app/post-form.js';

/**
 * The sample app as `npm start` runs it: built by `npm test`, in a process of its own, driven from
 * outside.
 */

const ROOT = join(__dirname, '../..');
const MAIN = join(ROOT, 'sample-app/dist/main.js');
const READY = /ledger is ready on (http:\/\/localhost:\d+)/;

afterAll(closeConnections);

function startLedger(env: Readonly<Record<string, string>>): Promise<RunningProcess> {
  return startProcess({ args: [MAIN], cwd: ROOT, env, readyWhen: READY });
}

function claimsOf(token: string): Record<string, unknown> {
  const [, payload = ''] = token.split('.');
  return JSON.parse(Buffer.from(payload, 'base64url').toString('utf8')) as Record<string, unknown>;
}

function requestIdOf({ headers }: Answer): string {
  return String(headers['x-request-id']);
}

async function kidsOf(url: string): Promise<readonly string[]> {
  const { body } = await send(url, '/.well-known/jwks.json');
  return (JSON.parse(body) as { keys: { kid: string }[] }).keys.map(({ kid }) => kid);
}

describe.each(ADAPTERS)('the built sample app on %s', (adapter) => {
  let ledger: RunningProcess;
  let url: string;
  let port: number;
  beforeAll(async () => {
    port = await freePort();
    ledger = await startLedger({ PORT: String(port), HTTP_ADAPTER: adapter });
    url = `http://127.0.0.1:${port}`;
  });
  afterAll(() => ledger.stop());

  it('goes the way of issue 2: alice, refused, admin, rotation, old token still good', async () => {
    const alice = await tokenOf(url, 'alice');
    expect(JSON.parse((await send(url, '/me', { token: alice })).body)).toMatchObject({
      sub: 'alice',
    });
    expect((await send(url, '/accounts', { token: alice })).status).toBe(200);
    expect((await send(url, '/admin/users', { token: alice })).status).toBe(403);
    expect((await send(url, '/me')).status).toBe(401);

    const admin = await tokenOf(url, 'admin');
    expect((await send(url, '/admin/users', { token: admin })).status).toBe(200);
    const before = await kidsOf(url);
    const rotation = { method: 'POST', token: admin };
    const { status, body } = await send(url, '/admin/keys/rotate', rotation);
    expect(status).toBe(202);
    const { kid } = JSON.parse(body) as { readonly kid: string };
    expect(await kidsOf(url)).toEqual([...before, kid]);
    expect((await send(url, '/me', { token: alice })).status).toBe(200);
  });

  it('greets a newcomer with users, passwords, URLs and two lines to paste', () => {
    expect(ledger.match[1]).toBe(`http://localhost:${port}`);
    const banner = ledger.output('stdout').slice(ledger.output('stdout').search(READY));
    for (const name of ['alice', 'bob', 'carol', 'admin']) {
      expect(banner).toMatch(new RegExp(`^  ${name} +${name}-demo `, 'm'));
    }
    expect(banner).toContain(`http://localhost:${port}/health`);
    expect(banner).toContain(`http://localhost:${port}/.well-known/jwks.json`);
    expect(banner).toContain(`curl -s http://localhost:${port}/auth/login`);
    expect(banner).toContain(`curl -s http://localhost:${port}/me`);
  });

  it('logs a refusal under its X-Request-Id with the code of the failed check', async () => {
    const id = requestIdOf(await send(url, '/me', { token: 'not-a-token' }));
    const line = ledger.waitFor(
      new RegExp(`token.rejected .*requestId=${id} code=ERR_TOKEN_FORMAT`),
    );
    await expect(line).resolves.toHaveLength(1);
  });

  it('never prints what a user typed', async () => {
    const body = { username: 'typed-by-a-user-1', password: 'typed-by-a-user-2' };
    const id = requestIdOf(await send(url, '/auth/login', { method: 'POST', body }));
    await ledger.waitFor(new RegExp(`login.refused requestId=${id}`));
    expect(ledger.output()).not.toContain('typed-by-a-user');
  });

  it('ends when it is told to (SIGTERM)', async () => {
    const own = await startLedger({ PORT: '0', HTTP_ADAPTER: adapter });
    expect((await send(own.match[1] ?? '', '/health')).status).toBe(200);
    await own.stop('SIGTERM');
    await expect(send(own.match[1] ?? '', '/health')).rejects.toThrow(
      /ECONNREFUSED|ECONNRESET|hang up/,
    );
  });

  it('says in one line that its port is taken, with exit code 1', async () => {
    const env = { PORT: String(port), HTTP_ADAPTER: adapter };
    const { exitCode, stderr } = await runProcess({ args: [MAIN], cwd: ROOT, env });
    expect(exitCode).toBe(1);
    expect(stderr).toContain('  PORT: it is in use. Choose another, such as PORT=3001.');
    expect(stderr).not.toMatch(/^ {4}at /m);
  });

  it('writes nothing but JSON with LOG_FORMAT=json, and no password', async () => {
    const own = await startLedger({ PORT: '0', HTTP_ADAPTER: adapter, LOG_FORMAT: 'json' });
    await send(own.match[1] ?? '', '/me');
    await own.waitFor(/ERR_ACCESS_NO_CREDENTIALS/);
    await own.stop();
    const lines = own.output().trimEnd().split('\n');
    expect(lines.length).toBeGreaterThan(1);
    for (const line of lines) expect(JSON.parse(line)).toHaveProperty('message');
    expect(own.output()).not.toContain('-demo');
  });
});

describeWithRedis('two of the built sample app on one Redis', () => {
  const encryptionKey = randomBytes(32).toString('base64url');
  const clientSecret = randomBytes(32).toString('hex');
  let redis: RedisServer;
  let first: string;
  let second: string;
  beforeAll(async () => {
    recordSecret(encryptionKey);
    recordSecret(clientSecret);
    redis = await startRedis();
    const env = {
      PORT: '0',
      REDIS_URL: redis.url,
      JWT_KEY_ENCRYPTION_KEY: encryptionKey,
      OAUTH_CLIENT_SECRET: clientSecret,
    };
    const ledgers = await Promise.all(
      ADAPTERS.map((adapter) =>
        startLedger({ ...env, HTTP_ADAPTER: adapter, JWT_ISSUER: 'http://localhost' }),
      ),
    );
    [first = '', second = ''] = ledgers.map(({ match }) => match[1] ?? '');
  });
  afterAll(() => redis.stop());

  it('share keys: one logs in, the other knows the token, both publish the same', async () => {
    const alice = await tokenOf(first, 'alice');
    expect((await send(second, '/me', { token: alice })).status).toBe(200);
    expect(await kidsOf(second)).toEqual(await kidsOf(first));
    const { body } = await send(second, '/health');
    expect(JSON.parse(body)).toMatchObject({
      status: 'ok',
      storage: { name: 'redisStorage()', state: 'up' },
      key_ring: { mode: 'rotating', status: 'ok', keys: { signing: 1 } },
    });
  });

  it('hear of each other: what one compromises, the other refuses', async () => {
    const [alice, admin] = [await tokenOf(second, 'alice'), await tokenOf(first, 'admin')];
    const [kid = ''] = await kidsOf(first);
    const post = { method: 'POST', token: admin };
    expect((await send(first, `/admin/keys/nobody/compromise`, post)).status).toBe(404);
    const dry = await send(first, `/admin/keys/${kid}/compromise?dry_run=true`, post);
    const { sessions, ...plan } = JSON.parse(dry.body) as { readonly sessions: number };
    expect(plan).toEqual({ kid, phase: 'signing', successor: null });
    // Those two at least, and whoever logged in before.
    expect(sessions).toBeGreaterThanOrEqual(2);
    expect((await send(second, '/me', { token: alice })).status).toBe(200);

    const done = await send(first, `/admin/keys/${kid}/compromise`, post);
    expect(done.status).toBe(200);
    expect((await send(first, '/me', { token: admin })).status).toBe(401);
    const isRefused = async (): Promise<boolean> =>
      (await send(second, '/me', { token: alice })).status === 401;
    await eventually('the other refuses it', isRefused);
    const keys = await send(first, '/admin/keys', { token: await tokenOf(second, 'admin') });
    expect((JSON.parse(keys.body) as { kid: string; phase: string }[]).at(-1)).toMatchObject({
      kid,
      phase: 'compromised',
    });
  });

  it('store nothing that could be used: no private key, no token, in a dump of Redis', async () => {
    const { access_token: alice, refresh_token: refreshToken } = await logIn(first, 'alice');
    const names = (await redis.command('KEYS', '*')) as string[];
    // Beside the ring and the sessions only what the storage writes to see that it can.
    const KNOWN = /^ledger:(?:\{keyring\}$|probe:|sessions:\{[\w-]{22}\}$|session:\{[\w-]{22}\}:)/;
    expect(names.filter((name) => !KNOWN.test(name) && name !== 'ledger:{revocations}')).toEqual(
      [],
    );
    for (const name of names.filter((key) => key.startsWith('ledger:session:'))) {
      const session = String(await redis.command('HGETALL', name));
      expect(session).not.toContain('alice');
      for (const secret of [alice, refreshToken]) {
        for (let at = 4; at + 16 <= secret.length; at += 8) {
          expect(session).not.toContain(secret.slice(at, at + 16));
        }
      }
    }
    const ring = String(await redis.command('HGET', 'ledger:{keyring}', 'ring'));
    expect(ring.split('.')).toHaveLength(5);
    expect(ring).not.toContain(alice.split('.')[2]);
    const header = JSON.parse(
      Buffer.from(ring.split('.')[0] ?? '', 'base64url').toString(),
    ) as object;
    expect(header).toMatchObject({ alg: 'A256GCMKW', enc: 'A256GCM', typ: 'key-ring+jwe' });
  });

  const statusOf = async (url: string, token: string): Promise<number> =>
    (await send(url, '/me', { token })).status;
  /** How soon is what revocation-latency.spec.ts measures (SEMANTICS 3). */
  const refusedOn = (url: string, token: string): Promise<void> =>
    eventually('it is refused', async () => (await statusOf(url, token)) === 401);
  const post = (url: string, path: string, token: string, body?: unknown): Promise<Answer> =>
    send(url, path, { method: 'POST', token, body });

  it('log out everywhere: the session ends on both, the user’s other session goes on', async () => {
    const [phone, laptop] = [await tokenOf(first, 'alice'), await tokenOf(second, 'alice')];
    expect(await statusOf(second, phone)).toBe(200);
    expect((await post(first, '/auth/logout', phone)).status).toBe(204);
    expect(await statusOf(first, phone)).toBe(401);
    await refusedOn(second, phone);
    expect(await Promise.all([first, second].map((url) => statusOf(url, laptop)))).toEqual([
      200, 200,
    ]);
  });

  it.each([
    ['a token', ['jti', 'exp']],
    ['a session', ['sid']],
    ['a subject', ['sub']],
  ])('end %s of somebody else at an admin’s word', async (_what, names) => {
    const [admin, bob] = [await tokenOf(first, 'admin'), await tokenOf(second, 'bob')];
    const order = Object.fromEntries(names.map((name) => [name, claimsOf(bob)[name]]));
    expect((await post(second, '/admin/revocations', bob, order)).status).toBe(403);
    expect((await post(first, '/admin/revocations', admin, order)).status).toBe(202);
    expect(await statusOf(first, bob)).toBe(401);
    await refusedOn(second, bob);
    // Even of the same second: what is issued afterwards lives, wherever it is issued.
    const later = await tokenOf(second, 'bob');
    expect([await statusOf(first, later), await statusOf(second, later)]).toEqual([200, 200]);
  });

  it('end every other session of a user whose password changes, on both', async () => {
    const [own, other] = [await tokenOf(first, 'carol'), await tokenOf(second, 'carol')];
    const change = { password: 'carol-demo', new_password: 'carol-knows-better' };
    expect((await post(first, '/auth/password', own, change)).status).toBe(204);
    expect(await statusOf(first, other)).toBe(401);
    await refusedOn(second, other);
    expect([await statusOf(first, own), await statusOf(second, own)]).toEqual([200, 200]);
  });

  it('answer each other’s OAuth clients', async () => {
    const token = await tokenOf(first, 'alice');
    const ask = async (url: string): Promise<unknown> => {
      const client = { secret: clientSecret };
      return JSON.parse((await postForm(`${url}/oauth/introspect`, { token }, client)).body);
    };
    expect(await ask(second)).toMatchObject({ active: true, sub: 'alice' });
    const { status } = await postForm(`${first}/oauth/revoke`, { token }, { secret: clientSecret });
    expect(status).toBe(200);
    expect(await ask(first)).toEqual({ active: false });
    await refusedOn(second, token);
  });

  it('show in health and metrics that they keep up', async () => {
    for (const url of [first, second]) {
      const { revocation } = JSON.parse((await send(url, '/health')).body) as {
        readonly revocation: { readonly status: string; readonly entries: number };
      };
      expect(revocation).toMatchObject({ status: 'ok', lag_ms: expect.any(Number) });
      expect(revocation.entries).toBeGreaterThan(0);
      const { body } = await send(url, '/metrics');
      expect(body).toMatch(/^jwt_revocation_entries [1-9]/m);
      expect(body).toMatch(/^jwt_storage_up 1$/m);
    }
  });

  it('leave in Redis no name of who was logged out', async () => {
    const log = JSON.stringify(await redis.command('XRANGE', 'ledger:{log}:entries', '-', '+'));
    expect(log.length).toBeGreaterThan(100);
    expect(log).not.toMatch(/alice|bob|carol|admin/);
    const sid = String(claimsOf(await tokenOf(first, 'alice'))['sid']);
    expect(log).not.toContain(sid);
  });

  it('end everything, the word of the admin included, and go on', async () => {
    const [admin, alice] = [await tokenOf(first, 'admin'), await tokenOf(second, 'alice')];
    expect((await post(first, '/admin/revocations', admin, { all: true })).status).toBe(202);
    expect([await statusOf(first, admin), await statusOf(first, alice)]).toEqual([401, 401]);
    await refusedOn(second, admin);
    await refusedOn(second, alice);
    const later = await tokenOf(second, 'alice');
    expect([await statusOf(first, later), await statusOf(second, later)]).toEqual([200, 200]);
  });

  it('ask for the key that seals theirs, and say what a bad Redis URL looks like', async () => {
    const cases = [
      [{ REDIS_URL: redis.url }, /JWT_KEY_ENCRYPTION_KEY: it is missing/],
      [{ REDIS_URL: 'http://x', JWT_KEY_ENCRYPTION_KEY: encryptionKey }, /REDIS_URL: /],
      [{ REDIS_URL: redis.url, JWT_KEY_ENCRYPTION_KEY: 'c2hvcnQ' }, /JWT_KEY_ENCRYPTION_KEY: /],
      [
        { REDIS_URL: redis.url, JWT_KEY_ENCRYPTION_KEY: 'A'.repeat(43) },
        /JWT_KEY_ENCRYPTION_KEY: /,
      ],
    ] as const;
    for (const [env, problem] of cases) {
      const { exitCode, stderr } = await runProcess({ args: [MAIN], cwd: ROOT, env });
      expect(exitCode).toBe(1);
      expect(stderr).toMatch(problem);
      expect(stderr.trim().split('\n')).toHaveLength(2);
    }
  });
});

describeWithRedis('the built sample app when its Redis is gone', () => {
  it('promises no logout, then judges no token: 503 with Retry-After, never 401', async () => {
    const encryptionKey = randomBytes(32).toString('base64url');
    recordSecret(encryptionKey);
    const redis = await startRedis();
    const env = { PORT: '0', REDIS_URL: redis.url, JWT_KEY_ENCRYPTION_KEY: encryptionKey };
    const url = (await startLedger(env)).match[1] ?? '';
    const token = await tokenOf(url, 'alice');
    await redis.kill();

    const logout = await send(url, '/auth/logout', { method: 'POST', token });
    expect(logout).toMatchObject({ status: 503, body: '{"error":"temporarily_unavailable"}' });
    expect(logout.headers['retry-after']).toBe('5');
    // `outage.maxLag` is 5 s, counted by keys and by revocations each on their own.
    const statuses = new Set<number>();
    const isStale = async (): Promise<boolean> => {
      statuses.add((await send(url, '/me', { token })).status);
      const { body } = await send(url, '/health');
      const { revocation } = JSON.parse(body) as { readonly revocation: { status: string } };
      return statuses.has(503) && revocation.status === 'stale';
    };
    await eventually('it is stale', isStale);
    expect([...statuses].filter((status) => status !== 200)).toEqual([503]);
    const health = await send(url, '/health');
    expect(health.status).toBe(503);
    expect(JSON.parse(health.body)).toMatchObject({ status: 'unavailable' });
    expect((await send(url, '/metrics')).body).toMatch(/^jwt_revocation_stale 1$/m);

    await redis.restart();
    await eventually('it is back', async () => (await send(url, '/me', { token })).status === 200);
    expect((await send(url, '/auth/logout', { method: 'POST', token })).status).toBe(204);
    await redis.stop();
  });
});

describe('the built sample app in a bad environment', () => {
  it('lists every problem on a line of its own on stderr, with exit code 1 and no stack', async () => {
    const privateJwk = await newPrivateJwk();
    const jwk = JSON.stringify({ ...privateJwk, alg: 'HS256' });
    recordSecret(String(privateJwk.d));
    const env = {
      PORT: 'http',
      HTTP_ADAPTER: 'koa',
      LOG_FORMAT: 'xml',
      JWT_ISSUER: '',
      JWT_ACCESS_TTL: '900',
      JWT_PROFILE: 'fast',
      JWT_SIGNING_JWK: jwk,
    };
    const { exitCode, stdout, stderr } = await runProcess({ args: [MAIN], cwd: ROOT, env });
    expect(exitCode).toBe(1);
    expect(stdout).toBe('');
    const [title, ...lines] = stderr.trimEnd().split('\n');
    expect(title).toBe('ledger cannot start:');
    expect(lines.map((line) => /^ {2}(\w+): .+\. .+\.$/.exec(line)?.[1])).toEqual(
      expect.arrayContaining(Object.keys(env)),
    );
    expect(lines).toHaveLength(Object.keys(env).length);
  });
});
