import pg from 'pg';
import type { SelectQueryBuilder } from 'kysely';
import type { ParametersOf } from '../contract/job.ts';
import { unquoted } from '../contract/parameters.ts';
import { pairOf, type tableSync } from './contract.ts';
import type { StepContext } from '../job/chunks.ts';
import type { StepsOf } from '../job/registry.ts';
import type { FollowedTable } from './log/followed-table.ts';
import { presentTable } from './log/seen.ts';
import { logSteps } from './log/steps.ts';
import { tablesNamed } from './log/table-list.ts';
import { quotedTable } from '../stores/postgres/key-columns.ts';
import { namedTables, tableNamed } from '../stores/postgres/sql.ts';
import { shapeOf } from '../stores/postgres/table-shape.ts';
import {
  type ColumnType,
  describeTypes,
  exactIn,
  isLoose,
  maskedAs,
  misread,
  requireDistinct,
} from './column-types.ts';
import { compareTables } from './compare.ts';
import { tellsInvalid } from './compared-types.ts';
import { referencesOf } from './references.ts';
import { type SinkColumn, upsertSink } from './sink.ts';
import { type Sync, type SyncRow, syncSource, syncSteps } from './steps.ts';
import {
  columnOf,
  describeTable,
  invalid,
  requireUnique,
  type TableColumn,
  type TableDescription,
} from './tables.ts';
import { type Travelling, travelling } from './transforms.ts';
import { refuseUnsyncable } from './unsyncable.ts';

type Parameters = ParametersOf<typeof tableSync>;

/** The two databases of a sync. */
export interface SyncedDatabases {
  /** Of the table that is copied; only read. */
  readonly source: pg.Pool;
  /** Of the copy, with the ledger. */
  readonly database: pg.Pool;
}

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
      return { ...databases, stream, tables: [table] };
    }
    const tables: FollowedTable[] = [];
    for (const source of await tablesNamed(databases, several))
      tables.push((await describeSync(databases, { ...parameters, source })).followed);
    return { ...databases, stream: `tableSync:${several.map(inList).join(',')}:log`, tables };
  });
  const stepsOf = ({ parameters }: StepContext<Parameters>) =>
    parameters.mode === 'log' ? followed : polled;
  return {
    begin: (context) => stepsOf(context).begin(context),
    copy: (context) => stepsOf(context).copy(context),
    sweep: (context) => stepsOf(context).sweep(context),
    remember: (context) => stepsOf(context).remember(context),
    follow: (context) => followed.follow(context),
    verify: (context) => (context.parameters.tables ? followed : polled).verify(context),
  };
}

/** What one table is copied by. */
type OfTable = Parameters & { readonly source: string };

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
  const [source, sink] = await Promise.all([
    describeTable(service, from, 'source'),
    describeTable(migration, to, 'sink'),
  ]);
  const { key, order } = keysOf(source, parameters);
  const columns = travelling(source, order, parameters);
  const sinkKey = key.map((name) => columns.find((column) => column.from === name)?.to ?? lacking(name));
  if (parameters.mode === 'log') refuseInLog(parameters, key);
  const written = await sinkColumnsOf(migration, { source, sink }, columns, parameters);
  requireUnique(sink, sinkKey);
  const types = {
    ...{ source: await describeTypes(service, from), sink: await describeTypes(migration, to) },
    tellKeys: (await tellsInvalid(service)) && (await tellsInvalid(migration)),
  };
  const sinkColumns = typedColumns(to, written, columns, types, sinkKey);
  const rows = { pool: service, query: queryOf(from, columns), table: from };
  const travellerTo = (name: string) => columns.find((column) => column.to === name) ?? lacking(name);
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
      columns: copied,
      key,
      sink: sinkTable,
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
function refuseInLog({ mask, cast }: Parameters, key: readonly string[]): void {
  if (mask.length > 0)
    throw invalid(
      'the log has values as they are, so mode=log cannot mask them in the source: drop these columns',
    );
  const converted = cast.map((pair) => pairOf(pair)[0]).find((name) => key.includes(name));
  if (converted !== undefined)
    throw invalid(`column ${converted} is of the key, which mode=log takes as it is: no cast`);
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

function lacking(name: string): never {
  throw invalid(`column ${name} is of the key and must be copied`);
}

function queryOf(
  table: string,
  columns: readonly Travelling[],
): SelectQueryBuilder<Record<string, Record<string, string | null>>, string, SyncRow> {
  return namedTables.selectFrom(tableNamed(table)).select(columns.map(({ text, to }) => text.as(to)));
}

/**
 * The sink's columns with what their types make of what is sent.
 *
 * @throws JobParametersInvalid where two keys may become one, or a column that must have a value gets none.
 */
function typedColumns(
  table: string,
  written: readonly SinkColumn[],
  columns: readonly Travelling[],
  types: {
    readonly source: readonly ColumnType[];
    readonly sink: readonly ColumnType[];
    readonly tellKeys: boolean;
  },
  key: readonly string[],
): SinkColumn[] {
  const given = new Set(written.map(({ name }) => name));
  const lacked = types.sink.find(({ name, mustBeGiven }) => mustBeGiven && !given.has(name));
  if (lacked)
    throw invalid(
      `the sink's column ${lacked.name} is NOT NULL without a default, and is given no value: copy a column to it by rename, give it a default, or ALTER TABLE ${quotedTable(table)} DROP COLUMN ${pg.escapeIdentifier(lacked.name)}`,
    );
  return written.map((column) => {
    const traveller = columns.find(({ to }) => to === column.name);
    const source = types.source.find(({ name }) => name === traveller?.from);
    const sink = types.sink.find(({ name }) => name === column.name);
    if (!traveller || !source || !sink)
      throw invalid(`column ${column.name} has changed just now; start again`);
    const sent = traveller.masked ? maskedAs(source) : source;
    const isKey = key.includes(column.name);
    if (isKey) requireDistinct(sent, sink);
    const isCast = traveller.via !== undefined;
    const type = exactIn(sent, sink, { isKey, isCast });
    const otherwise = isCast ? undefined : misread(sent, sink, types.tellKeys);
    return {
      ...column,
      type: sink.base,
      loose: isLoose(sink),
      ...(type === undefined ? {} : { exactIn: type }),
      ...(otherwise === undefined ? {} : { misread: otherwise }),
    };
  });
}

/** Leaves out what the sink computes itself, unless it was asked for. */
async function sinkColumnsOf(
  pool: pg.Pool,
  { source, sink }: Readonly<Record<'source' | 'sink', TableDescription>>,
  columns: readonly Travelling[],
  { columns: chosen }: Parameters,
): Promise<SinkColumn[]> {
  const written = columns.flatMap((column) => {
    const found = sink.columns.find(({ name }) => name === column.to);
    if (!found) throw lackingIn(sink, column.to, columnOf(source, column.from));
    if (!found.generated) return [{ ...found, via: column.via }];
    if (chosen.includes(column.from)) throw invalid(`column ${column.to} of ${sink.table} is computed there`);
    return [];
  });
  return Promise.all(
    written.map(async ({ name, type, declared, identityAlways, via }) => ({
      ...{ name, type, declared, identityAlways },
      ...(via === undefined ? {} : { via: await typeNamed(pool, via) }),
    })),
  );
}

/** A sink without a column, with the statement that gives it the values of the rows that the source had when it got it. */
function lackingIn({ table }: TableDescription, to: string, { name, declared, missing }: TableColumn) {
  const [sink, column] = [quotedTable(table), pg.escapeIdentifier(to)];
  const given = missing === null ? '' : ` DEFAULT ${pg.escapeLiteral(missing)}`;
  return invalid(
    `the sink ${table} has no column ${to}: ALTER TABLE ${sink} ADD COLUMN ${column} ${declared}${given}, ` +
      `or RENAME COLUMN … TO ${column} where the source has renamed it; or leave it out by drop=${name}`,
  );
}

/** A type as the catalogue writes it, with the scale or precision that was asked for; no length, which would cut. */
async function typeNamed(pool: pg.Pool, name: string): Promise<string> {
  const { rows } = await pool.query<{ known: boolean }>('SELECT to_regtype($1) IS NOT NULL AS known', [name]);
  if (!rows[0]?.known || /^[-\d]/u.test(name)) throw invalid(`${name} is no type that the sink knows`);
  // What to_regtype has read is the name of a type and nothing else; a null of it has its scale too.
  const { fields } = await pool.query(`SELECT NULL::${name}\n LIMIT 0`);
  const { rows: types } = await pool.query<{ plain: string; scaled: string }>(
    'SELECT format_type($1, -1) AS plain, format_type($1, $2) AS scaled',
    [fields[0]?.dataTypeID, fields[0]?.dataTypeModifier],
  );
  const { plain = name, scaled = name } = types[0] ?? {};
  return /^(character varying|bpchar|"bit"|bit varying)/u.test(plain) ? plain : scaled;
}
