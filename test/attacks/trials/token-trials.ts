import {
  createHmac,
  createPublicKey,
  generateKeyPairSync,
  type KeyObject,
  randomBytes,
} from 'node:crypto';

import { secretsEqual } from '../../../lib/kernel/constant-time.js';
import { TokenError } from '../../../lib/kernel/errors.js';
import { parseStrictJson } from '../../../lib/kernel/strict-json.js';
import { importSigningKey, type PrivateJwk } from '../../../lib/keys/key-material.js';
import { memoryStorage } from '../../../lib/storage/memory/memory-storage.js';
import { TOKEN_TYPES, type TokenKind } from '../../../lib/tokens/claims.js';
import { forgeAccess, openIssuer, validClaims } from '../../support/token-mother.js';
import { cost, expectRefused, type Lab, refusedCheaply } from './lab.js';
import { noStart } from './start-trials.js';

/** Attacks on the verifier that need more than a row. */

function encode(part: object): string {
  return Buffer.from(JSON.stringify(part)).toString('base64url');
}

function hmacToken(secret: Buffer, header: object, claims: object): string {
  const input = `${encode(header)}.${encode(claims)}`;
  return `${input}.${createHmac('sha256', secret).update(input).digest('base64url')}`;
}

/** What verifiers have mistaken for a shared secret: the public key in any of its texts. */
function textsOf(key: KeyObject): readonly Buffer[] {
  const types =
    key.asymmetricKeyType === 'rsa' ? (['spki', 'pkcs1'] as const) : (['spki'] as const);
  const pems = types.map((type) => key.export({ type, format: 'pem' }).toString());
  const jwk = key.export({ format: 'jwk' });
  return [
    ...pems.flatMap((pem) => [pem, pem.trim(), ` ${pem}`, `\n${pem}`, `# comment\n${pem}`]),
    ...pems.map((pem) => pem.replaceAll('\n', '\r\n')),
    ...pems.map((pem) => pem.replaceAll(/-----[^-]+-----|\s/g, '')),
    JSON.stringify(jwk),
    JSON.stringify({ keys: [jwk] }),
    jwk.n ?? jwk.x ?? '',
  ]
    .map((text) => Buffer.from(text))
    .concat(types.map((type) => key.export({ type, format: 'der' })));
}

/** HS256 keyed with a text of the service's RSA key. */
export async function rsaKeyAsSecret(): Promise<void> {
  const { privateKey } = generateKeyPairSync('rsa', { modulusLength: 2048 });
  const jwk = { ...privateKey.export({ format: 'jwk' }), alg: 'RS256' } as PrivateJwk;
  const { keyRing, tokens, clock } = await openIssuer({ keys: { signingKey: jwk } });
  const { kid } = await keyRing.signingKey();
  for (const secret of textsOf(createPublicKey(privateKey))) {
    const token = hmacToken(secret, { alg: 'HS256', typ: 'at+jwt', kid }, validClaims(clock));
    await expect(tokens.verify(token)).rejects.toMatchObject({ code: 'ERR_TOKEN_ALGORITHM' });
  }
}

/** HS256 keyed with the live key in OpenSSH's text form (RFC 5656 §3.1). */
export async function sshKeyAsSecret(lab: Lab): Promise<void> {
  const { x = '', y = '' } = lab.key.publicJwk;
  const coordinates = [x, y].map((text) => Buffer.from(text, 'base64url'));
  const fields = ['ecdsa-sha2-nistp256', 'nistp256', Buffer.concat([Buffer.of(4), ...coordinates])];
  const blob = fields.flatMap((field) => {
    const length = Buffer.alloc(4);
    length.writeUInt32BE(field.length);
    return [length, Buffer.from(field)];
  });
  const text = `ecdsa-sha2-nistp256 ${Buffer.concat(blob).toString('base64')}`;
  const header = { alg: 'HS256', typ: 'at+jwt', kid: lab.key.kid };
  for (const secret of [text, `${text} me@host`, `${text}\n`, ` ${text}`]) {
    await expectRefused(lab, hmacToken(Buffer.from(secret), header, lab.claims()));
  }
}

/** Claims of 30 KB that would occupy a backtracking pattern, signed by the live key. */
export async function longClaims(lab: Lab): Promise<void> {
  const text = `${'a'.repeat(30_000)}!`;
  for (const name of ['aud', 'iss', 'sub']) {
    await refusedCheaply(lab, await forgeAccess(lab.key, { ...lab.claims(), [name]: text }));
  }
  // As long as a token may be.
  const fitting = `${'a'.repeat(5_000)}!`;
  for (const name of ['aud', 'iss', 'sub', 'scope', 'roles']) {
    await refusedCheaply(
      lab,
      await forgeAccess(lab.key, { ...lab.claims(), [name]: `${fitting} ` }),
    );
  }
  await noStart({ issuer: /^https:/ }, { audience: /api/ }, { audience: [/api/] })(lab);
}

export async function manyDots(lab: Lab): Promise<void> {
  for (const count of [8_000, 10_000, 1_000_000]) {
    await refusedCheaply(lab, '.'.repeat(count));
    await refusedCheaply(lab, `${lab.valid}${'.'.repeat(count)}`);
  }
}

export async function longSegments(lab: Lab): Promise<void> {
  const [header, payload, signature] = lab.valid.split('.');
  const long = 'A'.repeat(1_048_576);
  await refusedCheaply(lab, `${long}.${payload}.${signature}`);
  await refusedCheaply(lab, `${header}.${long}.${signature}`);
  await refusedCheaply(lab, `${header}.${payload}.${long}`);
}

export async function deepNesting(lab: Lab): Promise<void> {
  for (const [open, close] of [
    ['[', ']'],
    ['{"a":', '}'],
  ] as const) {
    const nested = (depth: number): string => `${open.repeat(depth)}1${close.repeat(depth)}`;
    const text = Buffer.from(`{"x":${nested(20_000)}}`);
    expect(parseStrictJson(text)).toBe('nested too deeply');
    // The deepest that the limits on length let through to the JSON reader.
    const header = Buffer.from(`{"alg":"ES256","x":${nested(200)}}`).toString('base64url');
    await refusedCheaply(lab, `${header}.e30.AAAA`);
    await refusedCheaply(lab, await forgeAccess(lab.key, `{"x":${nested(800)}}`));
    await refusedCheaply(lab, await forgeAccess(lab.key, text));
  }
}

export async function sameTokenAThousandTimes(): Promise<void> {
  for (const verifiedCache of [null, { maxEntries: 1 }]) {
    const { tokens } = await openIssuer({ tokens: { verifiedCache } });
    const { token } = await tokens.sign({ sub: 'user-1' });
    for (let index = 0; index < 1000; index++) {
      expect((await tokens.verify(token)).subject).toBe('user-1');
    }
  }
}

export async function randomSignatures(lab: Lab): Promise<void> {
  const input = lab.valid.slice(0, lab.valid.lastIndexOf('.'));
  const random = (): string => `${input}.${randomBytes(64).toString('base64url')}`;
  await expectRefused(lab, ...Array.from({ length: 200 }, random));
  expect(await cost(500, () => lab.tokens.verify(random()).catch(() => {}))).toBeLessThan(50);
}

/** No kid, right or wrong, makes the verifier ask a store. */
export async function unknownKidsCostNothing({ privateJwk }: Lab): Promise<void> {
  const storage = memoryStorage();
  const { keyStore } = storage;
  let loads = 0;
  const load = keyStore.load.bind(keyStore);
  keyStore.load = () => {
    loads++;
    return load();
  };
  const { tokens, clock } = await openIssuer({ storage });
  const { token } = await tokens.sign({ sub: 'user-1' });
  const loadsAtStart = loads;
  const key = await importSigningKey(privateJwk);
  for (let index = 0; index < 1000; index++) {
    const forged = await forgeAccess(key, validClaims(clock), { kid: `random-${index}` });
    await expect(tokens.verify(forged)).rejects.toMatchObject({ code: 'ERR_TOKEN_UNKNOWN_KEY' });
  }
  expect((await tokens.verify(token)).subject).toBe('user-1');
  expect(loads).toBe(loadsAtStart);
}

/** Secrets are compared blinded; that the time tells nothing follows from it. */
export function blindedCompare(): void {
  const verdicts = [secretsEqual('a', 'a'), secretsEqual('a', 'b'), secretsEqual('a', 'aa')];
  expect(verdicts).toEqual([true, false, false]);
}

/** What is both expired and badly signed is badly signed: nothing may treat it as merely old. */
export async function expiredAndForged(lab: Lab): Promise<void> {
  const token = await forgeAccess(lab.key, { ...lab.claims(), iat: 1000, nbf: 1000, exp: 2000 });
  await expect(lab.tokens.verify(token)).rejects.toMatchObject({ code: 'ERR_TOKEN_EXPIRED' });
  await expect(lab.tokens.verify(`${token.slice(0, -4)}AAAA`)).rejects.toMatchObject({
    code: 'ERR_TOKEN_SIGNATURE',
  });
}

const KINDS = Object.keys(TOKEN_TYPES) as TokenKind[];
const WRONG_ALGORITHMS = [
  ['none', 'None', 'HS256', 'HS512', 'ES384', 'RS256', 'PS256', 'EdDSA', 'es256', 'ES256 ', ''],
].flat();

/** Each kind of token is a way in of its own; all refuse the same algorithms. */
export async function everyWayIn(lab: Lab): Promise<void> {
  const secrets = textsOf(createPublicKey({ key: lab.key.publicJwk, format: 'jwk' }));
  for (const kind of KINDS) {
    const header = { typ: TOKEN_TYPES[kind], kid: lab.key.kid };
    const right = await forgeAccess(lab.key, lab.claims(), header);
    expect((await lab.tokens.verify(right, { kind })).kind).toBe(kind);
    const [, payload, signature] = right.split('.');
    const forged = [
      ...WRONG_ALGORITHMS.map((alg) => `${encode({ ...header, alg })}.${payload}.${signature}`),
      ...WRONG_ALGORITHMS.map((alg) => `${encode({ ...header, alg })}.${payload}.`),
      ...secrets.map((secret) => hmacToken(secret, { ...header, alg: 'HS256' }, lab.claims())),
    ];
    for (const text of forged) {
      await expect(lab.tokens.verify(text, { kind })).rejects.toThrow(TokenError);
    }
  }
}

export async function tamperedOnEveryWayIn(lab: Lab): Promise<void> {
  for (const kind of KINDS) {
    const right = await forgeAccess(lab.key, lab.claims(), { typ: TOKEN_TYPES[kind] });
    const [header, , signature] = right.split('.');
    const tampered = `${header}.${encode({ ...lab.claims(), sub: 'admin' })}.${signature}`;
    await expect(lab.tokens.verify(tampered, { kind })).rejects.toMatchObject({
      code: 'ERR_TOKEN_SIGNATURE',
    });
  }
}

export async function everyTruncation(lab: Lab): Promise<void> {
  const { valid } = lab;
  await expectRefused(lab, ...Array.from(valid, (_, index) => valid.slice(0, index)));
  await expectRefused(lab, ...Array.from(valid, (_, index) => valid.slice(index + 1)));
}
