import type { AddressInfo } from 'node:net';
import { serve, type ServerType } from '@hono/node-server';
import { ConfigError } from '../settings/config.ts';
import type { ListenAddress } from '../settings/server-variables.ts';

/** A server that listens. */
export interface Listening {
  /** Where this machine reaches it. */
  readonly url: string;
  /** The port that it has, also where a free one was asked for. */
  readonly port: number;
  /** Ends it, and every answer that is under way. */
  stop(): Promise<void>;
}

/**
 * Answers requests at an address.
 * @param variable the setting that names the address, for messages
 * @throws ConfigError when it cannot listen there
 */
export async function listenOn(
  fetch: Parameters<typeof serve>[0]['fetch'],
  { hostname, port }: ListenAddress,
  variable: string,
): Promise<Listening> {
  const server = await new Promise<ServerType>((resolve, reject) => {
    const made = serve({ fetch, hostname, port }, () => resolve(made));
    made.once('error', (error: NodeJS.ErrnoException) =>
      reject(cannotListen(error, `${hostname}:${port}`, variable)),
    );
  });
  const actual = (server.address() as AddressInfo).port;
  return {
    url: `http://${nameOf(hostname)}:${actual}`,
    port: actual,
    stop: () =>
      new Promise<void>((resolve) => {
        server.close(() => resolve());
        if ('closeAllConnections' in server) server.closeAllConnections();
      }),
  };
}

/** A host as it stands in a URL; where all addresses are listened on, the one that only this machine has. */
function nameOf(hostname: string): string {
  const shown = { '0.0.0.0': '127.0.0.1', '::': '::1' }[hostname] ?? hostname;
  return shown.includes(':') ? `[${shown}]` : shown;
}

function cannotListen(
  { code, message }: NodeJS.ErrnoException,
  address: string,
  variable: string,
): ConfigError {
  const taken = code === 'EADDRINUSE';
  return new ConfigError(
    [{ variable, problem: taken ? `is taken: ${address}` : `${address}: ${code ?? message}` }],
    taken
      ? 'Something listens there already, perhaps another one of these. Name another address: --listen 127.0.0.1:0'
      : 'Name an address of this machine.',
  );
}
