import { isIP } from 'node:net';
import { z } from 'zod';
import { addressProblem } from '../stores/postgres/address.ts';
import { parseQuietHours } from '../contract/quiet-hours.ts';
import { parseEncryptionKeys } from './encryption-keys.ts';
import { type ConfigProblem, valuesOf } from './secret-files.ts';
import { codecServerVariables, consoleVariables, isNetwork } from './server-variables.ts';

const logLevels = ['trace', 'debug', 'info', 'warn', 'error', 'fatal'] as const;

/** pino's levels. */
export type LogLevel = (typeof logLevels)[number];

/** Parameters of an address whose values are no secrets. */
const shownParameters =
  /^(sslmode|ssl|target_session_attrs|tls|replicaSet|application_name|appName|connect_timeout|authSource|w|retryWrites|directConnection|readPreference)=[\w.-]*$/;

/**
 * An address as it may be shown: hosts, ports, the name of the database and harmless parameters. What cannot be told
 * from a user, a password or a token is not shown, since a password that was not encoded may stand anywhere.
 */
export function withoutCredentials(address: string): string {
  if (/^[\w.-]+:\d+$/.test(address)) return address;
  const [, scheme, rest = ''] = /^([a-z][a-z0-9+.-]*:\/\/)(.*)$/is.exec(address) ?? [];
  if (scheme === undefined) return '(not shown: not a URL)';
  const at = rest.lastIndexOf('@');
  const [, hosts = '', path = '', query = ''] = /^([^/?#]*)([^?#]*)(.*)$/s.exec(rest.slice(at + 1)) ?? [];
  const asked = rest.search(/[?#]/);
  if ((asked >= 0 && asked < at) || !hostList.test(hosts))
    return `${scheme}(not shown: it may hold a password)`;
  // The path of a web address may be what lets one in.
  const shownPath = /^http/i.test(scheme) || !/^\/[\w.-]*$/.test(path) ? '' : path;
  const parameters = query
    .replace(/^\?/, '')
    .split('&')
    .filter((parameter) => shownParameters.test(parameter));
  return `${scheme}${hosts}${shownPath}${parameters.length === 0 ? '' : `?${parameters.join('&')}`}`;
}

/** Names or numbers of hosts, each perhaps with its port. */
const hostList = /^(\[[\da-f:.]+\]|[\w.-]+)(:\d{1,5})?(,(\[[\da-f:.]+\]|[\w.-]+)(:\d{1,5})?)*$/i;

/** A URL of one of these schemes; what is shown of a wrong one holds no credentials. */
function url(pattern: RegExp, example: string) {
  return z.string().superRefine((text, context) => {
    const shown = withoutCredentials(text);
    const message = pattern.test(text) ? unreadable(text) : `is not like ${example}`;
    if (message !== undefined) context.addIssue({ code: 'custom', message: `${message}: ${shown}` });
  });
}

/** Why an address that looks right cannot be read by whoever connects. */
function unreadable(text: string): string | undefined {
  try {
    decodeURIComponent(text.replace(/[?#].*$/s, ''));
  } catch {
    return 'has a % that encodes nothing; write one that stands in a user or a password as %25';
  }
  // PostgreSQL and the driver of MongoDB have forms of their own, with several hosts.
  if (text.startsWith('mongodb')) return undefined;
  if (text.startsWith('postgres')) return addressProblem(text);
  return URL.canParse(text) ? undefined : 'cannot be read';
}

/** The address of a PostgreSQL database, as libpq reads it: see `readAddress`. */
export const postgresUrl = url(/^postgres(ql)?:\/\/[^/]+\/[^/?]+/, 'postgres://user@host:5432/database');

/** The address of a web server. */
export const httpUrl = url(/^https?:\/\/[^/:?#@]+(:\d+)?([/?#].*)?$/, 'https://host:8080');

/** The address of a database that speaks MongoDB's protocol. */
export const mongodbUrl = url(/^mongodb(\+srv)?:\/\/[^/]+/, 'mongodb://host:27017/database');

/** Temporal joins the two with a dot or a colon, and parts them at the first. */
const deploymentName = z
  .string()
  .regex(/^[^\s.:]+$/, { error: ({ input }) => `must hold no dot, colon or space: ${String(input)}` });

/** The address of a webhook is a secret: its path is what lets one in. */
const webhookUrl = z.string().refine((value) => /^https?:$/.test(URL.parse(value)?.protocol ?? ''), {
  error: 'is not like https://host/path; it is not shown, for it may hold a token',
});

/** A part of what there is, such as 0.8. */
const share = z.string().transform((text, context) => {
  const value = Number(text);
  if (value > 0 && value <= 1) return value;
  context.addIssue({ code: 'custom', message: `is not above 0 and at most 1, like 0.8: ${text}` });
  return z.NEVER;
});

function limit(what: string) {
  return z
    .string()
    .regex(/^\d+(\.\d+)?$/, { error: ({ input }) => `is not a number of ${what}: ${String(input)}` })
    .transform(Number);
}

/** Calls that may be out at a time, such as 80. */
export const numberOfCalls = z
  .string()
  .regex(/^[1-9]\d{0,5}$/, { error: ({ input }) => `is not a number of calls like 80: ${String(input)}` })
  .transform(Number);

const quietHours = z.string().transform((text, context) => {
  const found = parseQuietHours(text);
  if (typeof found !== 'string') return found;
  context.addIssue({ code: 'custom', message: found });
  return z.NEVER;
});

const encryptionKeys = z.string().transform((text, context) => {
  const keys = parseEncryptionKeys(text);
  if (typeof keys !== 'string') return keys;
  context.addIssue({ code: 'custom', message: keys });
  return z.NEVER;
});

const atLeastOne = z
  .string()
  .regex(/^[1-9]\d{0,4}$/, { error: ({ input }) => `is not a whole number from 1: ${String(input)}` })
  .transform(Number);

/** Names of hosts, addresses and networks. */
const privateHosts = z
  .string()
  .transform(namesIn)
  .refine((list) => list.every((one) => isNetwork(one) || /^(?!\d+$)[\w-]+(\.[\w-]+)*$/u.test(one)), {
    error: ({ input }) => `is not like legacy.internal,10.0.0.0/8: ${String(input)}`,
  });

const units: Record<string, number> = { '': 1, KiB: 2 ** 10, MiB: 2 ** 20, GiB: 2 ** 30 };

/** Where a worker listens: an address by number, since a name may have several. */
const listenAddress = z.string().refine(isListenAddress, {
  error: ({ input }) =>
    `is not an address by number with a port, like 127.0.0.1:9464 or [::1]:9464: ${String(input)}`,
});

function isListenAddress(text: string): boolean {
  const [, host = '', port = ''] = /^(.*):(\d{1,5})$/u.exec(text) ?? [];
  const version = isIP(host.replace(/^\[(.*)\]$/u, '$1'));
  const isWritten = version === 4 || (version === 6 && host.startsWith('['));
  return isWritten && Number(port) >= 1 && Number(port) <= 65_535;
}

/** A size, such as 268435456 or 256MiB. */
export const sizeInBytes = z.string().transform(parseBytes);

const environmentSchema = z.object({
  DATABASE_URL: postgresUrl.optional(),
  SOURCE_DATABASE_URL: postgresUrl.optional(),
  MONGODB_URL: mongodbUrl.optional(),
  TEMPORAL_UI_URL: httpUrl.optional(),
  KEYSTRIDE_TASK_QUEUE: z.string().optional(),
  KEYSTRIDE_QUEUES: z.string().transform(parseQueues).optional(),
  KEYSTRIDE_WORKER_QUEUES: z.string().transform(namesIn).optional(),
  KEYSTRIDE_ACTIVITIES: atLeastOne.optional(),
  KEYSTRIDE_CONNECTIONS: atLeastOne.optional(),
  KEYSTRIDE_TARGET_CPU: share.optional(),
  KEYSTRIDE_TARGET_MEMORY: share.optional(),
  KEYSTRIDE_WORKFLOW_BUNDLE: z.string().optional(),
  LOG_LEVEL: z
    .enum(logLevels, { error: ({ input }) => `is none of ${logLevels.join(', ')}: ${String(input)}` })
    .optional(),
  KEYSTRIDE_BYTES_IN_FLIGHT: sizeInBytes.optional(),
  KEYSTRIDE_QUIET_HOURS: quietHours.optional(),
  KEYSTRIDE_HEALTH_REPLICATION_LAG: limit('seconds').optional(),
  KEYSTRIDE_HEALTH_LOCK_WAITS: limit('sessions').optional(),
  KEYSTRIDE_HEALTH_ACTIVE_CONNECTIONS: limit('connections').optional(),
  KEYSTRIDE_HEALTH_QUERY: z.string().optional(),
  KEYSTRIDE_METRICS: listenAddress.optional(),
  KEYSTRIDE_HEALTH: listenAddress.optional(),
  KEYSTRIDE_TRACES: httpUrl.optional(),
  KEYSTRIDE_DEPLOYMENT: deploymentName.optional(),
  KEYSTRIDE_BUILD_ID: z.string().optional(),
  KEYSTRIDE_PLAINTEXT: z.string().transform(namesIn).optional(),
  KEYSTRIDE_FORMER_NAMESPACES: z.string().transform(namesIn).optional(),
  KEYSTRIDE_PRIVATE_HOSTS: privateHosts.optional(),
  KEYSTRIDE_ENCRYPTION_KEYS: encryptionKeys.optional(),
  KEYSTRIDE_ENCRYPTION_KEYS_FILE: z.string().optional(),
  KEYSTRIDE_FAULTS: z.string().optional(),
  ALERT_WEBHOOK_URL: webhookUrl.optional(),
  ALERT_FORMAT: z
    .enum(['json', 'slack'], { error: ({ input }) => `is neither json nor slack: ${String(input)}` })
    .optional(),
  DEAD_LETTER_WEBHOOK_URL: webhookUrl.optional(),
  KEYSTRIDE_CONSOLE_URL: httpUrl.optional(),
  ...consoleVariables,
  KEYSTRIDE_CODEC_SERVER_URL: httpUrl.optional(),
  ...codecServerVariables,
});

/** What the environment says, well formed. */
export type Settings = z.infer<typeof environmentSchema>;

/** `268435456` or `256MiB`. */
function parseBytes(text: string, context: z.RefinementCtx): number {
  const [, digits, unit = ''] = /^(\d+)\s*(KiB|MiB|GiB)?$/.exec(text.trim()) ?? [];
  const bytes = Number(digits) * (units[unit] ?? 1);
  if (Number.isSafeInteger(bytes) && bytes > 0) return bytes;
  context.addIssue({ code: 'custom', message: `is not a size in bytes like 268435456 or 256MiB: ${text}` });
  return z.NEVER;
}

function namesIn(list: string): string[] {
  return list
    .split(',')
    .map((name) => name.trim())
    .filter((name) => name !== '');
}

/** `documentMigration=documents,tableSync=syncs`: the task queue of each of these jobs. */
function parseQueues(text: string, context: z.RefinementCtx): Record<string, string> {
  const pairs = namesIn(text).map((pair) => pair.split('=').map((part) => part.trim()));
  const jobs = new Set(pairs.map(([job]) => job));
  if (jobs.size === pairs.length && pairs.every((pair) => pair.length === 2 && pair.every(Boolean)))
    return Object.fromEntries(pairs) as Record<string, string>;
  const message = `is not like documentMigration=documents,tableSync=syncs, each job once: ${text}`;
  context.addIssue({ code: 'custom', message });
  return z.NEVER;
}

/** What lets somebody in somewhere: each may stand in a file. */
const secrets = [
  'DATABASE_URL',
  'SOURCE_DATABASE_URL',
  'MONGODB_URL',
  'ALERT_WEBHOOK_URL',
  'DEAD_LETTER_WEBHOOK_URL',
  'KEYSTRIDE_CONSOLE_TOKEN',
  'KEYSTRIDE_CODEC_SERVER_TOKEN',
  'KEYSTRIDE_ENCRYPTION_KEYS',
];

/** Every setting of the environment, and what is wrong with the others. */
export function parseEnvironment(env: NodeJS.ProcessEnv): { settings: Settings; problems: ConfigProblem[] } {
  const problems: ConfigProblem[] = [];
  const set = valuesOf(env, secrets, problems);
  for (const { path, message } of environmentSchema.safeParse(set).error?.issues ?? [])
    problems.push({ variable: String(path[0]), problem: message });
  // What is well formed counts, so that one wrong setting does not make the others look missing.
  for (const { variable } of problems) delete set[variable];
  return { settings: environmentSchema.parse(set), problems };
}
