import { deflateRawSync, deflateSync, gzipSync } from 'node:zlib';

import {
  decodeStatuses,
  encodeStatuses,
  isStatusWidth,
  statusAt,
  type StatusWidth,
} from '../../lib/status-list/status-bits.js';
import { readVectors } from '../vectors/vector-files.js';

interface Vector {
  readonly id: string;
  readonly bits: StatusWidth;
  readonly lst: string;
  readonly size: number;
  readonly expected: Readonly<Record<string, number>>;
  readonly inflated_bytes?: number;
}

const { vectors } = readVectors('status-list/status_list_vectors.json') as {
  readonly vectors: readonly Vector[];
};

const MIB = 2 ** 20;

async function decoded(lst: string): Promise<Buffer> {
  const bytes = await decodeStatuses(lst, MIB);
  if (typeof bytes === 'string') throw new Error(bytes);
  return bytes;
}

describe('the vectors of Token Status List', () => {
  it('are all here', () => {
    expect(vectors.map(({ bits }) => bits)).toEqual([1, 2, 4, 8, 1, 2]);
  });

  it.each(vectors)('$id: every index has its status', async ({ bits, lst, size, expected }) => {
    const bytes = await decoded(lst);
    expect(bytes).toHaveLength((size * bits) / 8);
    const found: Record<string, number | undefined> = {};
    for (let index = 0; index < size; index++) {
      const status = statusAt(bytes, bits, index);
      if (status !== 0) found[index] = status;
    }
    const notZero = Object.entries(expected).filter(([, status]) => status !== 0);
    expect(found).toEqual(Object.fromEntries(notZero));
  });

  it.each(vectors)('$id: nothing stands beyond the end', async ({ bits, lst, size }) => {
    const bytes = await decoded(lst);
    for (const index of [size, size + 1, 2 ** 31, 2 ** 32, Number.MAX_SAFE_INTEGER]) {
      expect(statusAt(bytes, bits, index)).toBeUndefined();
    }
  });

  it.each(vectors)('$id: what is encoded here reads the same', async ({ lst }) => {
    const bytes = await decoded(lst);
    const again = await encodeStatuses(bytes);
    expect((await decoded(again)).equals(bytes)).toBe(true);
    expect(again.length).toBeLessThanOrEqual(lst.length * 1.1);
  });

  it.each(vectors.filter(({ id }) => id.includes('short')))(
    '$id: is encoded to the same text',
    async ({ lst }) => {
      expect(await encodeStatuses(await decoded(lst))).toBe(lst);
    },
  );
});

describe('a status', () => {
  it.each([
    [1, true],
    [2, true],
    [4, true],
    [8, true],
    [0, false],
    [3, false],
    [16, false],
    [-1, false],
    [1.5, false],
    ['1', false],
    [null, false],
    [undefined, false],
    [[1], false],
  ])('of %s bits: %s', (width, isOne) => {
    expect(isStatusWidth(width)).toBe(isOne);
  });
});

describe('a list', () => {
  const list = deflateSync(Buffer.alloc(1_000, 7), { level: 9 });
  const text = (bytes: Buffer): string => bytes.toString('base64url');

  it('may fill the limit to the byte, and no more', async () => {
    expect(await decodeStatuses(text(list), 1_000)).toHaveLength(1_000);
    expect(await decodeStatuses(text(list), 999)).toBe('list-too-large');
  });

  it('of many pieces is put together again', async () => {
    const bytes = Buffer.from(
      Array.from({ length: 300_000 }, (_, at) => (at * 2_654_435_761) >>> 24),
    );
    expect((await decoded(text(deflateSync(bytes)))).equals(bytes)).toBe(true);
  });

  it('that unpacks to a thousand times as much is given up at the limit', async () => {
    // 256 MiB in 256 KiB.
    const bomb = deflateSync(Buffer.alloc(2 ** 28));
    const before = process.memoryUsage();
    expect(await decodeStatuses(text(bomb), MIB)).toBe('list-too-large');
    const { external, arrayBuffers } = process.memoryUsage();
    expect(external + arrayBuffers - before.external - before.arrayBuffers).toBeLessThan(64 * MIB);
  });

  it.each<[what: string, lst: string, fault: string]>([
    ['gzip', text(gzipSync(Buffer.alloc(10))), 'not-one-zlib-stream'],
    ['raw DEFLATE', text(deflateRawSync(Buffer.alloc(10))), 'not-one-zlib-stream'],
    ['not compressed', text(Buffer.alloc(16)), 'not-one-zlib-stream'],
    ['cut off', text(list.subarray(0, -5)), 'not-one-zlib-stream'],
    ['without its checksum', text(list.subarray(0, -4)), 'not-one-zlib-stream'],
    ['cut off by a byte', text(list.subarray(0, -1)), 'not-one-zlib-stream'],
    ['with another checksum', text(withLast(list, 1)), 'not-one-zlib-stream'],
    ['followed by a byte', text(Buffer.concat([list, Buffer.from([0])])), 'not-one-zlib-stream'],
    ['followed by another list', text(Buffer.concat([list, list])), 'not-one-zlib-stream'],
    ['followed by much', text(Buffer.concat([list, Buffer.alloc(99_999)])), 'not-one-zlib-stream'],
    [
      'with a preset dictionary',
      text(deflateSync(Buffer.from('abc'), { dictionary: Buffer.from('abc') })),
      'not-one-zlib-stream',
    ],
    ['empty', '', 'not-base64url'],
    ['one character', 'e', 'not-base64url'],
    ['padded', `${text(deflateSync(Buffer.alloc(9)))}=`, 'not-base64url'],
    ['with a line break', `${text(list)}\n`, 'not-base64url'],
    ['with a + of base64', `+${text(list).slice(1)}`, 'not-base64url'],
    ['with a / of base64', `/${text(list).slice(1)}`, 'not-base64url'],
    ['with stray bits', strayBits(text(list)), 'not-base64url'],
  ])('is refused: %s', async (_what, lst, fault) => {
    expect(await decodeStatuses(lst, MIB)).toBe(fault);
  });

  function withLast(bytes: Buffer, flip: number): Buffer {
    const changed = Buffer.from(bytes);
    changed[bytes.length - 1] = (bytes.at(-1) ?? 0) ^ flip;
    return changed;
  }

  /** The same bytes, spelled otherwise. */
  function strayBits(lst: string): string {
    const alphabet = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_';
    expect(lst.length % 4).not.toBe(0);
    const other = `${lst.slice(0, -1)}${alphabet.charAt(alphabet.indexOf(lst.at(-1) ?? '') + 1)}`;
    expect(Buffer.from(other, 'base64url')).toEqual(Buffer.from(lst, 'base64url'));
    return other;
  }
});
