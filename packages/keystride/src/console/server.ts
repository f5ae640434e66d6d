import type { AddressInfo } from 'node:net';
import { serve, type ServerType } from '@hono/node-server';
import { Client, Connection } from '@temporalio/client';
import type { Config } from '../settings/config.ts';
import { clientOptionsOf, ConfigError } from '../settings/config.ts';
import { dataConverterOf } from '../settings/data-converter.ts';
import { consoleApp } from './app.ts';
import { Banners, type Banner } from './banners.ts';
import { contents } from './contents.ts';
import { refuseOpenDoor } from './guards/admission.ts';
import { Hub } from './live/hub.ts';
import { Series } from './live/series.ts';
import { needsAPerson } from './needs-a-person.ts';
import type { Services } from './services.ts';
import type { Content } from './view.ts';

/** A console that listens. */
export interface RunningConsole {
  /** Where browsers of this machine reach it. */
  readonly url: string;
  /** Ends it, and every stream that is open. */
  stop(): Promise<void>;
}

/** What is shown instead of the console's own, for its tests. */
export interface ConsoleOptions {
  readonly contents?: readonly Content[];
  readonly banners?: (services: Pick<Services, 'session'>) => Promise<readonly Banner[]>;
}

/**
 * Starts the console. Temporal and the ledger may be away: pages say so.
 * @throws ConfigError when it would let everybody in, or cannot listen where it is to
 */
export async function startConsole(
  config: Config<'temporal'>,
  options: ConsoleOptions = {},
): Promise<RunningConsole> {
  const { temporal, console: settings } = config;
  refuseOpenDoor(settings);
  const connection = Connection.lazy(clientOptionsOf(temporal));
  const session = {
    client: new Client({
      connection,
      namespace: temporal.namespace,
      dataConverter: dataConverterOf(config.encryption),
    }),
    config,
  };
  const look = options.banners ?? needsAPerson;
  const parts = { settings, session, banners: new Banners(() => look({ session })), series: new Series() };
  let port = 0;
  const app = consoleApp(parts, options.contents ?? contents, { hub: new Hub(), port: () => port });
  const server = await listen(app.fetch, settings.listen);
  ({ port } = server.address() as AddressInfo);
  const { hostname } = settings.listen;
  return {
    url: `http://${nameOf(hostname)}:${port}`,
    async stop() {
      await new Promise<void>((resolve) => {
        server.close(() => resolve());
        if ('closeAllConnections' in server) server.closeAllConnections();
      });
      await connection.close();
    },
  };
}

/** A host as it stands in a URL; where all addresses are listened on, the one that only this machine has. */
function nameOf(hostname: string): string {
  const shown = { '0.0.0.0': '127.0.0.1', '::': '::1' }[hostname] ?? hostname;
  return shown.includes(':') ? `[${shown}]` : shown;
}

function listen(
  fetch: Parameters<typeof serve>[0]['fetch'],
  { hostname, port }: { readonly hostname: string; readonly port: number },
): Promise<ServerType> {
  return new Promise((resolve, reject) => {
    const server = serve({ fetch, hostname, port }, () => resolve(server));
    server.once('error', (error: NodeJS.ErrnoException) =>
      reject(cannotListen(error, `${hostname}:${port}`)),
    );
  });
}

function cannotListen({ code, message }: NodeJS.ErrnoException, address: string): ConfigError {
  const taken = code === 'EADDRINUSE';
  return new ConfigError(
    [
      {
        variable: 'KEYSTRIDE_CONSOLE',
        problem: taken ? `is taken: ${address}` : `${address}: ${code ?? message}`,
      },
    ],
    taken
      ? 'Something listens there already, perhaps another console. Name another address: --listen 127.0.0.1:0'
      : 'Name an address of this machine.',
  );
}
