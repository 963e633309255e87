import { ASYMMETRIC_ALGORITHMS, findAlgorithm } from '../../lib/keys/algorithms.js';
import { readJwksDocument } from '../../lib/keys/remote/jwks-document.js';
import { judgeJws, judgeText, type Verdict, type VectorJwk } from './jws-judge.js';
import { readVectors } from './vector-files.js';

/**
 * Project Wycheproof, JOSE files: every JWS case of an algorithm on offer comes out as its `result`,
 * but for four that are named below; the others (HS384, HS512, encryption) are refused, whatever they
 * are.
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
  /** All keys of its group. */
  readonly set: readonly VectorJwk[];
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

function setOf({ public: keys, private: secrets }: Group): readonly VectorJwk[] {
  const key = keys ?? secrets;
  if (key === undefined) return [];
  return isSet(key) ? key.keys : [key];
}

function readGroups(file: string): readonly Group[] {
  const contents = readVectors(`wycheproof/${file}_test.public.json`);
  return (contents as { readonly testGroups: readonly Group[] }).testGroups;
}

const rows: readonly Row[] = FILES.flatMap((file) =>
  readGroups(file).flatMap((group) =>
    group.tests
      .filter((test) => 'jws' in test)
      .map((test) => ({
        ...test,
        file,
        group: group.comment,
        jwk: keyFor(group, test.jws),
        set: setOf(group),
      })),
  ),
);

const offered = rows.filter(({ jwk }) => findAlgorithm(jwk.alg) !== undefined);
const notOffered = rows.filter(({ jwk }) => findAlgorithm(jwk.alg) === undefined);
const base64 = offered.filter(({ group }) => group === 'base64');
const MISLABELLED = new Set([367, 373]);
/** One set of key pairs and shared secrets: refused as a set, not by the one key a token names. */
const mixedSets = offered.filter(({ group }) => group === 'jws_mixedSymmetryKeyset');
const labelled = offered.filter((row) => {
  const isMislabelled = row.group === 'base64' && MISLABELLED.has(row.tcId);
  return !isMislabelled && !mixedSets.includes(row);
});

describe('Wycheproof', () => {
  it.each(labelled)('$file tcId $tcId ($group, $comment) is $result', async (row) => {
    expect(await judgeJws(row.jws, row.jwk)).toBe(row.result);
  });

  it.each(notOffered)(
    '$file tcId $tcId ($group, $comment) is refused: $jwk.alg is not on offer',
    async ({ jws, jwk }) => {
      expect(await judgeJws(jws, jwk)).toBe('invalid');
    },
  );

  // Here only the text is judged, which is where lenient decoders go wrong: bare jose accepts 365 and
  // 375.
  it.each(base64.filter(({ tcId }) => !MISLABELLED.has(tcId)))(
    'tcId $tcId ($comment): the strict reader alone calls the text $result',
    ({ jws, result }) => {
      expect(judgeText(String(jws))).toBe(result);
    },
  );

  it('tcId 367 is byte for byte the text of 357, which is valid, so its label cannot be met', async () => {
    const [valid, labelledInvalid] = [357, 367].map((id) => base64.find(({ tcId }) => tcId === id));
    expect([valid?.result, labelledInvalid?.result]).toEqual(['valid', 'invalid']);
    expect(labelledInvalid?.jws).toBe(valid?.jws);
    expect(labelledInvalid?.jwk).toEqual(valid?.jwk);
  });

  it('tcId 373 holds a character outside base64url and is refused, although it is labelled valid', async () => {
    const row = base64.find(({ tcId }) => tcId === 373);
    expect(row?.jws).toContain('?');
    expect([row?.result, judgeText(String(row?.jws))]).toEqual(['valid', 'invalid']);
    expect(await judgeJws(row?.jws, row?.jwk ?? {})).toBe('invalid');
  });

  it.each(mixedSets)(
    '$file tcId $tcId ($group) is invalid: of a set that holds a shared secret, it is none of the keys',
    async ({ result, set, jwk }) => {
      expect(result).toBe('invalid');
      const body = Buffer.from(JSON.stringify({ keys: set }));
      const { keys, skipped } = await readJwksDocument(body, ASYMMETRIC_ALGORITHMS);
      expect([...keys.keys()]).toEqual(['kid-ec-sign']);
      expect(skipped).toEqual([{ kid: jwk.kid, fault: 'symmetric' }]);
    },
  );

  it('puts every JWS case of the three files in a table', () => {
    expect({ offered: offered.length, notOffered: notOffered.length }).toEqual({
      offered: 240,
      notOffered: 4,
    });
  });
});
