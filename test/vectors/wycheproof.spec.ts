import { findAlgorithm } from '../../lib/keys/algorithms.js';
import { judgeJws, judgeText, type Verdict, type VectorJwk } from './jws-judge.js';
import { readVectors } from './vector-files.js';

/**
 * Project Wycheproof, JOSE files: every JWS case of an algorithm on offer comes out as its `result`;
 * the others (shared secrets, encryption) are refused, whatever they are.
 */

interface Case {
  readonly tcId: number;
  readonly comment: string;
  readonly jws?: unknown;
  readonly result: Verdict;
}

interface KeySet {
  readonly keys: readonly VectorJwk[];
}

interface Group {
  readonly comment: string;
  readonly public?: VectorJwk | KeySet;
  readonly private?: VectorJwk | KeySet;
  readonly tests: readonly Case[];
}

interface Row extends Case {
  readonly file: string;
  readonly group: string;
  readonly jwk: VectorJwk;
}

const FILES = ['json_web_signature', 'json_web_key', 'json_web_crypto'] as const;

/** Wycheproof writes ES521 for ES512, and names no algorithm where `use` is what must refuse. */
function pinAlgorithm(jwk: VectorJwk): VectorJwk {
  if (jwk.alg === undefined && jwk.kty === 'RSA') return { ...jwk, alg: 'RS256' };
  return jwk.alg === 'ES521' ? { ...jwk, alg: 'ES512' } : jwk;
}

function isSet(key: VectorJwk | KeySet): key is KeySet {
  return 'keys' in key && Array.isArray(key.keys);
}

/** The key of a set that the token names, as a key ring would find it. */
function keyFor(group: Group, jws: unknown): VectorJwk {
  const keys = group.public ?? group.private;
  if (keys === undefined) throw new TypeError(`group ${group.comment} has no key`);
  if (!isSet(keys)) return pinAlgorithm(keys);
  const header = String(jws).split('.')[0] ?? '';
  const { kid } = JSON.parse(Buffer.from(header, 'base64url').toString()) as { kid: string };
  const found = keys.keys.find((candidate) => candidate.kid === kid);
  if (found === undefined) throw new TypeError(`group ${group.comment} has no key ${kid}`);
  return pinAlgorithm(found);
}

function readGroups(file: string): readonly Group[] {
  const contents = readVectors(`wycheproof/${file}_test.public.json`);
  return (contents as { readonly testGroups: readonly Group[] }).testGroups;
}

const rows: readonly Row[] = FILES.flatMap((file) =>
  readGroups(file).flatMap((group) =>
    group.tests
      .filter((test) => 'jws' in test)
      .map((test) => ({ ...test, file, group: group.comment, jwk: keyFor(group, test.jws) })),
  ),
);

const offered = rows.filter(({ jwk }) => findAlgorithm(jwk.alg) !== undefined);
const notOffered = rows.filter(({ jwk }) => findAlgorithm(jwk.alg) === undefined);
const base64 = notOffered.filter(({ group }) => group === 'base64');
const MISLABELLED = new Set([367, 373]);

describe('Wycheproof', () => {
  it.each(offered)('$file tcId $tcId ($group, $comment) is $result', async (row) => {
    expect(await judgeJws(row.jws, row.jwk)).toBe(row.result);
  });

  it.each(notOffered)(
    '$file tcId $tcId ($group, $comment) is refused: $jwk.alg is not on offer',
    async ({ jws, jwk }) => {
      expect(await judgeJws(jws, jwk)).toBe('invalid');
    },
  );

  // These are signed with HS256, so here only the text is judged, which is where lenient decoders go
  // wrong: bare jose accepts 365 and 375.
  it.each(base64.filter(({ tcId }) => !MISLABELLED.has(tcId)))(
    'tcId $tcId ($comment): the strict reader alone calls the text $result',
    ({ jws, result }) => {
      expect(judgeText(String(jws))).toBe(result);
    },
  );

  it('tcId 367 is byte for byte the text of 357, which is valid, so its label cannot be met', () => {
    expect(base64.find(({ tcId }) => tcId === 367)?.jws).toBe(
      base64.find(({ tcId }) => tcId === 357)?.jws,
    );
  });

  it('tcId 373 holds a character outside base64url and is refused, although it is labelled valid', () => {
    const row = base64.find(({ tcId }) => tcId === 373);
    expect([row?.result, judgeText(String(row?.jws))]).toEqual(['valid', 'invalid']);
  });

  it('puts every JWS case of the three files in a table', () => {
    expect({ offered: offered.length, notOffered: notOffered.length }).toEqual({
      offered: 204,
      notOffered: 40,
    });
  });
});
