import { once } from 'node:events';
import { type AddressInfo, connect, createServer, type Socket } from 'node:net';

/** What happens to replies: they pass, are lost with their connection, or lost in silence. */
export type ProxyMode = 'pass' | 'cut' | 'swallow';

export interface CuttingProxy {
  readonly port: number;
  /** `cut` affects the next reply only, `swallow` the connections there are. */
  set(mode: ProxyMode): void;
  /** How many replies were lost. */
  readonly lost: number;
  stop(): Promise<void>;
}

/** Stands between a client and a server, so that a request arrives whose reply does not. */
export async function startCuttingProxy(serverPort: number): Promise<CuttingProxy> {
  const sockets = new Set<Socket>();
  const silenced = new WeakSet<Socket>();
  let isCutting = false;
  let lost = 0;
  const server = createServer((client) => {
    const upstream = connect(serverPort, '127.0.0.1');
    for (const socket of [client, upstream]) {
      sockets.add(socket);
      socket.on('error', () => socket.destroy());
      socket.on('close', () => {
        sockets.delete(socket);
        client.destroy();
        upstream.destroy();
      });
    }
    client.on('data', (request) => void upstream.write(request));
    upstream.on('data', (reply) => {
      if (silenced.has(client)) {
        lost++;
      } else if (isCutting) {
        isCutting = false;
        lost++;
        client.resetAndDestroy();
      } else {
        client.write(reply);
      }
    });
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return {
    port: (server.address() as AddressInfo).port,
    set: (mode) => {
      isCutting = mode === 'cut';
      if (mode === 'swallow') for (const socket of sockets) silenced.add(socket);
    },
    get lost() {
      return lost;
    },
    stop: async () => {
      for (const socket of sockets) socket.destroy();
      server.close();
      await once(server, 'close');
    },
  };
}
