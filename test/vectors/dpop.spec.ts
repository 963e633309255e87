import { execFileSync } from 'node:child_process';
import { generateKeyPairSync, type JsonWebKey } from 'node:crypto';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { calculateJwkThumbprint } from 'jose';

import {
  asFastify,
  digestOf,
  openService,
  requestWith,
  verdictOf,
} from '../binding/dpop/proof-mother.js';
import { TestClock } from '../support/test-clock.js';
import { DATA, readRows, readVectors } from './vector-files.js';

/** The examples of RFC 9449 itself, and every row of the malicious sample in the place of a proof. */

interface Example {
  readonly id: string;
  readonly proof: string;
  readonly header: { readonly jwk: JsonWebKey };
  readonly payload: { readonly jti: string; readonly htm: string; readonly htu: string };
  readonly jkt: string;
  readonly valid_at: number;
}

const { proofs, cnf_jkt, opaque_access_token, ath } = readVectors('rfc/rfc9449_dpop.json') as {
  readonly proofs: readonly Example[];
  readonly cnf_jkt: string;
  readonly opaque_access_token: string;
  readonly ath: string;
};

describe('RFC 9449', () => {
  /** The example at its own time and place. */
  function open({ payload, valid_at }: Example) {
    const { origin, pathname } = new URL(payload.htu);
    const service = openService({
      clock: new TestClock(valid_at * 1000),
      publicUrls: [new URL(origin)],
    });
    return { ...service, place: { method: payload.htm, target: pathname } };
  }

  const atTokenEndpoint = proofs.filter(({ payload }) => !('ath' in payload));
  const atResource = proofs.filter(({ payload }) => 'ath' in payload);

  it('has two proofs for its token endpoint and one for its resource', () => {
    expect([atTokenEndpoint.length, atResource.length]).toEqual([2, 1]);
  });

  it.each(atTokenEndpoint)('$id proves its key, once', async (example) => {
    const { proofs: checks, place } = open(example);
    const request = requestWith(example.proof, place);
    expect(await checks.check(request)).toEqual({ jkt: example.jkt, nextNonce: undefined });
    expect(await verdictOf(checks.check(request))).toBe('ERR_PROOF_REPLAYED');
  });

  it.each(atResource)('$id proves its key for its token, once', async (example) => {
    const { proofs: checks, place } = open(example);
    const request = requestWith(example.proof, place);
    const bound = { token: opaque_access_token, jkt: cnf_jkt };
    expect(await checks.check(request, bound)).toMatchObject({ jkt: cnf_jkt });
    expect(await verdictOf(checks.check(request, bound))).toBe('ERR_PROOF_REPLAYED');
    expect(digestOf(opaque_access_token)).toBe(ath);
  });

  it.each(proofs)(
    '$id is refused at another time, place and for another token',
    async (example) => {
      const bound = { token: `${opaque_access_token}x`, jkt: cnf_jkt };
      const verdictAt = async (seconds: number): Promise<string> => {
        const { proofs: checks, place, clock } = open(example);
        clock.advance(seconds * 1000);
        return verdictOf(checks.check(requestWith(example.proof, place)));
      };
      expect([await verdictAt(71), await verdictAt(-11)]).toEqual([
        'ERR_PROOF_TIME',
        'ERR_PROOF_TIME',
      ]);
      const { proofs: checks, place } = open(example);
      const elsewhere = requestWith(example.proof, { ...place, target: `${place.target}/x` });
      expect(await verdictOf(checks.check(elsewhere))).toBe('ERR_PROOF_URL');
      const otherwise = requestWith(example.proof, { ...place, method: 'PUT' });
      expect(await verdictOf(checks.check(otherwise))).toBe('ERR_PROOF_METHOD');
      const withOther = checks.check(requestWith(example.proof, place), bound);
      expect(await verdictOf(withOther)).toBe('ERR_PROOF_TOKEN');
    },
  );
});

interface Row {
  readonly id: string;
  readonly name: string;
  readonly class: string;
  readonly slot: 'bearer' | 'dpop' | 'jwe';
  readonly expected: 'accept' | 'reject';
}

describe('malicious sample', () => {
  const rows = readRows('malicious/malicious_tokens.sample.jsonl') as readonly Row[];
  const clock = new TestClock();
  const holder = newEc('P-256');
  const API = 'https://api.heldout.test';
  const TOKEN = 'bound-token';

  let made: ReadonlyMap<string, string>;
  let jkt: string;

  beforeAll(async () => {
    jkt = await calculateJwkThumbprint(holder);
    made = materialize();
  });

  function materialize(): ReadonlyMap<string, string> {
    const live = newEc('P-256');
    const config = {
      iss: 'https://issuer.example',
      aud: API,
      kid: 'live-1',
      now: clock.seconds(),
      livePrivateJwk: live,
      retiredPrivateJwk: newEc('P-256'),
      holderPrivateJwk: holder,
      attacker: {
        es256: newEc('P-256'),
        p384: newEc('P-384'),
        p521: newEc('P-521'),
        k256: newEc('secp256k1'),
        ed25519: generateKeyPairSync('ed25519').privateKey.export({ format: 'jwk' }),
        rsa: generateKeyPairSync('rsa', { modulusLength: 2048 }).privateKey.export({
          format: 'jwk',
        }),
        x5c: Buffer.alloc(96, 0x30).toString('base64'),
      },
      encPublicJwk: generateKeyPairSync('ec', { namedCurve: 'P-256' }).publicKey.export({
        format: 'jwk',
      }),
      validToken: 'eyJhbGciOiJFUzI1NiJ9.e30.AAAA',
      otherValidToken: 'eyJhbGciOiJFUzI1NiJ9.e30.AAAB',
      accessTokenForDpop: TOKEN,
    };
    const directory = mkdtempSync(join(tmpdir(), 'nest-jwt-hardening-proofs-'));
    try {
      const [rowsFile, configFile] = [join(directory, 'rows.jsonl'), join(directory, 'c.json')];
      writeFileSync(rowsFile, rows.map((row) => JSON.stringify(row)).join('\n'));
      writeFileSync(configFile, JSON.stringify(config));
      const tool = join(DATA, 'malicious/materialize.mjs');
      const output = execFileSync(process.execPath, [tool, rowsFile, configFile], {
        encoding: 'utf8',
        maxBuffer: 256 * 1024 * 1024,
      });
      const lines = output.split('\n').filter((line) => line !== '');
      return new Map(
        lines.map((line) => {
          const { id, token } = JSON.parse(line) as { id: string; token?: string };
          if (token === undefined) throw new Error(`row ${id} was not made`);
          return [id, token];
        }),
      );
    } finally {
      rmSync(directory, { recursive: true });
    }
  }

  function check(...ids: readonly string[]): readonly Promise<string>[] {
    const texts = ids.map((id) => made.get(id) ?? '');
    const request = requestWith(texts);
    return [request, asFastify(request)].map((one) => {
      const service = openService({ clock, publicUrls: [new URL(API)] });
      return verdictOf(service.proofs.check(one, { token: TOKEN, jkt }));
    });
  }

  it.each(rows.filter(({ slot }) => slot === 'dpop'))('$id $name is $expected', async (row) => {
    const fitting = row.expected === 'accept' ? /^accepted$/ : /^ERR_PROOF_/;
    for (const verdict of check(row.id)) expect(await verdict).toMatch(fitting);
  });

  it.each(rows.filter(({ slot }) => slot !== 'dpop'))(
    '$id $class: $name, a token, is no proof',
    async ({ id }) => {
      for (const verdict of check(id)) expect(await verdict).toMatch(/^ERR_PROOF_/);
    },
  );

  it('H048: of two right proofs neither counts', async () => {
    for (const verdict of check('T293', 'T294')) expect(await verdict).toBe('ERR_PROOF_FORMAT');
  });

  function newEc(namedCurve: string): JsonWebKey {
    return generateKeyPairSync('ec', { namedCurve }).privateKey.export({ format: 'jwk' });
  }
});
