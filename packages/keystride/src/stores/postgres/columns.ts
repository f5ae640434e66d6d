import type { ColumnType } from 'kysely';

/**
 * Tables as plain data: the one place that says which columns exist. The types of the queries derive from it
 * (`TypedTables`), and a test can compare it with the catalogue of a migrated database, so that neither drifts from the
 * SQL.
 */
export interface ColumnDescription<
  Type extends keyof ColumnValues = keyof ColumnValues,
  Nullable extends boolean = boolean,
  Value extends ValueOrigin = ValueOrigin,
> {
  type: Type;
  nullable: Nullable;
  value: Value;
}

/** Who gives the value when an insert does not: nobody, the database, or only ever the database. */
type ValueOrigin = 'required' | 'defaulted' | 'generated';

/** What `pg` returns for a type, and what it takes. */
interface ColumnValues {
  // Text, because a number has no room for all 64 bits.
  bigint: { selected: string; written: string | number | bigint };
  integer: { selected: number; written: number };
  text: { selected: string; written: string };
  'character varying': { selected: string; written: string };
  uuid: { selected: string; written: string };
  boolean: { selected: boolean; written: boolean };
  date: { selected: string; written: string };
  // Text: our pools do not parse it, because a JavaScript Date cuts microseconds.
  'timestamp with time zone': { selected: string; written: Date | string };
  // Written as JSON text, because `pg` would make a PostgreSQL array of a JavaScript one.
  jsonb: { selected: unknown; written: string };
}

function column<Type extends keyof ColumnValues>(type: Type): ColumnDescription<Type, false, 'required'> {
  return { type, nullable: false, value: 'required' };
}

/** A column that may be null, and is where an insert gives no value. */
export function nullable<Type extends keyof ColumnValues>({
  type,
}: ColumnDescription<Type, false, 'required'>): ColumnDescription<Type, true, 'required'> {
  return { type, nullable: true, value: 'required' };
}

/** A column whose value the database gives where an insert does not. */
export function defaulted<Type extends keyof ColumnValues>({
  type,
}: ColumnDescription<Type, false, 'required'>): ColumnDescription<Type, false, 'defaulted'> {
  return { type, nullable: false, value: 'defaulted' };
}

/** A column whose value only the database gives. */
export function generated<Type extends keyof ColumnValues>({
  type,
}: ColumnDescription<Type, false, 'required'>): ColumnDescription<Type, false, 'generated'> {
  return { type, nullable: false, value: 'generated' };
}

export const bigint = column('bigint');
export const integer = column('integer');
export const text = column('text');
export const varchar = column('character varying');
export const uuid = column('uuid');
export const boolean = column('boolean');
export const date = column('date');
export const timestamp = column('timestamp with time zone');
export const jsonb = column('jsonb');

/** A table: its columns by name. */
export type TableDescription = Record<string, ColumnDescription>;

/** Tables by their names, `table` or `schema.table`, as the types that queries are built with. */
export type TypedTables<Tables extends Record<string, TableDescription>> = {
  [Table in keyof Tables]: { [Column in keyof Tables[Table]]: TypedColumn<Tables[Table][Column]> };
};

type TypedColumn<Column extends ColumnDescription> = ColumnType<
  ColumnValues[Column['type']]['selected'] | NullOf<Column>,
  Inserted<Column>,
  Column['value'] extends 'generated' ? never : Written<Column>
>;

type Inserted<Column extends ColumnDescription> = Column['value'] extends 'generated'
  ? never
  : Column['value'] extends 'defaulted'
    ? Written<Column> | undefined
    : Column['nullable'] extends true
      ? Written<Column> | undefined
      : Written<Column>;

type Written<Column extends ColumnDescription> = ColumnValues[Column['type']]['written'] | NullOf<Column>;

type NullOf<Column extends ColumnDescription> = Column['nullable'] extends true ? null : never;
