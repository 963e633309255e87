/**
 * What checking a DPoP proof costs beside what no such check can do without: the verification of its
 * one signature, and one round trip to the store that remembers it.
 */
import { start } from './child-process.mjs';
import { startServer } from './refresh.mjs';
import { formatTable } from './report.mjs';
import { median } from './statistics.mjs';

const MODES = ['one at a time', '100 in flight'];
const OWN = 'check';
/** With the signature where it is quickest, whichever that is in a mode and on this machine. */
const FLOORS = ['signature at once, round trip', 'signature in the pool, round trip'];

const FIGURES = ['each', 'main', 'all', 'server'];

/** Replicas are processes of their own; in each the variants take turns. */
export async function measureDpop({ replicas, rounds, proofs }, patience) {
  const server = await startServer();
  try {
    const runs = [];
    for (let replica = 0; replica < replicas; replica++) {
      runs.push(await patience.best(() => run(server, rounds, proofs)));
    }
    const summaries = Object.keys(runs[0].samples).map((variant) => {
      const samples = runs.flatMap(({ samples: { [variant]: own } }) => own);
      const medians = FIGURES.map((figure) => [figure, median(samples.map((one) => one[figure]))]);
      return { variant, ...Object.fromEntries(medians) };
    });
    return {
      summaries,
      pace: median(runs.map(({ pace }) => pace)),
      others: median(runs.map(({ others }) => others)),
      ratios: Object.fromEntries(MODES.map((mode) => [mode, ratioIn(mode, runs)])),
      runs,
    };
  } finally {
    await server.stop();
  }
}

/** Round by round: what disturbed one disturbed its neighbours. */
function ratioIn(mode, runs) {
  return median(
    runs.flatMap(({ samples }) =>
      samples[`${OWN}, ${mode}`].map(({ each }, round) => {
        const floors = FLOORS.map((floor) => samples[`${floor}, ${mode}`][round].each);
        return each / Math.min(...floors);
      }),
    ),
  );
}

async function run({ url, pid }, rounds, proofs) {
  const child = start('./dpop-process.mjs', [url, pid, rounds, proofs].map(String));
  try {
    return await child.receive();
  } finally {
    await child.stop();
  }
}

export function formatDpop({ summaries, others }) {
  return formatTable(
    ['', 'us each', 'main us', 'all threads us', 'server us', 'others'],
    summaries.map((row) => [
      row.variant,
      ...FIGURES.map((figure) => row[figure].toFixed(1)),
      `${(others * 100).toFixed(0)}%`,
    ]),
  );
}

export function dpopTargets({ ratios }) {
  return MODES.map((mode) => ({
    what: `dpop: signature and round trip, ${mode}`,
    value: ratios[mode],
    atMost: 1.3,
  }));
}
