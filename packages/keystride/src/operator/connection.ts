import { Client, Connection } from '@temporalio/client';
import { loadSettings } from '../dev/settings.ts';
import { temporalProblemOf, tlsFailure } from '../host/temporal-problem.ts';
import type { Config } from '../settings/config.ts';
import { clientOptionsOf } from '../settings/temporal-settings.ts';
import { dataConverterOf } from '../settings/data-converter.ts';
import { CommandError } from './command-error.ts';
import { keystride } from './called-as.ts';

/** A connection to Temporal, for as long as a command needs it. */
export interface Session {
  client: Client;
  config: Config<'temporal'>;
}

const connectTimeout = 5_000;

/**
 * Connects, works, and closes, whatever happens.
 * @throws ConfigError when no address is known; CommandError when nobody answers there within five seconds
 */
export async function withSession<Result>(
  work: (session: Session) => Promise<Result>,
  config: Config<'temporal'> = loadSettings(process.env, ['temporal']),
): Promise<Result> {
  const connection = await connect(config);
  try {
    const client = new Client({
      connection,
      namespace: config.temporal.namespace,
      dataConverter: dataConverterOf(config.encryption),
    });
    return await work({ client, config });
  } finally {
    await connection.close();
  }
}

/** @throws CommandError when nobody answers within five seconds */
export async function connect({ temporal }: Config<'temporal'>): Promise<Connection> {
  try {
    return await Connection.connect({ ...clientOptionsOf(temporal), connectTimeout });
  } catch (error) {
    const { what, todo } = temporalProblemOf((await tlsFailure(temporal)) ?? error) ?? {
      what: 'Temporal does not answer',
      todo: `Start it, correct TEMPORAL_ADDRESS or temporal.toml, or run: ${keystride} dev --detach`,
    };
    throw new CommandError({ what, where: temporal.address, todo }, { cause: error, type: 'Temporal' });
  }
}

/** Where the Temporal UI shows a run; undefined when nobody has said where the UI is. */
export function uiUrlOf(config: Config<'temporal'>, workflowId: string, runId: string): string | undefined {
  if (config.temporalUiUrl === undefined) return undefined;
  const base = config.temporalUiUrl.replace(/\/$/, '');
  return `${base}/namespaces/${config.temporal.namespace}/workflows/${encodeURIComponent(workflowId)}/${runId}`;
}
