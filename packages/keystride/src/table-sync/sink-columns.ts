import pg from 'pg';
import { quotedTable } from '../stores/postgres/key-columns.ts';
import { type ColumnType, isLoose, maskedAs, requireDistinct } from './column-types.ts';
import { exactIn, misread } from './exact-values.ts';
import type { SinkColumn } from './sink.ts';
import { inParameters, type OfTable } from './table-transforms.ts';
import { columnOf, invalid, type TableColumn, type TableDescription } from './tables.ts';
import type { Travelling } from './transforms.ts';

/**
 * The sink's columns with what their types make of what is sent.
 *
 * @throws JobParametersInvalid where two keys may become one, or a column that must have a value gets none.
 */
export function typedColumns(
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
      `column ${lacked.name} of the sink ${table} is NOT NULL without a default, and is given no value: copy a column to it by rename, give it a default, or ALTER TABLE ${quotedTable(table)} DROP COLUMN ${pg.escapeIdentifier(lacked.name)}`,
    );
  return written.map((column) => {
    const traveller = columns.find(({ to }) => to === column.name);
    const source = types.source.find(({ name }) => name === traveller?.from);
    const sink = types.sink.find(({ name }) => name === column.name);
    if (!traveller || !source || !sink)
      throw invalid(`column ${column.name} of the sink ${table} has changed just now; start again`);
    const sent = traveller.masked ? maskedAs(source) : source;
    const isKey = key.includes(column.name);
    if (isKey) requireDistinct(table, sent, sink);
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
export async function sinkColumnsOf(
  pool: pg.Pool,
  { source, sink }: Readonly<Record<'source' | 'sink', TableDescription>>,
  columns: readonly Travelling[],
  parameters: Pick<OfTable, 'columns' | 'source' | 'tables'>,
): Promise<SinkColumn[]> {
  const written = columns.flatMap((column) => {
    const found = sink.columns.find(({ name }) => name === column.to);
    if (!found) throw lackingIn(sink, column.to, columnOf(source, column.from), parameters);
    if (!found.generated) return [{ ...found, via: column.via }];
    if (parameters.columns.includes(column.from))
      throw invalid(`column ${column.to} of ${sink.table} is computed there`);
    return [];
  });
  return Promise.all(
    written.map(async ({ name, type, declared, identityAlways, via }) => ({
      ...{ name, type, declared, identityAlways },
      ...(via === undefined ? {} : { via: await typeNamed(pool, via, `column ${name} of ${sink.table}`) }),
    })),
  );
}

/** A sink without a column, with the statement that gives it the values of the rows that the source had when it got it. */
function lackingIn(
  { table }: TableDescription,
  to: string,
  { name, declared, missing }: TableColumn,
  parameters: Pick<OfTable, 'source' | 'tables'>,
) {
  const [sink, column] = [quotedTable(table), pg.escapeIdentifier(to)];
  const given = missing === null ? '' : ` DEFAULT ${pg.escapeLiteral(missing)}`;
  return invalid(
    `the sink ${table} has no column ${to}: ALTER TABLE ${sink} ADD COLUMN ${column} ${declared}${given}, ` +
      `or RENAME COLUMN … TO ${column} where the source has renamed it; or leave it out by drop=${inParameters(parameters, name)}`,
  );
}

/** A type as the catalogue writes it, with the scale or precision that was asked for; no length, which would cut. */
async function typeNamed(pool: pg.Pool, name: string, column: string): Promise<string> {
  const { rows } = await pool.query<{ known: boolean }>('SELECT to_regtype($1) IS NOT NULL AS known', [name]);
  if (!rows[0]?.known || /^[-\d]/u.test(name))
    throw invalid(`${name}, for ${column}, is no type that the sink knows`);
  // What to_regtype has read is the name of a type and nothing else; a null of it has its scale too.
  const { fields } = await pool.query(`SELECT NULL::${name}\n LIMIT 0`);
  const { rows: types } = await pool.query<{ plain: string; scaled: string }>(
    'SELECT format_type($1, -1) AS plain, format_type($1, $2) AS scaled',
    [fields[0]?.dataTypeID, fields[0]?.dataTypeModifier],
  );
  const { plain = name, scaled = name } = types[0] ?? {};
  return /^(character varying|bpchar|"bit"|bit varying)/u.test(plain) ? plain : scaled;
}
