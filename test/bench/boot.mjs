/** How much longer an application takes from the start of its process until it listens. */
import { readFileSync } from 'node:fs';

import { start } from './child-process.mjs';
import { readMachine } from './processor-time.mjs';
import { median } from './statistics.mjs';

export const BOOT_KINDS = ['empty', 'import only', 'forRoot', 'forRoot, key of your own'];

export async function measureBoot({ adapter, rounds }, patience) {
  const runs = new Map(BOOT_KINDS.map((kind) => [kind, []]));
  // The first round only warms the file cache.
  for (let round = -1; round < rounds; round++) {
    for (const [kind, own] of round % 2 === 0 ? runs : [...runs].toReversed()) {
      const run = await patience.best(() => boot(adapter, kind));
      if (round >= 0) own.push(run);
    }
  }
  const empty = runs.get('empty');
  return [...runs].map(([kind, own]) => ({
    kind,
    milliseconds: median(own.map(({ wall }) => wall)),
    /** Beside the run of the empty application in the same round. */
    added: median(own.map(({ wall }, round) => wall - empty[round].wall)),
    cpuMilliseconds: median(own.map(({ cpu }) => cpu)),
    cpuAdded: median(own.map(({ cpu }, round) => cpu - empty[round].cpu)),
    others: median(own.map(({ others }) => others)),
    runs: own,
  }));
}

async function boot(adapter, kind) {
  const machine = readMachine();
  const child = start('./boot-process.mjs', [adapter, kind]);
  const run = await child.receive();
  const others = (readMachine() - machine) / 1e6 - run.cpu;
  await child.stop();
  return { ...run, others: Math.max(0, others / run.wall) };
}

/** The packages that importing ours loads, and those among them that an application may lack. */
export async function findLoadedPackages() {
  const child = start('./loaded-packages-process.mjs');
  const { files } = await child.receive();
  await child.stop();
  const packages = [...new Set(files.map(packageOf))].toSorted((a, b) => a.localeCompare(b));
  const manifest = JSON.parse(readFileSync(new URL('../../package.json', import.meta.url), 'utf8'));
  const optional = Object.entries(manifest.peerDependenciesMeta ?? {})
    .filter(([, meta]) => meta.optional)
    .map(([name]) => name);
  const sure = { ...manifest.dependencies, ...manifest.peerDependencies };
  const onlyHere = Object.keys(manifest.devDependencies).filter((name) => !(name in sure));
  return {
    packages,
    files: files.length,
    optional: packages.filter((name) => optional.includes(name) || onlyHere.includes(name)),
  };
}

function packageOf(file) {
  const inside = file.split('/node_modules/');
  if (inside.length === 1) return '(this package)';
  const [scopeOrName, name] = inside.at(-1).split('/');
  return scopeOrName.startsWith('@') ? `${scopeOrName}/${name}` : scopeOrName;
}
