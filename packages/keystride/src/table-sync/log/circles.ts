import pg from 'pg';
import { quotedTable } from '../../stores/postgres/key-columns.ts';
import type { Reference } from '../references.ts';
import { invalid } from '../tables.ts';
import type { FollowedTable, LooseReference } from './followed-table.ts';

/** A foreign key from one table of a list to another, or to itself. */
interface ListedReference extends Reference {
  /** Places in the list. */
  readonly from: number;
  readonly to: number;
  readonly constraint: string;
  /** Those of its columns that may be null. */
  readonly nullable: readonly string[];
  readonly deferrable: boolean;
}

async function referencesAmong(
  database: pg.Pool,
  names: readonly string[],
): Promise<readonly ListedReference[]> {
  const attributes = (of: string, more = '') =>
    `array(SELECT attname::text FROM unnest(${of}) WITH ORDINALITY AS part (number, place)
             JOIN pg_attribute ON attrelid = ${of === 'conkey' ? 'conrelid' : 'confrelid'} AND attnum = number ${more}
            ORDER BY part.place)`;
  const { rows } = await database.query<Omit<ListedReference, 'parent'>>(
    `WITH listed AS (SELECT to_regclass(name)::oid AS id, place::int - 1 AS place
                       FROM unnest($1::text[]) WITH ORDINALITY AS one (name, place))
     SELECT child.place AS "from", parent.place AS "to", conname AS constraint, condeferrable AS deferrable,
            ${attributes('conkey')} AS columns, ${attributes('confkey')} AS referenced,
            ${attributes('conkey', 'AND NOT attnotnull')} AS nullable
       FROM pg_constraint JOIN listed AS child ON child.id = conrelid JOIN listed AS parent ON parent.id = confrelid
      WHERE contype = 'f' ORDER BY child.place, parent.place, conname`,
    [names.map(quotedTable)],
  );
  return rows.map((row) => ({ ...row, parent: names[row.to] ?? '' }));
}

/** Those that lead back to the table that they begin at. */
function circular(references: readonly ListedReference[]): ListedReference[] {
  return references.filter(({ from, to }) => {
    const met = new Set([to]);
    // A set that grows while it is walked is walked to its end.
    for (const place of met) for (const next of references) if (next.from === place) met.add(next.to);
    return met.has(from);
  });
}

/**
 * The tables of a list, those first that others of the sink refer to. In a circle that is not possible for all: there the
 * references count that can neither be null nor wait.
 *
 * @throws JobParametersInvalid for a circle of which no reference can, with the statement that mends it.
 */
export async function parentsFirst(database: pg.Pool, names: readonly string[]): Promise<string[]> {
  let left = (await referencesAmong(database, names)).filter(({ from, to }) => from !== to);
  for (let circle = circular(left); circle.length > 0; circle = circular(left)) {
    // One that may be null first: which it is must not depend on what somebody allows for the time of a copy.
    const open = circle.find(({ nullable }) => nullable.length > 0) ?? circle.find((one) => one.deferrable);
    if (!open)
      throw invalid(
        `tables of the sink refer to each other in a circle (${told(circle, names)}), and no row of one can be there before ` +
          `that of another: ${alter(circle[0], names)} ALTER CONSTRAINT ${quoted(circle[0]?.constraint)} DEFERRABLE`,
      );
    left = left.filter((one) => one !== open);
  }
  const sorted: string[] = [];
  const waiting = new Set(names.keys());
  while (waiting.size > 0)
    for (const place of [...waiting].filter(
      (one) => !left.some(({ from, to }) => from === one && waiting.has(to)),
    )) {
      sorted.push(names[place] ?? '');
      waiting.delete(place);
    }
  return sorted;
}

/** The tables with what the references among their sinks mean for the order in which rows are written. */
export async function withReferences(
  database: pg.Pool,
  tables: readonly FollowedTable[],
): Promise<FollowedTable[]> {
  const all = await referencesOf(database, tables);
  const round = circular(all);
  const closing = new Set(round.filter((one) => isLoose(tables[one.from], one)));
  return tables.map((table, place) => {
    const own = all.filter(({ from }) => from === place);
    return {
      ...table,
      inCircle: round.some(({ from }) => from === place),
      loose: own.filter((one) => closing.has(one)).map((one) => looseOf(table, one)),
      strict: own.filter((one) => one.to < place && !closing.has(one) && isWritten(table, one)),
    };
  });
}

/**
 * @throws JobParametersInvalid for tables of which no row can be copied before that of another, with the statement that lets
 * one be there first.
 */
export async function refuseUncopyable(database: pg.Pool, tables: readonly FollowedTable[]): Promise<void> {
  const strict = (await referencesOf(database, tables)).filter(
    (one) => one.from !== one.to && !isLoose(tables[one.from], one),
  );
  const circle = circular(strict);
  const open = circle.find(({ deferrable }) => deferrable) ?? circle[0];
  if (!open) return;
  const names = tables.map(({ sink }) => sink.table);
  const column = open.columns.find((name) => !tables[open.from]?.sink.key.includes(name));
  throw invalid(
    `tables of the sink refer to each other in a circle (${told(circle, names)}), and while they are copied a row is there ` +
      'before what it refers to: ' +
      (column === undefined
        ? `${alter(open, names)} DROP CONSTRAINT ${quoted(open.constraint)}, and add it DEFERRABLE when a run has completed`
        : `${alter(open, names)} ALTER COLUMN ${quoted(column)} DROP NOT NULL, and SET NOT NULL when a run has completed`),
  );
}

function referencesOf(database: pg.Pool, tables: readonly FollowedTable[]) {
  return referencesAmong(
    database,
    tables.map(({ sink }) => sink.table),
  );
}

function isLoose(table: FollowedTable | undefined, reference: ListedReference): boolean {
  return table !== undefined && looseOf(table, reference).nullable.length > 0;
}

function isWritten({ sink }: FollowedTable, { columns }: Reference): boolean {
  return columns.every((name) => sink.columns.some((column) => column.name === name));
}

/** What is not written is no part of it; a key that were null would be another row's. */
function looseOf(table: FollowedTable, reference: ListedReference): LooseReference {
  const { columns, parent, referenced, nullable } = reference;
  const free = nullable.filter((name) => isWritten(table, reference) && !table.sink.key.includes(name));
  return { columns, parent, referenced, nullable: free };
}

function told(circle: readonly ListedReference[], names: readonly string[]): string {
  return [...new Set(circle.flatMap(({ from, to }) => [from, to]))].map((place) => names[place]).join(', ');
}

function alter(reference: ListedReference | undefined, names: readonly string[]): string {
  return `ALTER TABLE ${quotedTable(names[reference?.from ?? 0] ?? '')}`;
}

function quoted(name = ''): string {
  return pg.escapeIdentifier(name);
}
