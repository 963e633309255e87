import { readdirSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';

import { Redis } from 'ioredis';

import type { RedisServer } from '../support/redis-server.js';

/** All there is in a Redis, as who steals it would have it: every key, and the files on its disk. */

export interface Dump {
  /** Names, fields and values, each by itself. */
  readonly texts: readonly string[];
  /** Everything, in one piece. */
  readonly bytes: Buffer;
}

/** @param folder of a server that writes an append-only file and snapshots */
export async function dumpRedis({ url }: RedisServer, folder: string): Promise<Dump> {
  const redis = new Redis(url);
  try {
    const names = await redis.keys('*');
    const values = await Promise.all(names.map((name) => read(redis, name)));
    const texts = [...names, ...values.flat()];
    await redis.save();
    const files = filesIn(folder).map((file) => readFileSync(file));
    return { texts, bytes: Buffer.concat([Buffer.from(texts.join('\n')), ...files]) };
  } finally {
    redis.disconnect();
  }
}

async function read(redis: Redis, name: string): Promise<readonly string[]> {
  const type = await redis.type(name);
  switch (type) {
    case 'string':
      return [(await redis.get(name)) ?? ''];
    case 'hash':
      return Object.entries(await redis.hgetall(name)).flat();
    case 'zset':
      return redis.zrange(name, '0', '-1', 'WITHSCORES');
    case 'stream':
      return (await redis.xrange(name, '-', '+')).flatMap(([id, fields]) => [id, ...fields]);
    case 'none':
      // It expired since.
      return [];
    default:
      throw new Error(`what a ${type} holds is not looked at`);
  }
}

function filesIn(folder: string): readonly string[] {
  return readdirSync(folder).flatMap((name) => {
    const path = join(folder, name);
    return statSync(path).isDirectory() ? filesIn(path) : [path];
  });
}

/** How long a piece of a secret has to be to be one: 96 bits in base64url. */
const PIECE = 16;

/**
 * Pieces of these secrets that are in the dump, in any of the ways in which bytes are written.
 * @param secrets texts, or the bytes they stand for
 */
export function piecesIn(
  { bytes }: Dump,
  secrets: Readonly<Record<string, string | Buffer>>,
): readonly string[] {
  const text = bytes.toString('latin1');
  return Object.entries(secrets).flatMap(([name, secret]) => {
    const forms = typeof secret === 'string' ? windowsOf(secret) : formsOf(secret);
    return forms.some((form) => text.includes(form)) ? [name] : [];
  });
}

function windowsOf(text: string): readonly string[] {
  const count = Math.max(1, text.length - PIECE + 1);
  return Array.from({ length: count }, (_, at) => text.slice(at, at + PIECE));
}

/** In base64 bytes read differently by where among others they stand. */
function formsOf(secret: Buffer): readonly string[] {
  const shifted = [0, 1, 2].flatMap((shift) => {
    const padded = Buffer.concat([Buffer.alloc(shift), secret]);
    return [padded.toString('base64'), padded.toString('base64url')].map((text) =>
      text.slice(4, Math.floor((padded.length * 8) / 6) - 1),
    );
  });
  const hex = secret.toString('hex');
  return [...shifted, hex, hex.toUpperCase(), secret.toString('latin1')];
}
