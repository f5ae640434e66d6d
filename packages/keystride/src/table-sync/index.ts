import type pg from 'pg';
import type { SelectQueryBuilder } from 'kysely';
import type { ParametersOf } from '../contract/job.ts';
import { unquoted } from '../contract/parameters.ts';
import { pairOf, type tableSync } from './contract.ts';
import type { StepContext } from '../job/chunks.ts';
import type { StepsOf } from '../job/registry.ts';
import { withReferences } from './log/circles.ts';
import type { FollowedTable } from './log/followed-table.ts';
import { presentTable } from './log/seen.ts';
import { logSteps } from './log/steps.ts';
import { tablesNamed } from './log/table-list.ts';
import { namedTables, tableNamed } from '../stores/postgres/sql.ts';
import { shapeOf } from '../stores/postgres/table-shape.ts';
import { describeTypes } from './column-types.ts';
import { compareTables } from './compare.ts';
import { tellsInvalid } from './compared-types.ts';
import { createSink, hasTable, sinkStatement } from './create-sink.ts';
import { isTried } from '../ledger/trial.ts';
import type { Transaction } from '../stores/postgres/transaction.ts';
import { referencesOf } from './references.ts';
import { upsertSink } from './sink.ts';
import { sinkColumnsOf, typedColumns } from './sink-columns.ts';
import { syncSource, syncSteps } from './steps.ts';
import type { Sync } from './sync.ts';
import type { SyncRow } from './sync-row.ts';
import type { SyncedDatabases } from './synced-databases.ts';
import { columnOf, describeTable, invalid, requireUnique, type TableDescription } from './tables.ts';
import { eachTable, inParameters, type OfTable } from './table-transforms.ts';
import { type Travelling, travelling } from './transforms.ts';
import { refuseUnfitSink, refuseUnsyncable } from './unsyncable.ts';

type Parameters = ParametersOf<typeof tableSync>;

/** The work of tableSync, for `registerJob`: each run looks up in both databases the table that its parameters name. */
export function tableSyncSteps(databases: SyncedDatabases): StepsOf<typeof tableSync> {
  const describe = async ({ source, ...parameters }: Parameters) => {
    if (source === undefined) throw invalid('mode=log alone takes several tables');
    return describeSync(databases, { ...parameters, source });
  };
  const polled = syncSteps<Parameters>(databases.database, describe);
  const followed = logSteps<Parameters>(databases, async (parameters) => {
    const { tables: several } = parameters;
    if (!several) {
      const { followed: table, stream } = await describe(parameters);
      return { ...databases, stream, tables: await withReferences(databases.database, [table]) };
    }
    const tables: FollowedTable[] = [];
    for (const one of eachTable(parameters, await tablesNamed(databases, several)))
      tables.push((await describeSync(databases, one)).followed);
    return {
      ...databases,
      stream: `tableSync:${several.map(inList).join(',')}:log`,
      tables: await withReferences(databases.database, tables),
    };
  });
  const stepsOf = ({ parameters }: StepContext<Parameters>) =>
    parameters.mode === 'log' ? followed : polled;
  return {
    begin: (context) => ({
      run: async (transaction) => {
        const made = await makeSinks(databases, context, transaction);
        const { told = [], ...start } = await stepsOf(context).begin(context).run(transaction);
        return { ...start, told: [...made, ...told] };
      },
      due: async (signal) => (await stepsOf(context).begin(context).due?.(signal)) ?? true,
    }),
    copy: (context) => stepsOf(context).copy(context),
    sweep: (context) => stepsOf(context).sweep(context),
    remember: (context) => stepsOf(context).remember(context),
    follow: (context) => followed.follow(context),
    verify: (context) => stepsOf(context).verify(context),
  };
}

/**
 * Makes the sinks that are not there, where that is asked for.
 *
 * @returns what was done.
 * @throws JobParametersInvalid, also with the statement of a sink that is not there where the run is only tried.
 */
async function makeSinks(
  databases: SyncedDatabases,
  { parameters, instance, log }: StepContext<Parameters>,
  transaction: Transaction,
): Promise<string[]> {
  const { createSink: isWanted, tables: several, source: only = '' } = parameters;
  const told: string[] = [];
  if (!isWanted) return told;
  const each = several
    ? eachTable(parameters, await tablesNamed(databases, several))
    : [{ ...parameters, source: only }];
  for (const given of each.map(named)) {
    const { source: from, sink = from } = given;
    if (await hasTable(databases.database, sink)) continue;
    await refuseUnsyncable(
      { pool: databases.source, table: from },
      { pool: databases.database, table: sink },
    );
    const source = await describeTable(databases.source, from, 'source');
    const { key, order } = keysOf(source, given);
    const wanted = { sink, source, key, columns: travelling(source, order, given) };
    if (await isTried(transaction, instance))
      throw invalid(
        `the sink ${sink} is not there. A run makes it: ${await sinkStatement(databases.source, wanted)}`,
      );
    told.push(...(await createSink(databases, wanted)));
  }
  for (const one of told) log.warn(one);
  return told;
}

/** A sync, with what following it in the log takes besides. */
interface DescribedSync extends Sync {
  readonly followed: FollowedTable;
}

/**
 * Looks up in both catalogues what the parameters name. Every identifier that becomes SQL has been found there.
 *
 * @throws JobParametersInvalid
 */
async function describeSync(
  { source: service, database: migration }: SyncedDatabases,
  given: OfTable,
): Promise<DescribedSync> {
  const parameters = named(given);
  const { source: from, sink: to = from } = parameters;
  await refuseUnsyncable({ pool: service, table: from }, { pool: migration, table: to });
  await refuseUnfitSink({ pool: migration, table: to });
  const [source, sink] = await Promise.all([
    describeTable(service, from, 'source'),
    describeTable(migration, to, 'sink'),
  ]);
  const { key, order } = keysOf(source, parameters);
  const columns = travelling(source, order, parameters);
  const sinkKey = key.map(
    (name) => columns.find((column) => column.from === name)?.to ?? lacking(from, name),
  );
  if (parameters.mode === 'log') refuseInLog(parameters, key);
  const written = await sinkColumnsOf(migration, { source, sink }, columns, parameters);
  requireUnique(sink, sinkKey);
  const types = {
    ...{ source: await describeTypes(service, from), sink: await describeTypes(migration, to) },
    tellKeys: (await tellsInvalid(service)) && (await tellsInvalid(migration)),
  };
  const sinkColumns = typedColumns(to, written, columns, types, sinkKey);
  const rows = { pool: service, query: queryOf(from, columns), table: from };
  const travellerTo = (name: string) => columns.find((column) => column.to === name) ?? lacking(from, name);
  const references = await referencesOf(migration, to, sinkColumns);
  const copied = columns
    .filter((column) => sinkColumns.some(({ name }) => name === column.to))
    .map((column) => ({ from: column.from, to: column.to, how: column.how }));
  const compared = compareTables(
    { ...rows, key },
    { pool: migration, table: to, key: sinkKey },
    sinkColumns.map((column) => {
      const { from: sent, text, masked } = travellerTo(column.name);
      return { ...column, from: sent, text, masked };
    }),
    parameters.partitions,
  );
  const sinkTable = { table: to, columns: sinkColumns, key: sinkKey, changesRows: sink.changesRows };
  const sinkOf = upsertSink(sinkTable);
  return {
    references,
    stream: `tableSync:${from}>${to}:${parameters.mode === 'log' ? 'log' : order.map(inList).join(',')}`,
    source: syncSource({ ...rows, key: order }),
    sink: sinkOf,
    tables: {
      source: { pool: service, table: from },
      sink: { pool: migration, table: to },
      columns: copied,
    },
    compared,
    followed: {
      source: from,
      oid: source.oid,
      named: (column) => inParameters(parameters, column),
      columns: copied,
      key,
      sink: sinkTable,
      inCircle: false,
      loose: [],
      strict: [],
      look: async () =>
        presentTable(
          {
            ...{ ...rows, ...source, types: types.source, declared: source.columns },
            values: await valuesIn(service, from, columns),
          },
          { pool: migration, table: to, oid: sink.oid, types: types.sink },
          copied,
          key,
        ),
      reader: compared.reader,
      comparison: compared.comparison,
      write: (those, transaction) => sinkOf.write(those, transaction),
      remove: async (keys, transaction) => (await compared.remove?.(keys, transaction)) ?? 0,
    },
  };
}

/**
 * @throws JobParametersInvalid for a mask: the log has every value as it is, and what a mask hides would leave the source; and
 * for a key that is converted.
 */
function refuseInLog({ mask, cast, source }: OfTable, key: readonly string[]): void {
  if (mask.length > 0)
    throw invalid(
      `the log has values as they are, so mode=log cannot mask those of ${source} there: drop these columns`,
    );
  const converted = cast.map((pair) => pairOf(pair)[0]).find((name) => key.includes(name));
  if (converted !== undefined)
    throw invalid(`column ${converted} of ${source} is of the key, which mode=log takes as it is: no cast`);
}

/** A name in a list: two lists of different names are two texts. */
function inList(name: string): string {
  return /[",]/u.test(name) ? JSON.stringify(name) : name;
}

/**
 * What the types of a source call their values: no change of it is in the log.
 *
 * @throws JobParametersInvalid where row security hides rows that the log has.
 */
async function valuesIn(pool: pg.Pool, table: string, copied: readonly Travelling[]) {
  const names = copied.map(({ from }) => from);
  const { values, policies } = await shapeOf(pool, table, names);
  if (policies !== null)
    throw invalid(
      `row security may hide rows of ${table} from the role, and its log has them: ALTER ROLE … BYPASSRLS, or use another mode`,
    );
  return values;
}

/** The parameters with the columns' names as they are. */
function named({ key, columns, drop, timestamp, ...others }: OfTable): OfTable {
  return {
    ...others,
    ...{ key: key.map(unquoted), columns: columns.map(unquoted), drop: drop.map(unquoted) },
    ...(timestamp === undefined ? {} : { timestamp: unquoted(timestamp) }),
  };
}

/** What rows are told apart by, and what they are read in the order of. */
function keysOf(source: TableDescription, { key: given, mode, timestamp }: Parameters) {
  const key = given.length > 0 ? given : source.uniqueKeys[0];
  if (!key) {
    const [flawed] = source.flawedKeys;
    const why = flawed ? ` (its index ${flawed.name} ${flawed.flaw})` : '';
    throw invalid(
      `table ${source.table} has no primary key that tells its rows apart${why}; name a unique one by the parameter key`,
    );
  }
  for (const name of key) columnOf(source, name);
  requireUnique(source, key);
  if (!mode.startsWith('timestamp') || timestamp === undefined) return { key, order: key };
  columnOf(source, timestamp);
  return { key, order: [timestamp, ...key.filter((name) => name !== timestamp)] };
}

function lacking(table: string, name: string): never {
  throw invalid(`column ${name} of ${table} is of the key and must be copied`);
}

function queryOf(
  table: string,
  columns: readonly Travelling[],
): SelectQueryBuilder<Record<string, Record<string, string | null>>, string, SyncRow> {
  return namedTables.selectFrom(tableNamed(table)).select(columns.map(({ text, to }) => text.as(to)));
}
