import { execFileSync } from 'node:child_process';
import { generateKeyPairSync, type JsonWebKey } from 'node:crypto';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { DATA, readRows } from './vector-files.js';

/** The malicious sample, made for a service that checks proofs, by the tool that was given with it. */

export interface SampleRow {
  readonly id: string;
  readonly name: string;
  readonly class: string;
  readonly slot: 'bearer' | 'dpop' | 'jwe';
  readonly expected: 'accept' | 'reject';
  readonly status: readonly number[];
}

export const ROWS = readRows('malicious/malicious_tokens.sample.jsonl') as readonly SampleRow[];

/** Whom the rows are made for. */
interface Service {
  /** Its origin. */
  readonly audience: string;
  readonly clock: { seconds(): number };
  /** The private key of the client. */
  readonly holder: JsonWebKey;
  /** The client's access token. */
  readonly token: string;
  /** Part of each `jti`. */
  readonly round?: string;
}

export function newProofHolder(): JsonWebKey {
  return newEc('P-256');
}

/** Compact texts by row id. */
export function materializeAll({
  audience,
  clock,
  holder,
  token,
  round = '0',
}: Service): ReadonlyMap<string, string> {
  const config = {
    iss: 'https://issuer.example',
    aud: audience,
    kid: 'live-1',
    now: clock.seconds(),
    livePrivateJwk: newEc('P-256'),
    retiredPrivateJwk: newEc('P-256'),
    holderPrivateJwk: holder,
    attacker: {
      es256: newEc('P-256'),
      p384: newEc('P-384'),
      p521: newEc('P-521'),
      k256: newEc('secp256k1'),
      ed25519: generateKeyPairSync('ed25519').privateKey.export({ format: 'jwk' }),
      rsa: generateKeyPairSync('rsa', { modulusLength: 2048 }).privateKey.export({ format: 'jwk' }),
      x5c: Buffer.alloc(96, 0x30).toString('base64'),
    },
    encPublicJwk: generateKeyPairSync('ec', { namedCurve: 'P-256' }).publicKey.export({
      format: 'jwk',
    }),
    validToken: 'eyJhbGciOiJFUzI1NiJ9.e30.AAAA',
    otherValidToken: 'eyJhbGciOiJFUzI1NiJ9.e30.AAAB',
    accessTokenForDpop: token,
    nonce: round,
  };
  const directory = mkdtempSync(join(tmpdir(), 'nest-jwt-hardening-proofs-'));
  try {
    const [rowsFile, configFile] = [join(directory, 'rows.jsonl'), join(directory, 'config.json')];
    writeFileSync(rowsFile, ROWS.map((row) => JSON.stringify(row)).join('\n'));
    writeFileSync(configFile, JSON.stringify(config));
    const tool = join(DATA, 'malicious/materialize.mjs');
    const output = execFileSync(process.execPath, [tool, rowsFile, configFile], {
      encoding: 'utf8',
      maxBuffer: 256 * 1024 * 1024,
    });
    const lines = output.split('\n').filter((line) => line !== '');
    return new Map(
      lines.map((line) => {
        const { id, token: text } = JSON.parse(line) as { id: string; token?: string };
        if (text === undefined) throw new Error(`row ${id} was not made`);
        return [id, text];
      }),
    );
  } finally {
    rmSync(directory, { recursive: true });
  }
}

function newEc(namedCurve: string): JsonWebKey {
  return generateKeyPairSync('ec', { namedCurve }).privateKey.export({ format: 'jwk' });
}
