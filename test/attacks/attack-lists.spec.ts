import { TokenError } from '../../lib/kernel/errors.js';
import { forgeAccess } from '../support/token-mother.js';
import { send } from '../support/http.js';
import { ROUTES } from '../vectors/arena.js';
import { readRows } from '../vectors/vector-files.js';
import { expectRefused, type Lab, openLab, rowsRefused, run, type Trial } from './trials/lab.js';
import { nothingDisclosed } from './trials/request-trials.js';
import { disguisedPems, emptyKeys, keyNeedsItsAlgorithm, noStart } from './trials/start-trials.js';
import { rsaKeyAsSecret, sshKeyAsSecret } from './trials/token-trials.js';

/** The playbooks of jwt_tool, PortSwigger, PayloadsAllTheThings and OWASP, row by row. */

interface Attack {
  readonly n: number;
  readonly list: string;
  readonly code: string;
  readonly what: string;
}

const attacks = readRows('attack-lists/attacks.jsonl') as readonly Attack[];

let lab: Lab;

beforeAll(async () => {
  lab = await openLab();
});

afterAll(() => lab.close());

type Members = Readonly<Record<string, unknown>>;

function encode(part: unknown): string {
  return Buffer.from(JSON.stringify(part)).toString('base64url');
}

function decode(part: string | undefined): Members {
  return JSON.parse(Buffer.from(part ?? '', 'base64url').toString()) as Members;
}

/** A right token with one member of its header or claims replaced and its signature kept. */
function tampered(token: string, part: 'header' | 'payload', name: string, value: unknown): string {
  const [header = '', payload = '', signature = ''] = token.split('.');
  return part === 'header'
    ? `${encode({ ...decode(header), [name]: value })}.${payload}.${signature}`
    : `${header}.${encode({ ...decode(payload), [name]: value })}.${signature}`;
}

/** What jwt_tool replaces members by. */
const REPLACEMENTS = [null, true, false, 'jwt_tool', 0] as const;

const COMMON_HEADERS = ['typ', 'jku', 'kid', 'x5u', 'x5t'];
const COMMON_CLAIMS = [
  [
    'iss',
    'sub',
    'aud',
    'exp',
    'nbf',
    'iat',
    'jti',
    'name',
    'given_name',
    'family_name',
    'nickname',
  ],
  ['middle_name', 'preferred_username', 'profile', 'picture', 'website', 'email', 'email_verified'],
  ['gender', 'birthdate', 'zoneinfo', 'locale', 'phone_number', 'address', 'updated_at', 'azp'],
  ['nonce', 'auth_time', 'at_hash', 'c_hash', 'acr', 'amr', 'sub_jwk', 'cnf', 'sip_from_tag'],
  [
    'sip_date',
    'sip_callid',
    'sip_cseq_num',
    'sip_via_branch',
    'orig',
    'dest',
    'mky',
    'events',
    'toe',
  ],
  ['txn', 'rph', 'sid', 'vot', 'vtm', 'attest', 'origid', 'act', 'scope', 'client_id', 'may_act'],
  ['jcard', 'at_use_nbr', 'roles', 'permissions', 'admin', 'user', 'username', 'role', 'is_admin'],
].flat();

type Member = readonly [part: 'header' | 'payload', name: string];

const existingHeaders = (): Member[] =>
  Object.keys(decode(lab.valid.split('.')[0])).map((name) => ['header', name]);
const existingClaims = (): Member[] =>
  Object.keys(decode(lab.valid.split('.')[1])).map((name) => ['payload', name]);
const commonMembers = (): Member[] => [
  ...COMMON_HEADERS.map((name): Member => ['header', name]),
  ...COMMON_CLAIMS.map((name): Member => ['payload', name]),
];

/** Each member <- each value, signature kept: 401 on both adapters, and the value is not echoed. */
function tampering(members: () => readonly Member[], values: readonly unknown[]): Trial {
  return async ({ sides, valid }) => {
    const cases = members().flatMap((member) => values.map((value) => [...member, value] as const));
    for (const { url } of sides) {
      const answers = await Promise.all(
        cases.map(([part, name, value]) =>
          send(url, ROUTES.protected, { token: tampered(valid, part, name, value) }),
        ),
      );
      const accepted = cases.filter((_, index) => answers[index]?.status !== 401);
      expect(accepted).toEqual([]);
      expect(answers.map(({ body }) => body).join()).not.toContain('jwt_tool');
    }
  };
}

/** As `tampering`, with the address of the canary. */
function outOfBand(members: () => readonly Member[]): Trial {
  return async (trialLab) => {
    await tampering(members, [trialLab.canaryUrl])(trialLab);
    expect(trialLab.canaryCalls()).toBe(0);
  };
}

async function acceptedEverywhere({ sides, valid }: Lab): Promise<void> {
  for (const { url } of sides) {
    expect((await send(url, ROUTES.protected, { token: valid })).status).toBe(200);
  }
}

async function noToken({ sides }: Lab): Promise<void> {
  for (const { url } of sides) expect((await send(url, ROUTES.protected)).status).toBe(401);
}

const cutSignature = (trialLab: Lab): Promise<void> =>
  expectRefused(trialLab, trialLab.valid.slice(0, -4));

/** No lock-out by a bad token and no poisoned cache. */
async function persistence(trialLab: Lab): Promise<void> {
  for (const { url } of trialLab.sides) {
    for (const token of [
      'x',
      trialLab.valid.slice(0, -4),
      tampered(trialLab.valid, 'payload', 'sub', 'x'),
    ]) {
      expect((await send(url, ROUTES.protected, { token })).status).toBe(401);
      expect((await send(url, ROUTES.protected, { token: trialLab.valid })).status).toBe(200);
    }
  }
}

async function expiry(trialLab: Lab): Promise<void> {
  const token = await forgeAccess(trialLab.key, { ...trialLab.claims(), jti: 'to-expire' });
  await trialLab.tokens.verify(token);
  const before = trialLab.clock.now();
  trialLab.clock.advance(310_000);
  await expect(trialLab.tokens.verify(token)).rejects.toThrow(TokenError);
  trialLab.clock.set(before);
}

async function timestamps(trialLab: Lab): Promise<void> {
  const claims = decode(trialLab.valid.split('.')[1]);
  for (const name of ['exp', 'nbf', 'iat']) {
    for (const shift of [-86_400, -3600, 3600, 86_400]) {
      const value = Number(claims[name]) + shift;
      await expectRefused(trialLab, tampered(trialLab.valid, 'payload', name, value));
    }
  }
}

/** Keys are served at one place, and the others do not exist. */
async function jwksPlaces({ sides }: Lab): Promise<void> {
  const elsewhere = [
    ['/oauth2/v1/keys', '/jwks.json', '/.well-known/jwks_uri', '/openid/connect/jwks.json'],
    ['/.well-known/openid-configuration/jwks', '/.well-known/jwks.json/', '/api/jwks', '/keys'],
  ].flat();
  for (const { url } of sides) {
    const jwks = await send(url, '/.well-known/jwks.json');
    expect(jwks.body).not.toMatch(/"(?:d|p|q|dp|dq|qi|k|oth)":/);
    for (const path of elsewhere) {
      const { status, body } = await send(url, path);
      // Express serves a path with a trailing slash as the same path.
      expect(status === 404 || body === jwks.body).toBe(true);
    }
  }
}

/** The same token in another spelling is no second token that a list of revoked texts would miss. */
const otherSpellings: Trial = async (trialLab) => {
  for (const className of ['malleability', 'structure']) await rowsRefused(className)(trialLab);
};

const NONE = rowsRefused('alg-none');
const CONFUSION = rowsRefused('alg-confusion-hmac');
const WEAK = rowsRefused('weak-secret');
const EMPTY_HMAC = rowsRefused('kid-injection', /HS256 by an empty key/);
const KID = rowsRefused('kid-injection');
const INJECTION = rowsRefused('key-injection');
const NULL_SIGNATURE = rowsRefused('structure', /\{\{VP\}\}\."$/);

const JUDGED: ReadonlyMap<string, readonly Trial[]> = new Map<string, readonly Trial[]>([
  ['prescan-1', [acceptedEverywhere]],
  ['prescan-2', [noToken]],
  ['prescan-3', [cutSignature]],
  ['prescan-4', [acceptedEverywhere]],
  ['pb-persist', [persistence]],
  ['pb-reflect', [tampering(existingClaims, ['jwt_tool_1']), nothingDisclosed]],
  ['pb-weak', [WEAK]],
  ['-X b', [rowsRefused('alg-confusion-hmac', /empty/)]],
  ['-X n', [NULL_SIGNATURE]],
  ['-X a1', [rowsRefused('alg-none', /"none"/)]],
  ['-X a2', [rowsRefused('alg-none', /"None"/)]],
  ['-X a3', [rowsRefused('alg-none', /"NONE"/)]],
  ['-X a4', [rowsRefused('alg-none', /"nOnE"/)]],
  ['-X k', [CONFUSION, rsaKeyAsSecret]],
  ['-X i', [rowsRefused('key-injection', /jwk/)]],
  ['-X s', [rowsRefused('key-injection', /jku/)]],
  ['kid-1', [rowsRefused('kid-injection', /^kid "",/)]],
  ['kid-2', [rowsRefused('kid-injection', /dev\/null/)]],
  ['kid-3', [rowsRefused('kid-injection', /"\/dev\/null"/)]],
  ['kid-4', [EMPTY_HMAC]],
  ['kid-5', [rowsRefused('kid-injection', /sleep/)]],
  ['kid-6', [rowsRefused('kid-injection', /curl/)]],
  ['kid-7', [rowsRefused('kid-injection', /UNION/)]],
  ['oob-header', [outOfBand(existingHeaders)]],
  ['oob-payload', [outOfBand(existingClaims)]],
  ['alt-hmac', [WEAK]],
  ['er-h-null', [tampering(existingHeaders, [null])]],
  ['er-h-true', [tampering(existingHeaders, [true])]],
  ['er-h-false', [tampering(existingHeaders, [false])]],
  ['er-h-str', [tampering(existingHeaders, ['jwt_tool'])]],
  ['er-h-0', [tampering(existingHeaders, [0])]],
  ['er-p-null', [tampering(existingClaims, [null])]],
  ['er-p-true', [tampering(existingClaims, [true])]],
  ['er-p-false', [tampering(existingClaims, [false])]],
  ['er-p-str', [tampering(existingClaims, ['jwt_tool'])]],
  ['er-p-0', [tampering(existingClaims, [0])]],
  ['cc-h-url', [outOfBand(commonMembers), INJECTION]],
  ['cc-p-url', [outOfBand(commonMembers)]],
  ['cc-x', [tampering(commonMembers, REPLACEMENTS)]],
  ['manual-exp', [expiry]],
  ['manual-jwks', [jwksPlaces]],
  ['tamper-ts', [timestamps]],
  ['lab-1', [tampering(() => [['payload', 'sub']], ['admin', 'administrator'])]],
  ['lab-2', [NONE]],
  ['lab-3', [WEAK]],
  ['lab-4', [INJECTION]],
  ['lab-5', [rowsRefused('key-injection', /jku/)]],
  ['lab-6', [KID]],
  ['lab-7', [CONFUSION]],
  // Whoever recovered the public key from signatures knows what the JWKS says anyway.
  ['lab-8', [CONFUSION, rsaKeyAsSecret]],
  ['PATT-1', [NULL_SIGNATURE]],
  ['PATT-2', [nothingDisclosed]],
  ['PATT-3', [NONE]],
  ['PATT-4', [CONFUSION, rsaKeyAsSecret]],
  ['PATT-5', [INJECTION]],
  ['PATT-6', [CONFUSION, rsaKeyAsSecret]],
  ['PATT-7', [KID]],
  ['PATT-8', [KID]],
  ['PATT-9', [KID]],
  ['PATT-10', [KID]],
  ['PATT-11', [INJECTION]],
  ['PATT-12', [otherSpellings, WEAK, NONE, CONFUSION, INJECTION, KID]],
  ['WSTG-SESS-10.3', [expiry, rowsRefused('claims-time')]],
  ['WSTG-SESS-10.4', [tampering(existingClaims, ['x'])]],
  ['WSTG-SESS-10.5', [NONE]],
  ['WSTG-SESS-10.6', [rowsRefused('signature', /MAYCAQACAQA|r=0 s=0/)]],
  ['WSTG-SESS-10.7', [WEAK]],
  ['WSTG-SESS-10.8', [CONFUSION, sshKeyAsSecret]],
  ['WSTG-SESS-10.9', [INJECTION]],
  ['WSTG-SESS-10.10', [KID]],
  ['WSTG-SESS-10.11', [KID]],
  // There are no shared secrets yet, so not even a good one starts.
  ['CS-1', [emptyKeys, disguisedPems, noStart({ keys: { algorithm: 'HS256' } })]],
  ['CS-3', [keyNeedsItsAlgorithm, CONFUSION]],
  ['CS-4', [INJECTION]],
  ['CS-5', [KID]],
  ['CS-10', [noStart({ keys: { algorithm: 'HS256' } })]],
]);

/** Rows that are a policy for operators, or about a feature with tests of its own; and where. */
const ELSEWHERE: ReadonlyMap<string, string> = new Map([
  ['WSTG-SESS-10.1', 'what `sign` refuses: test/tokens'],
  ['WSTG-SESS-10.2', 'cookies and transport: test/transport'],
  ['CS-2', 'shared secrets and encryption: test/keys and test/tokens'],
  ['CS-6', 'remote key sets: test/keys/remote'],
  ['CS-7', 'revocation: test/revocation'],
  ['CS-8', 'revocation: test/revocation'],
  ['CS-9', 'DPoP and mutual TLS: test/binding'],
]);

describe('attack lists', () => {
  it.each(attacks.filter(({ code }) => JUDGED.has(code)))(
    '$list $code: $what',
    async ({ code }) => {
      const trials = JUDGED.get(code) ?? [];
      expect(trials).not.toEqual([]);
      await run(trials, lab);
    },
  );

  it('every row is tried here or listed with the place where it is', () => {
    const listed = [...JUDGED.keys(), ...ELSEWHERE.keys()];
    expect(listed.toSorted()).toEqual(attacks.map(({ code }) => code).toSorted());
  });

  it('no URL of any attack was called', () => {
    expect(lab.canaryCalls()).toBe(0);
  });
});
