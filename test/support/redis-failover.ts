import { once } from 'node:events';
import { type AddressInfo, connect, createServer, type Socket } from 'node:net';

import { eventually, type RedisServer, startRedis } from './redis-server.js';

/**
 * A primary and a replica behind one address, as a hosted Redis is: who is cut off connects to it
 * again and finds what is the primary by then. The replica is some milliseconds away, as one in
 * another building is; what is on its way when the primary dies is lost.
 */
export interface ReplicatedRedis {
  readonly url: string;
  /** Keeps from the replica what is written from now on, until it is the primary. */
  deafenReplica(): void;
  /**
   * Kills the primary as a crash would, and makes of its replica a primary with a replica of its own.
   * @param look sees what is there to be promoted before any client does
   */
  failOver<Seen>(look: (candidate: RedisServer) => Promise<Seen>): Promise<Seen>;
  stop(): Promise<void>;
}

/** @param away milliseconds that a change takes to the replica */
export async function startReplicatedRedis(away: number): Promise<ReplicatedRedis> {
  let primary = await startRedis();
  let { replica, link } = await startReplica(primary, away);
  const address = await openPassage(0);
  address.leadTo(primary.port);
  return {
    url: `redis://127.0.0.1:${address.port}`,
    deafenReplica: () => link.fallSilent(),
    failOver: async (look) => {
      address.leadTo(undefined);
      await primary.kill();
      const seen = await look(replica);
      await replica.command('REPLICAOF', 'NO', 'ONE');
      await Promise.all([primary.stop(), link.close()]);
      primary = replica;
      address.leadTo(primary.port);
      ({ replica, link } = await startReplica(primary, away));
      return seen;
    },
    stop: async () => {
      await Promise.all([address.close(), link.close()]);
      await Promise.all([primary.stop(), replica.stop()]);
    },
  };
}

async function startReplica(
  primary: RedisServer,
  away: number,
): Promise<{ readonly replica: RedisServer; readonly link: Passage }> {
  const link = await openPassage(away);
  link.leadTo(primary.port);
  const replica = await startRedis({ args: ['--replicaof', '127.0.0.1', String(link.port)] });
  await eventually('the replica has caught up', async () =>
    /master_link_status:up/.test(String(await replica.command('INFO', 'replication'))),
  );
  return { replica, link };
}

/** A port that leads to another one. */
interface Passage {
  readonly port: number;
  /** New connections go there, those there are end. */
  leadTo(port: number | undefined): void;
  /** No answer comes through any more; connections stay. */
  fallSilent(): void;
  close(): Promise<void>;
}

/** @param delay milliseconds that answers take; with the server they come from they are lost */
async function openPassage(delay: number): Promise<Passage> {
  const sockets = new Set<Socket>();
  let target: number | undefined;
  let isSilent = false;
  const server = createServer({ noDelay: true }, (client) => {
    if (target === undefined) return void client.destroy();
    const upstream = connect({ port: target, host: '127.0.0.1', noDelay: true });
    for (const socket of [client, upstream]) {
      sockets.add(socket);
      socket.on('error', () => socket.destroy());
      socket.on('close', () => {
        sockets.delete(socket);
        client.destroy();
        upstream.destroy();
      });
    }
    const pass = (answer: Buffer): void => {
      if (!isSilent && !client.destroyed) client.write(answer);
    };
    client.on('data', (request) => void upstream.write(request));
    upstream.on('data', (answer) => {
      if (delay === 0) pass(answer);
      else setTimeout(() => pass(answer), delay);
    });
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const endAll = (): void => {
    for (const socket of sockets) socket.destroy();
  };
  return {
    port: (server.address() as AddressInfo).port,
    leadTo: (port) => {
      target = port;
      endAll();
    },
    fallSilent: () => {
      isSilent = true;
    },
    close: async () => {
      endAll();
      server.close();
      await once(server, 'close');
    },
  };
}
