import { randomBytes } from 'node:crypto';
import { deflateRawSync } from 'node:zlib';

import { Controller, Get } from '@nestjs/common';
import { CompactEncrypt } from 'jose/jwe/compact/encrypt';

import { exportPrivateJwk, generateSigningKey } from '../../../lib/keys/key-material.js';
import { KeyRingService } from '../../../lib/keys/key-ring.service.js';
import { TokenService } from '../../../lib/tokens/token.service.js';
import { ADAPTERS, type GuardedApp, startGuardedApp } from '../../support/guarded-app.js';
import { send } from '../../support/http.js';
import { recordSecret } from '../../support/witness.js';
import { faceOf } from '../../vectors/arena.js';
import { cost, type Trial } from './lab.js';

/** Attacks on encrypted tokens, against an application that accepts no others. */

@Controller()
class VaultController {
  @Get('me')
  me(): object {
    return {};
  }
}

interface Target {
  readonly tokens: TokenService;
  /** A right token, and its parts. */
  readonly token: string;
  readonly parts: readonly [string, string, string, string, string];
  /** A signed token as it lies inside. */
  readonly signed: string;
  /** Any content under the key of the application, as only its owner could write it. */
  readonly encrypt: (content: string) => Promise<string>;
  /** Its right header with other members. */
  readonly headerWith: (members: object) => string;
}

type Forgery = (target: Target) => readonly string[] | Promise<readonly string[]>;

const base64 = (value: string | Buffer): string => Buffer.from(value).toString('base64url');

async function targetIn({ app }: GuardedApp): Promise<Target> {
  const [tokens, keyRing] = [app.get(TokenService), app.get(KeyRingService)];
  const { token } = await tokens.sign({ sub: 'user-1' });
  recordSecret(token);
  const [header = '', wrapped = '', iv = '', content = '', tag = ''] = token.split('.');
  const key = keyRing.encryptionKey();
  if (key === null) throw new Error('no key encrypts');
  const { kid, secret } = key;
  const right = { alg: 'A256KW', enc: 'A256GCM', typ: 'at+jwe', cty: 'JWT', kid } as const;
  const payload = base64(JSON.stringify(tokens.readClaims(token)));
  const signer = await keyRing.signingKey();
  const input = `${base64(JSON.stringify({ alg: 'ES256', typ: 'at+jwt', kid: signer.kid }))}.${payload}`;
  const signed = `${input}.${base64(Buffer.from(await signer.sign(Buffer.from(input))))}`;
  recordSecret(signed);
  return {
    tokens,
    token,
    parts: [header, wrapped, iv, content, tag],
    signed,
    encrypt: (content) =>
      new CompactEncrypt(Buffer.from(content)).setProtectedHeader(right).encrypt(secret),
    headerWith: (members) => base64(JSON.stringify({ ...right, ...members })),
  };
}

/** Refused on both adapters with the same bytes each time, at little cost. */
function refused(forge: Forgery): Trial {
  return async () => {
    const signingKey = exportPrivateJwk(await generateSigningKey('ES256'));
    const encryptionKey = randomBytes(32).toString('base64url');
    recordSecret(signingKey.d ?? '');
    recordSecret(encryptionKey);
    const tokens = { encryption: { keys: encryptionKey } };
    for (const adapter of ADAPTERS) {
      const options = { keys: { signingKey }, tokens } as const;
      const app = await startGuardedApp([VaultController], { adapter, options });
      try {
        const target = await targetIn(app);
        expect((await send(app.url, '/me', { token: target.token })).status).toBe(200);
        expect(
          (await send(app.url, '/me', { token: await target.encrypt(target.signed) })).status,
        ).toBe(200);
        const forged = await forge(target);
        expect(forged.length).toBeGreaterThan(0);
        const faces = new Set<string>();
        for (const text of forged) {
          const answer = await send(app.url, '/me', { token: text });
          expect(answer.status).toBe(401);
          faces.add(faceOf(answer));
        }
        expect(faces.size).toBe(1);
        const heap = process.memoryUsage().heapUsed;
        for (const text of forged) {
          expect(await cost(20, () => target.tokens.verify(text).catch(() => {}))).toBeLessThan(20);
        }
        expect(process.memoryUsage().heapUsed - heap).toBeLessThan(20 * 1024 * 1024);
      } finally {
        await app.close();
      }
    }
  };
}

function changed(part: string): string {
  const bytes = Buffer.from(part, 'base64url');
  bytes[bytes.length - 1] = (bytes[bytes.length - 1] ?? 0) ^ 1;
  return base64(bytes);
}

/** A wrong key, IV, content, tag or header, and content of every length: all are answered alike. */
export const faultsAlike: Trial = refused(({ parts }) => {
  const [header, key, iv, content, tag] = parts;
  return [
    [header, changed(key), iv, content, tag],
    [header, key, changed(iv), content, tag],
    [header, key, iv, changed(content), tag],
    [header, key, iv, content, changed(tag)],
    [header, changed(key), iv, content, changed(tag)],
    ...[4, 16, 32, 64, 128].map((cut) => [header, key, iv, content.slice(0, -cut), tag]),
  ].map((changes) => changes.join('.'));
});

/** CVE-2019-18848: tags that GCM itself would take, and shorter ones. */
export const shortTags: Trial = refused(({ parts: [header, key, iv, content, tag] }) => {
  const bytes = Buffer.from(tag, 'base64url');
  return [0, 1, 4, 8, 12, 15].map((length) =>
    [header, key, iv, content, base64(bytes.subarray(0, length))].join('.'),
  );
});

/** However many rounds a token asks for, none is made. */
export const passwordRounds: Trial = refused(({ parts: [, ...rest], headerWith }) =>
  [1, 1_000, 2 ** 31 - 1, -1, Number.MAX_SAFE_INTEGER].flatMap((p2c) =>
    ['PBES2-HS256+A128KW', 'PBES2-HS512+A256KW', 'A256KW'].map((alg) =>
      [headerWith({ alg, p2c, p2s: 'AAAAAAAAAAAAAAAA' }), ...rest].join('.'),
    ),
  ),
);

/** 6 MB in 6 KB, under the right key: refused by its header, and not inflated as a token either. */
export const zipBombs: Trial = refused(async ({ parts, headerWith, encrypt, signed }) => {
  const [, ...rest] = parts;
  const bomb = deflateRawSync(Buffer.alloc(4 * 1024 * 1024, 0x20), { level: 9 });
  const inside = deflateRawSync(Buffer.from(signed));
  return [
    ...['DEF', 'GZIP', '', null].map((zip) => [headerWith({ zip }), ...rest].join('.')),
    await encrypt(bomb.subarray(0, 4_000).toString('latin1')),
    await encrypt(inside.toString('latin1')),
  ];
});

/** Keys that come with the token: off the curve, at infinity, of another curve, of the attacker's. */
export const keyAgreement: Trial = refused(({ parts: [, ...rest], headerWith }) => {
  const x = base64(Buffer.alloc(32, 7));
  return [
    { kty: 'EC', crv: 'P-256', x, y: x },
    { kty: 'EC', crv: 'P-256', x: '', y: '' },
    { kty: 'EC', crv: 'P-521', x, y: x },
    { kty: 'OKP', crv: 'X25519', x: base64(Buffer.alloc(32)) },
  ].flatMap((epk) =>
    ['ECDH-ES', 'ECDH-ES+A256KW', 'A256KW'].map((alg) =>
      [headerWith({ alg, epk }), ...rest].join('.'),
    ),
  );
});

/** RSA with PKCS #1 v1.5, and content under CBC: the two that leak by their padding. */
export const paddedModes: Trial = refused(({ parts: [, ...rest], headerWith }) => {
  const [, iv, content, tag] = rest;
  return [
    ...['RSA1_5', 'RSA-OAEP', 'RSA-OAEP-256'].map((alg) =>
      [headerWith({ alg }), base64(randomBytes(256)), iv, content, tag].join('.'),
    ),
    ...['A128CBC-HS256', 'A256CBC-HS512'].flatMap((enc) => [
      [headerWith({ enc }), ...rest].join('.'),
      [headerWith({ alg: 'dir', enc }), '', base64(randomBytes(16)), content, tag].join('.'),
    ]),
  ];
});

/** What is inside has to be a signed token: no claims, no `none`, no other token, nothing signed. */
export const unsignedContents: Trial = refused(async ({ signed, encrypt, tokens, token }) => {
  const claims = JSON.stringify(tokens.readClaims(token));
  const [, payload = ''] = signed.split('.');
  const contents = [
    claims,
    `${base64('{"alg":"none","typ":"at+jwt"}')}.${payload}.`,
    `${base64('{"alg":"none","typ":"at+jwt"}')}.${payload}.AAAA`,
    signed.slice(0, signed.lastIndexOf('.') + 1),
    token,
    await encrypt(signed),
    '',
  ];
  return Promise.all(contents.map(encrypt));
});

/** A signed token where an encrypted one is asked for, and the parts of one in the place of the other. */
export const mistakenForm: Trial = refused(({ signed, parts }) => {
  const [header, key, iv, content, tag] = parts;
  return [
    signed,
    [header, content, tag].join('.'),
    [...signed.split('.'), iv, tag].join('.'),
    [signed.split('.')[0], key, iv, content, tag].join('.'),
    [header, '', iv, content, tag].join('.'),
    [header, key, iv, content].join('.'),
    [header, key, iv, content, tag, ''].join('.'),
  ];
});
