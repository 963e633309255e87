/**
 * What refreshing a session costs beside what no refresh can do without: the one script that rotates
 * it in Redis, and one ES256 signature.
 */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { start } from './child-process.mjs';
import { formatTable } from './report.mjs';
import { median } from './statistics.mjs';

const OWN = 'refresh';
/** With the signature where it is quickest, whichever that is on this machine. */
const FLOORS = ['script, signature in the pool', 'script, signature at once'];

const FIGURES = ['perSecond', 'main', 'all', 'server'];

/** Replicas are processes of their own; in each the variants take turns. */
export async function measureRefresh({ replicas, rounds, milliseconds }, patience) {
  const server = await startServer();
  try {
    const runs = [];
    for (let replica = 0; replica < replicas; replica++) {
      runs.push(await patience.best(() => run(server, rounds, milliseconds)));
    }
    const variants = Object.keys(runs[0].samples);
    const summaries = variants.map((variant) => {
      const samples = runs.flatMap(({ samples: { [variant]: own } }) => own);
      const medians = FIGURES.map((figure) => [figure, median(samples.map((one) => one[figure]))]);
      return { variant, ...Object.fromEntries(medians) };
    });
    return {
      summaries,
      pace: median(runs.map(({ pace }) => pace)),
      others: median(runs.map(({ others }) => others)),
      ratios: Object.fromEntries(FLOORS.map((floor) => [floor, ratioTo(floor, runs)])),
      runs,
    };
  } finally {
    await server.stop();
  }
}

/** Round by round: what disturbed one disturbed its neighbours. */
function ratioTo(floor, runs) {
  return median(
    runs.flatMap(({ samples }) =>
      samples[OWN].map(({ perSecond }, round) => perSecond / samples[floor][round].perSecond),
    ),
  );
}

async function run({ url, pid }, rounds, milliseconds) {
  const child = start('./refresh-process.mjs', [url, pid, rounds, milliseconds].map(String));
  try {
    return await child.receive();
  } finally {
    await child.stop();
  }
}

export function formatRefresh({ summaries, others }) {
  return formatTable(
    ['100 in flight', 'per second', 'main us', 'all threads us', 'server us', 'others'],
    summaries.map((row) => [
      row.variant,
      row.perSecond.toFixed(0),
      row.main.toFixed(1),
      row.all.toFixed(1),
      row.server.toFixed(1),
      `${(others * 100).toFixed(0)}%`,
    ]),
  );
}

export function refreshTargets({ ratios }) {
  return FLOORS.map((floor) => ({
    what: `refresh: throughput of ${floor}`,
    value: ratios[floor],
    atLeast: 0.5,
  }));
}

/** A Redis of its own, which keeps nothing on disk. */
export async function startServer() {
  const port = await freePort();
  const folder = mkdtempSync(join(tmpdir(), 'njh-bench-'));
  const args = ['--port', port, '--bind', '127.0.0.1', '--dir', folder, '--save', ''];
  const server = spawn('redis-server', args.map(String), { stdio: ['ignore', 'pipe', 'ignore'] });
  const kill = () => server.kill('SIGKILL');
  process.once('exit', kill);
  await until(server.stdout, /Ready to accept connections/);
  server.stdout.resume();
  const stop = async () => {
    process.off('exit', kill);
    kill();
    await once(server, 'exit');
    rmSync(folder, { recursive: true, force: true });
  };
  return { url: `redis://127.0.0.1:${port}`, pid: server.pid, stop };
}

function until(stream, pattern) {
  let said = '';
  return new Promise((resolve, reject) => {
    stream.on('data', (chunk) => {
      said += chunk;
      if (pattern.test(said)) resolve();
    });
    stream.once('close', () => reject(new Error(`redis-server ended: ${said.slice(-500)}`)));
  });
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
