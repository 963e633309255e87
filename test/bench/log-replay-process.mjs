/**
 * `node log-replay-process.mjs <url> <how>`: reads all of the log in Redis into an index, as a new
 * instance does, and tells how long it took. `ahead`: the next page is on its way while one is taken
 * in; `in turn`: it is not.
 */
import { monitorEventLoopDelay } from 'node:perf_hooks';

import { readRevocation } from '../../dist/revocation/revocation-entry.js';
import { RevocationIndex } from '../../dist/revocation/revocation-index.js';
import { redisStorage } from '../../dist/storage/redis/redis-storage.js';
import { takePace } from './pace.mjs';
import { readProcess } from './processor-time.mjs';

/** As many as the log gives. */
const LIMIT = 5_000;

const [url, how] = process.argv.slice(2);

const pauses = monitorEventLoopDelay({ resolution: 1 });
pauses.enable();
const before = readProcess(process.pid).main;
const startedAt = performance.now();

const index = new RevocationIndex();
// Patient, because it is not measured how an instance waits for a machine that is busy otherwise.
const { revocationLog: log } = redisStorage({ url, deadline: '5s' });
let entries = 0;
let pages = 0;
let unreadable = 0;
let position = null;
for (let reading = log.read({ after: null, limit: LIMIT }); ;) {
  const page = await reading;
  if (page.verdict === 'lost') throw new Error('the log was lost');
  ({ position } = page);
  const isAhead = how === 'ahead' && !page.atEnd;
  if (isAhead) reading = log.read({ after: position, limit: LIMIT });
  const now = Date.now();
  for (const entry of page.entries) {
    const revocation = readRevocation(entry);
    if (revocation === undefined) unreadable++;
    else index.add(revocation, now);
  }
  entries += page.entries.length;
  pages++;
  if (page.atEnd) break;
  if (!isAhead) reading = log.read({ after: position, limit: LIMIT });
}

const milliseconds = performance.now() - startedAt;
const main = (readProcess(process.pid).main - before) / 1e6;
pauses.disable();
const result = {
  milliseconds,
  main,
  longestPause: pauses.max / 1e6,
  entries,
  pages,
  unreadable,
  held: index.size,
  position,
  pace: takePace(),
  /** All that this process did, its start included. */
  all: readProcess(process.pid).all,
};
process.send(result, () => process.exit());
