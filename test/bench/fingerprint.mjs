/**
 * What recognising the sender adds to a request with a token seen before, beside the same guard that
 * looks at no sender. The check alone: a microsecond is less than two servers differ by.
 */
import { start } from './child-process.mjs';
import { formatTable } from './report.mjs';

const FLOORS = {
  fingerprint: 'no binding',
  address: 'no binding',
  'fingerprint and address': 'no binding',
  'fingerprint and address, behind a proxy': 'no binding, behind a proxy',
};

export async function measureFingerprint(patience) {
  return patience.best(async () => {
    const child = start('./fingerprint-process.mjs');
    const measured = await child.receive();
    await child.stop();
    return measured;
  });
}

export function formatFingerprint({ microseconds }) {
  return formatTable(
    ['judging a token seen before', 'main us', 'over no binding'],
    Object.entries(microseconds).map(([name, own]) => [
      name,
      own.toFixed(2),
      name in FLOORS ? (own - microseconds[FLOORS[name]]).toFixed(2) : undefined,
    ]),
  );
}

export function fingerprintTargets({ microseconds, pace }) {
  return ['fingerprint and address', 'fingerprint and address, behind a proxy'].map((name) => ({
    what: `fingerprint: ${name} add`,
    unit: ' us',
    value: microseconds[name] - microseconds[FLOORS[name]],
    atMost: 2,
    pace,
  }));
}
