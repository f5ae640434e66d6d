import type pg from 'pg';
import type { SelectQueryBuilder } from 'kysely';
import type { ParametersOf } from '../../contract/job.ts';
import type { tableSync } from '../../contract/table-sync.ts';
import type { StepsOf } from '../../engine/activity/registry.ts';
import { namedTables } from '../../stores/postgres/sql.ts';
import type { Resources } from '../resources.ts';
import { compareTables } from './compare.ts';
import { type SinkColumn, upsertSink } from './sink.ts';
import { type Sync, type SyncRow, syncSource, syncSteps } from './steps.ts';
import { columnOf, describeTable, invalid, requireUnique, type TableDescription } from './tables.ts';
import { type Travelling, travelling } from './transforms.ts';

type Parameters = ParametersOf<typeof tableSync>;

export const tableSyncSteps = (resources: Resources): StepsOf<typeof tableSync> =>
  syncSteps<Parameters>(resources.migration, (parameters) => describeSync(resources, parameters));

/**
 * Looks up in both catalogues what the parameters name. Every identifier that becomes SQL has been found there.
 *
 * @throws JobParametersInvalid
 */
async function describeSync({ service, migration }: Resources, parameters: Parameters): Promise<Sync> {
  const { source: from, sink: to = from } = parameters;
  const [source, sink] = await Promise.all([
    describeTable(service, from, 'source'),
    describeTable(migration, to, 'sink'),
  ]);
  const { key, order } = keysOf(source, parameters);
  const columns = travelling(source, order, parameters);
  const sinkKey = key.map((name) => columns.find((column) => column.from === name)?.to ?? lacking(name));
  requireUnique(sink, sinkKey);
  const sinkColumns = await sinkColumnsOf(migration, sink, columns, parameters);
  const rows = { pool: service, query: queryOf(from, columns), table: from };
  const textOf = (name: string) => columns.find((column) => column.to === name)?.text ?? lacking(name);
  return {
    stream: `tableSync:${from}>${to}:${order.join(',')}`,
    source: syncSource({ ...rows, key: order }),
    sink: upsertSink({ table: to, columns: sinkColumns, key: sinkKey }),
    compared: compareTables(
      { ...rows, key },
      { pool: migration, table: to, key: sinkKey },
      sinkColumns.map((column) => ({
        ...column,
        text: textOf(column.name),
        declared: columnOf(sink, column.name).declared,
      })),
    ),
  };
}

/** What rows are told apart by, and what they are read in the order of. */
function keysOf(source: TableDescription, { key: given, mode, timestamp }: Parameters) {
  const key = given.length > 0 ? given : source.uniqueKeys[0];
  if (!key) throw invalid(`table ${source.table} has no primary key; name a unique one by the parameter key`);
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
  return namedTables.selectFrom(table).select(columns.map(({ text, to }) => text.as(to)));
}

/** Leaves out what the sink computes itself, unless it was asked for. */
async function sinkColumnsOf(
  pool: pg.Pool,
  sink: TableDescription,
  columns: readonly Travelling[],
  { columns: chosen }: Parameters,
): Promise<SinkColumn[]> {
  const written = columns.flatMap((column) => {
    const found = columnOf(sink, column.to);
    if (!found.generated) return [{ ...found, via: column.via }];
    if (chosen.includes(column.from)) throw invalid(`column ${column.to} of ${sink.table} is computed there`);
    return [];
  });
  return Promise.all(
    written.map(async ({ name, type, identityAlways, via }) => ({
      ...{ name, type, identityAlways },
      ...(via === undefined ? {} : { via: await typeNamed(pool, via) }),
    })),
  );
}

/** A type as the catalogue writes it, without a length: the sink's column has its own. */
async function typeNamed(pool: pg.Pool, name: string): Promise<string> {
  const { rows } = await pool.query<{ type: string | null }>(
    'SELECT format_type(to_regtype($1), -1) AS type',
    [name],
  );
  const type = rows[0]?.type;
  if (!type || type === '-' || type === '???') throw invalid(`${name} is no type that the sink knows`);
  return type;
}
