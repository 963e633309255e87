/**
 * How long a new instance takes to know a long log in Redis by heart, and what that costs the server
 * that all instances share.
 */
import { spawn, spawnSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { mkdtempSync, rmSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { Redis } from 'ioredis';

import { DIGEST_LENGTH, writeRevocation } from '../../dist/revocation/revocation-entry.js';
import { redisStorage } from '../../dist/storage/redis/redis-storage.js';
import { start } from './child-process.mjs';
import { REFERENCE_MICROSECONDS } from './pace.mjs';
import { readMachine, readProcess } from './processor-time.mjs';
import { formatTable } from './report.mjs';
import { median } from './statistics.mjs';

const HOUR = 3_600_000;
/** Entries written at a time. */
const BATCH = 10_000;

const WAYS = ['in turn', 'ahead'];

/** As the script that appends one entry leaves the log, but for many. The last one is appended by it. */
const FILL = `
local id, now, number, expires, ends, size = ARGV[1], tonumber(ARGV[2]), tonumber(ARGV[3]), ARGV[4], ARGV[5], tonumber(ARGV[6])
local digits = function(value) return string.format('%.0f', value) end
for at = 1, #ARGV[7] / size do
  local data = string.sub(ARGV[7], (at - 1) * size + 1, at * size)
  redis.call('XADD', KEYS[1], digits(now) .. '-' .. digits(number + at), 'e', expires .. ':' .. ends .. ':' .. data)
end
redis.call('HSET', KEYS[2], 'id', id, 'time', digits(now), 'number', digits(number + #ARGV[7] / size), 'until', ends, 'swept', '')
redis.call('PEXPIREAT', KEYS[1], ends)
redis.call('PEXPIREAT', KEYS[2], ends)
`;

export function isRedisInstalled() {
  return spawnSync('redis-server', ['--version']).error === undefined;
}

/** Both ways, interleaved, each in fresh processes. */
export async function measureReplay({ entries, rounds }, patience) {
  const server = await startServer();
  try {
    const log = await fill(server.url, entries);
    const bytes = await server.admin.memory('USAGE', 'njh:{log}:entries', 'SAMPLES', 0);
    const runs = new Map(WAYS.map((way) => [way, []]));
    // The first round only warms the file cache.
    for (let round = -1; round < rounds; round++) {
      for (const [way, own] of round % 2 === 0 ? runs : [...runs].toReversed()) {
        const run = await patience.best(() => replay(server, way));
        if (run.entries !== entries || run.held !== entries || run.unreadable > 0) {
          throw new Error(`${run.entries} entries read, ${run.held} held, not ${entries}`);
        }
        if (run.position !== log.position) throw new Error('the log ends elsewhere');
        if (round >= 0) own.push(run);
      }
    }
    return [...runs].map(([way, own]) => ({
      way,
      entries,
      bytesPerEntry: bytes / entries,
      ...Object.fromEntries(
        FIGURES.map((figure) => [figure, median(own.map((run) => run[figure]))]),
      ),
      atReference: median(own.map((run) => run.milliseconds / (run.pace / REFERENCE_MICROSECONDS))),
      runs: own,
    }));
  } finally {
    await server.stop();
  }
}

const FIGURES = [
  'milliseconds',
  'main',
  'server',
  'slowestPage',
  'longestPause',
  'pages',
  'pace',
  'others',
];

export function formatReplay(summaries) {
  return formatTable(
    [
      'pages',
      'ms',
      'at reference pace',
      'main us/entry',
      'server us/entry',
      'entries/page',
      'server ms/page',
      'slowest page ms',
      'longest pause ms',
      'pace us',
      'others',
    ],
    summaries.map((row) => [
      row.way,
      row.milliseconds.toFixed(0),
      row.atReference.toFixed(0),
      ((row.main / row.entries) * 1e3).toFixed(2),
      ((row.server / row.entries) * 1e3).toFixed(2),
      (row.entries / row.pages).toFixed(0),
      (row.server / row.pages).toFixed(2),
      row.slowestPage.toFixed(2),
      row.longestPause.toFixed(1),
      row.pace.toFixed(0),
      `${(row.others * 100).toFixed(0)}%`,
    ]),
  );
}

/** One new process that reads everything. */
async function replay({ url, pid, admin }, way) {
  await admin.slowlog('RESET');
  const before = { machine: readMachine(), server: readProcess(pid).all };
  const beganAt = process.hrtime.bigint();
  const child = start('./log-replay-process.mjs', [url, way]);
  const run = await child.receive();
  const wall = Number(process.hrtime.bigint() - beganAt);
  const server = readProcess(pid).all - before.server;
  const others = (readMachine() - before.machine - server - run.all) / wall;
  await child.stop();
  const slow = await admin.slowlog('GET', -1);
  const pages = slow.filter(([, , , [command]]) => /^eval/i.test(command));
  return {
    ...run,
    server: server / 1e6,
    // As Redis counts it: what else ran on its processor meanwhile is in it.
    slowestPage: Math.max(0, ...pages.map(([, , microseconds]) => microseconds / 1e3)),
    others: Math.max(0, others),
  };
}

/** Answers where the log ends. */
async function fill(url, entries) {
  const client = new Redis(url);
  const storage = redisStorage({ url, deadline: '5s' });
  try {
    const now = Date.now();
    const expires = now + HOUR;
    const ends = now + 2 * HOUR;
    const textOf = () => {
      const digest = randomBytes(DIGEST_LENGTH).toString('base64url').slice(0, DIGEST_LENGTH);
      return writeRevocation({ kind: 'token', digest, since: now, until: expires }).data;
    };
    const id = randomBytes(24).toString('base64url');
    for (let number = 0; number < entries - 1; number += BATCH) {
      const texts = Array.from({ length: Math.min(BATCH, entries - 1 - number) }, textOf);
      const args = [id, now + number, number, expires, ends, texts[0].length, texts.join('')];
      await client.eval(FILL, 2, 'njh:{log}:entries', 'njh:{log}:state', ...args);
    }
    return await storage.revocationLog.append({ data: textOf(), expiresAt: expires });
  } finally {
    client.disconnect();
    await storage.close();
  }
}

async function startServer() {
  const port = await freePort();
  const folder = mkdtempSync(join(tmpdir(), 'njh-bench-'));
  const args = ['--port', port, '--bind', '127.0.0.1', '--dir', folder, '--save', ''];
  const server = spawn('redis-server', args.map(String), { stdio: 'ignore' });
  const kill = () => server.kill('SIGKILL');
  process.once('exit', kill);
  const url = `redis://127.0.0.1:${port}`;
  const admin = new Redis(url, { retryStrategy: () => 50, maxRetriesPerRequest: null });
  // Until it listens.
  admin.on('error', () => {});
  await admin.ping();
  await admin.config('SET', 'slowlog-log-slower-than', 500, 'slowlog-max-len', 10_000);
  const stop = async () => {
    admin.disconnect();
    process.off('exit', kill);
    await new Promise((resolve) => server.once('exit', resolve).kill('SIGKILL'));
    rmSync(folder, { recursive: true, force: true });
  };
  return { url, pid: server.pid, admin, stop };
}

function freePort() {
  return new Promise((resolve, reject) => {
    const probe = createServer().once('error', reject);
    probe.listen(0, '127.0.0.1', () => {
      const { port } = probe.address();
      probe.close(() => resolve(port));
    });
  });
}
