import type { ConnectionOptions } from '@temporalio/client';
import { loadClientConnectConfig, type ClientConnectConfig } from '@temporalio/envconfig';
import { withoutCredentials } from './environment.ts';
import { type ConfigProblem, latestOf, valuesOf } from './secret-files.ts';
import type { KnownAddresses } from './stack-addresses.ts';

/** How to reach Temporal: the options go to `Connection.connect` and `NativeConnection.connect` as they are. */
export interface TemporalConfig {
  address: string;
  namespace: string;
  connectionOptions: ClientConnectConfig['connectionOptions'] & { address: string };
  /** `TEMPORAL_API_KEY_FILE`: the key that its file holds now. */
  currentApiKey?: () => string;
}

/** The options of a client, which asks for its key with each call. */
export function clientOptionsOf({ connectionOptions, currentApiKey }: TemporalConfig): ConnectionOptions & {
  address: string;
} {
  return currentApiKey ? { ...connectionOptions, apiKey: currentApiKey } : connectionOptions;
}

/** The environment and `temporal.toml`, as every Temporal tool reads them; without an address there, the stack. */
export function readTemporal(
  env: NodeJS.ProcessEnv,
  stack: KnownAddresses,
  problems: ConfigProblem[],
): TemporalConfig | undefined {
  const given = givenTemporal(env, problems);
  const address = given?.connectionOptions.address;
  if (given !== undefined && address !== undefined) {
    if (!addressPattern.test(address))
      problems.push({
        variable: 'TEMPORAL_ADDRESS',
        problem: `is not like host:7233: ${withoutCredentials(address)}`,
      });
    const connectionOptions = { ...given.connectionOptions, address };
    const { TEMPORAL_API_KEY_FILE: file } = env;
    return {
      address,
      namespace: given.namespace ?? 'default',
      connectionOptions,
      ...(file && { currentApiKey: latestOf(file, connectionOptions.apiKey ?? '') }),
    };
  }
  if (stack.temporalAddress === undefined) return undefined;
  return {
    address: stack.temporalAddress,
    namespace: stack.temporalNamespace ?? 'default',
    connectionOptions: { address: stack.temporalAddress },
  };
}

/** `host:7233` or `[::1]:7233`. */
const addressPattern = /^(?:(?<name>[^\s:/@]+)|\[(?<number>[^\]]+)\]):\d+$/u;

const loopback = /^(localhost|127(\.\d{1,3}){3}|::1)$/u;

/** Histories and keys are not sent through a network in the open, unless somebody has said that this one may be. */
export function refusePlaintext(
  { address, connectionOptions: { tls } }: TemporalConfig,
  allowed: readonly string[],
  problems: ConfigProblem[],
): void {
  const { name, number } = addressPattern.exec(address)?.groups ?? {};
  const host = name ?? number;
  // What is no address is refused as such, and not shown: it may hold a password.
  if (host === undefined || tls || loopback.test(host) || allowed.includes(host)) return;
  problems.push({
    variable: 'TEMPORAL_ADDRESS',
    problem:
      `is ${host}, and the connection would not be encrypted: set TEMPORAL_TLS=true (or certificates, or ` +
      `TEMPORAL_API_KEY); where the network may be trusted, allow it by name: KEYSTRIDE_PLAINTEXT=${host}`,
  });
}

function givenTemporal(env: NodeJS.ProcessEnv, problems: ConfigProblem[]): ClientConnectConfig | undefined {
  const overrideEnvVars = valuesOf(env, ['TEMPORAL_API_KEY'], problems);
  try {
    return loadClientConnectConfig({ overrideEnvVars });
  } catch (error) {
    const problem = `or the file temporal.toml cannot be read: ${tomlProblem(error)}`;
    problems.push({ variable: 'TEMPORAL_*', problem });
    return undefined;
  }
}

/** Messages about the settings of Temporal that name no value. */
const harmless =
  /^(Profile '[\w.-]{1,60}' not found in config data|Cannot specify both \w+ and \w+|Cannot disable both file and environment loading|Validation error: [a-z. ]*must be a table|Validation error: key\(s\) unrecognized( in profile\.[\w.-]{1,60})?: [a-z_]{1,30}(, [a-z_]{1,30})*)$/u;

/** What is wrong with the settings of Temporal: where in the file, since its lines may hold an API key. */
function tomlProblem(error: unknown): string {
  if (!(error instanceof Error)) return 'unknown';
  const { line, column, code } = error as Partial<Record<'line' | 'column' | 'code', unknown>>;
  if (typeof line === 'number') return `line ${line}, column ${String(column)} is not TOML`;
  if (harmless.test(error.message)) return error.message;
  return typeof code === 'string' && /^E[A-Z]{2,20}$/u.test(code)
    ? code
    : `${error.name}, not shown for it may quote a key`;
}
