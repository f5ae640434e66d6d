import { once } from 'node:events';
import type { Server } from 'node:http';
import type { AddressInfo } from 'node:net';

/** A stub in this process. */
export interface Listening {
  readonly url: string;
  stop(): Promise<void>;
}

/** Lets a stub listen, on a port of its own. */
export async function listening(server: Server): Promise<Listening> {
  // More connections may wait to be accepted than a client of hundreds of calls at once opens.
  server.listen({ host: '127.0.0.1', port: 0, backlog: 2048 });
  await once(server, 'listening');
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    stop: async () => {
      server.closeAllConnections();
      server.close();
      await once(server, 'close');
    },
  };
}
