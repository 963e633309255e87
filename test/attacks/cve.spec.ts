import { readRows } from '../vectors/vector-files.js';
import {
  faultsAlike,
  keyAgreement,
  mistakenForm,
  paddedModes,
  passwordRounds,
  shortTags,
  unsignedContents,
  zipBombs,
} from './trials/encryption-trials.js';
import { type Lab, openLab, rowsRefused, run, type Trial } from './trials/lab.js';
import {
  alternatingUsers,
  badTokenIsNotAnonymous,
  closedTo,
  headersOfNoProxy,
  nothingDisclosed,
  publicRouteForgedToken,
} from './trials/request-trials.js';
import {
  disguisedPems,
  emptyKeys,
  keyNeedsItsAlgorithm,
  keyWithoutAlgorithm,
  noStart,
  weakRsaKeys,
} from './trials/start-trials.js';
import {
  blindedCompare,
  deepNesting,
  everyTruncation,
  everyWayIn,
  expiredAndForged,
  longClaims,
  longSegments,
  manyDots,
  randomSignatures,
  rsaKeyAsSecret,
  sameTokenAThousandTimes,
  sshKeyAsSecret,
  tamperedOnEveryWayIn,
  unknownKidsCostNothing,
} from './trials/token-trials.js';

/** Every advisory of the list, by its id: what it says to try, tried on this package. */

interface Advisory {
  readonly id: string;
  readonly product: string;
  readonly cls: string;
  readonly what_failed: string;
}

const advisories = readRows('cve/cve.jsonl') as readonly Advisory[];

let lab: Lab;

beforeAll(async () => {
  lab = await openLab();
});

afterAll(() => lab.close());

const NONE = rowsRefused('alg-none');
const CONFUSION = rowsRefused('alg-confusion-hmac');
const EMPTY_KEY = rowsRefused('alg-confusion-hmac', /empty/);
const CRIT = rowsRefused('header-params', /crit/);
const ZIP = rowsRefused('header-params', /zip/);
const AUDIENCE_CLAIM = rowsRefused('claims-identity', /^aud /);
const ISSUER_CLAIM = rowsRefused('claims-identity', /^iss /);
const TIMES = rowsRefused('claims-time');
const KEY_IN_HEADER = rowsRefused('key-injection');
const SIGNATURE = rowsRefused('signature');
const MALLEABILITY = rowsRefused('malleability');
const JSON_TEXT = rowsRefused('json');
const JWE = rowsRefused('jwe');
const STRUCTURE = rowsRefused('structure');

const JUDGED: ReadonlyMap<string, readonly Trial[]> = new Map<string, readonly Trial[]>([
  ['CVE-2015-9235', [CONFUSION]],
  ['CVE-2016-10555', [CONFUSION, keyNeedsItsAlgorithm]],
  ['CVE-2016-5431', [CONFUSION, rsaKeyAsSecret]],
  ['CVE-2015-2951', [NONE]],
  ['no CVE (2020)', [NONE]],
  ['CVE-2022-23539', [keyNeedsItsAlgorithm, weakRsaKeys]],
  ['CVE-2022-23540', [keyNeedsItsAlgorithm, emptyKeys, NONE]],
  ['CVE-2022-23541', [CONFUSION]],
  ['CVE-2020-15084', [keyNeedsItsAlgorithm]],
  ['CVE-2023-48223', [rsaKeyAsSecret]],
  ['CVE-2026-34950', [disguisedPems, CONFUSION]],
  ['GHSA-ww5h-9m49-7xx4', [disguisedPems, rsaKeyAsSecret]],
  ['CVE-2026-44351', [EMPTY_KEY, rowsRefused('kid-injection', /empty/)]],
  ['GHSA-8wpc-h4q6-8fxv', [emptyKeys, NONE]],
  ['CVE-2025-30144', [ISSUER_CLAIM]],
  ['CVE-2026-35042', [CRIT]],
  ['CVE-2026-35041', [longClaims]],
  ['CVE-2026-35040', [sameTokenAThousandTimes]],
  ['CVE-2026-35039', [alternatingUsers]],
  ['GHSA-869p-cjfg-cm3x', [rowsRefused('weak-secret'), CONFUSION]],
  ['CVE-2018-0114', [KEY_IN_HEADER]],
  ['CVE-2023-25653', [randomSignatures]],
  ['CVE-2026-22817', [keyNeedsItsAlgorithm, CONFUSION]],
  ['CVE-2026-44459', [TIMES]],
  [
    'CVE-2025-62610',
    [AUDIENCE_CLAIM, noStart({ audience: undefined }, { audience: [] }, { audience: '' })],
  ],
  ['CVE-2026-25537', [TIMES]],
  ['CVE-2024-53861', [ISSUER_CLAIM]],
  ['CVE-2026-32597', [CRIT]],
  ['CVE-2026-48523', [rowsRefused('alg-substitution')]],
  ['CVE-2024-33663', [sshKeyAsSecret]],
  ['CVE-2026-27962', [KEY_IN_HEADER]],
  ['CVE-2026-28802', [NONE]],
  ['CVE-2025-59420', [CRIT]],
  ['CVE-2025-61920', [longSegments]],
  ['CVE-2022-3102', [JWE, mistakenForm, keyAgreement]],
  ['CVE-2020-26160', [AUDIENCE_CLAIM]],
  ['CVE-2024-51744', [expiredAndForged]],
  ['CVE-2025-30204', [manyDots]],
  ['CVE-2025-27144', [manyDots]],
  ['CVE-2025-22868', [manyDots]],
  ['CVE-2026-34986', [JWE, mistakenForm]],
  ['CVE-2016-9122', [STRUCTURE]],
  ['GHSA-pvcr-v8j8-j5q3', [STRUCTURE]],
  ['CVE-2022-21449', [SIGNATURE]],
  ['CVE-2025-53864', [deepNesting]],
  // test/attacks/mutation.property.spec.ts goes on from here with 100 000 cases.
  ['CVE-2019-17195', [everyTruncation, STRUCTURE, JSON_TEXT]],
  ['CVE-2026-29000', [JWE, unsignedContents]],
  ['CVE-2026-9793', [JWE, unsignedContents]],
  ['CVE-2026-11800', [everyWayIn]],
  ['CVE-2026-1529', [tamperedOnEveryWayIn]],
  [
    'CVE-2026-9800',
    [closedTo('GET //admin', 'GET /./admin', 'GET /%2e/admin', 'GET /admin;x', 'GET /admin/')],
  ],
  [
    'CVE-2026-22748',
    [ISSUER_CLAIM, noStart({ issuer: undefined }, { issuer: '' }, { issuer: null })],
  ],
  ['CVE-2026-45363', [EMPTY_KEY]],
  ['CVE-2019-20933', [emptyKeys, EMPTY_KEY]],
  ['CVE-2020-28637', [emptyKeys, EMPTY_KEY]],
  [
    'CVE-2020-28042',
    [rowsRefused('signature', /^empty$/), rowsRefused('structure', /\{\{VP\}\}\."$/)],
  ],
  ['CVE-2019-7644', [nothingDisclosed]],
  ['CVE-2022-29266', [nothingDisclosed]],
  ['CVE-2021-46743', [CONFUSION, rsaKeyAsSecret]],
  ['CVE-2023-51774', [JWE, mistakenForm]],
  [
    'CVE-2025-69211',
    [closedTo('GET /%61dmin', 'GET /admin%2f..', 'GET /%41DMIN', 'GET /admin%2F')],
  ],
  ['CVE-2026-2293', [closedTo('GET //admin', 'GET /admin//', 'GET /admin/', 'GET ///admin')]],
  ['CVE-2026-33011', [closedTo('HEAD /admin', 'HEAD /admin/1', 'HEAD /me', 'HEAD /backoffice')]],
  ['CVE-2026-54281', [closedTo('GET /admin/', 'GET /admin/123/', 'GET /me/', 'HEAD /admin/')]],
  ['CVE-2020-8595', [closedTo('GET /admin?x', 'GET /admin%23', 'GET /admin#x', 'GET /admin%3fx')]],
  ['CVE-2021-21378', [badTokenIsNotAnonymous]],
  ['CVE-2022-29165', [publicRouteForgedToken]],
  ['CVE-2023-22482', [AUDIENCE_CLAIM]],
  ['CVE-2021-22160', [NONE]],
  ['CVE-2024-5798', [AUDIENCE_CLAIM]],
  ['CVE-2022-25898', [MALLEABILITY]],
  ['CVE-2024-48949', [SIGNATURE]],
  ['CVE-2021-29443', [JWE, faultsAlike]],
  ['CVE-2022-36083', [JWE, passwordRounds]],
  ['CVE-2024-28176', [JWE, ZIP, zipBombs]],
  ['CVE-2017-16007', [JWE, keyAgreement]],
  ['CVE-2024-33664', [JWE, ZIP, zipBombs]],
  ['CVE-2026-28490', [JWE, paddedModes, faultsAlike]],
  ['CVE-2025-62706', [JWE, ZIP, zipBombs]],
  ['CVE-2023-6681', [JWE, passwordRounds]],
  ['CVE-2024-28102', [JWE, ZIP, zipBombs]],
  ['CVE-2016-6298', [JWE, paddedModes]],
  ['CVE-2024-28180', [JWE, ZIP, zipBombs]],
  ['CVE-2016-9121', [JWE, keyAgreement]],
  ['GHSA-7f9x-gw85-8grf', [JWE, passwordRounds]],
  ['GHSA-rm8v-mxj3-5rmq', [JWE, faultsAlike, paddedModes]],
  ['CVE-2023-52428', [JWE, passwordRounds]],
  ['CVE-2017-12973', [JWE, faultsAlike, paddedModes]],
  ['CVE-2023-31582', [JWE, passwordRounds]],
  ['CVE-2024-29371', [JWE, ZIP, zipBombs]],
  ['CVE-2019-18848', [JWE, shortTags]],
  ['CVE-2024-21319', [JWE, ZIP, zipBombs]],
  ['finding here', [MALLEABILITY, JSON_TEXT, TIMES, rowsRefused('claims-identity', /^jti /), CRIT]],
]);

interface Elsewhere {
  /** The tests of the feature that the advisory is about. */
  readonly judgedIn: string;
  /** What a verifier alone can say of it. */
  readonly holdsHere: readonly Trial[];
}

const sessions: Elsewhere = {
  judgedIn: 'test/sessions and test/e2e/session-race.spec.ts',
  holdsHere: [],
};
const sharedSecrets: Elsewhere = {
  judgedIn: 'test/keys/secrets and test/tokens/shared-secrets.spec.ts',
  holdsHere: [disguisedPems, emptyKeys, keyNeedsItsAlgorithm],
};

const ELSEWHERE: ReadonlyMap<string, Elsewhere> = new Map<string, Elsewhere>([
  ['CVE-2026-22818', { judgedIn: 'test/keys/remote', holdsHere: [keyWithoutAlgorithm] }],
  ['CVE-2022-29217', sharedSecrets],
  ['CVE-2017-11424', sharedSecrets],
  ['CVE-2026-48524', { judgedIn: 'test/keys/remote', holdsHere: [unknownKidsCostNothing] }],
  [
    'CVE-2016-7036',
    {
      judgedIn: 'test/keys/secrets and test/tokens/shared-secrets.spec.ts',
      holdsHere: [blindedCompare],
    },
  ],
  [
    'CVE-2026-28498',
    { judgedIn: 'test/binding/dpop and test/e2e/dpop-replay.spec.ts', holdsHere: [] },
  ],
  ['CVE-2026-1035', sessions],
  ['CVE-2026-9802', sessions],
  ['CVE-2026-7571', { judgedIn: 'nothing here: no state is held by clients', holdsHere: [] }],
  [
    'CVE-2023-2422',
    {
      judgedIn: 'test/binding/mtls and test/interop/nginx-client-cert.spec.ts',
      holdsHere: [headersOfNoProxy],
    },
  ],
  [
    'CVE-2024-10039',
    {
      judgedIn: 'test/binding/mtls and test/interop/nginx-client-cert.spec.ts',
      holdsHere: [headersOfNoProxy],
    },
  ],
  [
    'CVE-2020-15222',
    { judgedIn: 'test/binding/dpop and test/e2e/dpop-replay.spec.ts', holdsHere: [] },
  ],
  ['CVE-2020-15223', { judgedIn: 'test/revocation and test/e2e', holdsHere: [] }],
  [
    'CVE-2020-5300',
    { judgedIn: 'test/binding/dpop and test/e2e/dpop-replay.spec.ts', holdsHere: [] },
  ],
  [
    'better-auth #9096',
    { judgedIn: 'test/binding/dpop and test/e2e/dpop-replay.spec.ts', holdsHere: [] },
  ],
  [
    'GHSA-xg6x-h9c9-2m83',
    { judgedIn: 'test/step-up and test/e2e/confirmations.spec.ts', holdsHere: [] },
  ],
  ['CVE-2026-45364', { judgedIn: 'throttling, which is still to come', holdsHere: [] }],
  [
    'better-auth PR #8067',
    { judgedIn: 'test/step-up and test/e2e/confirmations.spec.ts', holdsHere: [] },
  ],
  ['GHSA-cq3f-vc6p-68fh', sessions],
  ['CVE-2026-47386', sessions],
  ['GHSA-qxxr (short)', sessions],
  ['oxAuth #1909', sessions],
  ['CVE-2025-4643', { judgedIn: 'test/revocation and test/e2e', holdsHere: [] }],
  ['CVE-2023-27495', { judgedIn: 'test/transport', holdsHere: [] }],
  ['CVE-2022-25896', { judgedIn: 'test/transport', holdsHere: [] }],
  ['CVE-2024-47764', { judgedIn: 'test/transport', holdsHere: [] }],
]);

describe('advisories a verifier, a guard or a start can answer', () => {
  it.each(advisories.filter(({ id }) => JUDGED.has(id)))(
    '$id ($product, $cls): $what_failed',
    async ({ id }) => {
      const trials = JUDGED.get(id) ?? [];
      expect(trials).not.toEqual([]);
      await run(trials, lab);
    },
  );
});

describe('advisories about a feature with tests of its own', () => {
  const others = advisories.flatMap(({ id, product, what_failed }) => {
    const place = ELSEWHERE.get(id);
    return place === undefined ? [] : [{ id, product, what_failed, ...place }];
  });

  it.each(others.filter(({ holdsHere }) => holdsHere.length > 0))(
    '$id ($product: $what_failed) is judged in $judgedIn, and this holds here',
    async ({ holdsHere }) => {
      expect(holdsHere).not.toEqual([]);
      await run(holdsHere, lab);
    },
  );

  it('are listed with those tests, and every advisory is in one list', () => {
    const listed = [...JUDGED.keys(), ...ELSEWHERE.keys()];
    expect(listed.toSorted()).toEqual(advisories.map(({ id }) => id).toSorted());
  });
});

it('no header of any advisory was followed', () => {
  expect(lab.canaryCalls()).toBe(0);
});
