import { writeFileSync } from 'node:fs';
import { join } from 'node:path';

import { Cluster, Redis } from 'ioredis';

import { freePort } from './processes.js';
import { eventually, newFolder, type RedisServer, startRedis } from './redis-server.js';

/** Several Redis servers that act as one: a Cluster, and a primary watched by Sentinels. */

export interface RedisCluster {
  /** The masters in the order of their slots; each holds about a third of them. */
  readonly masters: readonly RedisServer[];
  readonly replicas: readonly RedisServer[];
  /** A client as an app would make one. */
  connect(): Cluster;
  stop(): Promise<void>;
}

const MASTERS = 3;
const SLOTS = 16_384;

/** Three masters, each with as many replicas as told, that take over within about a second. */
export async function startCluster(replicasEach: 0 | 1): Promise<RedisCluster> {
  const nodes = await Promise.all(
    Array.from({ length: MASTERS * (1 + replicasEach) }, startClusterNode),
  );
  const masters = nodes.slice(0, MASTERS);
  const replicas = nodes.slice(MASTERS);
  const [first] = masters;
  if (first === undefined) throw new TypeError('a cluster has a first master');
  await Promise.all(
    masters.map(async ({ server }, index) => {
      const from = Math.ceil((SLOTS * index) / MASTERS);
      const to = Math.ceil((SLOTS * (index + 1)) / MASTERS) - 1;
      await server.command('CLUSTER', 'SET-CONFIG-EPOCH', String(index + 1));
      await server.command('CLUSTER', 'ADDSLOTSRANGE', String(from), String(to));
    }),
  );
  for (const { server, busPort } of nodes.slice(1)) {
    const address = ['127.0.0.1', String(server.port), String(busPort)];
    await first.server.command('CLUSTER', 'MEET', ...address);
  }
  await everyNode(nodes, /cluster_state:ok[^]*cluster_known_nodes:(\d+)/, nodes.length);
  await Promise.all(
    replicas.map(async ({ server }, index) => {
      const master = String(await masters[index % MASTERS]?.server.command('CLUSTER', 'MYID'));
      await server.command('CLUSTER', 'REPLICATE', master);
      await eventually('a replica has caught up', async () =>
        /master_link_status:up/.test(String(await server.command('INFO', 'replication'))),
      );
    }),
  );
  return {
    masters: masters.map(({ server }) => server),
    replicas: replicas.map(({ server }) => server),
    connect: () =>
      new Cluster(
        masters.map(({ server: { port } }) => ({ host: '127.0.0.1', port })),
        { lazyConnect: true },
      ),
    stop: async () => void (await Promise.all(nodes.map(({ server }) => server.stop()))),
  };
}

interface ClusterNode {
  readonly server: RedisServer;
  readonly busPort: number;
}

async function startClusterNode(): Promise<ClusterNode> {
  const busPort = await freePort();
  const args = ['--cluster-enabled', 'yes', '--cluster-port', String(busPort)];
  const quick = ['--cluster-node-timeout', '1000', '--cluster-replica-validity-factor', '0'];
  // A part of the slots may be away: the others are served all the same.
  const partial = ['--cluster-require-full-coverage', 'no'];
  return { server: await startRedis({ args: [...args, ...quick, ...partial] }), busPort };
}

async function everyNode(
  nodes: readonly ClusterNode[],
  pattern: RegExp,
  count: number,
): Promise<void> {
  await Promise.all(
    nodes.map(({ server }) =>
      eventually('the nodes know each other', async () => {
        const info = String(await server.command('CLUSTER', 'INFO'));
        return Number(pattern.exec(info)?.[1]) === count;
      }),
    ),
  );
}

export interface SentinelSet {
  readonly primary: RedisServer;
  readonly replicas: readonly RedisServer[];
  /** A client as an app would make one: it asks the Sentinels for the primary. */
  connect(): Redis;
  stop(): Promise<void>;
}

const NAME = 'primary';

/** A primary with replicas, and three Sentinels that replace it within about two seconds. */
export async function startSentinelSet(replicaCount: number): Promise<SentinelSet> {
  const primary = await startRedis();
  const replicas = await Promise.all(
    Array.from({ length: replicaCount }, () =>
      startRedis({ args: ['--replicaof', '127.0.0.1', String(primary.port)] }),
    ),
  );
  await eventually('the replicas have caught up', async () => {
    const info = String(await primary.command('INFO', 'replication'));
    return (info.match(/state=online/g) ?? []).length === replicaCount;
  });
  const sentinels = await Promise.all(Array.from({ length: 3 }, () => startSentinel(primary.port)));
  await Promise.all(
    sentinels.map((sentinel) =>
      eventually('the Sentinels know each other', async () => {
        const facts = (await sentinel.command('SENTINEL', 'MASTER', NAME)) as readonly string[];
        const fact = (name: string): number => Number(facts[facts.indexOf(name) + 1]);
        return fact('num-other-sentinels') === 2 && fact('num-slaves') === replicaCount;
      }),
    ),
  );
  return {
    primary,
    replicas,
    connect: () =>
      new Redis({
        sentinels: sentinels.map(({ port }) => ({ host: '127.0.0.1', port })),
        name: NAME,
        lazyConnect: true,
      }),
    stop: async () => {
      const servers = [...sentinels, ...replicas, primary];
      await Promise.all(servers.map((server) => server.stop()));
    },
  };
}

async function startSentinel(primaryPort: number): Promise<RedisServer> {
  const folder = newFolder();
  const port = await freePort();
  const file = join(folder, 'sentinel.conf');
  const lines = [
    `port ${port}`,
    'bind 127.0.0.1',
    `dir ${folder}`,
    `sentinel monitor ${NAME} 127.0.0.1 ${primaryPort} 2`,
    `sentinel down-after-milliseconds ${NAME} 700`,
    `sentinel failover-timeout ${NAME} 3000`,
  ];
  writeFileSync(file, `${lines.join('\n')}\n`);
  return startRedis({ command: 'redis-sentinel', port, folder, args: [file] });
}
