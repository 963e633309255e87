import { promisify } from 'node:util';
import { createInflate, deflate } from 'node:zlib';

import { isCanonicalBase64url } from '../kernel/base64url.js';

/**
 * The statuses of many tokens in an array of bytes (Token Status List §4.1): 1, 2, 4 or 8 bits each,
 * counted from the least significant bit, compressed with DEFLATE in the ZLIB format.
 */

/** Bits of one status. */
export type StatusWidth = 1 | 2 | 4 | 8;

const WIDTHS: readonly unknown[] = [1, 2, 4, 8];

export function isStatusWidth(value: unknown): value is StatusWidth {
  return WIDTHS.includes(value);
}

/** The status at an index; `undefined` beyond the end. */
export function statusAt(bytes: Uint8Array, width: StatusWidth, index: number): number | undefined {
  const perByte = 8 / width;
  const byte = bytes[Math.floor(index / perByte)];
  return byte === undefined ? undefined : (byte >> ((index % perByte) * width)) & (2 ** width - 1);
}

/** A list as `lst`. In the thread pool: a list takes milliseconds. */
export async function encodeStatuses(bytes: Uint8Array): Promise<string> {
  return (await promisify(deflateHard)(bytes)).toString('base64url');
}

/** §4.1, 3: the highest level is recommended. */
function deflateHard(
  bytes: Uint8Array,
  done: (error: Error | null, compressed: Buffer) => void,
): void {
  deflate(bytes, { level: 9 }, done);
}

/** Output taken from the decompressor at a time. */
const CHUNK = 64 * 1024;

/** Why an `lst` is not used. Stable: alerts are built on these. */
export type StatusBitsFault = 'not-base64url' | 'not-one-zlib-stream' | 'list-too-large';

/**
 * A list from `lst`. It has to be one zlib stream, whole and with nothing behind it; whatever a few
 * bytes unpack to, no more than `maxBytes` of it are ever in memory.
 */
export async function decodeStatuses(
  lst: string,
  maxBytes: number,
): Promise<Buffer | StatusBitsFault> {
  if (!/^[A-Za-z0-9_-]+$/.test(lst) || !isCanonicalBase64url(lst)) return 'not-base64url';
  const compressed = Buffer.from(lst, 'base64url');
  const inflate = createInflate({ chunkSize: CHUNK });
  inflate.end(compressed);
  const chunks: Buffer[] = [];
  let length = 0;
  try {
    for await (const chunk of inflate as AsyncIterable<Buffer>) {
      length += chunk.length;
      if (length > maxBytes) return 'list-too-large';
      chunks.push(chunk);
    }
  } catch {
    return 'not-one-zlib-stream';
  }
  // The decompressor stops where the stream ends and says nothing of what comes behind.
  if (inflate.bytesWritten !== compressed.length) return 'not-one-zlib-stream';
  return Buffer.concat(chunks, length);
}
