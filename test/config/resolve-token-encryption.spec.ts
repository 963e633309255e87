import { randomBytes } from 'node:crypto';

import { OptionReader } from '../../lib/config/option-reader.js';
import {
  readTokenEncryption,
  type TokenEncryptionContext,
  type TokenEncryptionSettings,
} from '../../lib/config/resolve-token-encryption.js';
import { recordSecret } from '../support/witness.js';

const DAY = 86_400_000;
const KEYS = Array.from({ length: 3 }, () => randomBytes(32).toString('base64url'));
KEYS.forEach(recordSecret);
const [FIRST = '', SECOND = '', SEALING = ''] = KEYS;

interface Reading {
  readonly settings: TokenEncryptionSettings | null;
  readonly problems: readonly string[];
}

async function read(
  encryption: unknown,
  keys: object = {},
  context: Partial<TokenEncryptionContext> = {},
): Promise<Reading> {
  const reader = new OptionReader({
    keys,
    tokens: encryption === undefined ? {} : { encryption },
  });
  const settings = await readTokenEncryption(reader, {
    byDefault: 'signed',
    keys: { publishAhead: DAY, maxLag: Infinity },
    ...context,
  });
  return { settings, problems: reader.problems.map(({ path, problem }) => `${path}: ${problem}`) };
}

const STATIC = { signingKey: {} };

describe('tokens.encryption', () => {
  it('is off by default, and where it says null', async () => {
    expect(await read(undefined)).toEqual({ settings: null, problems: [] });
    expect(await read(null)).toEqual({ settings: null, problems: [] });
    expect((await read(null, {}, { byDefault: 'encrypted' })).settings).toBeNull();
  });

  it('is on where the profile says so, and accepts nothing else', async () => {
    const { settings, problems } = await read(undefined, {}, { byDefault: 'encrypted' });
    expect(problems).toEqual([]);
    expect(settings).toEqual({
      tokens: { accept: 'encrypted' },
      keys: { staticKeys: [], encryptsAfter: 0 },
    });
  });

  it.each<readonly [string, object, number, number]>([
    ['at once in one process', {}, Infinity, 0],
    ['when every instance has heard of it', {}, 5_000, 15_000],
    ['no later than any other key', {}, 90 * DAY, DAY],
    ['as late as any other key, while signed ones pass', { accept: 'both' }, 5_000, DAY],
    ['as late also in one process', { accept: 'both' }, Infinity, DAY],
  ])('lets the first key of a ring in use encrypt %s', async (_, options, maxLag, after) => {
    const context = { keys: { publishAhead: DAY, maxLag } };
    const { settings, problems } = await read(options, {}, context);
    expect(problems).toEqual([]);
    expect(settings?.keys.encryptsAfter).toBe(after);
  });

  it('takes keys beside a configured signing key, in their order', async () => {
    const both = await read({ keys: [FIRST, SECOND] }, STATIC);
    const one = await read({ keys: FIRST }, STATIC);
    expect([...both.problems, ...one.problems]).toEqual([]);
    const kids = both.settings?.keys.staticKeys.map(({ kid }) => kid) ?? [];
    expect(new Set(kids).size).toBe(2);
    expect(one.settings?.keys.staticKeys.map(({ kid }) => kid)).toEqual(kids.slice(0, 1));
    const bytes = both.settings?.keys.staticKeys.map(({ secret }) => secret.export());
    expect(bytes?.map((key) => key.toString('base64url'))).toEqual([FIRST, SECOND]);
  });

  const MISSING =
    'tokens.encryption.keys: it is missing, and a configured signing key leaves no ring to make one';

  it.each<readonly [string, unknown, object, readonly string[]]>([
    ['true', true, {}, ['tokens.encryption: it is a boolean']],
    ['a list', [], {}, ['tokens.encryption: it is an empty list']],
    [
      'a member nobody knows',
      { enc: 'A128GCM' },
      {},
      ['tokens.encryption.enc: it is not an option'],
    ],
    [
      'accept: signed',
      { accept: 'signed' },
      {},
      ['tokens.encryption.accept: it is none of its values'],
    ],
    ['no keys beside a signing key', {}, STATIC, [MISSING]],
    [
      'keys beside a ring',
      { keys: FIRST },
      {},
      [
        'tokens.encryption.keys: it is set, but without keys.signingKey the ring makes and rotates its own',
      ],
    ],
    [
      'a short key',
      { keys: FIRST.slice(1) },
      STATIC,
      ['tokens.encryption.keys: it is no such key'],
    ],
    [
      'a key of one byte, over and over',
      { keys: Buffer.alloc(32, 1).toString('base64url') },
      STATIC,
      ['tokens.encryption.keys: it is no such key'],
    ],
    [
      'a key twice',
      { keys: [FIRST, FIRST] },
      STATIC,
      ['tokens.encryption.keys: it names a key twice'],
    ],
    ['an empty list', { keys: [] }, STATIC, ['tokens.encryption.keys: it is an empty list']],
    ['null', { keys: null }, STATIC, ['tokens.encryption.keys: null is no key to encrypt with']],
    [
      'null in a list',
      { keys: [FIRST, null] },
      STATIC,
      ['tokens.encryption.keys: null is no key to encrypt with'],
    ],
    [
      'the key that seals the ring',
      { keys: [FIRST, SEALING] },
      { ...STATIC, encryptionKeys: SEALING },
      ['tokens.encryption.keys: it names one of keys.encryptionKeys'],
    ],
    [
      'one of the keys that open it',
      { keys: FIRST },
      { ...STATIC, encryptionKeys: [SEALING, FIRST] },
      ['tokens.encryption.keys: it names one of keys.encryptionKeys'],
    ],
  ])('is refused with %s', async (_, options, keys, problems) => {
    expect((await read(options, keys)).problems).toEqual(problems);
  });

  it('names no key in a problem', async () => {
    const { problems } = await read({ keys: [FIRST, FIRST], [SECOND]: 1 }, STATIC);
    expect(problems.join()).not.toContain(FIRST);
  });
});
