/** Results as text: one table per measurement, then the targets. */
import { REFERENCE_MICROSECONDS } from './pace.mjs';

/** Columns of equal width; the first is text, the others are numbers. */
export function formatTable(head, rows) {
  const lines = [head, ...rows].map((cells) => cells.map((cell) => cell ?? '-'));
  const widths = head.map((_, column) => Math.max(...lines.map((cells) => cells[column].length)));
  const format = (cells) =>
    cells
      .map((cell, column) =>
        column === 0 ? cell.padEnd(widths[column]) : cell.padStart(widths[column]),
      )
      .join('  ');
  const [first, ...others] = lines.map((cells) => `  ${format(cells).trimEnd()}`);
  return [first, `  ${'-'.repeat(first.length - 2)}`, ...others].join('\n');
}

export function formatGuards(summaries) {
  return formatTable(
    [
      'guard',
      'req/s',
      'x open',
      'x empty',
      'main us/req',
      'over empty',
      'replicas',
      'all threads',
      'main busy',
      'load busy',
      'others',
    ],
    summaries.map((row) => [
      row.variant,
      row.perSecond.toFixed(0),
      row.toOpen?.toFixed(2),
      row.toEmpty?.toFixed(2),
      row.mainMicroseconds.toFixed(1),
      row.mainOverEmpty?.toFixed(1),
      row.mainOfReplicas.map((value) => value.toFixed(1)).join(' '),
      row.allMicroseconds.toFixed(1),
      percent(row.mainBusy),
      percent(row.generatorBusy),
      percent(row.others),
    ]),
  );
}

export function formatBoot(summaries) {
  return formatTable(
    ['application', 'ms', 'added', 'CPU ms', 'CPU added', 'others'],
    summaries.map((row) => [
      row.kind,
      row.milliseconds.toFixed(0),
      row.added.toFixed(1),
      row.cpuMilliseconds.toFixed(0),
      row.cpuAdded.toFixed(1),
      percent(row.others),
    ]),
  );
}

/** @param targets [{ what, unit, value, atMost | atLeast }] */
export function formatTargets(targets) {
  return formatTable(
    ['target', 'measured', 'wanted', '', 'at reference pace'],
    targets.map(({ what, unit = '', value, atMost, atLeast, pace }) => [
      what,
      `${value.toFixed(2)}${unit}`,
      atMost === undefined ? `>= ${atLeast}${unit}` : `<= ${atMost}${unit}`,
      isMet({ value, atMost, atLeast }) ? 'met' : 'MISSED',
      pace === undefined ? '' : `${((value * REFERENCE_MICROSECONDS) / pace).toFixed(2)}${unit}`,
    ]),
  );
}

export function isMet({ value, atMost = Infinity, atLeast = -Infinity }) {
  return value <= atMost && value >= atLeast;
}

function percent(share) {
  return `${(share * 100).toFixed(0)}%`;
}
