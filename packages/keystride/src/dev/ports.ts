import { randomInt } from 'node:crypto';
import { createServer } from 'node:net';

// Below the range from which the system takes ports for outgoing connections: there a client that retries while its
// server is down can take the server's port, even by connecting to itself.
const lowest = 20_000;
const highest = 31_999;

/**
 * A port of 127.0.0.1 that nobody listens on: the preferred one when it is free, else any.
 * Somebody may take it before the caller does.
 */
export async function freePort(preferred?: number): Promise<number> {
  if (preferred !== undefined && (await canListen(preferred)) !== undefined) return preferred;
  for (let attempt = 0; attempt < 100; attempt++) {
    const candidate = randomInt(lowest, highest + 1);
    if ((await canListen(candidate)) !== undefined) return candidate;
  }
  const port = await canListen(0);
  if (port === undefined) throw new Error('no free port on 127.0.0.1');
  return port;
}

function canListen(port: number): Promise<number | undefined> {
  return new Promise((resolve) => {
    const server = createServer();
    server.once('error', () => resolve(undefined));
    server.listen({ port, host: '127.0.0.1', exclusive: true }, () => {
      const address = server.address();
      server.close(() => resolve(address !== null && typeof address === 'object' ? address.port : undefined));
    });
  });
}
