import { createPublicKey, generateKeyPairSync, randomBytes } from 'node:crypto';

import { resolveConfig, type ResolvedConfig } from '../../lib/config/resolve-config.js';
import { TestClock } from '../support/test-clock.js';
import { newPrivateJwk } from '../support/token-mother.js';
import { recordSecret } from '../support/witness.js';
import { problemsOf, refusalOf, REQUIRED, saidOf } from './config-problems.js';

const DAY = 86_400_000;
const NOW = Date.UTC(2026, 10, 22, 12);
const secret = randomBytes(32).toString('base64');
recordSecret(secret);

function read(legacy: object = {}, options: object = {}): Promise<ResolvedConfig> {
  const written = {
    ...REQUIRED,
    profile: 'legacy',
    legacy: { secrets: secret, until: '2027-03-31', ...legacy },
    ...options,
  };
  return resolveConfig(written, 'test', new TestClock(NOW));
}

const legacyOf = async (
  attempt: Promise<ResolvedConfig>,
): Promise<ResolvedConfig['tokens']['legacy']> => (await attempt).tokens.legacy;

describe('legacy', () => {
  it('has these defaults', async () => {
    const { legacy, maxLifetime } = (await read()).tokens;
    expect(legacy).toEqual({
      secrets: [expect.anything()],
      until: Date.UTC(2027, 2, 31),
      kid: null,
      claims: { issuer: null, audience: null, subject: 'text' },
      maxLifetime: 86_400,
    });
    // What is issued from now on is as short as ever.
    expect(maxLifetime).toBe(3600);
    expect([legacy, legacy?.claims, legacy?.secrets].every(Object.isFrozen)).toBe(true);
  });

  it('takes what is written', async () => {
    const legacy = {
      issuer: 'old-app',
      audience: 'old-api',
      kid: 'key-1',
      subject: 'number',
      maxLifetime: '2h',
      until: '2026-12-24T17:30:00Z',
    };
    expect(await legacyOf(read(legacy))).toMatchObject({
      until: Date.UTC(2026, 11, 24, 17, 30),
      kid: 'key-1',
      claims: { issuer: 'old-app', audience: 'old-api', subject: 'number' },
      maxLifetime: 7200,
    });
    const { revocation } = await read(legacy);
    expect([...revocation.maxLifetimes.values()]).toEqual([7200]);
  });

  it('is for its profile only, and its profile only with it', async () => {
    for (const profile of [undefined, 'service', 'monolith', 'highSecurity', 'native']) {
      expect(await saidOf(read({}, { profile }))).toEqual([
        "legacy: it is set, and the profile is not 'legacy'",
      ]);
    }
    for (const legacy of [undefined, {}]) {
      expect(await saidOf(read({}, { legacy }))).toEqual([
        'legacy.secrets: it is missing',
        'legacy.until: it is missing',
      ]);
    }
    for (const legacy of [null, [], 'secret', 7]) {
      expect(await saidOf(read({}, { legacy }))).toEqual([
        expect.stringMatching(/^legacy: it is /),
      ]);
    }
  });

  it.each([
    ['issuer', ['', 7, {}, 'i'.repeat(2_049)]],
    ['audience', ['', 7, ['a'], 'a'.repeat(256)]],
    ['kid', ['', 7, 'a b', 'k'.repeat(129)]],
    ['subject', ['id', '', null, 7]],
    ['maxLifetime', ['25h', '0s', '1500ms', 3600, null]],
    ['dangerouslyAllowWeakSecrets', ['yes', 1, null]],
    ['secret', ['x']],
  ])('refuses legacy.%s that is none', async (name, values) => {
    for (const value of values as readonly unknown[]) {
      expect(await problemsOf(read({ [name]: value }))).toEqual([
        expect.objectContaining({ path: `legacy.${name}` }),
      ]);
    }
  });
});

describe('legacy.until', () => {
  it.each([
    ['2027-12-27', Date.UTC(2027, 11, 27)],
    ['2026-11-22T12:00:01Z', NOW + 1_000],
    ['2026-11-22T12:00:00.001Z', NOW + 1],
  ])('%s', async (until, instant) => {
    expect((await legacyOf(read({ until })))?.until).toBe(instant);
  });

  it('may be 400 days ahead and not a moment more', async () => {
    const at = (ms: number): string => new Date(NOW + ms).toISOString();
    expect((await legacyOf(read({ until: at(400 * DAY) })))?.until).toBe(NOW + 400 * DAY);
    const over = read({ until: at(400 * DAY + 1) });
    expect(await saidOf(over)).toEqual(['legacy.until: it is more than 400 days ahead']);
  });

  it.each(['2026-11-22', '2026-11-22T12:00:00Z', '2025-01-01', '1970-01-01'])(
    '%s has passed, which stops no start',
    async (until) => {
      expect((await legacyOf(read({ until })))?.until).toBe(Date.parse(until));
    },
  );

  it.each([
    '',
    '31.03.2027',
    '2027-3-31',
    '2027-02-30',
    '2027-04-31',
    '2027-13-01',
    '2027-00-10',
    '2027-03-31T24:00:00Z',
    '2027-03-31T23:59:60Z',
    '2027-03-31T06:00:00',
    '2027-03-31T06:00:00+02:00',
    '2027-03-31 06:00:00Z',
    '2027-03-31T06:00Z',
    ' 2027-03-31',
    '+012027-03-31',
    '9999-12-31T23:59:59.9Z',
    'never',
    '400d',
    1_806_451_200,
    new Date(NOW),
    null,
    Infinity,
  ])('%j is no instant', async (until) => {
    expect(await problemsOf(read({ until }))).toEqual([
      {
        path: 'legacy.until',
        problem: expect.stringMatching(/^it is /),
        fix: expect.stringContaining("such as '2027-03-31'"),
      },
    ]);
  });
});

describe('legacy.secrets', () => {
  const bytesOf = async (secrets: unknown): Promise<readonly string[] | undefined> =>
    (await legacyOf(read({ secrets })))?.secrets.map((key) => key.export().toString('hex'));

  it('takes a text for its bytes, as the old libraries do, and bytes for themselves', async () => {
    const decoded = Buffer.from(secret, 'base64');
    expect(await bytesOf(secret)).toEqual([Buffer.from(secret).toString('hex')]);
    expect(await bytesOf(decoded)).toEqual([decoded.toString('hex')]);
    expect(await bytesOf(new Uint8Array(decoded))).toEqual([decoded.toString('hex')]);
    expect(await bytesOf([secret, decoded])).toHaveLength(2);
  });

  it('keeps its own copy of the bytes', async () => {
    const given = Buffer.from(secret, 'base64');
    const legacy = await legacyOf(read({ secrets: given }));
    const before = given.toString('hex');
    given.fill(0);
    expect(legacy?.secrets[0]?.export().toString('hex')).toBe(before);
  });

  it.each([
    undefined,
    null,
    '',
    7,
    {},
    [],
    [''],
    [secret, null],
    Buffer.alloc(0),
    'x'.repeat(16_385),
    '\ud800',
  ])('%j is none', async (secrets) => {
    const problems = await problemsOf(read({ secrets }));
    expect(problems).toHaveLength(1);
    expect(problems[0]?.path).toMatch(/^legacy\.secrets(?:\.\d)?$/);
  });

  it('names each once', async () => {
    const twice = read({ secrets: [secret, Buffer.from(secret)] });
    expect(await saidOf(twice)).toEqual(['legacy.secrets.1: it is there twice']);
  });

  const WEAK = [
    ['short', 'hunter2'],
    ['leaked', 'your-256-bit-secret'],
    ['leaked and long enough', 'a-string-secret-at-least-256-bits-long'],
    ['guessable', 'correct horse battery staple correct horse'],
    ['one that says so itself', `changeme-${randomBytes(32).toString('hex')}`],
    ['zeros', Buffer.alloc(32)],
    ['a UUID', '6c84fb90-12c4-11e1-840d-7b25c5ee775a'],
  ] as const;

  it.each(WEAK)('refuses a weak one, %s, unless that is asked for', async (_rule, weak) => {
    const error = await refusalOf(read({ secrets: weak }));
    expect(error.problems.map(({ path }) => path)).toEqual(['legacy.secrets']);
    expect(error.message).toContain('dangerouslyAllowWeakSecrets: true');
    expect(error.message).not.toContain(weak.toString());
    // Beside a strong one it forges just as well.
    expect(await saidOf(read({ secrets: [secret, weak] }))).toHaveLength(1);
    const legacy = await legacyOf(read({ secrets: weak, dangerouslyAllowWeakSecrets: true }));
    expect(legacy?.secrets[0]?.export()).toEqual(Buffer.from(weak));
  });

  it.each([true, false])(
    'refuses what is no secret at all, weak ones allowed: %s',
    async (dangerouslyAllowWeakSecrets) => {
      const { publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
      const { publicKey: rsa } = generateKeyPairSync('rsa', { modulusLength: 2048 });
      const { d: _, ...jwk } = await newPrivateJwk();
      const der = publicKey.export({ type: 'spki', format: 'der' });
      const point = createPublicKey({ key: jwk, format: 'jwk' }).export({ format: 'jwk' });
      const [x = '', y = ''] = [point.x, point.y];
      const impostors = [
        publicKey.export({ type: 'spki', format: 'pem' }),
        rsa.export({ type: 'spki', format: 'pem' }),
        rsa.export({ type: 'pkcs1', format: 'pem' }).toString().replaceAll('\n', '\\n'),
        der,
        der.toString('base64'),
        der.toString('hex'),
        rsa.export({ type: 'pkcs1', format: 'der' }),
        JSON.stringify(jwk),
        JSON.stringify({ keys: [jwk] }),
        Buffer.from(JSON.stringify(jwk)).toString('base64url'),
        Buffer.concat([Buffer.of(4), Buffer.from(x, 'base64url'), Buffer.from(y, 'base64url')]),
      ];
      for (const impostor of impostors) {
        const attempt = read({ secrets: impostor, dangerouslyAllowWeakSecrets });
        expect(await problemsOf(attempt)).toEqual([
          expect.objectContaining({
            path: 'legacy.secrets',
            problem: expect.stringMatching(/^it is (?:a|an) .*, and no shared secret$/),
          }),
        ]);
      }
    },
  );

  it('is in no other slot, neither as text nor as bytes', async () => {
    const bytes = randomBytes(32);
    const text = bytes.toString('base64url');
    recordSecret(text);
    const others = [
      { keys: { encryptionKeys: text } },
      { keys: { encryptionKeys: [randomBytes(32).toString('base64url'), text] } },
      { binding: { secrets: text } },
    ];
    for (const options of others) {
      for (const secrets of [text, bytes]) {
        expect(await saidOf(read({ secrets }, options))).toEqual([
          'legacy.secrets: it is a secret of another option, too',
        ]);
      }
    }
  });

  it('is never repeated by a problem', async () => {
    const known = randomBytes(24).toString('hex');
    recordSecret(known);
    const error = await refusalOf(read({ secrets: [`-----BEGIN ${known}`, known, known] }));
    expect(error.message).not.toContain(known);
  });
});

describe('what legacy tokens could not agree with', () => {
  it('binding that every token needs', async () => {
    const binding = { dpop: {}, required: ['dpop'] };
    expect(await saidOf(read({}, { binding }))).toEqual([
      'binding.required: legacy tokens are bound to nobody',
    ]);
    expect(await legacyOf(read({}, { binding: { dpop: {} } }))).not.toBeNull();
  });

  it('encryption that every token needs', async () => {
    expect(await saidOf(read({}, { tokens: { encryption: {} } }))).toEqual([
      'tokens.encryption.accept: legacy tokens are not encrypted',
    ]);
    const both = { encryption: { accept: 'both' } };
    expect(await legacyOf(read({}, { tokens: both }))).not.toBeNull();
  });

  it('another issuer of that name, with keys of its own', async () => {
    const trust = [{ issuer: 'https://other.example', jwksUri: 'https://other.example/jwks' }];
    const legacy = { issuer: 'https://other.example' };
    expect(await saidOf(read(legacy, { trust }))).toEqual([
      'legacy.issuer: it is one of trust, whose keys are its own',
    ]);
    // This service itself is no other.
    expect(await legacyOf(read({ issuer: REQUIRED.issuer }, { trust }))).not.toBeNull();
  });

  it('a key that looks as if it had signed them', async () => {
    const signingKey = { ...(await newPrivateJwk()), kid: 'legacy' };
    expect(await saidOf(read({}, { keys: { signingKey } }))).toEqual([
      'keys.signingKey.kid: a key has the kid of legacy tokens',
    ]);
    const keys = { signingKey: await newPrivateJwk(), previousKeys: [signingKey] };
    expect(await saidOf(read({}, { keys }))).toEqual([
      'keys.signingKey.kid: a key has the kid of legacy tokens',
    ]);
  });
});
