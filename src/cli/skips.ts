import { Argument, Command } from 'commander';
import { sql, type CompiledQuery } from 'kysely';
import pg from 'pg';
import { loadConfig } from '../config.ts';
import { migration } from '../stores/postgres/sql.ts';
import { databaseProblem } from './failures.ts';
import { count, plain, table } from './format.ts';
import { outputOption, wholeNumber, type OutputOptions } from './options.ts';
import { CommandError, printJson, printLine } from './output.ts';

interface SkipsOptions extends OutputOptions {
  limit: number;
}

/** A cause, and how many items were skipped for it. */
interface Cause {
  readonly fingerprint: string;
  readonly code: string;
  readonly count: number;
}

/** One item that was set aside. */
interface SkippedItem {
  readonly step: string;
  readonly key: string;
  readonly phase: string;
  readonly code: string;
  readonly message: string;
  readonly partition: number;
  readonly attempts: number;
  readonly status: string;
  readonly at: string;
}

interface SkipList {
  readonly instance: string;
  readonly total: number;
  readonly causes: readonly Cause[];
  readonly skips: readonly SkippedItem[];
}

const help = `
Examples:
  $ keystride skips documentMigration:run=2 list
  $ keystride skips documentMigration:run=2 list --limit 1000 -o json`;

/** `keystride skips`: the items that an instance has set aside, by cause. */
export function skipsCommand(): Command {
  return new Command('skips')
    .description('show the items that were skipped, grouped by cause')
    .argument('<id>', 'the workflow id or the instance')
    .addArgument(new Argument('[action]', 'what to do').choices(['list']).default('list'))
    .option('--limit <n>', 'show at most so many items', wholeNumber(0, 1_000_000), 50)
    .addOption(outputOption())
    .addHelpText('after', help)
    .action(async (id: string, _action: string, options: SkipsOptions) => {
      const list = await readSkips(id, options.limit);
      if (options.output === 'json') return printJson(list);
      show(list);
    });
}

async function readSkips(id: string, limit: number): Promise<SkipList> {
  const { databaseUrl } = loadConfig(process.env, ['databaseUrl']);
  const client = new pg.Client({
    connectionString: databaseUrl,
    application_name: 'keystride skips',
    connectionTimeoutMillis: 5_000,
  });
  client.on('error', () => undefined);
  try {
    await client.connect();
    await client.query('begin transaction isolation level repeatable read read only');
    const instance = await findInstance(client, id);
    if (instance === undefined) throw noInstance(id);
    return {
      instance,
      ...(await readCauses(client, instance)),
      skips: await readItems(client, instance, limit),
    };
  } catch (error) {
    throw error instanceof CommandError ? error : databaseProblem(error, databaseUrl, 'DATABASE_URL');
  } finally {
    await client.end().catch(() => undefined);
  }
}

async function run<Row>(client: pg.Client, query: { compile(): CompiledQuery<Row> }): Promise<Row[]> {
  const { sql: text, parameters } = query.compile();
  // The builder knows the rows, the driver does not.
  return (await client.query(text, [...parameters])).rows as Row[];
}

/** An instance by its key, or by the workflow that ran it last. */
async function findInstance(client: pg.Client, id: string): Promise<string | undefined> {
  const rows = await run(
    client,
    migration
      .selectFrom('keystride.instance')
      .select('instance_key')
      .where((row) => row.or([row('instance_key', '=', id), row('owner_workflow_id', '=', id)]))
      .orderBy(sql`instance_key = ${id}`, 'desc')
      .orderBy('opened_at', 'desc')
      .limit(1),
  );
  return rows[0]?.instance_key;
}

async function readCauses(client: pg.Client, instance: string): Promise<Pick<SkipList, 'total' | 'causes'>> {
  const rows = await run(
    client,
    migration
      .selectFrom('keystride.skip')
      .select(['fingerprint', 'code', sql<string>`count(*)`.as('items')])
      .where('instance_key', '=', instance)
      .groupBy(['fingerprint', 'code'])
      .orderBy('items', 'desc')
      .orderBy('fingerprint'),
  );
  const causes = rows.map(({ fingerprint, code, items }) => ({ fingerprint, code, count: Number(items) }));
  return { total: causes.reduce((sum, cause) => sum + cause.count, 0), causes };
}

async function readItems(client: pg.Client, instance: string, limit: number): Promise<SkippedItem[]> {
  return run(
    client,
    migration
      .selectFrom('keystride.skip')
      .select(['step', 'item_key as key', 'phase', 'code', 'message', 'partition', 'attempts', 'status'])
      .select(sql<string>`to_char(created_at at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"')`.as('at'))
      .where('instance_key', '=', instance)
      .orderBy('created_at')
      .orderBy('item_key')
      .limit(limit),
  );
}

function noInstance(id: string): CommandError {
  return new CommandError(
    {
      what: `the ledger knows no instance or workflow ${id}`,
      todo: 'See which runs there are: keystride list',
    },
    { type: 'NotFound', details: { workflowId: id } },
  );
}

function show({ instance, total, causes, skips }: SkipList): void {
  printLine(`${instance}: ${count(total)} skipped`);
  if (total === 0) return;
  printLine();
  const byCause = causes.map((cause) => [count(cause.count), plain(cause.code), plain(cause.fingerprint)]);
  for (const line of table(['items', 'code', 'cause'], byCause)) printLine(line);
  if (skips.length === 0) return;
  printLine();
  const items = skips.map((skip) => [
    skip.step,
    plain(skip.key, 60),
    skip.phase,
    plain(skip.code),
    plain(skip.message),
  ]);
  for (const line of table(['step', 'key', 'phase', 'code', 'message'], items)) printLine(line);
  if (skips.length < total) printLine(`… and ${count(total - skips.length)} more; --limit shows them`);
}
