/**
 * `node --expose-gc revocation-process.mjs <entries> <look-ups | pauses>`: fills the index of
 * revocations; looks things up in it beside a `Set` and a `Map` of a million; sweeps it.
 */
import { setImmediate as nextTurn } from 'node:timers/promises';

import { digestOf } from '../../dist/revocation/revocation-entry.js';
import { RevocationIndex } from '../../dist/revocation/revocation-index.js';
import { takePace } from './pace.mjs';
import { readMachine, readProcess } from './processor-time.mjs';
import { median } from './statistics.mjs';

const ISSUER = 'https://issuer.example';
const NOW = 1_800_000_000_000;
const HOUR = 3_600_000;
const PER_TURN = 100;
const LOOK_UPS = 100_000;
const ROUNDS = 15;
const PEER_ENTRIES = 1_000_000;

const entries = Number(process.argv[2]);
const looksUp = process.argv[3] === 'look-ups';

/** Half of them end after an hour. */
function entryAt(number) {
  return {
    kind: 'token',
    digest: digestOf('token', ISSUER, String(number)),
    since: NOW + (number % 1_000),
    until: NOW + (1 + (number % 2)) * HOUR,
  };
}

/** What the process holds once garbage is gone. */
async function readMemory() {
  for (let time = 0; time < 3; time++) {
    globalThis.gc();
    await nextTurn();
  }
  return process.memoryUsage();
}

/**
 * Runs turns of the event loop until one says that it was the last. `worst` is the processor time
 * from the beginning of a turn to that of the next, collecting garbage included; `worstWall` is what
 * the clock says, so on a busy machine mostly the time for which others had the processor.
 */
async function runTurns(turn) {
  let worst = 0;
  let worstWall = 0;
  let turns = 0;
  let wallBefore = performance.now();
  let before = processorMicroseconds();
  for (let goesOn = true; goesOn; turns++) {
    goesOn = turn(turns);
    await nextTurn();
    const now = processorMicroseconds();
    const wall = performance.now();
    worst = Math.max(worst, (now - before) / 1e3);
    worstWall = Math.max(worstWall, wall - wallBefore);
    before = now;
    wallBefore = wall;
  }
  return { worst, worstWall, turns };
}

function processorMicroseconds() {
  const { user, system } = process.cpuUsage();
  return user + system;
}

/** Nanoseconds of processor time for a look-up, of each of them in turn. */
function measureLookUps(kinds) {
  const samples = Object.fromEntries(Object.keys(kinds).map((name) => [name, []]));
  // The first rounds are for the compiler.
  for (let round = -3; round < ROUNDS; round++) {
    for (const [name, { digests, has, expected }] of Object.entries(kinds)) {
      let found = 0;
      const before = processorMicroseconds();
      for (const digest of digests) if (has(digest)) found++;
      const spent = processorMicroseconds() - before;
      if (found !== (expected ? digests.length : 0)) throw new Error(`${name}: found ${found}`);
      if (round >= 0) samples[name].push((spent * 1e3) / digests.length);
    }
  }
  return Object.fromEntries(Object.entries(samples).map(([name, own]) => [name, median(own)]));
}

/** Looks things up in the index and its peers. */
function lookUp() {
  // Texts of their own, in a row: those of a request were just made, and lie in the cache.
  const digestAt = (number) => Buffer.from(entryAt(number).digest, 'latin1').toString('latin1');
  const numbers = Array.from({ length: LOOK_UPS }, (_, place) => place);
  const hits = numbers.map((place) => digestAt((place * step) % entries));
  const misses = numbers.map((place) => digestAt(entries + place));
  const peers = Array.from({ length: PEER_ENTRIES }, (_, place) => digestAt(place));
  const peerHits = numbers.map((place) => digestAt((place * 10) % PEER_ENTRIES));
  const set = new Set(peers);
  const map = new Map(peers.map((digest, place) => [digest, place]));

  const inIndex = (digest) => index.find('token', digest, NOW) !== undefined;
  const inSet = (digest) => set.has(digest);
  const inMap = (digest) => map.get(digest) !== undefined;
  const paceBefore = takePace();
  const nanoseconds = measureLookUps({
    'ours, hit': { digests: hits, has: inIndex, expected: true },
    'ours, miss': { digests: misses, has: inIndex, expected: false },
    'Set, hit': { digests: peerHits, has: inSet, expected: true },
    'Set, miss': { digests: misses, has: inSet, expected: false },
    'Map, hit': { digests: peerHits, has: inMap, expected: true },
    'Map, miss': { digests: misses, has: inMap, expected: false },
  });
  return { pace: (paceBefore + takePace()) / 2, nanoseconds };
}

const startedAt = performance.now();
const machine = readMachine();
const own = readProcess(process.pid).all;

// Before the baseline: code is compiled, and the heap has grown to what this garbage makes of it.
const WARM_UP = 300_000;
let warm = new RevocationIndex();
await runTurns((turn) => {
  for (let number = turn * PER_TURN; number < (turn + 1) * PER_TURN; number++) {
    const entry = entryAt(-1 - number);
    if (number < WARM_UP / 10) warm.add(entry, NOW);
    warm.find('token', entry.digest, NOW);
  }
  warm.sweep(NOW + 3 * HOUR * (turn % 2));
  return (turn + 1) * PER_TURN < WARM_UP;
});
warm = undefined;

const index = new RevocationIndex();
const baseline = await readMemory();
const step = Math.max(1, Math.floor(entries / LOOK_UPS));
const addingBefore = processorMicroseconds();
const adding = await runTurns((turn) => {
  for (let number = turn * PER_TURN; number < (turn + 1) * PER_TURN; number++) {
    index.add(entryAt(number), NOW);
  }
  return (turn + 1) * PER_TURN < entries;
});
const addMicroseconds = (processorMicroseconds() - addingBefore) / entries;
const filled = await readMemory();
if (index.size !== entries) throw new Error(`held ${index.size} of ${entries}`);

const { pace, nanoseconds } = looksUp ? lookUp() : { pace: takePace(), nanoseconds: {} };
// Without what the peers made, whose collection is not ours.
await readMemory();
const later = NOW + HOUR + 60_000;
const half = Math.ceil(entries / 2);
const sweeping = await runTurns(() => {
  index.sweep(later);
  return index.size > half;
});
const swept = await readMemory();

const wall = (performance.now() - startedAt) * 1e6;
const bytes = (memory) => memory.rss - baseline.rss;
process.send(
  {
    entries,
    bytesPerEntry: bytes(filled) / entries,
    buffersPerEntry: (filled.arrayBuffers - baseline.arrayBuffers) / entries,
    buffersAfterSweep: (swept.arrayBuffers - baseline.arrayBuffers) / index.size,
    adding: { ...adding, microseconds: addMicroseconds },
    sweeping,
    nanoseconds,
    pace,
    others: Math.max(0, (readMachine() - machine - (readProcess(process.pid).all - own)) / wall),
  },
  () => process.exit(),
);
