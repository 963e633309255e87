import { RevocationError } from '../../lib/kernel/errors.js';
import {
  askDirectory,
  judgeSubject,
  readStanding,
  SubjectDirectory,
  type SubjectReference,
  type SubjectStanding,
} from '../../lib/revocation/subject-directory.js';

const REFERENCE: SubjectReference = { issuer: 'https://issuer.example', subject: 'user-1' };

/** A users table that does what a test tells it to. */
class Users extends SubjectDirectory {
  constructor(readonly answer: () => unknown) {
    super();
  }

  async find(): Promise<SubjectStanding | null> {
    return this.answer() as SubjectStanding | null;
  }
}

class RefreshingUsers extends Users {
  override async refresh(): Promise<SubjectStanding | null> {
    return { disabled: true };
  }
}

const circular: Record<string, unknown> = { version: 1 };
circular['disabled'] = circular;

const NONSENSE: readonly (readonly [what: string, answer: unknown])[] = [
  ['nothing', undefined],
  ['a text', 'disabled'],
  ['true', true],
  ['zero', 0],
  ['an empty object', {}],
  ['a list', [{ disabled: false }]],
  ['a function', () => ({ disabled: false })],
  ['disabled as text', { disabled: 'false' }],
  ['disabled as a number', { disabled: 0 }],
  ['disabled as null', { disabled: null }],
  ['disabled as itself', circular],
  ['a version without disabled', { version: 1 }],
  ['a version that is null', { disabled: false, version: null }],
  ['a version that is text', { disabled: false, version: '1' }],
  ['a negative version', { disabled: false, version: -1 }],
  ['a broken version', { disabled: false, version: 1.5 }],
  ['a version that is no number', { disabled: false, version: NaN }],
  ['an endless version', { disabled: false, version: Infinity }],
  ['a version beyond what is exact', { disabled: false, version: 2 ** 53 }],
  ['a version that is a bigint', { disabled: false, version: 1n }],
];

describe('what a directory answers', () => {
  it.each(NONSENSE)('is no standing when it is %s, and asking rejects', async (_what, answer) => {
    expect(readStanding(answer)).toBeUndefined();
    await expect(askDirectory(new Users(() => answer), REFERENCE)).rejects.toMatchObject({
      code: 'ERR_SUBJECT_UNAVAILABLE',
    });
  });

  it.each<[SubjectStanding | null]>([
    [null],
    [{ disabled: false }],
    [{ disabled: true }],
    [{ disabled: false, version: 0 }],
    [{ disabled: false, version: Number.MAX_SAFE_INTEGER }],
  ])('is handed on when it is %j', async (standing) => {
    expect(await askDirectory(new Users(() => standing), REFERENCE)).toEqual(standing);
  });

  it('is stripped of whatever else a row of users holds', async () => {
    const row = { disabled: false, version: 3, email: 'a@b.example', passwordHash: '$argon2id$' };
    const standing = await askDirectory(new Users(() => row), REFERENCE);
    expect(standing).toEqual({ disabled: false, version: 3 });
    row.disabled = true;
    expect(standing).toEqual({ disabled: false, version: 3 });
  });

  it('is read once: it cannot be one thing when checked and another when used', () => {
    let reads = 0;
    const shifty = {
      get disabled() {
        return ++reads === 1 ? true : 'no';
      },
    };
    expect(readStanding(shifty)).toEqual({ disabled: true });
  });
});

describe('a directory that fails', () => {
  it.each<[what: string, answer: () => unknown]>([
    ['rejects', () => Promise.reject(new Error('connect ECONNREFUSED db user=user-1'))],
    ['rejects with nothing', () => Promise.reject(undefined)],
    [
      'answers what throws when it is read',
      () => new Proxy({}, { get: () => assertNever('trapped user-1') }),
    ],
  ])('is unavailable when it %s, and its words stay in the cause', async (_what, answer) => {
    const error: unknown = await askDirectory(new Users(answer), REFERENCE).catch((e) => e);
    expect(error).toBeInstanceOf(RevocationError);
    expect(error).toMatchObject({ code: 'ERR_SUBJECT_UNAVAILABLE' });
    expect(String(error)).not.toContain('user-1');
  });

  it('is unavailable when it throws instead of rejecting', async () => {
    const users = new Users(() => null);
    users.find = () => assertNever('thrown');
    await expect(askDirectory(users, REFERENCE)).rejects.toMatchObject({
      code: 'ERR_SUBJECT_UNAVAILABLE',
    });
  });

  it('is unavailable when it never answers', async () => {
    const users = new Users(() => new Promise(() => {}));
    await expect(askDirectory(users, REFERENCE, { within: 1 })).rejects.toMatchObject({
      code: 'ERR_SUBJECT_UNAVAILABLE',
      message: 'The subject directory did not answer in time.',
    });
  });
});

describe('asking past the cache', () => {
  it('takes refresh where there is one, and find where there is none', async () => {
    const find = (): SubjectStanding => ({ disabled: false });
    const past = { how: 'refresh' } as const;
    expect(await askDirectory(new RefreshingUsers(find), REFERENCE, past)).toEqual({
      disabled: true,
    });
    expect(await askDirectory(new RefreshingUsers(find), REFERENCE)).toEqual({ disabled: false });
    expect(await askDirectory(new Users(find), REFERENCE, past)).toEqual({ disabled: false });
  });
});

describe('judgeSubject', () => {
  it.each<[verdict: string, standing: SubjectStanding | null, version: unknown]>([
    ['ok', { disabled: false }, undefined],
    ['ok', { disabled: false }, 7],
    ['ok', { disabled: false, version: 0 }, undefined],
    ['ok', { disabled: false, version: 2 }, 2],
    ['ok', { disabled: false, version: 2 }, 3],
    ['its subject is unknown', null, 9],
    ['its subject is disabled', { disabled: true, version: 1 }, 9],
    ['its token_version is outdated', { disabled: false, version: 1 }, undefined],
    ['its token_version is outdated', { disabled: false, version: 2 }, 1],
    ['its token_version is malformed', { disabled: false, version: 0 }, null],
    ['its token_version is malformed', { disabled: false, version: 0 }, '9'],
    ['its token_version is malformed', { disabled: false, version: 0 }, [9]],
    ['its token_version is malformed', { disabled: false, version: 0 }, 0.5],
    ['its token_version is malformed', { disabled: false, version: 0 }, Infinity],
    ['its token_version is malformed', { disabled: false, version: 0 }, NaN],
    ['its token_version is malformed', { disabled: false, version: 0 }, -1],
  ])('says "%s" of standing %j and version %j', (verdict, standing, version) => {
    expect(judgeSubject(standing, version)).toBe(verdict);
  });
});

function assertNever(message: string): never {
  throw new Error(message);
}
