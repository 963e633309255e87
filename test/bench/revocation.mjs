/** What revocations cost in memory, what a look-up costs, and how long the process pauses for them. */
import { start } from './child-process.mjs';
import { formatTable } from './report.mjs';

export async function measureRevocation({ entries }, patience) {
  const run = (what, flags) =>
    patience.best(async () => {
      const execArgv = ['--expose-gc', ...flags];
      const child = start('./revocation-process.mjs', [String(entries), what], { execArgv });
      const measured = await child.receive();
      await child.stop();
      return measured;
    });
  // The young generation has its full size from the start, or its growth would count as ours.
  const lookUps = await run('look-ups', ['--min-semi-space-size=16']);
  // Threads that collect wait for processors on a busy machine, and the main thread for them.
  const { adding, sweeping } = await run('pauses', ['--single-threaded-gc']);
  return { ...lookUps, adding: { ...adding, microseconds: lookUps.adding.microseconds }, sweeping };
}

export function formatRevocation(measured) {
  const { nanoseconds, adding, sweeping } = measured;
  const million = (count) => `${(count / 1e6).toFixed(1)} M`;
  const lookUp = (name, entries) => [
    `look-up, ${name} (${million(entries)} entries)`,
    `${nanoseconds[name].toFixed(0)} ns`,
  ];
  const pauses = (what, { worst, worstWall, turns }) => [
    [`${what}: processor time of the worst of ${turns} turns`, `${worst.toFixed(2)} ms`],
    [
      `${what}: the worst by the clock, waiting for a processor included`,
      `${worstWall.toFixed(2)} ms`,
    ],
  ];
  return formatTable(
    ['revocations', 'measured'],
    [
      [
        `memory of the process per entry, ${million(measured.entries)}`,
        `${measured.bytesPerEntry.toFixed(2)} B`,
      ],
      ['array buffers per entry', `${measured.buffersPerEntry.toFixed(2)} B`],
      [
        'array buffers per entry, once half had ended and was swept',
        `${measured.buffersAfterSweep.toFixed(2)} B`,
      ],
      lookUp('ours, hit', measured.entries),
      lookUp('ours, miss', measured.entries),
      ...['Set, hit', 'Set, miss', 'Map, hit', 'Map, miss'].map((name) => lookUp(name, 1e6)),
      ['adding, with its digest: processor time per entry', `${adding.microseconds.toFixed(2)} us`],
      ...pauses('adding', adding),
      ...pauses('sweeping', sweeping),
      ['processors taken by others', measured.others.toFixed(2)],
    ],
  );
}

export function revocationTargets({ bytesPerEntry, nanoseconds, adding, sweeping, pace }) {
  const lookUps = ['ours, hit', 'ours, miss'].map((name) => ({
    what: `revocation: look-up (${name})`,
    unit: ' ns',
    value: nanoseconds[name],
    atMost: 500,
    pace,
  }));
  return [
    { what: 'revocation: memory per entry', unit: ' B', value: bytesPerEntry, atMost: 20 },
    ...lookUps,
    { what: 'revocation: pause while adding', unit: ' ms', value: adding.worst, atMost: 10, pace },
    {
      what: 'revocation: pause while sweeping',
      unit: ' ms',
      value: sweeping.worst,
      atMost: 10,
      pace,
    },
  ];
}
