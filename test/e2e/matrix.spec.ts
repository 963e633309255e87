import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import {
  base64url,
  createRemoteJWKSet,
  exportJWK,
  generateKeyPair,
  type JWK,
  type JWTPayload,
  jwtVerify,
  SignJWT,
} from 'jose';

import { type Answer, closeConnections, send, sendRaw } from '../support/http.js';
import { type RunningProcess, runProcess, startProcess } from '../support/processes.js';
import { recordSecret } from '../support/witness.js';
import { compileFixture, type Format, FORMATS, installApp, packLibrary } from './app-folder.js';
import { findRuntimes, type Runtime } from './runtimes.js';
import { typeProblems } from './type-problems.js';

/**
 * The packed library in real applications: every Node, Nest, HTTP adapter and module format it is
 * offered for, in processes of their own. Each way to configure the module meets each Nest in each
 * format once.
 */

const NEST_PACKAGES = {
  11: [
    '@nestjs/common@11',
    '@nestjs/core@11',
    '@nestjs/platform-express@11',
    '@nestjs/platform-fastify@11',
    '@nestjs/config@4',
    '@nestjs/schedule@6',
  ],
  12: [
    '@nestjs/common@12',
    '@nestjs/core@12',
    '@nestjs/platform-express@12',
    '@nestjs/platform-fastify@12',
    '@nestjs/config@12',
    '@nestjs/schedule@12',
  ],
} as const;
type NestMajor = keyof typeof NEST_PACKAGES;
const NEST_MAJORS: readonly NestMajor[] = [11, 12];

const ADAPTERS = ['express', 'fastify'] as const;
const WAYS = ['forRoot', 'useFactory', 'useClass', 'useExisting', 'namespace', 'withSchedule'];

const ISSUER = 'https://issuer.example';
const AUDIENCE = 'https://api.example';
const ENVIRONMENT = { JWT_ISSUER: ISSUER, JWT_AUDIENCE: AUDIENCE, JWT_ACCESS_TTL: '10m' };

interface Platform {
  readonly runtime: Runtime;
  readonly node: string;
  readonly nest: NestMajor;
  readonly format: Format;
}

interface Combination extends Platform {
  readonly adapter: (typeof ADAPTERS)[number];
  readonly configured: string;
}

const root = mkdtempSync(join(tmpdir(), 'nest-jwt-hardening-e2e-'));
const folders = installApps();
// The apps are being installed while this waits for Node.
const { runtimes, missing } = findRuntimes(join(root, 'runtimes'));
if (missing.length > 0) {
  process.stderr.write(
    `\n!!! NOT TESTED END TO END: Node ${missing.join(' and ')}, which npm could not install here\n`,
  );
}

const platforms: readonly Platform[] = runtimes.flatMap((runtime) =>
  NEST_MAJORS.flatMap((nest) =>
    FORMATS.map((format) => ({ runtime, node: runtime.version, nest, format })),
  ),
);

/**
 * On the first Node each pair of Nest and format, on the others two of them, each on one adapter: every
 * two of the four meet. `MATRIX=full` plays all of them.
 */
function isPlayed(index: number, column: number): boolean {
  const row = Math.floor(index / 4);
  const pair = index % 4;
  const isChosen = row === 0 || (pair === 0 || pair === 3) === (row === 1);
  const isTurn = (row + index + column) % 2 === 0;
  return process.env['MATRIX'] === 'full' || (isChosen && isTurn);
}

const combinations: readonly Combination[] = platforms.flatMap((platform, index) =>
  ADAPTERS.flatMap((adapter, column) => {
    if (!isPlayed(index, column)) return [];
    // Three runtimes and two adapters: each pair of Nest and format meets all six ways.
    const row = Math.floor(index / 4);
    const way = (row + (index % 4) + column * 3) % WAYS.length;
    return [{ ...platform, adapter, configured: WAYS[way] ?? 'forRoot' }];
  }),
);

async function installApps(): Promise<ReadonlyMap<NestMajor, string>> {
  const tarball = await packLibrary(root);
  const installed = NEST_MAJORS.map(async (nest) => {
    const folder = await installApp(join(root, `nest-${nest}`), [
      tarball,
      ...NEST_PACKAGES[nest],
      'reflect-metadata',
      'rxjs',
      '@types/node@20',
    ]);
    await Promise.all(FORMATS.map((format) => compileFixture('app', folder, format)));
    return [nest, folder] as const;
  });
  return new Map(await Promise.all(installed));
}

beforeAll(async () => {
  await folders;
});

// Jest reports a rejection in the hook above; this keeps it from being unhandled before.
folders.catch(() => {});

afterAll(() => {
  closeConnections();
  rmSync(root, { recursive: true, force: true });
});

describe.each(combinations)(
  'Node $node, Nest $nest, $adapter, $format app, configured by $configured',
  ({ adapter, configured, ...platform }) => {
    let app: RunningProcess;
    let url: string;
    let alice: string;
    let admin: string;

    beforeAll(async () => {
      app = await startProcess({
        ...(await mainOf(platform)),
        env: {
          NO_COLOR: '1',
          HTTP_ADAPTER: adapter,
          CONFIGURED: configured,
          ...(configured === 'namespace' ? ENVIRONMENT : {}),
        },
        readyWhen: /listening on (http:\S+)/,
      });
      url = app.match[1] ?? '';
      alice = await issue({ sub: 'alice', scope: 'accounts:read', roles: ['user'] });
      admin = await issue({ sub: 'root', roles: ['admin'], permissions: ['keys:rotate'] });
    });

    afterAll(async () => {
      await app.stop('SIGKILL');
    });

    async function issue(claims: object, options: object = {}): Promise<string> {
      const answer = await send(url, '/tokens', {
        method: 'POST',
        body: { claims, ...options },
        handsOutTokens: 'yes',
      });
      expect(answer.status).toBe(201);
      const { access_token: token, expires_in: expiresIn } = JSON.parse(answer.body) as {
        readonly access_token: string;
        readonly expires_in: number;
      };
      recordSecret(token);
      expect(expiresIn).toBe(600);
      return token;
    }

    /** The log line of a refusal stands beside the id the client was given. */
    async function expectLogged(answer: Answer, code: string): Promise<void> {
      const requestId = String(answer.headers['x-request-id']);
      const [line] = await app.waitFor(new RegExp(`^.* requestId=${requestId} .*$`, 'm'));
      expect(line).toContain(`code=${code}`);
    }

    it('answers a @Public() route to everyone, and knows the caller only by a valid token', async () => {
      const callers = [];
      for (const token of [undefined, alice, `${alice}x`]) {
        const answer = await send(url, '/open', token === undefined ? {} : { token });
        expect(answer.status).toBe(200);
        callers.push(answer.body);
      }
      expect(callers).toEqual(['{"caller":null}', '{"caller":"alice"}', '{"caller":null}']);
    });

    it('challenges a request without credentials and gives no error code (RFC 6750 §3.1)', async () => {
      const answer = await send(url, '/me');
      expect(answer.status).toBe(401);
      expect(answer.headers['www-authenticate']).toBe('Bearer');
      expect(answer.body).toBe('{"error":"unauthorized"}');
      await expectLogged(answer, 'ERR_ACCESS_NO_CREDENTIALS');
    });

    it('refuses every bad token with the same answer, and logs which check failed (SEMANTICS 1)', async () => {
      const [header = '', payload = '', signature = ''] = alice.split('.');
      const { kid } = JSON.parse(base64urlText(header)) as { readonly kid: string };
      const claims = JSON.parse(base64urlText(payload)) as JWTPayload;
      const { privateKey } = await generateKeyPair('ES256');
      const typ = 'at+jwt';
      const publicKey = (await jwksOf(url)).keys[0];
      const bad: ReadonlyArray<readonly [string, string]> = [
        ['ERR_TOKEN_FORMAT', 'nonsense'],
        ['ERR_TOKEN_FORMAT', `${alice}=`],
        ['ERR_TOKEN_FORMAT', `${header}.${payload}`],
        ['ERR_TOKEN_FORMAT', `${json({ alg: 'none', typ, kid })}.${payload}.`],
        ['ERR_TOKEN_ALGORITHM', `${json({ alg: 'none', typ, kid })}.${payload}.${signature}`],
        [
          'ERR_TOKEN_ALGORITHM',
          await new SignJWT(claims)
            .setProtectedHeader({ alg: 'HS256', typ, kid })
            .sign(new TextEncoder().encode(JSON.stringify(publicKey))),
        ],
        ['ERR_TOKEN_SIGNATURE', `${header}.${json({ ...claims, sub: 'root' })}.${signature}`],
        [
          'ERR_TOKEN_SIGNATURE',
          await new SignJWT(claims).setProtectedHeader({ alg: 'ES256', typ, kid }).sign(privateKey),
        ],
        [
          'ERR_TOKEN_UNKNOWN_KEY',
          await new SignJWT(claims)
            .setProtectedHeader({ alg: 'ES256', typ, kid: 'another' })
            .sign(privateKey),
        ],
        ['ERR_TOKEN_TYPE', await issue({ sub: 'alice' }, { kind: 'logout' })],
        [
          'ERR_TOKEN_AUDIENCE',
          await issue({ sub: 'alice' }, { audience: 'https://other.example' }),
        ],
      ];
      const answers = new Set<string>();
      for (const [code, token] of bad) {
        recordSecret(token);
        const answer = await send(url, '/me', { token });
        await expectLogged(answer, code);
        answers.add(JSON.stringify({ ...answer, headers: { ...answer.headers, ...VOLATILE } }));
      }
      expect([...answers]).toEqual([expect.stringContaining('{"status":401,')]);
      const [only = ''] = answers;
      expect(only).toContain(String.raw`"www-authenticate":"Bearer error=\"invalid_token\""`);
      expect(only).toContain(String.raw`"body":"{\"error\":\"invalid_token\"}"`);

      const { codes } = JSON.parse((await send(url, '/admin/codes', { token: admin })).body) as {
        readonly codes: readonly string[];
      };
      expect(codes.slice(-bad.length)).toEqual(bad.map(([code]) => code));
    });

    it('hands the verified token to the handler', async () => {
      const answer = await send(url, '/me', { token: alice });
      expect(answer.status).toBe(200);
      expect(JSON.parse(answer.body)).toEqual({
        reached: 'me',
        subject: 'alice',
        same: true,
        kind: 'access',
        kid: (await jwksOf(url)).keys[0]?.kid,
        scopes: ['accounts:read'],
        roles: ['user'],
        permissions: [],
      });
    });

    it('lets through only who meets every demand, and names the missing scope (RFC 6750 §3.1)', async () => {
      const both = await issue({ sub: 'bob', scope: ['accounts:list', 'accounts:read'] });
      const operator = await issue({ sub: 'ops', roles: ['operator'] });
      const plain = 'Bearer error="insufficient_scope"';
      const cases: ReadonlyArray<readonly [string, string, string, string | undefined]> = [
        ['GET', '/accounts', both, undefined],
        ['GET', '/accounts', alice, `${plain}, scope="accounts:read accounts:list"`],
        ['GET', '/statements', alice, undefined],
        ['GET', '/statements', admin, plain],
        ['GET', '/documents/alice', alice, undefined],
        ['GET', '/documents/alice', both, plain],
        ['GET', '/admin/keys', operator, undefined],
        ['GET', '/admin/keys', alice, plain],
        ['POST', '/admin/keys/rotate', operator, plain],
      ];
      for (const [method, path, token, challenge] of cases) {
        const answer = await send(url, path, { method, token });
        const reached = answer.body.includes('reached');
        expect({ path, status: answer.status, reached }).toEqual({
          path,
          status: challenge === undefined ? 200 : 403,
          reached: challenge === undefined,
        });
        expect(answer.headers['www-authenticate']).toBe(challenge);
        if (challenge === undefined) continue;
        expect(answer.body).toBe('{"error":"insufficient_scope"}');
        await expectLogged(answer, 'ERR_ACCESS_DENIED');
      }
    });

    it('guards HEAD like GET (SEMANTICS 5)', async () => {
      const statuses = [];
      for (const [path, token] of [
        ['/me', undefined],
        ['/me', alice],
        ['/accounts', alice],
      ] as const) {
        const options = token === undefined ? {} : { token };
        const answer = await send(url, path, { method: 'HEAD', ...options });
        expect(answer.body).toBe('');
        statuses.push(answer.status);
      }
      expect(statuses).toEqual([401, 200, 403]);
    });

    it('lets no spelling of a path reach a handler without its rights (SEMANTICS 5)', async () => {
      const spellings = [
        '/me/',
        '//me',
        '/me//',
        '/./me',
        '/open/../me',
        '/open/%2e%2e/me',
        '/%6d%65',
        '/me%2f',
        '/me%00',
        '/me%20',
        '/ME',
        '/me;v=1',
        '/me?open',
        '/me#open',
        '/me.json',
        String.raw`/\me`,
        '/.well-known/jwks.json/../../me',
        '/admin/keys/',
        '/ADMIN/keys',
        '/tokens/../admin/keys',
        '/documents/alice/',
        '/documents/%61lice',
        '*',
      ];
      for (const path of spellings) {
        const attempts = [
          await send(url, path),
          await send(url, path, { method: 'HEAD' }),
          await send(url, path, { method: 'POST', headers: { 'x-http-method-override': 'GET' } }),
          await send(url, `/admin${path}`, { token: alice }),
        ];
        for (const { status, body } of attempts) {
          expect({
            path,
            status: [400, 401, 403, 404].includes(status) ? 'refused' : status,
          }).toEqual({ path, status: 'refused' });
          expect(body).not.toContain('reached');
        }
      }
    });

    it('refuses a request that carries two tokens, or a token in the query (RFC 6750 §2, §3.1)', async () => {
      const header = `Authorization: Bearer ${alice}\r\n`;
      const head = 'Host: api.example\r\nConnection: close\r\n';
      const twice = await sendRaw(url, `GET /me HTTP/1.1\r\n${head}${header}${header}\r\n`);
      expect(twice).toMatch(/^HTTP\/1\.1 400 /);
      expect(twice).toMatch(/\{"error":"invalid_request"\}/);

      const both = await send(url, `/me?access_token=${alice}`, { token: alice });
      expect([both.status, both.body]).toEqual([400, '{"error":"invalid_request"}']);
      await expectLogged(both, 'ERR_ACCESS_AMBIGUOUS_CREDENTIALS');

      const query = await send(url, `/me?access_token=${alice}`);
      expect([query.status, query.body]).toEqual([401, '{"error":"unauthorized"}']);
    });

    it('serves the JWKS with a strong ETag, 304 and a lifetime (RFC 7517 §8.5, RFC 9110 §13)', async () => {
      const answer = await send(url, '/.well-known/jwks.json', { token: 'a wrong one' });
      expect(answer.status).toBe(200);
      expect(answer.headers['content-type']).toMatch(/^application\/jwk-set\+json/);
      expect(answer.headers['cache-control']).toBe('public, max-age=300');
      const { etag = '' } = answer.headers;
      expect(etag).toMatch(/^"[\w-]+"$/);
      const { keys } = JSON.parse(answer.body) as { readonly keys: readonly JWK[] };
      expect(keys.map((key) => Object.keys(key).toSorted())).toEqual([
        ['alg', 'crv', 'kid', 'kty', 'use', 'x', 'y'],
      ]);

      for (const [tag, status] of [
        [etag, 304],
        [`"other", W/${etag}`, 304],
        ['"other"', 200],
      ] as const) {
        const again = await send(url, '/.well-known/jwks.json', {
          headers: { 'if-none-match': tag },
        });
        expect([again.status, again.headers.etag]).toEqual([status, etag]);
        expect(again.body).toBe(status === 304 ? '' : answer.body);
      }
    });

    it('rotates: both keys are published, the old one still signs, its tokens still count', async () => {
      const remote = createRemoteJWKSet(new URL('/.well-known/jwks.json', url));
      const verify = (token: string): ReturnType<typeof jwtVerify> =>
        jwtVerify(token, remote, {
          issuer: ISSUER,
          audience: AUDIENCE,
          typ: 'at+jwt',
          algorithms: ['ES256'],
          requiredClaims: ['exp', 'iat', 'nbf', 'jti', 'sub'],
        });
      const before = await send(url, '/.well-known/jwks.json');
      expect((await verify(alice)).payload.sub).toBe('alice');

      const rotated = await send(url, '/admin/keys/rotate', { method: 'POST', token: admin });
      expect(rotated.status).toBe(201);
      const { kid: successor } = JSON.parse(rotated.body) as { readonly kid: string };
      await app.waitFor(new RegExp(`key\\.published kid=${successor} `));

      const after = await send(url, '/.well-known/jwks.json', {
        headers: { 'if-none-match': String(before.headers.etag) },
      });
      expect(after.status).toBe(200);
      const [first, second, ...more] = (JSON.parse(after.body) as { readonly keys: JWK[] }).keys;
      expect([second?.kid, more]).toEqual([successor, []]);

      const fresh = await issue({ sub: 'bob' });
      for (const [token, subject] of [
        [alice, 'alice'],
        [fresh, 'bob'],
      ] as const) {
        expect((await send(url, '/me', { token })).status).toBe(200);
        const { payload, protectedHeader } = await verify(token);
        expect([payload.sub, protectedHeader.kid]).toEqual([subject, first?.kid]);
      }
      const again = await send(url, '/admin/keys/rotate', { method: 'POST', token: admin });
      expect(JSON.parse(again.body)).toMatchObject({ kid: successor });
    });

    it('lists every route with its demands (SEMANTICS 5)', async () => {
      const { routes } = JSON.parse((await send(url, '/admin/routes', { token: admin })).body) as {
        readonly routes: ReadonlyArray<Record<'method' | 'path', string> & { demands: string[] }>;
      };
      const table = routes.map(({ method, path, demands }) =>
        [method, path, ...demands.toSorted()].join(' '),
      );
      expect(table.toSorted()).toEqual([
        'GET /.well-known/jwks.json public',
        'GET /accounts scopes(accounts:read, accounts:list)',
        'GET /admin/codes roles(admin | operator)',
        'GET /admin/intervals roles(admin | operator)',
        'GET /admin/keys roles(admin | operator)',
        'GET /admin/routes roles(admin | operator)',
        'GET /documents/:owner policy(isOwner)',
        'GET /me token',
        'GET /open public',
        'GET /statements anyScope(accounts:read | statements:read)',
        'POST /admin/keys/rotate permissions(keys:rotate) roles(admin | operator)',
        'POST /tokens public',
      ]);
    });

    it('runs the rotation in the scheduler of the application, if it has one', async () => {
      const { body } = await send(url, '/admin/intervals', { token: admin });
      const intervals = configured === 'withSchedule' ? ['nest-jwt-hardening:key-rotation'] : null;
      expect(JSON.parse(body)).toEqual({ intervals });
    });

    it('lets the process end by itself once the app is closed, and warned of nothing', async () => {
      expect(await app.stop('SIGTERM')).toBe(0);
      expect(app.output('stderr')).toBe('');
    });
  },
);

/** Each of the ways to be refused at the start meets each Node, and each Nest in each format, once. */
const REFUSALS = ['contradiction', 'options', 'environment'] as const;

function platformsOf(refusal: (typeof REFUSALS)[number]): readonly Platform[] {
  return platforms.filter(
    (_, index) => REFUSALS[(Math.floor(index / 4) + index) % REFUSALS.length] === refusal,
  );
}

describe('an app that is put together wrong', () => {
  it.each(platformsOf('contradiction'))(
    'does not start with a contradiction of decorators (SEMANTICS 5): Node $node, Nest $nest, $format app',
    async (platform) => {
      const message = await refusalToStart(platform, { CONTROLLERS: 'contradictory' });
      expect(message).toContain('nest-jwt-hardening cannot start, 1 problem to fix:');
      expect(message).toContain(
        'ContradictoryController.contradiction: it is @Public() and also demands scopes(accounts:read). Remove',
      );
    },
  );

  it.each(platformsOf('options'))(
    'does not start with wrong options, and lists all of them: Node $node, Nest $nest, $format app',
    async (platform) => {
      const message = await refusalToStart(platform, { CONFIGURED: 'wrong' });
      expect(message).toContain('nest-jwt-hardening cannot start, 5 problems to fix:');
      for (const problem of [
        'issuer: it is an empty text. Write',
        'audience: it is an empty list. Name',
        'keys.publishAhead: it is a text of another form. Write',
        'tokens.accessTTL: it is not an option. Did you mean accessTtl?',
        "tokens.leeway: it is too long. Write at most '1m'",
      ]) {
        expect(message).toContain(`  - ${problem}`);
      }
    },
  );

  it.each(platformsOf('environment'))(
    'does not start with a wrong environment, lists all of it and repeats no secret: Node $node, Nest $nest, $format app',
    async (platform) => {
      const { privateKey } = await generateKeyPair('ES256', { extractable: true });
      const { x: _, ...half } = await exportJWK(privateKey);
      const secret = String(half.d);
      recordSecret(secret);
      const message = await refusalToStart(platform, {
        CONFIGURED: 'namespace',
        JWT_AUDIENCE: '',
        JWT_ACCESS_TTL: 'soon',
        JWT_SIGNING_JWK: JSON.stringify({ ...half, alg: 'ES256' }),
      });
      expect(message).toContain('nest-jwt-hardening cannot start, 4 problems to fix:');
      for (const variable of ['JWT_ISSUER', 'JWT_AUDIENCE', 'JWT_ACCESS_TTL', 'JWT_SIGNING_JWK']) {
        expect(message).toMatch(new RegExp(`^ {2}- ${variable}: `, 'm'));
      }
      expect(message).not.toContain(secret);
    },
  );
});

it.each(NEST_MAJORS)(
  'type-checks in apps of both formats on Nest %i, its declarations included',
  async (nest) => {
    const folder = (await folders).get(nest) ?? '';
    const sources = FORMATS.map((format) => join(folder, `app-${format}`));
    expect(typeProblems(folder, sources)).toEqual([]);
  },
);

/** Headers that differ between any two answers. */
const VOLATILE = { 'x-request-id': '', date: '' };

async function mainOf({ runtime, nest, format }: Platform): Promise<{
  readonly command: string;
  readonly args: readonly string[];
  readonly cwd: string;
}> {
  const cwd = join((await folders).get(nest) ?? '', `app-${format}`);
  return { command: runtime.command, args: ['main.js'], cwd };
}

/** What the app says when it refuses to start. */
async function refusalToStart(
  platform: Platform,
  env: Readonly<Record<string, string>>,
): Promise<string> {
  const ended = await runProcess({ ...(await mainOf(platform)), env: { NO_COLOR: '1', ...env } });
  expect(ended.exitCode).toBe(1);
  expect(ended.stdout).not.toContain('listening on');
  return ended.stderr;
}

async function jwksOf(url: string): Promise<{ readonly keys: readonly JWK[] }> {
  const { body } = await send(url, '/.well-known/jwks.json');
  return JSON.parse(body) as { readonly keys: readonly JWK[] };
}

function json(value: object): string {
  return base64url.encode(JSON.stringify(value));
}

function base64urlText(part: string): string {
  return new TextDecoder().decode(base64url.decode(part));
}
