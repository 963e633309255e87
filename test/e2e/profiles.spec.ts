import { createHmac, randomBytes } from 'node:crypto';
import { join } from 'node:path';

import jsonwebtoken from 'jsonwebtoken';

import type { AdapterName } from '../support/guarded-app.js';
import { closeConnections, send } from '../support/http.js';
import { freePort, type RunningProcess, runProcess, startProcess } from '../support/processes.js';
import { newPrivateJwk } from '../support/token-mother.js';
import { recordSecret } from '../support/witness.js';
import { tokenOf } from '../sample-app/log-in.js';

/**
 * The decision matrix, one story for each profile: the sample app as its operator starts it, from the
 * environment alone, and whoever meets it in processes of their own.
 */

const ROOT = join(__dirname, '../..');
const MAIN = join(ROOT, 'sample-app/dist/main.js');
const FIXTURES = join(__dirname, 'fixtures/profiles');

/** The shortest that a key may be known before it is used, where clocks may differ by 10 s. */
const SOON = '11s';

const MINUTE = 60_000;

interface Ledger {
  readonly process: RunningProcess;
  readonly url: string;
}

type Variables = Readonly<Record<string, string>>;

afterAll(closeConnections);

async function startLedger(adapter: AdapterName, variables: Variables): Promise<Ledger> {
  const port = await freePort();
  const process = await startProcess({
    args: [MAIN],
    cwd: ROOT,
    env: { PORT: String(port), HTTP_ADAPTER: adapter, ...variables },
    readyWhen: /ledger is ready on (http:\/\/localhost:\d+)/,
  });
  return { process, url: process.match[1] ?? '' };
}

function headerOf(token: string): Readonly<Record<string, unknown>> {
  const [header = ''] = token.split('.');
  return JSON.parse(Buffer.from(header, 'base64url').toString()) as Record<string, unknown>;
}

const statusOf = async (url: string, token: string, path = '/me'): Promise<number> =>
  (await send(url, path, { token })).status;

async function publishedBy(url: string): Promise<readonly { readonly kid: string }[]> {
  const { body } = await send(url, '/.well-known/jwks.json');
  return (JSON.parse(body) as { readonly keys: readonly { readonly kid: string }[] }).keys;
}

async function rotate(url: string): Promise<void> {
  const token = await tokenOf(url, 'admin');
  const { status } = await send(url, '/admin/keys/rotate', { method: 'POST', token });
  if (status !== 202) throw new Error(`rotating was answered with ${status}`);
}

/** Tokens of a user until one is signed with another key. */
async function tokenOfNextKey(url: string, before: string): Promise<string> {
  const { kid } = headerOf(before);
  for (const deadline = Date.now() + 2 * MINUTE; Date.now() < deadline;) {
    const token = await tokenOf(url, 'alice');
    if (headerOf(token)['kid'] !== kid) return token;
    await new Promise((resolve) => setTimeout(resolve, 500));
  }
  throw new Error('no other key came into use');
}

describe('service on Express', () => {
  it('another service verifies its tokens through a rotation, by what is published', async () => {
    const { process, url } = await startLedger('express', { JWT_PUBLISH_AHEAD: SOON });
    const verifier = await startProcess({
      args: [join(FIXTURES, 'verifier.mjs')],
      env: { ISSUER: url },
      readyWhen: /listening on (\S+)/,
    });
    const other = verifier.match[1] ?? '';
    const before = await tokenOf(url, 'alice');
    expect(headerOf(before)).toMatchObject({ alg: 'ES256', typ: 'at+jwt' });
    expect(await send(other, '/', { token: before })).toMatchObject({ status: 200, body: 'alice' });

    await rotate(url);
    expect(await publishedBy(url)).toHaveLength(2);
    const after = await tokenOfNextKey(url, before);
    for (const token of [before, after]) {
      expect(await statusOf(other, token)).toBe(200);
      expect(await statusOf(url, token)).toBe(200);
    }
    const forged = `${after.slice(0, -8)}AAAAAAAA`;
    expect([await statusOf(other, forged), await statusOf(url, forged)]).toEqual([401, 401]);
    await Promise.all([verifier.stop(), process.stop()]);
  });
});

describe('monolith on Fastify', () => {
  it('signs with secrets of its own, which rotate and are published nowhere', async () => {
    const variables = { JWT_PROFILE: 'monolith', JWT_PUBLISH_AHEAD: SOON };
    const [{ process, url }, other] = await Promise.all([
      startLedger('fastify', variables),
      startLedger('fastify', variables),
    ]);
    const before = await tokenOf(url, 'alice');
    expect(headerOf(before)).toMatchObject({ alg: 'HS256', typ: 'at+jwt' });
    expect(await statusOf(url, before)).toBe(200);
    // The same user, the same audience, another secret.
    expect(await statusOf(other.url, before)).toBe(401);

    await rotate(url);
    const after = await tokenOfNextKey(url, before);
    expect(headerOf(after)['alg']).toBe('HS256');
    for (const token of [before, after]) expect(await statusOf(url, token)).toBe(200);
    expect(await publishedBy(url)).toEqual([]);
    await Promise.all([process.stop(), other.process.stop()]);
  });
});

/** What an app with oauth4webapi came to: see the fixture. */
async function runBoundApp(
  url: string,
  { rotates }: { readonly rotates: boolean },
): Promise<Record<string, unknown>> {
  const { exitCode, stdout, stderr } = await runProcess({
    args: [join(FIXTURES, 'bound-app.mjs')],
    env: { CLIENT: JSON.stringify({ url, scope: 'accounts:read', rotates }) },
  });
  if (exitCode !== 0) throw new Error(`the app ended with ${exitCode}\n${stderr}`);
  return JSON.parse(stdout) as Record<string, unknown>;
}

/** What DPoP comes to in both profiles that ask for it. */
const BOUND = {
  unbound: 'invalid_dpop_proof',
  type: 'dpop',
  used: { byOwner: 200, byThief: 401, asBearer: 401, byOwnerAgain: 200 },
  refresh: { byOwner: 'accepted', byThief: 'invalid_grant', unbound: 'invalid_dpop_proof' },
};

describe('highSecurity on Fastify', () => {
  it('gives tokens that nobody can read or steal, also while its keys rotate', async () => {
    const { process, url } = await startLedger('fastify', {
      JWT_PROFILE: 'highSecurity',
      JWT_PUBLISH_AHEAD: SOON,
    });
    expect(await runBoundApp(url, { rotates: true })).toEqual({
      ...BOUND,
      lifetime: 300,
      header: { alg: 'A256KW', enc: 'A256GCM', typ: 'at+jwe', cty: 'JWT' },
      readable: false,
      rotation: { asked: 202, before: 200, after: 200, byThief: 401 },
    });
    // What encrypts is no key to verify with.
    const published = await publishedBy(url);
    expect(published.map((jwk) => (jwk as { readonly alg?: string }).alg)).toEqual([
      'ES256',
      'ES256',
    ]);
    // A password alone gets nobody in.
    const body = { username: 'alice', password: 'alice-demo' };
    expect((await send(url, '/auth/login', { method: 'POST', body })).status).not.toBe(200);
    await process.stop();
  });

  it('takes the keys of an operator from the environment', async () => {
    const [encryption, sealing] = [1, 2].map(() => randomBytes(32).toString('base64url'));
    const jwk = await newPrivateJwk();
    for (const secret of [encryption, sealing, jwk.d]) recordSecret(secret ?? '');
    const { process, url } = await startLedger('fastify', {
      JWT_PROFILE: 'highSecurity',
      JWT_SIGNING_JWK: JSON.stringify(jwk),
      JWT_TOKEN_ENCRYPTION_KEY: encryption ?? '',
      JWT_BINDING_SECRET: sealing ?? '',
    });
    expect(await runBoundApp(url, { rotates: false })).toMatchObject({ ...BOUND, readable: false });
    await process.stop();
  });
});

describe('native on Express', () => {
  it('logs an app in with PKCE and a key of its own, and nobody without', async () => {
    const { process, url } = await startLedger('express', { JWT_PROFILE: 'native' });
    expect(await runBoundApp(url, { rotates: false })).toEqual({
      ...BOUND,
      lifetime: 900,
      header: { alg: 'ES256', typ: 'at+jwt' },
      readable: true,
    });
    await process.stop();
  });
});

describe('legacy', () => {
  const SECRET = randomBytes(48).toString('base64');
  recordSecret(SECRET);

  /** As the old application made them. */
  function oldToken(claims: object = {}, secret = SECRET): string {
    const token = jsonwebtoken.sign({ sub: 'alice', ...claims }, secret, { expiresIn: '1h' });
    recordSecret(token);
    return token;
  }

  const legacy = (until: number): Variables => ({
    JWT_PROFILE: 'legacy',
    JWT_LEGACY_SECRET: SECRET,
    JWT_LEGACY_UNTIL: new Date(until).toISOString(),
  });

  it('on Fastify: old tokens are good beside new ones, which are ES256, until they are revoked', async () => {
    const { process, url } = await startLedger('fastify', legacy(Date.now() + 60 * MINUTE));
    const token = oldToken({ scope: 'accounts:read' });
    expect(await statusOf(url, token)).toBe(200);
    expect(await statusOf(url, token, '/accounts')).toBe(200);
    // What it does not say, it may not.
    expect(await statusOf(url, oldToken(), '/accounts')).toBe(403);

    const fresh = await tokenOf(url, 'alice');
    expect(headerOf(fresh)).toMatchObject({ alg: 'ES256', typ: 'at+jwt' });
    expect(await statusOf(url, fresh)).toBe(200);

    expect((await send(url, '/auth/logout', { method: 'POST', token })).status).toBe(204);
    expect(await statusOf(url, token)).toBe(401);
    expect(await statusOf(url, fresh)).toBe(200);
    await process.stop();
  });

  it('on Express: nobody forges one with what is published, and none comes in a cookie', async () => {
    const { process, url } = await startLedger('express', legacy(Date.now() + 60 * MINUTE));
    const { body } = await send(url, '/.well-known/jwks.json');
    const [jwk] = await publishedBy(url);
    for (const secret of [body, JSON.stringify(jwk), String(jwk?.kid), '', 'secret']) {
      const [header, payload] = oldToken().split('.');
      const input = `${header}.${payload}`;
      const forged = createHmac('sha256', secret).update(input).digest('base64url');
      expect(await statusOf(url, `${input}.${forged}`)).toBe(401);
    }
    const [, payload = ''] = oldToken().split('.');
    const none = Buffer.from('{"alg":"none","typ":"JWT"}').toString('base64url');
    expect(await statusOf(url, `${none}.${payload}.`)).toBe(401);
    const headers = { cookie: `__Host-access_token=${oldToken()}` };
    expect((await send(url, '/me', { headers })).status).toBe(401);
    await process.stop();
  });

  /** Asks until the date has passed: what was answered when, as far as only one answer is right. */
  async function watchTheEnd(
    lead: number,
  ): Promise<Readonly<Record<'before' | 'after', number[]>>> {
    const until = Date.now() + lead;
    const { process, url } = await startLedger('express', legacy(until));
    const token = oldToken();
    const answers = { before: [] as number[], after: [] as number[] };
    while (answers.after.length < 3) {
      const asked = Date.now();
      const status = await statusOf(url, token);
      // What was on its way at that moment may end either way.
      if (Date.now() < until) answers.before.push(status);
      if (asked >= until) answers.after.push(status);
      await new Promise((resolve) => setTimeout(resolve, 200));
    }
    answers.after.push(await statusOf(url, await tokenOf(url, 'alice')));
    await process.stop();
    return answers;
  }

  it('on Express: at its date, old tokens end, and nothing else', async () => {
    let answers = await watchTheEnd(10_000);
    // A machine that was too slow to see one accepted gets more time.
    for (let lead = 20_000; answers.before.length === 0; lead *= 2) {
      answers = await watchTheEnd(lead);
    }
    expect(new Set(answers.before)).toEqual(new Set([200]));
    expect(answers.after).toEqual([401, 401, 401, 200]);
  });

  it('on Fastify: starts after its date, and takes none', async () => {
    const { process, url } = await startLedger('fastify', legacy(Date.now() - MINUTE));
    expect(await statusOf(url, oldToken())).toBe(401);
    expect(await statusOf(url, await tokenOf(url, 'alice'))).toBe(200);
    await process.stop();
  });
});

describe('a profile that cannot be', () => {
  it.each([
    [{ JWT_PROFILE: 'high-security' }, ['JWT_PROFILE: it is none of its values']],
    [{ JWT_PROFILE: '' }, ['JWT_PROFILE: it is empty']],
    [
      { JWT_PROFILE: 'legacy' },
      ['JWT_LEGACY_SECRET: it is missing', 'JWT_LEGACY_UNTIL: it is missing'],
    ],
    [
      { JWT_PROFILE: 'legacy', JWT_LEGACY_SECRET: 'hunter2', JWT_LEGACY_UNTIL: 'soon' },
      [
        'JWT_LEGACY_SECRET: it has fewer than 32 bytes',
        'JWT_LEGACY_UNTIL: it is a text of another',
      ],
    ],
    [{ JWT_LEGACY_UNTIL: '2027-01-01' }, ['JWT_LEGACY_SECRET: it is set, and the profile is not']],
    [{ JWT_BINDING_SECRET: 'short' }, ['JWT_BINDING_SECRET: it is no such key']],
  ])('%j says what is wrong, a line each, and starts nothing', async (variables, said) => {
    const env: Variables = { PORT: '0', ...variables };
    const { exitCode, stderr } = await runProcess({ args: [MAIN], cwd: ROOT, env });
    expect(exitCode).toBe(1);
    const lines = stderr.trimEnd().split('\n').slice(1);
    expect(lines.map((line) => said.find((text) => line.startsWith(`  ${text}`)))).toEqual(said);
    expect(stderr).not.toContain('hunter2');
  });
});
