/**
 * The same route behind different guards: all servers run side by side, and every round visits each
 * of them once, so that whatever the machine does meanwhile happens to all.
 */
import { start } from './child-process.mjs';
import { takePace } from './pace.mjs';
import { groupBy, median } from './statistics.mjs';

/**
 * @param plan { adapter, variants, replicas, rounds, milliseconds, warmUp, distinctTokens }
 * @returns the pace of the machine meanwhile, and a summary per variant
 */
export async function measureGuards(plan, { identity, load, patience }) {
  const { adapter, milliseconds, distinctTokens } = plan;
  const servers = await startServers(plan, identity);
  try {
    const visit = async ({ pid, port, variant }, length) => {
      const { result, failure } = await load.ask({ port, pid, distinctTokens, ...length });
      if (failure !== undefined) throw new Error(`${adapter}, ${variant}: ${failure}`);
      return result;
    };
    for (const server of servers) await visit(server, plan.warmUp);
    const samples = [];
    const paces = [];
    for (let round = 0; round < plan.rounds; round++) {
      paces.push(takePace());
      for (const server of rotate(servers, round)) {
        const sample = await patience.best(() => visit(server, { milliseconds }));
        samples.push({ round, variant: server.variant, replica: server.replica, ...sample });
      }
    }
    return { pace: median(paces), summaries: summarise(samples) };
  } finally {
    await Promise.all(servers.map((server) => server.stop()));
  }
}

async function startServers({ adapter, variants, replicas }, identity) {
  const servers = [];
  for (let replica = 0; replica < replicas; replica++) {
    for (const variant of variants) {
      const server = start('./server-process.mjs', [adapter, variant]);
      servers.push({ ...server, variant, replica, ...(await server.ask(identity)) });
    }
  }
  return servers;
}

/** A different beginning and direction every round, so that nobody always follows the same one. */
function rotate(list, round) {
  const first = (round * 3) % list.length;
  const turned = [...list.slice(first), ...list.slice(0, first)];
  return round % 2 === 0 ? turned : turned.toReversed();
}

function summarise(samples) {
  const perSecond = ({ requests, wall }) => requests / (wall / 1e9);
  const mainPerRequest = ({ main, requests }) => main / requests / 1e3;
  const of = (variant, { round, replica }) =>
    samples.find(
      (other) => other.variant === variant && other.round === round && other.replica === replica,
    );
  /** Against the sample of the other variant in the same round, so that slow drift cancels. */
  const beside = (own, variant, compare) =>
    of(variant, own[0]) === undefined
      ? undefined
      : median(own.map((sample) => compare(sample, of(variant, sample))));
  const ratio = (own, other) => perSecond(own) / perSecond(other);
  const difference = (own, other) => mainPerRequest(own) - mainPerRequest(other);

  const byVariant = groupBy(samples, ({ variant }) => variant);
  return [...byVariant].map(([variant, own]) => {
    const replicas = [...groupBy(own, ({ replica }) => replica).values()];
    return {
      variant,
      perSecond: median(own.map(perSecond)),
      toOpen: beside(own, 'open', ratio),
      toEmpty: beside(own, 'empty', ratio),
      throughputOver: Object.fromEntries(
        [...byVariant.keys()].map((other) => [other, beside(own, other, ratio)]),
      ),
      mainMicroseconds: median(own.map(mainPerRequest)),
      mainOverEmpty: beside(own, 'empty', difference),
      mainOver: Object.fromEntries(
        [...byVariant.keys()].map((other) => [other, beside(own, other, difference)]),
      ),
      mainOfReplicas: replicas.map((runs) => median(runs.map(mainPerRequest))),
      allMicroseconds: median(own.map(({ serverAll, requests }) => serverAll / requests / 1e3)),
      /** 1: the main thread never had nothing to do. */
      mainBusy: median(own.map((sample) => (sample.main + sample.mainWaited) / sample.wall)),
      generatorBusy: median(own.map(({ generator, wall }) => generator / wall)),
      others: median(own.map(({ others }) => others)),
      samples: own,
    };
  });
}
