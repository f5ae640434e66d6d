import { Client, Connection } from '@temporalio/client';
import type { Config } from '../settings/config.ts';
import { clientOptionsOf } from '../settings/temporal-settings.ts';
import { dataConverterOf } from '../settings/data-converter.ts';
import { consoleApp } from './app.ts';
import { Banners, type Banner } from './banners.ts';
import { contents } from './contents.ts';
import { refuseOpenDoor } from './guards/admission.ts';
import { listenOn } from './listening.ts';
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
  refuseOpenDoor(
    settings,
    'KEYSTRIDE_CONSOLE',
    'Set KEYSTRIDE_CONSOLE_TOKEN to a long secret, or KEYSTRIDE_CONSOLE_OPERATOR_HEADER and ' +
      'KEYSTRIDE_CONSOLE_PROXIES where a proxy says who it is',
  );
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
  const server = await listenOn(app.fetch, settings.listen, 'KEYSTRIDE_CONSOLE');
  ({ port } = server);
  return {
    url: server.url,
    async stop() {
      await server.stop();
      await connection.close();
    },
  };
}
