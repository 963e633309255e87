// Starts the suites that take longest first: with three at a time, one of them that began last would
// run alone at the end. A fresh clone has no timings for Jest to go by.
const { default: Sequencer } = require('@jest/test-sequencer');

/** Seconds on two processors. */
const KNOWN = {
  // Not for its 35 seconds: it looks through the heap, which is small in a worker that has just begun.
  'test/keys/heap.spec.ts': 1_000,
  'test/e2e/matrix.spec.ts': 180,
  'test/e2e/client.spec.ts': 110,
  'test/e2e/sample-app.spec.ts': 100,
  'test/e2e/profiles.spec.ts': 90,
  'test/e2e/key-history.spec.ts': 75,
  'test/e2e/revocation-failover.spec.ts': 55,
  'test/pkcs11/pkcs11-vault.spec.ts': 50,
  'test/e2e/key-faults.spec.ts': 50,
  'test/e2e/revocation-faults.spec.ts': 45,
  'test/pkcs11/token-faults.spec.ts': 45,
  'test/interop/native-clients.spec.ts': 40,
  'test/storage/redis/redis-faults.spec.ts': 40,
  'test/keys/key-ring.service.spec.ts': 40,
  'test/e2e/revocation-latency.spec.ts': 40,
  'test/revocation/revocation-table.spec.ts': 40,
};

/** Of suites nobody has measured: those with processes of their own, and all others. */
const END_TO_END = 60;
const ANY = 5;

function secondsOf({ path, context }) {
  const name = path.slice(context.config.rootDir.length + 1).replaceAll('\\', '/');
  return KNOWN[name] ?? (name.startsWith('test/e2e/') ? END_TO_END : ANY);
}

module.exports = class LongestFirst extends Sequencer {
  sort(tests) {
    return [...super.sort(tests)].sort((one, other) => secondsOf(other) - secondsOf(one));
  }
};
