import { TokenError } from '../../../lib/kernel/errors.js';
import { forge, forgeAccess } from '../../support/token-mother.js';
import { send, sendRaw } from '../../support/http.js';
import { parseAnswer, type Side } from '../../vectors/arena.js';
import { INVENTED_ROWS } from '../invented-rows.js';
import type { Lab, Trial } from './lab.js';

/** Attacks on the guard, over HTTP on both adapters. */

async function statusOf({ url }: Side, head: string): Promise<number> {
  const text = await sendRaw(url, `${head}\r\nHost: arena\r\nConnection: close\r\n\r\n`);
  return parseAnswer(text).status;
}

/** Without a token, none of these requests gets to a handler. */
export function closedTo(...requests: readonly string[]): Trial {
  return async ({ sides }) => {
    for (const side of sides) {
      for (const request of requests) {
        expect([400, 401, 404]).toContain(await statusOf(side, `${request} HTTP/1.1`));
      }
    }
  };
}

/** Headers by which a proxy would vouch for a client, from a peer that is none. */
export async function headersOfNoProxy({ sides }: Lab): Promise<void> {
  for (const name of ['X-SSL-Client-Cert', 'X-Forwarded-Client-Cert', 'Client-Cert', 'X-User']) {
    for (const side of sides) {
      expect(await statusOf(side, `GET /me HTTP/1.1\r\n${name}: SUCCESS`)).toBe(401);
    }
  }
}

export async function badTokenIsNotAnonymous(lab: Lab): Promise<void> {
  for (const { url } of lab.sides) {
    for (const token of ['x.y.z', '', lab.tokenOf('alg-none-reject-1')]) {
      expect((await send(url, '/me', { token })).status).toBe(401);
    }
  }
}

export async function publicRouteForgedToken(lab: Lab): Promise<void> {
  const forged = INVENTED_ROWS.filter((row) => row.class === 'alg-none').slice(0, 10);
  for (const { url } of lab.sides) {
    for (const { id } of forged) {
      const { status, body } = await send(url, '/open', { token: lab.tokenOf(id) });
      expect([status, body]).toEqual([200, '{"sub":null}']);
    }
  }
}

/** Users whose tokens differ in nothing but `sub` and `jti`, at the same time on 50 connections. */
export async function alternatingUsers(lab: Lab): Promise<void> {
  const signed = await Promise.all(
    ['user-1', 'user-2', 'user-3'].map(async (sub) => ({
      sub,
      token: await forgeAccess(lab.key, { ...lab.claims(), sub, jti: `jti-of-${sub}` }),
    })),
  );
  for (const { url } of lab.sides) {
    for (let round = 0; round < 20; round++) {
      const batch = Array.from({ length: 50 }, (_, index) => signed[(index + round) % 3]);
      const answers = await Promise.all(
        batch.map((user) => send(url, '/me', { token: user?.token ?? '' })),
      );
      expect(answers.map(({ body }) => body)).toEqual(
        batch.map((user) => JSON.stringify({ sub: user?.sub })),
      );
    }
  }
}

/** Nothing of the token in what a client, a log or a developer is told. */
export async function nothingDisclosed(lab: Lab): Promise<void> {
  const mark = 'markedvaluethatmustnotshow';
  const claims = lab.claims();
  const marked = await Promise.all([
    forgeAccess(lab.key, { ...claims, iss: mark }),
    forgeAccess(lab.key, { ...claims, aud: mark }),
    forgeAccess(lab.key, { ...claims, sub: `${mark}\n` }),
    forgeAccess(lab.key, { ...claims, exp: mark }),
    forgeAccess(lab.key, { ...claims, cnf: mark }),
    forgeAccess(lab.key, `{"${mark}":1,"${mark}":2}`),
    forgeAccess(lab.key, claims, { kid: mark }),
    forgeAccess(lab.key, claims, { typ: mark }),
    forgeAccess(lab.key, claims, { [mark]: 1, crit: [mark] }),
    forge(lab.key, { alg: mark, typ: 'at+jwt', kid: lab.key.kid }, claims),
    forgeAccess(lab.key, { ...claims, sub: mark }).then((token) => `${token.slice(0, -4)}AAAA`),
  ]);
  for (const token of marked) {
    const error: unknown = await lab.tokens.verify(token).catch((refusal: unknown) => refusal);
    if (!(error instanceof TokenError)) throw new Error('the token was not refused');
    const { message, detail, code, stack } = error;
    for (const { url } of lab.sides) {
      const { body, headers } = await send(url, '/me', { token });
      const told = [message, detail, code, stack, body, JSON.stringify(headers)].join(' ');
      expect(told).not.toContain(mark);
      for (const part of token.split('.')) expect(told).not.toContain(part.slice(0, 40));
    }
  }
}
